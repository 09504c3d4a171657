"""`ue certify`: surrogates on the protected files and on the originals, and their bounds."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch

from ue_cli.certificates.runs import certify_runs, runs_confidence
from ue_cli.certificates.smoothing import draws_needed, max_certifiable_eta
from ue_cli.certification.forecast import Plan, forecast, planned
from ue_cli.certification.options import CertifyOptions
from ue_cli.certification.recovered import RADII, attack
from ue_cli.certification.smoothed import TRAINING_IMAGES, LabelledImages, Surrogates, smooth
from ue_cli.certification.statement import (
    certification_of,
    describe_recipe,
    describe_runs,
    duration,
)
from ue_cli.datasets.dataset import Dataset
from ue_cli.datasets.images import load_images
from ue_cli.datasets.subject import TRAININGS
from ue_cli.errors import UeError
from ue_cli.report import Caution, Certification, write_certificate
from ue_cli.report.values import plain
from ue_cli.storage import explain_write
from ue_cli.training.backend import resolve_device
from ue_cli.trials.running import (
    Trial,
    TrialData,
    TrialResult,
    pending,
    run_trials,
)
from ue_cli.types import (
    CertifyReport,
    LearnabilityCertificate,
    Phases,
    RunsCertificate,
    Smoothing,
)
from ue_cli.types.wording import confidence_words

RUNS_SHARE = 0.5
"""The share of all trainings that the training-run certificate speaks about."""


@dataclass(frozen=True, slots=True)
class CertifyResult:
    """What `ue certify` found, and where it is written.

    Attributes:
        certification: the bounds, and the words for them.
        report: the report's folder.
        cautions: what was left out, and what looks wrong.
    """

    certification: Certification
    report: Path
    cautions: tuple[Caution, ...]

    def to_json(self) -> dict[str, Any]:
        """The envelope's result: all that is in certificate.json, the counts included."""
        return {
            "report": str(self.report),
            "certificate": plain(self.certification),
            "warnings": [plain(caution) for caution in self.cautions],
        }


def certify(options: CertifyOptions, phases: Phases) -> CertifyResult:
    """Train surrogates and certify them (product.md, Commands).

    Raises:
        UeError: the data set cannot be certified, or N is too small for any η; finished trainings
            are kept, and the same call goes on from there.
    """
    started = time.monotonic()
    setting = options.setting()
    _require_draws(setting)
    device = resolve_device(options.device)
    torch.set_num_threads(options.jobs)  # where --jobs leaves cores to others, draws do as well
    asked, dataset = options, options.read(phases)
    options = replace(options, side=dataset.side)
    data = _load(dataset, options, phases)
    plan = planned(options, len(dataset.train), with_control=dataset.has_control)
    cache = options.folder / TRAININGS
    _announce(dataset, setting, options, phases)
    left = pending(plan.trials, data, cache=cache, device=device)
    tests, classes = len(dataset.test), len(dataset.classes)
    seconds = forecast(options, len(dataset.train), tests, classes, plan=plan, left=left)
    phases.note(f"This will take about {duration(seconds)} on {device.upper()}.")
    results = run_trials(
        plan.trials, data, cache=cache, jobs=options.jobs, device=device, phases=phases
    )
    trained = _Trained(plan, dict(zip(plan.trials, results, strict=True)), data, device)
    smoothed = _smooth_each(trained, setting, options, phases)
    measured = CertifyReport(
        smoothed=_attack_each(smoothed, trained, options, phases),
        runs=_certify_runs(trained, options),
        train_files=len(dataset.train),
        test_files=len(dataset.test),
        test_source=dataset.test_source,
        device=device.upper(),
        recipe=describe_recipe(plan.plain["protected"].classifier, dataset.side),
        data_sha256=dataset.sha256,
        seconds=time.monotonic() - started,
    )
    certification = certification_of(measured, dataset, asked)
    with explain_write(options.folder):
        write_certificate(options.folder, certification)
    return CertifyResult(certification, options.folder, dataset.cautions)


def _require_draws(setting: Smoothing) -> None:
    if max_certifiable_eta(setting.draws, setting.q, 1.0, setting.confidence) > 0:
        return
    needed = draws_needed(0.0, setting.q, 1.0, setting.confidence)
    raise UeError(
        "draws-too-few",
        f"{setting.draws:,} draws cannot certify any η: bounding the {setting.q:g}-quantile with "
        f"{confidence_words(setting.confidence)} confidence takes at least {needed:,}.",
        f"Give --draws {needed} or more (1,000 reach η = 1.3 σ at q = 0.9), or a lower --q.",
    )


