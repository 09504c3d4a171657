"""Fields onto pixels: within budget whatever the field says."""

from __future__ import annotations

import tracemalloc
from dataclasses import dataclass

import hypothesis.extra.numpy as hnp
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.textures.fields import Sampled
from ue_cli.banks.apply import GrayField, gray_target, perturb
from ue_cli.banks.layout import CellField, oriented
from ue_cli.textures.phases import keyed_phasors
from ue_cli.textures.presets import FILLING
from ue_cli.textures.texture import TextureField, TextureRecipe, draw_code
from ue_cli.types import Budget, FloatArray, PixelArray


@dataclass(frozen=True)
class Constant(Sampled):
    """A field of one colour."""

    colour: tuple[float, float, float]

    def sample(self, y: FloatArray, x: FloatArray) -> FloatArray:
        return np.broadcast_to(np.array(self.colour, np.float32), (len(y), len(x), 3))


def texture(seed: int, short_side: int, recipe: TextureRecipe = FILLING) -> TextureField:
    key = seed.to_bytes(4, "little")
    code = draw_code(key, recipe)
    return TextureField(code, keyed_phasors(key, code), short_side, short_side)


@st.composite
def images(draw: st.DrawFn) -> PixelArray:
    dtype = draw(st.sampled_from([np.uint8, np.uint16]))
    height, width = draw(st.integers(1, 9)), draw(st.integers(1, 9))
    channels = draw(st.sampled_from([1, 3]))
    image: PixelArray = draw(hnp.arrays(dtype, (height, width, channels)))
    return image


@settings(deadline=None, max_examples=60)
@given(
    image=images(),
    levels=st.integers(1, 64),
    seed=st.integers(0, 999),
    orientation=st.integers(1, 8),
)
def test_perturbed_images_stay_in_the_ball(
    image: PixelArray, levels: int, seed: int, orientation: int
) -> None:
    before, budget = image.copy(), Budget(levels)
    height, width, _ = image.shape
    field = oriented(texture(seed, min(height, width)), orientation, height, width)
    protected = perturb(image, field, budget)

    assert np.array_equal(image, before)
    assert protected.dtype == image.dtype
    assert protected.shape == image.shape
    distance = protected.astype(np.int64) - image.astype(np.int64)
    assert np.abs(distance).max() <= budget.radius(image.dtype)


def test_a_field_that_oversteps_is_held() -> None:
    image = np.full((2, 3, 3), 100, np.uint8)
    out = perturb(image, Constant((7.0, -7.0, float("inf"))), Budget(8))
    assert out.tolist() == [[[108, 92, 108]] * 3] * 2


def test_values_are_rounded_not_truncated() -> None:
    image = np.full((1, 1, 3), 100, np.uint8)
    # ±0.7 of a level: truncation would give 100 and 99.
    out = perturb(image, Constant((0.7 / 8, -0.7 / 8, 0.2 / 8)), Budget(8))
    assert out.ravel().tolist() == [101, 99, 100]


def test_sixteen_bits_use_257_times_the_levels() -> None:
    image = np.full((1, 1, 3), 30_000, np.uint16)
    out = perturb(image, Constant((1.0, -1.0, 0.5)), Budget(8))
    assert out.ravel().tolist() == [30_000 + 2056, 30_000 - 2056, 30_000 + 1028]
    ends = np.array([[[10, 65_530, 0]]], np.uint16)
    assert perturb(ends, Constant((-1.0, 1.0, -1.0)), Budget(8)).ravel().tolist() == [0, 65_535, 0]


@pytest.mark.parametrize(("recipe", "least"), [(FILLING, 6.0), (TextureRecipe(), 1.5)])
def test_gray_uses_the_ball_that_colours_leave(recipe: TextureRecipe, least: float) -> None:
    image = np.full((64, 64, 1), 128, np.uint8)
    field = texture(3, 64, recipe)
    delta = perturb(image, GrayField(field), Budget(8)).astype(np.int16) - image
    axis = np.arange(64) + 0.5
    luma = field.sample(axis, axis) @ np.array([0.299, 0.587, 0.114])
    assert delta.shape == (64, 64, 1)
    assert np.abs(delta).mean() > least
    strong = np.abs(luma) > 0.1
    assert np.array_equal(np.sign(delta[:, :, 0])[strong], np.sign(luma)[strong])
    assert np.abs(gray_target(field.sample(axis, axis))).max() <= 1
    assert GrayField(field).cycles == field.cycles


def test_chunks_leave_no_seam() -> None:
    """Rows beyond a chunk continue the same function: compare with one evaluation of it all."""
    image = np.full((3000, 70, 3), 128, np.uint8)
    field = CellField(np.random.default_rng(0).uniform(-1, 1, (9, 4, 3)).astype("f4"), 3000, 70)
    y, x = (np.arange(n, dtype=np.float32) + np.float32(0.5) for n in (3000, 70))
    expected = np.rint(128 + 8 * field.sample(y, x))
    assert np.array_equal(perturb(image, field, Budget(8)), expected)


def test_memory_does_not_grow_with_the_image() -> None:
    def extra(side: int) -> int:
        image = np.zeros((side, side, 3), np.uint8)
        tracemalloc.start()
        perturb(image, texture(1, side), Budget(8))
        peak = tracemalloc.get_traced_memory()[1] - image.nbytes
        tracemalloc.stop()
        return peak

    assert extra(1500) < 1.3 * extra(700) < 40e6
