"""A field's own DCT coefficients, rounded to a file's quantiser steps: waves without block edges.

A wave is smooth across the edges of blocks where every block takes the wave's low-frequency
coefficients, the constant one and those beside it; with constant steps alone the eye finds the
blocks first. What rounding takes from small coefficients is made up for by a common gain, so that
the file carries what was asked for; where that would leave the ball, a tile is asked for less.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ue_cli.jpeg.deltas import Deltas, fit_deltas
from ue_cli.jpeg.lattice import B_CB, R_CR, TO_YCC, Grid
from ue_cli.jpeg.quantised import JpegCoefficients
from ue_cli.types import Field, FloatArray

Floats = NDArray[np.float64]

_GAINS = (1.0, 1.1, 1.25, 1.4, 1.6)
_BEYOND = 2
"""Coefficients per axis beyond those of the wave itself, for its place within the block."""
CEILING = 0.88
"""Of the ball, that a wave can fill in a JPEG: the decoder's roundings take the rest."""
_NARROWER = 0.94
"""Of what a tile would be asked for by proportion alone: rounding does not follow it."""
_PASSES, _TURNS = 10, 4
_EAGERNESS = 2.5
_FAINT_LUMA = 2.0
"""Levels up to which luma only balances chroma; then it stays below one, or a tile goes without."""
_MOST_LUMA = 0.7


@dataclass
class Transform:
    """What a file is asked to carry, and how.

    Attributes:
        coefficients: of the file.
        grid: how its chroma blocks tile it.
        exact: per component the wanted coefficients in quantiser steps, before rounding, tile by
            tile: (tile rows, tile columns, blocks, r²).
        steps: the same, rounded.
        faint_luma: luma only balances chroma.
        box: levels that decoded chroma may move by, (2, 1).
    """

    coefficients: JpegCoefficients
    grid: Grid
    exact: tuple[FloatArray, ...]
    steps: list[FloatArray]
    faint_luma: bool
    box: FloatArray

    def deltas(self) -> Deltas:
        """Whole steps, block by block, within what the file can hold."""
        grid = self.grid
        out = []
        for index, steps in enumerate(self.steps):
            fy, fx = (grid.fy, grid.fx) if index == 0 else (1, 1)
            r = round(steps.shape[3] ** 0.5)
            split = steps.reshape(grid.ty, grid.tx, fy, fx, r, r).transpose(0, 2, 1, 3, 4, 5)
            out.append(split.reshape(grid.ty * fy, grid.tx * fx, r, r).astype(np.int16))
        return fit_deltas(self.coefficients, tuple(out))

    def shrink(self, worst: FloatArray, limit: float, *, give_up: bool = False) -> None:
        """Ask tiles for less in which some value moves farther than ``limit``.

        Args:
            worst: the largest move of each tile, (tile rows, tile columns).
            limit: levels.
            give_up: ask such tiles for nothing any more.
        """
        at = np.nonzero(worst > limit)
        if self.faint_luma and not give_up:
            balanced = self.steps[0][at].any(axis=(1, 2))
            self.steps[0][at] = 0
            at = tuple(index[~balanced] for index in at)
        factor = 0 if give_up else _NARROWER * limit / worst[at][:, None, None]
        for exact in self.exact:
            exact[at] *= factor
        self.round(at)

    def round(self, at: tuple[NDArray[np.intp], ...]) -> None:
        """Round tiles so that decoded chroma stays in its box.

        Rounding every coefficient by itself moves some samples far beyond the wave. What is beyond
        is taken off the wanted coefficients before they are rounded again, and more of it each
        time, as the dual variable of ADMM does it (Boyd et al., 2011, 3.1), so that other roundings
        are tried until a tile fits.
        """
        self.steps[0][at] = self._luma(self.exact[0][at])
        if len(self.exact) == 1:
            return
        r = round(self.exact[1].shape[3] ** 0.5)
        basis = np.kron(_basis(8, r), _basis(8, r)).astype(np.float32)  # (64, r²)
        step = np.concatenate(
            [self.coefficients.tables[i][:r, :r].reshape(1, -1) for i in (1, 2)]
        ).astype(np.float32)
        exact = np.concatenate([self.exact[1][at], self.exact[2][at]], axis=1)  # (n, 2, r²)
        rounded = np.rint(exact)
        less = np.zeros_like(exact)
        check = np.arange(len(exact))
        for turn in range(_TURNS * _PASSES):
            if turn and turn % _PASSES == 0:
                exact[check] *= _NARROWER**2
                less[check] = 0
                rounded[check] = np.rint(exact[check])
            planes = (rounded[check] * step) @ basis.T  # (n, 2, 64)
            over = planes - np.clip(planes, -self.box, self.box)
            beyond = np.flatnonzero(over.any(axis=(1, 2)))
            if not len(beyond):
                break
            check = check[beyond]
            less[check] += _EAGERNESS * (over[beyond] @ basis) / step
            rounded[check] = np.rint(exact[check] - less[check])
        for index in (1, 2):
            self.exact[index][at] = exact[:, index - 1 : index]
            self.steps[index][at] = rounded[:, index - 1 : index]

    def _luma(self, exact: FloatArray) -> FloatArray:
        """Steps of luma blocks, (n, blocks, r²); none where faint luma would be a whole level."""
        rounded: FloatArray = np.rint(exact)
        if self.faint_luma:
            r = round(exact.shape[2] ** 0.5)
            step = self.coefficients.tables[0][:r, :r].reshape(-1).astype(np.float32)
            basis = np.kron(_basis(4, r), _basis(4, r)).astype(np.float32)
            planes = (rounded * step) @ basis.T
            rounded[np.maximum(planes.max(axis=2), -planes.min(axis=2)) > 1] = 0
        return rounded


