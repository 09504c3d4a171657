"""Perturbations in the shapes in which the field stores them: each read right, or refused.

EM and its descendants save ``torch.zeros([10, 3, 32, 32])`` class-wise and ``[50000, 3, 32, 32]``
sample-wise, in fractions of full scale; others keep 0 … 255 units, channels last, or a dictionary.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from ue_cli.banks.bank import load_bank, save_bank
from ue_cli.banks.legacy import ORDERS, read_published
from ue_cli.errors import ExitCode, UeError
from ue_cli.types import Budget

EIGHT = Budget(8)
ROWS = np.random.default_rng(1).integers(-8, 9, (20, 3, 4, 4)).astype(np.int8)
ROWS[:, 0, 0, 0] = 8
LABELS = tuple(ORDERS["cifar10"][index % 10] for index in range(20))

Save = Callable[[Path, NDArray[Any]], None]


def em(path: Path, rows: NDArray[Any]) -> None:
    torch.save(torch.from_numpy(rows.astype(np.float32) / 255), path)


def trained(path: Path, rows: NDArray[Any]) -> None:
    torch.save(torch.nn.Parameter(torch.from_numpy(rows.astype(np.float32) / 255)), path)


def in_a_state(path: Path, rows: NDArray[Any]) -> None:
    state = {"epoch": 3, "noise": torch.from_numpy(rows.astype(np.float32) / 255), "args": ["x"]}
    torch.save(state | {"mean": torch.zeros(3)}, path)


def in_pixels(path: Path, rows: NDArray[Any]) -> None:
    torch.save(torch.from_numpy(rows.astype(np.float32)), path)


def halved(path: Path, rows: NDArray[Any]) -> None:
    torch.save(torch.from_numpy(rows / 255).half(), path)


def channels_last(path: Path, rows: NDArray[Any]) -> None:
    torch.save(torch.from_numpy(rows.astype(np.float32) / 255).permute(0, 2, 3, 1), path)


def strided(path: Path, rows: NDArray[Any]) -> None:
    whole = torch.from_numpy(rows.astype(np.float32) / 255)
    torch.save(whole.contiguous(memory_format=torch.channels_last)[:, :, :, :], path)


def numpy_last(path: Path, rows: NDArray[Any]) -> None:
    np.save(path, (rows / 255).transpose(0, 2, 3, 1))


def numpy_pixels(path: Path, rows: NDArray[Any]) -> None:
    np.save(path, rows.transpose(0, 2, 3, 1).astype(np.float32))


def fortran(path: Path, rows: NDArray[Any]) -> None:
    np.save(path, np.asfortranarray(rows / 255))


def archive(path: Path, rows: NDArray[Any]) -> None:
    np.savez_compressed(path, perturbation=rows / 255, labels=np.arange(len(rows)))


APPLIED: list[tuple[str, Save]] = [
    ("perturbation.pt", em),
    ("perturbation.pth", trained),
    ("state.pt", in_a_state),
    ("noise.pt", in_pixels),
    ("noise.pt", halved),
    ("noise.pt", channels_last),
    ("noise.pt", strided),
    ("delta.npy", numpy_last),
    ("delta.npy", numpy_pixels),
    ("delta.npy", fortran),
    ("delta.npz", archive),
]
IDS = [save.__name__ for _, save in APPLIED]


@pytest.mark.parametrize(("name", "save"), APPLIED, ids=IDS)
def test_a_row_per_class(tmp_path: Path, name: str, save: Save) -> None:
    save(tmp_path / name, ROWS[:10])
    bank = read_published(tmp_path / name, EIGHT, order=ORDERS["cifar10"])
    assert np.array_equal(bank.delta[:, 0], ROWS[:10])
    assert bank.classes == ORDERS["cifar10"]
    unnamed = read_published(tmp_path / name, EIGHT)
    assert np.array_equal(unnamed.delta, bank.delta)
    assert unnamed.classes == tuple("0123456789")


@pytest.mark.parametrize(("name", "save"), APPLIED, ids=IDS)
def test_a_row_per_image(tmp_path: Path, name: str, save: Save) -> None:
    save(tmp_path / name, ROWS)
    bank = read_published(tmp_path / name, EIGHT, order=LABELS)
    assert bank.delta.shape == (10, 2, 3, 4, 4)
    for index, one in enumerate(bank.classes):
        first = LABELS.index(one)
        assert np.array_equal(bank.delta[index], ROWS[[first, first + 10]]), one


def universal(path: Path, rows: NDArray[Any]) -> None:
    em(path, rows[0])


def by_class_and_image(path: Path, rows: NDArray[Any]) -> None:
    em(path, rows.reshape(2, 10, *rows.shape[1:]))


def gray(path: Path, rows: NDArray[Any]) -> None:
    em(path, rows[:, :1])


def listed(path: Path, rows: NDArray[Any]) -> None:
    torch.save(list(torch.from_numpy(rows.astype(np.float32) / 255)), path)


def shifted(path: Path, rows: NDArray[Any]) -> None:
    torch.save(torch.from_numpy((rows.astype(np.int16) + 128).astype(np.uint8)), path)


def poisoned_images(path: Path, rows: NDArray[Any]) -> None:
    torch.save(torch.from_numpy(rows.astype(np.float32) + 120), path)


def in_multiples(path: Path, rows: NDArray[Any]) -> None:
    torch.save(torch.from_numpy(rows.astype(np.float32) / 8), path)


def wider(path: Path, rows: NDArray[Any]) -> None:
    em(path, 2 * rows.astype(np.int16))


def complex_(path: Path, rows: NDArray[Any]) -> None:
    torch.save(torch.from_numpy(rows.astype(np.complex64)), path)


def both(path: Path, rows: NDArray[Any]) -> None:
    tensor = torch.from_numpy(rows.astype(np.float32) / 255)
    torch.save({"noise": tensor, "images": tensor + 0.5}, path)


@pytest.mark.parametrize(
    ("save", "code", "said"),
    [
        (universal, "perturbation-unreadable", r"it holds \(3, 4, 4\)"),
        (by_class_and_image, "perturbation-unreadable", r"it holds \(2, 10, 3, 4, 4\)"),
        (gray, "perturbation-unreadable", "three channels were expected"),
        (listed, "perturbation-unreadable", "it holds none"),
        (shifted, "perturbation-unreadable", "uint8, which has lost every negative one"),
        (poisoned_images, "perturbation-unreadable", "these are pixels, not a perturbation"),
        (in_multiples, "perturbation-units", "fractions of full scale, 8-bit levels or multiples"),
        (wider, "perturbation-over-budget", "reach 16 levels of 255; the budget is 8"),
        (complex_, "perturbation-unreadable", "its values are complex64"),
        (both, "perturbation-unreadable", "one array of shape"),
    ],
    ids=lambda value: getattr(value, "__name__", None),
)
def test_what_would_be_guessed_is_refused(tmp_path: Path, save: Save, code: str, said: str) -> None:
    save(tmp_path / "x.pt", ROWS)
    with pytest.raises(UeError, match=said) as caught:
        read_published(tmp_path / "x.pt", EIGHT, order=LABELS)
    assert caught.value.code == code and caught.value.hint
    assert caught.value.exit_code == ExitCode.PERTURBATION_UNAVAILABLE


def test_in_our_format_it_still_says_where_it_is_from(tmp_path: Path) -> None:
    em(tmp_path / "perturbation.pt", ROWS[:10])
    bank = read_published(tmp_path / "perturbation.pt", EIGHT, order=ORDERS["cifar10"])
    save_bank(bank, tmp_path / "own.safetensors")
    again = load_bank(tmp_path / "own.safetensors")
    assert np.array_equal(again.delta, bank.delta) and again.classes == bank.classes
    assert again.provenance == bank.provenance and again.budget == bank.budget
    assert again.provenance.recipe["file"] == "perturbation.pt"
