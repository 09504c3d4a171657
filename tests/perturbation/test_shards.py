"""A bank in several files is the bank in one; a file that is not its own is refused by name."""

from __future__ import annotations

import errno
import json
import os
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.perturbation.test_bank import bank, refused
from ue_cli.perturbation.bank import load_bank, save_bank
from ue_cli.perturbation.hub import resolve
from ue_cli.perturbation.shards import INDEX_SUFFIX
from ue_cli.pipeline.fetch import fetch

ROW = 3 * 4 * 5
Damage = Callable[[Path], object]


def saved(folder: Path, most: int = 2 * ROW) -> Path:
    """Six patterns in shards of two; the index."""
    folder.mkdir(exist_ok=True)
    return save_bank(bank(), folder / "big.safetensors", most=most)[0]


def shard(index: Path, number: int) -> Path:
    (mark,) = {name.split("-")[1] for name in json.loads(index.read_text())["metadata"]["shards"]}
    return index.with_name(f"big-{mark}-0000{number}-of-00003.safetensors")


def test_shards_give_the_same_bank_by_either_name(tmp_path: Path) -> None:
    index = saved(tmp_path)
    assert index.name == "big" + INDEX_SUFFIX
    names = ["big" + INDEX_SUFFIX, *(shard(index, n).name for n in (1, 2, 3))]
    assert sorted(one.name for one in tmp_path.iterdir()) == sorted(names)
    for path in (index, tmp_path / "big.safetensors"):
        found = load_bank(path)
        assert np.array_equal(found.delta, bank().delta)
        assert (found.classes, found.provenance) == (bank().classes, bank().provenance)
        assert resolve(str(path)).path == index
        (listed,) = fetch(str(path)).perturbations
        assert listed.shape == (2, 3, 3, 4, 5)
        assert listed.bytes == sum(one.stat().st_size for one in tmp_path.iterdir())
    said = json.loads(index.read_text())
    assert said["metadata"]["total_size"] == 6 * ROW
    assert sorted(said["weight_map"].values()) == names[1:]


@pytest.mark.parametrize(("most", "files"), [(6 * ROW, 1), (6 * ROW - 1, 3), (1, 7), (None, 1)])
def test_no_file_is_larger_than_asked_but_for_one_pattern(
    tmp_path: Path, most: int | None, files: int
) -> None:
    assert len(save_bank(bank(), tmp_path / "big.safetensors", most=most)) == files
    assert len(list(tmp_path.iterdir())) == files


@pytest.mark.parametrize("most", [ROW, 3 * ROW, None])
def test_what_a_bank_of_that_name_had_before_is_gone(tmp_path: Path, most: int | None) -> None:
    saved(tmp_path)
    files = save_bank(bank(), tmp_path / "big.safetensors", most=most)
    assert sorted(tmp_path.iterdir()) == sorted(files)
    assert np.array_equal(load_bank(tmp_path / "big.safetensors").delta, bank().delta)


def cut(index: Path) -> None:
    shard(index, 2).write_bytes(shard(index, 2).read_bytes()[:-1])


def exchanged(index: Path) -> None:
    first, second = shard(index, 1).read_bytes(), shard(index, 2).read_bytes()
    shard(index, 1).write_bytes(second)
    shard(index, 2).write_bytes(first)


def edited(**changes: Any) -> Damage:
    def change(index: Path) -> None:
        said = json.loads(index.read_text())
        said["metadata"] |= changes
        index.write_text(json.dumps(said))

    return change


def outside(index: Path) -> None:
    index.write_text(index.read_text().replace("big-", "../big-"))


