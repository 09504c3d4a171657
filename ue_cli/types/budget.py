"""The L∞ ball, and the one place that enforces it on pixels."""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ue_cli.errors import UeError
from ue_cli.types.arrays import PixelArray


@dataclass(frozen=True, slots=True)
class Budget:
    """The L∞ ball in which a perturbation stays.

    Attributes:
        levels: the radius in 8-bit levels; 8 means ε = 8/255.
    """

    levels: int

    def __post_init__(self) -> None:
        if not 1 <= self.levels <= 64:
            raise UeError(
                "epsilon-range",
                f"epsilon must be between 1 and 64 levels of 255, got {self.levels}.",
                "The published setting is --epsilon 8.",
            )

    @classmethod
    def parse(cls, text: str) -> Budget:
        """Read ``8`` (levels), ``0.031`` (a fraction) or ``8/255``; always rounded *down*.

        Raises:
            UeError: the text is not a number, or leaves no whole level.
        """
        try:
            value = Fraction(text.strip())
        except (ValueError, ZeroDivisionError):
            raise UeError(
                "epsilon-format",
                f"--epsilon expects a number such as 8, 0.03 or 8/255, got {text!r}.",
                "Use --epsilon 8 for the published budget of 8/255.",
            ) from None
        levels = value if value >= 1 else value * 255
        if levels < 1:
            raise UeError(
                "epsilon-range",
                f"--epsilon {text} is less than one 8-bit level (1/255).",
                "Use 1 or more levels; 8 is the published budget.",
            )
        return cls(int(levels))

    @property
    def epsilon(self) -> float:
        """The radius as a fraction of full scale."""
        return self.levels / 255

    def radius(self, dtype: np.dtype[Any]) -> int:
        """The radius in steps of ``dtype``: levels for uint8, 257 × levels for uint16."""
        return self.levels if dtype == np.uint8 else self.levels * 257

    def clip(self, image: NDArray[Any], clean: PixelArray) -> PixelArray:
        """Bring a perturbed image into the ball and into its value range: *the* enforcement.

        Args:
            image: perturbed values, any real or integer dtype, shape of ``clean``; rounded here.
            clean: the original, uint8 or uint16.

        Returns:
            An array of ``clean``'s dtype with max |result − clean| ≤ ``radius``.
        """
        radius = self.radius(clean.dtype)
        top = np.iinfo(clean.dtype).max
        if image.dtype.kind == "f":
            image = np.rint(image)
        # Into the value range first: what follows then stays in clean's own dtype, whose SIMD
        # lanes are 2 to 4 times as many as a wider type's, and nothing wraps around.
        ranged = np.clip(image, 0, top).astype(clean.dtype)
        step = clean.dtype.type(radius)
        low = np.maximum(clean, step) - step
        high = np.minimum(clean, clean.dtype.type(top - radius)) + step
        clipped: PixelArray = np.clip(ranged, low, high)
        return clipped
