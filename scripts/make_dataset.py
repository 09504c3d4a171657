"""Write CIFAR-10 or CIFAR-100 as an image folder, as `ue protect` and `ue evaluate` read them.

    python scripts/make_dataset.py cifar10 FOLDER [--root DIR]

``FOLDER/train/CLASS/NNNNN.png`` is what is protected, and ``FOLDER/test/CLASS/NNNNN.png`` stays
clean; NNNNN is torchvision's index. torchvision reads its files in DIR, or downloads them to it,
and verifies them.
"""

from __future__ import annotations

import argparse
from pathlib import Path

from torchvision import datasets

KINDS = {"cifar10": datasets.CIFAR10, "cifar100": datasets.CIFAR100}


def write_dataset(name: str, folder: Path, root: Path) -> None:
    """Write both splits of a data set as PNG.

    Args:
        name: one of `KINDS`.
        folder: a new one.
        root: where torchvision's files are, or are downloaded to.

    Raises:
        FileExistsError: the folder is there.
    """
    folder.mkdir()
    for split in ("train", "test"):
        data = KINDS[name](root, train=split == "train", download=True)
        for class_name in data.classes:
            (folder / split / class_name).mkdir(parents=True)
        for index, (image, label) in enumerate(data):
            image.save(folder / split / data.classes[label] / f"{index:05d}.png")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("name", choices=KINDS)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--root", type=Path, default=Path("data"))
    arguments = parser.parse_args()
    write_dataset(arguments.name, arguments.folder, arguments.root)
