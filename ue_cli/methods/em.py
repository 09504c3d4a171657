"""EM, error-minimising noise (Huang et al., *Unlearnable Examples*, ICLR 2021)."""

from __future__ import annotations

from dataclasses import dataclass

from ue_cli.methods.alternation import Alternation
from ue_cli.training.supervised import VictimRecipe
from ue_cli.types import Scaling

__all__ = ["SMALL", "Em"]

SMALL = VictimRecipe(size=32, augment="shift", batch=128, widths=(32, 64, 128))
"""The surrogate that a CPU can afford."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Em(Alternation):
    """The alternation without weight noise; see `Alternation` for the attributes."""

    name: str = "em"
    surrogate: VictimRecipe = SMALL
    cells: int = 8
    per_class: int = 1
    noise_levels: tuple[float, ...] = (0.0,)
    scaling: Scaling = "relative"
    draws: int = 1
    pattern_draws: int = 1
    batches: int = 20
    subset: float = 0.2
    passes: int = 1
    step: float = 0.8
    stop_error: float = 0.1
    max_rounds: int = 20
    min_robust_rounds: int = 0
