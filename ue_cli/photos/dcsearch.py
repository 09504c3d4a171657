"""The search for constant steps per block: as much of a target as fits under every pixel's budget.

One step of a block's DC coefficient of quantiser Q moves its 64 samples by Q/8 levels. The decoder
rounds luma, chroma, upsampled chroma and the colour conversion one after the other, so a step of d
moves a decoded sample by floor(d) or ceil(d), and textured blocks show both. Bounds are therefore
taken over the *worst* of all these roundings; they are exact, so that nothing has to be repaired
after decoding, except where a decoder clips chroma.

A tile is one chroma block: fy × fx luma blocks. Fancy upsampling blends neighbouring chroma blocks
in the outermost luma pixels only (3/4 own, 1/4 neighbour), so a luma block of a subsampled image
meets four chroma values: inside, one edge, the other edge, corner.

    1. relax:  maximise ⟨δ, target⟩ over real-valued steps, |δ| ≤ a cube a little below the budget
       (ADMM: clip in RGB, average back to the blocks' Y, Cb, Cr);
    2. snap chroma to quantiser steps whose worst case wastes little;
    3. bound luma exactly, given the chroma around it; where no luma fits, shrink that chroma;
    4. place luma within its bounds, towards the target.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from ue_cli.types import FloatArray

IntArray = NDArray[np.int16]

_ITERATIONS = 7
_PUSH = 3.0  # levels per iteration by which the objective pulls
_RELAXED = 0.84  # radius of the relaxed cube, in budgets: rounding takes the rest
_WASTE = 0.8  # levels² per level of rounding waste, when chroma is snapped
_FOLLOW = 2.0  # luma levels towards the sign of the target, beyond the relaxed solution
_SHRINK = (0.94, 0.94, 0.9, 0.9, 0.8, 0.8, 0.6, 0.4, 0.0)
_STRIP = 2048  # tiles whose working set stays in the cache
_SLACK = np.float32(1e-3)  # of float32 where exact numbers are meant

_R_CR, _B_CB = np.float32(1.402), np.float32(1.772)
_G_CB, _G_CR = np.float32(0.344136), np.float32(0.714136)
_TO_RGB = np.array([[1, 0, 1.402], [1, -0.344136, -0.714136], [1, 1.772, 0]])
_TO_YCC = np.linalg.inv(_TO_RGB).astype(np.float32)


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
    """How far luma can move before the decoder clips it, levels, (fy, fx, ty, tx)."""

    up: FloatArray
    down: FloatArray


def search_gray(target: FloatArray, step: int, limit: int) -> IntArray:
    """Quantiser steps for a grayscale image.

    Args:
        target: block means of the target in [−1, 1], any shape.
        step: the DC quantiser.
        limit: the budget in levels.
    """
    wanted = target * (limit * 8 / step) * 1.5
    most = np.floor(limit * 8 / step)
    placed: IntArray = np.clip(np.rint(wanted), -most, most).astype(np.int16)
    return placed


def search(
    target: FloatArray, grid: Grid, steps: tuple[int, int, int], headroom: Headroom, limit: int
) -> tuple[IntArray, IntArray]:
    """Quantiser steps of luma and chroma for a colour image.

    Args:
        target: RGB means of the target per luma block in [−1, 1], (3, fy, fx, ty, tx).
        grid: the tiling.
        steps: DC quantisers of Y, Cb, Cr.
        headroom: of luma.
        limit: the budget in levels.

    Returns:
        luma (fy, fx, ty, tx) and chroma (2, ty, tx).
    """
    luma, chroma = (
        np.empty(target.shape[1:], np.float32),
        np.empty((2, grid.ty, grid.tx), np.float32),
    )
    rows = max(4, _STRIP // grid.tx)
    for first in range(0, grid.ty, rows):
        last = min(first + rows, grid.ty)
        begin, end = max(first - 1, 0), min(last + 1, grid.ty)  # one row of neighbours
        part = slice(begin, end)
        y, c = _relax(
            np.ascontiguousarray(target[..., part, :]),
            Headroom(headroom.up[:, :, part], headroom.down[:, :, part]),
            grid,
            limit,
        )
        keep = slice(first - begin, last - begin)
        luma[:, :, first:last], chroma[:, first:last] = y[:, :, keep], c[:, keep]
    return _round(luma, chroma, target.sum(0), grid, steps, headroom, limit)


def _relax(
    target: FloatArray, headroom: Headroom, grid: Grid, limit: int
) -> tuple[FloatArray, FloatArray]:
    """Real-valued luma (fy, fx, ty, tx) and chroma (2, ty, tx) in levels, by ADMM."""
    _, fy, fx, ty, tx = target.shape
    ny, nx = 1 + (fy == 2), 1 + (fx == 2)  # an edge beside the inside, where chroma is blended
    wy, wx = np.float32(1 / 8 if ny == 2 else 0), np.float32(1 / 8 if nx == 2 else 0)
    ideal = np.tensordot(_TO_YCC, target, 1)
    pull = ideal * np.float32(_PUSH)
    pull_chroma = pull[1:].mean((1, 2))
    y = ideal[0] * np.float32(limit)
    c = ideal[1:].mean((1, 2)) * np.float32(limit)
    radius = np.float32(limit * _RELAXED)
    low, high = -headroom.down - 2, headroom.up + 2
    rgb = np.empty((3, fy, ny, fx, nx, ty, tx), np.float32)
    dual = np.zeros_like(rgb)
    ring = np.empty((2, fy, ny, fx, nx, ty, tx), np.float32)
    scratch = np.empty_like(rgb[0])
    for _ in range(_ITERATIONS):
        _spread(c, ring)
        cb, cr = ring
        luma = y[:, None, :, None]
        np.multiply(cr, _R_CR, out=rgb[0])
        np.multiply(cb, -_G_CB, out=rgb[1])
        np.multiply(cr, _G_CR, out=scratch)
        rgb[1] -= scratch
        np.multiply(cb, _B_CB, out=rgb[2])
        rgb += luma
        rgb += dual
        np.clip(rgb, -radius, radius, out=dual)
        # Projection minus multiplier, which is what the blocks are fitted to.
        np.subtract(rgb, dual, out=rgb)
        np.subtract(dual, rgb, out=dual)
        rgb, dual = dual, rgb
        fit = rgb[:, :, 0] if ny == 1 else rgb[:, :, 0] * (1 - wy) + rgb[:, :, 1] * wy
        fit = fit[:, :, :, 0] if nx == 1 else fit[:, :, :, 0] * (1 - wx) + fit[:, :, :, 1] * wx
        fitted = np.tensordot(_TO_YCC, fit, 1)
        y = np.clip(fitted[0], low, high) + pull[0]
        c = fitted[1:].mean((1, 2)) + pull_chroma
    return y, c


def _spread(c: FloatArray, out: FloatArray) -> None:
    """Chroma (2, ty, tx) as luma pixels see it: (2, fy, inside/edge, fx, inside/edge, ty, tx)."""
    _, fy, ny, fx, nx, _, _ = out.shape
    for i in range(fy):
        row = _blend(c, i, 1) if ny == 2 else c
        for j in range(fx):
            out[:, i, 0, j, 0] = c
            if ny == 2:
                out[:, i, 1, j, 0] = row
            if nx == 2:
                out[:, i, 0, j, 1] = _blend(c, j, 2)
            if ny == 2 and nx == 2:
                out[:, i, 1, j, 1] = _blend(row, j, 2)


def _blend(c: FloatArray, side: int, axis: int) -> FloatArray:
    """Fancy upsampling's edge pixel: 3/4 own and 1/4 of the neighbour before (0) or after (1)."""
    out = c.copy()
    own = [slice(None)] * c.ndim
    other = [slice(None)] * c.ndim
    own[axis], other[axis] = slice(1, None), slice(None, -1)
    if side:
        own, other = other, own
    out[tuple(own)] += (c[tuple(other)] - c[tuple(own)]) * np.float32(0.25)
    return out


