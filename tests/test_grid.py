"""The grid of methods × countermeasures: what it runs, what it takes for done, what it says."""

from __future__ import annotations

import json
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any, get_args

import pytest
from reproduce import main
from reproduction.grid import ARMS, SCALES, Cell, Files, GridPieces, cells_of
from reproduction.page import page, tables
from store import RESULTS, Row, Store, as_json, claimed, expected_seconds, read_rows

from tests.jobs.conftest import picture
from ue_cli.errors import UeError
from ue_cli.types import Making

CPU = SCALES["cpu"]


def a_row(arm: str, correct: list[int], **other: Any) -> Row:
    """One training on 100 files of ten classes, tested on 200 images."""
    row = {
        "scale": "cpu",
        "dataset": "cifar10",
        "arm": arm,
        "countermeasure": "none",
        "seed": 0,
        "settings": CPU.settings(arm),
        "recipe": as_json(asdict(CPU.recipe("none", 100, 32))),
        "correct": correct,
        "fitted": 98,
        "trained": 100,
        "train_files": 100,
        "test_images": 200,
        "classes": 10,
        "chance": 0.1,
        "same_as_none": False,
        "mean_abs": None if arm == "clean" else 7.25,
        "linf": None if arm == "clean" else 8.0,
        "method": {"waves": 3},
        "device": "cpu",
        "seconds": 60.0,
        "versions": {"ue": "0.1.0"},
        "when": "2026-01-02T03:04:05+00:00",
    }
    return row | other


def test_every_method_of_the_tool_has_an_arm_and_each_is_made_otherwise() -> None:
    assert {name for name in get_args(Making) if name != "csd"} < set(ARMS)
    settings = list(ARMS.values())
    assert settings[0] is None and next(iter(ARMS)) == "clean"
    assert all(setting not in settings[:index] for index, setting in enumerate(settings))


def test_plain_trainings_come_first_and_filters_leave_the_rest_out() -> None:
    cells = list(cells_of(CPU, [3], arms=["csd"], against=["jpeg-50", "none"]))
    assert [(c.dataset, c.countermeasure) for c in cells] == [
        (dataset, name)
        for dataset in ("cifar10", "tiny-imagenet-10")
        for name in ("none", "jpeg-50")
    ]
    assert {(c.arm, c.seed) for c in cells} == {("csd", 3)}
    with pytest.raises(UeError, match="no countermeasure 'jpeg'"):
        list(cells_of(CPU, [0], against=["jpeg"]))


def test_the_published_scale_has_the_published_recipes() -> None:
    paper = SCALES["paper"]
    settings = paper.settings("tue") or {}
    assert (settings["preset"], settings["cells"], settings["per"]) == ("paper", 32, "photo")
    assert (CPU.settings("tue") or {})["preset"] == "small"
    recipe = as_json(asdict(paper.recipe("simclr", 50_000, 32)))
    assert (recipe["ssl"], recipe["net"], recipe["epochs"]) == ("simclr", "resnet18", 200)


def test_rows_that_are_committed_are_taken_for_done() -> None:
    """Else the next run would train again what stands in the page."""
    rows = [row for row in read_rows(RESULTS / "grid.json") if row["scale"] == "cpu"]
    assert {row["arm"] for row in rows if row["settings"] == CPU.settings(row["arm"])} == {
        *("clean", "csd", "random", "csd-pixel", "pue", "em", "tue")
    }


def test_a_row_of_another_texture_is_not_taken_for_todays(tmp_path: Path) -> None:
    for name in ("cat", "dog"):
        (tmp_path / "train" / name).mkdir(parents=True)
        (tmp_path / "train" / name / "0.png").touch()
    store = Store(tmp_path / "grid.json")
    files = Files("cpu", CPU, tmp_path, tmp_path, 1)
    pieces = GridPieces("cpu", CPU, files, store, tmp_path, "cpu")
    key = pieces.key(Cell("cifar10", "csd", "none", 0))
    older = as_json(key)
    older["settings"]["texture"]["low"] += 1
    store.add(older, {})
    assert store.find(key) is None
    store.add(key, {})
    assert store.find(key) is not None and store.find(older) is not None


def test_a_piece_is_expected_to_take_what_pieces_like_it_took() -> None:
    took = [a_row("clean", [1], seconds=s) for s in (10.0, 90.0, 11.0)]
    took.append(a_row("clean", [1], seconds=300.0, countermeasure="high-pass"))
    wanted = a_row("pue", [1])
    assert expected_seconds(took, wanted) == 11.0
    assert expected_seconds(took, wanted | {"countermeasure": "jpeg-50"}) == 50.5
    assert expected_seconds(took, wanted | {"device": "cuda"}) == 0.0


def test_a_table_holds_one_measurement_of_files_that_are_made_as_today() -> None:
    older = as_json(CPU.settings("csd"))
    older["texture"]["high"] += 1
    recipe = CPU.recipe("none", 100, 32)
    rows = [
        a_row("clean", [20, 140]),
        a_row("csd", [60, 22]),
        a_row("csd", [60, 24], seed=1),
        a_row("csd", [150, 130], settings=older),
        a_row("csd", [30], recipe=as_json(asdict(replace(recipe, epochs=1))), when="2025"),
        a_row("pue", [30, 26], fitted=90),
    ]
    (table,) = tables(rows, "cpu")
    assert [column.name for column in table.columns] == ["csd", "pue"]
    csd, pue = table.columns
    assert [one.last for one in csd.cells["none"].protected] == [22, 24]
    assert csd.whole is not None
    assert csd.whole.verdict == "weak" and csd.whole.worst.reached == 60
    assert pue.cells["none"].verdict == "inconclusive"
    assert table.others == 2


