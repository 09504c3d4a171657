"""What decoding again shows: the difference between an original's and a protected file's pixels."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ue_cli.photos.jpeg import NotInCoefficientDomain

Pixels = NDArray[np.uint8]

_STRIP_ROWS = 64


@dataclass(frozen=True)
class Comparison:
    """Two decoded images: worst |difference|, its mean and mean square, and the worst per pixel."""

    linf: int
    mean_abs: float
    mse: float
    worst: Callable[[], Pixels]


def compare(original: Pixels, other: Pixels) -> Comparison:
    """Measure |difference| over all pixels and channels.

    Raises:
        NotInCoefficientDomain: the shapes differ.
    """
    require_shape(original, other)
    linf, total, squares = 0, 0, 0.0
    for first in range(0, len(original), _STRIP_ROWS):  # strips stay in the cache
        a, b = original[first : first + _STRIP_ROWS], other[first : first + _STRIP_ROWS]
        difference = _absolute_difference(a, b).reshape(-1)
        worst = int(difference.max(initial=0))
        linf = max(linf, worst)
        total += int(difference.sum(dtype=np.uint32))
        real = difference.astype(np.float32)
        squares += float(real @ real)
    count = max(original.size, 1)

    def per_pixel() -> Pixels:
        difference = _absolute_difference(original, other)
        worst: Pixels = difference.reshape(*difference.shape[:2], -1).max(2)
        return worst

    return Comparison(linf, total / count, squares / count, per_pixel)


def require_shape(original: Pixels, other: Pixels) -> None:
    """Refuse a file that decodes to another shape than its original.

    Raises:
        NotInCoefficientDomain: the shapes differ.
    """
    if original.shape != other.shape:
        raise NotInCoefficientDomain("jpeg-shape", "it decodes to another size after writing")


def _absolute_difference(a: Pixels, b: Pixels) -> Pixels:
    difference: Pixels = np.maximum(a, b) - np.minimum(a, b)
    return difference
