"""Published files: what their values mean, whose they are, and what is refused."""

from __future__ import annotations

import hashlib
import os
import pickle
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from ue_cli.banks.legacy import ORDERS, read_order, read_published
from ue_cli.errors import ExitCode, UeError
from ue_cli.types import Budget

EIGHT = Budget(8)


def levels(rows: int = 10, size: int = 4, *, most: int = 8, seed: int = 0) -> NDArray[np.int8]:
    found = np.random.default_rng(seed).integers(-most, most + 1, (rows, 3, size, size))
    found[0, 0, 0, 0] = most
    return found.astype(np.int8)


def save(path: Path, values: NDArray[Any] | torch.Tensor) -> Path:
    if path.suffix in (".pt", ".pth"):
        torch.save(values if isinstance(values, torch.Tensor) else torch.from_numpy(values), path)
    elif path.suffix == ".npy":
        np.save(path, np.asarray(values))
    else:
        np.savez(path, noise=np.asarray(values))
    return path


def refused(path: Path, words: str, **options: Any) -> UeError:
    with pytest.raises(UeError, match=words) as caught:
        read_published(path, EIGHT, **options)
    assert caught.value.exit_code == ExitCode.PERTURBATION_UNAVAILABLE
    assert path.name in caught.value.message and caught.value.hint
    assert str(path.parent) not in caught.value.message
    return caught.value


@pytest.mark.parametrize("suffix", [".pt", ".pth", ".npy", ".npz"])
def test_a_class_wise_file_keeps_every_level_and_its_origin(tmp_path: Path, suffix: str) -> None:
    own = levels()
    path = save(tmp_path / f"perturbation{suffix}", own.astype(np.float32) / 255)
    bank = read_published(path, EIGHT, order=ORDERS["cifar10"])
    assert np.array_equal(bank.delta[:, 0], own) and (bank.delta < 0).any()
    assert bank.classes[:2] == ("airplane", "automobile") and bank.budget == EIGHT
    made = bank.provenance
    assert (made.method, made.space) == ("published", "pixel")
    assert made.recipe["sha256"] == hashlib.sha256(path.read_bytes()).hexdigest()
    assert made.recipe["file"] == path.name
    assert made.recipe["format"].endswith("float32, 10×3×4×4")
    assert made.recipe["units"].startswith("fractions of full scale, found from")


@pytest.mark.parametrize(
    ("factor", "dtype", "options"),
    [
        (1 / 255, np.float16, {}),
        (1 / 255, np.float64, {}),
        (1, np.float32, {}),
        (1, np.int8, {}),
        (1, np.int64, {}),
        (1 / 8, np.float32, {"units": "epsilon"}),
        (1 / 8, np.float32, {"rescale": True}),
    ],
)
def test_the_same_perturbation_in_any_units(
    tmp_path: Path, factor: float, dtype: type, options: dict[str, Any]
) -> None:
    own = levels()
    bank = read_published(save(tmp_path / "x.npy", (own * factor).astype(dtype)), EIGHT, **options)
    assert np.array_equal(bank.delta[:, 0], own)
    assert bank.classes == tuple(map(str, range(10)))


def test_other_layouts_of_the_same_tensor(tmp_path: Path) -> None:
    own = levels().astype(np.float32) / 255
    wanted = levels()
    last = save(tmp_path / "last.npy", np.ascontiguousarray(own.transpose(0, 2, 3, 1)))
    assert np.array_equal(read_published(last, EIGHT).delta[:, 0], wanted)
    named = tmp_path / "named.pt"
    torch.save({"noise": torch.from_numpy(own).bfloat16(), "epoch": 3}, named)
    assert np.array_equal(read_published(named, EIGHT).delta[:, 0], wanted)
    old = tmp_path / "old.pt"
    torch.save(torch.from_numpy(own), old, _use_new_zipfile_serialization=False)
    assert np.array_equal(read_published(old, EIGHT).delta[:, 0], wanted)


@settings(deadline=None, max_examples=25)
@given(seed=st.integers(0, 99), budget=st.integers(1, 64), rescale=st.booleans())
def test_values_are_rounded_and_stay_in_the_ball(
    tmp_path_factory: pytest.TempPathFactory, seed: int, budget: int, rescale: bool
) -> None:
    rng = np.random.default_rng(seed)
    values = rng.uniform(-budget, budget, (2, 3, 2, 2)) / 255 * (3 if rescale else 1)
    values[0, 0, 0, 0] = budget / 255  # never so faint that all of it rounds to nothing
    path = tmp_path_factory.mktemp("x") / "x.npy"
    np.save(path, values)
    units: dict[str, Any] = {"rescale": True} if rescale else {"units": "fraction"}
    bank = read_published(path, Budget(budget), **units)
    scale = budget / np.abs(values).max() if rescale else 255
    assert np.abs(bank.delta[:, 0] - values * scale).max() <= 0.5 + 1e-9


