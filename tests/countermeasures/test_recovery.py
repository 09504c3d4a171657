from __future__ import annotations

import copy
import functools
from dataclasses import replace

import pytest
import torch
from torch import Tensor, nn

from ue_cli.certificates.sampling import count_correct, count_without_noise
from ue_cli.certificates.smoothing import certify_grid, lower_quantile
from ue_cli.countermeasures.recovery import Recovery, RecoveryRecipe, recover
from ue_cli.training.augment import whole
from ue_cli.training.nets import small_resnet
from ue_cli.training.scales import weight_distance, weight_scales
from ue_cli.training.supervised import VictimRecipe, build_net, train_victim
from ue_cli.types import Scaling, Smoothing

SIZE = 12
RECIPE = RecoveryRecipe(size=SIZE, fraction=0.5, epochs=3, batch=16)


def stripes(count: int, *, seed: int) -> tuple[Tensor, Tensor]:
    """(n, 3, 12, 12) uint8 of noise with stripes across, stripes down, or none."""
    generator = torch.Generator().manual_seed(seed)
    labels = torch.arange(count) % 3
    wave = torch.sin(1.6 * torch.arange(SIZE)).expand(SIZE, SIZE)
    pattern = torch.stack([wave, wave.T, torch.zeros(SIZE, SIZE)])[labels][:, None]
    noise = torch.randint(-60, 61, (count, 3, SIZE, SIZE), generator=generator)
    return (128 + 40 * pattern + noise).clamp(0, 255).to(torch.uint8), labels


IMAGES, LABELS = stripes(120, seed=1)
TESTS, TRUTHS = stripes(150, seed=2)


def attack(
    net: nn.Module, *etas: float, recipe: RecoveryRecipe = RECIPE, seed: int = 0
) -> tuple[Recovery, ...]:
    return recover(net, IMAGES, LABELS, TESTS, TRUTHS, etas, recipe, seed=seed)


@pytest.mark.parametrize("scaling", ["absolute", "relative"])
def test_the_weights_stay_in_the_ball_and_the_statistics_where_they_are(scaling: Scaling) -> None:
    net = small_resnet(3, (4, 8), seed=0)
    before = copy.deepcopy(net.state_dict())
    recipe = replace(RECIPE, scaling=scaling)
    for found in attack(net, 0.0, 0.01, 0.5, recipe=recipe):
        assert found.distance == pytest.approx(found.eta, rel=1e-3)
        assert weight_distance(net, found.state, scaling) == found.distance
        for name, value in before.items():
            if "running" in name or "num_batches" in name:
                assert torch.equal(found.state[name], value)
    assert all(torch.equal(value, before[name]) for name, value in net.state_dict().items())


def test_a_shift_smaller_than_the_radius_is_left_as_it_is() -> None:
    """The ball, not its sphere: one short step does not reach the border."""
    recipe = replace(RECIPE, epochs=1, batch=60, step=0.25)
    (found,) = attack(small_resnet(3, (4, 8), seed=0), 1.0, recipe=recipe)
    assert found.distance == pytest.approx(0.25, rel=1e-3)


def test_more_room_gives_more_accuracy() -> None:
    none, little, much = attack(small_resnet(3, (4, 8), seed=0), 0.0, 0.1, 3.0)
    assert none.accuracy < 0.5 < much.accuracy
    assert little.accuracy < much.accuracy
    again = attack(small_resnet(3, (4, 8), seed=0), 3.0)
    assert again == (much,)
    assert attack(small_resnet(3, (4, 8), seed=0), 3.0, seed=1) != again


def test_an_attacker_without_an_image_is_refused() -> None:
    with pytest.raises(ValueError, match=r"0.001 of 120 clean images is none"):
        attack(small_resnet(3, (4, 8), seed=0), 1.0, recipe=replace(RECIPE, fraction=0.001))


@functools.cache
def trained(colour: int) -> nn.Module:
    """Trained on stripes; with a colour per class, so many levels strong, it heeds that instead."""
    images, labels = stripes(240, seed=3)
    images = images.int() + colour * torch.eye(3, dtype=torch.int)[labels][:, :, None, None]
    recipe = VictimRecipe(
        epochs=8, size=SIZE, augment="shift", reach=1, batch=32, widths=(8, 16), stem_stride=1
    )
    images = images.clamp(0, 255).to(torch.uint8)
    net = build_net(recipe, 3, seed=0)
    net.load_state_dict(train_victim(images, labels, TESTS, TRUTHS, recipe, seed=0).state)
    return net.eval()


@pytest.mark.slow
@pytest.mark.parametrize(("scaling", "sigma"), [("absolute", 0.1), ("relative", 0.35)])
def test_no_attack_inside_the_ball_beats_the_certificate(scaling: Scaling, sigma: float) -> None:
    """The theorem against its adversary, where noise leaves a clean network its accuracy."""
    poisoned, control = trained(24), trained(0)
    setting = Smoothing(sigma=sigma, draws=200, q=0.5, confidence=0.99, scaling=scaling)
    tests = whole(TESTS, SIZE)
    noisy_control = count_correct(control, tests, TRUTHS, setting, seed=0)
    clean = count_without_noise(control, tests, TRUTHS)
    assert sorted(noisy_control.correct)[100] >= 0.8 * clean

    etas = [0.25 * sigma, sigma, 1.5 * sigma]
    bounds = certify_grid(count_correct(poisoned, tests, TRUTHS, setting, seed=0), etas, setting)
    units = weight_scales(poisoned, scaling)

    def around(found: Recovery) -> float:
        """What half of the noisy copies of the attacked network exceed, at 99 % confidence."""
        net = copy.deepcopy(poisoned)
        net.load_state_dict(found.state)
        counts = count_correct(net, tests, TRUTHS, setting, seed=1, scales=units)
        lower = lower_quantile(counts, setting)
        assert lower is not None
        return lower

    recipe = replace(RECIPE, scaling=scaling, epochs=10)
    found = attack(poisoned, *etas, 40 * sigma, recipe=recipe)
    for bound, one in zip(bounds, found, strict=False):
        assert bound.upper is not None
        assert around(one) <= bound.upper
    assert found[-1].accuracy > count_without_noise(poisoned, tests, TRUTHS) / 150
    assert bounds[0].upper is not None
    assert around(found[-1]) > bounds[0].upper, "far outside the ball the bound does not hold"
