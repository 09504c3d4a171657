"""The bundled banks on files that they were not made for, and what of it goes onto their cards."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from store import Row

from reproduction.grid import BUDGET, SCALES, Cell, Settings, cells_of
from reproduction.page import victim_words
from ue_cli.banks.cardfile import write_card
from ue_cli.banks.cards import CARD_SUFFIX, Card, Measurement
from ue_cli.banks.hub import bundled

CARD_NAMES = {"cifar10": "cifar10", "tiny-imagenet-10": "tiny-imagenet"}
"""What the cards call the grid's data sets: `ue fetch-perturbations` orders banks by it."""

_SAME = ("dataset", "seed", "recipe", "train_files", "test_images")


def settings_by(cards: Iterable[Card]) -> Settings:
    """How `ue protect --perturbation NAME` makes files, with the hash: a remade bank is another."""
    settings: dict[str, Mapping[str, Any] | None] = {
        card.name: {
            "method": "published",
            "space": "pixel",
            "perturbation": card.name,
            "sha256": card.sha256,
            "levels": BUDGET.levels,
        }
        for card in cards
    }
    return (settings | {"clean": None}).__getitem__


def bank_cells(
    name: str,
    cards: Iterable[Card],
    seeds: Iterable[int],
    against: Sequence[str] = (),
    **parts: Any,
) -> Iterator[Cell]:
    """All trainings: plain ones, and under what is in ``against``.

    Args:
        name: of the scale.
        cards: of the banks.
        seeds: of the trainings.
        against: more conditions.
        parts: of `cells_of`.

    Raises:
        UeError: no condition has a name of ``against``.
    """
    arms = ("clean", *(card.name for card in cards))
    scale = replace(SCALES[name], arms=arms, against=tuple(dict.fromkeys(("none", *against))))
    return cells_of(scale, seeds, **parts)


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
    controls = {tuple(str(row[n]) for n in _SAME): row for row in plain if row["arm"] == "clean"}
    newest: dict[tuple[str, str, int], Measurement] = {}
    alone = []
    for row in plain:
        sha256 = (row["settings"] or {}).get("sha256")
        control = controls.get(tuple(str(row[name]) for name in _SAME))
        if sha256 is not None and control is None:
            alone.append(row)
        elif sha256 is not None and control is not None:
            newest[sha256, row["dataset"], row["seed"]] = Measurement(
                data=CARD_NAMES[row["dataset"]],
                files=f"{row['train_files']:,} PNG files in {row['classes']} classes",
                victim=victim_words(row["recipe"]),
                seed=row["seed"],
                last=row["last"],
                best=row["best"],
                control_last=control["last"],
                control_best=control["best"],
                date=row["when"][:10],
            )
    by_bank: dict[str, list[Measurement]] = {}
    for (sha256, _, _), measurement in sorted(newest.items()):
        by_bank.setdefault(sha256, []).append(measurement)
    return by_bank, alone


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
    by_bank, alone = measurements(rows, scale)
    if alone:
        names = ", ".join(f"{row['arm']} on {row['dataset']}, seed {row['seed']}" for row in alone)
        raise SystemExit(f"Without its clean control nothing is concluded: {names}.")
    if not by_bank:
        raise SystemExit(f"There are no rows of banks at scale {scale}.")
    replaced = {CARD_NAMES[name] for name in SCALES[scale].datasets}
    for card in bundled(folder):
        card.check_file(folder / card.file)
        others = [old for old in card.measured if old.data not in replaced]
        measured = sorted(
            [*others, *by_bank.get(card.sha256, [])],
            key=lambda new: (new.data != card.dataset, new.data, new.seed),
        )
        written = replace(card, measured=tuple(measured))
        write_card(written, folder / (card.name + CARD_SUFFIX))
        yield written
