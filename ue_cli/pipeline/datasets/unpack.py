"""A data set of torchvision's, unpacked once into folders of lossless images.

torchvision finds, downloads and verifies the files (MD5), and reads them; whatever comes after
works on files, as for any other folder. Both folders are there whole or not at all.
"""

from __future__ import annotations

import json
import os
import shutil
import tempfile
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Literal

from ue_cli.errors import ExitCode, UeError
from ue_cli.photos.private import explain_write, lock_folder, sync_folder
from ue_cli.photos.scan import Scan, scan
from ue_cli.pipeline.datasets.packed import ROOT, Packed, find_packed, refuse_root
from ue_cli.types import Phases, Photo

Split = Literal["train", "test"]

RECORD = ".ue-dataset.json"
"""In each folder, hidden from scans: what it is, and how many images it holds."""

_CLASSES = {"cifar10": "CIFAR10", "cifar100": "CIFAR100"}
_PNG_LEVEL = 1  # an image takes one block of a disk at any level


def scan_source(src: Path, packed: Packed | None, phases: Phases, *, dry_run: bool) -> Scan:
    """Scan a folder, or the images of a data set, which are unpacked if they are not yet.

    Args:
        src: the folder; of a data set, its ``images``.
        packed: the data set, if it is one.
        phases: told about it.
        dry_run: unpack nothing.

    Raises:
        UeError: as `scan` and `unpack`.
    """
    if packed is not None and not dry_run:
        unpack(packed, phases)
    elif packed is not None and "train" in _missing(packed):
        return _look(packed, phases)
    phases.start("Scanning", 1)
    found = scan(src)
    phases.step()
    return found


def clean_folders(
    original: Path | None, test: Path | None, root: Path | None, phases: Phases
) -> tuple[Path | None, Path | None]:
    """The folders that ``--original`` and ``--test`` mean, either of which may name a data set.

    Args:
        original: a folder, or a data set for its training images.
        test: a folder, or a data set for its test images.
        root: ``--root``.
        phases: told about it.

    Raises:
        UeError: as `find_packed`, `refuse_root` and `unpack`.
    """
    given = (("--original", original), ("--test", test))
    sets = [None if path is None else find_packed(path, root, flag) for flag, path in given]
    if not any(sets):
        refuse_root(root)
    for packed in {one for one in sets if one is not None}:
        unpack(packed, phases)
    originals, tests = sets
    return (
        original if originals is None else originals.images,
        test if tests is None else tests.tests,
    )


def unpack(packed: Packed, phases: Phases) -> None:
    """Write a data set's images as files, where that is not done; nothing that is there changes.

    Raises:
        UeError: ``dataset-*``: its files are not to be had, or damaged; ``root-not-writable``,
            ``disk-full``, ``write-failed``; ``tree-*``: a folder holds something else by now.
    """
    if not _missing(packed):
        phases.note(f"{packed.name} is unpacked in {packed.images}.")
        return
    _check_root(packed.root)
    with _draft(packed) as draft:
        for split in _missing(packed):  # looked at again: another run may have had the lock
            data = _dataset(packed, split, draft, phases)
            tree = draft / split
            phases.start(f"Unpacking {packed.name}, {split}", len(data))
            with explain_write(packed.root):
                _write(data, packed, split, tree, phases)
                os.sync()  # once for 50,000 files: as safe as an fsync each, and far quicker
                tree.rename(_tree(packed, split))
                sync_folder(packed.root)
            phases.note(f"{len(data):,} {split} images are unpacked into {_tree(packed, split)}.")


def _look(packed: Packed, phases: Phases) -> Scan:
    """What a scan of the training images would find, without unpacking them."""
    with tempfile.TemporaryDirectory(prefix="ue-") as folder:
        data = _dataset(packed, "train", Path(folder), phases, download=False)
    names = sorted(_name("train", data, index) for index in range(len(data)))
    root = packed.images.absolute()
    return Scan(root, tuple(Photo(root / name, name) for name in names), (), (), False)


def _missing(packed: Packed) -> list[Split]:
    """The splits that are not unpacked.

    Raises:
        UeError: ``tree-foreign``, ``tree-incomplete``.
    """
    splits: tuple[Split, ...] = ("test", "train")
    return [split for split in splits if not _is_whole(packed, split)]


def _is_whole(packed: Packed, split: Split) -> bool:
    tree = _tree(packed, split)
    if not os.path.lexists(tree):
        return False
    try:
        record = json.loads((tree / RECORD).read_bytes())
        wanted = int(record.pop("images"))
    except (OSError, ValueError, TypeError, LookupError, AttributeError):
        record = None
    if record != _record(packed, split):
        raise UeError(
            "tree-foreign",
            f"{packed.name}'s {split} images should be unpacked into {tree}, but that holds "
            "something else.",
            "Move it away, or give another --root.",
        )
    found = sum(len(files) for _, _, files in os.walk(tree / split))
    if found != wanted:
        raise UeError(
            "tree-incomplete",
            f"{tree} should hold the {wanted:,} {split} images of {packed.name}, but has "
            f"{found:,} files.",
            f"Remove {tree}; it is unpacked anew.",
        )
    return True


