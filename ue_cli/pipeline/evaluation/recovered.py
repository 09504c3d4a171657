"""The recovery attack as a countermeasure: what a few clean images bring back of a finished victim.

The victim's own control is attacked in the same way, so that what the clean images teach by
themselves is not counted against the protection.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import replace

import torch

from ue_cli.countermeasures.recovery import RecoveryRecipe, recover
from ue_cli.pipeline.evaluation.judge import training
from ue_cli.pipeline.trials import TrialData, TrialResult
from ue_cli.types import Training

RADII = (100.0, 30.0, 10.0, 3.0)
"""How far the weights may move (L2, in units of each filter's own size), the farthest first.

They take the place of epochs: the adversary picks the best, the control ends at the gentlest."""

RECIPE = RecoveryRecipe(scaling="relative", fraction=0.2, epochs=20)


def recovery_steps(train_files: int) -> int:
    """Steps of one attack, over all radii."""
    images = int(RECIPE.fraction * train_files)
    return len(RADII) * RECIPE.epochs * math.ceil(images / RECIPE.batch)


def describe_recovery(train_files: int) -> str:
    """The attack in words."""
    return (
        f"after the plain training, fine-tuned for {RECIPE.epochs} epochs on "
        f"{int(RECIPE.fraction * train_files):,} originals, weights within "
        f"{', '.join(f'{radius:g}' for radius in RADII)} of where they were (L2, in units of each "
        "filter's own size); in place of epochs, one figure per radius"
    )


def recover_each(
    results: Sequence[TrialResult],
    data: TrialData,
    *,
    device: str,
    on_radius: Callable[[], None],
) -> tuple[Training, ...]:
    """Attack each finished training; its fit stays that of the training.

    Args:
        results: plain trainings, protected or control.
        data: its originals are the adversary's.
        device: ``cpu``, ``cuda`` or ``mps``.
        on_radius: called after each radius of each attack.

    Raises:
        ValueError: there are no originals.
    """
    if data.clean is None:
        raise ValueError("the recovery attack needs clean images")
    attacked = []
    for result in results:
        found = recover(
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
        attacked.append(
            training(
                result.trial.seed,
                # Shares are quotients of counts: this is exact.
                [round(one.accuracy * result.tests) for one in found],
                tests=result.tests,
                fitted=result.fitted,
                trained=result.trained,
            )
        )
    return tuple(attacked)
