"""The sections on the files themselves, and on how they were made."""

from __future__ import annotations

from collections import Counter

from ue_cli.report.digest import Digest
from ue_cli.report.markup import Html, join, table, tag
from ue_cli.report.model import Report
from ue_cli.report.words import count, size
from ue_cli.types import FileRecord

SKIPPED_ROWS = 200
CLASS_ROWS = 40

_SHORT = {
    "jpeg-coefficients": "JPEG coefficients",
    "lossless": "lossless",
    "jpeg-reencoded": "JPEG re-encoded",
}


def files(report: Report, digest: Digest) -> Html:
    """7: classes, skipped files, removed copies, and one row per file."""
    parts = []
    if report.counts:
        parts.append(_pairs({name: f"{number:,}" for name, number in report.counts.items()}))
    parts += [*_labels(report), *_skipped(report), *_removed(digest), *_rows(digest)]
    return join(*parts)


def _labels(report: Report) -> list[Html]:
    labels = report.labels
    ordered = sorted(labels.classes.items(), key=lambda item: (-item[1], item[0]))
    rows = [(name, f"{number:,}") for name, number in ordered[:CLASS_ROWS]]
    parts = [
        tag("h3", "Classes"),
        tag("p", f"Labels by rule “{labels.rule}”: {labels.reason}"),
    ]
    if rows:
        parts.append(
            tag(
                "details",
                tag("summary", count(len(ordered), "class")),
                table(("Class", "Protected files"), rows, numeric=frozenset({1})),
                *_more(len(ordered), len(rows)),
            )
        )
    return parts


def _skipped(report: Report) -> list[Html]:
    if not report.skipped:
        return [tag("h3", "Skipped"), tag("p", "No file was skipped.")]
    codes = Counter(entry.code for entry in report.skipped)
    kinds = ", ".join(f"{number:,} {code}" for code, number in codes.most_common())
    shown = report.skipped[:SKIPPED_ROWS]
    return [
        tag("h3", "Skipped"),
        tag(
            "p",
            f"{count(len(report.skipped), 'file')} left as they were and not copied: {kinds}.",
        ),
        table(("File", "Reason"), [(tag("code", e.name), e.reason) for e in shown]),
        *_more(len(report.skipped), len(shown)),
    ]


def _removed(digest: Digest) -> list[Html]:
    if not digest.removed:
        return []
    kinds = ", ".join(f"{kind} ({number:,})" for kind, number in digest.removed.most_common())
    return [
        tag("h3", "Embedded copies removed"),
        tag(
            "p",
            f"{count(digest.stripped, 'file')} carried a copy of the unprotected original, which "
            f"was dropped: {kinds}.",
        ),
        tag(
            "details",
            tag("summary", "Which files"),
            table(
                ("File", "Removed"), [(tag("code", name), what) for name, what in digest.removals]
            ),
            *_more(digest.stripped, len(digest.removals)),
        ),
    ]


def _rows(digest: Digest) -> list[Html]:
    if not digest.rows:
        return []
    columns = ("File", "Class", "Route", "Pixels", "Largest / limit", "Mean |δ|", "Size", "Notes")
    return [
        tag("h3", "Every file"),
        tag(
            "details",
            tag("summary", count(digest.files, "protected file")),
            table(columns, [_row(r) for r in digest.rows], numeric=frozenset({3, 4, 5, 6})),
            *_more(digest.files, len(digest.rows)),
        ),
    ]


def _row(record: FileRecord) -> tuple[str, ...]:
    certified = record.linf if record.linf_encoding is None else record.linf_encoding
    largest: str = f"{certified} / {record.linf_limit}"
    notes = list(record.notes)
    if record.linf_encoding is not None:
        notes.append(f"after JPEG encoding the largest difference is {record.linf}")
    if record.output != record.name:
        notes.append(f"written as {record.output}")
    return (
        tag("code", record.name),
        record.label,
        _SHORT.get(record.route, record.route),
        f"{record.width} × {record.height}",
        tag("strong", largest, class_="bad") if certified > record.linf_limit else largest,
        f"{record.mean_abs:.2f}",
        size(record.bytes_out),
        "; ".join(notes),
    )


def origin(report: Report) -> Html:
    """8: everything that is needed to name this run."""
    facts = {
        "Made": report.created,
        "From": report.source,
        "Into": report.output,
        "Collection": report.collection,
        "Device": report.device,
        **report.method,
        "Decoder": report.decoder,
        "Versions": ", ".join(f"{name} {version}" for name, version in report.versions.items()),
    }
    return _pairs(facts)


def _pairs(facts: dict[str, str]) -> Html:
    return tag(
        "dl",
        *(
            tag("div", tag("dt", name[:1].upper() + name[1:]), tag("dd", value))
            for name, value in facts.items()
        ),
    )


def _more(total: int, shown: int) -> list[Html]:
    """Say what the page leaves out."""
    if total <= shown:
        return []
    return [tag("p", f"And {total - shown:,} more, all in report.json.", class_="note")]