def _round(
    luma: FloatArray,
    chroma: FloatArray,
    direction: FloatArray,
    grid: Grid,
    steps: tuple[int, int, int],
    headroom: Headroom,
    limit: int,
) -> tuple[IntArray, IntArray]:
    """Whole quantiser steps near a relaxed solution that no decoder takes out of the budget."""
    quantisers = (np.array(steps[1:]) / 8).astype(np.float32)[:, None]
    shape = (grid.ty, grid.tx)
    wanted = chroma.reshape(2, -1)
    q = _snap(wanted, steps[1], steps[2], limit)
    per = (grid.fy, grid.fx)
    up = headroom.up.reshape(*per, -1)
    down = headroom.down.reshape(*per, -1)
    low, high = _bounds(_neighbours(np.multiply(q, quantisers), shape, None), grid, limit)
    scale = np.ones(q.shape[1], np.float32)
    check: NDArray[np.intp] | None = None
    for factor in _SHRINK:
        at = slice(None) if check is None else check
        least, most = _luma_range(low[:, :, at], high[:, :, at], steps[0])
        fails = (least > most) | (low[:, :, at] > up[:, :, at]) | (high[:, :, at] < -down[:, :, at])
        failing = np.flatnonzero(fails.any((0, 1)))
        failing = failing if check is None else check[failing]
        if not len(failing):
            break
        scale[failing] *= factor
        q[:, failing] = _snap(wanted[:, failing] * scale[failing], steps[1], steps[2], limit)
        check = _dilate(failing, shape)
        low[:, :, check], high[:, :, check] = _bounds(
            _neighbours(np.multiply(q, quantisers), shape, check), grid, limit
        )
    least, most = _luma_range(low, high, steps[0])
    aim = luma.reshape(*per, -1) + np.float32(_FOLLOW) * direction.reshape(*per, -1)
    placed = np.minimum(np.maximum(np.rint(aim * np.float32(8 / steps[0])), least), most)
    return (
        placed.reshape(*per, *shape).astype(np.int16),
        q.reshape(2, *shape).astype(np.int16),
    )


