"""A perturbation inside a JPEG: steps of its own quantised coefficients, checked on decoded pixels.

Nothing is recompressed: the file keeps its tables, its subsampling and nearly its size, and taking
the same steps back gives the original's coefficients exactly.
"""

from __future__ import annotations

import struct
import zlib
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ue_cli.photos.dcsearch import search, search_gray
from ue_cli.photos.jpeg import (
    COEFFICIENT_LIMIT,
    JpegCoefficients,
    NotInCoefficientDomain,
    read_coefficients,
    write_coefficients,
)
from ue_cli.photos.lattice import Grid, Headroom
from ue_cli.types import Budget, Field, FloatArray

Deltas = tuple[NDArray[np.int16], ...]
Pixels = NDArray[np.uint8]

_KEPT = (0.8, 0.5, 0.0, 0.0, 0.0)  # of an offending tile's steps, round by round
_STRIP_ROWS = 64
_CHUNK = 2048


@dataclass(frozen=True)
class JpegResult:
    """A protected JPEG, and what was measured between its decoded pixels and the original's.

    Attributes:
        data: the file.
        deltas: steps added to the DC coefficients, per component (block rows, block columns).
        linf: max |difference| in levels, over all pixels and channels.
        mean_abs, mse: mean |difference| and mean squared difference.
        rounds: decodes until the budget held; 1 where the first attempt did.
    """

    data: bytes
    deltas: Deltas
    linf: int
    mean_abs: float
    mse: float
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
    deltas = embed(coefficients, pixels, field, budget)
    for rounds, kept in enumerate((*_KEPT, None), start=1):
        written = finish(write_coefficients(apply_deltas(coefficients, deltas)))
        measured = compare(pixels, decode(written))
        if measured.linf <= budget.levels:
            return JpegResult(
                written, deltas, measured.linf, measured.mean_abs, measured.mse, rounds
            )
        if kept is not None:
            deltas = step_back(coefficients, deltas, measured.worst, budget, kept, reach=rounds > 3)
    raise NotInCoefficientDomain("jpeg-budget", "its decoded pixels could not be kept in budget")


def embed(coefficients: JpegCoefficients, pixels: Pixels, field: Field, budget: Budget) -> Deltas:
    """Find the steps that bring a field into the coefficients within the budget.

    Args:
        coefficients: of the original.
        pixels: its decoded pixels (H, W, channels) or (H, W); they tell where luma would clip.
        field: the perturbation, in stored orientation.
        budget: levels that no decoded pixel may move beyond.

    Returns:
        Per component steps of the DC coefficients, int16 (block rows, block columns).
    """
    grid = _grid(coefficients)
    target = _block_means(field, grid, min(coefficients.height, coefficients.width))
    if len(coefficients.planes) == 1:
        total = target.sum(0).reshape(grid.ty, grid.tx)
        steps = [search_gray(total, int(coefficients.tables[0][0, 0]), budget.levels)]
    else:
        y, cb, cr = (int(table[0, 0]) for table in coefficients.tables)
        room = _headroom(coefficients, pixels, grid, budget)
        luma, chroma = search(target, grid, (y, cb, cr), room, budget.levels)
        rows, columns = grid.ty * grid.fy, grid.tx * grid.fx
        steps = [luma.transpose(2, 0, 3, 1).reshape(rows, columns), *chroma]
    return tuple(
        _within_range(plane[:, :, 0, 0], step[: plane.shape[0], : plane.shape[1]])
        for plane, step in zip(coefficients.planes, steps, strict=True)
    )


def apply_deltas(coefficients: JpegCoefficients, deltas: Deltas) -> JpegCoefficients:
    """Add steps to the DC coefficients."""
    planes = tuple(plane.copy() for plane in coefficients.planes)
    for plane, delta in zip(planes, deltas, strict=True):
        plane[:, :, 0, 0] += delta
    return coefficients.with_planes(planes)


def remove_deltas(coefficients: JpegCoefficients, deltas: Deltas) -> JpegCoefficients:
    """Take the steps of `apply_deltas` back, exactly."""
    return apply_deltas(coefficients, tuple(-delta for delta in deltas))


def pack_deltas(deltas: Deltas) -> bytes:
    """Steps as compressed bytes that `unpack_deltas` reads back."""
    shapes = b"".join(struct.pack("<II", *delta.shape) for delta in deltas)
    # Bytes of one significance beside each other compress far better than pairs.
    body = b"".join(
        delta.astype("<i2").view(np.uint8).reshape(-1, 2).T.tobytes() for delta in deltas
    )
    return struct.pack("<B", len(deltas)) + shapes + zlib.compress(body, 1)


def unpack_deltas(packed: bytes) -> Deltas:
    """Inverse of `pack_deltas`."""
    count = packed[0]
    shapes = [struct.unpack_from("<II", packed, 1 + 8 * i) for i in range(count)]
    body = np.frombuffer(zlib.decompress(packed[1 + 8 * count :]), np.uint8)
    deltas = []
    for rows, columns in shapes:
        size = 2 * rows * columns
        pairs = np.ascontiguousarray(body[:size].reshape(2, -1).T).view("<i2")
        deltas.append(pairs.reshape(rows, columns).astype(np.int16))
        body = body[size:]
    return tuple(deltas)


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
    if original.shape != other.shape:
        raise NotInCoefficientDomain("jpeg-shape", "it decodes to another size after writing")
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
        mask = tiles.repeat(factor[0], 0).repeat(factor[1], 1)[: delta.shape[0], : delta.shape[1]]
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
    image = pixels.reshape(*pixels.shape[:2], -1)
    # Luma is a mean of the channels, so where no channel is near an end, luma is not.
    near = _block_max(image) >= 255 - margin
    near |= _block_max(np.invert(image)) >= 255 - margin
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

    def tiled(a: FloatArray) -> FloatArray:
        blocks = a.reshape(grid.ty, grid.fy, grid.tx, grid.fx).transpose(1, 3, 0, 2)
        return np.ascontiguousarray(blocks)

    return Headroom(tiled(up), tiled(down))


def _block_max(image: Pixels) -> Pixels:
    """The maximum over each 8×8 block and all channels, (block rows, block columns)."""
    height, width, channels = image.shape
    full = height // 8 * 8
    strips = image[:full].reshape(-1, 8, width * channels).max(1)
    if full < height:
        strips = np.concatenate([strips, image[full:].reshape(1, -1, width * channels).max(1)])
    strips = np.pad(strips, ((0, 0), (0, -width % 8 * channels)))
    blocks: Pixels = strips.reshape(len(strips), -1, 8 * channels).max(2)
    return blocks


def _within_range(dc: NDArray[np.int16], step: NDArray[np.int16]) -> NDArray[np.int16]:
    """Steps that leave every coefficient writable."""
    low = np.minimum(dc, -COEFFICIENT_LIMIT)
    high = np.maximum(dc, COEFFICIENT_LIMIT)
    limited: NDArray[np.int16] = (np.clip(dc + step, low, high) - dc).astype(np.int16)
    return limited
