"""`ue optimize`: a bank for reuse, through the real command line."""

from __future__ import annotations

import errno
import json
from pathlib import Path

import numpy as np
import pytest

from tests.jobs.conftest import Ue, picture, pixels, tree
from ue_cli.banks.bank import load_bank

ALONE = ("--method", "tue", "--contrastive-weight", 0, "--cells", 4, "--seed", 7)
"""CSD alone, a pattern per photo: no surrogate to wait for."""


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    """Mid-gray tones, so that every photo has room for the whole perturbation."""
    for start, (name, count) in enumerate({"cats": 3, "dogs": 2}.items()):
        for index in range(count):
            picture(tmp_path / "photos" / name / f"{index}.png", 10 * start + index, size=(32, 32))
    return tmp_path / "photos"


def change(folder: Path, name: str) -> bytes:
    return (pixels(folder.with_name("photos-protected") / name) - pixels(folder / name)).tobytes()


def test_it_writes_a_bank_and_nothing_else(ue: Ue, photos: Path, tmp_path: Path) -> None:
    before, file = tree(photos), tmp_path / "bank.safetensors"
    done = ue("optimize", photos, "-o", file, "--seed", 1)
    assert done.code == 0, done.err
    assert tree(photos) == before
    assert {one.name for one in tmp_path.iterdir()} == {"photos", "bank.safetensors"}
    bank = load_bank(file)
    assert bank.classes == ("cats", "dogs") and bank.delta.shape == (2, 64, 3, 8, 8)
    assert (bank.provenance.method, bank.provenance.recipe["drawn from"]) == ("csd", "seed 1")
    assert done.result["bytes"] == file.stat().st_size
    again, other = tmp_path / "again.safetensors", tmp_path / "other.safetensors"
    assert ue("optimize", photos, "-o", again, "--seed", 1).code == 0
    assert again.read_bytes() == file.read_bytes()
    assert ue("optimize", photos, "-o", other).code == 0
    assert not np.array_equal(load_bank(other).delta, bank.delta)


@pytest.mark.slow
def test_people_are_told_how_to_apply_it(ue: Ue, photos: Path, tmp_path: Path) -> None:
    file = tmp_path / "bank.safetensors"
    done = ue("optimize", photos, "-o", file, *ALONE, people=True)
    assert done.code == 0
    assert f"ueprotect{photos}--perturbation{file}" in "".join(done.out.split())
    assert "none:CSDalone" in "".join(done.out.split())


def test_one_class_is_worth_a_word(ue: Ue, photos: Path, tmp_path: Path) -> None:
    done = ue("optimize", photos / "cats", "-o", tmp_path / "one.safetensors")
    assert done.code == 0 and "nothing to tell apart" in " ".join(done.err.split())


def test_every_photo_gets_its_own_pattern_back_by_its_name(
    ue: Ue, photos: Path, tmp_path: Path
) -> None:
    file = tmp_path / "bank.safetensors"
    assert ue("optimize", photos, "-o", file, *ALONE).code == 0
    bank = load_bank(file)
    assert bank.delta.shape == (2, 3, 3, 4, 4) and len(bank.provenance.recipe["samples"]) == 5
    picture(photos / "cats" / "00-before-all-others.png", 99, size=(32, 32))
    done = ue("protect", photos, "--perturbation", file)
    assert done.code == 0, done.err
    for name, variant in (("cats/0.png", 0), ("cats/2.png", 2), ("dogs/1.png", 1)):
        entry = bank.entry(name[:4], variant).repeat(8, axis=1).repeat(8, axis=2)
        assert change(photos, name) == entry.transpose(1, 2, 0).astype(np.int16).tobytes()
    own = {change(photos, f"cats/{index}.png") for index in range(3)}
    assert change(photos, "cats/00-before-all-others.png") not in own
    (stored,) = (tmp_path / "home").glob("collections/*/bank.safetensors")
    assert "samples" not in load_bank(stored).provenance.recipe["source"]


@pytest.mark.slow
def test_a_published_recipe_has_a_pattern_for_every_photo_and_a_small_one_for_some(
    ue: Ue, photos: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("ue_cli.protection.learned.MOST", 4)
    picture(photos / "cats" / "3.png", 33, size=(32, 32))
    picture(photos / "dogs" / "2.png", 34, size=(32, 32))
    for preset, most in (("small", 2), ("paper", 4)):
        file = tmp_path / f"{preset}.safetensors"
        done = ue("optimize", photos, "-o", file, *ALONE, "--preset", preset)
        assert done.code == 0, done.err
        assert done.result["shape"] == [2, most, 3, 4, 4]


def test_what_cannot_be_written_is_refused_before_any_work(
    ue: Ue, photos: Path, tmp_path: Path
) -> None:
    there = tmp_path / "there.safetensors"
    there.write_bytes(b"somebody's")
    (tmp_path / "folder.safetensors").mkdir()
    table = {
        Path(): "should be the name of a file, but '.' is a folder's",
        tmp_path / "bank.pt": "should end in .safetensors, but is bank.pt",
        tmp_path / "none" / "bank.safetensors": "folder that can be written to",
        photos / "bank.safetensors": "outside SRC",
        there: "there.safetensors is there",
        tmp_path / "folder.safetensors": "folder.safetensors is there",
    }
    for file, says in table.items():
        done = ue("optimize", photos, "-o", file)
        assert done.code == 2 and says in done.envelope["error"]["message"]
    done = ue("optimize", photos, "-o", tmp_path / "bank.pt")
    assert done.envelope["error"]["hint"] == f"Write -o {tmp_path / 'bank.safetensors'}"
    assert there.read_bytes() == b"somebody's"
    assert ue("optimize", photos, "-o", there, "--overwrite").code == 0
    assert load_bank(there).classes == ("cats", "dogs")
    assert not (tmp_path / "photos-protected").exists()


def test_a_full_disk_is_told_with_the_name_of_the_file(
    ue: Ue, photos: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object, **__: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr("ue_cli.protection.optimize.save_bank", full)
    done = ue("optimize", photos, "-o", tmp_path / "bank.safetensors")
    error = done.envelope["error"]
    assert done.code == 2 and error["code"] == "disk-full"
    assert str(tmp_path / "bank.safetensors") in error["message"]


def test_what_there_is_no_bank_of_is_refused(ue: Ue, photos: Path, tmp_path: Path) -> None:
    file = tmp_path / "bank.safetensors"
    (tmp_path / "empty").mkdir()
    for source, flags, code, says in (
        (tmp_path / "empty", (), 3, "images"),
        (tmp_path / "nowhere", (), 2, "does not exist"),
        (photos, ("--method", "csd", "--per", "photo"), 2, "draws for every photo by itself"),
        (photos, (*ALONE, "--csd-weight", 0), 2, "nothing to optimise"),
    ):
        done = ue("optimize", source, "-o", file, *flags)
        assert done.code == code and says in json.dumps(done.envelope["error"])
    assert not file.exists()
