"""TUE's tables: what is run, what is taken for done, which image carries what."""

from __future__ import annotations

import json
import sys
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from reproduce import main
from reproduction.store import Store
from reproduction.tue.arms import Texture, arms_of
from reproduction.tue.cells import TABLES, Cell, cells_of
from reproduction.tue.files import Files, added, carried
from reproduction.tue.page import page
from reproduction.tue.pieces import Pieces
from reproduction.tue.plan import BUDGET, SCALES, VICTIMS, Victim, as_json, recipe_of
from reproduction.tue.plot import draw
from reproduction.tue.run import claimed, expected_seconds
from reproduction.tue.studies import STUDIES
from reproduction.tue.swaps import Correspondence
from reproduction.tue.tables import Figures, Results
from reproduction.tue.words import cell as shown
from reproduction.tue.words import compared

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
    for study in STUDIES:
        assert set(study.arms) <= set(arms)
        assert {name for pair in study.pairs for name in pair} <= set(study.arms)
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


def test_an_arm_says_what_it_differs_in_from_the_one_beside_it() -> None:
    """TUE takes other steps than CSD alone, and not as much of it."""
    arms = arms_of(CPU)
    assert arms["csd-32-image"].about.endswith("the full gradient; 20 steps of 0.8 levels")
    assert arms["tue-moco"].about.endswith("and CSD, λ = 0.002; 12 steps of 2 levels")
    assert arms["targeted-moco"].about.endswith("without CSD; 24 steps of 2 levels")


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


def a_row(arm: str, victim: Victim, seed: int, accuracy: float, **other: Any) -> Row:
    """One training on CIFAR-10 at the middle scale."""
    recipe = as_json(asdict(recipe_of(CPU, victim, "cifar10", 10_000)))
    found: Row = {"probe": accuracy, "floor": {"probe": 0.3}}
    found["encoder"] = {"probe": accuracy + 0.05}
    if victim == "supervised":
        found = {"last": accuracy, "best": accuracy + 0.1}
    row = {
        "scale": "cpu",
        "piece": "supervised" if victim == "supervised" else "ssl",
        "arm": arm,
        "victim": victim,
        "correspondence": "original",
        "dataset": "cifar10",
        "seed": seed,
        "settings": arms_of(CPU)[arm].settings,
        "recipe": recipe,
        "classes": 10,
        "train_images": 10_000,
        "test_images": 2_000,
        **found,
        "device": "cpu",
        "seconds": 60.0,
        "versions": {"ue": "0.1.0"},
        "when": f"2026-01-0{seed + 1}T03:04:05+00:00",
    }
    return row | other


def test_figures_are_of_one_measurement_and_of_todays_settings() -> None:
    older = dict(arms_of(CPU)["csd-32-image"].settings or {}) | {"steps": 1}
    rows = [
        a_row("clean", "supervised", 0, 0.72),
        a_row("clean", "supervised", 1, 0.70),
        a_row("clean", "supervised", 0, 0.20, recipe={"epochs": 1}, when="2025"),
        a_row("csd-32-image", "supervised", 0, 0.30),
        a_row("csd-32-image", "supervised", 1, 0.90, settings=older),
        a_row("csd-32-image", "supervised", 0, 0.31, correspondence="intra-class"),
        a_row("em", "supervised", 0, 0.25, scale="paper"),
    ]
    results = Results(rows, "cpu")
    clean, csd = results.of("clean", "supervised"), results.of("csd-32-image", "supervised")
    assert clean is not None and csd is not None
    assert clean.values == (72.0, 70.0) and csd.values == (30.0,) and csd.beside == (40.0,)
    swapped = results.of("csd-32-image", "supervised", swap="intra-class")
    assert swapped is not None and swapped.values == (31.0,)
    assert results.of("em", "supervised") is None and results.others == 2
    assert [arm.name for arm in results.measured()] == ["clean", "csd-32-image"]


def test_a_difference_counts_only_beyond_what_seeds_differ_by() -> None:
    low, high = Figures((10.0, 12.0, 14.0)), Figures((15.0, 17.0))
    words = "12.0 % against 16.0 % of EM: 4.0 points lower, more than seeds differ by"
    assert compared(low, high, "EM") == words
    assert compared(high, Figures((13.0, 16.0)), "em").endswith(
        "higher, within what seeds differ by"
    )
    assert compared(low, Figures((90.0,)), "em").endswith("lower, of one seed")
    assert shown(None) == "not measured" and shown(Figures((1.0,), (3.0,))).endswith("epoch 3.0")
    assert shown(low) == "12.0 (10.0–14.0, n = 3)"