def test_samples_are_sorted_by_class_and_missing_ones_are_mixed(tmp_path: Path) -> None:
    own = levels(7)
    order = ("b", "a", "b", "a", "b", "b", "c")
    bank = read_published(save(tmp_path / "x.npy", own), EIGHT, order=order)
    assert bank.classes == ("a", "b", "c") and bank.delta.shape == (3, 4, 3, 4, 4)
    assert np.array_equal(bank.delta[1], own[[0, 2, 4, 5]])
    assert np.array_equal(bank.delta[0, :2], own[[1, 3]])
    between = own[1].astype(float), own[3].astype(float)
    low, high = np.minimum(*between), np.maximum(*between)
    assert ((low <= bank.delta[0, 2:]) & (bank.delta[0, 2:] <= high)).all()
    assert (bank.delta[2] == own[6]).all()
    assert bank.provenance.recipe["rows"] == "one per image"


def test_a_file_with_a_row_per_image_needs_the_class_of_each(tmp_path: Path) -> None:
    path = save(tmp_path / "tue.npy", np.full((50_000, 3, 1, 1), 8, np.int8))
    for order in (None, ORDERS["cifar10"]):
        error = refused(path, "50,000 rows, one per image", order=order)
        assert "--order FILE" in error.hint and "CIFAR10('.', download=True)" in error.hint
    compile(error.hint.split('"')[1], "hint", "exec")
    refused(path, "--order names 3", order=("a", "b", "a"))


def test_an_order_is_a_known_name_or_a_line_per_row(tmp_path: Path) -> None:
    assert read_order("cifar10")[9] == "truck"
    lines = tmp_path / "order.txt"
    lines.write_text("cat\nsea lion \ncat\n", "utf-8")
    assert read_order(str(lines)) == ("cat", "sea lion", "cat")
    for content in (b"", b"a\n\nb\n", b"\xff\xfe\xff"):
        lines.write_bytes(content)
        with pytest.raises(UeError, match=r"order\.txt") as caught:
            read_order(str(lines))
        assert caught.value.exit_code == ExitCode.PERTURBATION_UNAVAILABLE and caught.value.hint
    with pytest.raises(UeError, match="expects cifar10 or a text file"):
        read_order(str(tmp_path / "gone.txt"))


SMALL = np.zeros((2, 3, 2, 2), np.float32)


def filled(value: complex, dtype: type = np.float32) -> NDArray[Any]:
    return np.full((2, 3, 2, 2), value, dtype)


@pytest.mark.parametrize(
    ("values", "words"),
    [
        (SMALL, "all its values are zero"),
        (filled(1e-4), "round to zero levels"),
        (filled(np.nan), "not finite"),
        (np.where(np.arange(24).reshape(2, 3, 2, 2) == 7, -np.inf, SMALL), "not finite"),
        (filled(200.0), "reach 200: these are pixels"),
        (filled(3, np.uint8), "uint8, which has lost every negative one"),
        (filled(1 + 1j, np.complex64), "its values are complex64"),
        (filled(True, np.bool_), "its values are bool"),
        (np.zeros((2, 4, 2, 2), np.float32), "three channels"),
        (np.zeros((0, 3, 2, 2), np.float32), "three channels"),
        (np.zeros((3, 2, 2), np.float32), r"it holds \(3, 2, 2\)"),
        (np.zeros((2, 1, 3, 2, 2), np.float32), r"it holds \(2, 1, 3, 2, 2\)"),
    ],
)
def test_what_is_no_perturbation_is_refused(
    tmp_path: Path, values: NDArray[Any], words: str
) -> None:
    for name in ("x.npy", "x.pt"):
        refused(save(tmp_path / name, values), words)


@pytest.mark.parametrize(
    ("value", "dtype"), [(1, np.float32), (0.5, np.float32), (-1, np.int8), (1, np.int64)]
)
def test_unclear_units_are_asked_for(tmp_path: Path, value: float, dtype: type) -> None:
    error = refused(save(tmp_path / "x.npy", filled(value, dtype)), "8-bit levels or multiples")
    assert error.code == "perturbation-units" and "--units levels" in error.hint


