"""A perturbation inside a JPEG: steps of its own quantised coefficients, checked on decoded pixels.

Nothing is recompressed: the file keeps its tables, its subsampling and nearly its size, and taking
the same steps back gives the original's coefficients exactly.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from ue_cli.photos.acsearch import Waves, search_waves
from ue_cli.photos.dcsearch import refine, search, search_gray
from ue_cli.photos.deltas import (
    Deltas,
    apply_deltas,
    fit_deltas,
    pack_deltas,
    remove_deltas,
    unpack_deltas,
)
from ue_cli.photos.jpeg import (
    JpegCoefficients,
    NotInCoefficientDomain,
    read_coefficients,
    write_coefficients,
)
from ue_cli.photos.lattice import Grid, Headroom
from ue_cli.types import Budget, Field, FloatArray

__all__ = [
    "Comparison",
    "JpegResult",
    "apply_deltas",
    "compare",
    "embed",
    "pack_deltas",
    "protect_jpeg",
    "remove_deltas",
    "unpack_deltas",
]

Pixels = NDArray[np.uint8]
Integer = TypeVar("Integer", np.uint8, np.int16)

_FINEST = 16  # cycles per short side that a field may have
_CONSTANT = 0.8  # half waves of it per chroma block, up to which constant steps serve it best
_REFINED = 1_500_000  # pixels up to which one more decode is spent on subsampled images
_HIDDEN = 512  # levels beyond every bound
_KEPT = (0.8, 0.5, 0.0, 0.0, 0.0)  # of an offending tile's steps, round by round
_STRIP_ROWS = 64
_CHUNK = 2048


@dataclass(frozen=True)
class JpegResult:
    """A protected JPEG, and what was measured between its decoded pixels and the original's.

    Attributes:
        data: the file.
        deltas: steps added to the coefficients, per component.
        linf: max |difference| in levels, over all pixels and channels.
        mean_abs, mse: mean |difference| and mean squared difference.
        carried: share of the field that arrived, ⟨δ, field⟩ / (budget · mean |field|); 1 would be
            the budget in the field's direction everywhere, and small JPEGs hold little of it.
        rounds: decodes until the budget held; 1 where the first attempt did.
    """

    data: bytes
    deltas: Deltas
    linf: int
    mean_abs: float
    mse: float
    carried: float
    rounds: int


def protect_jpeg(
    data: bytes,
    pixels: Pixels,
    field: Field,
    budget: Budget,
    *,
    decode: Callable[[bytes], Pixels],
    finish: Callable[[bytes], bytes] = lambda written: written,
) -> JpegResult:
    """Protect one JPEG in its coefficients.

    Args:
        data: the original file.
        pixels: its decoded pixels, uint8 (H, W, channels) or (H, W), in stored orientation.
        field: the perturbation, in stored orientation.
        budget: what no decoded pixel may exceed.
        decode: the decoder that judges; the one that gave ``pixels``.
        finish: the last change to the written bytes, such as dropping embedded copies; what is
            decoded and returned is its result.

    Raises:
        NotInCoefficientDomain: the file cannot be rewritten, or not within the budget.
    """
    coefficients = read_coefficients(data)
    deltas = embed(coefficients, pixels, field, budget, decode=decode)
    for rounds, kept in enumerate((*_KEPT, None), start=1):
        written = finish(write_coefficients(apply_deltas(coefficients, deltas)))
        decoded = decode(written)
        measured = compare(pixels, decoded)
        if measured.linf <= budget.levels:
            return JpegResult(
                written,
                deltas,
                measured.linf,
                measured.mean_abs,
                measured.mse,
                _carried(field, pixels, decoded, budget),
                rounds,
            )
        if kept is not None:
            deltas = step_back(coefficients, deltas, measured.worst, budget, kept, reach=rounds > 3)
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
        decode: asked for intermediate results where blocks are longer than waves may be.

    Returns:
        Steps per component.
    """
    grid = _grid(coefficients)
    short = min(coefficients.height, coefficients.width)
    image = pixels.reshape(*pixels.shape[:2], -1)

    def half_waves(factor: int) -> float:
        return 2 * _FINEST * 8 * factor / short

    def decoded_with(deltas: Deltas) -> Pixels:
        fitted = fit_deltas(coefficients, deltas)
        decoded = decode(write_coefficients(apply_deltas(coefficients, fitted)))
        _require_shape(pixels, decoded)
        return decoded

    if half_waves(max(grid.fy, grid.fx)) > _CONSTANT:
        luma, chroma = (
            min(8, int(np.ceil(half_waves(factor))) + 2) for factor in (1, max(grid.fy, grid.fx))
        )
        waves = Waves(luma, chroma, coefficients.tables)
        return fit_deltas(
            coefficients, search_waves(field, image, grid, waves, budget.levels, decoded_with)
        )
    target = _block_means(field, grid, short)
    rows, columns = grid.ty * grid.fy, grid.tx * grid.fx
    y, *chroma_steps = (int(table[0, 0]) for table in coefficients.tables)
    if not chroma_steps:
        steps = [search_gray(target.sum(0).reshape(rows, columns), y, budget.levels)]
    else:
        room = _headroom(coefficients, image, grid, budget)
        moved, colour = search(
            target, grid, (y, chroma_steps[0], chroma_steps[1]), room, budget.levels
        )
        if grid.fy * grid.fx > 1 and coefficients.height * coefficients.width <= _REFINED:
            still = tuple(
                c[:, :, None, None] for c in (np.zeros((rows, columns), np.int16), *colour)
            )
            low, high = _left_by(decoded_with(still).reshape(image.shape), image, grid, budget)
            moved = refine(moved, target.sum(0), low, high, room, y)
        steps = [moved.transpose(2, 0, 3, 1).reshape(rows, columns), *colour]
    return fit_deltas(coefficients, tuple(step[:, :, None, None] for step in steps))


