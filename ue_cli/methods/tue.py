"""TUE, transferable unlearnable examples (Ren et al., ICLR 2023): CSD and a contrastive surrogate.

    min_θ min_δ  w · L_CL(f_θ(T1(x + δ)), f_θ(T2(x + δ))) + λ · CSD(δ, y)            (eq. 5–6)

In turns the surrogate f_θ learns perturbed pairs without their labels (S1), and δ takes signed
steps on both terms with θ frozen (S2). With w = 0, as the authors released SimCLR and SimSiam, the
surrogate never touches δ; then it is CSD alone, and no surrogate is trained, unless the third term
of ours, `targeted`, asks for one.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor

from ue_cli.errors import UeError
from ue_cli.methods.discriminant import Gradient, Pull, csd, pull_of_patterns
from ue_cli.methods.rounds import Row, Run
from ue_cli.methods.search import Learner, Search
from ue_cli.methods.targeted import Targeted
from ue_cli.training.contrastive import Contrast, build_contrast
from ue_cli.training.ssl import learn, ssl_optimiser
from ue_cli.training.ssl_recipes import SslRecipe
from ue_cli.training.views import views

Centroids = Literal["set", "batch"]
"""Whose classes CSD compares: the whole set's, or, as published, those of the batch alone."""


MOST_WEIGHT = 1_000_000
"""Of any term: float32 still tells the others apart from rounding."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Tue(Learner):
    """The bi-level optimisation of eq. 6; `tue_presets` has the paper's and those of a CPU.

    Attributes:
        name: ``tue``.
        ssl: the surrogate, its views and its optimiser; its epochs and schedule are not used.
        cells: side of the square of cells that is stretched over an image; the surrogate's input
            size gives one cell per pixel, as published.
        per_class: patterns per class; as many as a class has images is sample-wise, as published.
        max_rounds: of one S1 and one S2, all of which are run.
        batches: S1: steps of the surrogate per round.
        steps: S2: signed steps per batch; every image's turn comes once per round.
        contrastive: w.
        separation: λ.
        targeted: weight of `targeted.Targeted`'s loss, a third term of ours; 0 is the paper.
        step: size of a signed step, in 8-bit levels.
        gradient: of CSD: the paper's, or the released code's.
        centroids: see `Centroids`.
        through_keys: S2: the contrastive gradient goes through both branches, where a method
            stops one of them in S1.
        train_mode: S2: BatchNorm sees the batch and not its running statistics.
        shared_views: S2: one draw of T1 and T2 for a whole batch.
    """

    name: str = "tue"
    ssl: SslRecipe
    cells: int
    per_class: int
    max_rounds: int
    batches: int
    steps: int
    contrastive: float
    separation: float
    targeted: float = 0.0
    step: float = 0.8
    gradient: Gradient = "paper"
    centroids: Centroids = "set"
    through_keys: bool = True
    train_mode: bool = False
    shared_views: bool = False

    def __post_init__(self) -> None:
        """Refuse weights that are none.

        Raises:
            UeError: ``method-weights``: negative, above `MOST_WEIGHT`, no number, or all 0.
        """
        weights = {"contrastive loss": self.contrastive, "CSD": self.separation}
        weights["targeted term"] = self.targeted
        for name, weight in weights.items():
            if not 0 <= weight <= MOST_WEIGHT:
                raise UeError(
                    "method-weights",
                    f"The weight of the {name} must be from 0 to {MOST_WEIGHT:,}, got {weight}.",
                    "What counts is the ratio of the weights; 1 and 1 is the paper's.",
                )
        if not any(weights.values()):
            raise UeError(
                "method-weights",
                "With every weight at 0 there is nothing to optimise.",
                "Give --contrastive-weight or --csd-weight a value above 0.",
            )

    @property
    def size(self) -> int:
        """Side of the surrogate's input, in pixels."""
        return self.ssl.size

    @property
    def batch(self) -> int:
        """Images per step of the surrogate."""
        return self.ssl.batch

    def begin(self, on: Search, seed: int) -> Run:
        """See `Learner.begin`; what is watched is the whole set's CSD."""
        return _Run(self, on, seed)