def _load(dataset: Dataset, options: CertifyOptions, phases: Phases) -> TrialData:
    def read(paths: list[Path], title: str) -> np.ndarray[Any, np.dtype[np.uint8]]:
        return load_images(
            paths,
            dataset.side,
            jobs=options.jobs,
            phases=phases,
            title=title,
            max_pixels=dataset.max_pixels,
        )

    originals = [file.original for file in dataset.train if file.original is not None]
    return TrialData(
        protected=read([file.protected for file in dataset.train], "Reading the protected files"),
        clean=read(originals, "Reading the originals") if dataset.has_control else None,
        labels=np.array([file.label for file in dataset.train], np.int64),
        test=read([image.path for image in dataset.test], "Reading the clean test images"),
        test_labels=np.array([image.label for image in dataset.test], np.int64),
    )


def _announce(
    dataset: Dataset, setting: Smoothing, options: CertifyOptions, phases: Phases
) -> None:
    """Say what is fixed from here on, before the first training."""
    phases.note(
        f"{len(dataset.train):,} files train and {len(dataset.test):,} clean images test, in "
        f"{len(dataset.classes)} classes. {dataset.labels_from}"
    )
    sides = (
        "on the protected files and as many on the originals"
        if dataset.has_control
        else ("on the protected files; without originals there is no control")
    )
    phases.note(
        f"K = {options.runs} independent trainings {sides}: they bound the median training with "
        f"{confidence_words(runs_confidence(options.runs, RUNS_SHARE))} confidence."
    )
    reach = max_certifiable_eta(setting.draws, setting.q, 1.0, setting.confidence)
    phases.note(
        f"N = {setting.draws:,} draws certify η up to {reach:.3g} σ at q = {setting.q:g} with "
        f"{confidence_words(setting.confidence)} confidence."
    )


@dataclass(frozen=True, slots=True)
class _Trained:
    """Everything after the last training.

    Attributes:
        plan: what was wanted.
        results: of each of its trials.
        data: that they saw.
        device: where they ran.
    """

    plan: Plan
    results: Mapping[Trial, TrialResult]
    data: TrialData
    device: str

    def surrogates(self, kind: Mapping[str, Trial]) -> Surrogates:
        """What one certificate is about; its twin is another run under the same recipe."""
        trial = kind["protected"]
        twins = (t for t in self.plan.runs["protected"] if t.recipe == trial.recipe and t != trial)
        twin = next(twins, None)
        return Surrogates(
            self.results[trial],
            None if twin is None else self.results[twin],
            self.results[kind["clean"]] if "clean" in kind else None,
        )


def _smooth_each(
    trained: _Trained, setting: Smoothing, options: CertifyOptions, phases: Phases
) -> tuple[LearnabilityCertificate, ...]:
    """The plain surrogate, then the robust one."""
    plan, data = trained.plan, trained.data
    size = plan.plain["protected"].recipe.size
    tests = LabelledImages.of(data.test, data.test_labels, size)
    training_images = LabelledImages.of(data.protected, data.labels, size).sample(TRAINING_IMAGES)
    phases.start("Drawing noisy copies", 2 * len(plan.plain) * setting.draws)
    return tuple(
        smooth(
            trained.surrogates(kind),
            tests,
            training_images,
            setting,
            sigma=options.given_sigma,
            seed=options.seed,
            device=trained.device,
            on_draw=phases.step,
        )
        for kind in (plan.plain, plan.robust)
    )


def _attack_each(
    certificates: tuple[LearnabilityCertificate, ...],
    trained: _Trained,
    options: CertifyOptions,
    phases: Phases,
) -> tuple[LearnabilityCertificate, ...]:
    """Each certificate with the recovery attack on the surrogate that it is about."""
    data, plan = trained.data, trained.plan
    if data.clean is None:
        return certificates
    phases.start("Attacking the surrogates", len(certificates) * len(RADII))
    attacked = (trained.results[kind["protected"]] for kind in (plan.plain, plan.robust))
    return tuple(
        replace(
            certificate,
            recovery=attack(
                certificate,
                surrogate,
                data,
                seed=options.seed,
                device=trained.device,
                on_radius=phases.step,
            ),
        )
        for certificate, surrogate in zip(certificates, attacked, strict=True)
    )


def _certify_runs(trained: _Trained, options: CertifyOptions) -> RunsCertificate:
    by_arm = {
        arm: [trained.results[trial] for trial in trials]
        for arm, trials in trained.plan.runs.items()
    }
    protected, control = by_arm["protected"], by_arm.get("clean", [])
    return certify_runs(
        [r.last for r in protected],
        [r.last for r in control],
        tests=protected[0].tests,
        q=RUNS_SHARE,
        protected_fit=[r.fit for r in protected],
        control_fit=[r.fit for r in control],
        protected_best=[r.best for r in protected],
        distribution=describe_runs(
            [r.trial for r in protected], options.architectures, options.square
        ),
    )
