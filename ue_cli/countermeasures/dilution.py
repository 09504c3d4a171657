"""Clean images among the protected ones."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torch import Tensor

from ue_cli.training.hooks import Arm, Knowledge, Plain

if TYPE_CHECKING:
    from ue_cli.training.ssl_recipes import SslRecipe
    from ue_cli.training.supervised import VictimRecipe


class Dilution(Plain):
    """Some of the files are originals; which ones is drawn anew for each training.

    Args:
        share: of the files, in (0, 1].
    """

    def __init__(self, *, share: float) -> None:
        self._share = share

    def prepare(
        self, images: Tensor, labels: Tensor, knowledge: Knowledge, generator: torch.Generator
    ) -> Tensor:
        """As many files as before, a share of them replaced by their originals."""
        if knowledge.clean is None:
            raise ValueError("dilution needs the originals")
        order = torch.randperm(len(images), generator=generator)
        chosen = order[: round(self._share * len(images))]
        diluted = images.clone()
        originals = knowledge.clean[chosen.to(knowledge.clean.device)]
        diluted[chosen.to(images.device)] = originals.to(images.device, images.dtype)
        return diluted

    def same_as_plain(self, recipe: VictimRecipe | SslRecipe, arm: Arm) -> bool:
        """Originals among originals change nothing."""
        return arm == "clean"
