"""The search for short waves: low-frequency coefficients of small images, where DC is too coarse.

Where a block is longer than a wave, constant steps carry nothing. Here every block takes r × r
coefficients. Their worst-case roundings would leave little of the budget, so the decoder itself is
asked what the chroma did, pixel by pixel, and luma is fitted into what remains:

    1. relax chroma and luma together over real numbers, as `dcsearch` does, tile by tile;
    2. quantise chroma, write it, decode it;
    3. fit each luma block between the bounds that this leaves; where none fits, shrink that tile's
       chroma and decode again.

Small images only: every round writes and decodes the file.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ue_cli.jpeg.lattice import B_CB, G_CB, G_CR, R_CR, TO_YCC, Grid, dilate
from ue_cli.types import Field, FloatArray

IntArray = NDArray[np.int16]
Pixels = NDArray[np.uint8]

_ITERATIONS = 4
_PUSH = 0.75  # budgets per iteration by which the objective pulls
_RELAXED = 0.875  # radius of the relaxed cube, in budgets
_FOLLOW = 1.0  # budgets of luma per unit of the target's summed channels
_FIT = 4  # projections of luma onto its bounds
_OVER = 1.5  # over-relaxation of those
_NOISE = 0.45  # standard deviations of quantisation noise that the bounds leave
_INVERSE = np.float32(0.1)  # levels by which the decoder's inverse transform rounds
_LUMA_SHARES = (0.85, 0.7, 0.5, 0.3, 0.0)
_CHROMA_SHARES = (0.85, 0.65, 0.35, 0.0)  # of the tiles where no luma fits, round by round


@dataclass(frozen=True)
class Waves:
    """What may change: r × r low-frequency coefficients per block.

    Attributes:
        luma, chroma: r of either.
        tables: quantisation steps per component, (8, 8).
    """

    luma: int
    chroma: int
    tables: tuple[NDArray[np.int32], ...]


def search_waves(
    field: Field,
    pixels: Pixels,
    grid: Grid,
    waves: Waves,
    limit: int,
    decoded_with: Callable[[tuple[IntArray, ...]], Pixels],
) -> tuple[IntArray, ...]:
    """Steps of the lowest coefficients of every block.

    Args:
        field: the target, in stored orientation.
        pixels: the original's, (H, W, channels).
        grid: the tiling.
        waves: which coefficients, and their quantisers.
        limit: the budget in levels.
        decoded_with: writes steps into the file and decodes it.

    Returns:
        Per component steps, int16 (block rows of the grid, block columns, r, r).
    """
    target = _sampled(field, grid, 8).sum(0)  # of luma: what it adds to all channels at once
    luma_blocks = _to_blocks(target, grid)
    quantiser = waves.tables[0][: waves.luma, : waves.luma].reshape(-1).astype(np.float32)
    if len(waves.tables) == 1:
        bound = np.full_like(luma_blocks, limit)
        steps, _ = _fit_luma(luma_blocks, -bound, bound, quantiser, limit)
        return (_from_blocks(steps, grid, waves.luma),)
    chroma = _relax(field, grid, waves, limit)
    tables = [waves.tables[i][: waves.chroma, : waves.chroma].reshape(-1) for i in (1, 2)]
    quantisers = np.stack(tables)[:, None].astype(np.float32)
    shape = (grid.ty, grid.tx, waves.chroma, waves.chroma)
    scale = np.ones((chroma.shape[1], 1), np.float32)
    nothing = np.zeros((grid.ty * grid.fy, grid.tx * grid.fx, 1, 1), np.int16)
    # Near its ends luma is clipped, and cannot make up for what chroma overdid.
    overdone_down, overdone_up = pixels > limit, pixels < 255 - limit
    extreme = (pixels[..., 1] > 235) | (pixels[..., 1] < 20)
    per_tile = grid.fy * grid.fx
    steps = np.zeros((len(luma_blocks), len(quantiser)), np.float32)
    check = np.arange(chroma.shape[1])
    for share in (*_CHROMA_SHARES, None):
        q = np.rint(chroma * scale / quantisers).astype(np.int16)
        planes = tuple(plane.reshape(shape) for plane in q)
        decoded = decoded_with((nothing, *planes))
        red, green, blue = (decoded[..., i].astype(np.int16) - pixels[..., i] for i in range(3))
        low = -limit - np.minimum(np.minimum(red, green), blue)
        high = limit - np.maximum(np.maximum(red, green), blue)
        stuck = extreme & ((low > 0) | (high < 0))
        # A clipped channel hides how far chroma took it.
        stuck |= ((decoded == 0) & overdone_down | (decoded == 255) & overdone_up).any(2)
        at = (check[:, None] * per_tile + np.arange(per_tile)).reshape(-1)
        steps[at], fails = _fit_luma(
            luma_blocks[at],
            _to_blocks(_padded(low, grid, -limit), grid)[at],
            _to_blocks(_padded(high, grid, limit), grid)[at],
            quantiser,
            limit,
        )
        fails |= _to_blocks(_padded(stuck, grid, 0), grid)[at].any(1)
        failing = check[fails.reshape(-1, per_tile).any(1)]
        if not len(failing) or share is None:
            break
        scale[failing] *= share
        check = dilate(failing, (grid.ty, grid.tx))
    return (_from_blocks(steps, grid, waves.luma), *planes)


def _fit_luma(
    target: FloatArray, low: FloatArray, high: FloatArray, quantiser: FloatArray, limit: int
) -> tuple[FloatArray, NDArray[np.bool_]]:
    """Steps (n, r²) of luma blocks between bounds (n, 64), and the blocks where none was found."""
    r = round(len(quantiser) ** 0.5)
    waves = np.kron(_basis(np.arange(8), r), _basis(np.arange(8), r)).T.astype(np.float32)
    waves = np.ascontiguousarray(waves)  # (r², 64), orthonormal rows
    noise = float(np.sqrt((quantiser[1:] ** 2).sum() / 12) / 8) * _NOISE
    centre = (low + high) / 2
    least = np.minimum(low + _INVERSE + noise, centre)
    most = np.maximum(high - _INVERSE - noise, centre)
    wanted = np.clip(target * np.float32(_FOLLOW * limit), least, most)
    fitted = wanted @ waves.T
    for _ in range(_FIT):
        now = fitted @ waves
        fitted += (np.clip(now, least, most) - now) @ waves.T * np.float32(_OVER)
    steps = np.rint(fitted / quantiser)
    least, most = low + _INVERSE, high - _INVERSE

    def constant(steps: FloatArray, at: NDArray[np.intp] | slice) -> tuple[FloatArray, FloatArray]:
        rest = (steps[:, 1:] * quantiser[1:]) @ waves[1:]
        per_level = np.float32(8) / quantiser[0]
        a = np.ceil((least[at] - rest).max(1) * per_level)
        return a, np.floor((most[at] - rest).min(1) * per_level)

    a, b = constant(steps, slice(None))
    for share in _LUMA_SHARES:
        failing = np.flatnonzero(a > b)
        if not len(failing):
            break
        steps[failing] = np.rint(fitted[failing] * np.float32(share) / quantiser)
        a[failing], b[failing] = constant(steps[failing], failing)
    fails = a > b
    steps[:, 0] = np.where(fails, 0, np.clip(steps[:, 0], a, b))
    return steps, fails


def _relax(field: Field, grid: Grid, waves: Waves, limit: int) -> FloatArray:
    """Real-valued chroma coefficients (2, tiles, r²), by ADMM; each tile by itself."""
    points = 4 if max(waves.luma, waves.chroma / max(grid.fy, grid.fx)) <= 4 else 8
    target = _sampled(field, grid, points)
    tiles = grid.ty * grid.tx
    rows, columns = grid.fy * points, grid.fx * points
    target = target.reshape(3, grid.ty, rows, grid.tx, columns).transpose(0, 1, 3, 2, 4)
    target = target.reshape(3, tiles, rows * columns)
    luma, luma_fit = _operator(grid, waves.luma, points, luma=True)
    chroma, chroma_fit = _operator(grid, waves.chroma, points, luma=False)
    ideal = np.tensordot(TO_YCC, target, 1)
    y = ideal[0] @ luma_fit * np.float32(limit)
    c = ideal[1:] @ chroma_fit * np.float32(limit)
    pull_y, pull_c = y * np.float32(_PUSH), c * np.float32(_PUSH)
    noise = np.sqrt((waves.tables[1][: waves.chroma, : waves.chroma] ** 2.0).sum() / 12) / 8
    radius = np.float32(max(_RELAXED * limit - _NOISE * noise, 0.375 * limit))
    dual = np.zeros_like(target)
    for _ in range(_ITERATIONS):
        light, (cb, cr) = y @ luma, c @ chroma
        rgb = np.stack([R_CR * cr, -G_CB * cb - G_CR * cr, B_CB * cb])
        rgb += light + dual
        inside = np.clip(rgb, -radius, radius)
        dual = rgb - inside
        fit = np.tensordot(TO_YCC, inside - dual, 1)
        y, c = fit[0] @ luma_fit + pull_y, fit[1:] @ chroma_fit + pull_c
    return c


def _operator(grid: Grid, r: int, points: int, *, luma: bool) -> tuple[FloatArray, FloatArray]:
    """Matrices from a tile's coefficients to its sample points, and back by least squares."""
    axes = []
    for factor in (grid.fy, grid.fx):
        at = (np.arange(8 * factor).reshape(-1, 8 // points) + 0.5).mean(1) - 0.5
        if luma:
            axes.append(np.kron(np.eye(factor), _basis(at[:points], r)))
        else:
            # Linear interpolation between chroma samples, held constant beyond the tile's own.
            where = np.clip((at + 0.5) / factor - 0.5, 0, 7) if factor == 2 else at // factor
            below = np.minimum(np.floor(where).astype(int), 6)
            share = (where - below)[:, None]
            whole = _basis(np.arange(8), r)
            axes.append(whole[below] * (1 - share) + whole[below + 1] * share)
    forward = np.kron(axes[0], axes[1]).T
    back = np.kron(np.linalg.pinv(axes[0]), np.linalg.pinv(axes[1])).T
    return np.ascontiguousarray(forward, np.float32), np.ascontiguousarray(back, np.float32)


def _basis(at: NDArray[Any], r: int) -> NDArray[np.float64]:
    """The first r cosines of the 8-point DCT at sample positions, (positions, r)."""
    waves = np.cos((2 * np.asarray(at)[:, None] + 1) * np.arange(r) * np.pi / 16) / 2
    waves[:, 0] = np.sqrt(1 / 8)
    return waves


def _sampled(field: Field, grid: Grid, points: int) -> FloatArray:
    """The field at ``points`` per luma block and axis, (3, rows, columns)."""
    step = 8 / points
    y = (np.arange(grid.ty * grid.fy * points, dtype=np.float32) + 0.5) * np.float32(step)
    x = (np.arange(grid.tx * grid.fx * points, dtype=np.float32) + 0.5) * np.float32(step)
    return np.ascontiguousarray(field.sample(y, x).transpose(2, 0, 1))


def _padded(plane: NDArray[Any], grid: Grid, value: float) -> FloatArray:
    height, width = grid.ty * grid.fy * 8, grid.tx * grid.fx * 8
    out = np.full((height, width), value, np.float32)
    out[: plane.shape[0], : plane.shape[1]] = plane
    return out


def _to_blocks(plane: FloatArray, grid: Grid) -> FloatArray:
    """(rows, columns) as 64 samples of each luma block, tile by tile, (n, 64)."""
    split = plane.reshape(grid.ty, grid.fy, 8, grid.tx, grid.fx, 8).transpose(0, 3, 1, 4, 2, 5)
    return np.ascontiguousarray(split).reshape(-1, 64)


def _from_blocks(steps: FloatArray, grid: Grid, r: int) -> IntArray:
    """Steps (n, r²) in tile order as (block rows, block columns, r, r)."""
    split = steps.reshape(grid.ty, grid.tx, grid.fy, grid.fx, r, r).transpose(0, 2, 1, 3, 4, 5)
    return split.reshape(grid.ty * grid.fy, grid.tx * grid.fx, r, r).astype(np.int16)
