"""A photo as a trainer reads it: upright, RGB, its centre square at a small size."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from ue_cli.images.decode import decode, displayed
from ue_cli.images.opening import DEFAULT_MAX_PIXELS
from ue_cli.types import FloatArray, PixelArray


def read_square(
    data: bytes | Path, side: int, *, max_pixels: int = DEFAULT_MAX_PIXELS
) -> NDArray[np.uint8]:
    """Decode one image by the project's decoder rules and shrink its centre square.

    Alpha is dropped and colours under it stay, as ``convert("RGB")`` in the usual loaders does;
    gray counts as R = G = B; 16 bits become 8. The square is as wide as the shorter side of the
    displayed image and is resized with an antialiased triangle filter. A large JPEG is decoded at a
    fraction of its size, never below twice ``side``.

    Args:
        data: the file's bytes, or where it lies.
        side: of the result; a smaller image is enlarged.
        max_pixels: larger images are refused.

    Returns:
        (side, side, 3).

    Raises:
        SkipFile: see `decode`.
    """
    return _read(data, side, max_pixels, whole=False)


def read_frame(
    data: bytes | Path, side: int, *, max_pixels: int = DEFAULT_MAX_PIXELS
) -> NDArray[np.uint8]:
    """As `read_square`, but the whole displayed image, squeezed into the square."""
    return _read(data, side, max_pixels, whole=True)


@dataclass(frozen=True, slots=True)
class Frame:
    """The shape of a displayed image.

    Attributes:
        height, width: in pixels.
        gray: it has no colour channels.
    """

    height: int
    width: int
    gray: bool


def read_shape(data: bytes | Path, side: int, *, max_pixels: int = DEFAULT_MAX_PIXELS) -> Frame:
    """The displayed image that `read_square` shrinks; a large JPEG's is a fraction of its size.

    Raises:
        SkipFile: see `decode`.
    """
    decoded = decode(data, max_pixels=max_pixels, draft=2 * side)
    return Frame(decoded.height, decoded.width, decoded.pixels.shape[2] == 1)


def shrink_axis(values: FloatArray, side: int, shorter: int) -> FloatArray:
    """What `read_square` makes of functions of one axis: it treats the two axes apart.

    Args:
        values: (k, length), of k functions along an axis of the displayed image.
        side: of the square.
        shorter: side of the displayed image, in pixels.

    Returns:
        (k, side).
    """
    count, length = values.shape
    left = (length - shorter) / 2
    box = (left, 0, left + shorter, count)
    strips = Image.fromarray(values).resize((side, count), Image.Resampling.BILINEAR, box=box)
    return np.asarray(strips)


def _read(data: bytes | Path, side: int, max_pixels: int, *, whole: bool) -> NDArray[np.uint8]:
    decoded = decode(data, max_pixels=max_pixels, draft=2 * side)
    image = Image.fromarray(levels(decoded.pixels))
    width, height = image.size
    wide, tall = (width, height) if whole else (min(width, height),) * 2
    left, top = (width - wide) / 2, (height - tall) / 2
    box = (left, top, left + wide, top + tall)
    small = np.asarray(image.resize((side, side), Image.Resampling.BILINEAR, box=box))
    upright: NDArray[Any] = displayed(small, decoded.orientation)
    if upright.ndim == 2:
        upright = np.repeat(upright[..., None], 3, axis=2)
    return np.ascontiguousarray(upright, np.uint8)


def levels(pixels: PixelArray) -> NDArray[np.uint8]:
    """(h, w) gray or (h, w, 3) colour in 8 bits, 16-bit values rounded."""
    plain: NDArray[Any] = pixels[..., 0] if pixels.shape[2] == 1 else pixels
    if plain.dtype == np.uint16:
        plain = (plain.astype(np.uint32) + 128) // 257
    return plain.astype(np.uint8, copy=False)