def transform(field: Field, coefficients: JpegCoefficients, grid: Grid, limit: int) -> Transform:
    """A field as a file's coefficients.

    Args:
        field: in stored orientation, at the amplitudes that are wanted.
        coefficients: of the file.
        grid: how its chroma blocks tile it.
        limit: levels that 1 of the field stands for, and that no value shall exceed.
    """
    short = min(coefficients.height, coefficients.width)
    colour = len(coefficients.tables) == 3
    luma = field.sample(np.linspace(0, short, 64), np.linspace(0, short, 64)) @ TO_YCC[0]
    faintness = float(np.abs(luma).max()) * limit
    faint_luma = colour and faintness <= _FAINT_LUMA
    planes = [_coefficients(field, coefficients, grid, 0)]
    if colour:
        planes.append(_coefficients(field, coefficients, grid, 1))
    exact = []
    for index, table in enumerate(coefficients.tables):
        mixing = (TO_YCC[index] if colour else np.full(3, 1 / 3)).astype(np.float64) * limit
        wanted = planes[min(index, 1)] @ mixing
        if index == 0 and faint_luma:
            wanted *= min(1.0, _MOST_LUMA / max(faintness, 1e-9))
        r = wanted.shape[2]
        raised = _raised(wanted.astype(np.float32), table[:r, :r])
        by, bx = (grid.fy, grid.fx) if index == 0 else (1, 1)
        split = raised.reshape(grid.ty, by, grid.tx, bx, r * r).transpose(0, 2, 1, 3, 4)
        exact.append(np.ascontiguousarray(split).reshape(grid.ty, grid.tx, by * bx, r * r))
    # A decoder rounds Cb and Cr to whole levels before they become B and R.
    box = np.floor((limit - 0.4) / np.array([[B_CB], [R_CR]])).astype(np.float32)
    steps = [np.zeros_like(plane) for plane in exact]
    out = Transform(coefficients, grid, tuple(exact), steps, faint_luma, box)
    out.round(tuple(np.indices((grid.ty, grid.tx)).reshape(2, -1)))
    return out


def _coefficients(
    field: Field, coefficients: JpegCoefficients, grid: Grid, index: int
) -> FloatArray:
    """The field's lowest coefficients in every block of luma (0) or chroma (1), orthonormal.

    Returns:
        (block rows, block columns, r, r, 3), of R, G and B; blocks fill whole tiles.
    """
    fy, fx = (1, 1) if index == 0 else (grid.fy, grid.fx)
    short = min(coefficients.height, coefficients.width)
    waves = 2 * field.cycles * 8 * max(fy, fx) / short
    r = min(8, math.ceil(waves) + _BEYOND)
    points = 8 if waves > 0.7 else 4
    rows, columns = grid.ty * grid.fy // fy, grid.tx * grid.fx // fx
    inside = (np.arange(points) + 0.5) / points
    y, x = (
        8 * factor * (np.arange(count)[:, None] + inside)
        for factor, count in ((fy, rows), (fx, columns))
    )
    return field.transformed(y, x, _basis(points, r) * (8 / points))


def _basis(points: int, r: int) -> Floats:
    """The first r cosines of the 8-point DCT at evenly spaced positions, (points, r)."""
    at = (np.arange(points) + 0.5) * (8 / points)
    waves: Floats = np.cos(at[:, None] * np.arange(r) * np.pi / 8) / 2
    waves[:, 0] = np.sqrt(1 / 8)
    return waves


def _raised(wanted: FloatArray, table: NDArray[Any]) -> FloatArray:
    """In steps, at the least gain whose rounding carries all that is wanted, or at the largest."""
    exact: FloatArray = np.divide(wanted, table, dtype=np.float32)
    weight = table.astype(np.float64) ** 2
    whole = float(((exact**2).sum(axis=(0, 1), dtype=np.float64) * weight).sum())
    gain = 1.0
    for gain in _GAINS:
        steps = np.rint(exact * np.float32(gain))
        share = float(((steps * exact).sum(axis=(0, 1), dtype=np.float64) * weight).sum())
        if share >= 0.97 * whole:
            break
    return exact * np.float32(gain)
