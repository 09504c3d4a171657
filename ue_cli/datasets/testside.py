"""The clean test set: split off the originals, or a folder of its own; what must not be in it."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from ue_cli.datasets.looks import SIDE, Look
from ue_cli.datasets.split import split_off
from ue_cli.datasets.trainside import Looking, TrainFile, left_out
from ue_cli.errors import ExitCode, UeError
from ue_cli.images.labels import given_labels
from ue_cli.images.phash import group_near, perceptual_hashes
from ue_cli.images.scan import scan
from ue_cli.owner.state import ProtectedHashes
from ue_cli.report import Caution

_MAX_SHARE = 0.5


@dataclass(frozen=True, slots=True)
class Clean:
    """A clean image to test on: its name below the folder it is from, its class and look."""

    name: str
    label: str
    path: Path
    look: Look


def split_tests(
    train_files: Sequence[TrainFile], *, files: int, share: float, min_test: int, seed: int
) -> frozenset[int]:
    """Choose which files' originals are the test set; see `split_off`.

    Args:
        train_files: those that have an original.
        files: how many there are with those that have none.
        share: of each class.
        min_test: fewest images.
        seed: of the choice.

    Raises:
        UeError: ``test-too-small``.
    """
    names = sorted({file.member.label for file in train_files})
    labels = [names.index(file.member.label) for file in train_files]
    chosen = split_off(labels, _groups([file.clean for file in train_files]), share, seed)
    if len(chosen) < min_test:
        missing = files - len(train_files)
        without = f"; {missing:,} of the {files:,} files have none there" if missing else ""
        raise _too_small(
            f"{len(chosen):,} of the {len(train_files):,} originals would be split off (a share of "
            f"{share:g} of each class, near-duplicates on one side{without})",
            min_test,
            larger=math.ceil(100 * min_test / len(train_files) + 1) / 100,
        )
    return chosen


def read_tests(
    test: Path, classes: Sequence[str], *, guessed: bool, min_test: int, looking: Looking
) -> tuple[list[Clean], list[Caution]]:
    """Look at a folder of test images.

    Args:
        test: the folder.
        classes: that are trained on.
        guessed: whether those are pseudo-classes.
        min_test: fewest images.
        looking: how.

    Raises:
        UeError: ``test-empty``, ``test-labels``, ``test-classes``, ``test-too-small``.
    """
    listing = scan(test)
    if not listing.files:
        raise UeError(
            "test-empty",
            f"--test should hold clean images, but there are none in {test}.",
            f"Give a folder with one folder per class: {_list(classes)}.",
            exit_code=ExitCode.NOTHING_USABLE,
        )
    given = given_labels(listing)
    if given is None:
        raise UeError(
            "test-labels",
            f"--test should state the class of each image, but {test} has no folder per class and "
            "no label file.",
            f"Sort its images into folders named as the classes: {_list(classes)}.",
        )
    unknown = sorted(set(given.classes) - set(classes))
    if unknown:
        why = " Those were guessed from the look of the photos." if guessed else ""
        raise UeError(
            "test-classes",
            f"--test should have the classes that are trained on ({_list(classes)}), but has "
            f"{_list(unknown)} too.{why}",
            "Give the originals instead: --original DIR"
            if guessed
            else "Rename those folders, or take them out.",
        )
    photos = given.photos
    looks = looking.at([photo.path for photo in photos], "Reading the test images")
    clean = [
        Clean(photo.name, photo.label or "", photo.path, look)
        for photo, look in zip(photos, looks, strict=True)
        if not look.problem
    ]
    bad = [p.name for p, look in zip(photos, looks, strict=True) if look.problem]
    cautions = left_out("test-unreadable", bad, "of the test folder cannot be read as images")
    if len(clean) < min_test:
        raise _too_small(f"{test} has {len(clean):,}", min_test)
    absent = sorted(set(classes) - {image.label for image in clean})
    if absent:
        text = f"The test images show none of the classes {_list(absent)}."
        cautions.append(Caution("test-partial", text, "Add clean images of them."))
    return clean, cautions


def several_tested(clean: Sequence[Clean], source: str) -> None:
    """Refuse a test set that asks nothing.

    Args:
        clean: its images.
        source: where they come from, in words.

    Raises:
        UeError: ``test-one-class``.
    """
    names = {image.label for image in clean}
    if len(names) < 2:
        raise UeError(
            "test-one-class",
            f"Test images of two classes or more are needed, but all {len(clean):,} are of one "
            f"class ({_list(sorted(names))}): {source}.",
            "Add clean images of the other classes to --test DIR.",
        )


def check_overlap(
    clean: Sequence[Clean], train_files: Sequence[TrainFile], home: Path
) -> list[Caution]:
    """Refuse test images that are trained on, in one form or another.

    Raises:
        UeError: ``test-protected``, ``test-overlap``.
    """
    protected = ProtectedHashes(home)
    trained = {file.look.sha256 for file in train_files}
    ours = [
        image.name
        for image in clean
        if image.look.sha256 in trained or image.look.sha256 in protected
    ]
    if ours:
        raise UeError(
            "test-protected",
            f"--test should hold clean images, but {len(ours):,} of {len(clean):,} are protected "
            f"files, {ours[0]} among them.",
            "Give clean images that were never protected.",
        )
    pictures = {file.clean.picture for file in train_files}
    same = [image.name for image in clean if image.look.picture in pictures]
    groups = _groups([*(file.clean for file in train_files), *(image.look for image in clean)])
    near_train = set(groups[: len(train_files)])
    near = [
        image.name
        for image, group in zip(clean, groups[len(train_files) :], strict=True)
        if group in near_train
    ]
    paired = bool(train_files) and train_files[0].original is not None
    if same or (2 * len(near) > len(clean) and not paired):
        what = "are trained on too" if same else "look like files that are trained on"
        names = same or near
        raise UeError(
            "test-overlap",
            f"--test should hold other images than those that are trained on, but {len(names):,} "
            f"of {len(clean):,} {what}, {names[0]} among them.",
            "Take them out of the test folder."
            if paired
            else "If they are the originals, give them as --original DIR; else take them out.",
        )
    if not near:
        return []
    text = (
        f"{len(near):,} of {len(clean):,} test images look like images that are trained on, such "
        f"as {near[0]}; what a model remembers of those counts as learned."
    )
    return [Caution("test-near", text, "Take bursts and copies out of the test folder.")]


def _groups(looks: Sequence[Look]) -> list[int]:
    """Number the groups of near-duplicates among pictures that were decoded (`group_near`)."""
    gray = np.frombuffer(b"".join(look.gray for look in looks), np.uint8)
    groups: list[int] = group_near(perceptual_hashes(gray.reshape(-1, SIDE, SIDE))).tolist()
    return groups


def _too_small(reason: str, wanted: int, *, larger: float | None = None) -> UeError:
    ways = [f"give --test DIR with at least {wanted:,} other clean images"]
    if larger is not None and larger <= _MAX_SHARE:
        ways.insert(0, f"use --test-share {larger:g}")
    ways.append("lower --min-test and read the wider intervals with care")
    ways[0] = ways[0][0].upper() + ways[0][1:]
    return UeError(
        "test-too-small",
        f"Measuring needs at least {wanted:,} clean test images, but {reason}.",
        "; or ".join(ways) + ".",
    )


def _list(names: Sequence[str]) -> str:
    return ", ".join(names[:5]) + (f" and {len(names) - 5} more" if len(names) > 5 else "")
