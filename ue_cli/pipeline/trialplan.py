"""How long trainings will take on this machine."""

from __future__ import annotations

import statistics
import threading
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from itertools import pairwise

import torch

from ue_cli.countermeasures.registry import build
from ue_cli.pipeline.trialdata import Trial
from ue_cli.training.hooks import PLAIN, Hooks, Plain
from ue_cli.training.supervised import VictimRecipe, build_net, test_accuracy, train_victim

_MEASURE = 0.7
_START = 4.0
_TESTED = 64


def estimate_seconds(
    trials: Sequence[Trial],
    *,
    train_files: int,
    tests: int,
    side: int,
    classes: int,
    jobs: int,
    device: str,
) -> float:
    """How long `run_trials` will take, from a few real steps on made-up images.

    As many trainings as will run side by side are tried side by side; that takes about a second
    per recipe and countermeasure, more where one step takes longer. Countermeasures that change
    the files alone count as none: they do it once per training. Within a factor of 1.5 on a
    machine that goes on being as busy as it is.

    Args:
        trials: that are not in the cache (`pending`).
        train_files: images of each training.
        tests: test images.
        side: of the images.
        classes: of the data.
        jobs: as for `run_trials`.
        device: as for `run_trials`.
    """
    if not trials:
        return 0.0
    lanes = min(jobs, len(trials)) if device == "cpu" else 1
    threads = max(1, jobs // lanes)
    costs: dict[tuple[VictimRecipe, type], tuple[float, float]] = {}
    free = [_START if lanes > 1 else 0.0] * lanes
    for trial in trials:
        recipe, hooks = replace(trial.recipe, epochs=1), _stepping(trial)
        kind = recipe, type(hooks)
        if kind not in costs:
            costs[kind] = measure(recipe, side, classes, lanes, threads, device, hooks)
        step, test = costs[kind]
        steps = max(1, train_files // recipe.batch)
        spent = trial.recipe.epochs * (steps * step + tests * test) + train_files * test
        first = free.index(min(free))
        free[first] += spent
    return max(free)


def _stepping(trial: Trial) -> Hooks:
    """What decides how long a step of it takes."""
    name = trial.canonical().countermeasure
    hooks = PLAIN if name is None else build(name)
    kind = type(hooks)
    plain = kind.loss is Plain.loss and kind.augment is Plain.augment
    return PLAIN if plain else hooks


def measure(
    recipe: VictimRecipe,
    side: int,
    classes: int,
    lanes: int,
    threads: int,
    device: str,
    hooks: Hooks = PLAIN,
) -> tuple[float, float]:
    """Seconds per step and per test image, from a few, with every lane at work.

    Args:
        recipe: its epochs do not count.
        side: of the images.
        classes: of the data.
        lanes: trainings side by side.
        threads: of each.
        device: ``cpu``, ``cuda`` or ``mps``.
        hooks: that the steps are taken with; they prepare the files without further knowledge.
    """
    before = torch.get_num_threads()
    ready = threading.Barrier(lanes)
    with ThreadPoolExecutor(lanes) as pool:
        tries = [
            pool.submit(_try, recipe, side, classes, threads, device, hooks, ready)
            for _ in range(lanes)
        ]
        found = [one.result() for one in tries]
    torch.set_num_threads(before)
    steps, tests = zip(*found, strict=True)
    return sum(steps) / lanes, sum(tests) / lanes


class _Enough(Exception):
    """A try has lasted long enough."""


def _try(
    recipe: VictimRecipe,
    side: int,
    classes: int,
    threads: int,
    device: str,
    hooks: Hooks,
    ready: threading.Barrier,
) -> tuple[float, float]:
    torch.set_num_threads(threads)  # of this thread
    draw = torch.Generator().manual_seed(0)
    shape = (recipe.batch, 3, side, side)
    images = torch.randint(0, 256, shape, dtype=torch.uint8, generator=draw)
    labels = torch.arange(recipe.batch) % classes
    ends: list[float] = []

    def on_epoch(_: int, __: float) -> None:
        ends.append(time.perf_counter())
        if len(ends) > 1 and ends[-1] - ends[0] > _MEASURE:
            raise _Enough

    ready.wait()
    try:  # one step and one test image per epoch; the first one warms up
        train_victim(
            images,
            labels,
            images[:1],
            labels[:1],
            replace(recipe, epochs=1_000),
            seed=0,
            device=device,
            hooks=hooks,
            on_epoch=on_epoch,
        )
    except _Enough:
        pass
    net = build_net(recipe, classes, seed=0).to(device)
    some, truth = images[:_TESTED].to(device), labels[:_TESTED].to(device)
    test_accuracy(net, some, truth, size=recipe.size)
    began = time.perf_counter()
    test_accuracy(net, some, truth, size=recipe.size)
    test = (time.perf_counter() - began) / len(some)
    return statistics.median(after - before for before, after in pairwise(ends)), test
