"""A search that Ctrl-C or a crash ended goes on; what it needs for that is gone in the end."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path

import pytest

from tests.jobs.conftest import Quiet, picture
from ue_cli.errors import UeError
from ue_cli.owner.pending import pending
from ue_cli.protection.optimize import OptimizeOptions, optimise
from ue_cli.protection.options import ProtectOptions, choose_cells
from ue_cli.protection.protect import protect

ALONE = choose_cells("tue", contrastive_weight=0, cells=4)
"""CSD alone: rounds of milliseconds."""


class Impatient(Quiet):
    """Interrupts a search after some rounds."""

    def __init__(self, rounds: int | None = None) -> None:
        self.left, self.searching = rounds, False
        self.steps: list[int] = []
        self.notes: list[str] = []

    def start(self, title: str, total: int) -> None:
        self.searching = title == "Training against a surrogate"

    def step(self, count: int = 1) -> None:
        if self.searching:
            self.steps.append(count)
            if self.left is not None and sum(self.steps) >= self.left:
                raise KeyboardInterrupt

    def note(self, text: str) -> None:
        self.notes.append(text)


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    for index in range(5):
        name = ("cats", "dogs")[index % 2]
        picture(tmp_path / "photos" / name / f"{index}.png", index, size=(32, 32))
    return tmp_path / "photos"


def wanted(photos: Path, home: str, file: str) -> OptimizeOptions:
    root = photos.parent
    return OptimizeOptions(
        **asdict(ALONE),
        src=photos,
        home=root / home,
        file=root / file,
        seed=7,
        jobs=1,
    )


def kept(home: Path) -> list[Path]:
    return sorted((home / "searches").rglob("state"))


def test_a_bank_is_the_same_with_an_interruption_and_without(photos: Path, tmp_path: Path) -> None:
    options = wanted(photos, "home", "bank.safetensors")
    with pytest.raises(KeyboardInterrupt):
        optimise(options, Impatient(5))
    (state,) = kept(tmp_path / "home")
    assert state.stat().st_mode & 0o777 == 0o600
    again = Impatient()
    optimise(options, again)
    assert any("goes on after its round" in note for note in again.notes)
    assert sum(again.steps) == 20
    whole = wanted(photos, "other", "whole.safetensors")
    optimise(whole, Impatient())
    assert options.file.read_bytes() == whole.file.read_bytes()
    assert not (tmp_path / "home" / "searches").exists()


@pytest.mark.slow
def test_a_damaged_state_and_other_photos_begin_anew(photos: Path, tmp_path: Path) -> None:
    options = wanted(photos, "home", "bank.safetensors")
    for damage in (True, False):
        with pytest.raises(KeyboardInterrupt):
            optimise(options, Impatient(5))
        (state,) = kept(tmp_path / "home")
        if damage:
            state.write_bytes(state.read_bytes()[:-20])
        else:
            picture(photos / "cats" / "another.png", 9, size=(32, 32))
        again = Impatient(3)
        with pytest.raises(KeyboardInterrupt):
            optimise(options, again)
        assert again.steps == [1, 1, 1] and not any("goes on" in n for n in again.notes)


def test_protect_goes_on_with_the_collection_that_it_began(photos: Path, tmp_path: Path) -> None:
    home = tmp_path / "home"
    options = ProtectOptions(
        **asdict(ALONE),
        src=photos,
        out=tmp_path / "out",
        home=home,
        jobs=1,
    )
    with pytest.raises(KeyboardInterrupt):
        protect(options, Impatient(5))
    (state,) = kept(home)
    begun = state.with_name("id").read_text()
    again = Impatient()
    protect(options, again)
    assert any("goes on after its round" in note for note in again.notes)
    (info,) = home.glob("collections/*/collection.json")
    assert json.loads(info.read_text())["id"] == begun
    assert not (home / "searches").exists()


def test_a_search_that_cannot_begin_leaves_nothing(photos: Path, tmp_path: Path) -> None:
    for path in (photos / "dogs").iterdir():
        path.write_bytes(b"no picture")
    with pytest.raises(UeError, match="at least two classes"):
        optimise(wanted(photos, "home", "bank.safetensors"), Impatient())
    assert not (tmp_path / "home" / "searches").exists()


def test_what_is_pending_keeps_its_name_until_it_is_finished(tmp_path: Path) -> None:
    home, target = tmp_path / "home", tmp_path / "out"
    with pending(home, target) as first:
        first.keep(b"one")
        with pending(home, tmp_path / "another") as other:
            assert other.id != first.id
    with pending(home, tmp_path / "." / "out") as second:
        assert (second.id, second.read()) == (first.id, b"one")
        second.keep(b"two")
        assert second.read() == b"two"
        second.finished = True
    with pending(home, target) as third:
        assert third.id != first.id and third.read() is None
    assert list(home.iterdir()) == []
