"""The bound on what is seen: amplitudes that keep a picture's look, and the check of what came out.

`bounded` is the one place that sets amplitudes, and `predicted` the one that measures what a
decoded file shows; a file that falls short is made again at less. Both ask `vision`.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from ue_cli.textures import vision
from ue_cli.textures.texture import TextureField
from ue_cli.textures.vision import Floats, Scene
from ue_cli.types import Budget, Field, FloatArray, Look, PixelArray, project

EVENNESS = 2.0
"""Amplitude goes with the visibility of a place to the power of minus this: 1 makes every place
equally visible, which leaves the largest mean amplitude."""

_FAINTEST = 1e-9
_HALVINGS = 24


@dataclass(frozen=True, slots=True)
class Bounded:
    """A field at the amplitudes that its picture can bear (a `Field`).

    Attributes:
        field: at full amplitude.
        amplitude: (rows, columns) in [0, 1] at the centres of a grid over the displayed frame,
            linear in between.
        height, width: of the displayed picture, in pixels.
    """

    field: Field
    amplitude: Floats
    height: int
    width: int

    @property
    def cycles(self) -> float:
        """As the field's."""
        return self.field.cycles

    def softened(self) -> Bounded:
        """Of the field's waves without edges."""
        return replace(self, field=self.field.softened())

    def scaled(self, factor: float) -> Bounded:
        """The same at a smaller amplitude."""
        return replace(self, amplitude=self.amplitude * factor)

    def transformed(self, y: FloatArray, x: FloatArray, basis: FloatArray) -> FloatArray:
        """Evaluate in blocks (see `Field.transformed`)."""
        if not isinstance(self.field, TextureField):
            return project(self, y, x, basis)
        _, rows, columns = self.field.phasors.shape
        if (rows, columns) == (1, 1):
            return project(self, y, x, basis)
        down, across = (
            np.linspace(0, length, count)
            for length, count in ((self.height, rows), (self.width, columns))
        )
        return self.field.weighted(self.share(down, across)).transformed(y, x, basis)

    def share(self, y: FloatArray, x: FloatArray) -> Floats:
        """The amplitude on the outer grid y × x, (m, n)."""
        rows, columns = self.amplitude.shape
        down = _between(y, self.height, rows)
        shares: Floats = down @ self.amplitude @ _between(x, self.width, columns).T
        return shares

    def sample(self, y: FloatArray, x: FloatArray) -> FloatArray:
        """Evaluate on the outer grid y × x (see `Field.sample`)."""
        out: FloatArray = self.field.sample(y, x) * self.share(y, x)[:, :, None]
        return out


