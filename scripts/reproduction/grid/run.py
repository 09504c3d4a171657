"""Run the pieces of the grid that are missing, as many as there is time for."""

from __future__ import annotations

import statistics
import time
from collections.abc import Iterable, Iterator
from itertools import islice
from pathlib import Path

import torch

from reproduction.grid.files import Files
from reproduction.grid.pieces import Pieces
from reproduction.grid.plan import SCALES, Cell, SettingsOf
from reproduction.store import Row, Store


def run(
    name: str,
    cells: Iterable[Cell],
    *,
    data: Path,
    store: Store,
    settings: SettingsOf | None = None,
    jobs: int = 1,
    most: int | None = None,
    minutes: float | None = None,
) -> Iterator[Row]:
    """Run what has no row yet, one after another.

    Args:
        name: of the scale.
        cells: of the grid.
        data: holds ``train/CLASS/*`` and ``test/CLASS/*``.
        store: of rows; files are kept in its folder.
        settings: of each arm; None: the grid's own arms.
        jobs: processes that read and protect files; a training has one thread of a CPU.
        most: stop after so many pieces.
        minutes: start no piece that would end later than this, by what earlier ones took.

    Yields:
        Each new row.

    Raises:
        UeError: files could not be made or read.
    """
    began = time.monotonic()
    device = "cuda" if torch.cuda.is_available() else "cpu"
    scale = SCALES[name]
    files = Files(name, scale, data, store.work, jobs)
    pieces = Pieces(name, scale, files, store, device, settings)
    missing = (cell for cell in cells if store.find(pieces.key(cell)) is None)
    threads = torch.get_num_threads()
    torch.set_num_threads(1)  # such runs work side by side
    try:
        for cell in islice(missing, most):
            if minutes is not None:
                wanted = pieces.key(cell) | {"device": device}
                end = time.monotonic() - began + expected_seconds(store.rows(), wanted)
                if end > 60 * minutes:
                    return
            yield pieces.run(cell)
    finally:
        torch.set_num_threads(threads)


def expected_seconds(rows: Iterable[Row], wanted: Row) -> float:
    """What a piece will take: the median of what pieces like it took; 0 where there are none.

    Args:
        rows: finished pieces.
        wanted: the piece's key and device.
    """
    alike = ("scale", "dataset", "device", "countermeasure")
    known = list(rows)
    for names in (alike, alike[:3]):
        took = [row["seconds"] for row in known if all(row[n] == wanted[n] for n in names)]
        if took:
            return float(statistics.median(took))
    return 0.0
