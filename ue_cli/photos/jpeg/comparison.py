"""What decoding again shows, beyond the measure that decides (certify/budget.py)."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from ue_cli.photos.jpeg.quantised import NotInCoefficientDomain
from ue_cli.types import Budget, Field

Pixels = NDArray[np.uint8]


def worst_channel(original: Pixels, other: Pixels) -> Pixels:
    """Max |difference| over channels, (H, W)."""
    difference = np.maximum(original, other) - np.minimum(original, other)
    worst: Pixels = difference.reshape(*difference.shape[:2], -1).max(2)
    return worst


def require_shape(original: Pixels, other: Pixels) -> None:
    """Refuse a file that decodes to another shape than its original.

    Raises:
        NotInCoefficientDomain: the shapes differ.
    """
    if original.shape != other.shape:
        raise NotInCoefficientDomain("jpeg-shape", "it decodes to another size after writing")


def carried(field: Field, pixels: Pixels, decoded: Pixels, budget: Budget) -> float:
    """The share of a field that arrived: ⟨δ, field⟩ / (budget · Σ|field|).

    1 would be the whole budget in the field's direction everywhere; small JPEGs hold little of it.

    Args:
        field: in stored orientation.
        pixels: the original's.
        decoded: the protected file's; both are sampled at some 128 × 128 places at most.
        budget: levels.
    """
    # Odd strides meet every position within a block.
    y, x = (np.arange(0, n, -(-n // 128) | 1) for n in pixels.shape[:2])
    at = np.ix_(y, x)
    target = field.sample((y + 0.5).astype(np.float32), (x + 0.5).astype(np.float32))
    delta = decoded[at].astype(np.float32) - pixels[at]
    if delta[0, 0].size == 1:
        target, delta = target.mean(2), delta.reshape(target.shape[:2])
    total = float(np.abs(target).sum()) * budget.levels
    return float((delta * target).sum()) / total if total else 0.0
