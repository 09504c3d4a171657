"""The JSON files of a report folder: written whole or not at all, and read again."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterable
from dataclasses import fields
from itertools import islice, takewhile
from pathlib import Path
from typing import TextIO, TypeVar

from ue_cli.report.certification import Certification
from ue_cli.report.evaluation import Evaluation
from ue_cli.report.model import Album, Report
from ue_cli.report.values import dumps, load_as, plain, rebuild
from ue_cli.types import FileRecord

REPORT_FILE, PICTURES_FILE = "report.json", "pictures.json"
CERTIFICATE_FILE, EVALUATION_FILE = "certificate.json", "evaluation.json"
SCHEMAS = {
    REPORT_FILE: "ue-report/2",
    PICTURES_FILE: "ue-pictures/1",
    CERTIFICATE_FILE: "ue-certificate/1",
    EVALUATION_FILE: "ue-evaluation/1",
}
ROWS = 500
"""Files of ``report.json`` that the page lists."""

_FILES = ' "files": [\n'
"""The line of ``report.json`` after which there is one line per file."""
_PRIVATE = ("original_hmac", "modified")
_RECORD = tuple(field.name for field in fields(FileRecord) if field.name not in _PRIVATE)
_COMPACT = json.JSONEncoder(ensure_ascii=False, allow_nan=False)

T = TypeVar("T")
Part = TypeVar("Part", Certification, Evaluation)


def report_folder(out: Path) -> Path:
    """Say where the report of OUT lies: beside it, never inside what is published."""
    whole = Path(os.path.abspath(out))  # noqa: PTH100 - `.` and `a/..` have no name of their own
    return whole.with_name(whole.name + ".report")


def make_private(folder: Path) -> None:
    """Make a folder that only its owner can enter (0700), or bring it to that."""
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    folder.chmod(0o700)


def atomic(path: Path, write: Callable[[TextIO], object]) -> None:
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


def save(path: Path, value: Album | Certification | Evaluation) -> None:
    """Write a frozen value as JSON with the schema of files of that name."""
    atomic(path, lambda out: out.write(dump(path.name, value)))


def dump(file: str, value: Album | Certification | Evaluation) -> str:
    """Format a frozen value as the JSON of a file."""
    return dumps({"schema": SCHEMAS[file]} | plain(value)) + "\n"


def save_report(path: Path, report: Report, records: Iterable[FileRecord]) -> None:
    """Write ``report.json``: one line per file, so that any number streams through."""

    def write(out: TextIO) -> None:
        head = {"schema": SCHEMAS[REPORT_FILE]} | plain(report)
        head["budget"]["passed"] = report.budget.passed
        text = json.dumps(head, ensure_ascii=False, allow_nan=False, indent=1)
        out.write(text.removesuffix("\n}") + ",\n" + _FILES)
        separator = ""
        for record in records:
            out.write(f"{separator}  {_line(record)}")
            separator = ",\n"
        out.write("\n ]\n}\n")

    atomic(path, write)


def _line(record: FileRecord) -> str:
    """Format one file, without the proof of its original: that belongs to the owner's state."""
    entry = {name: getattr(record, name) for name in _RECORD}
    try:
        # Nearly every record needs no conversion, and there may be 10⁵ of them.
        line = _COMPACT.encode(entry)
        line.encode()
    except ValueError:  # UnicodeEncodeError included: a name that is not UTF-8, a number not finite
        line = _COMPACT.encode(plain(entry))
    return line


def read_report(folder: Path) -> tuple[Report, tuple[FileRecord, ...]] | None:
    """Read ``report.json`` and the first ``ROWS`` of its files; the others are not read.

    Returns:
        None where there is none, or where it is damaged or of another version.
    """
    try:
        with (folder / REPORT_FILE).open(encoding="utf-8", newline="\n") as lines:
            head = "".join(takewhile(lambda line: line != _FILES, lines))
            rows = [*takewhile(lambda line: line.startswith("  {"), islice(lines, ROWS))]
        value = json.loads(head.removesuffix(",\n") + "}")
        if value.pop("schema", None) != SCHEMAS[REPORT_FILE]:
            return None
        value["budget"].pop("passed")
        files = (json.loads(row.rstrip(",\n")) for row in rows)
        records = tuple(
            rebuild(FileRecord, file | {"original_hmac": "", "modified": 0}) for file in files
        )
        return rebuild(Report, value), records
    except (OSError, ValueError, LookupError, TypeError, AttributeError, RecursionError):
        return None


def read_pictures(folder: Path) -> Album:
    """Read ``pictures.json``; an album without pictures where there is none to be read."""
    return _read(Album, folder / PICTURES_FILE) or Album(())


def read_certificate(folder: Path) -> Certification | None:
    """Read ``certificate.json``.

    Returns:
        None where there is none, or where it is damaged or of another version.
    """
    return _read(Certification, folder / CERTIFICATE_FILE)


def read_evaluation(folder: Path) -> Evaluation | None:
    """Read ``evaluation.json``; None as `read_certificate`."""
    return _read(Evaluation, folder / EVALUATION_FILE)


def _read(kind: type[T], path: Path) -> T | None:
    try:
        return load_as(kind, SCHEMAS[path.name], path.read_text("utf-8"))
    except (OSError, ValueError):
        return None


def current(part: Part | None, path: Path, output_sha256: str | None) -> tuple[Part | None, str]:
    """Keep what an earlier command measured where it is about these very files.

    The file itself stays in any case: it took long to make, and is right about the files it names.

    Args:
        part: what was read from ``path``; None where that cannot be read.
        path: of its file.
        output_sha256: of the published files that the report is about; None where nobody knows.

    Returns:
        The part, or None and why it is left out; that is empty where there is no such file.
    """
    if not path.exists():
        return None, ""
    if part is None:
        return None, f"{path.name} cannot be read, so the report leaves it out."
    if output_sha256 not in (None, part.output_sha256):
        return None, (
            f"{path.name} of {part.when} is about other files than these, so the report leaves it "
            "out."
        )
    return part, ""
