"""`ue optimize`: a perturbation made on a folder of photos and saved, no photo written."""

from __future__ import annotations

import os
import time
from dataclasses import dataclass, replace
from hashlib import sha256
from pathlib import Path
from typing import Any

from ue_cli.banks.bank import save_bank
from ue_cli.banks.cards import BANK_SUFFIX, file_sha256
from ue_cli.errors import UeError
from ue_cli.images.scan import scan
from ue_cli.owner.key import ID_BYTES, Subkey, load_or_create_key, subkey
from ue_cli.owner.places import check_source, no_files, within
from ue_cli.protection.making import learned_words, make_cells, search_of
from ue_cli.protection.options import MakingOptions
from ue_cli.protection.pattern import PLACES, SAMPLES, place, sample_key
from ue_cli.protection.prepare import label_photos
from ue_cli.storage import explain_write
from ue_cli.types import Bank, Phases, PhotoSet


@dataclass(frozen=True, slots=True, kw_only=True)
class OptimizeOptions(MakingOptions):
    """The flags of `ue optimize`, typed.

    Attributes:
        file: to write; ends in ``.safetensors``.
        seed: of every draw; None: they come from the owner's key.
        overwrite: replace a bank of that name.
    """

    file: Path
    seed: int | None = None
    overwrite: bool = False


@dataclass(frozen=True, slots=True)
class OptimizeResult:
    """What was written.

    Attributes:
        file: where it is.
        sha256: of its bytes.
        bytes: how many they are.
        method: of the bank.
        classes: its names.
        shape: (classes, patterns per class, 3, cells, cells).
        levels: its budget.
        photos: that it was made on or, by CSD, for.
        words: what its search says of itself.
        seconds: wall time.
    """

    file: Path
    sha256: str
    bytes: int
    method: str
    classes: tuple[str, ...]
    shape: tuple[int, ...]
    levels: int
    photos: int
    words: dict[str, Any]
    seconds: float

    def to_json(self) -> dict[str, Any]:
        """The envelope's result."""
        return {
            "file": str(self.file),
            "sha256": self.sha256,
            "bytes": self.bytes,
            "method": self.method,
            "classes": list(self.classes),
            "shape": list(self.shape),
            "levels": self.levels,
            "photos": self.photos,
            "search": self.words,
            "seconds": round(self.seconds, 3),
        }


def optimise(options: OptimizeOptions, phases: Phases) -> OptimizeResult:
    """Make a bank as `ue protect` does, and save it.

    Applied to the very photos that it was made on, each gets its own pattern back, found by its
    class and its name in the folder.

    Raises:
        UeError: there is nothing to make it on, or FILE cannot be written.
    """
    started = time.monotonic()
    check_source(options.src)
    _check_file(options)
    phases.start("Scanning", 1)
    source = scan(options.src)
    phases.step()
    if not source.files:
        raise no_files(options.src)
    photos, _ = label_photos(source, options, None, phases)
    phases.note(f"Labels: {photos.label_reason}")
    if len(photos.classes) == 1:
        phases.note(
            "All photos are of one class, so there is nothing to tell apart: sort them into a "
            "folder per subject, or give labels, if they have any."
        )
    secret = _secret(options)
    with search_of(options, options.file) as unfinished:
        bank, _ = make_cells(photos, secret, options, None, phases, unfinished)
        bank = _portable(bank, photos, secret, options)
        with explain_write(options.file):
            save_bank(bank, options.file)
    return OptimizeResult(
        file=options.file,
        sha256=file_sha256(options.file),
        bytes=options.file.stat().st_size,
        method=bank.provenance.method,
        classes=bank.classes,
        shape=bank.delta.shape,
        levels=bank.budget.levels,
        photos=len(photos.photos),
        words=learned_words(bank),
        seconds=time.monotonic() - started,
    )


def _check_file(options: OptimizeOptions) -> None:
    """Refuse a FILE that cannot be written, before any work."""
    file = options.file
    if not file.name:
        raise UeError(
            "file-suffix",
            f"FILE should be the name of a file, but {str(file)!r} is a folder's.",
            f"Write -o {file / f'perturbation{BANK_SUFFIX}'}",
        )
    if file.suffix != BANK_SUFFIX:
        raise UeError(
            "file-suffix",
            f"FILE should end in {BANK_SUFFIX}, but is {file.name}.",
            f"Write -o {file.with_suffix(BANK_SUFFIX)}",
        )
    if not file.parent.is_dir() or not os.access(file.parent, os.W_OK | os.X_OK):
        raise UeError(
            "file-folder",
            f"FILE should be in a folder that can be written to, but {file.parent} is none.",
            "Create it, or give another -o.",
        )
    if within(os.path.realpath(file), os.path.realpath(options.src)):
        raise UeError(
            "file-in-src",
            f"FILE should lie outside SRC, but {file} is inside.",
            "Give another -o; originals' folders are never written to.",
        )
    if file.is_dir() or (os.path.lexists(file) and not options.overwrite):
        raise UeError(
            "file-exists",
            f"FILE should be new, but {file} is there.",
            "Give another -o" + ("." if file.is_dir() else ", or replace it with --overwrite."),
        )


def _secret(options: OptimizeOptions) -> Subkey:
    """Where draws come from: one secret of the owner's for all banks, or one that anybody has."""
    if options.seed is not None:
        return Subkey(sha256(f"ue optimize seed {options.seed}".encode()).digest())
    owner = load_or_create_key(options.home)
    return subkey(owner, sha256(b"ue optimize").digest()[:ID_BYTES])


def _portable(bank: Bank, photos: PhotoSet, secret: Subkey, options: OptimizeOptions) -> Bank:
    """The bank with names instead of keyed places."""
    recipe = dict(bank.provenance.recipe)
    places: dict[str, int] = recipe.pop(PLACES, {})
    samples = {}
    for photo in photos.photos if places else ():
        sample = places.get(place(secret.photo_seed(photo.name)))
        if sample is not None:
            samples[sample_key(photo.label or "", photo.name)] = sample
    drawn = "the owner's key" if options.seed is None else f"seed {options.seed}"
    recipe |= {"photos": len(photos.photos), "drawn from": drawn}
    if samples:
        recipe[SAMPLES] = samples
    return replace(bank, provenance=replace(bank.provenance, recipe=recipe))
