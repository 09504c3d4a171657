"""The recovery attack on a certified surrogate, beside the bound at the same radius."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import replace

import torch

from ue_cli.certificates.smoothing import certify_eta
from ue_cli.countermeasures.recovery import RecoveryRecipe, recover
from ue_cli.trials.running import TrialData, TrialResult
from ue_cli.types import LearnabilityCertificate, RecoveryCheck, RecoveryPoint

RADII = (0.5, 0.95, 10.0, 30.0, 100.0)
"""In units of the largest η that can be certified: two that are, and how far accuracy really is."""

RECIPE = RecoveryRecipe(fraction=0.2, epochs=20)
"""The published share of clean images; the units and the input size come from the certificate."""


def attack_steps(train_files: int) -> int:
    """Steps of `attack` on one surrogate, over all radii."""
    images = int(RECIPE.fraction * train_files)
    return len(RADII) * RECIPE.epochs * math.ceil(images / RECIPE.batch)


def attack(
    certificate: LearnabilityCertificate,
    surrogate: TrialResult,
    data: TrialData,
    *,
    seed: int,
    device: str,
    on_radius: Callable[[], None],
) -> RecoveryCheck | None:
    """Fine-tune the protected surrogate on a fifth of the originals, within each of ``RADII``.

    Args:
        certificate: of ``surrogate``; its setting gives the units, its draws the bounds.
        surrogate: trained on the protected files.
        data: its originals are the attacker's; the test images are only counted on.
        seed: which originals the attacker has, and their order.
        device: ``cpu``, ``cuda`` or ``mps``.
        on_radius: called after each radius.

    Returns:
        None without originals, or with too few for the attacker to have one.
    """
    images = int(RECIPE.fraction * len(data.labels))
    if data.clean is None or images == 0:
        return None
    setting, counts = certificate.setting, certificate.protected.counts
    recoveries = recover(
        surrogate.load_net(),
        torch.from_numpy(data.clean),
        torch.from_numpy(data.labels),
        torch.from_numpy(data.test),
        torch.from_numpy(data.test_labels),
        [float(f"{share * certificate.max_eta:.3g}") for share in RADII],
        replace(RECIPE, scaling=setting.scaling, size=surrogate.trial.recipe.size),
        seed=seed,
        device=device,
        on_step=lambda *_: on_radius(),
    )
    points = tuple(
        RecoveryPoint(
            eta=recovery.eta,
            accuracy=recovery.accuracy,
            distance=recovery.distance,
            bound=certify_eta(counts, recovery.eta, setting).upper,
        )
        for recovery in recoveries
    )
    return RecoveryCheck(images, RECIPE.epochs, points)
