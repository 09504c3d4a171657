"""The recovery attack as a countermeasure: what a few clean images bring back of a finished victim.

The victim's own control is attacked in the same way, so that what the clean images teach by
themselves is not counted against the protection. Finished attacks are kept beside the trainings.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, replace
from pathlib import Path

import torch

from ue_cli.countermeasures.recovery import RecoveryRecipe, recover
from ue_cli.evaluation.judge import training
from ue_cli.training.supervised import VictimRecipe
from ue_cli.trials.cache import entry_key, keep, read_entry
from ue_cli.trials.plan import measure
from ue_cli.trials.running import TrialData, TrialResult
from ue_cli.types import Training

RADII = (100.0, 30.0, 10.0, 3.0)
"""How far the weights may move (L2, in units of each filter's own size), the farthest first.

They take the place of epochs: the adversary picks the best, the control ends at the gentlest."""

RECIPE = RecoveryRecipe(scaling="relative", fraction=0.2, epochs=20)

ATTACK_VERSION = 1
"""Of what the attack does with a recipe and a seed; a new one makes every kept attack anew."""


def describe_recovery(train_files: int) -> str:
    """The attack in words."""
    return (
        f"after the plain training, fine-tuned for {RECIPE.epochs} epochs on "
        f"{int(RECIPE.fraction * train_files):,} originals, weights within "
        f"{', '.join(f'{radius:g}' for radius in RADII)} of where they were (L2, in units of each "
        "filter's own size); in place of epochs, one figure per radius"
    )


def recovery_seconds(
    recipe: VictimRecipe,
    *,
    train_files: int,
    tests: int,
    side: int,
    classes: int,
    threads: int,
    device: str,
) -> float:
    """How long one attack over all radii will take, from a few real steps on made-up images.

    Args:
        recipe: of the victim.
        train_files: originals, of which the adversary has a share.
        tests: clean test images.
        side: of the images.
        classes: of the data.
        threads: of torch, on the CPU.
        device: ``cpu``, ``cuda`` or ``mps``.
    """
    costs = measure(replace(recipe, batch=RECIPE.batch), side, classes, 1, threads, device)
    steps = RECIPE.epochs * math.ceil(int(RECIPE.fraction * train_files) / RECIPE.batch)
    return len(RADII) * (steps * costs.step + tests * costs.test)


def recover_each(
    results: Sequence[TrialResult],
    data: TrialData,
    *,
    device: str,
    on_radius: Callable[[], None],
    cache: Path | None = None,
    threads: int | None = None,
) -> tuple[Training, ...]:
    """Attack each finished training; its fit stays that of the training.

    Args:
        results: plain trainings, protected or control.
        data: its originals are the adversary's.
        device: ``cpu``, ``cuda`` or ``mps``.
        on_radius: called after each radius of each attack.
        cache: folder where finished attacks are kept, and looked for; None: nowhere.
        threads: of torch, on the CPU; None: as many as it has.

    Raises:
        UeError: the cache cannot be written.
        ValueError: there are no originals.
    """
    keys = attack_keys(results, data, device)
    attacked = []
    for result, key in zip(results, keys, strict=True):
        correct = None if cache is None else _cached_counts(cache, key)
        if correct is None:
            with _threads(threads):
                correct = _attack(result, data, device, on_radius)
            if cache is not None:
                keep(cache, key, {"attack": "recovery", "correct": correct})
        else:
            for _ in RADII:
                on_radius()
        attacked.append(
            training(
                result.trial.seed,
                correct,
                tests=result.tests,
                fitted=result.fitted,
                trained=result.trained,
            )
        )
    return tuple(attacked)


def attacks_left(
    results: Sequence[TrialResult], data: TrialData, *, device: str, cache: Path
) -> int:
    """How many of these `recover_each` would have to attack."""
    return sum(_cached_counts(cache, key) is None for key in attack_keys(results, data, device))


def attack_keys(results: Sequence[TrialResult], data: TrialData, device: str) -> list[str]:
    """Of everything that decides each attack: the victim and its weights, and what is known.

    Raises:
        ValueError: there are no originals.
    """
    clean = data.sha256("clean")
    return [
        entry_key(
            {
                "attack": ATTACK_VERSION,
                "recipe": asdict(RECIPE),
                "radii": RADII,
                "trial": asdict(result.trial),
                "weights": result.sha256,
                "clean": clean,
                "device": device,
            }
        )
        for result in results
    ]


def _cached_counts(cache: Path, key: str) -> list[int] | None:
    correct = (read_entry(cache, key) or {}).get("correct")
    if not isinstance(correct, list) or len(correct) != len(RADII):
        return None
    return correct if all(type(count) is int for count in correct) else None


def _attack(
    result: TrialResult, data: TrialData, device: str, on_radius: Callable[[], None]
) -> list[int]:
    """Test images that it gets right at the end, for each radius."""
    if data.clean is None:
        raise ValueError("the recovery attack needs clean images")
    recoveries = recover(
        result.load_net(),
        torch.from_numpy(data.clean),
        torch.from_numpy(data.labels),
        torch.from_numpy(data.test),
        torch.from_numpy(data.test_labels),
        RADII,
        replace(RECIPE, size=result.trial.recipe.size),
        seed=result.trial.seed,
        device=device,
        on_step=lambda *_: on_radius(),
    )
    # Shares are quotients of counts: this is exact.
    return [round(recovery.accuracy * result.tests) for recovery in recoveries]


@contextmanager
def _threads(count: int | None) -> Iterator[None]:
    before = torch.get_num_threads()
    torch.set_num_threads(count or before)
    try:
        yield
    finally:
        torch.set_num_threads(before)
