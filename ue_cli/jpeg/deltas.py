"""Steps of quantised coefficients: fitted to a file, and added."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from ue_cli.jpeg.quantised import COEFFICIENT_LIMIT, JpegCoefficients

Deltas = tuple[NDArray[np.int16], ...]
"""Per component, (block rows, block columns, r, r): steps of the r × r lowest coefficients."""


def apply_deltas(coefficients: JpegCoefficients, deltas: Deltas) -> JpegCoefficients:
    """Add steps to the coefficients."""
    planes = tuple(plane.copy() for plane in coefficients.planes)
    for plane, delta in zip(planes, deltas, strict=True):
        plane[:, :, : delta.shape[2], : delta.shape[3]] += delta
    return replace(coefficients, planes=planes)


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
