"""What is certified or evaluated, with what, and where what is found goes."""

from __future__ import annotations

import os
import shlex
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from ue_cli.datasets.dataset import Dataset, read_dataset
from ue_cli.datasets.limits import MAX_PIXELS, MIN_TEST, SIDE, TEST_SHARE
from ue_cli.errors import UeError
from ue_cli.owner.places import check_source, within
from ue_cli.report import read_report, report_folder
from ue_cli.types import Phases

TRAININGS = "trainings"
"""Folder of finished trainings, in the report's: `ue certify` and `ue evaluate` share them."""


@dataclass(frozen=True, slots=True)
class Subject:
    """The flags that `ue certify` and `ue evaluate` have in common.

    Attributes:
        dataset: the protected folder.
        original: the originals' folder, or None.
        test: a folder of other clean images, or None.
        home: folder of the owner's key and state.
        report: the report's folder; None: beside the data set.
        test_share: of the originals that is split off.
        min_test: fewest test images.
        seed: of the split, the trainings and everything that is drawn.
        device: ``auto``, ``cpu``, ``cuda`` or ``mps``.
        side: of the squares that trainers read, in pixels; None: that of most files, 64 at most.
        jobs: trainings side by side on a CPU.
        max_pixels: larger images are left out.
        home_given: ``home`` was asked for; a command that is shown has to name it.
    """

    dataset: Path
    original: Path | None
    test: Path | None
    home: Path
    report: Path | None = None
    test_share: float = TEST_SHARE
    min_test: int = MIN_TEST
    seed: int = 0
    device: str = "auto"
    side: int | None = None
    jobs: int = 2
    max_pixels: int = MAX_PIXELS
    home_given: bool = False

    @property
    def folder(self) -> Path:
        """Where the report is, or will be."""
        return self.report if self.report is not None else report_folder(self.dataset)

    @property
    def square(self) -> int:
        """Side of the squares; the usual one as long as nobody has looked at the files."""
        return SIDE if self.side is None else self.side

    def read(self, phases: Phases) -> Dataset:
        """Choose what trains and what tests; see `read_dataset`.

        Raises:
            UeError: that, and ``report-*``: the report cannot go where it would go.
        """
        check_source(self.dataset, "DATASET")
        self._check_report()
        dataset = read_dataset(
            self.dataset,
            original=self.original,
            test=self.test,
            home=self.home,
            test_share=self.test_share,
            min_test=self.min_test,
            seed=self.seed,
            max_pixels=self.max_pixels,
            side=self.side,
            jobs=self.jobs,
            phases=phases,
        )
        earlier = read_report(self.folder)
        if earlier is not None and earlier[0].collection != dataset.collection:
            raise UeError(
                "report-of-another",
                f"The report should be about these files, but {self.folder} holds one about the "
                f"collection {earlier[0].collection}.",
                "Give another folder with --report DIR.",
            )
        return dataset

    def _check_report(self) -> None:
        """Refuse a folder that would be published, or cannot be written to, before any work."""
        folder = self.folder
        real = os.path.realpath(folder)
        for name, place in (
            ("DATASET", self.dataset),
            ("--original", self.original),
            ("--test", self.test),
        ):
            if place is not None and within(real, os.path.realpath(place)):
                raise UeError(
                    "report-inside",
                    f"The report should lie outside of {name}, but {folder} is inside {place}.",
                    "It is private and no image of theirs: give another folder with --report DIR.",
                )
        there = next(path for path in (folder, *folder.absolute().parents) if path.exists())
        if not there.is_dir() or not os.access(there, os.R_OK | os.W_OK | os.X_OK):
            what = "is not writable" if there.is_dir() else "is not a folder"
            raise UeError(
                "report-not-writable",
                f"The report should go to a folder that can be written to, but {there} {what}.",
                "Mend that, or give another folder with --report DIR.",
            )

    def command_line(self, name: str, options: Iterable[tuple[str, object]]) -> str:
        """The command that does it again.

        Args:
            name: of the command.
            options: its own flags; without the values that are None.
        """
        flags = [
            ("--original", self.original),
            ("--test", self.test),
            ("--report", self.report),
            ("--home", self.home if self.home_given else None),
            *options,
            *self.changed("test_share", "min_test", "seed", "side", "max_pixels"),
        ]
        words = ["ue", name, str(self.dataset)]
        for flag, value in flags:
            words += [] if value is None else [flag, str(value)]
        return shlex.join(words)

    def changed(self, *names: str) -> list[tuple[str, object]]:
        """Flags of those fields that differ from their defaults."""
        defaults = type(self).__dataclass_fields__
        return [
            ("--" + name.replace("_", "-"), getattr(self, name))
            for name in names
            if getattr(self, name) != defaults[name].default
        ]