def test_the_page_and_the_picture_say_what_the_rows_say(tmp_path: Path) -> None:
    victims: list[tuple[str, Victim, float]] = [
        ("clean", "supervised", 0.70),
        ("clean", "simclr", 0.50),
        ("random-32", "simclr", 0.40),
        ("csd-32-image", "simclr", 0.45),
        ("tue-simclr", "simclr", 0.30),
    ]
    rows = [a_row(arm, v, s, x + s / 100) for arm, v, x in victims for s in (0, 1)]
    results = Results(rows, "cpu")
    text = page(results, "cpu", "csd.svg")
    line = "| `tue-simclr` | not measured | *10.67* | 30.5 (30.0–31.0, n = 2), by originals 35.5"
    assert f"{line}, untrained 30.0 | *52.38* |" in text
    fitted = "- Fitted to the originals, `tue-simclr` against `csd-32-image`, in points: SimCLR's"
    assert f"{fitted} probe −15.0 (more than seeds differ by)." in text
    against = "- `tue-simclr` against `csd-32-image`, in points: SimCLR's probe −15.0 (more than"
    assert f"{against} seeds differ by)." in text
    assert "- Not measured: `ucl-simclr`, `targeted-simclr`, `tue-moco`," in text
    lowest = "- SimCLR's probe: `tue-simclr` is lowest, 30.5 % against 50.5 % of `clean`: 20.0"
    assert lowest in text and "- with labels: not measured." in text
    assert "Of clean files that has 30.0 (SimCLR)" in text
    assert "- `em`, intra-class: not measured." in text
    assert "](csd.svg)" in text
    for name in ("a.svg", "b.svg"):
        draw(results, tmp_path / name)
    drawn = (tmp_path / "a.svg").read_bytes()
    assert drawn == (tmp_path / "b.svg").read_bytes() and b"<svg" in drawn


def test_swapped_and_moved_patterns_are_the_ones_that_were_made(tmp_path: Path) -> None:
    photos_in(tmp_path)
    for path in tmp_path.rglob("*.png"):
        Image.new("RGB", (64, 64), (100, 110, 120)).save(path)  # nothing is clipped
    files = Files("smoke", SCALES["smoke"], tmp_path, tmp_path / "work", "cpu")
    codes = arms_of(SCALES["smoke"])["random-8"]

    def delta(dataset: str, swap: Correspondence) -> torch.Tensor:
        shown = files.protected(codes, 3, dataset, swap)
        return torch.sub(shown.to(torch.int16), files.photos(dataset).images)

    labels = files.photos("cifar10").labels
    own = delta("cifar10", "original")
    assert own.abs().max() == 8 and torch.equal(delta("cifar10", "intra-class"), own)
    following = torch.stack([own[labels == (k + 1) % 3][0] for k in range(3)])
    assert torch.equal(delta("cifar10", "inter-class"), following[labels])
    moved, others = delta("tiny-imagenet-10", "original"), files.photos("tiny-imagenet-10").labels
    assert moved.shape == (24, 3, 64, 64)
    first = torch.stack([own[labels == k][0] for k in range(3)])
    wide = first.repeat_interleave(2, 2).repeat_interleave(2, 3)
    assert torch.equal(moved, wide[others])


def test_the_released_settings_are_the_authors() -> None:
    """algorithms.md, section 2: rounds of one pass over the set; only MoCo touches δ."""
    table = {
        "simclr": (0.0, 0.1, 20, 20, False),
        "moco": (1.0, 1.0, 5, 100, False),
        "simsiam": (0.0, 0.1, 20, 25, True),
    }
    arms = arms_of(SCALES["paper"])
    for learner, settings in table.items():
        method = arms[f"released-{learner}"].maker
        assert isinstance(method, Tue) and method.ssl.ssl == learner
        assert settings == (
            method.contrastive,
            method.separation,
            method.steps,
            method.batches,
            method.train_mode,
        )
        assert (method.gradient, method.centroids) == ("released", "batch")