def _luma_range(low: FloatArray, high: FloatArray, step: int) -> tuple[FloatArray, FloatArray]:
    per_level = np.float32(8 / step)
    return np.ceil(low * per_level - _SLACK), np.floor(high * per_level + _SLACK)


def _snap(wanted: FloatArray, step_cb: int, step_cr: int, limit: int) -> FloatArray:
    """Quantiser steps near wanted chroma levels (2, n), preferring those that waste little."""
    table, most = _snap_table(step_cb, step_cr, limit)
    scale = np.array([[16 / step_cb], [16 / step_cr]], np.float32)
    index = np.rint(wanted * scale).astype(np.intp)
    for row, bound in zip(index, most, strict=True):
        np.clip(row, -bound, bound, out=row)
        row += bound
    return np.ascontiguousarray(table[:, index[0], index[1]])


@lru_cache(maxsize=64)
def _snap_table(step_cb: int, step_cr: int, limit: int) -> tuple[FloatArray, tuple[int, int]]:
    """The best (Cb, Cr) steps for every wanted pair on a grid of half steps.

    Best weighs the distance against what rounding wastes: the worst decoded excursion beyond the
    intended one, in the direction in which each of R, G, B is moved.
    """
    reach = 1.375 * limit + 1
    axes, halves = [], []
    for step in (step_cb, step_cr):
        most = int(np.ceil(reach * 8 / step))
        axes.append(np.arange(-most, most + 1))
        halves.append(np.arange(-2 * most, 2 * most + 1))
    cb, cr = (axis * step / 8 for axis, step in zip(axes, (step_cb, step_cr), strict=True))
    cb, cr = np.meshgrid(cb, cr, indexing="ij")
    green = -0.344136 * cb - 0.714136 * cr
    f, g = np.floor, np.ceil
    waste = np.where(cr > 0, g(1.402 * g(cr)) - 1.402 * cr, 1.402 * cr - f(1.402 * f(cr)))
    waste += np.where(cb > 0, g(1.772 * g(cb)) - 1.772 * cb, 1.772 * cb - f(1.772 * f(cb)))
    waste += np.where(
        green > 0,
        g(-0.344136 * f(cb) - 0.714136 * f(cr)) - green,
        green - f(-0.344136 * g(cb) - 0.714136 * g(cr)),
    )
    best = np.full((len(halves[0]), len(halves[1])), np.inf)
    table = np.zeros((2, *best.shape), np.float32)
    around = [int(np.ceil(8 / step)) for step in (step_cb, step_cr)]
    for i in range(-around[0], around[0] + 1):
        a = np.clip(np.rint(halves[0] / 2).astype(int) + i, axes[0][0], axes[0][-1])
        da = (a - halves[0] / 2) * (step_cb / 8)
        for j in range(-around[1], around[1] + 1):
            b = np.clip(np.rint(halves[1] / 2).astype(int) + j, axes[1][0], axes[1][-1])
            db = (b - halves[1] / 2) * (step_cr / 8)
            cost = 1.2 * da[:, None] ** 2 + db**2
            cost += _WASTE * waste[np.ix_(a - axes[0][0], b - axes[1][0])]
            better = cost < best
            best[better] = cost[better]
            table[0][better] = np.broadcast_to(a[:, None], best.shape)[better]
            table[1][better] = np.broadcast_to(b, best.shape)[better]
    return table, (int(halves[0][-1]), int(halves[1][-1]))


