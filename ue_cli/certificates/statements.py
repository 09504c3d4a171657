"""What a certificate proves and what it does not, in words that may be printed as they stand.

Upper bounds are rounded up, lower bounds and confidences down: no sentence claims more than its
number.
"""

from __future__ import annotations

from collections.abc import Sequence

from ue_cli.certificates.smoothing import draws_needed
from ue_cli.types import EtaBound, RunsCertificate, Smoothing
from ue_cli.types.wording import at_least, at_most, confidence_words

NOT_COVERED = (
    "The surrogate as it is, without noise. The bound is about models with noise on their "
    "weights, and strong noise ruins a good model too: read it beside the accuracy without noise "
    "and beside the control.",
    "A model trained anew. Two trainings on the same files end much farther apart than any η that "
    "can be certified; that distance is given where it was measured. About new trainings only the "
    "training-run certificate speaks.",
    "Fine-tuning that moves the weights farther than η, or that lets the running statistics of "
    "BatchNorm adapt: here they stay as the surrogate has them.",
    "Other architectures than the surrogate's.",
    "Countermeasures: compression, blurring, strong augmentation, adversarial training, "
    "purification. The surrogate was trained on the files as they are.",
    "Dilution: training on the protected files together with clean images of the same kind.",
    "Other test images. Only the population statement goes beyond this test set, and only if "
    "these images are an independent sample of those it speaks about.",
    "The same function with other weights. Where noise is absolute, a rescaled network that "
    "computes the same gets another bound; noise relative to each filter does not depend on it, "
    "up to BatchNorm's small constant.",
)
"""For the smoothing certificate."""

RUNS_NOT_COVERED = (
    "Trainings outside the stated distribution: another architecture, recipe or length, "
    "a countermeasure, clean images added, a pretrained start.",
    "The remaining share of trainings: those may reach more than the bound, by any amount.",
    "Stopping early. The bound is on the last epoch; what the best epoch reached, picked with "
    "clean images, is given beside it.",
    "Other test images than these.",
)
"""For the training-run certificate."""


def per_eta(bound: EtaBound, setting: Smoothing, tests: int) -> str:
    """State one η, as published.

    Args:
        bound: of ``certify_grid``.
        setting: that it was made with.
        tests: size of the test set.
    """
    if bound.upper is None:
        return _abstention((bound,), setting)
    return (
        f"With {confidence_words(setting.confidence)} confidence over the {setting.draws:,} random "
        f"draws: {_noisy_models(setting)} get at most {at_most(bound.upper)} of these {tests:,} "
        f"test images right, even if the surrogate's weights were first shifted in any direction "
        f"by up to η = {bound.eta:g} {_units(setting)}. The confidence is that of this one η; "
        "several such statements do not hold together with it."
    )


def simultaneous(bounds: Sequence[EtaBound], setting: Smoothing, tests: int) -> str:
    """State the whole grid of ``certify_simultaneous``."""
    held = [f"{at_most(b.upper)} for η = {b.eta:g}" for b in bounds if b.upper is not None]
    if not held:
        return _abstention(bounds, setting)
    words = (
        f"With {confidence_words(setting.confidence)} confidence over the {setting.draws:,} random "
        f"draws, all of these hold together: {_noisy_models(setting)} get at most so many of these "
        f"{tests:,} test images right, even if the surrogate's weights were first shifted in any "
        f"direction by up to η {_units(setting)}: {', '.join(held)}."
    )
    left = [bound for bound in bounds if bound.upper is None]
    return f"{words} {_abstention(left, setting)}" if left else words


def population(bound: EtaBound, setting: Smoothing, tests: int) -> str:
    """State one η of ``certify_population``."""
    if bound.upper is None:
        return _abstention((bound,), setting)
    return (
        f"With {confidence_words(setting.confidence)} confidence over the {setting.draws:,} random "
        f"draws and the choice of the test images: {_noisy_models(setting)} get at most "
        f"{at_most(bound.upper)} of all images of this kind right, seen or not, even if the "
        f"surrogate's weights were first shifted in any direction by up to η = {bound.eta:g} "
        f"{_units(setting)}. This asks that the {tests:,} test images are an independent sample of "
        "that kind and had no part in training. The confidence is that of this one η."
    )


def training_runs(runs: RunsCertificate) -> str:
    """State what K trainings prove about such trainings."""
    words = (
        f"With {confidence_words(runs.confidence)} confidence over {runs.runs} independent "
        f"trainings, at least {_share(runs.q)} of all such trainings on the protected files reach "
        f"at most {at_most(runs.upper)} on these {runs.tests:,} clean test images."
    )
    if runs.control_lower is not None:
        words += (
            f" With the same confidence, by itself, at least {_share(runs.q)} of those on the "
            f"originals reach at least {at_least(runs.control_lower)}."
        )
    return f"{words} Such a training: {runs.distribution.rstrip('.')}."


def _noisy_models(setting: Smoothing) -> str:
    return (
        f"at least {_share(setting.q)} of the models made by adding Gaussian noise "
        f"(σ = {setting.sigma:g}) to the weights"
    )


def _units(setting: Smoothing) -> str:
    unit = {
        "absolute": "in units of the weights",
        "relative": "in units of each filter's own size",
    }[setting.scaling]
    return f"(σ and η {unit}; η an L2 distance)"


def _abstention(bounds: Sequence[EtaBound], setting: Smoothing) -> str:
    etas = ", ".join(f"{bound.eta:g}" for bound in bounds)
    words = f"No statement for η = {etas}: {setting.draws:,} draws are too few."
    if len(bounds) == 1:
        needed = draws_needed(bounds[0].eta, setting.q, setting.sigma, setting.confidence)
        if needed is None:
            words += " No number of draws within reach would do."
        elif needed > setting.draws:
            words += f" It takes at least {needed:,}."
    return words


def _share(q: float) -> str:
    return f"{100 * q:g} %"
