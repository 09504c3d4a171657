"""Writing a report: both files whole or not at all, in a folder that only its owner can read."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterable, Mapping
from dataclasses import fields, is_dataclass
from math import isfinite
from pathlib import Path
from typing import Any, TextIO

from ue_cli.report.digest import Digest
from ue_cli.report.markup import visible
from ue_cli.report.model import SCHEMA, Report
from ue_cli.report.page import render
from ue_cli.types import FileRecord

_PICTURES = frozenset({"thumbnails", "flat_crops"})
_RECORD = tuple(field.name for field in fields(FileRecord) if field.name != "original_hmac")
_COMPACT = json.JSONEncoder(ensure_ascii=False, allow_nan=False)


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
    _atomic(folder / "report.json", lambda out: _write_json(out, report, records, digest))
    _atomic(folder / "report.html", lambda out: _write_text(out, render(report, digest)))


def _atomic(path: Path, write: Callable[[TextIO], None]) -> None:
    """Write beside ``path``, flush to the disk, then take its name."""
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
        if field.name not in _PICTURES
    }
    head["budget"]["passed"] = report.budget.passed
    head["pictures"] = [plain(picture.name) for picture in report.thumbnails]
    out.write(_dumps(head, indent=1).removesuffix("\n}"))
    out.write(',\n "files": [')
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


def plain(value: Any) -> Any:
    r"""Turn frozen values into what JSON holds.

    Dataclasses and mappings become objects, tuples lists, infinite numbers null. A name that is
    not UTF-8 has its stray bytes spelled ``\x80``: strict readers refuse lone surrogates.
    """
    if is_dataclass(value) and not isinstance(value, type):
        return {field.name: plain(getattr(value, field.name)) for field in fields(value)}
    if isinstance(value, Mapping):
        return {plain(key): plain(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [plain(item) for item in value]
    if isinstance(value, float):
        return float(value) if isfinite(value) else None
    if isinstance(value, str):
        return value if _encodes(value) else visible(value)
    return value


def _encodes(text: str) -> bool:
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True
