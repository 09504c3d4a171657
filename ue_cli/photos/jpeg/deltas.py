"""Steps of quantised coefficients: added, taken back exactly, kept in few bytes."""

from __future__ import annotations

import struct
import zlib

import numpy as np
from numpy.typing import NDArray

from ue_cli.photos.jpeg.quantised import COEFFICIENT_LIMIT, JpegCoefficients

Deltas = tuple[NDArray[np.int16], ...]
"""Per component, (block rows, block columns, r, r): steps of the r × r lowest coefficients."""


def apply_deltas(coefficients: JpegCoefficients, deltas: Deltas) -> JpegCoefficients:
    """Add steps to the coefficients."""
    planes = tuple(plane.copy() for plane in coefficients.planes)
    for plane, delta in zip(planes, deltas, strict=True):
        plane[:, :, : delta.shape[2], : delta.shape[3]] += delta
    return coefficients.with_planes(planes)


def remove_deltas(coefficients: JpegCoefficients, deltas: Deltas) -> JpegCoefficients:
    """Take the steps of `apply_deltas` back, exactly."""
    return apply_deltas(coefficients, tuple(-delta for delta in deltas))


def fit_deltas(coefficients: JpegCoefficients, deltas: Deltas) -> Deltas:
    """Cut steps to the file's blocks, and to what leaves every coefficient writable."""
    fitted = []
    for plane, delta in zip(coefficients.planes, deltas, strict=True):
        rows, columns = plane.shape[:2]
        low = plane[:, :, : delta.shape[2], : delta.shape[3]]
        moved = low + delta[:rows, :columns]
        # What is out of range already stays where it is.
        least = np.minimum(low, -COEFFICIENT_LIMIT)
        most = np.maximum(low, COEFFICIENT_LIMIT)
        fitted.append((np.clip(moved, least, most) - low).astype(np.int16))
    return tuple(fitted)


def pack_deltas(deltas: Deltas) -> bytes:
    """Steps as compressed bytes that `unpack_deltas` reads back."""
    shapes = b"".join(struct.pack("<IIBB", *delta.shape) for delta in deltas)
    # Bytes of one significance beside each other compress far better than pairs.
    body = b"".join(
        delta.astype("<i2").view(np.uint8).reshape(-1, 2).T.tobytes() for delta in deltas
    )
    return struct.pack("<B", len(deltas)) + shapes + zlib.compress(body, 1)


def unpack_deltas(packed: bytes) -> Deltas:
    """Inverse of `pack_deltas`."""
    entry = struct.Struct("<IIBB")
    count = packed[0]
    shapes = [entry.unpack_from(packed, 1 + entry.size * i) for i in range(count)]
    body = np.frombuffer(zlib.decompress(packed[1 + entry.size * count :]), np.uint8)
    deltas = []
    for shape in shapes:
        size = 2 * int(np.prod(shape))
        pairs = np.ascontiguousarray(body[:size].reshape(2, -1).T).view("<i2")
        deltas.append(pairs.reshape(shape).astype(np.int16))
        body = body[size:]
    return tuple(deltas)
