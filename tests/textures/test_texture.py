"""Class textures: the formula, its symmetries, and its keyed draws."""

from __future__ import annotations

import json

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ue_cli.textures.phases import keyed_phasors
from ue_cli.textures.texture import (
    Colours,
    TextureCode,
    TextureField,
    TextureRecipe,
    draw_code,
    fundamental,
    phases_for,
    quiet_colour,
    recipe_from_json,
    recipe_to_json,
    uniforms,
)
from ue_cli.types import FloatArray, project

FIXED = [0.059974285440191566, 0.26089285167145637, 0.7288438088706284]
seeds = st.binary(min_size=1, max_size=40)


def centres(count: int) -> FloatArray:
    return np.arange(count) + 0.5


def keyed(seed: bytes, height: int, width: int, gain: float = 1.0) -> TextureField:
    """One phase per wave and photo."""
    code = draw_code(seed, TextureRecipe(gain=gain, bandwidth=0))
    return TextureField(code, keyed_phasors(seed, code), height, width)


def by_definition(field: TextureField, y: float, x: float) -> FloatArray:
    """The formula of the module's docstring at one position."""
    u = np.array([y, x]) / min(field.height, field.width)
    _, rows, columns = field.phasors.shape
    total = 0.0
    for f, phasors in zip(field.code.frequencies, field.phasors, strict=True):
        nodes = [
            np.interp(x / field.width * (columns - 1), np.arange(columns), row) for row in phasors
        ]
        phasor = np.interp(y / field.height * (rows - 1), np.arange(rows), nodes)
        total += (phasor * np.exp(2j * np.pi * float(f @ u))).real
    return field.code.colour * float(np.clip(field.code.gain * total, -1, 1))


