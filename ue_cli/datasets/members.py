"""The files of a data set to certify: what they are, their classes, and their originals."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Iterable, Iterator, Set
from dataclasses import dataclass
from pathlib import Path

from ue_cli.errors import ExitCode, UeError
from ue_cli.images.labels import given_labels
from ue_cli.images.names import source_name
from ue_cli.images.scan import Scan, scan
from ue_cli.owner.collection_info import find_collection
from ue_cli.owner.key import load_key
from ue_cli.owner.manifest import MANIFEST_FILE, read_manifest, safe_join
from ue_cli.owner.state import Collection
from ue_cli.report import Caution
from ue_cli.types import FileRecord


@dataclass(frozen=True, slots=True)
class Member:
    """One file that can be trained on.

    Attributes:
        name: POSIX path below DATASET.
        path: where it lies.
        label: class name.
        sha256: what the manifest says of it; empty without a manifest.
        source: its original's path below SRC, from the owner's state; empty where that is not here.
    """

    name: str
    path: Path
    label: str
    sha256: str = ""
    source: str = ""


@dataclass(frozen=True, slots=True)
class Members:
    """The files of a data set.

    Attributes:
        files: sorted by name.
        collection: fingerprint; None without a manifest.
        labels_from: where the classes come from, in a sentence.
        guessed: whether they are pseudo-classes.
        max_pixels: of the largest file that the owner's state knows; 0 where it knows none.
        cautions: what was left out.
    """

    files: tuple[Member, ...]
    collection: str | None
    labels_from: str
    guessed: bool
    max_pixels: int
    cautions: tuple[Caution, ...]


def list_members(dataset: Path, home: Path) -> Members:
    """Read a protected folder's manifest, or any labelled folder.

    Labels come from the owner's state where it is here, else from the folders or the label file.

    Raises:
        UeError: the manifest cannot be used, or its run has not ended (``dataset-unfinished``);
            there are no files (``dataset-empty``), no labels (``labels-missing``) or only one
            class (``one-class``).
    """
    listing = scan(dataset)
    if os.path.lexists(dataset / MANIFEST_FILE):
        members = _from_manifest(dataset, home, listing)
    elif not listing.files:
        raise _empty(dataset)
    else:
        labels, reason = _labels(listing)
        files = tuple(Member(p.name, p.path, labels[p.name]) for p in listing.files)
        members = Members(files, None, reason, False, 0, (_NO_MANIFEST,))
    if not members.files:
        raise _empty(dataset)
    several_classes(members.files, members.labels_from)
    return members


def _empty(dataset: Path) -> UeError:
    return UeError(
        "dataset-empty",
        f"DATASET should hold images, but there are none in {dataset}.",
        "Give the folder that ue protect wrote, or a folder with one folder per class.",
        exit_code=ExitCode.NOTHING_USABLE,
    )


def several_classes(files: Iterable[Member], labels_from: str) -> list[str]:
    """The names of their classes, sorted.

    Raises:
        UeError: ``one-class``: there is only one.
    """
    classes = sorted({member.label for member in files})
    if len(classes) < 2:
        raise UeError(
            "one-class",
            f"Measuring needs two classes or more, but all files are of one class ({classes[0]}). "
            f"{labels_from}",
            "Sort the originals into one folder per class, or give labels (ue protect --labels), "
            "and protect them again.",
        )
    return classes


def _from_manifest(dataset: Path, home: Path, listing: Scan) -> Members:
    manifest = read_manifest(dataset)
    if not manifest.complete:
        raise UeError(
            "dataset-unfinished",
            f"The ue protect run that writes {dataset} has not ended.",
            "Run the same ue protect again, then this command.",
        )
    records, guessed = _records(home, manifest.collection)
    paths = {name: safe_join(dataset, name) for name in sorted(manifest.entries)}
    cautions = [*_left_out("strays", _STRAYS, {p.name for p in listing.files} - paths.keys())]
    if records:
        cautions += _left_out("not-in-state", _UNKNOWN, paths.keys() - records.keys())
        records = {name: records[name] for name in paths if name in records}
        files = tuple(
            Member(name, paths[name], record.label, manifest.entries[name], record.name)
            for name, record in records.items()
        )
        pixels = max((record.width * record.height for record in records.values()), default=0)
        reason = "The owner's state gives the classes."
    else:
        labels, reason = _labels(listing)
        files = tuple(  # one that is gone has no label; its hash will tell
            Member(name, path, labels.get(name, ""), manifest.entries[name])
            for name, path in paths.items()
        )
        pixels = 0
    return Members(files, manifest.collection, reason, guessed, pixels, tuple(cautions))


_NO_MANIFEST = Caution(
    "no-manifest",
    f"DATASET has no {MANIFEST_FILE}: nothing vouches that its files are protected.",
    "If ue protect wrote it, get the whole folder; if another tool did, read on.",
)
_STRAYS = "are not in the folder's manifest, so nobody vouches that they are protected"
_UNKNOWN = "are not in the owner's state, so their classes are not known"


def _left_out(code: str, why: str, names: Set[str]) -> Iterator[Caution]:
    if names:
        text = f"{len(names):,} files {why}, and were left out; {min(names)} is one."
        yield Caution(code, text, "Run the same ue protect again, or remove them.")


def _records(home: Path, fingerprint: str) -> tuple[dict[str, FileRecord], bool]:
    """Output name → record, where the owner's state is here; and whether classes were guessed."""
    owner = load_key(home)
    info = find_collection(home, fingerprint)
    if owner is None or info is None:
        return {}, False
    with Collection.open(home, owner, fingerprint, readonly=True) as collection:
        records = {record.output: record for record in collection.records()}
    return records, info.label_rule == "clusters"


def _labels(listing: Scan) -> tuple[dict[str, str], str]:
    given = given_labels(listing)
    if given is None:
        raise UeError(
            "labels-missing",
            f"Measuring needs the class of each image, but {listing.root} states none: no folder "
            "per class, no label file, and no owner's state for it here.",
            "Copy the owner's state here (ue key shows where it lies), or sort the images into one "
            "folder per class.",
        )
    return {photo.name: photo.label or "" for photo in given.photos}, given.label_reason


def pair_originals(members: tuple[Member, ...], original: Path) -> dict[str, Path]:
    """Member name → its original, found by the owner's state, by equal name, or by equal stem.

    Raises:
        UeError: no original belongs to any member (``originals-unpaired``).
    """
    sources = {photo.name: photo.path for photo in scan(original).files}
    stems = {_stem(name): name for name in sources}
    crowded = {stem for stem, n in Counter(_stem(name) for name in sources).items() if n > 1}
    pairs = {}
    for member in members:
        name = member.source or source_name(member.name, sources)
        stem = _stem(member.name)
        if name not in sources and not member.source and stem not in crowded:
            name = stems.get(stem, name)
        if name in sources:
            pairs[member.name] = sources[name]
    if not pairs:
        first = members[0]
        raise UeError(
            "originals-unpaired",
            f"--original should hold the originals under the same names, but {original} has none "
            f"for any of the {len(members):,} files; expected {first.source or first.name}, "
            "for example.",
            "Give the folder that was protected.",
        )
    return pairs


def _stem(name: str) -> str:
    folder, slash, base = name.rpartition("/")
    return folder + slash + (base.rpartition(".")[0] or base)
