"""Trainings under a countermeasure: trained, kept, and told apart from plain ones."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from tests.jobs.trials.test_trials import TINY, Counter, make_data, numbers
from ue_cli.countermeasures import registry
from ue_cli.countermeasures.adversarial import AdversarialTraining
from ue_cli.countermeasures.filters import Grayscale
from ue_cli.countermeasures.registry import Spec
from ue_cli.errors import UeError
from ue_cli.training.hooks import Plain
from ue_cli.training.supervised import test_accuracy, train_victim
from ue_cli.trials.plan import Costs
from ue_cli.trials.running import (
    Trial,
    TrialData,
    TrialResult,
    estimate_seconds,
    pending,
    run_trials,
)

SHORT = replace(TINY, epochs=1, widths=(8,), batch=64)


def countered(name: str | None, arm: str = "protected", **changes: object) -> Trial:
    return Trial(arm, 0, replace(SHORT, **changes), name)  # type: ignore[arg-type]


def public_bank() -> dict[str, np.ndarray]:
    """An entry of ones for each class, on all of `make_data`."""
    return {
        "cells": np.ones((2, 2, 1, 3, 4, 4), np.float32),
        "frame": np.zeros(64, np.int64),
        "gray": np.zeros(1, np.int64),
        "down": np.ones((1, 16, 4), np.float32),
        "across": np.ones((1, 16, 4), np.float32),
    }


def train(cache: Path, *wanted: Trial, data: TrialData | None = None) -> list[TrialResult]:
    data = make_data() if data is None else data
    return run_trials(wanted, data, cache=cache, jobs=1, device="cpu", phases=Counter())


def test_a_training_under_a_countermeasure_is_the_trainers_with_those_hooks(tmp_path: Path) -> None:
    (result,) = train(tmp_path, countered("grayscale"))
    data = make_data()
    images, labels = torch.from_numpy(data.protected), torch.from_numpy(data.labels)
    tests, truths = torch.from_numpy(data.test), torch.from_numpy(data.test_labels)
    victim = train_victim(images, labels, tests, truths, SHORT, seed=0, hooks=Grayscale())
    assert result.correct == tuple(round(share * 30) for share in victim.accuracy)
    assert result.fitted == round(victim.fit * 64)
    share = test_accuracy(result.load_net(), Grayscale().test(tests), truths, size=SHORT.size)
    assert round(share * 30) == result.last


def test_each_countermeasure_and_arm_is_a_training_of_its_own(tmp_path: Path) -> None:
    wanted = [
        countered(name, arm)
        for name in (None, "grayscale", "dilution-20")
        for arm in ("protected", "clean")
    ]
    results = train(tmp_path, *wanted)
    assert [result.trial for result in results] == wanted
    # The last: originals diluted with originals.
    assert results[5].sha256 == results[1].sha256
    assert len({result.sha256 for result in results}) == 5
    again = train(tmp_path, *reversed(wanted))
    assert all(result.cached for result in again)
    assert numbers(again) == numbers(results[::-1])


def test_what_changes_nothing_about_a_training_is_the_plain_one(tmp_path: Path) -> None:
    same = [
        countered(name, augment="resized-crop", min_scale=0.35)
        for name in ("rrc-0.35", "none", None)
    ]
    assert pending(same, make_data(), cache=tmp_path, device="cpu") == same[2:]
    first, *others = train(tmp_path, *same)
    assert {result.sha256 for result in others} == {first.sha256}
    assert len(list(tmp_path.glob("*.json"))) == 1
    shifted = [countered(name, augment="shift") for name in ("rrc-0.35", None)]
    assert pending(shifted, make_data(), cache=tmp_path, device="cpu") == shifted


def test_only_what_a_countermeasure_needs_decides_about_its_training(tmp_path: Path) -> None:
    plain, diluted = countered(None), countered("dilution-20")
    subtracted = countered("subtraction")
    data = make_data()
    bank = public_bank()
    data = replace(data, bank=bank)
    train(tmp_path, plain, diluted, subtracted, data=data)
    assert data.clean is not None
    others = replace(data, clean=255 - data.clean)
    wanted = [plain, diluted, subtracted]
    assert pending(wanted, others, cache=tmp_path, device="cpu") == [diluted]
    changed = replace(data, bank=bank | {"down": bank["down"] + 1})
    assert pending(wanted, changed, cache=tmp_path, device="cpu") == [subtracted]


@pytest.mark.parametrize(
    ("name", "what"), [("dilution-20", "no originals"), ("subtraction", "no published")]
)
def test_what_a_countermeasure_lacks_is_named(tmp_path: Path, name: str, what: str) -> None:
    data = replace(make_data(), clean=None)
    with pytest.raises(ValueError, match=what):
        train(tmp_path, countered(name), data=data)


def test_an_unknown_countermeasure_is_refused_before_any_training(tmp_path: Path) -> None:
    with pytest.raises(UeError, match="no countermeasure 'jpg-50'") as refused:
        train(tmp_path, countered(None), countered("jpg-50"))
    assert "jpeg-50" in refused.value.hint
    assert not list(tmp_path.glob("*.json"))


def test_another_version_of_a_countermeasure_is_trained_anew(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    target = "ue_cli.countermeasures.filters:BitDepth"
    row = Spec("planted", "", "", "full", target, {"bits": 2})
    for spec in (row, replace(row, version=2), replace(row, arguments={"bits": 3})):
        monkeypatch.setattr(registry, "SPECS", (spec,))
        assert pending([countered("planted")], make_data(), cache=tmp_path, device="cpu")
        train(tmp_path, countered("planted"))
        assert not pending([countered("planted")], make_data(), cache=tmp_path, device="cpu")


def test_an_estimate_tries_each_kind_of_step_once(monkeypatch: pytest.MonkeyPatch) -> None:
    tried: list[type] = []

    def measure(*arguments: object) -> Costs:
        tried.append(type(arguments[-1]))
        return Costs(1.0 if tried[-1] is Plain else 8.0, 0.0)

    monkeypatch.setattr("ue_cli.trials.plan.measure", measure)
    names = [None, "none", "jpeg-50", "dilution-20", "adversarial-2", "adversarial-4"]

    def estimate(*wanted: str | None) -> float:
        trials = [countered(name) for name in wanted]
        sizes = {"train_files": 640, "tests": 30, "side": 16, "classes": 2}
        return estimate_seconds(trials, jobs=1, device="cpu", **sizes)

    assert estimate(*names) == 4 * 10 + 2 * 80
    assert tried == [Plain, AdversarialTraining]


@pytest.mark.slow
def test_processes_have_what_a_countermeasure_needs(tmp_path: Path) -> None:
    wanted = [countered("dilution-20"), countered("subtraction", "clean")]
    data = replace(make_data(), bank=public_bank())
    one, two = (
        run_trials(
            wanted, data, cache=tmp_path / str(jobs), jobs=jobs, device="cpu", phases=Counter()
        )
        for jobs in (1, 2)
    )
    assert numbers(one) == numbers(two)


def test_the_control_of_a_subtraction_is_the_plain_one() -> None:
    """Originals less an entry carry its opposite: a control that learns nothing excuses all."""
    assert countered("subtraction", "clean").canonical().countermeasure is None
    assert countered("subtraction").canonical().countermeasure == "subtraction"
