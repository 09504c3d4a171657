"""Trainings that are kept: many on one data set, side by side, each of them run once."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from safetensors.torch import load_file
from torch import nn

from ue_cli.errors import ExitCode, UeError
from ue_cli.report.values import rebuild
from ue_cli.storage import private_folder
from ue_cli.training.contrastive import build_contrast
from ue_cli.training.ssl_recipes import SslRecipe
from ue_cli.training.supervised import build_net
from ue_cli.trials.cache import fetch, trial_key, weights_path
from ue_cli.trials.data import Trial, TrialData
from ue_cli.trials.lanes import train_one, train_side_by_side
from ue_cli.trials.plan import estimate_seconds
from ue_cli.types import Encoding, Phases

__all__ = [
    "Trial",
    "TrialData",
    "TrialResult",
    "estimate_seconds",
    "finished",
    "pending",
    "run_trials",
]


@dataclass(frozen=True, slots=True)
class TrialResult:
    """A finished training.

    Attributes:
        trial: which.
        correct: test images that it gets right after each epoch.
        tests: of how many.
        fitted: its own training files, under its own augmentation, that it gets right at the end.
        trained: of how many.
        classes: of the network's outputs.
        seconds: of training and testing, when it was trained.
        sha256: of ``weights``.
        weights: the file of its last weights (safetensors).
        cached: it was trained before.
        encoding: what else is known of an encoder; None: it is a classifier.
    """

    trial: Trial
    correct: tuple[int, ...]
    tests: int
    fitted: int
    trained: int
    classes: int
    seconds: float
    sha256: str
    weights: Path
    cached: bool
    encoding: Encoding | None = None

    @property
    def last(self) -> int:
        """Correct test images after the last epoch."""
        return self.correct[-1]

    @property
    def best(self) -> int:
        """Correct test images after the best epoch: what early stopping reaches at most."""
        return max(self.correct)

    @property
    def fit(self) -> float:
        """The share of its own files that it gets right."""
        return self.fitted / self.trained

    def load_net(self) -> nn.Module:
        """The trained network, on the CPU, in eval mode; of an encoder it gives the features."""
        recipe, seed = self.trial.recipe, self.trial.seed
        net: nn.Module
        if isinstance(recipe, SslRecipe):
            net = build_contrast(recipe, seed=seed)
        else:
            net = build_net(recipe, self.classes, seed=seed)
        net.load_state_dict(load_file(self.weights))
        return net.eval()


def run_trials(
    trials: Sequence[Trial],
    data: TrialData,
    *,
    cache: Path,
    jobs: int,
    device: str,
    phases: Phases,
    title: str = "Training",
    on_result: Callable[[TrialResult], None] | None = None,
) -> list[TrialResult]:
    """Train what is not in the cache, and return everything in the order given.

    On the CPU up to ``jobs`` trainings run side by side in processes of one thread each (of more,
    where there are fewer trials than jobs; the last bits of a sum depend on the threads). Other
    devices train one after another in this process. Every finished training is kept at once, so
    that the same call goes on where an interrupted one stopped.

    Args:
        trials: equal ones are trained once, and those whose countermeasure changes nothing about
            the plain training as that.
        data: with originals, where a trial's arm is ``clean`` or its countermeasure needs them.
        cache: private folder; made where it is missing.
        jobs: processes.
        device: ``cpu``, ``cuda`` or ``mps``.
        phases: one step per epoch.
        title: of the phase.
        on_result: called with each training as soon as it is there, cached ones first.

    Raises:
        UeError: the cache cannot be written, a training ended its process (``trial-crashed``), or
            no countermeasure has a trial's name.
    """
    private_folder(cache)
    keys = _keys(trials, data, device)
    entries = {key: fetch(cache, key) for key in keys}
    wanted = {key: trial.canonical() for key, trial in zip(keys, trials, strict=True)}
    missing = {key: trial for key, trial in wanted.items() if entries[key] is None}
    phases.start(title, sum(trial.recipe.epochs for trial in wanted.values()))
    phases.step(sum(trial.recipe.epochs for key, trial in wanted.items() if entries[key]))
    results: dict[Trial, TrialResult] = {}

    def keep(key: str) -> None:
        body, weights = entries[key] or fetch(cache, key), weights_path(cache, key)
        for trial, other_key in zip(trials, keys, strict=True):
            if other_key == key and trial not in results:
                results[trial] = _result(trial, body, weights, key in missing)
                if on_result is not None:
                    on_result(results[trial])

    for key in wanted:
        if key not in missing:
            keep(key)
    lanes = min(jobs, len(wanted)) if device == "cpu" else 1
    if lanes > 1 and missing:
        train_side_by_side(missing, data, cache, lanes, jobs // lanes, phases, keep)
    else:
        for key, trial in missing.items():
            arrays = data.arrays(trial.arm)
            needed = {need: data.knowledge(need) for need in trial.needs}
            train_one(key, trial, arrays, needed, cache, device, max(1, jobs), phases.step)
            keep(key)
    return [results[trial] for trial in trials]


def pending(trials: Sequence[Trial], data: TrialData, *, cache: Path, device: str) -> list[Trial]:
    """Those that `run_trials` would have to train, each of them once."""
    keys = _keys(trials, data, device)
    wanted = {key: trial.canonical() for key, trial in zip(keys, trials, strict=True)}
    return [trial for key, trial in wanted.items() if fetch(cache, key) is None]


def finished(
    trials: Sequence[Trial], data: TrialData, *, cache: Path, device: str
) -> list[TrialResult]:
    """Those that `run_trials` would not have to train, in the order given."""
    results = []
    for trial, key in zip(trials, _keys(trials, data, device), strict=True):
        if (body := fetch(cache, key)) is not None:
            results.append(_result(trial, body, weights_path(cache, key), False))
    return results


def _keys(trials: Sequence[Trial], data: TrialData, device: str) -> list[str]:
    trials = [trial.canonical() for trial in trials]
    hashes = {arm: data.sha256(arm) for arm in {trial.arm for trial in trials}}
    needed = {need for trial in trials for need in trial.needs}
    knowledge = {need: data.knowledge_sha256(need) for need in needed}
    return [
        trial_key(trial, hashes[trial.arm], device, {need: knowledge[need] for need in trial.needs})
        for trial in trials
    ]


def _result(trial: Trial, body: dict[str, Any] | None, weights: Path, fresh: bool) -> TrialResult:
    if body is None:
        raise UeError(
            "trial-lost",
            f"A training that had just ended cannot be read again from {weights.parent}.",
            "Check that disk, then run the same command again.",
            exit_code=ExitCode.BUG,
        )
    return TrialResult(
        trial=trial,
        correct=tuple(body["correct"]),
        tests=body["tests"],
        fitted=body["fitted"],
        trained=body["trained"],
        classes=body["classes"],
        seconds=body["seconds"],
        sha256=body["weights_sha256"],
        weights=weights,
        cached=not fresh,
        encoding=rebuild(Encoding, body["encoding"]) if "encoding" in body else None,
    )
