"""``cifar10:`` in place of a folder: a data set that torchvision reads."""

from __future__ import annotations

import os
import re
from dataclasses import dataclass
from pathlib import Path

from ue_cli.errors import UeError, unknown_name

NAMES = ("cifar10", "cifar100")
ROOT = Path("data")
"""Where a data set lies or is downloaded to, if ``--root`` does not say; torchvision's custom."""

# One letter before the colon is a drive of Windows.
_NAMED = re.compile(r"([^/\\:]{2,}):")


@dataclass(frozen=True, slots=True)
class Packed:
    """A data set in torchvision's own files, and the folders of images that it is unpacked into.

    Attributes:
        name: one of `NAMES`.
        root: the folder that torchvision calls ``root``.
    """

    name: str
    root: Path

    @property
    def images(self) -> Path:
        """The training images, ``train/CLASS/NNNNN.png``: what is protected."""
        return self.root / f"{self.name}-images"

    @property
    def tests(self) -> Path:
        """The test images, ``test/CLASS/NNNNN.png``: they stay clean."""
        return self.root / f"{self.name}-test-images"


def find_packed(source: Path, root: Path | None, flag: str = "SRC") -> Packed | None:
    """The data set that an argument names; None where it is a path. A folder that exists wins.

    Args:
        source: the argument.
        root: ``--root``.
        flag: what the command calls the argument.

    Raises:
        UeError: ``dataset-unknown``, ``root-not-folder``, or ``src-missing`` without its colon or
            with more behind it.
    """
    text = str(source)
    if os.path.lexists(source):
        return None
    if text.lower() in NAMES:
        raise UeError(
            "src-missing",
            f"{flag} should be a folder of images, but {text} does not exist.",
            f"For the data set, write {text.lower()}: with its colon.",
        )
    named = _NAMED.fullmatch(text)
    before, colon, _ = text.lower().partition(":")
    if named is None and colon and before in NAMES:
        raise UeError(
            "src-missing",
            f"{flag} should be a folder of images or a data set, but {text!r} is neither.",
            f"For the data set, write {before}: with nothing after its colon, and say with --root "
            "where it lies.",
        )
    if named is None:
        return None
    name = named[1].lower()
    if name not in NAMES:
        raise unknown_name(
            "dataset-unknown",
            f"{flag} should be a folder or a data set, but {text} is neither.",
            f"{name}:",
            [f"{known}:" for known in NAMES],
        )
    place = ROOT if root is None else root
    there = os.path.lexists(place)
    if not place.is_dir() and (there or root is not None):  # only the usual one is created
        what = "is not a folder" if there else "does not exist"
        raise UeError(
            "root-not-folder",
            f"--root should be the folder that holds {name}'s files, or that they shall be "
            f"downloaded to, but {place} {what}.",
            "Check the spelling, or create the folder.",
        )
    return Packed(name, place)


def refuse_root(root: Path | None) -> None:
    """Refuse a ``--root`` where no argument names a data set.

    Raises:
        UeError: ``flags-clash``.
    """
    if root is not None:
        raise UeError(
            "flags-clash",
            f"--root says where a data set lies, but no data set was named beside --root {root}.",
            f"Name one ({', '.join(f'{name}:' for name in NAMES)}), or leave --root out.",
        )