def test_values_beyond_the_budget_are_refused_unless_rescaled(tmp_path: Path) -> None:
    own = levels(most=16)
    path = save(tmp_path / "x.npy", own / 255)
    with pytest.raises(UeError, match="reach 16 levels of 255; the budget is 8") as caught:
        read_published(path, EIGHT)
    assert caught.value.exit_code == ExitCode.PERTURBATION_UNAVAILABLE
    assert "--rescale" in caught.value.hint and "--epsilon" in caught.value.hint
    bank = read_published(path, EIGHT, rescale=True)
    assert np.abs(bank.delta[:, 0] - own / 2).max() <= 0.5
    with pytest.raises(UeError, match=r"reach 8\.4 levels"):
        read_published(save(path, filled(8.4 / 255)), EIGHT)


def test_several_arrays_are_not_guessed_among(tmp_path: Path) -> None:
    np.savez(tmp_path / "x.npz", a=SMALL, b=SMALL)
    refused(tmp_path / "x.npz", r"it holds \(2, 3, 2, 2\), \(2, 3, 2, 2\)")
    np.savez(tmp_path / "y.npz")
    refused(tmp_path / "y.npz", "it holds none")


class Trap:
    """What a malicious file holds: unpickled, it makes a folder."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def __reduce__(self) -> tuple[Callable[..., None], tuple[str]]:
        return os.mkdir, (str(self.folder),)


def test_a_pickle_that_would_run_code_is_refused_and_does_not_run(tmp_path: Path) -> None:
    sprung = tmp_path / "sprung"
    trap = Trap(sprung)
    torch.save(trap, tmp_path / "zip.pt")
    torch.save({"noise": torch.zeros(2, 3, 2, 2), "more": trap}, tmp_path / "hidden.pt")
    torch.save(trap, tmp_path / "old.pt", _use_new_zipfile_serialization=False)
    for protocol in range(pickle.HIGHEST_PROTOCOL + 1):
        (tmp_path / f"{protocol}.pt").write_bytes(pickle.dumps(trap, protocol))
    boxed = np.array([trap], dtype=object)
    np.save(tmp_path / "box.npy", boxed, allow_pickle=True)
    np.savez(tmp_path / "box.npz", allow_pickle=True, noise=boxed)
    (tmp_path / "raw.npy").write_bytes(pickle.dumps(trap))
    paths = sorted(path for path in tmp_path.iterdir())
    assert len(paths) == 3 + 6 + 3
    for path in paths:
        assert refused(path, "nothing in it was run").code == "perturbation-unsafe"
    assert not sprung.exists()
    pickle.loads((tmp_path / "4.pt").read_bytes())
    assert sprung.exists()  # the trap works


@pytest.mark.parametrize("name", ["x.pt", "x.npy", "x.npz"])
def test_any_part_of_a_file_gives_a_sentence(tmp_path: Path, name: str) -> None:
    whole = save(tmp_path / name, levels() / 255).read_bytes()
    for share in (0, 0.1, 0.5, 0.9, 0.999):
        (tmp_path / name).write_bytes(whole[: int(len(whole) * share)])
        refused(tmp_path / name, "cannot be used as a perturbation")


@settings(deadline=None, max_examples=40)
@given(junk=st.binary(max_size=80), start=st.sampled_from([b"", b"PK\x03\x04", b"\x93NUMPY\x01\0"]))
def test_any_bytes_give_a_sentence(
    tmp_path_factory: pytest.TempPathFactory, junk: bytes, start: bytes
) -> None:
    folder = tmp_path_factory.mktemp("junk")
    for suffix in (".pt", ".npy", ".npz"):
        path = folder / f"junk{suffix}"
        path.write_bytes(start + junk)
        refused(path, "cannot be used as a perturbation")


def test_what_is_not_there_or_of_another_type_is_refused(tmp_path: Path) -> None:
    refused(tmp_path / "gone.pt", r"cannot be read \(No such file")
    (tmp_path / "folder.npy").mkdir()
    refused(tmp_path / "folder.npy", "cannot be read")
    for name, words in (("x.mat", "ends in .mat"), ("x", "no such ending")):
        (tmp_path / name).write_bytes(b"x")
        refused(tmp_path / name, words)


def test_arrays_are_read_without_torch(tmp_path: Path) -> None:
    save(tmp_path / "x.npy", levels())
    code = (
        "import sys; from pathlib import Path; from ue_cli.types import Budget\n"
        "from ue_cli.banks.legacy import read_published\n"
        "read_published(Path(sys.argv[1]), Budget(8)); sys.exit('torch' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", code, tmp_path / "x.npy"]).returncode == 0
