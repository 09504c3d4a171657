"""What the decoder's roundings leave of the budget, for whole quantiser steps of DC coefficients.

A step of d levels moves a decoded sample by floor(d) or ceil(d); luma, chroma, upsampled chroma and
the colour conversion round one after the other, and textured blocks show every combination. The
bounds here are over the worst of them, and exact: they hold unless a decoder clips chroma.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from ue_cli.types import FloatArray

_WASTE = 1.2  # levels² per level of rounding waste, when chroma is snapped
_NO_LUMA = 100.0  # levels² per level
_PER_LEVEL = 4  # grid of wanted chroma per level
_SLACK = np.float32(1e-3)  # of float32 where exact numbers are meant

R_CR, B_CB = np.float32(1.402), np.float32(1.772)
G_CB, G_CR = np.float32(0.344136), np.float32(0.714136)
_TO_RGB = np.array([[1, 0, 1.402], [1, -0.344136, -0.714136], [1, 1.772, 0]])
TO_YCC: FloatArray = np.linalg.inv(_TO_RGB).astype(np.float32)


@dataclass(frozen=True)
class Grid:
    """How blocks tile an image.

    Attributes:
        fy, fx: luma blocks per chroma block, vertically and horizontally.
        ty, tx: tiles (chroma blocks), rounded up to cover the image.
    """

    fy: int
    fx: int
    ty: int
    tx: int


@dataclass(frozen=True)
class Headroom:
    """How far luma can move before the decoder clips it, levels, (fy, fx, ty, tx).

    Negative where decoded luma is beyond the end already: the first levels back do not show.
    """

    up: FloatArray
    down: FloatArray


def luma_bounds(
    around: list[list[FloatArray]], grid: Grid, limit: int
) -> tuple[FloatArray, FloatArray]:
    """Luma levels that keep every pixel within the limit whatever the roundings, (fy, fx, n)."""
    centre = around[1][1]
    low = np.full((grid.fy, grid.fx, centre.shape[1]), -limit, np.float32)
    high = np.full_like(low, limit)

    def include(i: slice, j: slice, least: FloatArray, most: FloatArray) -> None:
        a, b = _allowed(np.floor(least + _SLACK), np.ceil(most - _SLACK), limit)
        np.maximum(low[i, j], a, out=low[i, j])
        np.minimum(high[i, j], b, out=high[i, j])

    def ends(c: FloatArray) -> tuple[FloatArray, FloatArray]:
        return np.floor(c + _SLACK), np.ceil(c - _SLACK)

    whole = slice(None)
    least, most = ends(centre)
    include(whole, whole, least, most)
    for i in range(grid.fy if grid.fy == 2 else 0):
        a, b = ends(around[2 * i][1])
        include(slice(i, i + 1), whole, _mix(least, a), _mix(most, b))
    for j in range(grid.fx if grid.fx == 2 else 0):
        side_least, side_most = ends(around[1][2 * j])
        include(whole, slice(j, j + 1), _mix(least, side_least), _mix(most, side_most))
        for i in range(grid.fy if grid.fy == 2 else 0):
            (a, b), (c, d) = ends(around[2 * i][1]), ends(around[2 * i][2 * j])
            include(
                slice(i, i + 1),
                slice(j, j + 1),
                _mix(_mix(least, a), _mix(side_least, c)),
                _mix(_mix(most, b), _mix(side_most, d)),
            )
    return low, high


def _mix(centre: FloatArray, neighbour: FloatArray) -> FloatArray:
    return centre * np.float32(0.75) + neighbour * np.float32(0.25)


def _allowed(least: FloatArray, most: FloatArray, limit: int) -> tuple[FloatArray, FloatArray]:
    """Luma left when chroma (2, n) may decode to anything from ``least`` to ``most``."""
    (b0, r0), (b1, r1) = least, most
    highest = np.maximum(np.ceil(R_CR * r1), np.ceil(B_CB * b1))
    highest = np.maximum(highest, np.ceil(-G_CB * b0 - G_CR * r0))
    lowest = np.minimum(np.floor(R_CR * r0), np.floor(B_CB * b0))
    lowest = np.minimum(lowest, np.floor(-G_CB * b1 - G_CR * r1))
    return -limit - lowest, limit - highest


def luma_steps(
    low: FloatArray, high: FloatArray, up: FloatArray, down: FloatArray, step: int
) -> tuple[FloatArray, FloatArray]:
    """Least and most quantiser steps; least > most where none is allowed."""
    # Clipped luma does not move up as far as bounds may ask, and begins its way down late.
    lost = (low > np.maximum(up, 0)) | (high < -np.maximum(down, 0))
    low = np.where(low > 0, low - np.minimum(down, 0), low)
    high = np.where(high < 0, high + np.minimum(up, 0), high)
    per_level = np.float32(8 / step)
    least = np.ceil(low * per_level - _SLACK)
    least[lost] = np.inf
    return least, np.floor(high * per_level + _SLACK)


def snap(wanted: FloatArray, steps: tuple[int, int, int], limit: int) -> FloatArray:
    """Quantiser steps near wanted chroma levels (2, n), preferring those that waste little."""
    table, most = _snap_table(steps, limit)
    index = np.rint(wanted * np.float32(_PER_LEVEL)).astype(np.int32)
    np.clip(index, -most, most, out=index)
    index += most
    return table[:, index[0], index[1]]


@lru_cache(maxsize=64)
def _snap_table(steps: tuple[int, int, int], limit: int) -> tuple[FloatArray, int]:
    """The best (Cb, Cr) steps for wanted pairs on a grid of levels, and that grid's half width.

    Best weighs the distance against what rounding wastes: the worst decoded excursion beyond the
    intended one, in the direction in which each of R, G, B is moved. Where the worst cases leave no
    luma at all, even among equal neighbours, the pair is out.
    """
    most = int(np.ceil((1.375 * limit + 1) * _PER_LEVEL))
    wanted = np.arange(-most, most + 1, dtype=np.float32) / _PER_LEVEL
    candidates = []
    for step in steps[1:]:
        around = int(np.ceil(0.5 * 8 / step))
        candidates.append(np.rint(wanted * 8 / step) + np.arange(-around, around + 1)[:, None])
    best = np.full((len(wanted), len(wanted)), np.inf, np.float32)
    table = np.zeros((2, *best.shape), np.float32)
    for a in candidates[0]:
        cb = (a * np.float32(steps[1] / 8))[:, None]
        for b in candidates[1]:
            cr = b * np.float32(steps[2] / 8)
            cost = 1.2 * (cb - wanted[:, None]) ** 2 + (cr - wanted) ** 2
            cost += _WASTE * _waste(cb, cr) + _NO_LUMA * _gap(cb, cr, steps[0], limit)
            better = cost < best
            np.copyto(best, cost, where=better)
            np.copyto(table[0], a[:, None], where=better)
            np.copyto(table[1], b, where=better)
    return table, most


def _waste(cb: FloatArray, cr: FloatArray) -> FloatArray:
    """Levels between the worst decoded and the intended move of R, G and B, outward, summed."""
    cb0, cb1 = np.floor(cb + _SLACK), np.ceil(cb - _SLACK)
    cr0, cr1 = np.floor(cr + _SLACK), np.ceil(cr - _SLACK)
    red, blue, green = R_CR * cr, B_CB * cb, -G_CB * cb - G_CR * cr
    waste = np.where(cr > 0, np.ceil(R_CR * cr1) - red, red - np.floor(R_CR * cr0))
    waste = waste + np.where(cb > 0, np.ceil(B_CB * cb1) - blue, blue - np.floor(B_CB * cb0))
    outward = np.where(
        green > 0,
        np.ceil(-G_CB * cb0 - G_CR * cr0) - green,
        green - np.floor(-G_CB * cb1 - G_CR * cr1),
    )
    total: FloatArray = (waste + outward).astype(np.float32)
    return total


def _gap(cb: FloatArray, cr: FloatArray, step: int, limit: int) -> FloatArray:
    """Levels by which the bounds on luma cross, 0 where a luma step fits between them."""
    c = np.stack(np.broadcast_arrays(cb, cr))
    low, high = _allowed(np.floor(c + _SLACK), np.ceil(c - _SLACK), limit)
    per_level = np.float32(8 / step)
    gap = np.ceil(low * per_level - _SLACK) - np.floor(high * per_level + _SLACK)
    levels: FloatArray = np.maximum(gap / per_level, 0)
    return levels


def dilate(tiles: NDArray[np.intp], shape: tuple[int, int]) -> NDArray[np.intp]:
    """The tiles and all that touch them."""
    mask = np.zeros((shape[0] + 2, shape[1] + 2), bool)
    y, x = np.divmod(tiles, shape[1])
    for i in range(3):
        for j in range(3):
            mask[y + i, x + j] = True
    return np.flatnonzero(mask[1:-1, 1:-1])
