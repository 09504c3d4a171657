"""From trained surrogates to one certificate of learnability, beside its control."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from ue_cli.certificates.sampling import choose_sigma, count_correct, count_without_noise
from ue_cli.certificates.smoothing import (
    certify_grid,
    certify_population,
    certify_simultaneous,
    eta_grid,
    lower_quantile,
    max_certifiable_eta,
)
from ue_cli.certificates.verdict import judge
from ue_cli.training.augment import whole
from ue_cli.training.scales import weight_distance, weight_norm
from ue_cli.training.supervised import VictimRecipe, build_net
from ue_cli.trials.running import TrialResult
from ue_cli.types import LearnabilityCertificate, NoisyCounts, Smoothing, SurrogateCertificate

SIGMAS = {
    "absolute": (0.002, 0.004, 0.008, 0.016, 0.03, 0.06, 0.12, 0.25),
    "relative": (0.02, 0.04, 0.08, 0.12, 0.16, 0.2, 0.25, 0.35, 0.5),
}
"""What σ is chosen from, by scaling; the published 0.25 is the largest absolute one."""

TRAINING_IMAGES = 1000
"""Training images that stand in for test images where σ is chosen without a control."""


TRIED, TRIED_DRAWS = 200, 3
"""Images and draws that an estimate is made from."""


@dataclass(frozen=True, slots=True)
class LabelledImages:
    """Labelled images as the surrogates see them.

    Attributes:
        images: (m, 3, size, size) float32, normalised.
        labels: (m,) int64.
    """

    images: Tensor
    labels: Tensor

    @classmethod
    def of(cls, images: NDArray[np.uint8], labels: NDArray[np.int64], size: int) -> LabelledImages:
        """From (m, 3, h, w) uint8 and (m,) int64."""
        return cls(whole(torch.from_numpy(images), size), torch.from_numpy(labels))

    def sample(self, most: int) -> LabelledImages:
        """Every so manieth, ``most`` of them or fewer."""
        every = -(-len(self.images) // most)
        return LabelledImages(self.images[::every], self.labels[::every])


@dataclass(frozen=True, slots=True)
class Surrogates:
    """The trainings that one certificate is about.

    Attributes:
        protected: trained on the protected files.
        twin: the same with another seed; None where there is none.
        control: trained on the originals, same recipe and seed; None without originals.
    """

    protected: TrialResult
    twin: TrialResult | None
    control: TrialResult | None


def smooth(
    surrogates: Surrogates,
    tests: LabelledImages,
    training_images: LabelledImages,
    setting: Smoothing,
    *,
    sigma: float | None,
    seed: int,
    device: str,
    on_draw: Callable[[], None],
) -> LearnabilityCertificate:
    """Certify one kind of surrogate, beside its control.

    Args:
        surrogates: trained.
        tests: what accuracy is counted on.
        training_images: the protected ones: σ is chosen on them where there is no control.
        setting: all but σ.
        sigma: σ; None chooses it.
        seed: of the noise.
        device: ``cpu``, ``cuda`` or ``mps``.
        on_draw: called after every certifying draw.
    """
    results = (surrogates.protected, surrogates.control)
    nets = [result.load_net() for result in results if result is not None]
    if sigma is None:
        sigma, rule = _choose(nets, tests, training_images, setting, seed, device)
    else:
        rule = "Given on the command line."
    setting = replace(setting, sigma=sigma)

    def certified(result: TrialResult, net: nn.Module) -> SurrogateCertificate:
        counts = count_correct(
            net,
            tests.images,
            tests.labels,
            setting,
            seed=seed,
            device=device,
            on_step=lambda *_: on_draw(),
        )
        correct = count_without_noise(net, tests.images, tests.labels, device=device)
        return _bounded(result, net, correct, counts, setting)

    protected = certified(surrogates.protected, nets[0])
    control = None
    if surrogates.control is not None:
        control = certified(surrogates.control, nets[1])
    verdict, reason = judge(protected, control, setting, classes=surrogates.protected.classes)
    distance = None
    if surrogates.twin is not None:
        other = surrogates.twin.load_net().state_dict()
        distance = weight_distance(nets[0], other, setting.scaling)
    return LearnabilityCertificate(
        setting=setting,
        protected=protected,
        control=control,
        max_eta=max_certifiable_eta(setting.draws, setting.q, sigma, setting.confidence),
        training_distance=distance,
        sigma_rule=rule,
        recovery=None,
        verdict=verdict,
        reason=reason,
    )


def estimate_draws(
    recipe: VictimRecipe, setting: Smoothing, classes: int, tests: int, device: str
) -> float:
    """Seconds that `smooth` will take for one surrogate, from a few draws on made-up images."""
    net = build_net(recipe, classes, seed=0).eval()
    sample = min(tests, TRIED)
    images, labels = torch.zeros(sample, 3, recipe.size, recipe.size), torch.zeros(sample).long()
    few = partial(count_correct, net, images, labels, setting, seed=0, device=device)
    few(draws=range(1))
    began = time.perf_counter()
    few(draws=range(TRIED_DRAWS), precision="fp32")
    return (time.perf_counter() - began) / TRIED_DRAWS * tests / sample * setting.draws


def _choose(
    nets: list[nn.Module],
    tests: LabelledImages,
    training_images: LabelledImages,
    setting: Smoothing,
    seed: int,
    device: str,
) -> tuple[float, str]:
    """The rule for σ (algorithms.md §4), and the rule in words."""
    with_control = len(nets) > 1
    judged = tests if with_control else training_images.sample(TRAINING_IMAGES)
    grid = SIGMAS[setting.scaling]
    choice = choose_sigma(
        nets[-1], judged.images, judged.labels, grid, setting, seed=seed, device=device
    )
    whose = (
        "the clean control on the clean test images"
        if with_control
        else "the surrogate itself on its own training files, for want of a control"
    )
    accuracies = f"{100 * choice.median:.1f} % of {100 * choice.accuracy:.1f} %"
    if not choice.useful:
        return choice.sigma, (
            f"The smallest of {len(grid)} values: under every one of them the median noisy copy of "
            f"{whose} keeps less than nine tenths of its accuracy (at this one {accuracies})."
        )
    return choice.sigma, (
        f"The largest of {len(grid)} values under which the median noisy copy of {whose} keeps "
        f"nine tenths of its accuracy ({accuracies}), on pilot draws of their own."
    )


def _bounded(
    result: TrialResult, net: nn.Module, correct: int, counts: NoisyCounts, setting: Smoothing
) -> SurrogateCertificate:
    etas = eta_grid(setting.sigma)
    # Radii that N draws cannot reach are known before the first draw: they need no share of α.
    reach = max_certifiable_eta(setting.draws, setting.q, setting.sigma, setting.confidence)
    within = eta_grid(setting.sigma, reach)
    return SurrogateCertificate(
        arm=result.trial.arm,
        training="robust" if result.trial.classifier.noise else "plain",
        correct=correct,
        fit=result.fit,
        weight_norm=weight_norm(net, setting.scaling),
        counts=counts,
        bounds=certify_grid(counts, etas, setting),
        simultaneous=certify_simultaneous(counts, within, setting),
        population=certify_population(counts, etas, setting),
        lower=lower_quantile(counts, setting),
        sha256=result.sha256,
    )
