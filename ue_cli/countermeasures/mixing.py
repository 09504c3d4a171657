"""Mixup and CutMix: every image a mixture of two, with the labels' losses mixed alike.

torchvision draws one mixing weight per batch; here every image has its own, which is as the
papers define it and averages over more of them per step. Both take Beta(α, α) with the papers'
α = 1, which is the uniform distribution.
"""

from __future__ import annotations

from abc import abstractmethod
from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn
from torch.nn import functional

from ue_cli.training.hooks import Plain
from ue_cli.training.precision import autocast

if TYPE_CHECKING:
    from ue_cli.training.supervised import VictimRecipe


class Mixing(Plain):
    """Mix each augmented image with another of its batch."""

    @abstractmethod
    def mix(
        self, images: Tensor, others: Tensor, generator: torch.Generator
    ) -> tuple[Tensor, Tensor]:
        """Mix pairs of images.

        Args:
            images: (n, 3, h, w).
            others: the same shape; the partner of each.
            generator: of the weights.

        Returns:
            The mixtures, and the share of ``images`` in each, (n,).
        """

    def loss(
        self,
        net: nn.Module,
        images: Tensor,
        labels: Tensor,
        recipe: VictimRecipe,
        generator: torch.Generator,
    ) -> tuple[Tensor, Tensor]:
        """The two labels' cross-entropies, weighted by their shares."""
        views = self.augment(images, recipe, generator)
        partner = torch.randperm(len(views), generator=generator).to(views.device)
        mixed, share = self.mix(views, views[partner], generator)
        with autocast(views.device.type):
            logits: Tensor = net(mixed)
            first, second = (
                functional.cross_entropy(
                    logits, targets, reduction="none", label_smoothing=recipe.label_smoothing
                )
                for targets in (labels, labels[partner])
            )
            loss = (share * first + (1 - share) * second).mean()
        return loss, logits


class Mixup(Mixing):
    """λ·x + (1 − λ)·x′ (Zhang et al., ICLR 2018)."""

    def mix(
        self, images: Tensor, others: Tensor, generator: torch.Generator
    ) -> tuple[Tensor, Tensor]:
        """A weighted sum of the pixels."""
        share = torch.rand(len(images), generator=generator).to(images.device)
        return others.lerp(images, share[:, None, None, None]), share


class CutMix(Mixing):
    """A rectangle of x′ in x (Yun et al., ICCV 2019)."""

    def mix(
        self, images: Tensor, others: Tensor, generator: torch.Generator
    ) -> tuple[Tensor, Tensor]:
        """A rectangle around a uniform centre, cut off at the border; shares by area as it is."""
        count, _, height, width = images.shape
        u = torch.rand(3, count, 1, generator=generator).to(images.device)
        side = u[0].sqrt()
        rows, columns = _covered(u[1], side, height), _covered(u[2], side, width)
        box = (rows[:, :, None] & columns[:, None, :])[:, None]
        return torch.where(box, others, images), 1 - box.flatten(1).float().mean(dim=1)


def _covered(centre: Tensor, side: Tensor, size: int) -> Tensor:
    """Pixels of one axis whose centre lies in an interval; both in shares of it, (n, 1)."""
    at = (torch.arange(size, device=centre.device) + 0.5) / size
    return (at - centre).abs() < side / 2
