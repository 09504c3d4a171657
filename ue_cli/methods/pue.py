"""PUE, provably unlearnable examples (Wang et al., NDSS 2025): EM under weight noise."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Self

from ue_cli.methods.alternation import Alternation
from ue_cli.methods.em import SMALL
from ue_cli.training.supervised import VictimRecipe
from ue_cli.types import Scaling

__all__ = ["Pue"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Pue(Alternation):
    """The alternation under weight noise; see `Alternation` for the attributes.

    The defaults suit a CPU: a small surrogate, fewer draws, and noise in units of each filter's
    own size. `paper` is the published setting.
    """

    name: str = "pue"
    surrogate: VictimRecipe = SMALL
    cells: int = 8
    per_class: int = 1
    noise_levels: tuple[float, ...] = (0.0, 0.1, 0.2)
    scaling: Scaling = "relative"
    draws: int = 4
    pattern_draws: int = 4
    batches: int = 20
    subset: float = 0.2
    passes: int = 1
    step: float = 0.8
    stop_error: float = 0.1
    max_rounds: int = 20
    min_robust_rounds: int = 3

    @classmethod
    def paper(cls) -> Self:
        """The published setting for CIFAR-10, class-wise: ResNet-18, σ_train 0.25.

        Two things differ on purpose: the rounds are bounded and some of them are robust in any
        case (the released loop has neither), and δ is added to the file before the trainer's
        augmentation, not after it.
        """
        surrogate = VictimRecipe(size=32, augment="shift", batch=128, net="resnet18", warmup=0.0)
        return cls(
            surrogate=surrogate,
            cells=32,
            noise_levels=(0.0, 0.05, 0.1, 0.15, 0.2, 0.25),
            scaling="absolute",
            draws=100,
            pattern_draws=10,
            max_rounds=50,
        )
