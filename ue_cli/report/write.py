"""Writing a report: both files whole or not at all, in a folder that only its owner can read."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterable
from dataclasses import fields
from pathlib import Path
from typing import TextIO

from ue_cli.report import effectrecord
from ue_cli.report.certification import Certification, summary
from ue_cli.report.digest import Digest
from ue_cli.report.effectrecord import Evaluation
from ue_cli.report.model import SCHEMA, Report
from ue_cli.report.page import render
from ue_cli.report.values import plain
from ue_cli.types import FileRecord

_APART = frozenset({"thumbnails", "flat_crops", "certification", "evaluation"})
_RECORD = tuple(field.name for field in fields(FileRecord) if field.name != "original_hmac")
CERTIFICATE_KEY = ' "certificate": '
EVALUATION_KEY = ' "evaluation": '
"""How these lines begin: one space, so each is a key of the whole, not of anything within."""
_COMPACT = json.JSONEncoder(ensure_ascii=False, allow_nan=False)


def report_folder(out: Path) -> Path:
    """Where the report of OUT lies: beside it, never inside what is published."""
    whole = Path(os.path.abspath(out))  # noqa: PTH100 - `.` and `a/..` have no name of their own
    return whole.with_name(whole.name + ".report")


def write_report(report: Report, records: Iterable[FileRecord], folder: Path) -> None:
    """Write ``report.json`` and ``report.html``.

    Args:
        report: all but the files.
        records: one per protected file; read once and not kept, so that any number is fine.
        folder: made with mode 0700, or brought to it.

    Raises:
        OSError: the disk is full or the folder cannot be written; an older report stays whole.
    """
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    folder.chmod(0o700)
    digest = Digest()
    atomic(folder / "report.json", lambda out: _write_json(out, report, records, digest))
    atomic(folder / "report.html", lambda out: _write_text(out, render(report, digest)))


def atomic(path: Path, write: Callable[[TextIO], None]) -> None:
    """Write beside ``path``, flush to the disk, then take its name (0600).

    Raises:
        OSError: nothing was changed.
    """
    draft = path.with_name(f".{path.name}.tmp")
    draft.unlink(missing_ok=True)
    try:
        handle = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with open(handle, "w", encoding="utf-8", newline="\n") as out:  # noqa: PTH123 - a descriptor
            write(out)
            out.flush()
            os.fsync(out.fileno())
        draft.replace(path)
    except BaseException:
        draft.unlink(missing_ok=True)
        raise


def _write_text(out: TextIO, content: str) -> None:
    out.write(content)


def _write_json(out: TextIO, report: Report, records: Iterable[FileRecord], digest: Digest) -> None:
    """One line per file, so that the largest collection needs no more memory than the smallest."""
    head = {"schema": SCHEMA} | {
        field.name: plain(getattr(report, field.name))
        for field in fields(report)
        if field.name not in _APART
    }
    head["budget"]["passed"] = report.budget.passed
    head["pictures"] = [plain(picture.name) for picture in report.thumbnails]
    out.write(_dumps(head, indent=1).removesuffix("\n}"))
    out.write(",\n" + certificate_line(report.certification))
    out.write(evaluation_line(report.evaluation) + ' "files": [')
    separator = "\n  "
    for record in records:
        digest.add(record)
        out.write(separator + _line(record))
        separator = ",\n  "
    tail = {
        "routes": [
            {"route": route, "reason": reason, "files": count}
            for (route, reason), count in digest.routes.most_common()
        ],
        "removed": dict(digest.removed.most_common()),
        "bytes_in": digest.bytes_in,
        "bytes_out": digest.bytes_out,
    }
    out.write("\n ],\n" + _dumps(plain(tail), indent=1).removeprefix("{\n") + "\n")


def certificate_line(certification: Certification | None) -> str:
    """The one line of report.json that a certificate changes; only it begins as it does."""
    found = None if certification is None else plain(summary(certification))
    return CERTIFICATE_KEY + _COMPACT.encode(found) + ",\n"


def evaluation_line(evaluation: Evaluation | None) -> str:
    """The one line of report.json that an evaluation changes."""
    found = None if evaluation is None else plain(effectrecord.summary(evaluation))
    return EVALUATION_KEY + _COMPACT.encode(found) + ",\n"


def _line(record: FileRecord) -> str:
    """One file, without the proof of its original, which belongs to the owner's state alone."""
    entry = {name: getattr(record, name) for name in _RECORD}
    try:
        # Nearly every record needs no conversion, and there may be 10⁵ of them.
        line = _COMPACT.encode(entry)
        line.encode()
    except ValueError:  # UnicodeEncodeError included: a name that is not UTF-8, a number not finite
        line = _COMPACT.encode(plain(entry))
    return line


def _dumps(value: object, indent: int) -> str:
    return json.dumps(value, ensure_ascii=False, allow_nan=False, indent=indent)