def small_copy(pixels: PixelArray, orientation: int = 1) -> NDArray[np.uint8]:
    """A picture at the size at which it is looked at.

    Args:
        pixels: (H, W, C) uint8 or uint16 as stored, C = 3 (RGB) or 1 (gray).
        orientation: EXIF's, 1 to 8; a value outside counts as 1.

    Returns:
        (h, w, 3) uint8 as displayed, the short side `vision.SIDE` pixels where the picture has as
        many.
    """
    sample: PixelArray = _subsample(pixels)
    step = 1 if sample.dtype == np.uint8 else 256
    levels: NDArray[np.uint8] = np.ascontiguousarray(sample // step, np.uint8)
    return _shrunk(levels, pixels.shape, orientation)


def turned(pixels: PixelArray, orientation: int) -> PixelArray:
    """Stored pixels as they are displayed, (H, W, C); EXIF's orientation, others count as 1."""
    if orientation in (3, 4, 6, 7):
        pixels = pixels[::-1]
    if orientation in (2, 3, 7, 8):
        pixels = pixels[:, ::-1]
    if 5 <= orientation <= 8:
        pixels = pixels.transpose(1, 0, 2)
    return pixels


def _subsample(pixels: PixelArray) -> PixelArray:
    """Every so many-th pixel: nine of a large photo's block say as much as a thousand."""
    stride = max(1, min(pixels.shape[:2]) // vision.SIDE // 3)
    return pixels[::stride, ::stride]


def _shrunk(
    levels: NDArray[np.uint8], shape: tuple[int, ...], orientation: int
) -> NDArray[np.uint8]:
    """Some of a picture's pixels at the size of `small_copy`; ``shape`` is the whole picture's."""
    short = min(shape[:2])
    image = Image.fromarray(levels[:, :, 0] if levels.shape[2] == 1 else levels)
    if short > vision.SIDE:
        height, width = (max(1, round(n * vision.SIDE / short)) for n in shape[:2])
        image = image.resize((width, height), Image.Resampling.BOX)
    small: NDArray[np.uint8] = np.asarray(image.convert("RGB"))
    return np.ascontiguousarray(turned(small, orientation), np.uint8)


def bounded(
    field: Field,
    picture: Scene,
    size: tuple[int, int],
    budget: Budget,
    look: Look,
    *,
    ceiling: float = 1.0,
) -> Bounded:
    """The field at amplitudes that keep the look, before any rounding to whole levels or steps.

    Args:
        field: of the displayed picture.
        picture: the picture.
        size: its height and width as displayed, in pixels.
        budget: what 1 of the field stands for.
        look: the bound.
        ceiling: of the ball that the file's format can hold.
    """
    height, width = size
    if look.jod is None:
        return Bounded(field, np.ones((1, 1)), height, width)
    rows, columns = picture.levels.shape[:2]
    y, x = ((np.arange(n) + 0.5) * (full / n) for n, full in ((rows, height), (columns, width)))
    levels = np.asarray(field.sample(y, x) * budget.levels, np.float64)
    energy = vision.energies(picture, levels)
    amplitude = _amplitude(energy, look.jod, ceiling)
    return Bounded(field, amplitude, height, width)


def _amplitude(energy: Floats, jod: float, ceiling: float) -> Floats:
    """The largest amplitudes of one shape that keep the quality, (rows, columns)."""
    places = np.sqrt((energy**2).sum(axis=(1, 2)).max(axis=0)) + _FAINTEST
    shape = places ** (-EVENNESS / vision.AMPLITUDE_EXPONENT)

    def at(strength: float) -> Floats:
        amplitude: Floats = np.minimum(ceiling, strength * shape)
        return amplitude

    def quality(amplitude: Floats) -> float:
        return vision.quality(energy * amplitude**vision.AMPLITUDE_EXPONENT)

    low, high = 0.0, 1 / float(shape.min())
    if quality(at(high)) >= jod:
        return at(high)
    for _ in range(_HALVINGS):
        middle = (low + high) / 2
        low, high = (middle, high) if quality(at(middle)) >= jod else (low, middle)
    return at(low)


def predicted(
    picture: Scene, original: PixelArray, protected: PixelArray, orientation: int, budget: Budget
) -> float:
    """JOD of a protected picture beside its original, as both decode: *the* measurement.

    Args:
        picture: the original.
        original: (H, W, C) as stored.
        protected: the same shape and depth.
        orientation: EXIF's.
        budget: of the L∞ ball.
    """
    change = changed(original, protected, orientation, budget)
    return vision.quality(vision.energies(picture, change))


def changed(
    original: PixelArray, protected: PixelArray, orientation: int, budget: Budget
) -> Floats:
    """The difference of two pictures at the size of `small_copy`, (h, w, 3) levels.

    Args:
        original: (H, W, C) as stored.
        protected: the same shape and depth.
        orientation: EXIF's.
        budget: twice that is the largest difference that counts.
    """
    before, after = _subsample(original), _subsample(protected)
    most = min(127, 2 * budget.levels)
    gain = 127 // most
    if original.dtype == np.uint8:
        moved = np.subtract(after, before, dtype=np.int16)
    else:
        moved = (np.subtract(after, before, dtype=np.int32) // 257).astype(np.int16)
    np.clip(moved, -most, most, out=moved)
    moved *= gain
    moved += 128
    coded = moved.astype(np.uint8)
    return (_shrunk(coded, original.shape, orientation).astype(np.float64) - 128) / gain


def _between(position: FloatArray, length: int, nodes: int) -> Floats:
    """Weights of linear interpolation between the centres of equal parts, (n, nodes)."""
    at = np.clip(position.astype(np.float64) * (nodes / length) - 0.5, 0, nodes - 1)
    weights: Floats = np.maximum(1 - np.abs(at[:, None] - np.arange(nodes)), 0)
    return weights
