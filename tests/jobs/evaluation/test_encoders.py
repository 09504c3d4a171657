"""Encoders as victims: trained without labels, kept, read out, judged above their floor."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from tests.jobs.conftest import Ue, picture
from tests.jobs.trials.test_trials import Counter, make_data, numbers
from ue_cli.countermeasures.filters import Grayscale
from ue_cli.countermeasures.registry import SPECS, find
from ue_cli.errors import UeError
from ue_cli.evaluation.cells import plan_cells, suits, tasks_of, unsuited
from ue_cli.evaluation.judge import judge_cell, training
from ue_cli.evaluation.options import EvaluateOptions
from ue_cli.report import read_evaluation
from ue_cli.training.architectures import ARCHITECTURES, FROM_SCRATCH
from ue_cli.training.contrastive import Contrast
from ue_cli.training.hooks import NOTHING
from ue_cli.training.ssl_recipes import SSL_NAMES, small_ssl
from ue_cli.training.ssl_victims import read_out, ssl_victim
from ue_cli.training.victims import READOUTS, encoder_recipe
from ue_cli.trials.running import Trial, TrialResult, estimate_seconds, pending, run_trials
from ue_cli.types import Encoding, Training

TINY = replace(small_ssl("simclr"), widths=(8, 16), size=16, batch=32, epochs=2, projection=(16, 8))


@pytest.fixture(autouse=True)
def one_decay(monkeypatch: pytest.MonkeyPatch) -> None:
    """Probes that choose from nothing, for the seconds that it takes."""
    monkeypatch.setattr("ue_cli.training.readout.DECAYS", (1e-2,))


def train(cache: Path, *wanted: Trial, phases: Counter | None = None) -> list[TrialResult]:
    phases = phases or Counter()
    return run_trials(wanted, make_data(), cache=cache, jobs=1, device="cpu", phases=phases)


def test_an_encoder_is_kept_with_its_readouts_and_its_floor(tmp_path: Path) -> None:
    (result,) = train(tmp_path, Trial("protected", 3, TINY, "grayscale"))
    data = make_data()
    images, labels = torch.from_numpy(data.protected), torch.from_numpy(data.labels)
    tests, truths = torch.from_numpy(data.test), torch.from_numpy(data.test_labels)
    hooks = Grayscale()
    victim = ssl_victim(images, labels, tests, truths, TINY, seed=3, readouts=READOUTS, hooks=hooks)
    assert result.correct == tuple(round(30 * share) for share in victim.accuracy)
    assert result.fitted == round(64 * victim.fit)
    counts = (victim.learned.knn, victim.floor.probe, victim.floor.knn)
    assert result.encoding == Encoding(30, (1, 2), *(round(30 * share) for share in counts))
    kept, known = result.load_net(), hooks.prepare(images, labels, NOTHING, torch.Generator())
    assert isinstance(kept, Contrast)
    assert read_out(kept, known, labels, hooks.test(tests), truths, seed=3) == victim.learned


def test_a_kept_encoder_counts_as_all_its_epochs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("ue_cli.trials.lanes.READOUTS", 1)
    trial = Trial("clean", 0, TINY)
    first = train(tmp_path, trial)
    assert len(first[0].correct) == 1
    counter = Counter()
    again = train(tmp_path, trial, phases=counter)
    assert counter.done == counter.total == 2
    assert numbers(again) == numbers(first) and again[0].encoding == first[0].encoding


def test_everything_in_an_encoders_recipe_decides_its_training(tmp_path: Path) -> None:
    plain = Trial("clean", 0, TINY)
    train(tmp_path, plain)
    changes: list[dict[str, Any]] = [
        {"temperature": 0.4},
        {"jitter": (0.4, 0.4, 0.4, 0.0)},
        {"ssl": "simsiam"},
        {"batch": 16},
    ]
    others = [
        *(replace(plain, recipe=replace(TINY, **changed)) for changed in changes),
        replace(plain, seed=1),
        replace(plain, countermeasure="grayscale"),
    ]
    left = pending([plain, *others], make_data(), cache=tmp_path, device="cpu")
    assert left == others


def test_its_minutes_are_measured_on_real_steps(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("ue_cli.trials.plan._MEASURE", 0.01)
    monkeypatch.setattr("ue_cli.trials.plan._PROBED", 50)
    few, many = (
        estimate_seconds(
            [Trial("clean", 0, replace(TINY, epochs=epochs))],
            **{"train_files": 640, "tests": 30, "side": 16, "classes": 2, "jobs": 1},
            device="cpu",
        )
        for epochs in (2, 2_000)
    )
    assert 0 < few < many


def test_encoders_take_what_treats_the_files_and_nothing_else() -> None:
    going = {spec.name for spec in SPECS if suits("simclr", spec)}
    assert {"none", "jpeg-50", "grayscale", "blur", "web-1080", "averaging"} <= going
    assert {"dilution-20", "early-stopping", "subtraction"} <= going
    staying = {"rrc-0.35", "colour-jitter", "mixup", "adversarial-2", "ueraser-max", "recovery"}
    assert not staying & going
    assert all(suits("small", spec) for spec in SPECS)
    specs = [find(name) for name in ("none", "jpeg-50", "mixup", "recovery")]
    assert [(c.victim, c.countermeasure) for c in plan_cells(specs, ("small", "moco"), (100,))] == [
        *(("small", spec.name) for spec in specs),
        ("moco", "none"),
        ("moco", "jpeg-50"),
    ]
    assert unsuited(specs, ("small", "moco"), ("mixup",)) == ("mixup", "recovery")
    with pytest.raises(UeError, match="mixup changes how a classifier learns") as refused:
        unsuited(specs, ("moco", "simsiam"), ("mixup",))
    assert refused.value.code == "countermeasure-encoder"
    assert "jpeg-50" in refused.value.hint and "cutmix" not in refused.value.hint


def test_unprotected_files_are_tried_alone_where_an_encoder_can_learn_from_them(
    tmp_path: Path,
) -> None:
    asked = EvaluateOptions(tmp_path, None, None, home=tmp_path, device="cpu", jobs=1)
    for coverage, alone in ((50, 500), (99, 10), (100, 0)):
        (cell,) = plan_cells([find("none")], ("moco",), (coverage,))
        tasks = tasks_of(cell, asked, [0, 1] * 500, side=32, originals=True)
        found = {task.role: task.trial.recipe for task in tasks}
        assert set(found) == {"protected", "control", *(["alone"] if alone else [])}
        if alone:
            expected = encoder_recipe("moco", train_files=alone, side=32)
            assert found["alone"] == expected != found["protected"]
    (cell,) = plan_cells([find("none")], ("moco",), (99,))
    tasks = tasks_of(cell, asked, [0] * 100, side=32, originals=True)
    assert {task.role for task in tasks} == {"protected", "control"}  # one file is no batch


TESTS = 1000


def encoder(*correct: int, floor: int = 300, fitted: int = 500) -> Training:
    epochs = tuple(range(1, len(correct) + 1))
    encoding = Encoding(TESTS, epochs, 350, floor, 250)
    return training(0, correct, tests=TESTS, fitted=fitted, trained=1000, encoding=encoding)


def test_a_control_no_better_than_an_untrained_encoder_proves_nothing() -> None:
    found = judge_cell([encoder(100)], [encoder(325)], chance=0.1)
    assert found.verdict == "inconclusive"
    assert "29.6 % for certain" in found.reason and "has 30.0 % before" in found.reason


def test_an_encoder_that_has_hardly_learned_anything_proves_nothing_either() -> None:
    """A probe of a random network may be misled by what a trained one does not even see."""
    found = judge_cell([encoder(100)], [encoder(378)], chance=0.1)
    assert found.verdict == "inconclusive" and "5 points more are asked for" in found.reason
    assert judge_cell([encoder(100)], [encoder(382)], chance=0.1).verdict == "protected"


def test_an_encoder_is_judged_from_its_floor_up_and_by_its_best_readout() -> None:
    """With 70 % for certain from a floor of 30 %, a third of what was learned ends at 43 %."""
    control = [encoder(729)]
    assert judge_cell([encoder(395)], control, chance=0.1).verdict == "protected"
    assert judge_cell([encoder(410)], control, chance=0.1).verdict == "weak"
    assert judge_cell([encoder(410, 300)], control, chance=0.1).verdict == "weak"
    assert judge_cell([encoder(640)], control, chance=0.1).verdict == "not-shown"
    # The same counts of classifiers: 70 % from guessing at 10 % allow for 30 %.
    plain = [replace(one, encoding=None) for one in (encoder(395), *control)]
    assert judge_cell(plain[:1], plain[1:], chance=0.1).verdict == "weak"


def test_the_highest_floor_counts_and_fits_do_not() -> None:
    control = [encoder(700), encoder(700, floor=680)]
    assert judge_cell([encoder(100)], control, chance=0.1).verdict == "inconclusive"
    unfit = judge_cell([encoder(100, fitted=200)], control[:1], chance=0.1)
    assert unfit.verdict == "protected" and "the untrained encoder" in unfit.reason


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for index in range(60):
        name = ("cats", "dogs")[index % 2]
        source = picture(tmp_path / "src" / name / f"{index}.png", index, size=(16, 16))
        with Image.open(source) as image:
            changed = np.asarray(image) + np.uint8(1 + 6 * (index % 2))
        out = tmp_path / "out" / name / f"{index}.png"
        out.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(changed).save(out)
    return tmp_path


@pytest.mark.slow
@pytest.mark.usefixtures("short")
def test_the_command_trains_encoders_beside_their_controls_and_tells_their_floors(
    folder: Path, ue: Ue
) -> None:
    report = folder / "report"
    words: list[object] = ["evaluate", folder / "out", "--original", folder / "src"]
    words += ["--report", report, "--min-test", 10, "--jobs", 1, "--device", "cpu"]
    done = ue(*words, "--victim", "moco")
    assert done.code == 0, done.out
    assert "Not tried on encoders" in done.err and "rrc-0.35" in done.err
    measured = done.result["evaluation"]["measured"]
    assert [c["countermeasure"] for c in measured["cells"]] == ["none", "jpeg-50", "grayscale"]
    for cell in measured["cells"]:
        for arm in (*cell["protected"], *cell["control"]):
            of = arm["encoding"]
            assert of["epochs"] == [1, 2] and len(arm["correct"]) == 2
            assert of["tests"] == measured["tests"] == 12
            assert all(0 <= of[key] <= 12 for key in ("neighbours", "floor", "floor_neighbours"))
        assert "MoCo v2 encoder (small ResNet) from scratch, without labels" in cell["recipe"]
        assert "read out 2 times" in cell["recipe"]
    assert any("rrc-0.35" in line for line in done.result["evaluation"]["not_covered"])
    page = (report / "report.html").read_text()
    assert "Encoders that learned without labels" in page and "same encoder before" in page
    kept = read_evaluation(report)
    assert kept is not None and kept.measured.cells[0].control[0].encoding is not None
    again = ue(*words, "--victim", "moco", "--against", "none")
    assert again.result["trainings_left"] == 0


def test_what_changes_labels_or_steps_is_refused_before_any_work(tmp_path: Path, ue: Ue) -> None:
    refused = ue("evaluate", tmp_path / "none", "--victim", "moco", "--against", "mixup")
    assert refused.code == 2
    assert refused.envelope["error"]["code"] == "countermeasure-encoder"


def test_certificates_are_of_classifiers(ue: Ue, tmp_path: Path) -> None:
    assert not any(ARCHITECTURES[name].encoder for name in FROM_SCRATCH)
    done = ue("certify", tmp_path, "--victim", "simclr")
    assert done.envelope["error"]["code"] == "victim-unknown"
    _, there = done.envelope["error"]["hint"].split("Here there are:")
    assert not any(name in there for name in SSL_NAMES)


def test_an_older_record_without_encoders_can_be_read(folder: Path, ue: Ue, short: None) -> None:
    report = folder / "report"
    words: list[object] = ["evaluate", folder / "out", "--original", folder / "src"]
    words += ["--report", report, "--min-test", 10, "--jobs", 1, "--against", "none"]
    assert ue(*words, "--device", "cpu").code == 0
    record = report / "evaluation.json"
    body = json.loads(record.read_text())
    for cell in body["measured"]["cells"]:
        for arm in (*cell["protected"], *cell["control"]):
            assert arm.pop("encoding") is None
    before = read_evaluation(report)
    record.write_text(json.dumps(body))
    assert before is not None and read_evaluation(report) == before
