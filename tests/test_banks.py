"""The measurement of the bundled banks: what is trained, taken for done, and told on the cards."""

from __future__ import annotations

import json
import shutil
from collections.abc import Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import pytest
from reproduce import main
from reproduction.banks import bank_cells, settings_by, write_measurements
from reproduction.grid import SCALES, Cell, Files, GridPieces, Settings, protect_files
from store import Row, Store, as_json, read_rows

from tests.jobs.conftest import picture
from ue_cli.banks.cardfile import read_card, write_card
from ue_cli.banks.cards import Card, Measurement
from ue_cli.banks.hub import BUNDLE, bundled
from ue_cli.errors import UeError

OTHER = "0" * 64
ELSEWHERE = Measurement("flowers", "some", "a", 0, 0.1, 0.2, 0.7, 0.8, "2026-01-01")


def a_row(card: Card | None, dataset: str, last: float, **other: Any) -> Row:
    """One plain training of the ``cpu`` scale; without a card, the control."""
    row = {
        "scale": "cpu",
        "dataset": dataset,
        "arm": "clean" if card is None else card.name,
        "countermeasure": "none",
        "seed": 0,
        "settings": None if card is None else settings_by([card])(card.name),
        "recipe": as_json(asdict(SCALES["cpu"].recipe("none", 1000, 32))),
        "train_files": 1000,
        "test_images": 500,
        "classes": 10,
        "last": last,
        "best": last + 0.1,
        "when": "2026-01-02T03:04:05+00:00",
    }
    return row | other


def pieces(store: Store, settings: Settings | None = None) -> GridPieces:
    """Of the ``cpu`` scale, on two classes of one file each."""
    work = store.path.parent
    for name in ("cat", "dog"):
        (work / "train" / name).mkdir(parents=True, exist_ok=True)
        (work / "train" / name / "0.png").touch()
    files = Files("cpu", SCALES["cpu"], work, work, 1)
    return GridPieces("cpu", SCALES["cpu"], files, store, work, "cpu", settings)


@pytest.fixture
def cards(tmp_path: Path) -> Path:
    """A folder with one bank of the bundle and its card, on which nothing was measured."""
    folder = tmp_path / "cards"
    folder.mkdir()
    for suffix in (".safetensors", ".json"):
        shutil.copy(BUNDLE / f"csd-cifar10{suffix}", folder)
    return card_folder(folder)


def card_folder(folder: Path, *measured: Measurement) -> Path:
    """The folder, its card now saying that."""
    where = folder / "csd-cifar10.json"
    write_card(replace(read_card(where), measured=measured), where)
    return folder


def written(rows: Sequence[Row], folder: Path) -> tuple[Measurement, ...]:
    """What the folder's card says after rows were put onto it."""
    list(write_measurements(rows, "cpu", folder))
    return read_card(folder / "csd-cifar10.json").measured


def test_the_arms_are_the_control_and_what_the_bundle_holds() -> None:
    cells = list(bank_cells("cpu", bundled(), [0], datasets=["cifar10"]))
    names = [path.stem for path in sorted(BUNDLE.glob("*.safetensors"))]
    assert [cell.arm for cell in cells] == ["clean", *names]
    assert {cell.countermeasure for cell in cells} == {"none"}
    more = bank_cells("cpu", bundled(), [0], arms=["clean"], against=["jpeg-50", "none"])
    assert {cell.countermeasure for cell in more} == {"none", "jpeg-50"}


def test_a_row_of_a_remade_bank_is_not_taken_for_the_bundled_one(tmp_path: Path) -> None:
    store, card = Store(tmp_path / "rows.json"), bundled()[0]
    cell = Cell("cifar10", card.name, "none", 0)
    old, new = (
        pieces(store, settings_by([one])).key(cell) for one in (replace(card, sha256=OTHER), card)
    )
    store.add(old, {})
    assert store.find(old) is not None and store.find(new) is None


def test_the_clean_training_is_the_grids_own_and_is_found_there(tmp_path: Path) -> None:
    grid, cell = Store(tmp_path / "grid.json"), Cell("cifar10", "clean", "none", 0)
    grid.add(pieces(grid).key(cell), {"last": 0.5})
    before = grid.path.read_bytes()
    banks = Store(tmp_path / "banks.json", [grid.path])
    key = pieces(banks, settings_by(bundled())).key(cell)
    assert banks.find(key) is not None
    banks.add(key | {"arm": "csd-1000"}, {})
    assert [row["arm"] for row in read_rows(banks.path)] == ["csd-1000"]
    assert len(banks.rows()) == 2 and grid.path.read_bytes() == before


def test_a_card_tells_the_newest_of_each_data_set_beside_its_control(cards: Path) -> None:
    card_folder(cards, replace(ELSEWHERE, data="cifar10"), ELSEWHERE)
    card = read_card(cards / "csd-cifar10.json")
    later = "2026-03-04T00:00:00+00:00"
    rows = [
        a_row(card, "tiny-imagenet-10", 0.4),
        a_row(card, "cifar10", 0.2, when=later),
        a_row(card, "cifar10", 0.9),
        a_row(card, "cifar10", 0.3, countermeasure="jpeg-50", when=later),
        a_row(card, "cifar10", 0.3, scale="smoke", when=later),
        a_row(None, "cifar10", 0.8, train_files=500),
        a_row(None, "cifar10", 0.6),
        a_row(None, "tiny-imagenet-10", 0.7),
    ]
    cifar, elsewhere, tiny = written(rows, cards)
    assert elsewhere == ELSEWHERE
    assert (cifar.data, cifar.last, cifar.best, cifar.date) == (
        "cifar10",
        0.2,
        0.2 + 0.1,
        later[:10],
    )
    assert (cifar.control_last, cifar.control_best) == (0.6, 0.6 + 0.1)
    assert cifar.files == "1,000 PNG files in 10 classes"
    assert cifar.victim.startswith("small ResNet, 65 epochs in batches of 32, shifts by up to 4")
    assert (tiny.data, tiny.last, tiny.control_last) == ("tiny-imagenet", 0.4, 0.7)
    again = (cards / "csd-cifar10.json").read_bytes()
    assert written(rows, cards) == (cifar, elsewhere, tiny)
    assert (cards / "csd-cifar10.json").read_bytes() == again


