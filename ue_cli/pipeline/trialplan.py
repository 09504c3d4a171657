"""How a surrogate trains on so many files, and how long it will take on this machine."""

from __future__ import annotations

import math
import statistics
import threading
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from itertools import pairwise

import torch

from ue_cli.pipeline.trialdata import Trial
from ue_cli.training.supervised import VictimRecipe, build_net, test_accuracy, train_victim

STEPS = (2_000, 12_000)
EPOCHS = (10, 30, 300)
"""Fewest, usual and most passes over the files, and between how many steps of a batch they lie."""

_MEASURE = 0.7
_START = 4.0
_TESTED = 64


def surrogate_recipe(train_files: int, side: int) -> VictimRecipe:
    """The small victim, trained long enough for its data.

    30 epochs; more (up to 300) for fewer than 4,300 files, so that there are 2,000 steps of 64;
    fewer (down to 10) for more than 25,700, so that there are at most 12,000 steps. Images of up
    to 32 pixels are shifted and mirrored; larger ones are cropped to three quarters of their side
    (RandomResizedCrop) and mirrored.

    A short training learns the content first and misses the perturbation: on 800 protected files
    of ten Tiny-ImageNet classes (64 pixels, PNG, class textures, 200 test images, one seed) the
    victim ends at 64.0 % after 360 steps, 52.5 % after 1,008 and 27.5 % after 2,016; on the
    originals at 63.5 % after 360 and 66.0 % after 1,008.

    Args:
        train_files: that it trains on.
        side: of the squares that it reads.
    """
    recipe = VictimRecipe()
    steps = max(1, train_files // recipe.batch)
    fewest, usual, most = EPOCHS
    epochs = min(max(usual, math.ceil(STEPS[0] / steps)), most)
    epochs = max(min(epochs, STEPS[1] // steps), fewest)
    if side <= 32:
        return replace(recipe, epochs=epochs, size=side, augment="shift", reach=max(1, side // 8))
    return replace(recipe, epochs=epochs, size=8 * round(side * 0.75 / 8))


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
    per recipe, more where one step takes longer. Within a factor of 1.5 on a machine that goes on
    being as busy as it is.

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
    costs: dict[VictimRecipe, tuple[float, float]] = {}
    free = [_START if lanes > 1 else 0.0] * lanes
    for trial in trials:
        kind = replace(trial.recipe, epochs=1)
        if kind not in costs:
            costs[kind] = measure(kind, side, classes, lanes, threads, device)
        step, test = costs[kind]
        steps = max(1, train_files // kind.batch)
        spent = trial.recipe.epochs * (steps * step + tests * test) + train_files * test
        first = free.index(min(free))
        free[first] += spent
    return max(free)


def measure(
    recipe: VictimRecipe, side: int, classes: int, lanes: int, threads: int, device: str
) -> tuple[float, float]:
    """Seconds per step and per test image, from a few, with every lane at work.

    Args:
        recipe: its epochs do not count.
        side: of the images.
        classes: of the data.
        lanes: trainings side by side.
        threads: of each.
        device: ``cpu``, ``cuda`` or ``mps``.
    """
    before = torch.get_num_threads()
    ready = threading.Barrier(lanes)
    with ThreadPoolExecutor(lanes) as pool:
        tries = [
            pool.submit(_try, recipe, side, classes, threads, device, ready) for _ in range(lanes)
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
