"""Cutout: hide a square of each image."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torch import Tensor

from ue_cli.training.hooks import Plain

if TYPE_CHECKING:
    from ue_cli.training.supervised import VictimRecipe


class Cutout(Plain):
    """A square around a uniformly drawn pixel, cut off at the border (DeVries & Taylor, 2017).

    Another square per image, which torchvision's RandomErasing does not draw within a batch.

    Args:
        share: side of the square as a share of the side that the network sees. The paper's
            16 of 32 pixels for CIFAR-10 are a half.
    """

    def __init__(self, *, share: float) -> None:
        self._share = share

    def augment(self, images: Tensor, recipe: VictimRecipe, generator: torch.Generator) -> Tensor:
        """The recipe's augmentation, and then a hole of the mean's value."""
        views = super().augment(images, recipe, generator)
        count, _, height, width = views.shape
        u = torch.rand(2, count, 1, generator=generator).to(views.device)
        rows = _hidden(u[0], height, self._share)
        columns = _hidden(u[1], width, self._share)
        return views.masked_fill((rows[:, :, None] & columns[:, None, :])[:, None], 0.0)


def _hidden(u: Tensor, size: int, share: float) -> Tensor:
    """Which pixels of one axis the square covers, (n, size); ``u`` in [0, 1), (n, 1)."""
    side = max(1, round(share * size))
    first = (u * size).floor() - side // 2
    at = torch.arange(size, device=u.device)
    return (at >= first) & (at < first + side)
