"""RandomResizedCrop of a stated scale, whatever the recipe augments with."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torch import Tensor

from ue_cli.training.augment import random_resized_crop
from ue_cli.training.hooks import Arm, Plain
from ue_cli.training.supervised import VictimRecipe

if TYPE_CHECKING:
    from ue_cli.training.ssl_recipes import SslRecipe


class ResizedCrop(Plain):
    """Random crops of some share of the area, enlarged to the network's input, and flips.

    Args:
        min_scale: smallest share of the area.
    """

    def __init__(self, *, min_scale: float) -> None:
        self._min_scale = min_scale

    def augment(self, images: Tensor, recipe: VictimRecipe, generator: torch.Generator) -> Tensor:
        """Another crop per image."""
        return random_resized_crop(images, recipe.size, self._min_scale, generator)

    def same_as_plain(self, recipe: VictimRecipe | SslRecipe, arm: Arm) -> bool:
        """The recipe may crop so by itself."""
        if not isinstance(recipe, VictimRecipe):
            return False
        return recipe.augment == "resized-crop" and recipe.min_scale == self._min_scale
