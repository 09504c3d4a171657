"""UEraser: the augmentation under which each image's loss is largest."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn
from torch.nn import functional

from ue_cli.countermeasures.randaugment import TRIVIAL_AUGMENT_WIDE, random_operation
from ue_cli.training.hooks import Plain
from ue_cli.training.precision import autocast

if TYPE_CHECKING:
    from ue_cli.training.supervised import VictimRecipe

ROUGHNESS = (0.3, 0.7)
INTENSITY = (0.5, 1.0)
"""Of the plasma maps, as the paper's released code has them."""


class UEraserMax(Plain):
    """Train on the worst of several strongly augmented views (Qin et al., 2023).

    A view: with probability a half each, a plasma fractal is added, another one scales the
    contrast, and the channels are shuffled; then TrivialAugment's one operation; then the recipe's
    augmentation. All views of a batch go through the network at once, in train mode, and each
    image's largest loss counts, in every epoch.

    Args:
        views: per image and step; the paper's K is 5.
    """

    def __init__(self, *, views: int = 5) -> None:
        self._views = views

    def augment(self, images: Tensor, recipe: VictimRecipe, generator: torch.Generator) -> Tensor:
        """One view of each image."""
        return super().augment(self.distort(images, generator), recipe, generator)

    def distort(self, images: Tensor, generator: torch.Generator) -> Tensor:
        """(n, 3, h, w) in 0..255 → the same, floating point, not yet cropped."""
        count = len(images)
        u = torch.rand(5, count, generator=generator)
        intensity = INTENSITY[0] + (INTENSITY[1] - INTENSITY[0]) * u[3]
        strength = (u[4] * 31).floor() / 30
        orders = torch.rand(count, 3, generator=generator).argsort(dim=1)
        orders = torch.where(u[2, :, None] < 0.5, orders, torch.arange(3))
        chance = u[:2, :, None, None, None].to(images.device) < 0.5
        brighter = 255 * intensity[:, None, None, None].to(images.device)
        out = images.float()
        added = out + brighter * (2 * plasma(out, generator) - 1)
        out = torch.where(chance[0], added.clamp(0, 255), out)
        scaled = (out - 127.5) * 4 * plasma(out, generator) + 127.5
        out = torch.where(chance[1], scaled.clamp(0, 255), out)
        out = out.gather(1, orders.to(out.device)[:, :, None, None].expand_as(out))
        return random_operation(out, TRIVIAL_AUGMENT_WIDE, strength, generator)

    def loss(
        self,
        net: nn.Module,
        images: Tensor,
        labels: Tensor,
        recipe: VictimRecipe,
        generator: torch.Generator,
    ) -> tuple[Tensor, Tensor]:
        """The mean over images of the largest loss among their views, and those views' logits."""
        views = self.augment(images.repeat(self._views, 1, 1, 1), recipe, generator)
        with autocast(views.device.type):
            logits: Tensor = net(views)
            losses = functional.cross_entropy(
                logits,
                labels.repeat(self._views),
                reduction="none",
                label_smoothing=recipe.label_smoothing,
            )
        worst, view = losses.view(self._views, -1).max(dim=0)
        each = torch.arange(len(labels), device=labels.device)
        return worst.mean(), logits.view(self._views, len(labels), -1)[view, each]


def plasma(images: Tensor, generator: torch.Generator) -> Tensor:
    """Fractal noise from 0 to 1 for (n, 3, h, w) images, another map per image and channel.

    Octaves of uniform noise on grids of 2, 3, 5, 9 … points, interpolated linearly and weighted by
    powers of a roughness: the spectrum of the diamond-square algorithm that the released code
    takes from kornia.
    """
    count, channels, height, width = images.shape
    low, high = ROUGHNESS
    drawn = torch.rand(count, 1, 1, 1, generator=generator).to(images.device)
    roughness = low + (high - low) * drawn
    total = torch.zeros_like(images)
    for octave in range(max(height, width).bit_length()):
        points = 2**octave + 1
        noise = torch.rand(count, channels, points, points, generator=generator)
        wide = functional.interpolate(
            noise.to(images.device), size=(height, width), mode="bilinear", align_corners=True
        )
        total += roughness**octave * wide
    lowest, highest = total.amin((2, 3), keepdim=True), total.amax((2, 3), keepdim=True)
    return (total - lowest) / (highest - lowest).clamp(min=1e-6)
