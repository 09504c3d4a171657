"""Weight noise in training: what it adds, what it leaves, and what it is for."""

from __future__ import annotations

import math
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional

from tests.training.test_supervised import TINY, coloured
from ue_cli.training.augment import random_resized_crop
from ue_cli.training.nets import small_resnet
from ue_cli.training.robust import CLIP, Curriculum, WeightNoise, robust_step, sum_over_noise
from ue_cli.training.scales import weight_scales
from ue_cli.training.supervised import VictimRecipe, test_accuracy, train_victim
from ue_cli.types import Scaling


def net_and_batch() -> tuple[nn.Module, Tensor, Tensor]:
    images, labels = coloured(16, 0)
    return small_resnet(2, (4, 8), seed=1), images / 64 - 2, labels


def flat(net: nn.Module) -> Tensor:
    return torch.cat([value.detach().flatten() for value in net.parameters()])


@pytest.mark.parametrize("scaling", ["absolute", "relative"])
def test_noise_has_the_stated_size_and_goes_without_a_trace(scaling: Scaling) -> None:
    net, _, _ = net_and_batch()
    clean = flat(net)
    scales = torch.cat([value.flatten() for value in weight_scales(net, scaling).values()])
    noise = WeightNoise(net, scaling, seed=0)
    drawn = []
    for _ in range(8):
        with noise.applied(0.3):
            drawn.append((flat(net) - clean) / scales)
        assert torch.equal(flat(net), clean)
    every = torch.stack(drawn)
    assert float(every.std()) == pytest.approx(0.3, rel=0.05)
    assert abs(float(every.mean())) < 0.02
    assert not torch.equal(every[0], every[1])


def test_weights_come_back_when_the_work_inside_fails() -> None:
    net, _, _ = net_and_batch()
    clean = flat(net)
    with pytest.raises(ZeroDivisionError), WeightNoise(net, "absolute", seed=0).applied(1.0):
        assert not torch.equal(flat(net), clean)
        raise ZeroDivisionError
    assert torch.equal(flat(net), clean)


def test_draws_depend_on_their_seed_alone() -> None:
    net, _, _ = net_and_batch()
    before = torch.random.get_rng_state()
    found = []
    for seed in (5, 5, 6):
        with WeightNoise(net, "absolute", seed=seed).applied(0.1):
            found.append(flat(net))
    assert torch.equal(found[0], found[1]) and not torch.equal(found[0], found[2])
    assert torch.equal(before, torch.random.get_rng_state())


def noisy_copy(net: nn.Module, level: float, generator: torch.Generator) -> nn.Module:
    """θ + level·N(0, I), in a network of its own."""
    copy = small_resnet(2, (4, 8), seed=0)
    copy.load_state_dict(net.state_dict())
    copy.train(net.training)
    flat_noise = torch.randn(flat(net).numel(), generator=generator)
    with torch.no_grad():
        parts = torch.split(flat_noise, [p.numel() for p in copy.parameters()])
        for weight, part in zip(copy.parameters(), parts, strict=True):
            weight.add_(part.view(weight.shape), alpha=level)
    return copy


@pytest.mark.parametrize("level", [0.0, 0.05])
def test_the_summed_gradient_is_that_of_a_loop_over_copies(level: float) -> None:
    net, images, labels = net_and_batch()
    net.eval()
    generator = torch.Generator().manual_seed(7)
    expected = torch.zeros_like(flat(net))
    for _ in range(3):
        copy = noisy_copy(net, level, generator)
        functional.cross_entropy(copy(images), labels).backward()  # type: ignore[no-untyped-call]
        expected += torch.cat([p.grad.flatten() for p in copy.parameters() if p.grad is not None])
    sum_over_noise(
        lambda: functional.cross_entropy(net(images), labels),
        lambda value: torch.autograd.backward(value),
        WeightNoise(net, "absolute", seed=7),
        level,
        3,
    )
    found = torch.cat([p.grad.flatten() for p in net.parameters() if p.grad is not None])
    assert torch.allclose(found, expected, rtol=1e-4, atol=1e-6)


