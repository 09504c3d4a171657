"""Class textures: the formula, its symmetries, and its keyed draws."""

from __future__ import annotations

import json

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from ue_cli.perturbation.phases import keyed_phasors
from ue_cli.perturbation.texture import (
    Colours,
    TextureCode,
    TextureField,
    TextureRecipe,
    draw_code,
    phases_for,
    recipe_from_json,
    recipe_to_json,
    uniforms,
)
from ue_cli.types import FloatArray

FIXED = [0.059974285440191566, 0.26089285167145637, 0.7288438088706284]
seeds = st.binary(min_size=1, max_size=40)


def centres(count: int) -> FloatArray:
    return np.arange(count, dtype=np.float32) + np.float32(0.5)


def keyed(seed: bytes, height: int, width: int, gain: float = 1.0) -> TextureField:
    """One phase per wave and photo."""
    code = draw_code(seed, TextureRecipe(gain=gain, bandwidth=0))
    return TextureField(code, keyed_phasors(seed, code), height, width)


def by_definition(field: TextureField, y: float, x: float) -> FloatArray:
    """The formula of the module's docstring at one position."""
    u = np.array([y, x]) / min(field.height, field.width)
    _, rows, columns = field.phasors.shape
    total = np.zeros(3)
    for f, c, phasors in zip(
        field.code.frequencies.astype(float), field.code.colours, field.phasors, strict=True
    ):
        nodes = [
            np.interp(x / field.width * (columns - 1), np.arange(columns), row) for row in phasors
        ]
        phasor = np.interp(y / field.height * (rows - 1), np.arange(rows), nodes)
        total += c * (phasor * np.exp(2j * np.pi * float(f @ u))).real
    return np.clip(field.code.gain * total, -1, 1).astype(np.float32)


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
    code = draw_code(seed, TextureRecipe(gain=1.5))
    phases = 2 * np.pi * uniforms(seed, 2 * rows * columns).reshape(2, rows, columns)
    field = TextureField(code, np.exp(1j * phases).astype(np.complex64), height, width)
    found = field.sample(centres(height), centres(width))
    assert found.dtype == np.float32
    assert found.shape == (height, width, 3)
    assert np.abs(found).max() <= 1
    expected = [
        [by_definition(field, i + 0.5, j + 0.5) for j in range(width)] for i in range(height)
    ]
    assert np.allclose(found, expected, atol=1e-4)
    part = field.sample(centres(height)[height // 2 :], centres(width)[: 1 + width // 2])
    assert np.allclose(part, found[height // 2 :, : 1 + width // 2], atol=1e-4)


@settings(deadline=None, max_examples=20)
@given(seed=seeds, dy=st.integers(-50, 50), dx=st.integers(-50, 50))
def test_moving_the_texture_is_a_change_of_phase(seed: bytes, dy: int, dx: int) -> None:
    """Why a crop does not hide it: no place in it is special."""
    field = keyed(seed, 64, 64)
    turn = 2 * np.pi * field.code.frequencies @ np.array([dy, dx], np.float32) / 64
    moved = field.sample(centres(20) + np.float32(dy), centres(30) + np.float32(dx))
    turned = field.phasors * np.exp(1j * turn)[:, None, None]
    rephased = TextureField(field.code, turned.astype(np.complex64), 64, 64)
    assert np.allclose(moved, rephased.sample(centres(20), centres(30)), atol=2e-4)


def test_the_same_part_of_the_frame_at_any_resolution() -> None:
    small = keyed(b"k", 40, 60).sample(centres(40), centres(60))
    large = keyed(b"k", 120, 180).sample(centres(120)[1::3], centres(180)[1::3])
    assert np.allclose(small, large, atol=1e-4)


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
    colours=st.sampled_from(["any", "blue-yellow"]),
)
def test_codes_lie_in_their_band_and_survive_json(
    seed: bytes, waves: int, low: float, ratio: float, colours: Colours
) -> None:
    recipe = TextureRecipe(waves=waves, low=low, high=low * ratio, colours=colours)
    code = draw_code(seed, recipe)
    radius = np.linalg.norm(code.frequencies, axis=1)
    assert radius.min() >= low * 0.9999
    assert radius.max() <= low * ratio * 1.0001
    assert np.allclose(np.linalg.norm(code.colours, axis=1), 1, atol=1e-5)
    if colours == "blue-yellow":
        assert np.allclose(code.colours, [[3**-0.5, 3**-0.5, -(3**-0.5)]] * waves, atol=1e-5)

    again = draw_code(seed, recipe)
    back = TextureCode.from_json(json.loads(json.dumps(code.to_json())))
    for other in (again, back):
        assert np.array_equal(other.frequencies, code.frequencies)
        assert np.array_equal(other.colours, code.colours)
        assert other.gain == code.gain
    assert recipe_from_json(json.loads(json.dumps(recipe_to_json(recipe)))) == recipe


def test_a_collection_from_before_keeps_its_codes() -> None:
    """What was drawn before colours and phases were chosen is drawn so again."""
    old = recipe_from_json({"waves": 3, "low": 8.0, "high": 16.0, "gain": 8.0})
    assert (old.colours, old.bandwidth) == ("any", 0.0)
    expected = [[-0.3969, 0.9158, -0.062], [-0.4182, 0.1559, 0.8949], [0.1618, -0.9849, 0.0622]]
    assert np.allclose(draw_code(b"before", old).colours, expected, atol=1e-4)


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
