"""The files to train on, each looked at, beside their originals."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from statistics import median_low

from ue_cli.datasets.limits import SIDE, SIDES
from ue_cli.datasets.looks import Look, look_at
from ue_cli.datasets.members import Member, Members
from ue_cli.errors import ExitCode, UeError
from ue_cli.images.opening import read_size
from ue_cli.owner.state import ProtectedHashes
from ue_cli.report import Caution
from ue_cli.types import Phases

_ASKED = 500


@dataclass(frozen=True, slots=True)
class Looking:
    """How files are looked at.

    Attributes:
        home: of the owner's state, which knows every file that was ever protected here.
        max_pixels: larger images are left out.
        jobs: processes.
        phases: told about every pass.
    """

    home: Path
    max_pixels: int
    jobs: int
    phases: Phases

    def at(self, paths: Sequence[Path], title: str, *, pictures: bool = True) -> list[Look]:
        """See `look_at`."""
        return look_at(
            paths,
            pictures=pictures,
            max_pixels=self.max_pixels,
            jobs=self.jobs,
            phases=self.phases,
            title=title,
        )


@dataclass(frozen=True, slots=True)
class TrainFile:
    """A file to train on that can be read, and its original where there are originals."""

    member: Member
    look: Look
    original: Path | None = None
    original_look: Look | None = None

    @property
    def clean(self) -> Look:
        """The look of the clean picture, or of what is nearest to it."""
        return self.look if self.original_look is None else self.original_look


def see_protected(
    members: Members, pairs: dict[str, Path] | None, looking: Looking
) -> tuple[list[TrainFile], list[Caution]]:
    """Look at the protected files that can be trained on.

    Args:
        members: of the data set.
        pairs: member name → original; None without originals.
        looking: how.

    Raises:
        UeError: ``dataset-changed``, ``dataset-unreadable``.
    """
    cautions = []
    files = members.files
    if pairs is not None:
        files = tuple(member for member in files if member.name in pairs)
        alone = [member.name for member in members.files if member.name not in pairs]
        cautions += left_out("unpaired", alone, "have no original")
    # With originals the near-duplicates are found on them, and a manifest vouches for the rest.
    pictures = pairs is None or members.collection is None
    looks = looking.at([m.path for m in files], "Reading the protected files", pictures=pictures)
    train_files = [TrainFile(member, look) for member, look in zip(files, looks, strict=True)]
    changed = [s.member.name for s in train_files if s.member.sha256 not in ("", s.look.sha256)]
    if changed:
        raise UeError(
            "dataset-changed",
            f"{len(changed):,} files are not those that the manifest lists: "
            f"{', '.join(changed[:3])}{' and others' if len(changed) > 3 else ''}.",
            "Run ue verify to see them all, and protect again, or get the folder again from where "
            "it was published.",
            exit_code=ExitCode.VERIFICATION_FAILED,
        )
    bad = [s.member.name for s in train_files if s.look.problem]
    cautions += left_out("unreadable", bad, "cannot be read as images")
    train_files = [file for file in train_files if not file.look.problem]
    if not train_files:
        raise UeError(
            "dataset-unreadable",
            f"DATASET should hold images, but none of its {len(files):,} files can be read; the "
            f"first is {files[0].name}: {looks[0].problem}",
            "Give the folder that ue protect wrote, or a folder with one folder per class.",
            exit_code=ExitCode.NOTHING_USABLE,
        )
    return train_files, cautions


def see_originals(
    train_files: list[TrainFile], pairs: dict[str, Path], looking: Looking
) -> tuple[list[TrainFile], list[Caution]]:
    """Look at the originals, and refuse those that are none.

    Raises:
        UeError: ``originals-protected``, ``originals-identical``, ``originals-unreadable``.
    """
    paths = [pairs[file.member.name] for file in train_files]
    looks = looking.at(paths, "Reading the originals")
    bad = [file.member.name for file, look in zip(train_files, looks, strict=True) if look.problem]
    cautions = left_out("originals-unreadable", bad, "have an original that cannot be read")
    if len(bad) == len(train_files):
        raise UeError(
            "originals-unreadable",
            f"--original should hold images, but none of {len(bad):,} can be read; the first is "
            f"{paths[0]}: {looks[0].problem}",
            "Give the folder that was protected.",
            exit_code=ExitCode.NOTHING_USABLE,
        )
    train_files = [
        replace(file, original=path, original_look=look)
        for file, path, look in zip(train_files, paths, looks, strict=True)
        if not look.problem
    ]
    same = [file.member.name for file in train_files if _same(file.look, file.clean)]
    if 2 * len(same) > len(train_files):
        raise UeError(
            "originals-identical",
            f"--original should hold what the files were before they were protected, but "
            f"{len(same):,} of {len(train_files):,} are the same in both folders, {same[0]} among "
            "them.",
            "Give the originals' folder; if DATASET is not protected, run ue protect first.",
        )
    protected = ProtectedHashes(looking.home)
    ours = [file.member.name for file in train_files if file.clean.sha256 in protected]
    if ours:
        raise UeError(
            "originals-protected",
            f"--original should hold clean originals, but {len(ours):,} of its files were written "
            f"by ue protect, that of {ours[0]} among them.",
            "Give the folder that was protected.",
        )
    if same:
        text = f"{len(same):,} files are the same as their originals, such as {same[0]}."
        cautions.append(Caution("same", text, "Count them as unprotected."))
    return train_files, cautions


def natural_side(paths: Sequence[Path], max_pixels: int) -> int:
    """The shorter side of most files, as their headers tell it, within what trainers read.

    Nobody enlarges small files to train on them, and a countermeasure at the enlarged size would
    be a weaker one: JPEG removes less of a pattern that is twice as coarse.

    Args:
        paths: of the files; of many, some are asked.
        max_pixels: of an image.

    Returns:
        The median, between the least that can be asked for and the usual `SIDE`.
    """
    sample = paths[:: max(1, len(paths) // _ASKED)]
    sizes = [size for path in sample if (size := read_size(path, max_pixels)) is not None]
    usual = median_low([min(size) for size in sizes]) if sizes else SIDE
    return max(SIDES[0], min(usual, SIDE))


def left_out(code: str, names: Sequence[str], why: str) -> list[Caution]:
    """A warning on files that are not used; none where there are none."""
    if not names:
        return []
    text = f"{len(names):,} files {why} and were left out; {names[0]} is the first."
    return [Caution(code, text, "Run ue verify, or look at them one by one.")]


def _same(look: Look, other: Look) -> bool:
    return look.sha256 == other.sha256 or look.picture == other.picture != ""
