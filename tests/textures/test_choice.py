from __future__ import annotations

import subprocess
import sys
from dataclasses import dataclass

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from ue_cli.textures.choice import (
    POOL,
    optimise_codes,
    pool_for,
    texture_csd,
    texture_features,
)
from ue_cli.textures.texture import TextureCode, TextureRecipe, draw_code, quiet_colour


def draw(seed: bytes) -> TextureCode:
    return draw_code(seed, TextureRecipe())


def seeds(count: int, owner: str = "owner") -> dict[str, bytes]:
    return {f"class {i}": f"{owner}/{i}".encode() for i in range(count)}


@dataclass(frozen=True)
class Plain:
    frequencies: NDArray[np.float64]
    colours: NDArray[np.float64]


def plain(waves: list[tuple[float, float, tuple[float, float, float]]]) -> Plain:
    """Waves given as cycles, degrees, colour."""
    turn = [np.radians(degrees) for _, degrees, _ in waves]
    pairs = [(f * np.sin(t), f * np.cos(t)) for (f, _, _), t in zip(waves, turn, strict=True)]
    return Plain(np.array(pairs), np.array([c for *_, c in waves], np.float64))


def same(left: TextureCode, right: TextureCode) -> bool:
    return left.to_json() == right.to_json()


def test_selection_lowers_csd_and_repeats_itself() -> None:
    first = optimise_codes(seeds(6), draw, pool=16)
    again = optimise_codes(dict(reversed(seeds(6).items())), draw, pool=16)
    assert first.csd_before is not None and first.csd_after is not None
    assert first.csd_after < 0.95 * first.csd_before
    assert all(same(first.codes[name], again.codes[name]) for name in first.codes)
    assert first.csd_after == pytest.approx(texture_csd(list(first.codes.values())))


def test_another_owner_gets_other_codes() -> None:
    mine, theirs = (optimise_codes(seeds(4, who), draw, pool=8) for who in ("me", "them"))
    assert not any(same(mine.codes[name], theirs.codes[name]) for name in mine.codes)


def test_more_candidates_lower_csd_and_many_classes_have_fewer() -> None:
    of = {size: optimise_codes(seeds(6), draw, pool=size).csd_after or 0.0 for size in (1, 16, 64)}
    assert of[64] < of[16] < of[1]
    usual = optimise_codes(seeds(2), draw)
    assert usual.candidates == pool_for(2) == POOL
    pools = [pool_for(count) for count in (1, 16, 17, 100, 1000, 10_000)]
    assert pools == sorted(pools, reverse=True) and pools[-1] == 16 == pools[-2]


def test_a_pool_of_one_is_the_random_draw() -> None:
    chosen = optimise_codes(seeds(3), draw, pool=1)
    assert all(same(chosen.codes[name], draw(seed)) for name, seed in seeds(3).items())
    assert chosen.csd_before == chosen.csd_after


def test_one_class_takes_its_first_code_and_has_no_csd() -> None:
    chosen = optimise_codes(seeds(1), draw)
    assert same(chosen.codes["class 0"], draw(b"owner/0"))
    assert chosen.csd_before is None and chosen.csd_after is None


def test_no_class_is_no_work() -> None:
    assert optimise_codes({}, draw).codes == {}


def test_a_class_that_joins_avoids_the_frozen_ones_and_changes_none() -> None:
    first = optimise_codes(seeds(1), draw).codes["class 0"]
    frozen = {"old": first}
    joined = optimise_codes({"new": b"owner/0"}, draw, frozen=frozen, pool=16)
    assert list(joined.codes) == ["new"] and frozen == {"old": first}
    assert not same(joined.codes["new"], first)
    assert joined.csd_after is not None and joined.csd_before is not None
    assert joined.csd_after < joined.csd_before


def test_progress_ends_at_one_and_never_goes_back() -> None:
    shares: list[float] = []
    optimise_codes(seeds(3), draw, pool=4, on_step=shares.append)
    assert shares == sorted(shares) and shares[-1] == 1.0


@given(st.binary(min_size=1, max_size=8))
@settings(deadline=None, max_examples=20)
def test_a_code_and_its_mirror_image_are_one(seed: bytes) -> None:
    code = draw(seed)
    mirror = TextureCode(code.frequencies * np.array([1, -1]), code.colour, code.gain)
    features = texture_features([code, mirror])
    np.testing.assert_allclose(features[0], features[1], atol=1e-3)


def test_the_order_and_the_sign_of_waves_do_not_matter() -> None:
    waves = [(9.0, 20.0, (1.0, -1.0, 0.5)), (14.0, 70.0, (-0.5, 0.2, 1.0))]
    turned = [(f, degrees + 180, colour) for f, degrees, colour in reversed(waves)]
    one, other = texture_features([plain(waves), plain(turned)])
    np.testing.assert_allclose(one, other, atol=1e-3)


def test_codes_of_different_length_are_compared() -> None:
    short = plain([(9.0, 20.0, (1.0, -1.0, 1.0))])
    long = plain([(9.0, 20.0, (1.0, -1.0, 1.0)), (14.0, 80.0, (1.0, 1.0, -1.0))])
    assert texture_csd([short, long]) is not None


def test_strong_colour_is_worth_more_than_luma() -> None:
    places = [(9.0, 0.0), (14.0, 40.0), (11.0, 80.0)]
    luma, chroma = (
        texture_csd([plain([(f, degrees, colour)]) for f, degrees in places])
        for colour in ((1.0, 1.0, 1.0), (1.0, -1.0, 1.0))
    )
    assert luma is not None and chroma is not None and chroma < luma


def test_a_difference_that_a_crop_hides_is_worth_less_than_one_it_keeps() -> None:
    colour = (1.0, -1.0, 1.0)
    by_scale = texture_csd([plain([(11.0, 0.0, colour)]), plain([(13.0, 0.0, colour)])])
    by_turn = texture_csd([plain([(12.0, 0.0, colour)]), plain([(12.0, 90.0, colour)])])
    assert by_scale is not None and by_turn is not None and by_turn < by_scale


def test_codes_that_differ_in_hue_alone_are_told_apart() -> None:
    """As a network does: hue is what quiet colours differ in."""
    codes = [
        TextureCode(np.array([[12.0, 12.0]]), quiet_colour(degrees), 3.0)
        for degrees in (30.0, 40.0, 80.0)
    ]
    near, far = texture_csd(codes[:2]), texture_csd([codes[0], codes[2]])
    assert near is not None and far is not None and far < 5 and far < 0.8 * near


def test_the_module_needs_no_torch() -> None:
    code = "import sys, ue_cli.textures.choice; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
