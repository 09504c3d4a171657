"""What decoding again shows, beyond the measure that decides (certificates/budget.py)."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from ue_cli.jpeg.quantised import NotInCoefficientDomain
from ue_cli.types import Budget, Field, PixelArray

Pixels = NDArray[np.uint8]


def worst_channel(original: Pixels, other: Pixels) -> Pixels:
    """Max |difference| over channels, (H, W)."""
    difference = np.maximum(original, other) - np.minimum(original, other)
    planes = difference.reshape(*difference.shape[:2], -1)
    worst: Pixels = planes[:, :, 0].copy()
    for index in range(1, planes.shape[2]):  # faster than a reduction over so short an axis
        np.maximum(worst, planes[:, :, index], out=worst)
    return worst


def require_shape(original: Pixels, other: Pixels) -> None:
    """Refuse a file that decodes to another shape than its original.

    Raises:
        NotInCoefficientDomain: the shapes differ.
    """
    if original.shape != other.shape:
        raise NotInCoefficientDomain("jpeg-shape", "it decodes to another size after writing")


def carried(
    target: Field,
    whole: Field,
    along: Field,
    pixels: PixelArray,
    decoded: PixelArray,
    budget: Budget,
) -> tuple[float, float]:
    """What arrived of a perturbation: its share, and its strength.

    Args:
        target: what was meant for this image, in stored orientation.
        whole: its class's perturbation at full amplitude.
        along: the part of that which a learner finds in any format: the waves without their edges.
        pixels: the original's, (H, W, C).
        decoded: the protected file's; both are looked at in some 128 × 128 places at most.
        budget: what 1 of a field stands for.

    Returns:
        ⟨δ, target⟩ / ⟨target, target⟩, 0 where nothing was meant; and ⟨δ, along⟩ / ⟨whole, along⟩.
    """
    # Odd strides meet every position within a block.
    y, x = (np.arange(0, n, -(-n // 128) | 1) for n in pixels.shape[:2])
    at = np.ix_(y, x)
    delta = (decoded[at].astype(np.float64) - pixels[at]) / budget.radius(pixels.dtype)
    meant, full, waves = (
        field.sample(y + 0.5, x + 0.5)[:, :, : delta.shape[2]] for field in (target, whole, along)
    )
    share, strength = (
        float((delta * side).sum()) / norm if norm else 0.0
        for side, norm in (
            (meant, float((meant * meant).sum())),
            (waves, float((full * waves).sum())),
        )
    )
    return share, strength
