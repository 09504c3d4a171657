"""What the report keeps of the per-file records while they stream past."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field

from ue_cli.types import FileRecord

ROWS = 500
"""Files shown in report.html; report.json has them all."""
REMOVALS = 200


@dataclass(slots=True)
class Digest:
    """Tallies over all records, and the first of them for display.

    Attributes:
        files: how many records.
        rows: the first of them, up to ``ROWS``.
        routes: files per (route, reason).
        removed: embedded copies by kind, such as ``EXIF thumbnail``.
        removals: (name, what was removed), the first of them.
        stripped: files that lost an embedded copy.
        bytes_in, bytes_out: sizes in sum.
    """

    files: int = 0
    rows: list[FileRecord] = field(default_factory=list)
    routes: Counter[tuple[str, str]] = field(default_factory=Counter)
    removed: Counter[str] = field(default_factory=Counter)
    removals: list[tuple[str, str]] = field(default_factory=list)
    stripped: int = 0
    bytes_in: int = 0
    bytes_out: int = 0

    def add(self, record: FileRecord) -> None:
        """Take in one record."""
        self.files += 1
        self.routes[record.route, record.route_reason] += 1
        self.bytes_in += record.bytes_in
        self.bytes_out += record.bytes_out
        if len(self.rows) < ROWS:
            self.rows.append(record)
        if record.removed:
            self.stripped += 1
            # "EXIF thumbnail (7,412 bytes)" counts as an EXIF thumbnail.
            self.removed.update(what.partition(" (")[0] for what in record.removed)
            if len(self.removals) < REMOVALS:
                self.removals.append((record.name, ", ".join(record.removed)))
