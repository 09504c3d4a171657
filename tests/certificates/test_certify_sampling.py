from __future__ import annotations

import copy
from dataclasses import replace
from typing import Literal

import pytest
import torch
from torch import Tensor, nn

from tests.certificates.trained import Branching, colours, trained_net
from ue_cli.certificates import sampling
from ue_cli.certificates.sampling import (
    TOLERANCE,
    choose_precision,
    choose_sigma,
    count_correct,
    count_without_noise,
)
from ue_cli.training.nets import Block, SmallResNet
from ue_cli.training.scales import weight_scales
from ue_cli.types import Smoothing

IMAGES, LABELS = colours(101, seed=2)
NOISE = Smoothing(sigma=0.7, draws=10, scaling="relative")


@pytest.fixture(scope="module")
def net() -> SmallResNet:
    return trained_net()


def counts(net: nn.Module, setting: Smoothing = NOISE, **options: object) -> tuple[int, ...]:
    options = {"seed": 3, "precision": "fp32"} | options
    return count_correct(net, IMAGES, LABELS, setting, **options).correct  # type: ignore[arg-type]


def test_every_image_is_counted_once_per_draw(net: SmallResNet) -> None:
    """101 is a multiple of no batch: nothing is dropped."""
    right = int((net(IMAGES).argmax(1) == LABELS).sum())
    assert right > 95
    assert count_without_noise(net, IMAGES, LABELS) == right
    found = count_correct(net, IMAGES, LABELS, replace(NOISE, sigma=1e-6), seed=0)
    assert found.correct == (right,) * 10
    assert found.tests == 101


def test_noise_costs_accuracy_and_differs_by_draw_and_seed(net: SmallResNet) -> None:
    found = counts(net)
    assert len(set(found)) > 1
    assert max(found) <= 101
    assert sum(counts(net, replace(NOISE, sigma=1.4))) < sum(found)
    assert counts(net, seed=4) != found
    assert counts(net) == found


def test_draws_can_be_shared_out_in_any_order(net: SmallResNet) -> None:
    found = counts(net)
    second, first = counts(net, draws=range(5, 10)), counts(net, draws=range(5))
    assert first + second == found
    assert counts(net, draws=range(9, -1, -2)) == found[9::-2]
    assert counts(net, draws=range(0)) == ()


def test_batches_do_not_matter(net: SmallResNet, monkeypatch: pytest.MonkeyPatch) -> None:
    found = counts(net)
    for pixels in (1, 7 * 144, 100 * 144):
        monkeypatch.setattr(sampling, "PIXELS", {"cpu": pixels})
        assert counts(net) == found


def test_the_unfolded_path_counts_the_same(net: SmallResNet) -> None:
    assert counts(Branching(net)) == counts(net)


def test_each_step_is_told(net: SmallResNet) -> None:
    steps: list[tuple[int, int, float]] = []
    found = counts(net, draws=range(2, 5), on_step=lambda *step: steps.append(step))
    assert steps == [(i + 1, 3, count / 101) for i, count in enumerate(found)]


def rescaled(net: SmallResNet) -> SmallResNet:
    """The same function: filters times 0.1 to 100, BatchNorm's statistics to match."""
    other = copy.deepcopy(net)
    generator = torch.Generator().manual_seed(0)
    pairs = [(other.stem, other.norm)]
    for block in other.stages:
        assert isinstance(block, Block)
        pairs += [(block.conv1, block.norm1), (block.conv2, block.norm2)]
    with torch.no_grad():
        for conv, norm in pairs:
            factor = 10 ** (3 * torch.rand(conv.out_channels, generator=generator) - 1)
            conv.weight *= factor[:, None, None, None]
            assert isinstance(norm.running_mean, Tensor) and isinstance(norm.running_var, Tensor)
            norm.running_mean.mul_(factor)
            norm.running_var.add_(norm.eps).mul_(factor**2).sub_(norm.eps)
    return other


@pytest.mark.parametrize(("scaling", "sigma"), [("relative", 0.7), ("absolute", 0.1)])
def test_relative_noise_does_not_see_how_filters_are_scaled(
    net: SmallResNet, scaling: Literal["relative", "absolute"], sigma: float
) -> None:
    """The published, absolute noise does: the same function, another certificate."""
    other = rescaled(net)
    assert torch.allclose(other(IMAGES), net(IMAGES), atol=1e-3)
    setting = Smoothing(sigma=sigma, draws=10, scaling=scaling)
    assert (counts(other, setting) == counts(net, setting)) == (scaling == "relative")


def test_another_network_can_be_measured_in_the_units_of_the_first(net: SmallResNet) -> None:
    larger = copy.deepcopy(net)
    with torch.no_grad():
        for value in larger.parameters():
            value.mul_(4)
    in_its_own = counts(larger)
    units = weight_scales(net, "relative")
    assert counts(larger, replace(NOISE, sigma=4 * NOISE.sigma), scales=units) == in_its_own
    assert counts(larger, scales=units) != in_its_own


def test_bf16_moves_no_count_beyond_its_tolerance(
    net: SmallResNet, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sampling, "_multiplies_bf16", lambda device: True)
    assert choose_precision(net, IMAGES, LABELS, NOISE, seed=0) in ("bf16", "fp32")
    off = [a - b for a, b in zip(counts(net), counts(net, precision="bf16"), strict=True)]
    assert max(map(abs, off)) <= max(2, 2 * TOLERANCE * 101)


def test_fp32_is_chosen_where_bf16_moves_the_counts(monkeypatch: pytest.MonkeyPatch) -> None:
    """Two classes that differ in the fourth digit are one in bfloat16."""
    monkeypatch.setattr(sampling, "_multiplies_bf16", lambda device: True)
    conv = nn.Conv2d(3, 2, 1, bias=False)
    with torch.no_grad():
        conv.weight.copy_(torch.tensor([1.0, 1.0001])[:, None, None, None])
    fine = nn.Sequential(conv, nn.AdaptiveAvgPool2d(1), nn.Flatten())
    images, labels = IMAGES.abs() + 1, torch.ones_like(LABELS)
    setting = Smoothing(sigma=1e-7, draws=3)
    assert count_correct(fine, images, labels, setting, seed=0, precision="fp32").correct[0] == 101
    assert count_correct(fine, images, labels, setting, seed=0, precision="bf16").correct[0] == 0
    assert choose_precision(fine, images, labels, setting, seed=0) == "fp32"
    assert count_correct(fine, images, labels, setting, seed=0).correct == (101,) * 3


def test_sigma_is_the_largest_that_keeps_nine_tenths(net: SmallResNet) -> None:
    grid = (0.01, 0.05, 0.1, 0.2, 0.4, 0.8, 1.6)
    choice = choose_sigma(net, IMAGES, LABELS, grid, NOISE, seed=0)
    assert choice.useful
    assert choice.accuracy == count_without_noise(net, IMAGES, LABELS) / 101
    assert choice.median >= 0.9 * choice.accuracy
    next_one = grid[grid.index(choice.sigma) + 1]
    beyond = choose_sigma(net, IMAGES, LABELS, [next_one], NOISE, seed=0)
    assert beyond.median < 0.9 * choice.accuracy
    assert not beyond.useful


def test_without_a_tolerable_sigma_the_smallest_is_named_and_said_to_be_none(
    net: SmallResNet,
) -> None:
    choice = choose_sigma(net, IMAGES, LABELS, (20.0, 30.0, 10.0), NOISE, seed=0)
    assert (choice.sigma, choice.useful) == (10.0, False)
