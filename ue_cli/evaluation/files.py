"""The arrays that trainings see: all files protected, some of them, or the unprotected rest."""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ue_cli.datasets.dataset import Dataset
from ue_cli.datasets.images import load_images, read_shapes
from ue_cli.datasets.limits import SIDE
from ue_cli.evaluation.bank import lay_out
from ue_cli.images.square import Frame
from ue_cli.images.webcopy import WebCopy
from ue_cli.training.architectures import ARCHITECTURES, VictimName
from ue_cli.trials.data import TrialData
from ue_cli.types import Bank, Phases

PRETRAINED_SIDE = 256
"""Of what networks that are pretrained on photographs read; crops of it have 224 pixels."""

WEB_COPIES: Mapping[str, WebCopy] = {
    "web-2048": WebCopy(2048, 85),
    "web-1080": WebCopy(1080, 70),
}
"""What a countermeasure of the kind ``files`` does to every training file, the originals too."""


Kind = tuple[str, int]
"""A web copy's name, or nothing, and the side of the squares."""


def side_of(victim: VictimName, side: int) -> int:
    """Side of the squares that a victim's files are read as: pretrained ones want detail.

    Args:
        victim: its name.
        side: of those that begin from scratch.
    """
    return PRETRAINED_SIDE if ARCHITECTURES[victim].pretrained else side


@dataclass(frozen=True, slots=True)
class Source:
    """What a training reads.

    Attributes:
        copy: what every file went through, by its name in `WEB_COPIES`; empty: nothing.
        coverage: per cent of the files of each class that are protected; the rest are originals.
        alone: that rest alone.
        side: of the squares that the files become, in pixels.
    """

    copy: str
    coverage: int
    alone: bool = False
    side: int = SIDE

    @property
    def kind(self) -> Kind:
        """What is read from the disk for it."""
        return self.copy, self.side

    def __str__(self) -> str:
        """Whose turn it is, for a progress bar."""
        words = self.copy or "files as they are"
        if self.side != SIDE:
            words += f" at {self.side} pixels"
        if self.alone:
            return f"{words}, the unprotected {100 - self.coverage} % alone"
        return words if self.coverage == 100 else f"{words}, {self.coverage} % protected"


def covered(names: Sequence[str], labels: Sequence[int], coverage: int) -> NDArray[np.bool_]:
    """Choose which files are the protected ones.

    Their names decide, so that a smaller share is a subset of a larger one and the choice does not
    depend on anything else.

    Args:
        names: of the files.
        labels: class of each.
        coverage: per cent of each class, rounded to whole files.

    Returns:
        (n,) True where the protected file is trained on.
    """
    order = sorted(range(len(names)), key=lambda i: hashlib.sha256(_bytes(names[i])).digest())
    wanted = {label: _share(count, coverage) for label, count in Counter(labels).items()}
    chosen = np.zeros(len(names), bool)
    for index in order:
        if wanted[labels[index]]:
            wanted[labels[index]] -= 1
            chosen[index] = True
    return chosen


def alone_count(labels: Sequence[int], coverage: int) -> int:
    """How many files `covered` leaves unprotected."""
    return sum(count - _share(count, coverage) for count in Counter(labels).values())


def _share(count: int, coverage: int) -> int:
    return round(count * coverage / 100)


def _bytes(name: str) -> bytes:
    return name.encode("utf-8", "surrogateescape")


@dataclass(frozen=True, eq=False)
class Arrays:
    """All files as small squares, protected and original, once for each kind.

    Attributes:
        names: of the training files.
        labels: (n,) int64.
        protected, clean: (n, 3, side, side) uint8; ``clean`` is empty without originals.
        test: (m, 3, side, side) uint8 by side, clean and never copied.
        test_labels: (m,) int64.
        banks: how a public perturbation lies on the training files, by side; empty without one.
    """

    names: tuple[str, ...]
    labels: NDArray[np.int64] = field(repr=False)
    protected: Mapping[Kind, NDArray[np.uint8]] = field(repr=False)
    clean: Mapping[Kind, NDArray[np.uint8]] = field(repr=False)
    test: Mapping[int, NDArray[np.uint8]] = field(repr=False)
    test_labels: NDArray[np.int64] = field(repr=False)
    banks: Mapping[int, Mapping[str, NDArray[Any]]] = field(default_factory=dict, repr=False)

    def count(self, source: Source) -> int:
        """How many files a source gives."""
        labels = self.labels.tolist()
        return alone_count(labels, source.coverage) if source.alone else len(labels)

    def of(self, source: Source) -> TrialData:
        """What one source gives to train on."""
        protected, clean = self.protected[source.kind], self.clean.get(source.kind)
        labels, bank = self.labels, self.banks.get(source.side)
        if source.coverage < 100 or source.alone:
            if clean is None:
                raise ValueError("there are no originals to leave files unprotected")
            chosen = covered(self.names, labels.tolist(), source.coverage)
            if source.alone:
                protected, labels = clean[~chosen], labels[~chosen]
                clean = protected
                bank = None if bank is None else {**bank, "frame": bank["frame"][~chosen]}
            else:
                protected = np.where(chosen[:, None, None, None], protected, clean)
        return TrialData(
            protected=protected,
            clean=clean,
            labels=labels,
            test=self.test[source.side],
            test_labels=self.test_labels,
            bank=bank,
        )


def load_arrays(
    dataset: Dataset, kinds: Iterable[Kind], bank: Bank | None = None, *, jobs: int, phases: Phases
) -> Arrays:
    """Read all files, once for each kind.

    Args:
        dataset: the data set.
        kinds: what the trainings need.
        bank: what an adversary subtracts, with an entry for each class in its place.
        jobs: processes.
        phases: told about every pass.

    Raises:
        UeError: ``image-unreadable``.
    """

    def read(paths: list[Path], title: str, kind: Kind) -> NDArray[np.uint8]:
        copy, side = kind
        return load_images(
            paths,
            side,
            jobs=jobs,
            phases=phases,
            title=f"{title} ({copy})" if copy else title,
            max_pixels=dataset.max_pixels,
            copy=WEB_COPIES[copy] if copy else None,
        )

    published = [item.protected for item in dataset.train]
    originals = [item.original for item in dataset.train if item.original is not None]
    tests = [item.path for item in dataset.test]

    def shapes(side: int) -> list[Frame]:
        title = "Laying the public perturbation out"
        limit = dataset.max_pixels
        return read_shapes(published, side, jobs=jobs, phases=phases, title=title, max_pixels=limit)

    protected, clean, test, banks = {}, {}, {}, {}
    for kind in sorted(set(kinds)):
        protected[kind] = read(published, "Reading the protected files", kind)
        if dataset.has_control:
            clean[kind] = read(originals, "Reading the originals", kind)
    for side in sorted({side for _, side in protected}):
        test[side] = read(tests, "Reading the clean test images", ("", side))
        if bank is not None:
            banks[side] = lay_out(bank, shapes(side), side)
    return Arrays(
        names=tuple(item.name for item in dataset.train),
        labels=np.array([item.label for item in dataset.train], np.int64),
        protected=protected,
        clean=clean,
        test=test,
        test_labels=np.array([item.label for item in dataset.test], np.int64),
        banks=banks,
    )
