"""Many trainings: in order, cached, resumed after an interruption, never trusted when damaged."""

from __future__ import annotations

import hashlib
import json
import os
import signal
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from tests.jobs.conftest import Quiet
from ue_cli.training.supervised import VictimRecipe, test_accuracy, train_victim
from ue_cli.training.victims import victim_recipe
from ue_cli.trials import cache as trialcache
from ue_cli.trials.cache import trial_key
from ue_cli.trials.running import (
    Trial,
    TrialData,
    TrialResult,
    estimate_seconds,
    pending,
    run_trials,
)

TINY = VictimRecipe(epochs=3, size=16, batch=16, lr=0.1, widths=(8, 16))


def coloured(count: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Two classes that differ in their mean colour."""
    rng = np.random.default_rng(seed)
    labels = np.arange(count) % 2
    images = rng.integers(0, 200, (count, 3, 16, 16))
    images[:, 0] += 55 * labels[:, None, None]
    return images.astype(np.uint8), labels.astype(np.int64)


def make_data(seed: int = 0) -> TrialData:
    images, labels = coloured(64, seed)
    return TrialData(255 - images, images, labels, *coloured(30, seed + 1))


def trials(*seeds: int) -> list[Trial]:
    return [Trial(arm, seed, TINY) for seed in seeds for arm in ("protected", "clean")]


class Counter(Quiet):
    """Phases that count, and may be interrupted."""

    def __init__(self, stop_after: int | None = None) -> None:
        self.total, self.done, self.stop_after = 0, 0, stop_after

    def start(self, title: str, total: int) -> None:
        self.total, self.done = total, 0

    def step(self, count: int = 1) -> None:
        self.done += count
        if self.done == self.stop_after:
            raise KeyboardInterrupt


def run(
    cache: Path, wanted: list[Trial], *, jobs: int = 1, phases: Counter | None = None
) -> list[TrialResult]:
    return run_trials(
        wanted, make_data(), cache=cache, jobs=jobs, device="cpu", phases=phases or Counter()
    )


def numbers(results: list[TrialResult]) -> list[tuple[object, ...]]:
    return [(r.trial, r.correct, r.fitted, r.sha256) for r in results]


def test_results_come_in_order_with_integer_counts(tmp_path: Path) -> None:
    wanted = trials(0, 1)
    results = run(tmp_path, wanted)
    assert [r.trial for r in results] == wanted
    for result in results:
        assert len(result.correct) == 3 and all(type(n) is int for n in result.correct)
        assert (result.tests, result.trained, result.classes) == (30, 64, 2)
        assert result.last == result.correct[-1] <= result.best <= 30
        assert result.fit == result.fitted / 64
        assert result.sha256 == hashlib.sha256(result.weights.read_bytes()).hexdigest()
    assert len({r.sha256 for r in results}) == 4
    assert [r.last for r in results if r.trial.arm == "clean"] == [30, 30]


def test_the_kept_weights_are_those_that_were_tested(tmp_path: Path) -> None:
    (result,) = run(tmp_path, trials(0)[1:])
    data = make_data()
    test, labels = torch.from_numpy(data.test), torch.from_numpy(data.test_labels)
    share = test_accuracy(result.load_net(), test, labels, size=TINY.size)
    assert round(share * 30) == result.last


@pytest.mark.slow
def test_processes_give_what_one_process_gives_and_count_every_epoch(tmp_path: Path) -> None:
    counter = Counter()
    two = run(tmp_path / "two", trials(0), jobs=2, phases=counter)
    assert numbers(two) == numbers(run(tmp_path / "one", trials(0)))
    assert counter.done == counter.total == 6
    assert not list((tmp_path / "two").glob("data-*"))


def test_a_finished_trial_is_not_trained_again(tmp_path: Path) -> None:
    first = run(tmp_path, trials(0))
    again = run(tmp_path, [*trials(1), *trials(0)])
    assert [r.cached for r in again] == [False, False, True, True]
    assert numbers(again[2:]) == numbers(first)
    assert [r.seconds for r in again[2:]] == [r.seconds for r in first]


def test_each_training_is_told_of_as_soon_as_it_is_there(tmp_path: Path) -> None:
    first = run(tmp_path, trials(0))
    told: list[TrialResult] = []
    results = run_trials(
        [*trials(1)[:1], *trials(0)],
        make_data(),
        cache=tmp_path,
        jobs=1,
        device="cpu",
        phases=Counter(),
        on_result=told.append,
    )
    assert [one.cached for one in told] == [True, True, False]
    assert numbers(told) == numbers([*first, results[0]])


def test_pretrained_weights_count_in_a_key_and_their_absence_does_not(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(trialcache, "TRAINING_VERSION", 1)
    monkeypatch.setattr(trialcache, "__version__", "0")
    monkeypatch.setattr(torch, "__version__", "0")

    def key(backbone: str) -> str:
        recipe = replace(TINY, net="probe", backbone=backbone)
        return trial_key(Trial("clean", 0, recipe), "data", "cpu")

    assert key("resnet50-0676ba61") != key("resnet50-11ad3fa6")
    # Of a training from before there were pretrained weights.
    before = "d52e9db10c1ab66c"
    assert trial_key(Trial("clean", 0, TINY), "data", "cpu").startswith(before)


def test_equal_trials_are_trained_once(tmp_path: Path) -> None:
    counter = Counter()
    results = run(tmp_path, [*trials(0), *trials(0)], phases=counter)
    assert counter.total == counter.done == 6
    assert numbers(results[:2]) == numbers(results[2:])


def test_an_interrupted_run_goes_on_where_it_stopped(tmp_path: Path) -> None:
    with pytest.raises(KeyboardInterrupt):
        run(tmp_path, trials(0), phases=Counter(stop_after=4))
    results = run(tmp_path, trials(0))
    assert [r.cached for r in results] == [True, False]


def test_other_data_another_seed_or_recipe_is_another_trial(tmp_path: Path) -> None:
    run(tmp_path, trials(0)[:1])
    other = [Trial("protected", 0, replace(TINY, lr=0.05))]
    assert not run(tmp_path, other)[0].cached
    results = run_trials(
        trials(0)[:1], make_data(5), cache=tmp_path, jobs=1, device="cpu", phases=Counter()
    )
    assert not results[0].cached


@pytest.mark.parametrize(
    "damage", ["count", "text", "no weights", "other weights", "empty", "another's", "list"]
)
def test_a_damaged_entry_is_trained_again(tmp_path: Path, damage: str) -> None:
    (first,) = run(tmp_path, trials(0)[:1])
    (entry,) = tmp_path.glob("*.json")
    body = json.loads(entry.read_text())
    if damage == "count":
        entry.write_text(json.dumps(body | {"correct": [30, 30, 30]}))
    elif damage == "text":
        entry.write_bytes(entry.read_bytes()[:-20])
    elif damage == "no weights":
        first.weights.unlink()
    elif damage == "other weights":
        first.weights.write_bytes(first.weights.read_bytes()[:-1] + b"\x7f")
    elif damage == "empty":
        entry.write_bytes(b"")
    elif damage == "list":
        entry.write_text("[1, 2]")
    else:
        (other,) = run(tmp_path / "other", trials(1)[:1])
        entry.write_bytes(other.weights.with_suffix(".json").read_bytes())
        first.weights.write_bytes(other.weights.read_bytes())
    (again,) = run(tmp_path, trials(0)[:1])
    assert not again.cached
    assert numbers([again]) == numbers([first])
    assert run(tmp_path, trials(0)[:1])[0].cached


def test_a_control_without_originals_is_refused(tmp_path: Path) -> None:
    images, labels = coloured(16, 0)
    data = TrialData(images, None, labels, images, labels)
    with pytest.raises(ValueError, match="no originals"):
        run_trials(trials(0), data, cache=tmp_path, jobs=1, device="cpu", phases=Counter())


SCRIPT = """
import sys
from pathlib import Path
from tests.jobs.trials.test_trials import Counter, make_data, trials
from ue_cli.trials.running import run_trials
if __name__ == "__main__":
    run_trials(trials(*range(200)), make_data(), cache=Path(sys.argv[1]), jobs=2, device="cpu",
               phases=Counter())
"""


@pytest.mark.slow
@pytest.mark.parametrize("how", [signal.SIGINT, signal.SIGKILL])
def test_a_killed_run_keeps_what_was_finished(tmp_path: Path, how: signal.Signals) -> None:
    script, cache = tmp_path / "script.py", tmp_path / "cache"
    script.write_text(SCRIPT)
    root = Path(__file__).resolve().parents[3]
    process = subprocess.Popen(
        [sys.executable, str(script), str(cache)],
        env=os.environ | {"PYTHONPATH": str(root)},
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )
    while not list(cache.glob("[!.]*.json")):
        assert process.poll() is None
        time.sleep(0.02)
    process.send_signal(how)
    process.wait(timeout=60)
    kept = len(list(cache.glob("[!.]*.json")))
    assert 0 < kept < 400
    first = run(cache, trials(0))
    assert first[0].cached or first[1].cached
    assert run(cache, trials(0))[0].cached
    run(cache, trials(500, 501), jobs=2)
    assert not list(cache.glob("data-*"))


def test_what_has_to_be_trained_is_known_before(tmp_path: Path) -> None:
    wanted, data = [*trials(0), *trials(0), *trials(1)], make_data()
    assert pending(wanted, data, cache=tmp_path, device="cpu") == [*trials(0), *trials(1)]
    run(tmp_path, trials(1))
    assert pending(wanted, data, cache=tmp_path, device="cpu") == trials(0)


def test_a_small_set_trains_for_more_epochs_and_a_large_one_for_fewer() -> None:
    def steps(files: int) -> int:
        recipe = victim_recipe("small", train_files=files, side=64)
        return recipe.epochs * max(1, files // recipe.batch)

    counts = (10, 800, 5_000, 50_000, 10**6)
    epochs = [victim_recipe("small", train_files=n, side=64).epochs for n in counts]
    assert epochs == [300, 80, 30, 15, 10]
    assert all(2_000 <= steps(files) <= 12_000 for files in range(448, 76_800, 97))


def test_the_network_sees_what_fits_the_images() -> None:
    photos, icons = (victim_recipe("small", train_files=800, side=side) for side in (64, 32))
    assert (photos.size, photos.augment) == (48, "resized-crop")
    assert (icons.size, icons.augment) == (32, "shift")
    images = torch.zeros(20, 3, 32, 32, dtype=torch.uint8)
    short = replace(icons, epochs=1, widths=(8,))
    labels = torch.arange(20) % 2
    assert len(train_victim(images, labels, images, labels, short, seed=0).accuracy) == 1


def estimate(wanted: list[Trial], train_files: int = 64, jobs: int = 1) -> float:
    return estimate_seconds(
        wanted, train_files=train_files, tests=30, side=16, classes=2, jobs=jobs, device="cpu"
    )


@pytest.mark.slow
def test_the_estimate_grows_with_the_work() -> None:
    before = torch.get_num_threads()
    long = [Trial("protected", 0, replace(TINY, epochs=3_000))]
    assert estimate([]) == 0
    assert 0 < estimate(trials(0)[:1]) < estimate(long)
    assert estimate(trials(0)[:1]) < estimate(trials(0)[:1], train_files=64_000)
    assert estimate(long * 8, jobs=2) > estimate(long)
    assert torch.get_num_threads() == before