@settings(deadline=None, max_examples=20)
@given(
    seed=seeds,
    height=st.integers(1, 9),
    width=st.integers(1, 9),
    rows=st.integers(1, 4),
    columns=st.integers(1, 4),
)
def test_sample_is_the_formula(
    seed: bytes, height: int, width: int, rows: int, columns: int
) -> None:
    code = draw_code(seed, TextureRecipe(waves=2, gain=1.5))
    phases = 2 * np.pi * uniforms(seed, 2 * rows * columns).reshape(2, rows, columns)
    field = TextureField(code, np.exp(1j * phases), height, width)
    found = field.sample(centres(height), centres(width))
    assert found.dtype == np.float64
    assert found.shape == (height, width, 3)
    assert np.abs(found).max() <= 1
    expected = [
        [by_definition(field, i + 0.5, j + 0.5) for j in range(width)] for i in range(height)
    ]
    assert np.allclose(found, expected, atol=1e-9)
    part = field.sample(centres(height)[height // 2 :], centres(width)[: 1 + width // 2])
    assert np.allclose(part, found[height // 2 :, : 1 + width // 2], atol=1e-9)


@settings(deadline=None, max_examples=20)
@given(seed=seeds, dy=st.integers(-50, 50), dx=st.integers(-50, 50))
def test_moving_the_texture_is_a_change_of_phase(seed: bytes, dy: int, dx: int) -> None:
    """Why a crop does not hide it: no place in it is special."""
    field = keyed(seed, 64, 64)
    turn = 2 * np.pi * field.code.frequencies @ np.array([dy, dx]) / 64
    moved = field.sample(centres(20) + dy, centres(30) + dx)
    turned = field.phasors * np.exp(1j * turn)[:, None, None]
    rephased = TextureField(field.code, turned, 64, 64)
    assert np.allclose(moved, rephased.sample(centres(20), centres(30)), atol=1e-9)


def test_the_same_part_of_the_frame_at_any_resolution() -> None:
    small = keyed(b"k", 40, 60).sample(centres(40), centres(60))
    large = keyed(b"k", 120, 180).sample(centres(120)[1::3], centres(180)[1::3])
    assert np.allclose(small, large, atol=1e-9)


def test_phases_average_the_pattern_away() -> None:
    """The class mean shows nothing to who averages the class's files."""
    code = draw_code(b"class", TextureRecipe())
    mean = np.mean(
        [
            TextureField(code, keyed_phasors(bytes([i, j]), code), 32, 32).sample(
                centres(32), centres(32)
            )
            for i in range(16)
            for j in range(16)
        ],
        axis=0,
    )
    assert np.abs(mean).mean() < 0.1


@settings(deadline=None, max_examples=40)
@given(
    seed=seeds,
    waves=st.integers(1, 6),
    low=st.floats(0.5, 10),
    ratio=st.floats(1, 4),
    colours=st.sampled_from(["quiet", "blue-yellow"]),
)
def test_codes_lie_in_their_band_and_survive_json(
    seed: bytes, waves: int, low: float, ratio: float, colours: Colours
) -> None:
    recipe = TextureRecipe(waves=waves, low=low, high=low * ratio, colours=colours)
    code = draw_code(seed, recipe)
    radius = np.linalg.norm(code.frequencies, axis=1)
    assert radius.min() >= low * 0.9999
    assert radius.max() <= low * ratio * 1.0001
    assert np.abs(code.colour).max() == 1
    assert np.array_equal(code.colours, [code.colour] * waves)
    if colours == "blue-yellow":
        assert code.colour.tolist() == [1, 1, -1]
    else:
        red, _, blue = code.colour
        angle = np.degrees(np.arctan2(blue, red))
        assert recipe.first - 1e-9 <= angle <= recipe.last + 1e-9

    again = draw_code(seed, recipe)
    back = TextureCode.from_json(json.loads(json.dumps(code.to_json())))
    for other in (again, back):
        assert np.array_equal(other.frequencies, code.frequencies)
        assert np.array_equal(other.colour, code.colour)
        assert other.gain == code.gain
    assert recipe_from_json(json.loads(json.dumps(recipe_to_json(recipe)))) == recipe


@pytest.mark.parametrize("degrees", [0.0, 30.0, 45.0, 80.0, 90.0])
def test_quiet_colours_keep_the_luminance(degrees: float) -> None:
    red, green, blue = colour = quiet_colour(degrees)
    assert abs(0.2126 * red + 0.7152 * green + 0.0722 * blue) < 1e-12
    assert np.abs(colour).max() == 1
    assert blue * np.cos(np.radians(degrees)) == pytest.approx(red * np.sin(np.radians(degrees)))


@settings(deadline=None, max_examples=20)
@given(seed=seeds, rows=st.integers(1, 6), columns=st.integers(1, 6))
def test_blocks_of_a_soft_wave_are_its_projections(seed: bytes, rows: int, columns: int) -> None:
    code = draw_code(seed, TextureRecipe(low=4, high=9))
    phases = 2 * np.pi * uniforms(seed, rows * columns).reshape(1, rows, columns)
    field = TextureField(code, np.exp(1j * phases), 96, 128)
    y, x = ((np.arange(n * 8) + 0.5).reshape(n, 8) for n in (12, 16))
    basis = np.cos(np.outer(np.arange(8) + 0.5, np.arange(3)) * np.pi / 8)
    soft = field.softened()
    found = soft.transformed(y, x, basis)
    assert np.allclose(found, project(soft, y, x, basis), atol=1e-9)
    # Of hard edges the wave is left that has as much of them as any wave of its length.
    assert np.allclose(field.transformed(y, x, basis), fundamental(code.gain) * found)


def test_a_clipped_wave_is_mostly_one_wave() -> None:
    assert fundamental(0.7) == 0.7 and fundamental(1.0) == pytest.approx(1)
    turn = np.linspace(0, 2 * np.pi, 4096, endpoint=False)
    for gain in (1.5, 3.0, 8.0):
        wave = np.clip(gain * np.cos(turn), -1, 1)
        assert fundamental(gain) == pytest.approx(2 * float((wave * np.cos(turn)).mean()), 1e-5)
    assert fundamental(1e6) == pytest.approx(4 / np.pi)


def test_a_field_knows_its_finest_wave() -> None:
    code = TextureCode(np.array([[3.0, 4.0], [0.0, -13.0]]), np.array([1.0, 1.0, -1.0]), 1.0)
    assert TextureField(code, keyed_phasors(b"k", code), 8, 9).cycles == 13


def test_seeds_do_not_share_codes_or_phases() -> None:
    recipe = TextureRecipe()
    assert not np.array_equal(
        draw_code(b"a", recipe).frequencies, draw_code(b"b", recipe).frequencies
    )
    assert not np.array_equal(phases_for(b"a", 3), phases_for(b"b", 3))


def test_uniforms_are_fixed_for_good() -> None:
    """A collection's textures are re-derived years later: these digits may never change."""
    assert uniforms(b"ue", 3).tolist() == FIXED
    many = uniforms(b"many", 20_000)
    assert 0 <= many.min() < many.max() < 1
    assert abs(many.mean() - 0.5) < 0.01
    assert abs(many.std() - 12**-0.5) < 0.01
