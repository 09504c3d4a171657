"""What `ue certify` and `ue evaluate` train on and test on: pairs, classes and a clean test set."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from ue_cli.datasets.limits import MAX_PIXELS
from ue_cli.datasets.members import Members, list_members, pair_originals, several_classes
from ue_cli.datasets.testside import (
    Clean,
    check_overlap,
    read_tests,
    several_tested,
    split_tests,
)
from ue_cli.datasets.trainside import (
    Looking,
    TrainFile,
    natural_side,
    see_originals,
    see_protected,
)
from ue_cli.errors import UeError
from ue_cli.owner.places import check_source
from ue_cli.report import Caution
from ue_cli.types import Phases


@dataclass(frozen=True, slots=True)
class TrainItem:
    """One image to train on.

    Attributes:
        name: POSIX path below DATASET.
        label: index of its class.
        protected: where it lies.
        original: what the clean control trains on; None without originals.
    """

    name: str
    label: int
    protected: Path
    original: Path | None


@dataclass(frozen=True, slots=True)
class CleanItem:
    """One clean image to test on.

    Attributes:
        name: below the test folder; of one that was split off, its protected version's.
        label: index of its class.
        path: where it lies.
    """

    name: str
    label: int
    path: Path


@dataclass(frozen=True, slots=True)
class Dataset:
    """A data set to certify. Lazy: paths, no pixels.

    Attributes:
        classes: sorted names; labels index them.
        train: sorted by name; every item has an original, or none has.
        test: sorted by name.
        test_source: where the clean test images come from, in words.
        labels_from: where the classes come from, in a sentence.
        sha256: of the names, file hashes and labels of everything above, hex.
        collection: fingerprint of the protected folder; None without a manifest.
        max_pixels: limit to decode the files with.
        side: of the squares that trainers read, in pixels.
        cautions: what was left out, and what looks wrong.
    """

    classes: tuple[str, ...]
    train: tuple[TrainItem, ...]
    test: tuple[CleanItem, ...]
    test_source: str
    labels_from: str
    sha256: str
    collection: str | None
    max_pixels: int
    side: int
    cautions: tuple[Caution, ...]

    @property
    def has_control(self) -> bool:
        """Whether a clean control can be trained."""
        return self.train[0].original is not None


def read_dataset(
    dataset: Path,
    *,
    original: Path | None,
    test: Path | None,
    home: Path,
    test_share: float = 0.2,
    min_test: int = 50,
    seed: int = 0,
    max_pixels: int = MAX_PIXELS,
    side: int | None = None,
    jobs: int,
    phases: Phases,
) -> Dataset:
    """Find out what can be trained on and tested on, and refuse what would certify nothing.

    With originals and no test folder, a stratified share of the originals becomes the test set:
    near-duplicates (`phash`) stay on one side, and what is tested on is trained on in no form.
    With a test folder everything trains.

    Args:
        dataset: a protected folder, or any labelled folder of images.
        original: the folder of the originals, or None.
        test: a labelled folder of other clean images, or None.
        home: of the owner's key and state, used where they are there.
        test_share: of each class, that is split off.
        min_test: fewest test images.
        seed: of the split.
        max_pixels: larger images are left out.
        side: of the squares that trainers read; None: `natural_side`.
        jobs: processes.
        phases: told about each pass over files.

    Raises:
        UeError: ``test-missing`` (neither originals nor test images), ``src-*``,
            ``original-is-dataset``, ``test-is-*``, ``manifest-*``, ``dataset-*``, ``labels-*``,
            ``one-class``, ``originals-*``, ``test-*``; each says what to do.
    """
    _check_places(dataset, original, test)
    members = list_members(dataset, home)
    looking = Looking(home, max(max_pixels, members.max_pixels), jobs, phases)
    pairs = pair_originals(members.files, original) if original is not None else None
    train_files, cautions = see_protected(members, pairs, looking)
    if pairs is not None:
        train_files, more = see_originals(train_files, pairs, looking)
        cautions += more
    classes = several_classes((file.member for file in train_files), members.labels_from)
    if test is not None:
        clean, more = read_tests(
            test, classes, guessed=members.guessed, min_test=min_test, looking=looking
        )
        cautions += [*more, *check_overlap(clean, train_files, home)]
        source = f"{len(clean):,} images of a folder of their own"
    else:
        chosen = split_tests(
            train_files, files=len(members.files), share=test_share, min_test=min_test, seed=seed
        )
        source = (
            f"{len(chosen):,} of {len(train_files):,} originals, the same share of each class, "
            "near-duplicates on one side; their protected versions do not train"
        )
        clean = [_as_test(file) for i, file in enumerate(train_files) if i in chosen]
        train_files = [file for i, file in enumerate(train_files) if i not in chosen]
    several_tested(clean, source)
    if side is None:
        side = natural_side([file.member.path for file in train_files], looking.max_pixels)
    return _dataset(members, classes, train_files, clean, source, side, looking, cautions)


def _check_places(dataset: Path, original: Path | None, test: Path | None) -> None:
    check_source(dataset, "DATASET")
    if original is None and test is None:
        raise UeError(
            "test-missing",
            "Measuring needs clean images to test on, but neither --original nor --test was given.",
            "Give the originals with --original DIR: some are kept for testing, and a clean "
            "control is trained on the others. Or give other clean images with --test DIR.",
        )
    places = {"--original": original, "--test": test}
    taken = {os.path.realpath(dataset): "DATASET"}
    for flag, place in places.items():
        if place is None:
            continue
        check_source(place, flag)
        where = os.path.realpath(place)
        if where in taken:
            raise UeError(
                f"{flag.strip('-')}-is-{taken[where].strip('-').lower()}",
                f"{flag} should be another folder than {taken[where]}, but both are {place}.",
                "Clean images are wanted there, not protected ones."
                if taken[where] == "DATASET"
                else "Leave --test out: a test set is then split off the originals.",
            )
        taken[where] = flag


def _as_test(file: TrainFile) -> Clean:
    if file.original is None:
        raise ValueError("only a file with an original can be tested on")
    return Clean(file.member.name, file.member.label, file.original, file.clean)


def _dataset(
    members: Members,
    classes: Sequence[str],
    train_files: Sequence[TrainFile],
    clean: Sequence[Clean],
    source: str,
    side: int,
    looking: Looking,
    cautions: Sequence[Caution],
) -> Dataset:
    digest = hashlib.sha256()

    def note(role: str, name: str, sha256: str, label: str) -> None:
        digest.update(json.dumps([role, name, sha256, label]).encode("ascii") + b"\n")

    for file in train_files:
        note("protected", file.member.name, file.look.sha256, file.member.label)
        if file.original_look is not None:
            note("original", file.member.name, file.original_look.sha256, file.member.label)
    for image in clean:
        note("test", image.name, image.look.sha256, image.label)
    index = {name: number for number, name in enumerate(classes)}
    return Dataset(
        classes=tuple(classes),
        train=tuple(
            TrainItem(file.member.name, index[file.member.label], file.member.path, file.original)
            for file in train_files
        ),
        test=tuple(CleanItem(c.name, index[c.label], c.path) for c in clean),
        test_source=source,
        labels_from=members.labels_from,
        sha256=digest.hexdigest(),
        collection=members.collection,
        max_pixels=looking.max_pixels,
        side=side,
        cautions=(*members.cautions, *cautions),
    )