def _tree(packed: Packed, split: Split) -> Path:
    return packed.images if split == "train" else packed.tests


def _record(packed: Packed, split: Split) -> dict[str, str]:
    return {"dataset": packed.name, "split": split}


def _write(data: Any, packed: Packed, split: Split, tree: Path, phases: Phases) -> None:
    for name in data.classes:
        (tree / split / name).mkdir(parents=True)
    for index in range(len(data)):
        image, _ = data[index]
        image.save(tree / _name(split, data, index), compress_level=_PNG_LEVEL)
        phases.step()
    record = _record(packed, split) | {"images": len(data)}
    (tree / RECORD).write_text(json.dumps(record) + "\n")


def _name(split: Split, data: Any, index: int) -> str:
    """By torchvision's own index: whoever counts by that finds the image again."""
    return f"{split}/{data.classes[data.targets[index]]}/{index:05d}.png"


def _check_root(root: Path) -> None:
    if root == ROOT:
        with explain_write(root):
            root.mkdir(exist_ok=True)
    if not os.access(root, os.W_OK | os.X_OK):
        raise UeError(
            "root-not-writable",
            f"The images are unpacked into --root, but {root} does not let this user write.",
            "Link the data set's files into a folder of your own, and give that as --root.",
        )


@contextmanager
def _draft(packed: Packed) -> Iterator[Path]:
    """A folder beside the trees that is gone afterwards, and empty before, after kill -9 too."""
    folder = packed.root / f".ue-{packed.name}"
    with explain_write(folder):
        folder.mkdir(exist_ok=True)
    lock = lock_folder(folder)
    try:
        work = folder / "work"
        shutil.rmtree(work, ignore_errors=True)
        with explain_write(work):
            work.mkdir()
        yield work
    finally:
        shutil.rmtree(folder, ignore_errors=True)
        os.close(lock)


def _dataset(
    packed: Packed, split: Split, draft: Path, phases: Phases, *, download: bool = True
) -> Any:
    """Have torchvision read the data set; it verifies every file.

    Args:
        packed: which.
        split: of it.
        draft: an empty folder to extract the archive into.
        phases: told about a download.
        download: whether that is allowed.
    """
    from torchvision import datasets

    kind = getattr(datasets, _CLASSES[packed.name])
    root = _files(kind, packed, draft, phases, download=download)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # numpy's, about pickles as old as these
            return kind(root, train=split == "train")
    except RuntimeError:
        raise _damaged(packed.name, root / kind.base_folder) from None


def _files(kind: Any, packed: Packed, draft: Path, phases: Phases, *, download: bool) -> Path:
    """The folder that holds the data set's files: ``--root``, or what its archive was put into."""
    from torchvision.datasets.utils import check_integrity, extract_archive

    if (packed.root / kind.base_folder).is_dir():
        return packed.root
    if (draft / kind.base_folder).is_dir():
        return draft
    archive = packed.root / kind.filename
    if os.path.lexists(archive):
        if not check_integrity(archive, kind.tgz_md5):
            raise _damaged(packed.name, archive)
        phases.start(f"Extracting {kind.filename}", 1)
        with explain_write(draft):
            extract_archive(archive, draft)
        phases.step()
        return draft
    if (packed.root / kind.train_list[0][0]).is_file():
        raise UeError(
            "dataset-missing",
            f"--root should be the folder that holds {kind.base_folder}, but {packed.root} is "
            "that folder itself.",
            f"Give its parent: --root {packed.root.absolute().parent}",
        )
    if not download:
        raise _absent(kind, packed, "and a dry run downloads nothing.")
    phases.note(f"Downloading {kind.url} to {packed.root}.")
    _download(kind, packed, draft)
    with explain_write(archive):
        (draft / kind.filename).rename(archive)  # for the next time, and for other programs
    return draft


def _download(kind: Any, packed: Packed, draft: Path) -> None:
    from http.client import HTTPException
    from urllib.error import URLError

    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            kind(draft, download=True)
    except (URLError, HTTPException, ConnectionError, TimeoutError) as error:
        why = getattr(error, "reason", None) or error
        raise _absent(kind, packed, f"and {kind.url} could not be read: {why}.") from error
    except RuntimeError:
        raise _absent(kind, packed, f"and what {kind.url} sent is damaged (MD5).") from None


def _absent(kind: Any, packed: Packed, why: str) -> UeError:
    return UeError(
        "dataset-missing",
        f"{packed.name} should lie in {packed.root}, as {kind.base_folder} or {kind.filename}, "
        f"but neither is there, {why}",
        "Say where it is with --root DIR, or run this where there is a network.",
        exit_code=ExitCode.NOTHING_USABLE,
    )


def _damaged(name: str, path: Path) -> UeError:
    return UeError(
        "dataset-damaged",
        f"{path} should be {name} as published, but is damaged or incomplete: its MD5 differs.",
        f"Move it away; ue then takes what else lies in {path.parent}, or downloads {name}.",
        exit_code=ExitCode.NOTHING_USABLE,
    )
