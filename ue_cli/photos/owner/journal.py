"""What was done to each file: an append-only journal, one line per finished file.

The newest line of a name counts. Lines are written at once and synced in batches. A killed process
loses nothing but the line it was writing. A power loss may take the last batch, in any order, so a
line ``{"synced": true}`` follows every sync, and what comes after the last of those is believed
only up to the first line that is damaged. The files of lost lines are simply protected again:
everything random is keyed, so the bytes are equal.
"""

from __future__ import annotations

import dataclasses
import json
import os
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from ue_cli.errors import UeError
from ue_cli.photos.private import explain_write, parse_json, write_all
from ue_cli.types import FileRecord

JOURNAL_FILE = "journal.jsonl"
SYNC_FILES = 64
SYNC_SECONDS = 5.0
_MAX_LINE = 1 << 20
_USUAL_LINE = 1 << 12
_MARKER = b'{"synced": true}\n'
_KINDS: dict[str, type | tuple[type, ...]] = {
    "str": str,
    "int": int,
    "float": (int, float),
    "int | None": (int, type(None)),
    "tuple[str, ...]": list,
}
_FIELDS = tuple(
    (f.name, _KINDS[str(f.type)], f.default is dataclasses.MISSING)
    for f in dataclasses.fields(FileRecord)
)


class Journal:
    """The journal of one collection's folder.

    Memory: one name and one number per file; records stay on disk.

    Attributes:
        damaged: lines in the middle that could not be read. Their files count as not done.
    """

    def __init__(self, folder: Path, *, writable: bool) -> None:
        """Open, and bring to order what a killed run left.

        Args:
            folder: exists; where ``writable``, the caller holds its lock.
            writable: False reads only and changes nothing.

        Raises:
            UeError: ``disk-full`` or ``write-failed``.
        """
        self.folder = folder
        self.damaged = 0
        self._path = folder / JOURNAL_FILE
        self._index: dict[str, int] = {}
        self._unsynced = 0
        self._synced_at = time.monotonic()
        self._fd = -1
        self._writable = writable
        if not writable and not self._path.exists():
            return
        flags = os.O_RDWR | os.O_CREAT | os.O_APPEND if writable else os.O_RDONLY
        with explain_write(self._path):
            self._fd = os.open(self._path, flags, 0o600)
            try:
                end, tail = self._scan()
                if writable and end < os.fstat(self._fd).st_size:
                    os.ftruncate(self._fd, end)
                if writable and tail:
                    self._seal()
            except BaseException:
                self.close()
                raise

    def __len__(self) -> int:
        return len(self._index)

    def __contains__(self, name: str) -> bool:
        return name in self._index

    def get(self, name: str) -> FileRecord | None:
        """The newest record of a file, or None; one short read."""
        offset = self._index.get(name)
        return None if offset is None else self._read(offset)

    def records(self) -> Iterator[FileRecord]:
        """Every file's newest record, in the order written; one in memory at a time."""
        for offset, line in _lines(self._path) if self._index else ():
            parsed = _parse(line)
            if parsed is not None and self._index.get(parsed.name) == offset:
                yield parsed

    def append(self, record: FileRecord) -> None:
        """Note that a file is finished; its output must be on disk already.

        Raises:
            UeError: ``disk-full`` or ``write-failed``; the journal then ends before this file.
        """
        if not self._writable:
            raise ValueError("the journal was opened for reading")
        with explain_write(self._path):
            self._index[record.name] = self._write(_line(record))
        self._unsynced += 1
        late = time.monotonic() - self._synced_at > SYNC_SECONDS
        if late or self._unsynced >= SYNC_FILES:
            self.flush()

    def flush(self) -> None:
        """Make every record so far survive a power loss."""
        if self._unsynced:
            with explain_write(self.folder):
                self._seal()

    def close(self) -> None:
        """Flush, and let go of the files; closing twice is fine."""
        try:
            self.flush()
        finally:
            if self._fd >= 0:
                os.close(self._fd)
                self._fd = -1

    def _scan(self) -> tuple[int, bool]:
        """Fill the index; return where the believable part ends, and whether some is unsealed."""
        end = 0
        tail: list[tuple[int, str]] = []
        bad: list[int] = []  # offsets of unreadable lines since the last seal
        for offset, line in _lines(self._path):
            if line == _MARKER:
                self.damaged += len(bad)
                self._index.update((name, at) for at, name in tail)
                tail.clear()
                bad.clear()
            elif parsed := _parse(line):
                tail.append((offset, parsed.name))
            else:
                bad.append(offset)
            end = offset + len(line)
        end = min([end, *bad])
        believed = {name: offset for offset, name in tail if offset < end}
        self._index.update(believed)
        return end, bool(believed)

    def _read(self, offset: int) -> FileRecord:
        line = os.pread(self._fd, _USUAL_LINE, offset)
        if b"\n" not in line:
            line = os.pread(self._fd, _MAX_LINE, offset)
        parsed = _parse(line[: line.find(b"\n") + 1])
        if parsed is None:
            raise UeError(
                "journal-damaged",
                f"{self._path} was changed while it was in use.",
                "Run the same command again.",
            )
        return parsed

    def _write(self, line: bytes) -> int:
        """Append a line whole or not at all; returns its offset."""
        end = os.fstat(self._fd).st_size
        try:
            write_all(self._fd, line)
        except OSError:
            os.ftruncate(self._fd, end)
            raise
        return end

    def _seal(self) -> None:
        os.fsync(self._fd)
        self._write(_MARKER)
        self._unsynced = 0
        self._synced_at = time.monotonic()


def _lines(path: Path) -> Iterator[tuple[int, bytes]]:
    """Offset and bytes of every line, none longer than a bound (a longer one comes in parts)."""
    offset = 0
    with path.open("rb") as file:
        while line := file.readline(_MAX_LINE):
            yield offset, line
            offset += len(line)


def _line(record: FileRecord) -> bytes:
    value = {name: getattr(record, name) for name, _, _ in _FIELDS}
    # ASCII: a name that is not UTF-8 on disk survives as \udcXX.
    return json.dumps({"record": value}).encode("ascii") + b"\n"


def _parse(line: bytes) -> FileRecord | None:
    """Inverse of `_line`; None for a torn, damaged or foreign line, and for a seal."""
    if not line.endswith(b"\n"):
        return None
    try:
        return _record(parse_json(line)["record"])
    except (ValueError, KeyError, TypeError):
        return None


def _record(value: dict[str, Any]) -> FileRecord:
    fields: dict[str, Any] = {}
    for name, kinds, required in _FIELDS:
        if name not in value and not required:
            continue
        item = value[name]
        if not isinstance(item, kinds) or isinstance(item, bool):
            raise ValueError(f"{name} has the wrong type")
        if isinstance(item, list):
            if not all(isinstance(text, str) for text in item):
                raise ValueError(f"{name} has the wrong type")
            item = tuple(item)
        fields[name] = item
    return FileRecord(**fields)
