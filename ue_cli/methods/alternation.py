"""The alternation of EM and PUE: a surrogate learns x + δ, then δ makes x + δ easier for it.

Both players minimise one cross-entropy (Huang et al., *Unlearnable Examples*, ICLR 2021). PUE
(Wang et al., *Provably Unlearnable Data Examples*, NDSS 2025) has both of them do so under weight
noise, so that nearby weights cannot read the images either. Without noise it is EM.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from ue_cli.methods.search import Found, Learner, Search
from ue_cli.training.augment import augmented, whole
from ue_cli.training.precision import autocast
from ue_cli.training.robust import FITTED, WeightNoise, robust_step, sum_over_noise
from ue_cli.training.supervised import VictimRecipe, build_net, sgd
from ue_cli.types import OnStep, Scaling


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

    def search(self, on: Search, seed: int, on_step: OnStep | None) -> Found:
        """See `Learner.search`; ``on_step`` gets the error on the subset."""
        run = _Run(self, on, seed)
        return Found(run.rounds(on_step), run.net)


class _Run:
    """One search: the surrogate, its optimiser and noise, and the entries."""

    def __init__(self, recipe: Alternation, search: Search, seed: int) -> None:
        self.recipe, self.search = recipe, search
        device = search.images.device
        net = build_net(recipe.surrogate, len(search.names), seed=seed).to(device)
        self.net: nn.Module = net.to(memory_format=torch.channels_last)
        self.optimiser = sgd(self.net, recipe.surrogate)
        self.noise = WeightNoise(self.net, recipe.scaling, seed=seed)
        self.generator = search.generator
        share = recipe.subset if recipe.per_class == 1 else 1.0
        self.subset = _stratified(search.labels.cpu(), share, self.generator).to(device)
        self.stream = search.endless(recipe.surrogate.batch)
        self.trained = 0

    def rounds(self, on_step: OnStep | None) -> dict[str, Any]:
        """Alternate until the error is small enough, or the rounds are over; what happened."""
        recipe = self.recipe
        noisy = max(recipe.noise_levels) > 0
        least = recipe.min_robust_rounds if noisy else 0
        error, robust_rounds, fitted, stop = 1.0, 0, False, "rounds"
        log: list[dict[str, Any]] = []
        for number in range(1, recipe.max_rounds + 1):
            # A surrogate that never fits half is made robust in the last rounds all the same.
            robust = noisy and (fitted or recipe.max_rounds - number < least)
            self._train(robust)
            self._improve(robust)
            error = self._error()
            robust_rounds += robust
            log.append({"robust": robust, "error": round(error, 6)})
            if on_step is not None:
                on_step(number, recipe.max_rounds, error)
            fitted = fitted or error < 1 - FITTED
            if error <= recipe.stop_error and robust_rounds >= least:
                stop = "error"
                break
        return {
            "rounds": log,
            "robust_rounds": robust_rounds,
            "final_error": round(error, 6),
            "stopped_by": stop,
            "images": len(self.search.images),
        }

    def _train(self, robust: bool) -> None:
        """θ: some batches of x + δ, one step each, or one per noise level."""
        recipe = self.recipe
        levels, draws = (recipe.noise_levels, recipe.draws) if robust else ((0.0,), 1)
        self.net.train().requires_grad_(True)
        for _ in range(recipe.batches):
            chosen = next(self.stream)
            with torch.no_grad():
                seen = self._seen(chosen, self.search.entries.of(chosen))
            done = self.trained / (recipe.max_rounds * recipe.batches)
            for group in self.optimiser.param_groups:
                group["lr"] = recipe.surrogate.lr * (0.5 + 0.5 * math.cos(math.pi * done))
            self.trained += 1

            def loss(seen: Tensor = seen, chosen: Tensor = chosen) -> Tensor:
                return self._loss(seen, chosen)

            robust_step(self.net, self.optimiser, loss, self.noise, levels, draws)

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
                        return self._loss(self._seen(chosen, delta), chosen)

                    sum_over_noise(loss, torch.autograd.backward, self.noise, level, draws)
                    if delta.grad is not None:
                        self.search.entries.move(chosen, -recipe.step * delta.grad.sign())

    def _loss(self, seen: Tensor, chosen: Tensor) -> Tensor:
        with autocast(self.search.images.device.type):
            loss: Tensor = functional.cross_entropy(self.net(seen), self.search.labels[chosen])
        return loss

    def _seen(self, chosen: Tensor, delta: Tensor) -> Tensor:
        """A view of files that carry ``delta``: augmented after it was added, as a trainer does."""
        return augmented(self.search.carrying(chosen, delta), self.recipe.surrogate, self.generator)

    @torch.no_grad()
    def _error(self) -> float:
        """The surrogate's error on the whole frames of the subset, as they would be published."""
        self.net.eval()
        wrong = 0
        for chosen in torch.split(self.subset, 500):
            shown = self.search.carrying(chosen, self.search.entries.of(chosen).round())
            with autocast(self.search.images.device.type):
                guess = self.net(whole(shown, self.recipe.surrogate.size)).argmax(1)
            wrong += int((guess != self.search.labels[chosen]).sum())
        return wrong / len(self.subset)


def _stratified(labels: Tensor, share: float, generator: torch.Generator) -> Tensor:
    """A random share of every class, at least one image; sorted indices."""
    order = torch.randperm(len(labels), generator=generator)
    chosen = []
    for label in torch.unique(labels):
        own = order[labels[order] == label]
        chosen.append(own[: max(1, math.ceil(share * len(own)))])
    return torch.cat(chosen).sort().values
