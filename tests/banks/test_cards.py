"""Cards say everything, and say it right, or they are refused."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from ue_cli.banks.bank import save_bank
from ue_cli.banks.cardfile import card_from_json, is_card, read_card, write_card
from ue_cli.banks.cards import Card, Measurement, file_sha256
from ue_cli.errors import ExitCode, UeError
from ue_cli.types import Bank, Budget, Provenance

MEASURED = Measurement("cifar10", "8,000 PNG", "small", 0, 0.3, 0.5, 0.64, 0.65, "2026-11-22")


def bank() -> Bank:
    delta = np.full((2, 1, 3, 2, 2), 8, np.int8)
    delta[1] = -8
    return Bank(delta, ("a", "b"), Budget(8), Provenance("csd", "pixel", {"cells": 2}, "ue 0.1.0"))


def card_of(path: Path, made: Bank, **changes: Any) -> Card:
    """A true card for a bank that lies at a path."""
    source = made.provenance
    card = Card(
        name=path.stem,
        dataset="cifar10",
        method=source.method,
        space=source.space,
        recipe=source.recipe,
        seed="public",
        data="none",
        levels=made.budget.levels,
        shape=tuple(made.delta.shape),
        classes=made.classes,
        bytes=path.stat().st_size,
        sha256=file_sha256(path),
        created_by=source.created_by,
        measured=(MEASURED,),
        limits=("Public.",),
        licence="MIT",
    )
    return replace(card, **changes)


@pytest.fixture
def saved(tmp_path: Path) -> tuple[Path, Card]:
    path = tmp_path / "small.safetensors"
    save_bank(bank(), path)
    return path, card_of(path, bank())


def test_a_card_is_read_back_as_it_was_written(saved: tuple[Path, Card]) -> None:
    path, card = saved
    where = path.with_suffix(".json")
    write_card(card, where)
    assert read_card(where) == card
    assert is_card(where)
    first = where.read_bytes()
    write_card(read_card(where), where)
    assert where.read_bytes() == first


def test_the_worst_measurement_on_a_data_set_is_its_effect(saved: tuple[Path, Card]) -> None:
    card = replace(saved[1], measured=(MEASURED, replace(MEASURED, last=0.6)))
    assert card.effect("cifar10") == pytest.approx(0.04)
    assert card.effect("tiny-imagenet") is None


DEFECTS: list[tuple[dict[str, Any], str]] = [
    ({"format": "other"}, "does not say that it is one"),
    ({"version": 2}, "version 2"),
    ({"levels": "8"}, "levels is not a int"),
    ({"levels": 65}, "between 1 and 64"),
    ({"levels": True}, "levels is not a int"),
    ({"shape": [2, 1, 3, 2]}, "shape"),
    ({"shape": [2, 1, 3, 2, -2]}, "shape"),
    ({"shape": [3, 1, 3, 2, 2]}, "shape makes no sense"),
    ({"classes": ["a", "a"]}, "distinct"),
    ({"classes": ["a", 1]}, "distinct"),
    ({"sha256": "short"}, "sha256 makes no sense"),
    ({"name": "../../etc"}, "name makes no sense"),
    ({"bytes": 0}, "bytes makes no sense"),
    ({"limits": [1]}, "limits makes no sense"),
    ({"licence": ""}, "licence makes no sense"),
    ({"stars": 5}, "no card has: stars"),
    ({"measured": [3]}, "measured[0] is not an object"),
    ({"measured": [{"data": "cifar10"}]}, "measured[0].files is missing"),
]


@pytest.mark.parametrize(("change", "said"), DEFECTS, ids=[said for _, said in DEFECTS])
def test_every_defect_of_a_card_is_named(
    saved: tuple[Path, Card], change: dict[str, Any], said: str
) -> None:
    with pytest.raises(UeError) as refused:
        card_from_json(saved[1].to_json() | change, "small.json")
    assert said in refused.value.message
    assert refused.value.exit_code == ExitCode.PERTURBATION_UNAVAILABLE


@pytest.mark.parametrize(
    ("field", "value"), [("last", 1.5), ("last", "low"), ("date", "today"), ("seed", 0.5)]
)
def test_every_defect_of_a_measurement_is_named(
    saved: tuple[Path, Card], field: str, value: Any
) -> None:
    whole = saved[1].to_json()
    whole["measured"][0][field] = value
    with pytest.raises(UeError, match=r"measured\[0\]"):
        card_from_json(whole, "small.json")


def test_no_field_of_a_card_may_be_missing(saved: tuple[Path, Card]) -> None:
    whole = saved[1].to_json()
    for field in set(whole) - {"format", "version"}:
        with pytest.raises(UeError, match=f"{field} is missing"):
            card_from_json({key: whole[key] for key in whole if key != field}, "small.json")


@pytest.mark.parametrize("text", ["", "[1", '{"levels": NaN}', "\ufffe"])
def test_what_is_not_json_is_no_card(tmp_path: Path, text: str) -> None:
    path = tmp_path / "odd.json"
    path.write_text(text, encoding="utf-8")
    assert not is_card(path)
    with pytest.raises(UeError, match=r"odd\.json"):
        read_card(path)


def test_a_changed_bank_is_caught_by_its_hash(saved: tuple[Path, Card]) -> None:
    path, card = saved
    card.check_file(path)
    path.write_bytes(path.read_bytes()[:-1] + b"\x01")
    with pytest.raises(UeError, match="SHA-256"):
        card.check_file(path)


def test_a_card_that_contradicts_its_bank_is_caught(saved: tuple[Path, Card]) -> None:
    card = saved[1]
    card.check_bank(bank())
    lying = replace(card, levels=4, method="pue")
    with pytest.raises(UeError, match="method, levels"):
        lying.check_bank(bank())


def test_a_card_is_plain_json(saved: tuple[Path, Card]) -> None:
    assert json.loads(json.dumps(saved[1].to_json()))["measured"][0]["last"] == 0.3
