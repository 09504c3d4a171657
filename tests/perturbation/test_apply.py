"""Fields onto pixels: within budget whatever the field says, and exactly undone."""

from __future__ import annotations

import struct
import tracemalloc
import zlib
from dataclasses import dataclass
from typing import Any

import hypothesis.extra.numpy as hnp
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from tests.perturbation.fields import Sampled
from ue_cli.errors import ExitCode, UeError
from ue_cli.perturbation.apply import (
    GrayField,
    applied,
    gray_target,
    pack_delta,
    perturb,
    remove,
    unpack_delta,
)
from ue_cli.perturbation.layout import CellField, oriented
from ue_cli.perturbation.phases import keyed_phasors
from ue_cli.perturbation.presets import FILLING
from ue_cli.perturbation.texture import TextureField, TextureRecipe, draw_code
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
def test_perturbed_images_stay_in_the_ball_and_come_back(
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
    delta = applied(image, protected)
    assert np.array_equal(delta, distance)
    assert np.array_equal(remove(protected, unpack_delta(pack_delta(delta))), image)


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
    delta = applied(image, perturb(image, GrayField(field), Budget(8)))
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


@settings(deadline=None, max_examples=40)
@given(pair=hnp.arrays(np.uint8, (2, 3, 2, 3)))
def test_remove_is_exact_for_any_two_images(pair: NDArray[np.uint8]) -> None:
    """Also where a re-encoded file moved further than an int8 can say."""
    first, second = pair
    assert np.array_equal(remove(second, applied(first, second)), first)


DELTA: NDArray[np.int8] = np.arange(-6, 6, dtype=np.int8).reshape(2, 2, 3)


def test_remove_refuses_another_images_delta() -> None:
    for image in (np.zeros((2, 3, 3), np.uint8), np.zeros((2, 2, 3), np.uint16)):
        with pytest.raises(UeError, match="it is for an image of"):
            remove(image, DELTA)


def header(itemsize: int, *shape: int) -> bytes:
    return struct.pack("<4sB3I", b"UED1", itemsize, *shape)


@pytest.mark.parametrize(
    ("blob", "words"),
    [
        (b"", "begin"),
        (b"UED1", "begin"),
        (b"XXXX" + pack_delta(DELTA)[4:], "begin"),
        (pack_delta(DELTA)[:-3], "more or less"),
        (pack_delta(DELTA) + b"x", "more or less"),
        (pack_delta(DELTA)[:-6] + b"\0" * 6, "zlib|Error|incorrect"),
        (header(1, 2, 2, 3) + zlib.compress(b"\0" * 13), "more or less"),
        (header(1, 2, 2, 3) + zlib.compress(b"\0" * 11), "more or less"),
        (header(3, 2, 2, 3) + zlib.compress(b"\0" * 36), "3 bytes per value"),
        (header(1, 0, 2, 3) + zlib.compress(b""), "claims the shape"),
        (header(2, 0xFFFFFFFF, 0xFFFFFFFF, 3) + zlib.compress(b"\0"), "claims the shape"),
    ],
)
def test_damaged_records_are_refused(blob: bytes, words: str) -> None:
    with pytest.raises(UeError, match=words) as caught:
        unpack_delta(blob)
    assert caught.value.exit_code == ExitCode.VERIFICATION_FAILED
    assert caught.value.hint


def test_a_small_record_cannot_unpack_to_much() -> None:
    bomb = header(1, 2, 2, 3) + zlib.compress(b"\0" * 50_000_000)
    tracemalloc.start()
    with pytest.raises(UeError, match="more or less"):
        unpack_delta(bomb)
    assert tracemalloc.get_traced_memory()[1] < 1_000_000
    tracemalloc.stop()
    with pytest.raises(UeError, match="claims the shape"):
        unpack_delta(pack_delta(DELTA), max_bytes=11)


@settings(deadline=None, max_examples=60)
@given(junk=st.binary(max_size=80))
def test_any_bytes_give_a_delta_or_a_sentence(junk: bytes) -> None:
    with pytest.raises(UeError):
        unpack_delta(b"UED1" + junk)


@settings(deadline=None, max_examples=40)
@given(
    delta=st.sampled_from(["i1", "i2"]).flatmap(
        lambda kind: hnp.arrays(np.dtype(kind), hnp.array_shapes(min_dims=3, max_dims=3))
    )
)
def test_packing_is_lossless(delta: NDArray[Any]) -> None:
    found = unpack_delta(pack_delta(delta))
    assert found.dtype == delta.dtype
    assert np.array_equal(found, delta)