def _neighbours(
    c: FloatArray, shape: tuple[int, int], at: NDArray[np.intp] | None
) -> list[list[FloatArray]]:
    """Chroma (2, n) of the chosen tiles and of the 8 around each, [above..below][left..right]."""
    padded = np.pad(c.reshape(2, *shape), ((0, 0), (1, 1), (1, 1)), mode="edge")
    if at is None:
        ty, tx = shape
        return [
            [padded[:, i : i + ty, j : j + tx].reshape(2, -1) for j in range(3)] for i in range(3)
        ]
    flat = padded.reshape(2, -1)
    y, x = np.divmod(at, shape[1])
    return [[flat[:, (y + i) * (shape[1] + 2) + x + j] for j in range(3)] for i in range(3)]


def _dilate(tiles: NDArray[np.intp], shape: tuple[int, int]) -> NDArray[np.intp]:
    """The tiles and all that touch them."""
    mask = np.zeros((shape[0] + 2, shape[1] + 2), bool)
    y, x = np.divmod(tiles, shape[1])
    for i in range(3):
        for j in range(3):
            mask[y + i, x + j] = True
    return np.flatnonzero(mask[1:-1, 1:-1])


def _bounds(
    around: list[list[FloatArray]], grid: Grid, limit: int
) -> tuple[FloatArray, FloatArray]:
    """Luma levels that keep every pixel within the limit whatever the roundings, (fy, fx, n)."""
    own = around[1][1]
    low = np.full((grid.fy, grid.fx, own.shape[1]), -limit, np.float32)
    high = np.full_like(low, limit)

    def include(i: slice, j: slice, least: FloatArray, most: FloatArray) -> None:
        a, b = _allowed(np.floor(least + _SLACK), np.ceil(most - _SLACK), limit)
        np.maximum(low[i, j], a, out=low[i, j])
        np.minimum(high[i, j], b, out=high[i, j])

    def ends(c: FloatArray) -> tuple[FloatArray, FloatArray]:
        return np.floor(c + _SLACK), np.ceil(c - _SLACK)

    whole = slice(None)
    least, most = ends(own)
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


def _mix(own: FloatArray, other: FloatArray) -> FloatArray:
    return own * np.float32(0.75) + other * np.float32(0.25)


def _allowed(least: FloatArray, most: FloatArray, limit: int) -> tuple[FloatArray, FloatArray]:
    """Luma left when chroma (2, n) may decode to anything from ``least`` to ``most``."""
    (b0, r0), (b1, r1) = least, most
    highest = np.maximum(np.ceil(_R_CR * r1), np.ceil(_B_CB * b1))
    highest = np.maximum(highest, np.ceil(-_G_CB * b0 - _G_CR * r0))
    lowest = np.minimum(np.floor(_R_CR * r0), np.floor(_B_CB * b0))
    lowest = np.minimum(lowest, np.floor(-_G_CB * b1 - _G_CR * r1))
    return -limit - lowest, limit - highest
