"""Cells over a frame, and fields under every EXIF orientation."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image, ImageOps

from ue_cli.banks.layout import CellField, cell_field, oriented
from ue_cli.errors import UeError
from ue_cli.types import Bank, Budget, FloatArray, Provenance, project


def centres(count: int) -> FloatArray:
    return np.arange(count, dtype=np.float32) + np.float32(0.5)


def random_cells(rows: int, columns: int, seed: int = 0) -> FloatArray:
    return np.random.default_rng(seed).uniform(-1, 1, (rows, columns, 3)).astype(np.float32)


def displayed_size(orientation: int, height: int, width: int) -> tuple[int, int]:
    """Of an image as it is shown."""
    return (width, height) if orientation >= 5 else (height, width)


def by_definition(cells: FloatArray, height: int, width: int) -> FloatArray:
    """One pixel at a time, as the docstring says it."""
    rows, columns, _ = cells.shape
    out = np.zeros((height, width, 3), np.float32)
    for i in range(height):
        for j in range(width):
            v, u = (i + 0.5) * rows / height, (j + 0.5) * columns / width
            out[i, j] = cells[min(int(v), rows - 1), min(int(u), columns - 1)]
    return out


@settings(deadline=None, max_examples=40)
@given(
    rows=st.integers(1, 5),
    columns=st.integers(1, 5),
    height=st.integers(1, 13),
    width=st.integers(1, 13),
)
def test_cells_cover_the_frame_as_defined(rows: int, columns: int, height: int, width: int) -> None:
    cells = random_cells(rows, columns)
    found = CellField(cells, height, width).sample(centres(height), centres(width))
    assert found.dtype == np.float32
    assert np.array_equal(found, by_definition(cells, height, width))


def test_a_part_of_the_grid_is_that_part_of_the_whole() -> None:
    field = CellField(random_cells(7, 9), 64, 48)
    whole = field.sample(centres(64), centres(48))
    part = field.sample(centres(64)[20:23], centres(48)[[40, 3]])
    assert np.allclose(part, whole[20:23][:, [40, 3]], atol=1e-6)


def test_cells_do_not_depend_on_the_resolution() -> None:
    """The same fraction of the frame shows the same cell: stretched, not tiled."""
    cells = random_cells(4, 4)
    small = CellField(cells, 8, 8).sample(centres(8), centres(8))
    large = CellField(cells, 80, 160).sample(centres(80), centres(160))
    assert np.array_equal(large[5::10, 10::20], small)


@pytest.mark.parametrize("orientation", range(1, 9))
def test_orientation_is_pillows(orientation: int) -> None:
    stored = (5, 8)
    shown = displayed_size(orientation, *stored)
    field = CellField(random_cells(*shown), *shown)  # one cell per displayed pixel
    on_screen = field.sample(centres(shown[0]), centres(shown[1]))

    turned = oriented(field, orientation, *stored)
    as_stored = turned.sample(centres(stored[0]), centres(stored[1]))
    assert as_stored.shape == (*stored, 3)

    for channel in range(3):
        image = Image.fromarray(np.ascontiguousarray(as_stored[:, :, channel]))
        image.getexif()[0x0112] = orientation
        displayed = ImageOps.exif_transpose(image)
        assert displayed is not None
        assert np.array_equal(np.asarray(displayed), on_screen[:, :, channel])


@pytest.mark.parametrize("orientation", range(1, 9))
def test_blocks_are_those_of_the_stored_picture(orientation: int) -> None:
    stored, basis = (16, 24), np.random.default_rng(0).normal(size=(4, 3))
    field = CellField(random_cells(5, 7), *displayed_size(orientation, *stored))
    turned = oriented(field, orientation, *stored)
    y, x = (np.arange(n * 4).reshape(n, 4) * 2 + 1.0 for n in (2, 3))
    found = turned.transformed(y, x, basis)
    assert found.shape == (2, 3, 3, 3, 3)
    assert np.allclose(found, project(turned, y, x, basis), atol=1e-5)


@pytest.mark.parametrize("orientation", [0, 1, 9, -3, 65535])
def test_orientation_that_turns_nothing_costs_nothing(orientation: int) -> None:
    field = CellField(random_cells(2, 2), 4, 6)
    assert oriented(field, orientation, 4, 6) is field


def test_bank_entry_becomes_a_field_in_units_of_the_budget() -> None:
    delta = np.zeros((2, 2, 3, 1, 1), np.int8)
    delta[1, 0, :, 0, 0] = (-4, 2, 4)
    bank = Bank(delta, ("a", "b"), Budget(4), Provenance("csd", "pixel", {}, "t"))
    field = cell_field(bank, "b", 2, height=3, width=5)
    values = field.sample(centres(3), centres(5))
    assert np.array_equal(values, np.broadcast_to(np.array([-1, 0.5, 1], np.float32), (3, 5, 3)))
    with pytest.raises(UeError, match="no entry for class"):
        cell_field(bank, "c", height=3, width=5)