class _Run(Run):
    """One search: the surrogate, if there is one, and the entries."""

    watched = "csd"
    surrogate: Contrast | None

    def __init__(self, recipe: Tue, search: Search, seed: int) -> None:
        self.recipe = recipe
        net, optimiser = None, None
        if recipe.contrastive or recipe.targeted:
            net = build_contrast(recipe.ssl, seed=seed).to(search.images.device)
            net = net.to(memory_format=torch.channels_last)
            optimiser = ssl_optimiser(net, recipe.ssl)
        super().__init__(search, net, optimiser, recipe.batch)
        self.before = self._csd()

    def round(self, log: Sequence[Row]) -> Row:
        """S1, if there is a surrogate, and S2."""
        row = {} if self.surrogate is None else {"loss": round(self._learn(), 6)}
        self._perturb()
        return row | {"csd": round(self._csd(), 6)}

    def summary(self, log: Sequence[Row]) -> Row:
        """See `Run.summary`."""
        return {
            "rounds": list(log),
            "csd_before": self.before,
            "images": len(self.search.images),
        }

    def _learn(self) -> float:
        """S1: some steps of the surrogate on pairs of views of x + δ; the mean loss."""
        net, optimiser, losses = self._net(), self.optimiser, []
        assert optimiser is not None
        net.train().requires_grad_(True)
        for _ in range(self.recipe.batches):
            chosen = next(self.stream)
            images = self.search.carrying(chosen, self.search.entries.of(chosen))
            pair = views(images, self.recipe.ssl, self.search.generator)
            losses.append(learn(net, optimiser, *pair))
        return float(torch.stack(losses).mean())

    def _perturb(self) -> None:
        """S2: signed steps of every image's δ, the surrogate frozen."""
        recipe, goal = self.recipe, None
        if recipe.targeted:
            goal = Targeted(self._net(), self.search.images, self.search.labels)
        if self.surrogate is not None:
            self.surrogate.train(recipe.train_mode).requires_grad_(False)
        order = torch.randperm(len(self.search.images), generator=self.search.generator)
        for chosen in _parts(order.to(self.search.images.device), recipe.ssl.batch):
            for _ in range(recipe.steps):
                delta = self.search.entries.of(chosen)
                slope = torch.zeros_like(delta)
                if recipe.separation:
                    slope += recipe.separation * self._separating(chosen, delta)
                if recipe.contrastive:
                    slope += recipe.contrastive * self._agreeing(chosen, delta)
                if goal is not None:
                    slope += recipe.targeted * self._targeting(goal, chosen, delta)
                self.search.entries.move(chosen, -recipe.step * slope.sign())

    def _separating(self, chosen: Tensor, delta: Tensor) -> Tensor:
        """∂CSD/∂δ of a batch, (k, 3, c, c), δ in levels; the slope is per unit of full scale.

        Against the whole set's centroids it counts as in a batch of these images alone: what moves
        a class's mean is divided by the class's share of the batch, not of the set.
        """
        labels = self.search.labels[chosen]
        if self.recipe.centroids == "set":
            slope = self._pull().of(delta.flatten(1), labels)
            slope /= labels.bincount()[labels][:, None]
            return slope.view(delta.shape)
        if len(set(labels.tolist())) < 2:  # CSD is not defined there
            return torch.zeros_like(delta)
        leaf = (delta / 255).flatten(1).requires_grad_()
        (slope,) = torch.autograd.grad(csd(leaf, labels, gradient=self.recipe.gradient), leaf)
        return slope.view(delta.shape)

    def _agreeing(self, chosen: Tensor, delta: Tensor) -> Tensor:
        """∂L_CL/∂δ of a batch, as `_separating`."""
        net, leaf = self._net(), (delta / 255).requires_grad_()
        first, second = views(
            self.search.carrying(chosen, 255 * leaf),
            self.recipe.ssl,
            self.search.generator,
            per_batch=self.recipe.shared_views,
        )
        loss = net.loss(first, second, through_keys=self.recipe.through_keys)
        (slope,) = torch.autograd.grad(loss, leaf)
        return slope

    def _targeting(self, goal: Targeted, chosen: Tensor, delta: Tensor) -> Tensor:
        """The slope of the third term on a batch, as `_separating`."""
        leaf = (delta / 255).requires_grad_()
        images = self.search.carrying(chosen, 255 * leaf)
        (slope,) = torch.autograd.grad(goal.loss(images, chosen, self.search.generator), leaf)
        return slope

    def _pull(self) -> Pull:
        """Of all images' δ as they are; exact, as steps of one batch move the others' centroids."""
        return pull_of_patterns(*self.search.entries.weighed(), self.recipe.gradient, unit=1 / 255)

    def _csd(self) -> float:
        return self._pull().value

    def _net(self) -> Contrast:
        assert self.surrogate is not None
        return self.surrogate


def _parts(order: Tensor, batch: int) -> list[Tensor]:
    """Consecutive batches of ``order``; of one image left over none is made, it joins the last.

    BatchNorm has no variance of one feature vector in train mode, and CSD and SimCLR nothing to
    tell it from.
    """
    parts = list(torch.split(order, batch))
    if len(parts) > 1 and len(parts[-1]) == 1:
        parts[-2:] = [torch.cat(parts[-2:])]
    return parts
