"""A data set and a surrogate that a test can afford."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from ue_cli.methods.alternation import Alternation
from ue_cli.methods.em import Em
from ue_cli.methods.pue import Pue
from ue_cli.training.supervised import VictimRecipe
from ue_cli.types import Budget

BUDGET = Budget(8)
NET = VictimRecipe(size=16, augment="shift", reach=2, batch=16, widths=(8, 16), lr=0.1)


def images(count: int = 36, classes: int = 3, seed: int = 0) -> tuple[Tensor, Tensor]:
    """Smooth random pictures that say nothing about their class; (n, 3, 16, 16) uint8."""
    generator = torch.Generator().manual_seed(seed)
    coarse = torch.rand(count, 3, 4, 4, generator=generator) * 200 + 20
    wide = torch.nn.functional.interpolate(coarse, size=16, mode="bilinear")
    return wide.to(torch.uint8), torch.arange(count) % classes


SETTINGS: dict[str, Any] = {
    "surrogate": NET,
    "cells": 4,
    "batches": 3,
    "subset": 0.5,
    "max_rounds": 3,
}
NOISE: dict[str, Any] = {
    "noise_levels": (0.0, 0.1),
    "draws": 2,
    "pattern_draws": 2,
    "min_robust_rounds": 1,
}


def em(**changes: Any) -> Em:
    return Em(**(SETTINGS | changes))


def pue(**changes: Any) -> Pue:
    return Pue(**(SETTINGS | NOISE | changes))


METHODS: dict[str, Alternation] = {
    "em": em(),
    "em, sample-wise": em(per_class=16),
    "pue": pue(),
    "pue, sample-wise": pue(per_class=16),
}
"""What every contract test runs."""
