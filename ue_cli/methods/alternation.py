"""The alternation of EM and PUE: a surrogate learns x + δ, then δ makes x + δ easier for it.

Both players minimise one cross-entropy (Huang et al., *Unlearnable Examples*, ICLR 2021). PUE
(Wang et al., *Provably Unlearnable Data Examples*, NDSS 2025) has both of them do so under weight
noise, so that nearby weights cannot read the images either. Without noise it is EM.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional

from ue_cli.methods.rounds import Row, Run
from ue_cli.methods.search import Learner, Search
from ue_cli.training.augment import augmented, whole
from ue_cli.training.precision import autocast
from ue_cli.training.robust import FITTED, WeightNoise, robust_step, sum_over_noise
from ue_cli.training.supervised import VictimRecipe, build_net, sgd
from ue_cli.types import Scaling


@dataclass(frozen=True, slots=True, kw_only=True)
class Alternation(Learner):
    """EM and PUE; `em.Em` and `pue.Pue` set the defaults.

    Attributes:
        name: ``em`` or ``pue``.
        surrogate: network, input, augmentation, batch and SGD; its epochs and noise are not used.
        cells: side of the square of cells that is stretched over an image; the surrogate's input
            size gives one cell per pixel, as published.
        per_class: patterns per class. 1 is class-wise; as many as a class has images, sample-wise.
        noise_levels: standard deviations of the weight noise, rising from 0; (0,) is EM.
        scaling: their units: of the weights, as published, or of each filter's own size.
        draws: noisy copies per level in the training phase.
        pattern_draws: the same in the perturbation phase (u_p).
        batches: of the training phase, per round.
        subset: share of every class that class-wise perturbation goes over; otherwise, all of it.
        passes: over that share, per round.
        step: signed step, in 8-bit levels.
        stop_error: the surrogate's error on the perturbed subset that ends the search.
        max_rounds: end of the search in any case.
        min_robust_rounds: rounds under noise before which it does not end; none without noise.
    """

    name: str
    surrogate: VictimRecipe
    cells: int
    per_class: int
    noise_levels: tuple[float, ...]
    scaling: Scaling
    draws: int
    pattern_draws: int
    batches: int
    subset: float
    passes: int
    step: float
    stop_error: float
    max_rounds: int
    min_robust_rounds: int

    @property
    def size(self) -> int:
        """Side of the surrogate's input, in pixels."""
        return self.surrogate.size

    @property
    def batch(self) -> int:
        """Images per step of the surrogate."""
        return self.surrogate.batch

    def begin(self, on: Search, seed: int) -> Run:
        """See `Learner.begin`; what is watched is the error on the subset."""
        net = build_net(self.surrogate, len(on.names), seed=seed).to(on.images.device)
        return _Run(self, on, net.to(memory_format=torch.channels_last), seed)


