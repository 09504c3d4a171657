"""SimCLR, MoCo v2 and SimSiam: encoders that learn which views are of the same image.

Networks run under `precision.autocast`, objectives in single precision.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from copy import deepcopy
from typing import Self

import torch
from torch import Tensor, nn
from torch.nn import functional

from ue_cli.training.nets import NETS, small_resnet
from ue_cli.training.objectives import info_nce, negative_cosine, nt_xent
from ue_cli.training.precision import autocast
from ue_cli.training.splitnorm import dealt, split_norms
from ue_cli.training.ssl_recipes import SslRecipe

_HEADS = 1 << 42
"""Added to the seed of heads and queue: a stream apart from that of the encoder."""


class Contrast(nn.Module, ABC):
    """An encoder with the heads of one objective; `build_contrast` makes them.

    Args:
        recipe: of the training.
        backbone: (n, 3, size, size) → (n, width).
        width: of its features.
    """

    def __init__(self, recipe: SslRecipe, backbone: nn.Module, width: int) -> None:
        super().__init__()
        self.recipe = recipe
        self.backbone = backbone
        self.width = width

    def encode(self, views: Tensor) -> Tensor:
        """(n, 3, size, size) normalised → (n, width) float32: features, before the heads."""
        with autocast(views.device.type):
            features: Tensor = self.backbone(views)
        return features.float()

    @abstractmethod
    def compare(
        self, first: Tensor, second: Tensor, *, through_keys: bool = False
    ) -> tuple[Tensor, Tensor]:
        """The loss of two views, and the keys that they make; nothing is stored.

        Args:
            first: (n, 3, size, size) normalised.
            second: another view of the same images.
            through_keys: let the gradient through the branch that the method stops it in: MoCo's
                key encoder, SimSiam's targets. SimCLR has none.

        Returns:
            A scalar, and (k, d) without gradient: MoCo's keys; of the others none, k = 0.
        """

    def loss(self, first: Tensor, second: Tensor, *, through_keys: bool = False) -> Tensor:
        """The loss of `compare` alone.

        It has no side effects but, in train mode, on the running statistics of BatchNorm.
        """
        return self.compare(first, second, through_keys=through_keys)[0]

    def stepped(self, keys: Tensor) -> None:
        """After a step of the optimiser: MoCo's key encoder follows, and its queue advances.

        Args:
            keys: of `compare` before that step.
        """
        return None

    def forward(self, views: Tensor) -> Tensor:
        """What `encode` does."""
        return self.encode(views)


class SimClr(Contrast):
    """SimCLR: one encoder, all other views of the batch are negatives."""

    def __init__(self, recipe: SslRecipe, backbone: nn.Module, width: int) -> None:
        super().__init__(recipe, backbone, width)
        hidden, out = recipe.projection
        self.projector = nn.Sequential(
            nn.Linear(width, hidden, bias=False),
            nn.BatchNorm1d(hidden),
            nn.ReLU(),
            nn.Linear(hidden, out),
        )

    def compare(
        self, first: Tensor, second: Tensor, *, through_keys: bool = False
    ) -> tuple[Tensor, Tensor]:
        """NT-Xent."""
        with autocast(first.device.type):
            embeddings, others = (self.projector(self.backbone(view)) for view in (first, second))
        with exact(first):
            loss = nt_xent(embeddings.float(), others.float(), self.recipe.temperature)
        return loss, embeddings.new_empty(0, embeddings.shape[1])


class SimSiam(Contrast):
    """SimSiam: no negatives; a predictor and a stopped gradient prevent the collapse."""

    def __init__(self, recipe: SslRecipe, backbone: nn.Module, width: int) -> None:
        super().__init__(recipe, backbone, width)
        hidden, out = recipe.projection
        self.projector = nn.Sequential(
            nn.Linear(width, hidden, bias=False),
            nn.BatchNorm1d(hidden),
            nn.ReLU(),
            nn.Linear(hidden, out, bias=False),
            nn.BatchNorm1d(out, affine=False),
        )
        self.predictor = nn.Sequential(
            nn.Linear(out, recipe.predictor, bias=False),
            nn.BatchNorm1d(recipe.predictor),
            nn.ReLU(),
            nn.Linear(recipe.predictor, out),
        )

    def compare(
        self, first: Tensor, second: Tensor, *, through_keys: bool = False
    ) -> tuple[Tensor, Tensor]:
        """The symmetric negative cosine."""
        with autocast(first.device.type):
            embeddings, others = (self.projector(self.backbone(view)) for view in (first, second))
            predictions, other_predictions = self.predictor(embeddings), self.predictor(others)
        if not through_keys:
            embeddings, others = embeddings.detach(), others.detach()
        with exact(first):
            there = negative_cosine(predictions.float(), others.float())
            back = negative_cosine(other_predictions.float(), embeddings.float())
        return (there + back) / 2, embeddings.new_empty(0, embeddings.shape[1])


class MoCo(Contrast):
    """MoCo v2: a slowly following encoder makes keys, and earlier ones wait in a queue."""

    queue: Tensor
    place: Tensor

    def __init__(self, recipe: SslRecipe, backbone: nn.Module, width: int) -> None:
        if recipe.norm_splits > 1:
            split_norms(backbone, recipe.norm_splits)
        super().__init__(recipe, backbone, width)
        hidden, out = recipe.projection
        self.projector = nn.Sequential(nn.Linear(width, hidden), nn.ReLU(), nn.Linear(hidden, out))
        self.key_backbone = deepcopy(self.backbone).requires_grad_(False)
        self.key_projector = deepcopy(self.projector).requires_grad_(False)
        first = functional.normalize(torch.randn(recipe.queue, out))
        self.register_buffer("queue", first)
        self.register_buffer("place", torch.zeros((), dtype=torch.long))

    def requires_grad_(self, requires_grad: bool = True) -> Self:
        """As for every module, but the key encoder's parameters never learn by a gradient."""
        super().requires_grad_(requires_grad)
        self.key_backbone.requires_grad_(False)
        self.key_projector.requires_grad_(False)
        return self

    def compare(
        self, first: Tensor, second: Tensor, *, through_keys: bool = False
    ) -> tuple[Tensor, Tensor]:
        """InfoNCE of the first view's queries and the second one's keys, or of both ways."""
        loss, keys = self._one_way(first, second, through_keys)
        if self.recipe.symmetric:
            back, others = self._one_way(second, first, through_keys)
            loss, keys = (loss + back) / 2, torch.cat([keys, others])
        return loss, keys

    def _one_way(self, asking: Tensor, held: Tensor, through: bool) -> tuple[Tensor, Tensor]:
        with autocast(asking.device.type):
            queries = self.projector(self.backbone(asking))
            with torch.set_grad_enabled(through and torch.is_grad_enabled()):
                keys = self._keys(held)
        with exact(asking):
            queries = functional.normalize(queries.float())
            keys = functional.normalize(keys.float())
            return info_nce(queries, keys, self.queue, self.recipe.temperature), keys.detach()

    def _keys(self, views: Tensor) -> Tensor:
        splits = self.recipe.norm_splits
        if not self.training or splits == 1:
            keys: Tensor = self.key_projector(self.key_backbone(views))
            return keys
        order = dealt(len(views), splits, views.device)
        shuffled: Tensor = self.key_projector(self.key_backbone(views[order]))
        return shuffled[order.argsort()]

    @torch.no_grad()
    def stepped(self, keys: Tensor) -> None:
        """The key encoder follows, and the oldest keys make room; of too many the last count."""
        followers: list[Tensor] = [
            *self.key_backbone.parameters(),
            *self.key_projector.parameters(),
        ]
        learned: list[Tensor] = [*self.backbone.parameters(), *self.projector.parameters()]
        torch._foreach_lerp_(followers, learned, 1 - self.recipe.key_momentum)
        keys = keys[-len(self.queue) :]
        places = (self.place + torch.arange(len(keys), device=keys.device)) % len(self.queue)
        self.queue.index_copy_(0, places, keys)
        self.place.add_(len(keys)).remainder_(len(self.queue))


_LEARNERS: dict[str, type[Contrast]] = {"simclr": SimClr, "moco": MoCo, "simsiam": SimSiam}


def build_contrast(recipe: SslRecipe, *, seed: int) -> Contrast:
    """The recipe's encoder and heads with first weights from ``seed``; nothing global is seeded."""
    backbone: nn.Module
    if recipe.net == "small":
        backbone = small_resnet(1, recipe.widths, recipe.blocks, recipe.stem_stride, seed=seed)
        width, head = recipe.widths[-1], "head"
    else:
        backbone = NETS[recipe.net](1, size=recipe.size, seed=seed)
        width, head = 512, "fc"
    backbone.set_submodule(head, nn.Identity())
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed + _HEADS)
        return _LEARNERS[recipe.ssl](recipe, backbone, width)


def exact(views: Tensor) -> torch.autocast:
    """Single precision, whatever the caller runs under: cosines over a temperature need it."""
    return torch.autocast(views.device.type, enabled=False)
