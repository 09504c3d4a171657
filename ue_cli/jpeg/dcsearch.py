"""The search for constant steps per block: as much of a target as fits under every pixel's budget.

One step of a block's DC coefficient of quantiser Q moves its 64 samples by Q/8 levels. A tile is
one chroma block: fy × fx luma blocks. Fancy upsampling blends neighbouring chroma blocks in the
outermost luma pixels only (3/4 own, 1/4 neighbour), so a luma block of a subsampled image meets
four chroma values: inside, one edge, the other edge, corner.

    1. relax:  maximise ⟨δ, target⟩ over real-valued steps, |δ| ≤ a cube a little below the budget
       (ADMM: clip in RGB, average back to the blocks' Y, Cb, Cr);
    2. snap chroma to quantiser steps whose worst case wastes little;
    3. bound luma exactly, given the chroma around it; where no luma fits, shrink that chroma;
    4. place luma within its bounds, towards the target.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from ue_cli.jpeg.lattice import (
    B_CB,
    G_CB,
    G_CR,
    R_CR,
    TO_YCC,
    Grid,
    Headroom,
    dilate,
    luma_bounds,
    luma_steps,
    snap,
)
from ue_cli.types import FloatArray

IntArray = NDArray[np.int16]

_ITERATIONS = 3
_PUSH = 1.5  # budgets per iteration by which the objective pulls
_RELAXED = 0.84  # radius of the relaxed cube, in budgets: rounding takes the rest
_BLENDED = 0.72  # the same where chroma is subsampled: blending takes its part, too
_FOLLOW = 1.5  # budgets of luma towards the sign of the target, beyond the relaxed solution
_CLEAR = 0.3  # of the target's summed channels, from which on luma goes to its bound
_SHRINK = (0.85, 0.6, 0.3, 0.0, 0.0, 0.0)
_STRIP = 4096  # tiles whose working set stays in the cache


def search_gray(target: FloatArray, step: int, limit: int) -> IntArray:
    """Quantiser steps for a grayscale image.

    Args:
        target: block means of the target's channels, summed; any shape.
        step: the DC quantiser.
        limit: the budget in levels.
    """
    wanted = target * (_PUSH * limit * 8 / step)
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
    luma = np.empty(target.shape[1:], np.float32)
    chroma = np.empty((2, grid.ty, grid.tx), np.float32)
    rows = max(4, _STRIP // grid.tx)
    for first in range(0, grid.ty, rows):
        part = slice(first, first + rows)
        room = Headroom(headroom.up[:, :, part], headroom.down[:, :, part])
        strip = np.ascontiguousarray(target[..., part, :])
        luma[:, :, part], chroma[:, part] = _relax(strip, room, limit)
    return _round(luma, chroma, target.sum(0), grid, steps, headroom, limit)


def refine(
    luma: IntArray,
    direction: FloatArray,
    low: FloatArray,
    high: FloatArray,
    headroom: Headroom,
    step: int,
) -> IntArray:
    """Move luma on within measured bounds, which smooth pictures leave wider than worst cases.

    Args:
        luma: quantiser steps (fy, fx, ty, tx).
        direction: the target's summed channels, same shape.
        low: least level of luma that chroma as a decoder shows it leaves, same shape.
        high: the most.
        headroom: of luma.
        step: the DC quantiser of luma.
    """
    least, most = luma_steps(low, high, headroom.up, headroom.down, step)
    reach = np.where(direction > 0, most, least)
    further = np.where(direction > 0, np.maximum(reach, luma), np.minimum(reach, luma))
    moves = (least <= most) & (np.abs(direction) > _CLEAR)
    return np.where(moves, further, luma).astype(np.int16)


def _relax(target: FloatArray, headroom: Headroom, limit: int) -> tuple[FloatArray, FloatArray]:
    """Real-valued luma (fy, fx, ty, tx) and chroma (2, ty, tx) in levels, by ADMM."""
    ideal = np.tensordot(TO_YCC, target, 1)
    pull = ideal * np.float32(_PUSH * limit)
    pull_chroma = pull[1:].mean((1, 2))
    y = ideal[0] * np.float32(limit)
    c = ideal[1:].mean((1, 2)) * np.float32(limit)
    blended = target.shape[1] * target.shape[2] > 1
    radius = np.float32(limit * (_BLENDED if blended else _RELAXED))
    low = -np.maximum(headroom.down, 0) - 2
    high = np.maximum(headroom.up, 0) + 2
    rgb = np.empty_like(target)
    dual = np.zeros_like(target)
    # The insides of blocks only: what blending does at their edges is for `_round` to bound.
    for _ in range(_ITERATIONS):
        cb, cr = c[:, None, None]
        np.add(y, cr * R_CR, out=rgb[0])
        np.add(y, cb * -G_CB - cr * G_CR, out=rgb[1])
        np.add(y, cb * B_CB, out=rgb[2])
        rgb += dual
        np.clip(rgb, -radius, radius, out=dual)
        # Projection minus multiplier, which is what the blocks are fitted to.
        np.subtract(rgb, dual, out=rgb)
        np.subtract(dual, rgb, out=dual)
        rgb, dual = dual, rgb
        fitted = np.tensordot(TO_YCC, rgb, 1)
        y = np.clip(fitted[0], low, high) + pull[0]
        c = fitted[1:].mean((1, 2)) + pull_chroma
    return y, c


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
    q = snap(wanted, steps, limit)
    per = (grid.fy, grid.fx)
    up, down = headroom.up.reshape(*per, -1), headroom.down.reshape(*per, -1)
    low, high = luma_bounds(_neighbours(np.multiply(q, quantisers), shape, None), grid, limit)
    least, most = luma_steps(low, high, up, down, steps[0])
    scale = np.ones(q.shape[1], np.float32)
    failing = np.flatnonzero((least > most).any((0, 1)))
    blended = grid.fy == 2 or grid.fx == 2
    changed = np.zeros(q.shape[1], bool)
    for factor in _SHRINK:
        if not len(failing):
            break
        scale[failing] *= factor
        changed[failing] = True
        q[:, failing] = snap(wanted[:, failing] * scale[failing], steps, limit)
        # What changed is looked at until it fits, and only then what lies around it.
        for check in (failing, None):
            if check is None:
                if len(failing) or not blended:
                    break
                check = dilate(np.flatnonzero(changed), shape)
                changed[:] = False
            around = _neighbours(np.multiply(q, quantisers), shape, check)
            bounds = luma_bounds(around, grid, limit)
            a, b = luma_steps(*bounds, up[:, :, check], down[:, :, check], steps[0])
            least[:, :, check], most[:, :, check] = a, b
            failing = check[(a > b).any((0, 1))]
    aim = luma.reshape(*per, -1) + np.float32(_FOLLOW * limit) * direction.reshape(*per, -1)
    placed = np.minimum(np.maximum(np.rint(aim * np.float32(8 / steps[0])), least), most)
    return (
        placed.reshape(*per, *shape).astype(np.int16),
        q.reshape(2, *shape).astype(np.int16),
    )


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
