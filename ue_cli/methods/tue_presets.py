"""TUE's recipes: the paper's eq. 5, and what a CPU can afford."""

from __future__ import annotations

from dataclasses import replace

from ue_cli.methods.discriminant import Gradient
from ue_cli.methods.tue import Tue
from ue_cli.training.ssl_recipes import SslName, small_ssl, ssl_recipe
from ue_cli.types import TuePreset

_ROUNDS = 200
"""Of all three learners: the epochs and batches of the authors' code come to that."""


def tue(
    preset: TuePreset,
    ssl: SslName,
    *,
    cells: int,
    per_class: int,
    contrastive: float | None = None,
    separation: float | None = None,
    gradient: Gradient | None = None,
) -> Tue:
    """A recipe by name, and what is asked to differ from it.

    Args:
        preset: its name.
        ssl: the learner.
        cells: as in `Tue`.
        per_class: as in `Tue`.
        contrastive: w; None: the recipe's own, as for all that follow.
        separation: λ.
        gradient: of CSD.

    Raises:
        UeError: ``method-weights``.
    """
    if preset == "small":
        recipe = Tue(
            ssl=small_ssl(ssl),
            cells=cells,
            per_class=per_class,
            max_rounds=20,
            batches=20,
            steps=5,
            contrastive=1.0,
            separation=1.0,
        )
    elif preset == "targeted":
        recipe = Tue(
            ssl=small_ssl(ssl),
            cells=cells,
            per_class=per_class,
            max_rounds=6,
            batches=120,
            steps=4,
            step=2.0,
            contrastive=0.0,
            separation=0.0,
            targeted=1.0,
        )
    else:
        recipe = _paper(ssl, cells, per_class)
    return replace(
        recipe,
        contrastive=recipe.contrastive if contrastive is None else contrastive,
        separation=recipe.separation if separation is None else separation,
        gradient=recipe.gradient if gradient is None else gradient,
    )


def _paper(ssl: SslName, cells: int, per_class: int) -> Tue:
    """ResNet-18 on CIFAR-10 (Ren et al., ICLR 2023); rounds and steps are those of their code.

    Three things differ from that on purpose: MoCo's queue takes no keys while δ moves; δ is
    rounded, not truncated; and it stays in the ball alone, where theirs is cut after every step to
    what its one image can carry.
    """
    moco = ssl == "moco"
    return Tue(
        ssl=ssl_recipe(ssl),
        cells=cells,
        per_class=per_class,
        max_rounds=_ROUNDS,
        batches={"simclr": 20, "moco": 100, "simsiam": 25}[ssl],
        steps=5 if moco else 20,
        contrastive=1.0,
        separation=1.0 if moco else 0.1,
        train_mode=ssl == "simsiam",
        shared_views=True,
    )
