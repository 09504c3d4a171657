"""Banks on disk: the round trip, and a sentence for everything that is not a bank."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from safetensors.numpy import save_file

from ue_cli.banks.bank import load_bank, save_bank
from ue_cli.errors import ExitCode, UeError
from ue_cli.types import Bank, Budget, Provenance

META: dict[str, Any] = {
    "format": "ue-bank",
    "version": 1,
    "levels": 8,
    "classes": ["a", "b"],
    "method": "csd",
    "space": "pixel",
    "recipe": {},
    "created_by": "ue test",
}


def bank() -> Bank:
    delta = np.random.default_rng(0).integers(-8, 9, (2, 3, 3, 4, 5)).astype(np.int8)
    recipe = {"steps": 20, "csd": 0.125, "nested": {"list": [1, "é"]}}
    return Bank(
        delta, ("[b]x", "naïve 🐈"), Budget(8), Provenance("csd", "pixel", recipe, "ue 0.1.0")
    )


def write(path: Path, delta: np.ndarray[Any, Any], meta: Any) -> Path:
    text = meta if isinstance(meta, str) else json.dumps(meta)
    save_file({"delta": delta}, path, metadata={"ue": text})
    return path


def refused(path: Path, words: str) -> None:
    with pytest.raises(UeError, match=words) as caught:
        load_bank(path)
    assert caught.value.exit_code == ExitCode.PERTURBATION_UNAVAILABLE
    assert caught.value.hint
    assert path.name in caught.value.message
    assert caught.value.message.count("cannot be used") == 1
    assert not caught.value.message.endswith("..")


def test_bank_comes_back_as_it_was_saved(tmp_path: Path) -> None:
    first, second = tmp_path / "a.safetensors", tmp_path / "b.safetensors"
    original = bank()
    save_bank(original, first)
    found = load_bank(first)
    assert np.array_equal(found.delta, original.delta)
    assert found.delta.dtype == np.int8
    assert (found.classes, found.budget) == (original.classes, original.budget)
    assert found.provenance == original.provenance
    save_bank(found, second)
    assert first.read_bytes() == second.read_bytes()
    assert sorted(tmp_path.iterdir()) == [first, second]


@settings(deadline=None, max_examples=25)
@given(cut=st.floats(0, 1, exclude_max=True))
def test_truncated_bank_is_refused(tmp_path_factory: pytest.TempPathFactory, cut: float) -> None:
    path = tmp_path_factory.mktemp("bank") / "cut.safetensors"
    save_bank(bank(), path)
    whole = path.read_bytes()
    path.write_bytes(whole[: int(len(whole) * cut)])
    refused(path, "not a whole safetensors file")


@settings(deadline=None, max_examples=50)
@given(junk=st.binary(max_size=200))
def test_any_bytes_give_a_bank_or_a_sentence(
    tmp_path_factory: pytest.TempPathFactory, junk: bytes
) -> None:
    path = tmp_path_factory.mktemp("bank") / "junk.safetensors"
    path.write_bytes(junk)
    refused(path, "cannot be used as a perturbation")


def test_missing_file_and_folder_are_refused(tmp_path: Path) -> None:
    refused(tmp_path / "none.safetensors", "no such file")
    refused(tmp_path, "not a whole safetensors file")


DELTA = np.zeros((2, 1, 3, 2, 2), np.int8)


@pytest.mark.parametrize(
    ("delta", "meta", "words"),
    [
        (DELTA, "{not json", "no readable description"),
        (DELTA, json.dumps(META).replace("{}", '{"x": NaN}'), "no readable description"),
        (DELTA, "[" * 100_000, "no readable description"),
        (DELTA, [], "something else"),
        (DELTA, {**META, "format": "other"}, "something else"),
        (DELTA, {**META, "version": 2}, "version 2 and this program reads version 1"),
        (DELTA, {**META, "levels": "8"}, "'levels' is missing or not a int"),
        (DELTA, {**META, "levels": True}, "'levels'"),
        (DELTA, {**META, "levels": 0}, "between 1 and 64"),
        (DELTA, {**META, "classes": ["a"]}, "class names"),
        (DELTA, {**META, "classes": ["a", 1]}, "not all strings"),
        (DELTA, {**META, "recipe": None}, "'recipe'"),
        (DELTA.astype(np.float32), META, "int8"),
        (DELTA[:, 0], META, "shape"),
        (DELTA + np.int8(9), META, "outside its stated budget"),
    ],
)
def test_bank_that_contradicts_itself_is_refused(
    tmp_path: Path, delta: np.ndarray[Any, Any], meta: Any, words: str
) -> None:
    refused(write(tmp_path / "x.safetensors", delta, meta), words)


def test_of_a_newer_format_the_program_is_to_be_updated(tmp_path: Path) -> None:
    with pytest.raises(UeError) as caught:
        load_bank(write(tmp_path / "x.safetensors", DELTA, {**META, "version": 99}))
    assert "Update ue" in caught.value.hint


def test_other_safetensors_files_are_refused(tmp_path: Path) -> None:
    bare, named = tmp_path / "bare.safetensors", tmp_path / "named.safetensors"
    save_file({"delta": DELTA}, bare)
    refused(bare, "no readable description")
    save_file({"weights": DELTA}, named, metadata={"ue": json.dumps(META)})
    refused(named, "exactly one tensor named delta")


def test_recipe_that_is_not_json_is_refused_and_leaves_nothing(tmp_path: Path) -> None:
    odd = Bank(DELTA.copy(), ("a", "b"), Budget(8), Provenance("m", "s", {"x": float("inf")}, "t"))
    with pytest.raises(UeError, match="cannot be written as JSON"):
        save_bank(odd, tmp_path / "x.safetensors")
    assert list(tmp_path.iterdir()) == []


def test_failed_write_leaves_the_old_bank(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "x.safetensors"
    save_bank(bank(), path)
    before = path.read_bytes()

    def full(_: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("os.fsync", full)
    with pytest.raises(OSError, match="No space"):
        save_bank(bank(), path)
    assert list(tmp_path.iterdir()) == [path]
    assert path.read_bytes() == before


def test_banks_need_no_torch() -> None:
    code = "import sys, ue_cli.banks.bank, ue_cli.banks.apply; "
    done = subprocess.run([sys.executable, "-c", code + "sys.exit('torch' in sys.modules)"])
    assert done.returncode == 0
