"""A TIFF structure over a mutable buffer: read leniently, entries taken out in place."""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

import numpy as np

_UNITS = {1: 1, 2: 1, 3: 2, 4: 4, 5: 8, 6: 1, 7: 1, 8: 2, 9: 4, 10: 8, 11: 4, 12: 8, 13: 4}
_INTEGERS = {3: "u2", 4: "u4", 13: "u4"}

Span = tuple[int, int]


class Entry(NamedTuple):
    """One directory entry: where it lies, and where its value does, clipped to the data."""

    tag: int
    kind: int
    at: int
    start: int
    end: int


class Tiff:
    """Reads whatever lies within the data and never raises on a damaged structure.

    Args:
        body: the structure, from its byte-order mark on.
    """

    def __init__(self, body: bytes) -> None:
        self.data = bytearray(body)
        self._order = "<" if body[:2] == b"II" else ">"
        self.first = self.number(4, 4)
        self.valid = body[:4] in (b"II*\0", b"MM\0*") and self.count(self.first) >= 0

    def number(self, at: int, width: int) -> int:
        """The unsigned integer at an offset."""
        order = "little" if self._order == "<" else "big"
        return int.from_bytes(self.data[at : at + width], order)  # type: ignore[arg-type]

    def count(self, ifd: int) -> int:
        """How many entries of the directory at ``ifd`` lie within the data; −1 for none there."""
        if not 8 <= ifd <= len(self.data) - 2:
            return -1
        return min(self.number(ifd, 2), (len(self.data) - ifd - 2) // 12)

    def table(self, ifd: int) -> Span:
        """The span of a directory with its pointer to the next."""
        return ifd, min(ifd + 2 + 12 * self.count(ifd) + 4, len(self.data))

    def entries(self, ifd: int) -> list[Entry]:
        """The entries of a directory, those of unknown types with an empty value."""
        entries = []
        for at in range(ifd + 2, ifd + 2 + 12 * max(self.count(ifd), 0), 12):
            tag, kind = self.number(at, 2), self.number(at + 2, 2)
            size = self.number(at + 4, 4) * _UNITS.get(kind, 0)
            start = at + 8 if size <= 4 else min(self.number(at + 8, 4), len(self.data))
            entries.append(Entry(tag, kind, at, start, min(start + size, len(self.data))))
        return entries

    def value(self, entry: Entry) -> bytes:
        """The bytes of an entry's value."""
        return bytes(self.data[entry.start : entry.end])

    def integers(self, entry: Entry) -> list[int]:
        """The value as unsigned integers; empty for any other type."""
        if entry.kind not in _INTEGERS:
            return []
        dtype = np.dtype(self._order + _INTEGERS[entry.kind])
        raw = self.value(entry)
        whole = len(raw) // dtype.itemsize * dtype.itemsize
        return [int(v) for v in np.frombuffer(raw[:whole], dtype)]

    def next_ifd(self, ifd: int) -> int:
        """Where the chain goes on from a directory; 0 where it ends."""
        at = ifd + 2 + 12 * self.count(ifd)
        return self.number(at, 4) if at + 4 <= len(self.data) else 0

    def end_chain(self, ifd: int) -> None:
        """Make a directory the last one of its chain."""
        at = ifd + 2 + 12 * self.count(ifd)
        if at + 4 <= len(self.data):
            self.data[at : at + 4] = bytes(4)

    def delete(self, ifd: int, tags: Iterable[int]) -> None:
        """Take entries out of a directory; those behind them and the next pointer move up.

        The directory's own bytes are all that changes, so every offset stays true.
        """
        doomed = set(tags)
        begin, end = self.table(ifd)
        tail = begin + 2 + 12 * self.count(ifd)
        entries = [
            bytes(self.data[e.at : e.at + 12]) for e in self.entries(ifd) if e.tag not in doomed
        ]
        count = len(entries).to_bytes(2, "little" if self._order == "<" else "big")
        table = count + b"".join(entries) + bytes(self.data[tail:end])
        self.data[begin:end] = table.ljust(end - begin, b"\0")
