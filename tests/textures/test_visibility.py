"""The bound on what is seen: kept on any picture, spent where it is seen least, and measured."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from PIL import Image

from ue_cli.banks.apply import GrayField, perturb
from ue_cli.banks.layout import oriented
from ue_cli.errors import UeError
from ue_cli.textures.phases import keyed_phasors, local_phasors
from ue_cli.textures.texture import TextureCode, TextureField, TextureRecipe, draw_code
from ue_cli.textures.visibility import bounded, predicted, small_copy
from ue_cli.textures.vision import scene
from ue_cli.types import (
    LOOKS,
    STANDARD,
    STRONG,
    SUBTLE,
    Budget,
    Field,
    Look,
    PixelArray,
    project,
)

BUDGET = Budget(8)
KINDS = ("noise", "flat", "gray", "dark", "bright", "saturated", "photo", "half")


def picture(kind: str, height: int, width: int, seed: int = 0) -> NDArray[np.uint8]:
    rng = np.random.default_rng(seed)
    noise = rng.integers(0, 256, (height, width, 3), np.uint8)
    if kind == "noise":
        return noise
    if kind == "flat":
        return np.broadcast_to(rng.integers(0, 256, 3, np.uint8), noise.shape).copy()
    if kind == "gray":
        return noise[:, :, :1]
    if kind == "dark":
        return noise // 32
    if kind == "bright":
        return 255 - noise // 32
    if kind == "saturated":
        return np.where(noise > 127, 255, 0).astype(np.uint8)
    coarse = Image.fromarray(rng.integers(40, 216, (5, 7, 3), np.uint8))
    smooth = np.array(coarse.resize((width, height), Image.Resampling.BICUBIC), np.int64)
    if kind == "half":
        smooth[:, width // 2 :] += rng.integers(-40, 41, smooth[:, width // 2 :].shape[:2])[
            ..., None
        ]
    return smooth.clip(0, 255).astype(np.uint8)


def texture(
    pixels: PixelArray, orientation: int = 1, *, recipe: TextureRecipe | None = None, seed: int = 0
) -> Field:
    """A class's texture on a picture, in displayed orientation."""
    code = draw_code(bytes([seed]), recipe or TextureRecipe())
    small = small_copy(pixels, orientation)
    height, width = displayed(pixels, orientation)
    phasors = local_phasors(b"photo", code, small.astype(np.float64), 0.25)
    field = TextureField(code, phasors, height, width)
    return GrayField(field) if pixels.shape[2] == 1 else field


def displayed(pixels: PixelArray, orientation: int) -> tuple[int, int]:
    height, width = pixels.shape[:2]
    return (width, height) if orientation >= 5 else (height, width)


def protected(
    pixels: PixelArray, field: Field, look: Look, orientation: int = 1, budget: Budget = BUDGET
) -> tuple[PixelArray, float]:
    """What a picture becomes, and the JOD that is predicted of that."""
    size = displayed(pixels, orientation)
    seen = scene(small_copy(pixels, orientation), *size)
    target = bounded(field, seen, size, budget, look)
    out = perturb(pixels, oriented(target, orientation, *pixels.shape[:2]), budget)
    return out, predicted(seen, pixels, out, orientation, budget)


@pytest.mark.parametrize("look", [SUBTLE, STANDARD])
@pytest.mark.parametrize("kind", KINDS)
def test_a_picture_keeps_its_look(kind: str, look: Look) -> None:
    """Rounding to whole levels adds a little to what is seen, most where a picture is flat."""
    pixels = picture(kind, 150, 230)
    out, jod = protected(pixels, texture(pixels), look)
    assert look.jod is not None and 9.99 > jod >= look.jod - 0.1
    assert 0 < np.abs(out.astype(int) - pixels).max() <= 8


@settings(deadline=None, max_examples=60)
@given(
    kind=st.sampled_from(KINDS),
    height=st.integers(1, 300),
    width=st.integers(1, 500),
    seed=st.integers(0, 99),
    orientation=st.integers(1, 8),
    deep=st.booleans(),
    look=st.sampled_from([SUBTLE, STANDARD]),
)
def test_any_picture_keeps_its_look_at_some_amplitude(
    kind: str, height: int, width: int, seed: int, orientation: int, deep: bool, look: Look
) -> None:
    """At once, or, where rounding to whole levels adds to what is seen, at a smaller one."""
    pixels: PixelArray = picture(kind, height, width, seed)
    if deep:
        pixels = pixels.astype(np.uint16) * np.uint16(257)
    size = displayed(pixels, orientation)
    seen = scene(small_copy(pixels, orientation), *size)
    target = bounded(texture(pixels, orientation, seed=seed), seen, size, BUDGET, look)
    assert look.jod is not None and 0 <= target.amplitude.min() <= target.amplitude.max() <= 1
    for factor in (1.0, 0.8, 0.6, 0.4, 0.2):
        smaller = oriented(target.scaled(factor), orientation, height, width)
        out = perturb(pixels, smaller, BUDGET)
        assert np.abs(out.astype(np.int64) - pixels).max() <= BUDGET.radius(pixels.dtype)
        jod = predicted(seen, pixels, out, orientation, BUDGET)
        if jod >= look.jod - 0.02:
            break
    assert jod >= look.jod - 0.02


