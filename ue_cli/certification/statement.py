"""The words for what `ue certify` measured."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from datetime import UTC, datetime

import torch

from ue_cli import __version__
from ue_cli.certificates.intervals import clopper_pearson
from ue_cli.certificates.statements import (
    NOT_COVERED,
    RUNS_NOT_COVERED,
    per_eta,
    population,
    simultaneous,
    training_runs,
)
from ue_cli.certificates.verdict import judge_runs
from ue_cli.certification.options import CertifyOptions
from ue_cli.datasets.dataset import Dataset
from ue_cli.datasets.limits import SIDE
from ue_cli.owner.manifest import MANIFEST_FILE, read_manifest
from ue_cli.report import Certification, Statements
from ue_cli.training.architectures import ARCHITECTURES, VictimName
from ue_cli.training.ssl_recipes import SslRecipe
from ue_cli.training.supervised import VictimRecipe
from ue_cli.training.victims import Recipe
from ue_cli.trials.running import Trial
from ue_cli.types import CertifyReport, EtaBound, LearnabilityCertificate, Verdict

CONFIDENCE = 0.95
"""Of the Clopper–Pearson intervals."""


def certification_of(
    measured: CertifyReport, dataset: Dataset, options: CertifyOptions
) -> Certification:
    """Put what was measured into words.

    Args:
        measured: by `ue certify`.
        dataset: what it was measured on.
        options: how.
    """
    runs_verdict: Verdict | None = None
    sentence = reason = ""
    if measured.runs is not None:
        runs_verdict, reason = judge_runs(measured.runs, classes=len(dataset.classes))
        sentence = training_runs(measured.runs)
    largest = Counter(image.label for image in dataset.test).most_common(1)[0][1]
    manifest = options.dataset / MANIFEST_FILE
    surrogates = [s for pair in measured.smoothed for s in (pair.protected, pair.control)]
    return Certification(
        measured=measured,
        dataset=options.dataset.absolute().name,
        when=datetime.now(UTC).astimezone().isoformat(timespec="seconds"),
        code_version=f"ue {__version__}, torch {torch.__version__}",
        command=options.command(),
        output_sha256=read_manifest(options.dataset).sha256 if manifest.exists() else None,
        chance=largest / len(dataset.test),
        statements=tuple(_statements(certificate) for certificate in measured.smoothed),
        intervals={
            s.sha256: clopper_pearson(s.correct, s.counts.tests, CONFIDENCE)
            for s in surrogates
            if s is not None
        },
        interval_confidence=CONFIDENCE,
        runs_verdict=runs_verdict,
        runs_sentence=sentence,
        runs_reason=reason,
        runs_not_covered=RUNS_NOT_COVERED,
        not_covered=NOT_COVERED,
    )


def describe_recipe(recipe: VictimRecipe, side: int = SIDE) -> str:
    """A training in words.

    Args:
        recipe: the hyperparameters.
        side: of the squares that it reads, in pixels.
    """
    net = ARCHITECTURES[recipe.net].title
    if recipe.net == "small":
        net = f"a {net} ({'-'.join(map(str, recipe.widths))} channels)"
    begun = f"trained on from {recipe.backbone}" if recipe.backbone else "trained from scratch"
    return (
        f"{net} {begun} for {recipe.epochs} epochs in batches of {recipe.batch} on "
        f"the files resized to {side} pixels, under {describe_views(recipe)}"
    )


def describe_views(recipe: Recipe) -> str:
    """The augmentation of a training in words."""
    if isinstance(recipe, SslRecipe):
        return (
            f"two views of each: random resized crops (at least {recipe.min_scale:g} of the area) "
            f"to {recipe.size} pixels, flips, colour jitter and gray"
        )
    if recipe.augment == "shift":
        return f"shifts by up to {recipe.reach} of {recipe.size} pixels and flips"
    return (
        f"random resized crops (at least {recipe.min_scale:g} of the area) to {recipe.size} pixels "
        "and flips"
    )


def describe_runs(trials: Sequence[Trial], victims: Sequence[VictimName], side: int = SIDE) -> str:
    """What varies between the trainings and what does not.

    Args:
        trials: of one arm.
        victims: the architectures that each of them drew from.
        side: of the squares that they read, in pixels.
    """
    seeds = f"(seeds {trials[0].seed} to {trials[-1].seed})"
    drawn = "first weights, order, crops and flips are drawn anew in each"
    if len(victims) == 1:
        same = f"{drawn} {seeds}, files and recipe are the same"
        return f"{describe_recipe(trials[0].classifier, side)}; {same}"
    recipes = {trial.classifier.net: trial.classifier for trial in trials}
    each = "; ".join(describe_recipe(recipes[name], side) for name in victims if name in recipes)
    titles = ", ".join(ARCHITECTURES[name].title for name in victims)
    return (
        f"the architecture is an independent draw, all being as likely, of {titles}, and {drawn} "
        f"{seeds}; files and the recipe of an architecture are the same: {each}"
    )


def duration(seconds: float) -> str:
    """Format an estimate: ``40 s``, ``12 min``, ``3.5 h``."""
    if seconds < 90:
        return f"{max(1, round(seconds))} s"
    return f"{round(seconds / 60)} min" if seconds < 5400 else f"{seconds / 3600:.1f} h"


def _statements(certificate: LearnabilityCertificate) -> Statements:
    protected, setting = certificate.protected, certificate.setting
    tests = protected.counts.tests
    return Statements(
        each=per_eta(_widest(protected.bounds), setting, tests),
        simultaneous=simultaneous(protected.simultaneous, setting, tests),
        population=population(_widest(protected.population), setting, tests),
    )


def _widest(bounds: tuple[EtaBound, ...]) -> EtaBound:
    """The largest η that is certified; where none is, the smallest that was asked for."""
    return max(
        bounds, key=lambda b: (b.upper is not None, b.eta if b.upper is not None else -b.eta)
    )