def _carried(field: Field, pixels: Pixels, decoded: Pixels, budget: Budget) -> float:
    """⟨δ, field⟩ / (budget · Σ|field|) on a sample of at most some 128 × 128 pixels."""
    y, x = (
        np.arange(0, n, -(-n // 128) | 1) for n in pixels.shape[:2]
    )  # odd, to meet all of a block
    at = np.ix_(y, x)
    target = field.sample((y + 0.5).astype(np.float32), (x + 0.5).astype(np.float32))
    delta = decoded[at].astype(np.float32) - pixels[at]
    if delta[0, 0].size == 1:
        target, delta = target.mean(2), delta.reshape(target.shape[:2])
    total = float(np.abs(target).sum()) * budget.levels
    return float((delta * target).sum()) / total if total else 0.0


@dataclass(frozen=True)
class Comparison:
    """Two decoded images: worst |difference|, its mean and mean square, and the worst per pixel."""

    linf: int
    mean_abs: float
    mse: float
    worst: Callable[[], Pixels]


def compare(original: Pixels, other: Pixels) -> Comparison:
    """Measure |difference| over all pixels and channels.

    Raises:
        NotInCoefficientDomain: the shapes differ.
    """
    _require_shape(original, other)
    linf, total, squares = 0, 0, 0
    for first in range(0, len(original), _STRIP_ROWS):  # strips stay in the cache
        a, b = original[first : first + _STRIP_ROWS], other[first : first + _STRIP_ROWS]
        difference = _absolute_difference(a, b).reshape(-1)
        worst = int(difference.max(initial=0))
        linf = max(linf, worst)
        total += int(difference.sum(dtype=np.uint32))
        if worst < 16:  # squares fit one byte
            squares += int((difference * difference).sum(dtype=np.uint32))
        else:
            squares += int((difference.astype(np.uint32) ** 2).sum(dtype=np.uint64))
    count = max(original.size, 1)

    def per_pixel() -> Pixels:
        difference = _absolute_difference(original, other)
        worst: Pixels = difference.reshape(*difference.shape[:2], -1).max(2)
        return worst

    return Comparison(linf, total / count, squares / count, per_pixel)


def _require_shape(original: Pixels, other: Pixels) -> None:
    if original.shape != other.shape:
        raise NotInCoefficientDomain("jpeg-shape", "it decodes to another size after writing")


def _absolute_difference(a: Pixels, b: Pixels) -> Pixels:
    difference: Pixels = np.maximum(a, b) - np.minimum(a, b)
    return difference


def step_back(
    coefficients: JpegCoefficients,
    deltas: Deltas,
    worst: Callable[[], Pixels],
    budget: Budget,
    kept: float,
    *,
    reach: bool,
) -> Deltas:
    """Shrink the steps of every tile that holds a pixel beyond the budget.

    Args:
        coefficients: of the file, for its tiling.
        deltas: the steps that went too far.
        worst: max |difference| over channels, (H, W), as `compare` offers it.
        budget: the bound.
        kept: the share of those tiles' steps that stays.
        reach: shrink the tiles around them, too.
    """
    grid = _grid(coefficients)
    offending = worst() > budget.levels
    pad = [(0, grid.ty * grid.fy * 8 - offending.shape[0])]
    pad.append((0, grid.tx * grid.fx * 8 - offending.shape[1]))
    tiles = np.pad(offending, pad).reshape(grid.ty, grid.fy * 8, grid.tx, -1).any((1, 3))
    if reach:
        wide = np.pad(tiles, 1)
        tiles = np.logical_or.reduce(
            [wide[i : i + grid.ty, j : j + grid.tx] for i in range(3) for j in range(3)]
        )
    shrunk = []
    for index, delta in enumerate(deltas):
        factor = (grid.fy, grid.fx) if index == 0 else (1, 1)
        mask = tiles.repeat(factor[0], 0).repeat(factor[1], 1)
        mask = mask[: delta.shape[0], : delta.shape[1], None, None]
        shrunk.append(np.where(mask, np.trunc(delta * kept), delta).astype(np.int16))
    return tuple(shrunk)


def _grid(coefficients: JpegCoefficients) -> Grid:
    luma = coefficients.sampling[0]
    chroma = coefficients.sampling[-1]
    fx, fy = luma[0] // chroma[0], luma[1] // chroma[1]
    return Grid(fy, fx, -(-coefficients.height // (8 * fy)), -(-coefficients.width // (8 * fx)))


def _block_means(field: Field, grid: Grid, short_side: int) -> FloatArray:
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


def _headroom(
    coefficients: JpegCoefficients, pixels: Pixels, grid: Grid, budget: Budget
) -> Headroom:
    """Exact distance of decoded luma to 0 and 255 in every block where that could matter."""
    plane = coefficients.planes[0]
    rows, columns = plane.shape[:2]
    margin = budget.levels + 1
    # Luma is a mean of the channels, so where no channel is near an end, luma is not.
    near = _block_max(pixels) >= 255 - margin
    near |= _block_max(np.invert(pixels)) >= 255 - margin
    up = np.full((grid.ty * grid.fy, grid.tx * grid.fx), 255, np.float32)
    down = up.copy()
    y, x = np.nonzero(near[:rows, :columns])
    waves = np.cos((2 * np.arange(8) + 1)[:, None] * np.arange(8) * np.pi / 16) / 2
    waves[:, 0] = np.sqrt(1 / 8)
    inverse = np.einsum("ik,jl->klij", waves, waves) * coefficients.tables[0][:, :, None, None]
    inverse = inverse.reshape(64, 64).astype(np.float32)
    for first in range(0, len(y), _CHUNK):
        at = y[first : first + _CHUNK], x[first : first + _CHUNK]
        luma = plane[at].reshape(-1, 64).astype(np.float32) @ inverse
        # Whole levels, short by less than the inverse transform's own rounding.
        up[at] = np.floor(127.3 - luma.max(1))
        down[at] = np.floor(128.3 + luma.min(1))
    return Headroom(_tiled(up, grid), _tiled(down, grid))


def _left_by(
    decoded: Pixels, pixels: Pixels, grid: Grid, budget: Budget
) -> tuple[FloatArray, FloatArray]:
    """Least and most levels of luma that decoded chroma leaves each block, (fy, fx, ty, tx)."""
    moved = decoded.astype(np.int16)
    moved -= pixels
    # A clipped channel hides how far chroma took it: no luma is sure to bring it back.
    moved[(decoded == 0) & (pixels > budget.levels)] = -_HIDDEN
    moved[(decoded == 255) & (pixels < 255 - budget.levels)] = _HIDDEN
    most = budget.levels - _block_max(moved)
    least = _block_max(np.negative(moved, out=moved)) - budget.levels
    return _tiled(least.astype(np.float32), grid), _tiled(most.astype(np.float32), grid)


def _tiled(blocks: FloatArray, grid: Grid) -> FloatArray:
    """Values of luma blocks (rows, columns) as (fy, fx, ty, tx), 0 beyond the image."""
    missing = (grid.ty * grid.fy - blocks.shape[0], grid.tx * grid.fx - blocks.shape[1])
    whole = np.pad(blocks, ((0, missing[0]), (0, missing[1])))
    split = whole.reshape(grid.ty, grid.fy, grid.tx, grid.fx).transpose(1, 3, 0, 2)
    return np.ascontiguousarray(split)


def _block_max(image: NDArray[Integer]) -> NDArray[Integer]:
    """The maximum over each 8×8 block and all channels, (block rows, block columns)."""
    height, width, channels = image.shape
    full = height // 8 * 8
    strips = image[:full].reshape(-1, 8, width * channels).max(1)
    if full < height:
        strips = np.concatenate([strips, image[full:].reshape(1, -1, width * channels).max(1)])
    strips = np.pad(strips, ((0, 0), (0, -width % 8 * channels)), mode="edge")
    blocks: NDArray[Integer] = strips.reshape(len(strips), -1, 8 * channels).max(2)
    return blocks
