from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor
from torch.nn import functional

from ue_cli.certificates.intervals import clopper_pearson
from ue_cli.errors import UeError
from ue_cli.training import probes
from ue_cli.training.probes import FEWEST, measure_detectability
from ue_cli.types.detectability import Separability

CLASSES, SIDE = 4, 16


def photos(count: int, seed: int = 0) -> tuple[Tensor, Tensor]:
    """Smooth colours with a little grain, and labels that the content knows nothing of."""
    draw = torch.Generator().manual_seed(seed)
    coarse = 40 + 160 * torch.rand(count, 3, 4, 4, generator=draw)
    smooth = functional.interpolate(coarse, (SIDE, SIDE), mode="bilinear")
    grain = 2 * torch.randn(count, 3, SIDE, SIDE, generator=draw)
    return (smooth + grain).round().to(torch.uint8), torch.arange(count) % CLASSES


def with_pattern(clean: Tensor, labels: Tensor, levels: int = 8) -> Tensor:
    """One pattern of random signs per class."""
    draw = torch.Generator().manual_seed(1)
    signs = torch.randint(0, 2, (CLASSES, 3, SIDE, SIDE), generator=draw) * 2 - 1
    return (clean + levels * signs[labels]).clamp(0, 255).to(torch.uint8)


def with_texture(clean: Tensor, labels: Tensor) -> Tensor:
    """Waves of one frequency per class, somewhere else in every image."""
    draw = torch.Generator().manual_seed(2)
    phase = 2 * math.pi * torch.rand(len(clean), 1, 1, 1, generator=draw)
    place = torch.arange(SIDE) / SIDE
    angle = 2 * math.pi * (labels[:, None, None, None] + 3) * place + phase
    return (clean + 8 * torch.cos(angle)).clamp(0, 255).to(torch.uint8)


def by_chance(found: Separability) -> bool:
    low, high = clopper_pearson(found.correct, found.tests, 0.999)
    return low <= found.chance <= high


def test_a_pattern_per_class_is_found() -> None:
    clean, labels = photos(160)
    found = measure_detectability(with_pattern(clean, labels), clean, labels, seed=0)
    assert (found.photos, found.side, found.detected.tests) == (160, SIDE, 80)
    assert found.detected.accuracy >= 0.95
    assert found.perturbation.accuracy >= 0.95
    assert found.published.accuracy >= 0.95
    assert by_chance(found.original)
    assert found.perturbation.chance == 0.25


def test_where_nothing_was_changed_nothing_is_found() -> None:
    clean, labels = photos(160)
    found = measure_detectability(clean, clean, labels, seed=0)
    for one in (found.detected, found.perturbation, found.perturbation_spectrum, found.published):
        assert by_chance(one)
    assert found.published == found.original


def test_a_texture_without_a_place_is_found_by_its_spectrum() -> None:
    """A line through a wave's phases gets half of them right, in whatever class."""
    clean, labels = photos(160)
    found = measure_detectability(with_texture(clean, labels), clean, labels, seed=0)
    assert found.perturbation.accuracy <= 0.65
    assert found.perturbation_spectrum.accuracy >= 0.95
    assert found.detected.accuracy >= 0.9
    assert found.published.accuracy >= 0.9


def test_what_the_content_gives_away_is_seen_beside_it() -> None:
    """Photos whose grain already names the class: the protection adds nothing to that."""
    clean, labels = photos(160)
    told = with_pattern(clean, labels, levels=6)
    found = measure_detectability(told, told, labels, seed=0)
    assert found.original.accuracy >= 0.95
    assert found.original == found.published
    assert by_chance(found.detected)


def test_the_same_seed_gives_the_same_counts_and_the_global_one_is_left_alone() -> None:
    clean, labels = photos(40)
    protected = with_pattern(clean, labels, levels=1)
    torch.manual_seed(99)
    before = torch.random.get_rng_state()
    first, again = (measure_detectability(protected, clean, labels, seed=3) for _ in range(2))
    assert first == again
    assert torch.equal(before, torch.random.get_rng_state())


def test_every_class_is_in_both_halves_and_no_more_photos_than_needed(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(probes, "PHOTOS", 40)
    clean, _ = photos(120)
    labels = torch.tensor([0] * 80 + [1] * 20 + [2] * 19 + [3])
    found = measure_detectability(clean, clean, labels, seed=0)
    assert found.photos == 40
    # Thirteen of each of three classes, six of them held out, and the only one of the last.
    assert (found.perturbation.tests, found.perturbation.chance) == (18, 6 / 18)


def test_larger_photos_are_reduced() -> None:
    clean, labels = photos(FEWEST)
    large = clean.repeat_interleave(5, 2).repeat_interleave(6, 3)
    assert measure_detectability(large, large, labels, seed=0).side == probes.SIDE


def test_too_few_photos_are_refused() -> None:
    clean, labels = photos(FEWEST - 1)
    with pytest.raises(UeError, match=f"at least {FEWEST} photos, got {FEWEST - 1}") as caught:
        measure_detectability(clean, clean, labels, seed=0)
    assert caught.value.code == "probe-few-photos"
