"""Strong colour jitter: what contrastive learning does to colours."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torch import Tensor

from ue_cli.training import colours
from ue_cli.training.hooks import Plain

if TYPE_CHECKING:
    from ue_cli.training.supervised import VictimRecipe


class ColourJitter(Plain):
    """SimCLR's colour distortion at full strength (Chen et al., ICML 2020, appendix A).

    Brightness, contrast and saturation by factors uniform in 1 ± 0.8, hue by up to 0.2 of a turn,
    in this order, on four images in five; and gray in one of five. Every image has its own draws,
    where torchvision's ColorJitter has one per batch.

    Args:
        strength: of brightness, contrast and saturation; that of hue is a quarter.
    """

    def __init__(self, *, strength: float) -> None:
        self._strength = strength

    def augment(self, images: Tensor, recipe: VictimRecipe, generator: torch.Generator) -> Tensor:
        """Other colours, then the recipe's augmentation."""
        return super().augment(self.distort(images, generator), recipe, generator)

    def distort(self, images: Tensor, generator: torch.Generator) -> Tensor:
        """(n, 3, h, w) in 0..255 → the same, floating point."""
        u = torch.rand(6, len(images), generator=generator).to(images.device)
        before = images.float()
        factors = 1 + (2 * u[:3] - 1) * self._strength
        out = colours.brightness(before, factors[0])
        out = colours.contrast(out, factors[1])
        out = colours.saturation(out, factors[2])
        out = colours.hue(out, (2 * u[3] - 1) * self._strength / 4)
        out = torch.where(u[4, :, None, None, None] < 0.8, out, before)
        return torch.where(u[5, :, None, None, None] < 0.2, colours.luma(out), out)
