"""TUE's recipes: as released, as the paper's eq. 5 has it, and what a CPU can afford."""

from __future__ import annotations

from dataclasses import replace

from ue_cli.methods.tue import Tue
from ue_cli.training.ssl_recipes import SslName, small_ssl, ssl_recipe
from ue_cli.types import TuePreset

_ROUNDS = 200
"""Of all three released recipes: their epochs and batches come to that."""


def tue(preset: TuePreset, ssl: SslName = "simclr", *, cells: int, per_class: int) -> Tue:
    """A recipe by name.

    Args:
        preset: its name; a released one decides the learner.
        ssl: the learner of the others.
        cells: as in `Tue`.
        per_class: as in `Tue`.
    """
    if preset == "small":
        return Tue(
            ssl=small_ssl(ssl),
            cells=cells,
            per_class=per_class,
            max_rounds=20,
            batches=20,
            steps=5,
            contrastive=1.0,
            separation=1.0,
        )
    if preset == "paper":
        return replace(
            released(ssl, cells, per_class), contrastive=1.0, gradient="paper", centroids="set"
        )
    return released(_LEARNER[preset], cells, per_class)


_LEARNER: dict[str, SslName] = {
    "released-simclr": "simclr",
    "released-moco": "moco",
    "released-simsiam": "simsiam",
}


def released(ssl: SslName, cells: int, per_class: int) -> Tue:
    """ResNet-18 on CIFAR-10 as the authors' code has it (Ren et al., ICLR 2023).

    With SimCLR and SimSiam its contrastive weight is 0: CSD alone, which needs no surrogate.
    CSD compares the classes of a batch, and its spreads are constants to the gradient. Two things
    differ on purpose: MoCo's queue takes no keys while δ moves, and δ is rounded, not truncated.
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
