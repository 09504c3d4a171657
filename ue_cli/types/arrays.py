"""Arrays, and what is called while work goes on."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

FloatArray = NDArray[np.floating[Any]]
PixelArray = NDArray[np.uint8] | NDArray[np.uint16]
OnStep = Callable[[int, int, float], None]
"""Called after every step of an optimisation with (steps done, steps in all, objective)."""


def without_alpha(image: PixelArray) -> PixelArray:
    """(h, w) or (h, w, 3) of an image of (h, w) or (h, w, 1..4)."""
    if image.ndim == 2:
        return image
    return image[..., 0] if image.shape[2] <= 2 else image[..., :3]


class Phases(Protocol):
    """What a pipeline tells while it works: phases, each with a total and steps."""

    def start(self, title: str, total: int) -> None:
        """Begin a phase of ``total`` steps; the phase before it is over."""

    def step(self, count: int = 1) -> None:
        """``count`` more steps of the current phase are done."""

    def note(self, text: str) -> None:
        """One line that the user should see as soon as it is known."""


PENDING = "…"
"""In a table of results: not known yet."""


class Watch(Phases, Protocol):
    """`Phases` that show a table of results, too, while these come in."""

    def show(self, columns: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
        """The table as it is now; what is not known yet is `PENDING`."""