class _Run(Run):
    """One search: the surrogate, its optimiser and noise, and the entries."""

    watched = "error"

    def __init__(self, recipe: Alternation, search: Search, net: nn.Module, seed: int) -> None:
        self.recipe, self.net = recipe, net
        self.noise = WeightNoise(net, recipe.scaling, seed=seed)
        self.sgd = sgd(net, recipe.surrogate)
        super().__init__(search, net, self.sgd, recipe.batch, [self.noise.generator])
        share = recipe.subset if recipe.per_class == 1 else 1.0
        subset = _stratified(search.labels.cpu(), share, self.generator)
        self.subset = subset.to(search.images.device)
        noisy = max(recipe.noise_levels) > 0
        self.least = recipe.min_robust_rounds if noisy else 0
        self.noisy = noisy

    def round(self, log: Sequence[Row]) -> Row:
        """Train, improve, and take the error.

        A surrogate that never fits half is made robust in the last rounds all the same.
        """
        fitted = any(row["error"] < 1 - FITTED for row in log)
        late = self.recipe.max_rounds - len(log) - 1 < self.least
        robust = self.noisy and (fitted or late)
        self._train(robust, len(log))
        self._improve(robust)
        return {"robust": robust, "error": round(self._error(), 6)}

    def over(self, log: Sequence[Row]) -> bool:
        """Whether the error is small enough, after rounds enough under noise."""
        if not log or log[-1]["error"] > self.recipe.stop_error:
            return False
        return sum(bool(row["robust"]) for row in log) >= self.least

    def summary(self, log: Sequence[Row]) -> Row:
        """See `Run.summary`."""
        return {
            "rounds": list(log),
            "robust_rounds": sum(row["robust"] for row in log),
            "final_error": log[-1]["error"] if log else 1.0,
            "stopped_by": "error" if self.over(log) else "rounds",
            "images": len(self.search.images),
        }

    def _train(self, robust: bool, before: int) -> None:
        """θ: some batches of x + δ, one step each, or one per noise level, after other rounds."""
        recipe = self.recipe
        levels, draws = (recipe.noise_levels, recipe.draws) if robust else ((0.0,), 1)
        self.net.train().requires_grad_(True)
        for step in range(recipe.batches):
            chosen = next(self.stream)
            with torch.no_grad():
                view = self._view(chosen, self.search.entries.of(chosen))
            done = (before * recipe.batches + step) / (recipe.max_rounds * recipe.batches)
            for group in self.sgd.param_groups:
                group["lr"] = recipe.surrogate.lr * (0.5 + 0.5 * math.cos(math.pi * done))

            def loss(view: Tensor = view, chosen: Tensor = chosen) -> Tensor:
                return self._loss(view, chosen)

            robust_step(self.net, self.sgd, loss, self.noise, levels, draws)

    def _improve(self, robust: bool) -> None:
        """δ: one signed step per batch and noise level, the surrogate as it is at test time."""
        recipe = self.recipe
        levels, draws = (recipe.noise_levels, recipe.pattern_draws) if robust else ((0.0,), 1)
        self.net.eval().requires_grad_(False)
        for _ in range(recipe.passes):
            order = torch.randperm(len(self.subset), generator=self.generator)
            for chosen in torch.split(
                self.subset[order.to(self.subset.device)], recipe.surrogate.batch
            ):
                for level in levels:
                    delta = self.search.entries.of(chosen).requires_grad_()

                    def loss(delta: Tensor = delta, chosen: Tensor = chosen) -> Tensor:
                        return self._loss(self._view(chosen, delta), chosen)

                    sum_over_noise(loss, torch.autograd.backward, self.noise, level, draws)
                    if delta.grad is not None:
                        self.search.entries.move(chosen, -recipe.step * delta.grad.sign())

    def _loss(self, view: Tensor, chosen: Tensor) -> Tensor:
        with autocast(self.search.images.device.type):
            loss: Tensor = functional.cross_entropy(self.net(view), self.search.labels[chosen])
        return loss

    def _view(self, chosen: Tensor, delta: Tensor) -> Tensor:
        """A view of files that carry ``delta``: augmented after it was added, as a trainer does."""
        return augmented(self.search.carrying(chosen, delta), self.recipe.surrogate, self.generator)

    @torch.no_grad()
    def _error(self) -> float:
        """The surrogate's error on the whole frames of the subset, as they would be published."""
        self.net.eval()
        wrong = 0
        for chosen in torch.split(self.subset, 500):
            frames = self.search.carrying(chosen, self.search.entries.of(chosen).round())
            with autocast(self.search.images.device.type):
                guess = self.net(whole(frames, self.recipe.surrogate.size)).argmax(1)
            wrong += int((guess != self.search.labels[chosen]).sum())
        return wrong / len(self.subset)


def _stratified(labels: Tensor, share: float, generator: torch.Generator) -> Tensor:
    """A random share of every class, at least one image; sorted indices."""
    order = torch.randperm(len(labels), generator=generator)
    chosen = []
    for label in torch.unique(labels):
        members = order[labels[order] == label]
        chosen.append(members[: max(1, math.ceil(share * len(members)))])
    return torch.cat(chosen).sort().values
