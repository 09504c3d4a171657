"""A field onto pixels, within budget, and back off them.

The one place where whole-pixel images are perturbed. The budget itself is enforced by
`Budget.clip`, whatever a field returns; what was really applied is the difference to the original,
and the owner keeps that, packed, to get the original back bit for bit.
"""

from __future__ import annotations

import math
import struct
import zlib
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ue_cli.errors import ExitCode, UeError
from ue_cli.types import Budget, Field, FloatArray, PixelArray, project

DeltaArray = NDArray[np.int8] | NDArray[np.int16]

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


def applied(pixels: PixelArray, protected: PixelArray) -> DeltaArray:
    """What was added, (H, W, C): int8 for uint8 pixels, int16 for uint16.

    Taken modulo the type's range, so that `remove` is exact for any two images; within a budget of
    at most 64 levels it is the plain difference.
    """
    difference = protected - pixels
    if pixels.dtype == np.uint8:
        return difference.view(np.int8)
    return difference.view(np.int16)


def remove(protected: PixelArray, delta: DeltaArray) -> PixelArray:
    """The original pixels, bit for bit: the inverse of `applied`.

    Raises:
        UeError: delta belongs to an image of another shape or depth.
    """
    if delta.shape != protected.shape or delta.dtype.itemsize != protected.dtype.itemsize:
        raise _damaged(
            f"it is for an image of {delta.shape} at {8 * delta.dtype.itemsize} bits, "
            f"this one has {protected.shape} at {8 * protected.dtype.itemsize} bits"
        )
    original: PixelArray = protected - delta.view(protected.dtype)
    return original


MAGIC = b"UED1"
HEADER = struct.Struct("<4sB3I")
MAX_BYTES = 1 << 32
"""Largest δ that is unpacked: a 1,400-megapixel RGB image's."""


def pack_delta(delta: DeltaArray) -> bytes:
    """Compress a δ for the owner's state; `unpack_delta` is the inverse.

    Args:
        delta: (H, W, C), int8 or int16.
    """
    height, width, channels = delta.shape
    header = HEADER.pack(MAGIC, delta.dtype.itemsize, height, width, channels)
    # Level 1: higher ones take several times as long for a tenth of the bytes.
    little = np.ascontiguousarray(delta, delta.dtype.newbyteorder("<"))
    return header + zlib.compress(little.data, 1)


def unpack_delta(blob: bytes, *, max_bytes: int = MAX_BYTES) -> DeltaArray:
    """Inverse of `pack_delta`, for input that may be damaged or hostile.

    Args:
        blob: what `pack_delta` returned.
        max_bytes: never unpack more than this.

    Raises:
        UeError: the blob is no packed δ, or would unpack to more or less than it says.
    """
    if len(blob) < HEADER.size or blob[:4] != MAGIC:
        raise _damaged("it does not begin like one")
    _, itemsize, *shape = HEADER.unpack_from(blob)
    size = itemsize * math.prod(shape)
    if itemsize not in (1, 2) or not 0 < size <= max_bytes:
        raise _damaged(f"it claims the shape {tuple(shape)} with {itemsize} bytes per value")
    inflate = zlib.decompressobj()
    try:
        # One byte more than it should hold: enough to see that it holds too much.
        raw = inflate.decompress(memoryview(blob)[HEADER.size :], size + 1)
    except zlib.error as error:
        raise _damaged(str(error)) from error
    if len(raw) != size or not inflate.eof or inflate.unused_data:
        raise _damaged("it holds more or less data than it says")
    dtype: np.dtype[Any] = np.dtype("<i1" if itemsize == 1 else "<i2")
    delta: DeltaArray = np.frombuffer(raw, dtype).astype(dtype.newbyteorder("="), copy=False)
    return delta.reshape(shape)


def _damaged(why: str) -> UeError:
    return UeError(
        "delta-damaged",
        f"The record of what was added to this image cannot be used: {why}.",
        "Import a backup of the collection's state with ue key import.",
        exit_code=ExitCode.VERIFICATION_FAILED,
    )
