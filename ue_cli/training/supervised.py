"""One supervised trainer for victims: uint8 in memory, batched augmentation, no DataLoader."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterable
from contextlib import nullcontext
from dataclasses import dataclass, field
from typing import Any, Literal

import torch
from torch import Tensor, nn

from ue_cli.training.architectures import ARCHITECTURES, VictimName
from ue_cli.training.augment import whole
from ue_cli.training.backbones import Pretrained, find_backbone, load_backbone
from ue_cli.training.hooks import NOTHING, PLAIN, Hooks, Knowledge, prepared
from ue_cli.training.nets import NETS, small_resnet
from ue_cli.training.precision import autocast
from ue_cli.training.robust import Curriculum
from ue_cli.types import Scaling


@dataclass(frozen=True, slots=True)
class VictimRecipe:
    """Everything that decides a training besides the data and the seed.

    Attributes:
        epochs: passes over the training files.
        size: side of what the network sees, in pixels.
        augment: ``resized-crop`` (RandomResizedCrop) or ``shift`` (padded crop); both with flips.
        min_scale: smallest share of the area of a resized crop.
        reach: largest shift in pixels.
        batch: images per step.
        lr: peak of a linear warm-up and cosine decay.
        warmup: share of the steps that warms up.
        momentum: of Nesterov SGD; AdamW has its usual ones.
        weight_decay: on weights of two or more dimensions.
        label_smoothing: of the cross-entropy.
        net: ``small`` (a `SmallResNet` of the next three) or another of
            `architectures.CLASSIFIERS`.
        widths: channels per stage.
        blocks: blocks per stage.
        stem_stride: of its first convolution.
        noise: the largest weight noise to train under (`robust.Curriculum`); 0 trains plainly.
        noise_scaling: its units.
        backbone: pretrained weights to begin with (`backbones.Backbone.name`), for the networks
            that do; empty for the others.
    """

    epochs: int = 30
    size: int = 48
    augment: Literal["resized-crop", "shift"] = "resized-crop"
    min_scale: float = 0.35
    reach: int = 4
    batch: int = 64
    lr: float = 0.1
    warmup: float = 0.15
    momentum: float = 0.9
    weight_decay: float = 5e-4
    label_smoothing: float = 0.0
    net: VictimName = "small"
    widths: tuple[int, ...] = (32, 64, 128, 256)
    blocks: int = 1
    stem_stride: int = 2
    noise: float = 0.0
    noise_scaling: Scaling = "relative"
    backbone: str = ""


@dataclass(frozen=True, slots=True)
class VictimResult:
    """What one training gave; every share counts each image exactly once.

    Attributes:
        accuracy: on the test images after each epoch, in [0, 1].
        fit: accuracy on its own training files as the trainer prepared them, under its own
            augmentation, at the end.
        seconds: of training and testing.
        state: the final weights and statistics; of a probe, those of its head.
    """

    accuracy: tuple[float, ...]
    fit: float
    seconds: float
    state: dict[str, Tensor] = field(repr=False, compare=False)

    @property
    def last(self) -> float:
        """Test accuracy after the last epoch."""
        return self.accuracy[-1]

    @property
    def best(self) -> float:
        """The best epoch: what an adversary with clean validation data stops at."""
        return max(self.accuracy)


def build_net(recipe: VictimRecipe, classes: int, *, seed: int) -> nn.Module:
    """The recipe's network with its first weights.

    Raises:
        UeError: pretrained weights are no longer on the disk, or cannot be used.
    """
    if ARCHITECTURES[recipe.net].pretrained:
        backbone = find_backbone(recipe.backbone)
        return load_backbone(backbone, classes, frozen=recipe.net == "probe")
    if recipe.net == "small":
        return small_resnet(classes, recipe.widths, recipe.blocks, recipe.stem_stride, seed=seed)
    return NETS[recipe.net](classes, size=recipe.size, seed=seed)


def train_victim(
    images: Tensor,
    labels: Tensor,
    test_images: Tensor,
    test_labels: Tensor,
    recipe: VictimRecipe,
    *,
    seed: int,
    device: str = "cpu",
    hooks: Hooks = PLAIN,
    knowledge: Knowledge = NOTHING,
    on_epoch: Callable[[int, float], None] | None = None,
) -> VictimResult:
    """Train a network on ``images`` and test it on the whole test set after each epoch.

    Args:
        images: (n, 3, h, w) uint8.
        labels: (n,) int64, from 0.
        test_images: (m, 3, h, w) uint8.
        test_labels: (m,) int64.
        recipe: the hyperparameters.
        seed: decides the weights, the order and the augmentation; nothing global is seeded.
        device: ``cpu``, ``cuda`` or ``mps``.
        hooks: the countermeasure that the trainer takes.
        knowledge: what that needs beside the files.
        on_epoch: called with the epoch from 1 and its test accuracy.

    Returns:
        The accuracies and the final weights.
    """
    began = time.perf_counter()
    labels, test_labels = labels.to(device), test_labels.to(device)
    images = prepared(hooks, images.to(device), labels, knowledge, seed=seed)
    test_images = hooks.test(test_images.to(device))
    classes = int(max(labels.max().item(), test_labels.max().item())) + 1
    net = build_net(recipe, classes, seed=seed).to(device).to(memory_format=torch.channels_last)
    generator = torch.Generator().manual_seed(seed)
    steps_per_epoch = max(1, len(images) // recipe.batch)
    steps = recipe.epochs * steps_per_epoch
    optimiser = make_optimiser(net, recipe)
    scheduler = torch.optim.lr_scheduler.LambdaLR(
        optimiser, lambda step: _lr_share(step / steps, recipe.warmup)
    )
    curriculum = None
    if recipe.noise > 0:
        curriculum = Curriculum(net, recipe.noise, recipe.noise_scaling, steps=steps, seed=seed)
    accuracy: list[float] = []
    for epoch in range(1, recipe.epochs + 1):
        net.train()
        order = torch.randperm(len(images), generator=generator).to(device)
        for chosen in torch.split(order[: steps_per_epoch * recipe.batch], recipe.batch):
            optimiser.zero_grad(set_to_none=True)
            with nullcontext() if curriculum is None else curriculum.step():
                loss, logits = hooks.loss(net, images[chosen], labels[chosen], recipe, generator)
                torch.autograd.backward(loss)
            if curriculum is not None:
                curriculum.saw(float((logits.argmax(1) == labels[chosen]).float().mean()))
            optimiser.step()
            scheduler.step()
        share = test_accuracy(net, test_images, test_labels, size=recipe.size)
        accuracy.append(share)
        if on_epoch is not None:
            on_epoch(epoch, share)
    fit = _fit(net, images, labels, recipe, generator, hooks)
    ended = net.trained_state() if isinstance(net, Pretrained) else net.state_dict()
    state = {name: value.detach().cpu() for name, value in ended.items()}
    return VictimResult(tuple(accuracy), fit, time.perf_counter() - began, state)


@torch.inference_mode()
def test_accuracy(net: nn.Module, images: Tensor, labels: Tensor, *, size: int) -> float:
    """The share of ``images`` that ``net`` gets right, each whole frame counted once."""
    net.eval()
    right = 0
    for batch, truth in _batches(images, labels, size):
        with autocast(images.device.type):
            logits = net(whole(batch, size))
        right += int((logits.argmax(1) == truth).sum())
    return right / len(images)


test_accuracy.__test__ = False  # type: ignore[attr-defined]  # pytest collects it by its name


@torch.inference_mode()
def _fit(
    net: nn.Module,
    images: Tensor,
    labels: Tensor,
    recipe: VictimRecipe,
    draw: torch.Generator,
    hooks: Hooks,
) -> float:
    net.eval()
    right = 0
    for batch, truth in _batches(images, labels, recipe.size):
        with autocast(images.device.type):
            logits = net(hooks.augment(batch, recipe, draw))
        right += int((logits.argmax(1) == truth).sum())
    return right / len(images)


def _batches(images: Tensor, labels: Tensor, size: int) -> Iterable[tuple[Tensor, Tensor]]:
    """500 at once, fewer where the network sees more than 64 pixels: memory is what bounds them."""
    count = max(1, 500 * 64**2 // max(64, size) ** 2)
    return zip(torch.split(images, count), torch.split(labels, count), strict=True)


def _lr_share(done: float, warmup: float) -> float:
    if done < warmup:
        return max(done, 1e-3) / warmup
    return 0.5 + 0.5 * math.cos(math.pi * (done - warmup) / (1 - warmup))


def make_optimiser(net: nn.Module, recipe: VictimRecipe) -> torch.optim.Optimizer:
    """What networks of this architecture are trained with (`architectures.Architecture`)."""
    if ARCHITECTURES[recipe.net].optimiser == "adamw":
        return torch.optim.AdamW(_groups(net), lr=recipe.lr, weight_decay=recipe.weight_decay)
    return sgd(net, recipe)


def sgd(net: nn.Module, recipe: VictimRecipe) -> torch.optim.SGD:
    """Nesterov SGD."""
    return torch.optim.SGD(
        _groups(net),
        lr=recipe.lr,
        momentum=recipe.momentum,
        nesterov=True,
        weight_decay=recipe.weight_decay,
    )


def _groups(net: nn.Module) -> list[dict[str, Any]]:
    """Convolutions and linear layers decay; norms, biases, class token and positions do not."""
    return [
        {"params": [p for p in net.parameters() if p.ndim in (2, 4)]},
        {"params": [p for p in net.parameters() if p.ndim not in (2, 4)], "weight_decay": 0.0},
    ]
