"""A perturbation inside a JPEG: steps of its own quantised coefficients, checked on decoded pixels.

Nothing is recompressed: the file keeps its tables, its subsampling and nearly its size.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ue_cli.jpeg.acsearch import Waves, search_waves
from ue_cli.jpeg.comparison import require_shape, worst_channel
from ue_cli.jpeg.dcsearch import refine, search, search_gray
from ue_cli.jpeg.deltas import Deltas, apply_deltas, fit_deltas
from ue_cli.jpeg.lattice import Grid
from ue_cli.jpeg.quantised import (
    JpegCoefficients,
    NotInCoefficientDomain,
    read_coefficients,
    write_coefficients,
)
from ue_cli.jpeg.tiling import block_means, grid_of, headroom, left_by
from ue_cli.jpeg.transform import transform
from ue_cli.types import Budget, Difference, Field, FloatArray

Pixels = NDArray[np.uint8]

_FINEST = 16  # cycles per short side that a field may have
_CONSTANT = 0.8  # half waves of it per chroma block, up to which constant steps serve it best
_REFINED = 700_000  # pixels up to which one more decode is spent on subsampled images
_SHARES = (0.8, 0.5, 0.3, 0.0, 0.0)  # of an offending tile's steps, round by round


@dataclass(frozen=True)
class JpegResult:
    """A protected JPEG, and what was measured between its decoded pixels and the original's.

    Attributes:
        data: the file.
        pixels: what it decodes to.
        difference: between those and the original's.
    """

    data: bytes
    pixels: Pixels
    difference: Difference


def protect_jpeg(
    data: bytes,
    pixels: Pixels,
    field: Field,
    budget: Budget,
    *,
    fill: bool,
    decode: Callable[[bytes], Pixels],
    measure: Callable[[Pixels, Pixels], Difference],
    finish: Callable[[bytes], bytes] = lambda written: written,
) -> JpegResult:
    """Protect one JPEG in its coefficients.

    Args:
        data: the original file.
        pixels: its decoded pixels, uint8 (H, W, channels) or (H, W), in stored orientation.
        field: the perturbation, in stored orientation.
        budget: what no decoded pixel may exceed.
        fill: the whole budget is wanted, wherever the field's sign is sure; else its amplitudes.
        decode: the decoder that judges; the one that gave ``pixels``.
        measure: compares the original's pixels with what was written and decoded.
        finish: the last change to the written bytes, such as dropping embedded copies; what is
            decoded and returned is its result.

    Raises:
        NotInCoefficientDomain: the file cannot be rewritten, or not within the budget.
    """
    coefficients = read_coefficients(data)
    grid = grid_of(coefficients)
    asked = None if fill else transform(field, coefficients, grid, budget.levels)
    if asked is None:
        deltas = embed(coefficients, pixels, field, budget, decode=decode)
    else:
        deltas = asked.deltas()
    for attempt, share in enumerate((*_SHARES, None), start=1):
        written = finish(write_coefficients(apply_deltas(coefficients, deltas)))
        decoded = decode(written)
        require_shape(pixels, decoded)
        difference = measure(pixels, decoded)
        if difference.linf <= budget.levels:
            return JpegResult(written, decoded, difference)
        if share is None:
            break
        worst = _by_tile(worst_channel(pixels, decoded), grid, around=attempt > 3)
        if asked is None:
            deltas = step_back(grid, deltas, worst > budget.levels, share)
        else:
            asked.shrink(worst, budget.levels, give_up=share == 0)
            deltas = asked.deltas()
    raise NotInCoefficientDomain("jpeg-budget", "its decoded pixels could not be kept in budget")


def embed(
    coefficients: JpegCoefficients,
    pixels: Pixels,
    field: Field,
    budget: Budget,
    *,
    decode: Callable[[bytes], Pixels],
) -> Deltas:
    """Find the steps that bring a field into the coefficients within the budget.

    Args:
        coefficients: of the original.
        pixels: its decoded pixels (H, W, channels) or (H, W).
        field: the perturbation, in stored orientation.
        budget: levels that no decoded pixel may move beyond.
        decode: asked for intermediate results, on small images only.

    Returns:
        Steps per component.
    """
    grid = grid_of(coefficients)
    short = min(coefficients.height, coefficients.width)
    image = pixels.reshape(*pixels.shape[:2], -1)

    def half_waves(factor: int) -> float:
        return 2 * _FINEST * 8 * factor / short

    def decoded_with(deltas: Deltas) -> Pixels:
        fitted = fit_deltas(coefficients, deltas)
        decoded = decode(write_coefficients(apply_deltas(coefficients, fitted)))
        require_shape(pixels, decoded)
        return decoded

    if half_waves(max(grid.fy, grid.fx)) > _CONSTANT:
        luma, chroma = (
            min(8, int(np.ceil(half_waves(factor))) + 2) for factor in (1, max(grid.fy, grid.fx))
        )
        waves = Waves(luma, chroma, coefficients.tables)
        return fit_deltas(
            coefficients, search_waves(field, image, grid, waves, budget.levels, decoded_with)
        )
    target = block_means(field, grid, short)
    rows, columns = grid.ty * grid.fy, grid.tx * grid.fx
    y, *chroma_steps = (int(table[0, 0]) for table in coefficients.tables)
    if not chroma_steps:
        steps = [search_gray(target.sum(0).reshape(rows, columns), y, budget.levels)]
    else:
        room = headroom(coefficients, image, grid, budget)
        moved, colour = search(
            target, grid, (y, chroma_steps[0], chroma_steps[1]), room, budget.levels
        )
        if grid.fy * grid.fx > 1 and coefficients.height * coefficients.width <= _REFINED:
            still = tuple(
                c[:, :, None, None] for c in (np.zeros((rows, columns), np.int16), *colour)
            )
            low, high = left_by(decoded_with(still).reshape(image.shape), image, grid, budget)
            moved = refine(moved, target.sum(0), low, high, room, y)
        steps = [moved.transpose(2, 0, 3, 1).reshape(rows, columns), *colour]
    return fit_deltas(coefficients, tuple(step[:, :, None, None] for step in steps))


def step_back(grid: Grid, deltas: Deltas, beyond: NDArray[np.bool_], share: float) -> Deltas:
    """Shrink the steps of some tiles.

    Args:
        grid: the tiling.
        deltas: the steps that went too far.
        beyond: the tiles, (tile rows, tile columns).
        share: the share of their steps that stays.
    """
    shrunk = []
    for index, delta in enumerate(deltas):
        factor = (grid.fy, grid.fx) if index == 0 else (1, 1)
        mask = beyond.repeat(factor[0], 0).repeat(factor[1], 1)
        mask = mask[: delta.shape[0], : delta.shape[1], None, None]
        shrunk.append(np.where(mask, np.trunc(delta * share), delta).astype(np.int16))
    return tuple(shrunk)


def _by_tile(values: Pixels, grid: Grid, *, around: bool) -> FloatArray:
    """The largest value (H, W) in each tile; with ``around`` in the tiles that touch it, too."""
    pad = [(0, grid.ty * grid.fy * 8 - values.shape[0])]
    pad.append((0, grid.tx * grid.fx * 8 - values.shape[1]))
    tiles = np.pad(values, pad).reshape(grid.ty, grid.fy * 8, grid.tx, -1).max((1, 3))
    if around:
        wide = np.pad(tiles, 1)
        tiles = np.maximum.reduce(
            [wide[i : i + grid.ty, j : j + grid.tx] for i in range(3) for j in range(3)]
        )
    moves: FloatArray = tiles.astype(np.float32)
    return moves
