"""scripts/make_dataset.py on a data set of two images per split."""

from __future__ import annotations

from pathlib import Path

import make_dataset
import numpy as np
import pytest
from PIL import Image


class Stub:
    """What torchvision would read."""

    classes = ("cat", "dog")

    def __init__(self, root: Path, *, train: bool, download: bool) -> None:
        level = 10 if train else 20
        self.images = [Image.new("RGB", (32, 32), (level, label, 0)) for label in (1, 0)]

    def __getitem__(self, index: int) -> tuple[Image.Image, int]:
        return self.images[index], (1, 0)[index]


def test_both_splits_are_written_without_loss(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(make_dataset.KINDS, "cifar10", Stub)
    make_dataset.write_dataset("cifar10", tmp_path / "set", tmp_path)
    files = {
        str(path.relative_to(tmp_path / "set")): np.asarray(Image.open(path))[0, 0].tolist()
        for path in (tmp_path / "set").rglob("*.png")
    }
    assert files == {
        "train/dog/00000.png": [10, 1, 0],
        "train/cat/00001.png": [10, 0, 0],
        "test/dog/00000.png": [20, 1, 0],
        "test/cat/00001.png": [20, 0, 0],
    }
    with pytest.raises(FileExistsError):
        make_dataset.write_dataset("cifar10", tmp_path / "set", tmp_path)
