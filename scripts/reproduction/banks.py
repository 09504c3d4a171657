"""The bundled banks on files that they were not made for, and what of it goes onto their cards."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from reproduction.grid.page import victim_words
from reproduction.grid.plan import BUDGET, SCALES, Cell, SettingsOf, cells_of
from reproduction.store import Row
from ue_cli.perturbation.cardfile import write_card
from ue_cli.perturbation.cards import CARD_SUFFIX, Card, Measurement
from ue_cli.perturbation.hub import bundled

SHORT = {"cifar10": "cifar10", "tiny-imagenet-10": "tiny-imagenet"}
"""What the cards call the grid's data sets: `ue fetch-perturbations` orders banks by it."""

_SAME = ("dataset", "seed", "recipe", "train_files", "test_images")


def arms_of(cards: Iterable[Card]) -> tuple[str, ...]:
    """The control and every bank, by name."""
    return ("clean", *(card.name for card in cards))


def settings_by(cards: Iterable[Card]) -> SettingsOf:
    """How `ue protect --perturbation NAME` makes files, with the hash: a remade bank is another."""
    known: dict[str, Mapping[str, Any] | None] = {
        card.name: {
            "method": "published",
            "space": "pixel",
            "perturbation": card.name,
            "sha256": card.sha256,
            "levels": BUDGET.levels,
        }
        for card in cards
    }
    return (known | {"clean": None}).__getitem__


def bank_cells(
    name: str,
    cards: Sequence[Card],
    seeds: Iterable[int],
    *,
    datasets: Sequence[str] = (),
    arms: Sequence[str] = (),
    against: Sequence[str] = (),
) -> Iterator[Cell]:
    """All trainings: plain ones, and under what is in ``against``.

    Args:
        name: of the scale.
        cards: of the banks.
        seeds: of the trainings.
        datasets: these alone; empty: the scale's own.
        arms: these alone; empty: the control and every bank.
        against: more countermeasures.

    Raises:
        UeError: no countermeasure has a name of ``against``.
    """
    tried = tuple(dict.fromkeys(("none", *against)))
    scale = replace(SCALES[name], arms=arms_of(cards), against=tried)
    return cells_of(scale, seeds, datasets=datasets, arms=arms)


def measurements(rows: Iterable[Row], scale: str) -> tuple[dict[str, list[Measurement]], list[Row]]:
    """Every bank's trainings beside the control that is the same training on the originals.

    Args:
        rows: of banks and controls.
        scale: which of them count.

    Returns:
        By SHA-256, the newest of each data set and seed; and the rows that have no control.
    """
    plain = [row for row in rows if (row["scale"], row["countermeasure"]) == (scale, "none")]
    plain.sort(key=lambda row: row["when"])
    controls = [row for row in plain if row["arm"] == "clean"]
    found: dict[tuple[str, str, int], Measurement] = {}
    alone = []
    for row in plain:
        sha256 = (row["settings"] or {}).get("sha256")
        if sha256 is None:
            continue
        beside = [one for one in controls if all(one[name] == row[name] for name in _SAME)]
        if beside:
            found[sha256, row["dataset"], row["seed"]] = _measurement(row, beside[-1])
        else:
            alone.append(row)
    by_bank: dict[str, list[Measurement]] = {}
    for (sha256, _, _), one in sorted(found.items()):
        by_bank.setdefault(sha256, []).append(one)
    return by_bank, alone


def _measurement(row: Row, control: Row) -> Measurement:
    return Measurement(
        data=SHORT[row["dataset"]],
        files=f"{row['train_files']:,} PNG files in {row['classes']} classes",
        victim=victim_words(row["recipe"]),
        seed=row["seed"],
        last=row["last"],
        best=row["best"],
        control_last=control["last"],
        control_best=control["best"],
        date=row["when"][:10],
    )


def write_measurements(rows: Iterable[Row], scale: str, folder: Path) -> Iterator[Card]:
    """Put what was measured at one scale onto the cards of a folder.

    On the scale's data sets a card then says what the rows of its own SHA-256 say, and nothing
    else; what it says about other data stays.

    Args:
        rows: of banks and controls.
        scale: which of them count.
        folder: of banks and cards.

    Yields:
        Every card as it was written.

    Raises:
        SystemExit: nothing was measured at this scale, or a training lacks its control.
        UeError: a card is damaged, or not that of the bank beside it.
    """
    found, alone = measurements(rows, scale)
    if alone:
        names = ", ".join(f"{row['arm']} on {row['dataset']}, seed {row['seed']}" for row in alone)
        raise SystemExit(f"Without its clean control nothing is concluded: {names}.")
    if not found:
        raise SystemExit(f"There are no rows of banks at scale {scale}.")
    replaced = {SHORT[name] for name in SCALES[scale].datasets}
    for card in bundled(folder):
        card.check_file(folder / card.file)
        kept = [one for one in card.measured if one.data not in replaced]
        told = sorted(
            [*kept, *found.get(card.sha256, [])],
            key=lambda one: (one.data != card.dataset, one.data, one.seed),
        )
        written = replace(card, measured=tuple(told))
        write_card(written, folder / (card.name + CARD_SUFFIX))
        yield written
