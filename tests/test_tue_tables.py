"""TUE's tables: what is run, what is taken for done, which image carries what."""

from __future__ import annotations

import json
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from reproduce import main
from reproduction.store import Store
from reproduction.tue.files import Files, added, carried
from reproduction.tue.pieces import Pieces
from reproduction.tue.plan import (
    BUDGET,
    SCALES,
    TABLES,
    VICTIMS,
    Cell,
    Texture,
    arms_of,
    cells_of,
)
from reproduction.tue.run import claimed, expected_seconds

from tests.pipeline.conftest import picture
from ue_cli.methods.csd import PixelCsd
from ue_cli.methods.tue import Tue
from ue_cli.types import Bank, Provenance

Row = dict[str, Any]
CPU = SCALES["cpu"]


def pieces_in(folder: Path, store: Store, scale: str = "smoke") -> Pieces:
    files = Files(scale, SCALES[scale], folder, folder / "work", "cpu")
    return Pieces(scale, SCALES[scale], files, store, "cpu")


def photos_in(folder: Path) -> None:
    for k, name in enumerate(("cat", "dog", "ship", "lemon", "pizza", "teapot")):
        for split, count in (("train", 8), ("test", 3)):
            for i in range(count):
                side = 32 if k < 3 else 64
                number = 1000 * k + 10 * i + (split == "test")
                picture(folder / split / name / f"{i:02d}.png", number, size=(side, side))


@pytest.mark.parametrize("scale", SCALES)
def test_every_arm_is_made_otherwise_and_tables_name_arms_that_exist(scale: str) -> None:
    arms = arms_of(SCALES[scale])
    made = [arm.settings for arm in arms.values()]
    assert made[0] is None and next(iter(arms)) == "clean"
    assert all(one not in made[:index] for index, one in enumerate(made))
    named = {name for table in TABLES.values() for name in table.arms} | set(SCALES[scale].arms)
    assert named <= set(arms)
    for number in (5, 6):
        asked = [arms[name] for name in TABLES[number].arms if name != "clean"]
        assert all(arm.has_patterns for arm in asked)
    assert [a.name for a in arms.values() if isinstance(a.maker, Texture)] == ["texture"]


def test_the_contrastive_arms_differ_in_csd_alone() -> None:
    arms = arms_of(CPU)
    for learner in ("simclr", "moco", "simsiam"):
        both, one = arms[f"tue-{learner}"].maker, arms[f"ucl-{learner}"].maker
        assert isinstance(both, Tue) and both.ssl.ssl == learner and both.separation > 0
        assert one == replace(both, separation=0.0) and both.contrastive == 1.0
        assert (both.cells, both.per_class) == (32, CPU.per_class)


def test_pieces_come_once_each_after_what_they_need() -> None:
    cells = list(cells_of(CPU, [5, 4, 6], [0, 1]))
    assert len(set(cells)) == len(cells)
    for index, cell in enumerate(cells):
        if cell.piece != "make" and cell.arm != "clean":
            assert Cell("make", cell.arm, None, None, "cifar10", cell.seed) in cells[:index]
    some = list(cells_of(CPU, [4], [3], arms=["clean", "em"], victims=["moco"]))
    assert [(c.arm, c.piece, c.victim, c.seed) for c in some] == [
        ("clean", "ssl", "moco", 3),
        ("em", "make", None, 3),
        ("em", "ssl", "moco", 3),
    ]
    swapped = {cell.correspondence for cell in cells_of(CPU, [5], [0], arms=["em"])}
    assert swapped == {None, "original", "intra-class", "inter-class"}


def test_a_row_of_other_settings_is_not_taken_for_this_one(tmp_path: Path) -> None:
    photos_in(tmp_path)
    store = Store(tmp_path / "tue.json", tmp_path / "work", {"tue": ""})
    pieces = pieces_in(tmp_path, store)
    making = Cell("make", "csd-32-image", None, None, "cifar10", 0)
    victim = Cell("supervised", "csd-32-image", "supervised", "original", "cifar10", 0)
    assert not pieces.ready(victim) and pieces.ready(making)
    older = pieces.key(making)
    older["settings"] = older["settings"] | {"steps": 1}
    store.add(older, {})
    assert store.find(pieces.key(making)) is None and not pieces.ready(victim)
    store.add(pieces.key(making), {})
    assert pieces.ready(victim)
    assert pieces.key(victim) != pieces.key(replace(victim, correspondence="intra-class"))


def test_a_piece_belongs_to_one_process_at_a_time(tmp_path: Path) -> None:
    with claimed(tmp_path, {"arm": "em"}) as mine:
        assert mine
        with claimed(tmp_path, {"arm": "em"}) as second, claimed(tmp_path, {"arm": "x"}) as other:
            assert not second and other
    with claimed(tmp_path, {"arm": "em"}) as again:
        assert again


