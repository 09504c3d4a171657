"""TUE's recipes: as released, as the paper's eq. 5 has it, and what a CPU can afford."""

from __future__ import annotations

from dataclasses import replace

from ue_cli.errors import UeError
from ue_cli.methods.discriminant import Gradient
from ue_cli.methods.tue import Tue
from ue_cli.training.ssl_recipes import SslName, small_ssl, ssl_recipe
from ue_cli.types import TuePreset

_ROUNDS = 200
"""Of all three released recipes: their epochs and batches come to that."""


def tue(
    preset: TuePreset,
    ssl: SslName | None = None,
    *,
    cells: int,
    per_class: int,
    contrastive: float | None = None,
    separation: float | None = None,
    gradient: Gradient | None = None,
) -> Tue:
    """A recipe by name, and what is asked to differ from it.

    Args:
        preset: its name; a released one decides the learner.
        ssl: the learner of the others; None: SimCLR.
        cells: as in `Tue`.
        per_class: as in `Tue`.
        contrastive: w; None: the recipe's own, as for all that follow.
        separation: λ.
        gradient: of CSD.

    Raises:
        UeError: ``flags-clash``: a released recipe with another learner than its own, or
            ``method-weights``.
    """
    learner = _LEARNER.get(preset, ssl or "simclr")
    if ssl not in (None, learner):
        raise UeError(
            "flags-clash",
            f"The recipe {preset} trains {learner}, but {ssl} was asked for.",
            f"Use --preset released-{ssl}, or --preset paper with any learner.",
        )
    own = released(learner, cells, per_class)
    if preset == "small":
        own = Tue(
            ssl=small_ssl(learner),
            cells=cells,
            per_class=per_class,
            max_rounds=20,
            batches=20,
            steps=5,
            contrastive=1.0,
            separation=1.0,
        )
    elif preset == "targeted":
        own = Tue(
            ssl=small_ssl(learner),
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
    elif preset == "paper":
        own = replace(own, contrastive=1.0, gradient="paper", centroids="set")
    return replace(
        own,
        contrastive=own.contrastive if contrastive is None else contrastive,
        separation=own.separation if separation is None else separation,
        gradient=own.gradient if gradient is None else gradient,
    )


_LEARNER: dict[str, SslName] = {
    "released-simclr": "simclr",
    "released-moco": "moco",
    "released-simsiam": "simsiam",
}


def released(ssl: SslName, cells: int, per_class: int) -> Tue:
    """ResNet-18 on CIFAR-10 as the authors' code has it (Ren et al., ICLR 2023).

    With SimCLR and SimSiam its contrastive weight is 0: CSD alone, which needs no surrogate.
    CSD compares the classes of a batch, and its spreads are constants to the gradient. Three things
    differ on purpose: MoCo's queue takes no keys while δ moves; δ is rounded, not truncated; and it
    stays in the ball alone, where theirs is cut after every step to what its one image can carry.
    """
    moco = ssl == "moco"
    return Tue(
        ssl=ssl_recipe(ssl),
        cells=cells,
        per_class=per_class,
        max_rounds=_ROUNDS,
        batches={"simclr": 20, "moco": 100, "simsiam": 25}[ssl],
        steps=5 if moco else 20,
        contrastive=1.0 if moco else 0.0,
        separation=1.0 if moco else 0.1,
        gradient="released",
        centroids="batch",
        train_mode=ssl == "simsiam",
        shared_views=True,
    )