def test_it_is_stronger_where_the_picture_is_busy() -> None:
    pixels = picture("half", 200, 300)
    out, _ = protected(pixels, texture(pixels), SUBTLE)
    change = np.abs(out.astype(int) - pixels)
    assert change[:, 180:].mean() > 1.2 * change[:, :120].mean()


def test_a_stricter_look_asks_for_less() -> None:
    pixels = picture("photo", 200, 300)
    sizes = [
        float(np.abs(protected(pixels, texture(pixels), look)[0].astype(int) - pixels).mean())
        for look in LOOKS
    ]
    assert [look.name for look in LOOKS] == ["subtle", "standard", "strong"]
    assert 0 < sizes[0] < sizes[1] < sizes[2]


def test_strong_leaves_the_field_alone() -> None:
    pixels = picture("photo", 90, 70)
    field = texture(pixels)
    target = bounded(field, scene(small_copy(pixels), 90, 70), (90, 70), BUDGET, STRONG)
    y, x = np.arange(90) + 0.5, np.arange(70) + 0.5
    assert np.array_equal(target.sample(y, x), field.sample(y, x))
    assert target.cycles == field.cycles


def test_no_amplitude_is_beyond_the_ceiling() -> None:
    pixels = picture("noise", 90, 70)
    seen = scene(small_copy(pixels), 90, 70)
    target = bounded(texture(pixels), seen, (90, 70), BUDGET, SUBTLE, ceiling=0.4)
    assert 0 < target.amplitude.max() <= 0.4


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("shape", [(1, 1), (3, 200), (150, 230)])
def test_a_picture_is_like_itself(kind: str, shape: tuple[int, int]) -> None:
    pixels = picture(kind, *shape)
    seen = scene(small_copy(pixels), *shape)
    assert predicted(seen, pixels, pixels, 1, BUDGET) == 10


def test_more_is_seen_more_and_luma_more_than_quiet_colours() -> None:
    pixels = picture("photo", 160, 240)
    seen = scene(small_copy(pixels), 160, 240)
    quiet = draw_code(b"class", TextureRecipe())
    luma = replace(quiet, colour=np.ones(3))

    def jod(code: TextureCode, levels: float) -> float:
        field = TextureField(code, keyed_phasors(b"photo", code), 160, 240)
        y, x = np.arange(160) + 0.5, np.arange(240) + 0.5
        out = np.rint(pixels + levels * field.sample(y, x)).astype(np.uint8)
        return predicted(seen, pixels, out, 1, BUDGET)

    for code in (quiet, luma):
        found = [jod(code, levels) for levels in (2, 4, 8)]
        assert 10 > found[0] > found[1] > found[2]
    assert 10 - jod(luma, 4) > 1.5 * (10 - jod(quiet, 4))


def test_how_far_a_viewer_sits_is_thought_of() -> None:
    """Also where a picture is looked at closer than fitted to the screen, or enlarged."""
    small, large = (
        scene(np.zeros((128, 192, 3), np.uint8), *s) for s in ((128, 192), (2560, 3840))
    )
    assert len(small.densities) == 2 and len(large.densities) == 2
    assert len(scene(np.zeros((128, 192, 3), np.uint8), 600, 900).densities) == 1


def test_blocks_of_a_bounded_wave_are_nearly_its_projections() -> None:
    pixels = picture("half", 160, 240)
    field = texture(pixels).softened()
    target = bounded(field, scene(small_copy(pixels), 160, 240), (160, 240), BUDGET, STANDARD)
    y, x = ((np.arange(n * 8) + 0.5).reshape(n, 8) for n in (20, 30))
    basis = np.cos(np.outer(np.arange(8) + 0.5, np.arange(3)) * np.pi / 8)
    found, exact = target.transformed(y, x, basis), project(target, y, x, basis)
    assert np.abs(found - exact).mean() < 0.1 * np.abs(exact).mean()


def test_names_of_looks() -> None:
    for look in LOOKS:
        assert Look.parse(f" {look.name.upper()} ") is look
    for wrong in ("", "weak", "9.5", "none"):
        with pytest.raises(UeError, match="one of subtle, standard, strong") as caught:
            Look.parse(wrong)
        assert caught.value.code == "look-unknown" and repr(wrong) in caught.value.message
