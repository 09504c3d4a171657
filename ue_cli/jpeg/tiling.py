"""An image as tiles of blocks: its target, and what its pixels leave luma, per block."""

from __future__ import annotations

from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from ue_cli.jpeg.lattice import Grid, Headroom
from ue_cli.jpeg.quantised import JpegCoefficients
from ue_cli.types import Budget, Field, FloatArray

Pixels = NDArray[np.uint8]
Integer = TypeVar("Integer", np.uint8, np.int16)

_CHUNK = 2048  # blocks whose transforms stay in the cache
_STRIP_ROWS = 64  # whole blocks
_HIDDEN = 512  # levels beyond every bound


def grid_of(coefficients: JpegCoefficients) -> Grid:
    """How the file's chroma blocks tile the image."""
    luma = coefficients.sampling[0]
    chroma = coefficients.sampling[-1]
    fx, fy = luma[0] // chroma[0], luma[1] // chroma[1]
    return Grid(fy, fx, -(-coefficients.height // (8 * fy)), -(-coefficients.width // (8 * fx)))


def block_means(field: Field, grid: Grid, short_side: int) -> FloatArray:
    """The field's means over luma blocks, (3, fy, fx, ty, tx)."""
    points = 4 if short_side < 256 else 2 if short_side < 2000 else 1

    def axis(factor: int, tiles: int) -> FloatArray:
        inside = (np.arange(points) + 0.5) * 8 / points
        starts = 8 * (np.arange(factor)[:, None] + factor * np.arange(tiles))
        return (inside[:, None, None] + starts).reshape(-1).astype(np.float32)

    fy, fx, ty, tx = grid.fy, grid.fx, grid.ty, grid.tx
    samples = field.sample(axis(fy, ty), axis(fx, tx))
    samples = samples.reshape(points, fy, ty, points, fx, tx, 3)
    if points > 1:
        samples = samples.mean((0, 3), keepdims=True, dtype=np.float32)
    return np.ascontiguousarray(samples[0, :, :, 0].transpose(4, 0, 2, 1, 3))


def headroom(
    coefficients: JpegCoefficients, pixels: Pixels, grid: Grid, budget: Budget
) -> Headroom:
    """Exact distance of decoded luma to 0 and 255 in every block where that could matter."""
    plane = coefficients.planes[0]
    rows, columns = plane.shape[:2]
    margin = budget.levels + 1
    # Luma is a mean of the channels, so where no channel is near an end, luma is not.
    near = _block_extreme(pixels, np.maximum) >= 255 - margin
    near |= _block_extreme(pixels, np.minimum) <= margin
    up = np.full((grid.ty * grid.fy, grid.tx * grid.fx), 255, np.float32)
    down = up.copy()
    y, x = np.nonzero(near[:rows, :columns])
    waves = np.cos((2 * np.arange(8) + 1)[:, None] * np.arange(8) * np.pi / 16) / 2
    waves[:, 0] = np.sqrt(1 / 8)
    inverse = np.einsum("ik,jl->klij", waves, waves) * coefficients.tables[0][:, :, None, None]
    inverse = np.ascontiguousarray(inverse.reshape(64, 64).T, np.float32)
    for first in range(0, len(y), _CHUNK):
        at = y[first : first + _CHUNK], x[first : first + _CHUNK]
        luma = inverse @ plane[at].reshape(-1, 64).astype(np.float32).T
        # Whole levels, short by less than the inverse transform's own rounding.
        up[at] = np.floor(127.3 - luma.max(0))
        down[at] = np.floor(128.3 + luma.min(0))
    return Headroom(_tiled(up, grid), _tiled(down, grid))


def left_by(
    decoded: Pixels, pixels: Pixels, grid: Grid, budget: Budget
) -> tuple[FloatArray, FloatArray]:
    """Least and most levels of luma that decoded chroma leaves each block, (fy, fx, ty, tx)."""
    limit = budget.levels
    lows, highs = [], []
    for first in range(0, len(pixels), _STRIP_ROWS):
        before, after = pixels[first : first + _STRIP_ROWS], decoded[first : first + _STRIP_ROWS]
        moved = np.subtract(after, before, dtype=np.int16)
        # A clipped channel hides how far chroma took it: no luma is sure to bring it back.
        np.copyto(moved, -_HIDDEN, where=(after == 0) & (before > limit))
        np.copyto(moved, _HIDDEN, where=(after == 255) & (before < 255 - limit))
        highs.append(limit - _block_extreme(moved, np.maximum))
        lows.append(-limit - _block_extreme(moved, np.minimum))
    least, most = np.concatenate(lows), np.concatenate(highs)
    return _tiled(least.astype(np.float32), grid), _tiled(most.astype(np.float32), grid)


def _tiled(blocks: FloatArray, grid: Grid) -> FloatArray:
    """Values of luma blocks (rows, columns) as (fy, fx, ty, tx), 0 beyond the image."""
    missing = (grid.ty * grid.fy - blocks.shape[0], grid.tx * grid.fx - blocks.shape[1])
    whole = np.pad(blocks, ((0, missing[0]), (0, missing[1])))
    split = whole.reshape(grid.ty, grid.fy, grid.tx, grid.fx).transpose(1, 3, 0, 2)
    return np.ascontiguousarray(split)


def _block_extreme(image: NDArray[Integer], extreme: np.ufunc) -> NDArray[Integer]:
    """The extreme over each 8×8 block and all channels, (block rows, block columns)."""
    height, width, channels = image.shape
    full = height // 8 * 8
    strips = extreme.reduce(image[:full].reshape(-1, 8, width * channels), axis=1)
    if full < height:
        strips = np.concatenate([strips, extreme.reduce(image[full:], axis=0).reshape(1, -1)])
    if width % 8:
        edge = np.repeat(strips[:, None, -channels:], -width % 8, axis=1)
        strips = np.concatenate([strips, edge.reshape(len(strips), -1)], axis=1)
    # Strided slices are three times as fast here as reducing a short last axis.
    size = 8 * channels
    blocks: NDArray[Integer] = strips[:, ::size].copy()
    for first in range(1, size):
        extreme(blocks, strips[:, first::size], out=blocks)
    return blocks
