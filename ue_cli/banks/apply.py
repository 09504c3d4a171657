"""A field onto pixels, within budget: the one place where whole-pixel images are perturbed.

The budget itself is enforced by `Budget.clip`, whatever a field returns.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ue_cli.types import Budget, Field, FloatArray, PixelArray, project

CHUNK_VALUES = 1 << 18
"""Values per chunk of rows: 1 MB as float32, which stays in a core's cache between operations."""

LUMA = np.array([0.299, 0.587, 0.114], np.float32)
"""BT.601, as JPEG and Pillow's ``L`` have it."""

GRAY_GAIN = 4.0
"""Colours cancel in luma: a colour pattern of amplitude 1 leaves 0.1 to 0.9 of it, and amplitude is
what decides. So its luma is amplified and clipped back, which keeps sign and wavelength."""


def gray_target(rgb: FloatArray) -> FloatArray:
    """The pattern for one gray channel: (…, 3) in [−1, 1] to (…) in [−1, 1]."""
    luma: FloatArray = np.clip(rgb @ (GRAY_GAIN * LUMA), -1, 1)
    return luma


@dataclass(frozen=True, slots=True)
class GrayField:
    """What a field is for a picture without colour: its luma, in all channels alike (a `Field`).

    Attributes:
        field: in colour.
    """

    field: Field

    @property
    def cycles(self) -> float:
        """As the field's."""
        return self.field.cycles

    def sample(self, y: FloatArray, x: FloatArray) -> FloatArray:
        """Evaluate on the outer grid y × x (see `Field.sample`)."""
        return gray_target(self.field.sample(y, x))[:, :, None].repeat(3, axis=2)

    def softened(self) -> Field:
        """Of the field's waves without edges."""
        return GrayField(self.field.softened())

    def transformed(self, y: FloatArray, x: FloatArray, basis: FloatArray) -> FloatArray:
        """Evaluate in blocks (see `Field.transformed`)."""
        return project(self, y, x, basis)


def perturb(pixels: PixelArray, field: Field, budget: Budget) -> PixelArray:
    """Add a field to an image: clip(round(x + ε·field), x ± ε, value range).

    Args:
        pixels: (H, W, C) uint8 or uint16 as stored, C = 3 (RGB) or 1 (gray). Not changed.
        field: of the stored pixels (see `layout.oriented`); of gray ones a `GrayField`.
        budget: the ball; its radius is 257 × levels for uint16.

    Returns:
        The perturbed image, same shape and dtype. Needs a few megabytes beside it, whatever its
        size: it is made in chunks of rows.
    """
    height, width, channels = pixels.shape
    radius = float(budget.radius(pixels.dtype))
    x = np.arange(width) + 0.5
    rows = max(1, CHUNK_VALUES // (3 * width))
    out = np.empty_like(pixels)
    for top in range(0, height, rows):
        clean = pixels[top : top + rows]
        y = np.arange(top, top + len(clean)) + 0.5
        image = np.multiply(field.sample(y, x)[:, :, :channels], radius, order="C")
        image += clean
        out[top : top + rows] = budget.clip(image, clean)
    return out