def test_a_robust_step_takes_one_clipped_step_per_level() -> None:
    net, images, labels = net_and_batch()
    optimiser = torch.optim.SGD(net.parameters(), lr=1.0)
    norms = []

    def record(*_: object) -> None:
        norms.append(
            float(
                torch.cat([p.grad.flatten() for p in net.parameters() if p.grad is not None]).norm()
            )
        )

    optimiser.register_step_pre_hook(record)
    noise = WeightNoise(net, "absolute", seed=0)
    levels = (0.0, 0.02, 0.04)
    robust_step(
        net,
        optimiser,
        lambda: 1e4 * functional.cross_entropy(net(images), labels),
        noise,
        levels,
        2,
    )
    assert norms == pytest.approx([CLIP] * 3, rel=1e-4)


def test_a_curriculum_waits_until_half_is_fitted_and_then_rises_to_its_peak() -> None:
    net, _, _ = net_and_batch()
    curriculum = Curriculum(net, 0.5, "relative", steps=40, seed=0)
    clean = flat(net)

    def largest(steps: int, accuracy: float) -> float:
        found = 0.0
        for _ in range(steps):
            with curriculum.step():
                found = max(found, float((flat(net) - clean).norm()))
            curriculum.saw(accuracy)
        return found

    assert largest(30, 0.4) == 0
    early = largest(20, 1.0)
    late = largest(60, 1.0)
    scales = torch.cat([value.flatten() for value in weight_scales(net, "relative").values()])
    assert early < late
    assert 0.3 * scales.norm() < late < 0.6 * scales.norm()


def test_without_noise_training_is_the_plain_loop_bit_for_bit() -> None:
    images, labels = coloured(96, 0)
    result = train_victim(images, labels, images, labels, TINY, seed=3)
    generator = torch.Generator().manual_seed(3)
    net = small_resnet(2, TINY.widths, 1, TINY.stem_stride, seed=3)
    net = net.to(memory_format=torch.channels_last)
    groups: list[dict[str, Any]] = [
        {"params": [p for p in net.parameters() if p.ndim > 1]},
        {"params": [p for p in net.parameters() if p.ndim <= 1], "weight_decay": 0.0},
    ]
    optimiser = torch.optim.SGD(
        groups,
        lr=TINY.lr,
        momentum=0.9,
        nesterov=True,
        weight_decay=5e-4,
    )
    done = 0
    for _ in range(3):
        for chosen in torch.split(torch.randperm(96, generator=generator), 32):
            share = done / 9
            rate = max(share, 1e-3) / 0.15
            if share >= 0.15:
                rate = 0.5 + 0.5 * math.cos(math.pi * (share - 0.15) / 0.85)
            for group in optimiser.param_groups:
                group["lr"] = TINY.lr * rate
            batch = random_resized_crop(images[chosen], 16, TINY.min_scale, generator)
            with torch.autocast("cpu", torch.bfloat16):
                loss = functional.cross_entropy(net(batch), labels[chosen])
            optimiser.zero_grad()
            loss.backward()  # type: ignore[no-untyped-call]
            optimiser.step()
            done += 1
    expected = net.state_dict()
    assert all(torch.equal(result.state[name], value) for name, value in expected.items())


def test_a_robust_surrogate_keeps_more_under_noise_than_a_plain_one() -> None:
    images, labels = coloured(192, 0)
    tests, truth = coloured(100, 1)
    right = []
    for level in (0.0, 0.2):
        recipe = VictimRecipe(
            epochs=12, size=16, batch=32, widths=(8, 16), noise=level, noise_scaling="absolute"
        )
        result = train_victim(images, labels, tests, truth, recipe, seed=0)
        assert result.last > 0.9
        net = small_resnet(2, (8, 16), stem_stride=2, seed=0)
        net.load_state_dict(result.state)
        noise = WeightNoise(net, "absolute", seed=1)
        shares = []
        for _ in range(20):
            with noise.applied(0.2):
                shares.append(test_accuracy(net, tests, truth, size=16))
        right.append(sum(shares) / 20)
    assert right[1] > right[0] + 0.1