def test_every_seed_is_told_and_the_worst_one_is_the_effect(cards: Path) -> None:
    card = read_card(cards / "csd-cifar10.json")
    lasts = {0: 0.2, 1: 0.45}
    rows = [a_row(card, "cifar10", last, seed=seed) for seed, last in lasts.items()]
    rows += [a_row(None, "cifar10", 0.6, seed=seed) for seed in lasts]
    assert [(one.seed, one.last) for one in written(rows, cards)] == list(lasts.items())
    assert read_card(cards / "csd-cifar10.json").effect("cifar10") == pytest.approx(0.15)


def test_what_was_measured_of_another_bank_leaves_the_card(cards: Path) -> None:
    card_folder(cards, replace(ELSEWHERE, data="cifar10"), ELSEWHERE)
    remade = replace(read_card(cards / "csd-cifar10.json"), sha256=OTHER)
    rows = [a_row(remade, "cifar10", 0.2), a_row(None, "cifar10", 0.6)]
    assert written(rows, cards) == (ELSEWHERE,)


def test_no_card_changes_without_a_control_or_without_rows_or_for_a_damaged_bank(
    cards: Path,
) -> None:
    card_folder(cards, ELSEWHERE)
    card = read_card(cards / "csd-cifar10.json")
    of_other_files = a_row(None, "cifar10", 0.6, train_files=500)
    with pytest.raises(SystemExit, match=r"control .* csd-cifar10 on cifar10, seed 0"):
        written([a_row(card, "cifar10", 0.2), of_other_files], cards)
    with pytest.raises(SystemExit, match="no rows of banks at scale cpu"):
        written([of_other_files], cards)
    with (cards / card.file).open("ab") as bank:
        bank.write(b"\0")
    with pytest.raises(UeError, match="SHA-256"):
        written([a_row(card, "cifar10", 0.2), a_row(None, "cifar10", 0.6)], cards)
    assert read_card(cards / "csd-cifar10.json") == card


@pytest.mark.slow
def test_files_of_an_exchanged_bank_are_not_trained_on(tmp_path: Path) -> None:
    for name in ("cat", "dog"):
        picture(tmp_path / "in" / name / "0.png", 1, size=(32, 32))
    card = bundled()[0]
    settings = settings_by([replace(card, sha256=OTHER)])(card.name)
    assert settings is not None
    (tmp_path / "made").mkdir()
    with pytest.raises(RuntimeError, match="made anew"):
        protect_files(tmp_path / "in", tmp_path / "made", settings, 1)


@pytest.mark.slow
def test_banks_are_measured_where_it_stopped_and_told_on_their_cards(
    tmp_path: Path, cards: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for k, name in enumerate(("cat", "dog", "lemon", "teapot")):
        for split, count in (("train", 6), ("test", 4)):
            for i in range(count):
                side = 32 if k < 2 else 64
                number = 1000 * k + 10 * i + (split == "test")
                picture(tmp_path / split / name / f"{i:02d}.png", number, size=(side, side))

    def run(experiment: str, *arguments: str, out: str) -> list[Row]:
        places = {"--data": tmp_path, "--work": tmp_path / "work", "--out": tmp_path / out}
        flags = [str(part) for pair in places.items() for part in pair]
        main([experiment, *flags, *arguments])
        rows: list[Row] = json.loads((tmp_path / out).read_text())["rows"]
        return rows

    def banks(*arguments: str) -> list[Row]:
        scale = ("--scale", "smoke", "--grid", str(tmp_path / "grid.json"))
        return run("banks", *scale, *arguments, out="banks.json")

    plain = ("--scale", "smoke", "--arms", "clean", "--datasets", "cifar10", "--against", "none")
    (control,) = run("grid", *plain, out="grid.json")
    arms = ("--arms", "clean", "csd-cifar10")
    (first,) = banks(*arms, "--most", "1")
    assert (first["arm"], first["dataset"]) == ("csd-cifar10", "cifar10")
    rows = banks(*arms)
    order = [(row["dataset"], row["arm"]) for row in rows]
    tiny = "tiny-imagenet-10"
    assert order == [("cifar10", "csd-cifar10"), (tiny, "clean"), (tiny, "csd-cifar10")]
    assert first in rows and str(tmp_path) not in json.dumps(rows)
    card = read_card(cards / "csd-cifar10.json")
    for row in (rows[0], rows[2]):
        assert row["settings"]["sha256"] == row["method"]["SHA-256"] == card.sha256
        assert 0 < row["mean_abs"] <= row["linf"] == 8
    capsys.readouterr()
    assert banks(*arms) == rows and capsys.readouterr().out == ""

    banks("--write-cards", "--cards", str(cards))
    cifar, other = read_card(cards / "csd-cifar10.json").measured
    assert (cifar.data, cifar.last, cifar.control_last) == (
        "cifar10",
        first["last"],
        control["last"],
    )
    assert (other.data, other.control_best) == ("tiny-imagenet", rows[1]["best"])
    with pytest.raises(SystemExit, match="csd-cifar10"):
        banks("--arms", "csd")
