"""One look at each of many files: its hash, and what its picture looks like."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from PIL import Image

from ue_cli.errors import SkipFile
from ue_cli.images.opening import read_file
from ue_cli.images.square import read_frame
from ue_cli.types import Phases
from ue_cli.workers import Crashed, WorkerPool

SIDE = 32


@dataclass(frozen=True, slots=True)
class Look:
    """What one file holds.

    Attributes:
        sha256: of its bytes, hex; empty where it cannot be read.
        picture: of its displayed colours at 32×32: equal for one picture in two files; empty
            where it was not asked for or cannot be decoded.
        gray: the same in gray, 1,024 bytes, for the perceptual hash.
        problem: why it cannot be read or decoded; else empty.
    """

    sha256: str = ""
    picture: str = ""
    gray: bytes = field(default=b"", repr=False)
    problem: str = ""


def look_at(
    paths: Sequence[Path],
    *,
    pictures: bool,
    max_pixels: int,
    jobs: int,
    phases: Phases,
    title: str,
) -> list[Look]:
    """Read every file once, in worker processes.

    Args:
        paths: of the files.
        pictures: decode them too.
        max_pixels: larger images are a problem.
        jobs: processes.
        phases: told about ``title`` and one step per file.
        title: of the phase.

    Returns:
        One per path, in their order.
    """
    looks = [Look()] * len(paths)
    phases.start(title, len(paths))
    pool = WorkerPool(_look, jobs, _set_up, (pictures, max_pixels))
    for (index, _), outcome in pool.run(enumerate(paths)):
        phases.step()
        if isinstance(outcome, Crashed):
            outcome = Look(problem="Reading it ended the process.")
        looks[index] = outcome
    return looks


_pictures, _max_pixels = False, 1


def _set_up(pictures: bool, max_pixels: int) -> None:
    global _pictures, _max_pixels
    _pictures, _max_pixels = pictures, max_pixels


def _look(task: tuple[int, Path]) -> Look:
    sha256 = ""
    try:
        raw = read_file(task[1], _max_pixels)
        sha256 = hashlib.sha256(raw).hexdigest()
        if not _pictures:
            return Look(sha256)
        frame = read_frame(raw, SIDE, max_pixels=_max_pixels)
    except SkipFile as skip:
        return Look(sha256, problem=skip.reason)
    gray = Image.fromarray(frame).convert("L").tobytes()
    return Look(sha256, hashlib.sha256(frame.tobytes()).hexdigest(), gray)
