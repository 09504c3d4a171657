"""Victims that begin with a pretrained network: a linear probe, and fine-tuning.

What was learned elsewhere does not have to be learned from protected files.
"""

from __future__ import annotations

import copy
import math
import time
from collections.abc import Callable
from dataclasses import replace

import torch
from torch import Tensor
from torch.nn import functional

from ue_cli.training.augment import whole
from ue_cli.training.backbones import SIZE, Pretrained
from ue_cli.training.precision import autocast
from ue_cli.training.supervised import VictimRecipe, VictimResult, train_victim

ITERATIONS = 100
"""Of L-BFGS, at most; the loss is convex."""

PENALTY = 1e-2
"""On half the squared norm of the probe's weights, for features of unit deviation."""

FINE_TUNE_STEPS = 500
FEWEST_EPOCHS = 3
"""At least so many; the steps are BiT's for data sets of under 20,000 files."""

_BATCH = 32


def linear_probe(
    net: Pretrained,
    images: Tensor,
    labels: Tensor,
    test_images: Tensor,
    test_labels: Tensor,
    *,
    device: str = "cpu",
) -> VictimResult:
    """Fit nothing but the head: multinomial logistic regression on frozen features.

    The network is in eval mode and sees whole frames at 224 pixels, without augmentation; features
    are standardised by the training files'. Nothing is drawn.

    Args:
        net: left as it is.
        images: (n, 3, h, w) uint8.
        labels: (n,) int64, from 0.
        test_images: (m, 3, h, w) uint8.
        test_labels: (m,) int64.
        device: where features are computed; the head is fitted on the CPU.

    Returns:
        One accuracy, the fit of the same files, and the state of the head alone
        (``head.weight``, ``head.bias``), for features as `Pretrained.features` gives them.
    """
    began = time.perf_counter()
    known, asked = (_features(net, x, device) for x in (images, test_images))
    labels, test_labels = labels.cpu(), test_labels.cpu()
    mean, deviation = known.mean(0), known.std(0).clamp(min=1e-6)
    weight, bias = _logistic((known - mean) / deviation, labels, net.head.out_features)
    weight = weight / deviation
    bias = bias - weight @ mean
    right, fitted = (
        int(((features @ weight.T + bias).argmax(1) == truth).sum())
        for features, truth in ((asked, test_labels), (known, labels))
    )
    return VictimResult(
        (right / len(asked),),
        fitted / len(known),
        time.perf_counter() - began,
        {"head.weight": weight.float(), "head.bias": bias.float()},
    )


def fine_tune_recipe(train_files: int) -> VictimRecipe:
    """All weights go on from where they are: Nesterov SGD at a rate of 0.01 and a cosine.

    The rate is the middle of what Kornblith et al. (CVPR 2019) search; at least 500 steps, as BiT
    (Kolesnikov et al., ECCV 2020) takes for small data sets; RandomResizedCrop (0.35) and flips.

    Args:
        train_files: that it trains on.
    """
    recipe = VictimRecipe(size=SIZE, lr=0.01)
    steps = max(1, train_files // recipe.batch)
    return replace(recipe, epochs=max(FEWEST_EPOCHS, math.ceil(FINE_TUNE_STEPS / steps)))


def fine_tune(
    net: Pretrained,
    images: Tensor,
    labels: Tensor,
    test_images: Tensor,
    test_labels: Tensor,
    recipe: VictimRecipe,
    *,
    seed: int,
    device: str = "cpu",
    on_epoch: Callable[[int, float], None] | None = None,
) -> VictimResult:
    """`train_victim`, from pretrained weights and the head of a `linear_probe` on the same files.

    A head that fits already does not pull the features about at first (Kumar et al., ICLR 2022).

    Args:
        net: left as it is.
        images: (n, 3, h, w) uint8.
        labels: (n,) int64, from 0.
        test_images: (m, 3, h, w) uint8.
        test_labels: (m,) int64.
        recipe: of `fine_tune_recipe`; its ``net`` decides the optimiser alone.
        seed: of order and augmentation.
        device: ``cpu``, ``cuda`` or ``mps``.
        on_epoch: called with the epoch from 1 and its test accuracy.
    """
    begun = copy.deepcopy(net)
    probe = linear_probe(net, images, labels, test_images, test_labels, device=device)
    begun.load_state_dict({**begun.state_dict(), **probe.state})
    return train_victim(
        images,
        labels,
        test_images,
        test_labels,
        recipe,
        seed=seed,
        device=device,
        start=begun,
        on_epoch=on_epoch,
    )


@torch.no_grad()
def _features(net: Pretrained, images: Tensor, device: str) -> Tensor:
    """(n, width) float64 on the CPU."""
    net = copy.deepcopy(net).to(device).eval()
    parts = []
    for some in torch.split(images.to(device), _BATCH):
        with autocast(device):
            parts.append(net.features(whole(some, SIZE)).double().cpu())
    return torch.cat(parts)


def _logistic(features: Tensor, labels: Tensor, classes: int) -> tuple[Tensor, Tensor]:
    """Weights (classes, width) and bias of a penalised multinomial logistic regression."""
    weight = torch.zeros(classes, features.shape[1], dtype=torch.float64, requires_grad=True)
    bias = torch.zeros(classes, dtype=torch.float64, requires_grad=True)
    solver = torch.optim.LBFGS(
        [weight, bias], max_iter=ITERATIONS, history_size=10, line_search_fn="strong_wolfe"
    )

    def loss() -> float:
        solver.zero_grad()
        fit = functional.cross_entropy(features @ weight.T + bias, labels)
        value = fit + PENALTY / 2 * weight.square().sum()
        torch.autograd.backward(value)
        return float(value.detach())

    solver.step(loss)  # type: ignore[no-untyped-call]
    return weight.detach(), bias.detach()