@pytest.mark.parametrize(
    ("damage", "says"),
    [
        (
            lambda index: shard(index, 2).unlink(),
            r"big-\w{8}-00002-of-00003.* is not there",
        ),
        (cut, r"big-\w{8}-00002-of-00003.safetensors has [\d]+ bytes, not [\d]+; it is not whole"),
        (exchanged, r"big-\w{8}-00001-of-00003.safetensors is another file than the one"),
        (
            lambda index: shard(index, 4).write_bytes(b"x"),
            r"beside it lies big-\w{8}-00004-of-00003.safetensors, which is none of its 3 shards",
        ),
        (lambda index: index.write_bytes(index.read_bytes()[:-9]), "no whole index"),
        (lambda index: index.write_text("[]"), "no whole index"),
        (outside, "no whole index"),
        (edited(shards={}), "no whole index"),
        (edited(shape=[2, 3, 3, 4]), "no whole index"),
        (edited(shape=[2, 3, 3, 4, True]), "no whole index"),
        (edited(ue=float("nan")), "no whole index"),
        (edited(shape=[2, 4, 3, 4, 5]), "its shards hold 6 patterns instead of 8"),
        (edited(shape=[1, 5, 3, 4, 5]), "another shape or number"),
        (edited(shape=[2, 3, 3, 5, 5]), "another shape or number"),
        (edited(shape=[9999, 9999, 3, 32, 32]), "more than 1,073,741,824 values"),
        (edited(ue={"format": "other"}), "something else"),
        (edited(ue={"format": "ue-bank", "version": 2}), "version 2"),
    ],
)
def test_what_is_not_whole_is_refused_by_name(tmp_path: Path, damage: Damage, says: str) -> None:
    index = saved(tmp_path)
    damage(index)
    refused(index, says)


@pytest.mark.parametrize(
    "name", ["", "a\0b", "..", "thesis.txt", "other-0a1b2c3d-00001-of-00003.safetensors"]
)
def test_an_index_speaks_of_its_own_shards_alone(tmp_path: Path, name: str) -> None:
    """Neither are others' files read for shards, nor do they go with a bank that is replaced."""
    index = saved(tmp_path)
    for other in ("thesis.txt", "other-0a1b2c3d-00001-of-00003.safetensors"):
        (tmp_path / other).write_text("mine")
    said = json.loads(index.read_text())
    shards, names = said["metadata"]["shards"], said["weight_map"]
    shards[name] = shards.pop(names["delta.00001"])
    names["delta.00001"] = name
    index.write_text(json.dumps(said))
    refused(index, "no whole index")
    save_bank(bank(), tmp_path / "big.safetensors")
    assert (tmp_path / "thesis.txt").exists()
    assert (tmp_path / "other-0a1b2c3d-00001-of-00003.safetensors").exists()


def test_shards_without_an_index_do_not_stay_behind(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    real, left = os.fsync, iter(range(2))

    def full(handle: int) -> None:
        if next(left, None) is None:
            raise OSError(errno.ENOSPC, "No space left on device")
        real(handle)

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OSError, match="No space"):
        save_bank(bank(), tmp_path / "x.safetensors", most=1)
    assert list(tmp_path.iterdir()) == []


def test_a_bank_is_whole_until_the_next_one_takes_its_name(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    index = saved(tmp_path)
    before = {one.name: one.read_bytes() for one in tmp_path.iterdir()}
    other = replace(bank(), delta=-bank().delta)
    real, left = os.fsync, iter(range(3))

    def full(handle: int) -> None:
        if next(left, None) is None:
            raise OSError(errno.ENOSPC, "No space left on device")
        real(handle)

    with monkeypatch.context() as patch:
        patch.setattr(os, "fsync", full)
        with pytest.raises(OSError, match="No space"):  # three shards fit, their index does not
            save_bank(other, tmp_path / "big.safetensors", most=2 * ROW)
    assert {one.name: one.read_bytes() for one in tmp_path.iterdir()} == before
    save_bank(other, tmp_path / "big.safetensors", most=2 * ROW)
    assert np.array_equal(load_bank(index).delta, other.delta)
    assert len(list(tmp_path.iterdir())) == len(before)


def test_shards_of_an_earlier_bank_are_in_nobodys_way(tmp_path: Path) -> None:
    """As after a kill between the new index and the removal of what it replaced."""
    index = saved(tmp_path)
    (tmp_path / "big-0a1b2c3d-00001-of-00002.safetensors").write_bytes(b"x")
    assert np.array_equal(load_bank(index).delta, bank().delta)


def test_a_shard_alone_names_its_index(tmp_path: Path) -> None:
    index = saved(tmp_path)
    refused(shard(index, 1), "one of several files")


def test_a_missing_index_is_no_such_file(tmp_path: Path) -> None:
    refused(tmp_path / ("none" + INDEX_SUFFIX), "no such file")
