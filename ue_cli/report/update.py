"""Certificate and evaluation: their homes in the report folder, and in a report that is there."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from ue_cli.report import certification as certificates
from ue_cli.report import effectrecord, page
from ue_cli.report.certification import Certification
from ue_cli.report.effectrecord import Evaluation
from ue_cli.report.markup import Html
from ue_cli.report.write import (
    CERTIFICATE_KEY,
    EVALUATION_KEY,
    atomic,
    certificate_line,
    evaluation_line,
)

CERTIFICATE_FILE = "certificate.json"
EVALUATION_FILE = "evaluation.json"
_COLLECTION_KEY = ' "collection": '


@dataclass(frozen=True, slots=True)
class _Part:
    """What one command adds to a report.

    Attributes:
        file: the name of its own JSON.
        text: of that file.
        regions: of report.html, by name.
        key: how its line of report.json begins.
        line: that line.
        alone: its page where there is no report; the file is called as the JSON.
    """

    file: str
    text: str
    regions: Mapping[str, Html]
    key: str
    line: str
    alone: str


def write_certificate(folder: Path, certification: Certification) -> None:
    """Write ``certificate.json``, and tell it in the report that lies beside it.

    Where there is no report of this version, a page of its own is written: ``certificate.html``.
    Everything else in a report stays as it is, to the byte; doing it again changes nothing.

    Args:
        folder: made with mode 0700, or brought to it.
        certification: what was found.

    Raises:
        OSError: the disk is full or the folder cannot be written; each file is the old one or the
            new one entire.
    """
    _write(
        folder,
        _Part(
            CERTIFICATE_FILE,
            certificates.dump(certification),
            page.certificate_parts(certification),
            CERTIFICATE_KEY,
            certificate_line(certification),
            page.certificate_page(certification),
        ),
    )


def write_evaluation(folder: Path, evaluation: Evaluation) -> None:
    """Write ``evaluation.json``, and tell it in the report; all else as `write_certificate`.

    Args:
        folder: made with mode 0700, or brought to it.
        evaluation: what was found.

    Raises:
        OSError: see `write_certificate`.
    """
    _write(
        folder,
        _Part(
            EVALUATION_FILE,
            effectrecord.dump(evaluation),
            page.evaluation_parts(evaluation),
            EVALUATION_KEY,
            evaluation_line(evaluation),
            page.evaluation_page(evaluation),
        ),
    )


def read_certificate(folder: Path) -> Certification | None:
    """Read the certificate in a report folder.

    Returns:
        None where there is none, or where it is damaged or of another version.
    """
    try:
        return certificates.load((folder / CERTIFICATE_FILE).read_text("utf-8"))
    except (OSError, ValueError):
        return None


def read_evaluation(folder: Path) -> Evaluation | None:
    """Read the evaluation in a report folder; None as `read_certificate`."""
    try:
        return effectrecord.load((folder / EVALUATION_FILE).read_text("utf-8"))
    except (OSError, ValueError):
        return None


def read_collection(folder: Path) -> str | None:
    """The fingerprint of the files that a report is about; None where no report says so.

    Args:
        folder: of the report.
    """
    try:
        with (folder / "report.json").open(encoding="utf-8", newline="\n") as record:
            line = next(line for line in record if line.startswith(_COLLECTION_KEY))
        found = json.loads(line.removeprefix(_COLLECTION_KEY).rstrip(",\n"))
    except (OSError, ValueError, StopIteration):
        return None
    return found if isinstance(found, str) else None


def _write(folder: Path, part: _Part) -> None:
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    folder.chmod(0o700)
    renewed = _renewed(folder / "report.html", part.regions)
    atomic(folder / part.file, lambda out: out.writelines([part.text]))
    alone = (folder / part.file).with_suffix(".html")
    if renewed is None:
        atomic(alone, lambda out: out.writelines([part.alone]))
        return
    record = folder / "report.json"
    if record.is_file():
        lines = _with_line(record, part)
        atomic(record, lambda out: out.writelines(lines))
    atomic(folder / "report.html", lambda out: out.writelines([renewed]))
    alone.unlink(missing_ok=True)


def _renewed(path: Path, regions: Mapping[str, Html]) -> str | None:
    """The report's page with these regions in it; None where it has no place for them."""
    try:
        # No translation of line ends: all else must stay as it is.
        return page.renew(path.read_bytes().decode(), regions)
    except (FileNotFoundError, ValueError):
        return None


def _with_line(record: Path, part: _Part) -> Iterator[str]:
    """report.json with one line replaced; any number of files streams through."""
    with record.open(encoding="utf-8", newline="\n") as old:
        for one in old:
            yield part.line if one.startswith(part.key) else one
