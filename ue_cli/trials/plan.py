"""How long trainings will take on this machine."""

from __future__ import annotations

import statistics
import threading
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass, replace
from itertools import pairwise
from typing import Any

import torch
from torch import Tensor

from ue_cli.countermeasures.registry import build
from ue_cli.training.contrastive import build_contrast
from ue_cli.training.hooks import PLAIN, Hooks, treats_files_alone
from ue_cli.training.readout import linear_probe
from ue_cli.training.ssl import encoded, train_ssl
from ue_cli.training.ssl_recipes import SslRecipe
from ue_cli.training.supervised import VictimRecipe, build_net, test_accuracy, train_victim
from ue_cli.training.victims import READOUTS, Recipe
from ue_cli.trials.data import Trial

_MEASURE = 0.7
_START = 4.0
_TESTED = 64
_PROBED = 500


@dataclass(frozen=True, slots=True)
class Costs:
    """What parts of a training take, in seconds.

    Attributes:
        step: one step.
        test: one image that is only looked at.
        probe: one file that a linear probe is fitted to; 0 of a classifier, which has none.
    """

    step: float
    test: float
    probe: float = 0.0

    def training(self, recipe: Recipe, files: int, tests: int) -> float:
        """Of a whole training with its tests."""
        steps = recipe.epochs * max(1, files // recipe.batch) * self.step
        if isinstance(recipe, SslRecipe):
            looks = 1 + min(READOUTS, recipe.epochs)
            return steps + looks * ((files + tests) * self.test + files * self.probe)
        return steps + (recipe.epochs * tests + files) * self.test


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
    costs: dict[tuple[Recipe, type], Costs] = {}
    free = [_START if lanes > 1 else 0.0] * lanes
    for trial in trials:
        recipe, hooks = replace(trial.recipe, epochs=1), _stepping(trial)
        kind = recipe, type(hooks)
        if kind not in costs:
            costs[kind] = measure(recipe, side, classes, lanes, threads, device, hooks)
        first = free.index(min(free))
        free[first] += costs[kind].training(trial.recipe, train_files, tests)
    return max(free)


def _stepping(trial: Trial) -> Hooks:
    """What decides how long a step of it takes."""
    name = trial.canonical().countermeasure
    hooks = PLAIN if name is None else build(name)
    return PLAIN if treats_files_alone(hooks) else hooks


def measure(
    recipe: Recipe,
    side: int,
    classes: int,
    lanes: int,
    threads: int,
    device: str,
    hooks: Hooks = PLAIN,
) -> Costs:
    """What a few steps and tests take, with every lane at work.

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
        futures = [
            pool.submit(_try, recipe, side, classes, threads, device, hooks, ready)
            for _ in range(lanes)
        ]
        costs = [future.result() for future in futures]
    torch.set_num_threads(before)
    return Costs(
        sum(cost.step for cost in costs) / lanes,
        sum(cost.test for cost in costs) / lanes,
        sum(cost.probe for cost in costs) / lanes,
    )


class _Enough(Exception):
    """A try has lasted long enough."""


def _try(
    recipe: Recipe,
    side: int,
    classes: int,
    threads: int,
    device: str,
    hooks: Hooks,
    ready: threading.Barrier,
) -> Costs:
    torch.set_num_threads(threads)  # of this thread
    draw = torch.Generator().manual_seed(0)
    shape = (recipe.batch, 3, side, side)
    images = torch.randint(0, 256, shape, dtype=torch.uint8, generator=draw)
    labels = torch.arange(recipe.batch) % classes
    ready.wait()
    if isinstance(recipe, SslRecipe):
        return _try_encoder(recipe, images, labels, device)
    return _try_classifier(recipe, images, labels, classes, device, hooks)


def _try_classifier(
    recipe: VictimRecipe,
    images: Tensor,
    labels: Tensor,
    classes: int,
    device: str,
    hooks: Hooks,
) -> Costs:
    def train(on_epoch: Callable[[int, float], None]) -> None:
        endless = replace(recipe, epochs=1_000)
        test_image, test_label = images[:1], labels[:1]
        how: dict[str, Any] = {"device": device, "hooks": hooks, "on_epoch": on_epoch}
        train_victim(images, labels, test_image, test_label, endless, seed=0, **how)

    step = _seconds_per_epoch(train)  # a step and a test image
    net = build_net(recipe, classes, seed=0).to(device)
    sample, truth = images[:_TESTED].to(device), labels[:_TESTED].to(device)
    test = _seconds(lambda: test_accuracy(net, sample, truth, size=recipe.size))
    return Costs(step, test / len(sample))


def _try_encoder(recipe: SslRecipe, images: Tensor, labels: Tensor, device: str) -> Costs:
    def train(on_epoch: Callable[[int, float], None]) -> None:
        train_ssl(images, replace(recipe, epochs=1_000), seed=0, device=device, on_epoch=on_epoch)

    step = _seconds_per_epoch(train)
    net = build_contrast(recipe, seed=0).to(device)
    sample = images[:_TESTED].to(device)
    test = _seconds(lambda: encoded(net, sample))
    draw = torch.Generator().manual_seed(0)
    features = torch.randn(_PROBED, net.width, generator=draw).to(device)
    truths = labels.to(device).repeat(1 + _PROBED // len(labels))[:_PROBED]
    probe = _seconds(lambda: linear_probe(features, truths, features[:1], truths[:1]))
    return Costs(step, test / len(sample), probe / _PROBED)


def _seconds_per_epoch(train: Callable[[Callable[[int, float], None]], None]) -> float:
    """Median of some epochs of an endless training; the first one warms up."""
    ends: list[float] = []

    def on_epoch(_: int, __: float) -> None:
        ends.append(time.perf_counter())
        if len(ends) > 1 and ends[-1] - ends[0] > _MEASURE:
            raise _Enough

    with suppress(_Enough):
        train(on_epoch)
    return statistics.median(after - before for before, after in pairwise(ends))


def _seconds(work: Callable[[], object]) -> float:
    """Of its second run."""
    work()
    began = time.perf_counter()
    work()
    return time.perf_counter() - began
