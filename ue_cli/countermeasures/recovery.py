"""The recovery attack: change the weights of a poisoned network slightly, on a few clean images.

From Wang et al., *Provably Unlearnable Data Examples*, NDSS 2025: how much accuracy comes back
within η of the weights that protected data led to? Two things differ from the published code. The
weights are projected *into* the ball, instead of rescaled onto its sphere, so that a shift smaller
than η is allowed; and BatchNorm's running statistics stay as they are, because they are no part of
the ball that the certificate speaks about.
"""

from __future__ import annotations

import copy
import math
from collections.abc import Sequence
from dataclasses import dataclass, field

import torch
from torch import Tensor, nn
from torch.nn import functional

from ue_cli.training.augment import random_resized_crop
from ue_cli.training.precision import autocast
from ue_cli.training.scales import weight_distance, weight_scales
from ue_cli.training.supervised import test_accuracy
from ue_cli.types import OnStep, Scaling


@dataclass(frozen=True, slots=True)
class RecoveryRecipe:
    """How the attacker fine-tunes.

    Attributes:
        scaling: what η is measured in; that of the certificate.
        fraction: share of the clean images that the attacker has.
        epochs: passes over them.
        batch: images per step.
        step: length of the first step as a share of η, so that one recipe serves every radius;
            it falls to 0 as half a cosine.
        momentum: of the gradient.
        size: side of what the network sees, in pixels.
        min_scale: smallest share of the area that a random crop shows.
    """

    scaling: Scaling = "absolute"
    fraction: float = 0.2
    epochs: int = 10
    batch: int = 64
    step: float = 0.2
    momentum: float = 0.9
    size: int = 48
    min_scale: float = 0.8


@dataclass(frozen=True, slots=True)
class Recovery:
    """Where the attack ends for one radius.

    Attributes:
        eta: the radius.
        accuracy: on the clean test images, at the end.
        distance: how far the weights moved, in the units of η; at most η but for rounding.
        state: the weights and the statistics at the end, on the CPU.
    """

    eta: float
    accuracy: float
    distance: float
    state: dict[str, Tensor] = field(repr=False, compare=False)


def recover(
    net: nn.Module,
    images: Tensor,
    labels: Tensor,
    test_images: Tensor,
    test_labels: Tensor,
    etas: Sequence[float],
    recipe: RecoveryRecipe,
    *,
    seed: int,
    device: str = "cpu",
    on_step: OnStep | None = None,
) -> tuple[Recovery, ...]:
    """Fine-tune within each of several balls around the weights of ``net``.

    Every radius starts from ``net`` anew, with the same images in the same order.

    Args:
        net: trained on protected data; it is copied, never changed.
        images: (n, 3, h, w) uint8, clean, none of them a test image.
        labels: (n,) int64.
        test_images: (m, 3, h, w) uint8.
        test_labels: (m,) int64.
        etas: radii of the balls, ‖D⁻¹(θ − θ̂)‖₂ ≤ η.
        recipe: the hyperparameters.
        seed: which images the attacker has, their order and their augmentation.
        device: ``cpu``, ``cuda`` or ``mps``.
        on_step: called after each radius with the accuracy there.

    Returns:
        One result per radius, in their order.

    Raises:
        ValueError: the attacker's share of the images is none.
    """
    order = torch.randperm(len(images), generator=torch.Generator().manual_seed(seed))
    share = order[: int(recipe.fraction * len(images))]
    if len(share) == 0:
        raise ValueError(f"{recipe.fraction:g} of {len(images)} clean images is none.")
    images, labels = images[share].to(device), labels[share].to(device)
    test_images, test_labels = test_images.to(device), test_labels.to(device)
    results: list[Recovery] = []
    for eta in etas:
        attacked = copy.deepcopy(net).to(device).eval().requires_grad_(True)
        _attack(attacked, images, labels, eta, recipe, seed)
        state = {
            name: value.detach().cpu().clone() for name, value in attacked.state_dict().items()
        }
        accuracy = test_accuracy(attacked, test_images, test_labels, size=recipe.size)
        distance = weight_distance(net, state, recipe.scaling)
        results.append(Recovery(eta, accuracy, distance, state))
        if on_step is not None:
            on_step(len(results), len(etas), accuracy)
    return tuple(results)


def _attack(
    net: nn.Module, images: Tensor, labels: Tensor, eta: float, recipe: RecoveryRecipe, seed: int
) -> None:
    """Move the weights of ``net`` along θ̂ + D·u, with ‖u‖₂ ≤ η after each step."""
    weights = list(net.parameters())
    sizes = [value.numel() for value in weights]
    start = torch.cat([value.detach().flatten() for value in weights])
    scales = torch.cat([scale.flatten() for scale in weight_scales(net, recipe.scaling).values()])
    shift, speed = torch.zeros_like(start), torch.zeros_like(start)
    generator = torch.Generator().manual_seed(seed)
    per_epoch = -(-len(images) // recipe.batch)
    steps = recipe.epochs * per_epoch
    for done in range(steps):
        if done % per_epoch == 0:
            order = torch.randperm(len(images), generator=generator).to(images.device)
        chosen = order[done % per_epoch * recipe.batch :][: recipe.batch]
        batch = random_resized_crop(images[chosen], recipe.size, recipe.min_scale, generator)
        with autocast(images.device.type):
            loss = functional.cross_entropy(net(batch), labels[chosen])
        slopes = torch.autograd.grad(loss, weights)
        with torch.no_grad():
            speed.mul_(recipe.momentum).add_(scales * torch.cat([x.flatten() for x in slopes]))
            length = recipe.step * eta * (0.5 + 0.5 * math.cos(math.pi * done / steps))
            shift -= length / speed.norm().clamp(min=1e-12) * speed
            shift *= (eta / shift.norm().clamp(min=1e-12)).clamp(max=1)
            moved = torch.split(start + scales * shift, sizes)
            for value, new in zip(weights, moved, strict=True):
                value.copy_(new.view(value.shape))
