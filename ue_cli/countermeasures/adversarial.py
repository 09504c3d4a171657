"""Adversarial training: every step on the worst images near those of the batch."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn

from ue_cli.training.augment import MEAN, SPREAD
from ue_cli.training.hooks import Plain, cross_entropy

if TYPE_CHECKING:
    from ue_cli.training.supervised import VictimRecipe


class AdversarialTraining(Plain):
    """Projected gradient ascent on the loss, then one training step there (Madry et al., 2018).

    Random start, then steps of 2.5·ε/steps along the gradient's sign, within the ball around the
    augmented image and within the values that a pixel can have. The network attacks itself in eval
    mode and trains in train mode, as in the ``robustness`` library of the paper's authors: so the
    attack neither sees nor moves the statistics of BatchNorm's batches.

    Args:
        levels: radius in L∞, in 8-bit levels.
        steps: of the attack; Madry et al. use 7 for CIFAR-10.
    """

    def __init__(self, *, levels: float, steps: int = 7) -> None:
        self._levels = levels
        self._steps = steps

    def loss(
        self,
        net: nn.Module,
        images: Tensor,
        labels: Tensor,
        recipe: VictimRecipe,
        generator: torch.Generator,
    ) -> tuple[Tensor, Tensor]:
        """Cross-entropy on the adversarial examples."""
        views = self.augment(images, recipe, generator)
        examples = self.attack(net, views, labels, recipe, generator)
        return cross_entropy(net, examples, labels, recipe)

    def attack(
        self,
        net: nn.Module,
        views: Tensor,
        labels: Tensor,
        recipe: VictimRecipe,
        generator: torch.Generator,
    ) -> Tensor:
        """Images of higher loss in the ball.

        Args:
            net: in any mode, which it keeps; its weights gather no gradient.
            views: (n, 3, size, size) normalised.
            labels: (n,) int64.
            recipe: of the loss.
            generator: of the start.
        """
        radius = self._levels / SPREAD
        black, white = -MEAN / SPREAD, (255 - MEAN) / SPREAD
        low, high = (views - radius).clamp(min=black), (views + radius).clamp(max=white)
        start = torch.rand(views.shape, generator=generator).to(views.device)
        examples = views + (2 * start - 1) * radius
        with evaluating(net):
            for _ in range(self._steps):
                examples = examples.clamp(low, high).detach().requires_grad_()
                loss, _ = cross_entropy(net, examples, labels, recipe)
                (slope,) = torch.autograd.grad(loss, examples)
                examples = examples.detach() + 2.5 * radius / self._steps * slope.sign()
        return examples.clamp(low, high)


@contextmanager
def evaluating(net: nn.Module) -> Iterator[None]:
    """Inside, the network is in eval mode; afterwards in the mode that it was in."""
    before = net.training
    net.eval()
    try:
        yield
    finally:
        net.train(before)