def test_a_learner_without_labels_is_a_condition_of_its_own() -> None:
    recipe = as_json(asdict(CPU.recipe("simclr", 100, 32)))
    encoding = {"tests": 200, "epochs": [30], "neighbours": 90, "floor": 60, "floor_neighbours": 50}
    learner: Row = {"countermeasure": "simclr", "recipe": recipe, "encoding": encoding}
    rows = [
        a_row("clean", [20, 140]),
        a_row("csd", [60, 22]),
        a_row("clean", [120], **learner),
        a_row("csd", [70], **learner),
    ]
    (table,) = tables(rows, "cpu")
    assert table.conditions == ("none", "simclr") and table.others == 0
    (csd,) = table.columns
    assert csd.cells["simclr"].reached == 70 and csd.cells["simclr"].control
    assert csd.whole is not None and csd.whole.worst.countermeasure == "none"


def test_a_piece_belongs_to_one_process_at_a_time(tmp_path: Path) -> None:
    with claimed(tmp_path, {"arm": "em"}) as free:
        assert free
        with claimed(tmp_path, {"arm": "em"}) as second, claimed(tmp_path, {"arm": "x"}) as other:
            assert not second and other
    with claimed(tmp_path, {"arm": "em"}) as again:
        assert again


def test_without_a_control_nothing_is_concluded() -> None:
    rows = [a_row("clean", [140]), a_row("csd", [22], countermeasure="jpeg-50")]
    (table,) = tables(rows, "cpu")
    assert table.columns[0].cells["jpeg-50"].verdict == "inconclusive"


def test_the_page_says_what_the_rows_say() -> None:
    rows = [
        a_row("clean", [20, 140]),
        a_row("csd", [60, 22]),
        a_row("csd", [50, 24], seed=1),
        a_row("csd", [150, 23], countermeasure="jpeg-50"),
        a_row("em", [60, 40]),
    ]
    text = page(tables(rows, "cpu"), "cpu", "grid.svg")
    assert "| `none` | 70.0 (70.0) | 12.0 (30.0), n = 2 weak |" in text
    assert "**30.0** under `none` (inconclusive: 75.0 under `jpeg-50`): **inconclusive**" in text
    assert "**30.0** under `none` (of 1 of 2 run): **weak**" in text
    assert "ResNet, 300 epochs in batches of 32, shifts by up to 4 of 32 pixels and flips." in text
    assert "Mean |δ| 7.25 levels of 255" in text and "](grid.svg)" in text


@pytest.mark.slow
def test_the_grid_goes_on_where_it_stopped_and_draws_what_it_measured(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for k, name in enumerate(("cat", "dog", "lemon", "teapot")):
        for split, count in (("train", 12), ("test", 6)):
            for i in range(count):
                side = 32 if k < 2 else 64
                number = 1000 * k + 10 * i + (split == "test")
                picture(tmp_path / split / name / f"{i:02d}.png", number, size=(side, side))
    out = tmp_path / "grid.json"

    def grid(*arguments: str) -> list[Row]:
        places = {"--data": tmp_path, "--work": tmp_path / "work", "--out": out}
        flags = [str(part) for pair in places.items() for part in pair]
        main(["grid", *flags, *arguments])
        rows: list[Row] = json.loads(out.read_text())["rows"]
        return rows

    arms = ("--scale", "smoke", "--arms", "clean", "csd")
    (first,) = grid(*arms, "--most", "1")
    assert (first["arm"], first["countermeasure"]) == ("clean", "none")
    rows = grid(*arms)
    assert first in rows and len(rows) == 8
    before = out.read_bytes()
    capsys.readouterr()
    grid(*arms)
    assert out.read_bytes() == before and capsys.readouterr().out == ""
    assert str(tmp_path) not in before.decode()
    for row in rows:
        assert row["train_files"] == 24 and row["test_images"] == 12 and row["chance"] == 0.5
        assert (row["last"], row["best"]) == (row["correct"][-1] / 12, max(row["correct"]) / 12)
        assert (row["linf"] is None) == (row["arm"] == "clean")
        tiny_crops = row["dataset"] != "cifar10" and row["countermeasure"] == "rrc-0.35"
        assert row["same_as_none"] == tiny_crops
    assert all(0 < row["linf"] <= 8 for row in rows if row["arm"] == "csd")
    tiny = [row for row in rows if row["dataset"] == "tiny-imagenet-10" and row["arm"] == "csd"]
    assert tiny[0]["correct"] == tiny[1]["correct"]

    docs = tmp_path / "docs"
    grid("--scale", "smoke", "--plot", "--docs", str(docs))
    picture_, text = (docs / "grid-smoke.svg").read_bytes(), (docs / "grid-smoke.md").read_text()
    assert b"<svg" in picture_ and "CIFAR-10" in text and str(tmp_path) not in text
    grid("--scale", "smoke", "--plot", "--docs", str(docs))
    assert (docs / "grid-smoke.svg").read_bytes() == picture_
