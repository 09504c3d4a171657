"""The tables of `reproduce.py tue`, and the pieces that they consist of."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal, get_args

from reproduction.tue.arms import arms_of
from reproduction.tue.plan import SIDE, VICTIMS, Scale, Victim
from reproduction.tue.swaps import Correspondence

SWAPS: tuple[Correspondence, ...] = get_args(Correspondence)


@dataclass(frozen=True, kw_only=True)
class Table:
    """One of the paper's questions.

    Attributes:
        title: of it.
        dataset: of the files that victims train on.
        arms: in their order; empty: all.
        victims: that train on them.
        swaps: which image carries which δ.
    """

    title: str
    dataset: str = "cifar10"
    arms: tuple[str, ...] = ()
    victims: tuple[Victim, ...] = VICTIMS
    swaps: tuple[Correspondence, ...] = ("original",)


_SWAPPED = ("em", f"csd-{SIDE}-image", "csd-8-image", "tue-simclr")
_MOVED = ("clean", "random-8", f"csd-{SIDE}-image", "csd-8-image", "em", "tue-simclr")

TABLES: Mapping[int, Table] = {
    4: Table(title="With labels and without"),
    5: Table(
        title="Which image carries which δ",
        arms=_SWAPPED,
        victims=("supervised",),
        swaps=SWAPS,
    ),
    6: Table(
        title="On another data set",
        dataset="tiny-imagenet-10",
        arms=_MOVED,
        victims=("supervised",),
    ),
}
"""Table 5 has the paper's number; the other two are numbered on from and back from it."""


@dataclass(frozen=True)
class Cell:
    """One piece of work, with one row.

    Attributes:
        piece: ``make`` an arm's files, or a training with labels or without.
        arm: which.
        victim: of a training.
        correspondence: of a training: which image carries which δ.
        dataset: that the files are of.
        seed: of the perturbation and the victim.
    """

    piece: Literal["make", "supervised", "ssl"]
    arm: str
    victim: Victim | None
    correspondence: Correspondence | None
    dataset: str
    seed: int


def cells_of(
    scale: Scale,
    tables: Sequence[int],
    seeds: Sequence[int],
    *,
    arms: Sequence[str] = (),
    victims: Sequence[str] = (),
) -> Iterator[Cell]:
    """All pieces of some tables, each once, and what a training needs before it.

    Args:
        scale: whose.
        tables: of `TABLES`.
        seeds: each a perturbation and a victim.
        arms: these alone; empty: the table's.
        victims: these alone; empty: the table's.
    """
    known = tuple(arms_of(scale))
    done: set[Cell] = set()
    for seed in seeds:
        for number in tables:
            table = TABLES[number]
            own = [name for name in scale.arms or known if name in (table.arms or known)]
            for arm in (name for name in own if not arms or name in arms):
                cells: list[Cell] = []
                if arm != "clean":
                    cells.append(Cell("make", arm, None, None, "cifar10", seed))
                cells += [
                    _training(arm, victim, swap, table.dataset, seed)
                    for victim in table.victims
                    for swap in table.swaps
                    if not victims or victim in victims
                ]
                yield from (cell for cell in cells if cell not in done)
                done.update(cells)


def _training(arm: str, victim: Victim, swap: Correspondence, dataset: str, seed: int) -> Cell:
    piece: Literal["supervised", "ssl"] = "supervised" if victim == "supervised" else "ssl"
    return Cell(piece, arm, victim, swap, dataset, seed)
