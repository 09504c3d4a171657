"""Run the pieces that are missing, as many as there is time for, in several processes at once."""

from __future__ import annotations

import fcntl
import hashlib
import json
import statistics
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch

from reproduction.store import Row, Store
from reproduction.tue.cells import Cell
from reproduction.tue.files import Files
from reproduction.tue.pieces import Pieces
from reproduction.tue.plan import SCALES


def run(
    name: str,
    cells: Sequence[Cell],
    *,
    data: Path,
    store: Store,
    most: int | None = None,
    minutes: float | None = None,
) -> Iterator[Row]:
    """Run what has no row yet, one after another; other processes may do the same.

    Args:
        name: of the scale.
        cells: what to do.
        data: holds ``train/CLASS/*`` and ``test/CLASS/*``.
        store: of rows; arrays are kept in its folder.
        most: stop after so many pieces.
        minutes: start no piece that would end later than this, by what earlier ones took.

    Yields:
        Each new row.

    Raises:
        UeError: files could not be made.
    """
    began = time.monotonic()
    device = "cuda" if torch.cuda.is_available() else "cpu"
    files = Files(name, SCALES[name], data, store.work, device)
    pieces = Pieces(name, SCALES[name], files, store, device)
    keys = {cell: pieces.key(cell) for cell in cells}
    threads = torch.get_num_threads()
    torch.set_num_threads(1)  # such runs work side by side
    done = 0
    try:
        while most is None or done < most:
            for cell, key in keys.items():
                if store.find(key) is not None or not pieces.ready(cell):
                    continue
                if minutes is not None:
                    took = expected_seconds(store.rows(), key | {"device": device})
                    if time.monotonic() - began + took > 60 * minutes:
                        continue
                with claimed(files.work, key) as mine:
                    if not mine or store.find(key) is not None:
                        continue
                    yield pieces.run(cell)
                done += 1
                break  # which may have made others possible that come before
            else:
                return
    finally:
        torch.set_num_threads(threads)


@contextmanager
def claimed(folder: Path, key: Mapping[str, Any]) -> Iterator[bool]:
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


def expected_seconds(rows: Iterable[Row], wanted: Mapping[str, Any]) -> float:
    """What a piece will take: the median of what pieces like it took; 0 where there are none.

    Args:
        rows: finished pieces.
        wanted: the piece's key and device.
    """
    alike = ["scale", "piece", "victim", "dataset", "device"]
    alike += ["arm"] if wanted["piece"] == "make" else ["recipe"]
    took = [row["seconds"] for row in rows if all(row.get(n) == wanted.get(n) for n in alike)]
    return float(statistics.median(took)) if took else 0.0
