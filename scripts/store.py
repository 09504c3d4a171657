"""Rows of measurements in one JSON file that is whole at all times, and the work that adds them."""

from __future__ import annotations

import fcntl
import hashlib
import json
import platform
import shutil
import statistics
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import Any, Protocol, TypeVar

Row = dict[str, Any]
Key = Mapping[str, Any]

RESULTS = Path(__file__).resolve().parent / "results"

_ORDER = ("scale", "experiment", "dataset", "arm", "countermeasure", "epochs", "seed")


class Store:
    """Rows, each under a key of its own.

    Args:
        path: the JSON file.
        others: files whose rows count as well, and stay as they are.
    """

    def __init__(self, path: Path, others: Sequence[Path] = ()) -> None:
        self.path, self._others = path, tuple(others)

    def rows(self) -> list[Row]:
        """All rows, those of its own file first."""
        return [row for path in (self.path, *self._others) for row in read_rows(path)]

    def find(self, key: Key) -> Row | None:
        """The row with this key, or None."""
        for row in self.rows():
            if all(row.get(name) == value for name, value in key.items()):
                return row
        return None

    def add(self, key: Key, values: Key, libraries: Sequence[str] = ("torch", "numpy")) -> Row:
        """Add a row, or replace the one of this key; the file is replaced whole.

        Args:
            key: what the row is a measurement of.
            values: what was measured.
            libraries: whose versions decide it, beside Pillow's and the tool's own.
        """
        row = {
            **key,
            **values,
            "machine": platform.processor() or platform.machine(),
            "versions": {
                "ue": version("ue-cli"),
                **{name: version(name) for name in (*libraries, "pillow")},
            },
            "when": datetime.now(UTC).isoformat(timespec="seconds"),
        }
        self.path.parent.mkdir(parents=True, exist_ok=True)
        with self.path.with_name(self.path.name + ".lock").open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)  # several processes work side by side
            document = json.loads(self.path.read_text()) if self.path.exists() else {"rows": []}
            rows = document.pop("rows")
            rows = [row, *(r for r in rows if any(r.get(k) != v for k, v in key.items()))]
            head = json.dumps(document, indent=1)[:-2] + ",\n " if document else "{"
            lines = ",\n".join(json.dumps(r) for r in sorted(rows, key=_order))
            draft = self.path.with_name(self.path.name + ".draft")
            draft.write_text(f'{head}"rows": [\n{lines}\n]}}\n')
            draft.replace(self.path)
        return row


def read_rows(path: Path) -> list[Row]:
    """The rows of one file; none where there is no file."""
    rows: list[Row] = json.loads(path.read_text())["rows"] if path.exists() else []
    return rows


def _order(row: Row) -> tuple[str, ...]:
    return tuple(str(row.get(name, "")) for name in _ORDER)


def as_json(value: Any) -> Any:
    """What reading the value back from a JSON file gives."""
    return json.loads(json.dumps(value))


CellT = TypeVar("CellT", contravariant=True)


class Pieces(Protocol[CellT]):
    """Pieces of work of which each makes one row."""

    def key(self, cell: CellT) -> Row:
        """Everything that must be equal in a row for it to be this piece."""

    def run(self, cell: CellT) -> Row:
        """Do the work and add the row."""


def run_missing(
    pieces: Pieces[CellT],
    cells: Iterable[CellT],
    *,
    store: Store,
    work: Path,
    device: str,
    most: int | None = None,
    minutes: float | None = None,
) -> Iterator[Row]:
    """Run what has no row yet, one after another; other processes may do the same.

    Args:
        pieces: the work.
        cells: which of it.
        store: of rows.
        work: folder for claims on pieces.
        device: ``cpu`` or ``cuda``; times of another one say nothing.
        most: stop after so many pieces.
        minutes: start no piece that would end later than this, by what earlier ones took.

    Yields:
        Each new row.

    Raises:
        UeError: files could not be made or read.
    """
    began, done = time.monotonic(), 0
    for cell in cells:
        key = pieces.key(cell)
        if minutes is not None:
            seconds = expected_seconds(store.rows(), key | {"device": device})
            if time.monotonic() - began + seconds > 60 * minutes:
                continue
        with claimed(work, key) as free:
            if not free or store.find(key) is not None:
                continue
            yield pieces.run(cell)
        done += 1
        if done == most:
            return


def expected_seconds(rows: Iterable[Row], wanted: Key) -> float:
    """What a piece will take: the median of what pieces like it took; 0 where there are none.

    Args:
        rows: finished pieces.
        wanted: the piece's key and device.
    """
    alike = ("scale", "dataset", "device", "recipe")
    finished = [r for r in rows if all(r[name] == wanted[name] for name in alike)]
    closer = [r for r in finished if r["countermeasure"] == wanted["countermeasure"]]
    return float(statistics.median([r["seconds"] for r in closer or finished] or [0.0]))


@contextmanager
def claimed(folder: Path, key: Key) -> Iterator[bool]:
    """Keep a piece to this process while it runs; False: another one has it."""
    digest = hashlib.sha256(json.dumps(key, sort_keys=True).encode()).hexdigest()[:16]
    (folder / "claims").mkdir(parents=True, exist_ok=True)
    with (folder / "claims" / digest).open("w") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            yield False
            return
        yield True


@contextmanager
def once(folder: Path) -> Iterator[Path | None]:
    """Let a single one of several processes make a folder, which is whole or absent.

    Yields:
        Where to make it, or None: it is there.
    """
    folder.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    with folder.with_name(folder.name + ".lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if folder.exists():
            yield None
            return
        draft = folder.with_name(folder.name + ".draft")
        shutil.rmtree(draft, ignore_errors=True)
        draft.mkdir()
        yield draft
        draft.rename(folder)
