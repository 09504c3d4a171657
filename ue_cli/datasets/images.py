"""What a trainer reads: many files as one array of small squares."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from ue_cli.datasets.limits import MAX_PIXELS
from ue_cli.errors import SkipFile, UeError
from ue_cli.images.square import Frame, read_shape, read_square
from ue_cli.images.webcopy import WebCopy
from ue_cli.types import Phases
from ue_cli.workers import Crashed, WorkerPool

_CRASHED = "Reading it ended the process."


def load_images(
    paths: Sequence[Path],
    side: int,
    *,
    jobs: int,
    phases: Phases,
    title: str,
    max_pixels: int = MAX_PIXELS,
    copy: WebCopy | None = None,
) -> NDArray[np.uint8]:
    """Decode files in worker processes; each becomes what `read_square` makes of it.

    Args:
        paths: of images that can be read.
        side: of the squares.
        jobs: processes; the result does not depend on their number.
        phases: told about ``title`` and one step per file.
        title: of the phase.
        max_pixels: larger images are refused.
        copy: what each file goes through before it is read; None: nothing.

    Returns:
        (n, 3, side, side) in the order of ``paths``.

    Raises:
        UeError: ``image-unreadable``, naming the first file in that order and why.
    """
    images, failed = _load(paths, side, jobs, phases, title, max_pixels, copy)
    if failed:
        raise _unreadable(paths, failed)
    return images


def load_readable(
    paths: Sequence[Path],
    side: int,
    *,
    jobs: int,
    phases: Phases,
    title: str,
    max_pixels: int = MAX_PIXELS,
) -> tuple[list[int], NDArray[np.uint8]]:
    """The same for files of which some may be no images: those are left out.

    Returns:
        Positions in ``paths`` of the k files that could be read, and (k, 3, side, side).
    """
    images, failed = _load(paths, side, jobs, phases, title, max_pixels)
    positions = [index for index in range(len(paths)) if index not in failed]
    return positions, images[positions]


def read_shapes(
    paths: Sequence[Path], side: int, *, jobs: int, phases: Phases, title: str, max_pixels: int
) -> list[Frame]:
    """The shapes of files that `load_images` reads, see `read_shape`; arguments as there.

    Raises:
        UeError: ``image-unreadable``.
    """
    shapes: dict[int, Frame] = {}
    failed: dict[int, str] = {}
    phases.start(title, len(paths))
    pool = WorkerPool(_shape, jobs, _set_up, (side, max_pixels, None))
    for (index, _), outcome in pool.run(enumerate(paths)):
        phases.step()
        if isinstance(outcome, Frame):
            shapes[index] = outcome
        else:
            failed[index] = _CRASHED if isinstance(outcome, Crashed) else outcome
    if failed:
        raise _unreadable(paths, failed)
    return [shapes[index] for index in range(len(paths))]


def _unreadable(paths: Sequence[Path], failed: Mapping[int, str]) -> UeError:
    first = min(failed)
    return UeError(
        "image-unreadable",
        f"Expected {len(paths):,} images, but {len(failed):,} cannot be read; the first is "
        f"{paths[first]}: {failed[first]}",
        "Remove or replace such files, then run the same command again.",
    )


def _load(
    paths: Sequence[Path],
    side: int,
    jobs: int,
    phases: Phases,
    title: str,
    max_pixels: int,
    copy: WebCopy | None = None,
) -> tuple[NDArray[np.uint8], dict[int, str]]:
    """All images, and why those at some positions are missing."""
    images = np.empty((len(paths), 3, side, side), np.uint8)
    failed: dict[int, str] = {}
    phases.start(title, len(paths))
    pool = WorkerPool(_read, jobs, _set_up, (side, max_pixels, copy))
    for (index, _), outcome in pool.run(enumerate(paths)):
        phases.step()
        if isinstance(outcome, Crashed):
            failed[index] = _CRASHED
        elif isinstance(outcome, str):
            failed[index] = outcome
        else:
            images[index] = outcome
    return images, failed


_side, _max_pixels = 1, MAX_PIXELS
_copy: WebCopy | None = None


def _set_up(side: int, max_pixels: int, copy: WebCopy | None) -> None:
    global _side, _max_pixels, _copy
    _side, _max_pixels, _copy = side, max_pixels, copy


def _shape(task: tuple[int, Path]) -> Frame | str:
    try:
        return read_shape(task[1], _side, max_pixels=_max_pixels)
    except SkipFile as skip:
        return skip.reason


def _read(task: tuple[int, Path]) -> NDArray[np.uint8] | str:
    try:
        data = task[1] if _copy is None else _copy.of(task[1], max_pixels=_max_pixels)
        square = read_square(data, _side, max_pixels=_max_pixels)
    except SkipFile as skip:
        return skip.reason
    return np.ascontiguousarray(square.transpose(2, 0, 1))