def test_a_piece_is_expected_to_take_what_pieces_like_it_took() -> None:
    key = {"scale": "cpu", "victim": "moco", "dataset": "cifar10", "device": "cpu"}
    rows = [
        key | {"piece": "ssl", "arm": arm, "recipe": {"epochs": 2}, "seconds": took}
        for arm, took in (("em", 10.0), ("clean", 30.0), ("csd", 12.0))
    ]
    rows.append(key | {"piece": "make", "victim": None, "arm": "em", "seconds": 99.0})
    assert expected_seconds(rows, rows[0]) == 12.0
    assert expected_seconds(rows, rows[0] | {"recipe": {"epochs": 9}}) == 0.0
    assert expected_seconds(rows, rows[3]) == 99.0
    assert expected_seconds(rows, rows[3] | {"arm": "csd"}) == 0.0


def test_images_carry_their_class_patterns_in_turn_and_stay_images() -> None:
    delta = np.zeros((2, 2, 3, 2, 2), np.int8)
    delta[:, :] = np.array([[1, 2], [-3, -4]])[:, :, None, None, None]
    bank = Bank(delta, ("cat", "dog"), BUDGET, Provenance("csd", "pixel", {}, "ue"))
    labels = torch.tensor([0, 1, 0, 0, 1])
    own = carried(bank, labels)
    assert own[:, 0, 0, 0].tolist() == [1, -3, 2, 1, -4]
    images = torch.tensor([255, 2, 100, 100, 100], dtype=torch.uint8)
    shown = added(images[:, None, None, None].expand(5, 3, 4, 4), own)
    assert shown.shape == (5, 3, 4, 4) and shown.dtype == torch.uint8
    assert shown[:, 0, 0, 0].tolist() == [255, 0, 102, 101, 96]


def test_the_tables_go_on_where_they_stopped(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    photos_in(tmp_path)
    out = tmp_path / "tue.json"

    def tables(*arguments: str) -> list[Row]:
        places = {"--data": tmp_path, "--work": tmp_path / "work", "--out": out}
        flags = [str(part) for pair in places.items() for part in pair]
        command = ["reproduce.py", "tue", "--scale", "smoke", "--seeds", "0", *flags, *arguments]
        monkeypatch.setattr(sys, "argv", command)
        main()
        rows: list[Row] = json.loads(out.read_text())["rows"]
        return rows

    some = ("--arms", "clean", "csd-32-image", "--victims", "supervised")
    (first,) = tables(*some, "--most", "1")
    assert (first["arm"], first["piece"]) == ("clean", "supervised")
    rows = tables(*some)
    assert first in rows
    assert [(r["piece"], r["arm"], r["correspondence"], r["dataset"]) for r in rows] == [
        ("make", "csd-32-image", None, "cifar10"),
        ("supervised", "clean", "original", "cifar10"),
        ("supervised", "csd-32-image", "inter-class", "cifar10"),
        ("supervised", "csd-32-image", "intra-class", "cifar10"),
        ("supervised", "csd-32-image", "original", "cifar10"),
        ("supervised", "clean", "original", "tiny-imagenet-10"),
        ("supervised", "csd-32-image", "original", "tiny-imagenet-10"),
    ]
    made = rows[0]
    assert isinstance(arms_of(SCALES["smoke"])["csd-32-image"].maker, PixelCsd)
    assert 0 < made["linf"] <= 8 and 0 < made["csd"] < made["made"]["csd_before"]
    assert all(row["train_images"] == 24 and row["test_images"] == 9 for row in rows[1:])
    before = out.read_bytes()
    capsys.readouterr()
    tables(*some)
    assert out.read_bytes() == before and capsys.readouterr().out == ""
    assert str(tmp_path) not in before.decode()


@pytest.mark.slow
def test_every_arm_and_victim_of_the_smallest_scale_runs(tmp_path: Path) -> None:
    photos_in(tmp_path)
    scale = SCALES["smoke"]
    store = Store(tmp_path / "tue.json", tmp_path / "work", {"tue": ""})
    pieces = pieces_in(tmp_path, store)
    control = list(cells_of(scale, [4], [0], arms=["clean"]))
    made = [cell for cell in cells_of(scale, [4], [0]) if cell.piece == "make"]
    learned = list(cells_of(scale, [4], [0], arms=["tue-simclr"], victims=["moco"]))[1:]
    assert {cell.victim for cell in control} == set(VICTIMS) and len(made) == 5
    for cell in [*control, *made, *learned]:
        assert pieces.ready(cell)
        row = pieces.run(cell)
        if cell.piece == "make":
            assert 0 < row["linf"] <= 8
        elif cell.piece == "ssl":
            assert 0 <= row["probe"] <= 1 and row["floor"]["probe"] > 0
