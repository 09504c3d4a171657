"""Small pictures for the report: before, after, and the difference amplified."""

from __future__ import annotations

from io import BytesIO

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from ue_cli.report.model import Comparison
from ue_cli.types import PixelArray, without_alpha

Bytes = NDArray[np.uint8]

_TURN = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}
"""EXIF orientation to the turn that displays it; 1 and unknown values need none."""


def make_thumbnail(
    original: PixelArray,
    protected: PixelArray,
    *,
    orientation: int = 1,
    gain: float = 16.0,
    size: int = 360,
) -> Comparison:
    """Shrink one photo and its perturbation.

    The difference is amplified at full resolution and averaged after that, as the photo is; what
    a viewer of the small picture cannot see is not shown larger than it is.

    Args:
        original: decoded pixels as stored, uint8 or uint16, (h, w) or (h, w, 1..4); alpha is
            left out.
        protected: the same shape and dtype.
        orientation: EXIF orientation, 1 to 8.
        gain: amplification of the difference.
        size: longest side in pixels.
    """
    factor = max(1, max(original.shape[:2]) // (2 * size))
    strip = factor * max(1, 256 // factor)
    shrunk: list[tuple[Bytes, Bytes, Bytes]] = []
    # Strip by strip: a 100-megapixel photo must not be copied three times over.
    for top in range(0, original.shape[0], strip):
        before, after = original[top : top + strip], protected[top : top + strip]
        small = (_levels(before), _levels(after), _amplify(before, after, gain))
        shrunk.append(tuple(np.asarray(Image.fromarray(p).reduce(factor)) for p in small))  # type: ignore[arg-type]
    pictures = [Image.fromarray(np.concatenate(column)) for column in zip(*shrunk, strict=True)]
    for picture in pictures:
        picture.thumbnail((size, size), Image.Resampling.LANCZOS)
    return _comparison(pictures, orientation, "JPEG")


def make_flat_crop(
    original: PixelArray,
    protected: PixelArray,
    at: tuple[int, int],
    *,
    orientation: int = 1,
    gain: float = 16.0,
    size: int = 160,
) -> Comparison:
    """Cut a square at one picture pixel per photo pixel, lossless.

    Args:
        original: as for ``make_thumbnail``.
        protected: the same shape and dtype.
        at: row and column of its centre in stored pixels, such as ``Fidelity.flattest``.
        orientation: EXIF orientation, 1 to 8.
        gain: amplification of the difference.
        size: of the square; less where the photo is smaller.
    """
    top, left = (
        int(np.clip(centre - size // 2, 0, max(0, length - size)))
        for centre, length in zip(at, original.shape[:2], strict=True)
    )
    window = (slice(top, top + size), slice(left, left + size))
    before, after = original[window], protected[window]
    arrays = (_levels(before), _levels(after), _amplify(before, after, gain))
    return _comparison([Image.fromarray(a) for a in arrays], orientation, "PNG")


def _comparison(pictures: list[Image.Image], orientation: int, kind: str) -> Comparison:
    """Turn the three pictures upright and encode them."""
    encoded = []
    for picture in pictures:
        turn = _TURN.get(orientation)
        upright = picture if turn is None else picture.transpose(turn)
        buffer = BytesIO()
        # 4:4:4, or the thumbnail's own compression would wash out coloured perturbations.
        options = {"quality": 85, "subsampling": 0} if kind == "JPEG" else {"optimize": True}
        upright.save(buffer, kind, **options)
        encoded.append(buffer.getvalue())
        width, height = upright.size
    return Comparison(encoded[0], encoded[1], encoded[2], width, height)


def _levels(image: PixelArray) -> Bytes:
    """The picture on the 8-bit scale."""
    image = without_alpha(image)
    eight = image if image.dtype == np.uint8 else (image // 257).astype(np.uint8)
    return np.ascontiguousarray(eight, dtype=np.uint8)


def _amplify(before: PixelArray, after: PixelArray, gain: float) -> Bytes:
    """128 + gain × (after − before) in 8-bit levels, clipped."""
    step = 1 if before.dtype == np.uint8 else 257
    difference = without_alpha(after).astype(np.float32) - without_alpha(before).astype(np.float32)
    difference *= np.float32(gain / step)
    difference += np.float32(128)
    np.clip(difference, 0, 255, out=difference)
    return np.rint(difference).astype(np.uint8)
