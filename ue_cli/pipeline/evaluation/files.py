"""The arrays that trainings see: all files protected, some of them, or the unprotected rest."""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ue_cli.photos.webcopy import WebCopy
from ue_cli.pipeline.certifyoptions import SIDE
from ue_cli.pipeline.dataset import Dataset
from ue_cli.pipeline.images import load_images
from ue_cli.pipeline.trialdata import TrialData
from ue_cli.types import Phases

WEB_COPIES: Mapping[str, WebCopy] = {
    "web-2048": WebCopy(2048, 85),
    "web-1080": WebCopy(1080, 70),
}
"""What a countermeasure of the kind ``files`` does to every training file, the originals too."""


@dataclass(frozen=True, slots=True)
class Source:
    """What a training reads.

    Attributes:
        copy: what every file went through, by its name in `WEB_COPIES`; empty: nothing.
        coverage: per cent of the files of each class that are protected; the rest are originals.
        alone: that rest alone.
    """

    copy: str
    coverage: int
    alone: bool = False

    def __str__(self) -> str:
        """Whose turn it is, for a progress bar."""
        words = {"": "files as they are"}.get(self.copy, self.copy)
        if self.alone:
            return f"{words}, the unprotected {100 - self.coverage} % alone"
        return words if self.coverage == 100 else f"{words}, {self.coverage} % protected"


PLAIN_FILES = Source("", 100)
"""The published files as they are; with the originals beside them."""


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
    """All files as small squares, protected and original, once for each web copy.

    Attributes:
        names: of the training files.
        labels: (n,) int64.
        protected, clean: (n, 3, side, side) uint8 by the copy's name; ``clean`` is empty without
            originals.
        test: (m, 3, side, side) uint8, clean and never copied.
        test_labels: (m,) int64.
    """

    names: tuple[str, ...]
    labels: NDArray[np.int64] = field(repr=False)
    protected: Mapping[str, NDArray[np.uint8]] = field(repr=False)
    clean: Mapping[str, NDArray[np.uint8]] = field(repr=False)
    test: NDArray[np.uint8] = field(repr=False)
    test_labels: NDArray[np.int64] = field(repr=False)

    def count(self, source: Source) -> int:
        """How many files a source gives."""
        labels = self.labels.tolist()
        return alone_count(labels, source.coverage) if source.alone else len(labels)

    def of(self, source: Source) -> TrialData:
        """What one source gives to train on."""
        protected, clean = self.protected[source.copy], self.clean.get(source.copy)
        labels = self.labels
        if source.coverage < 100 or source.alone:
            if clean is None:
                raise ValueError("there are no originals to leave files unprotected")
            chosen = covered(self.names, labels.tolist(), source.coverage)
            if source.alone:
                protected, labels = clean[~chosen], labels[~chosen]
                clean = protected
            else:
                protected = np.where(chosen[:, None, None, None], protected, clean)
        return TrialData(
            protected=protected,
            clean=clean,
            labels=labels,
            test=self.test,
            test_labels=self.test_labels,
        )


def load_arrays(found: Dataset, copies: Sequence[str], *, jobs: int, phases: Phases) -> Arrays:
    """Read all files, once for each copy.

    Args:
        found: the data set.
        copies: names in `WEB_COPIES`; empty: the files as they are.
        jobs: processes.
        phases: told about every pass.

    Raises:
        UeError: ``image-unreadable``.
    """

    def read(paths: list[Path], title: str, copy: str = "") -> NDArray[np.uint8]:
        return load_images(
            paths,
            SIDE,
            jobs=jobs,
            phases=phases,
            title=f"{title} ({copy})" if copy else title,
            max_pixels=found.max_pixels,
            copy=WEB_COPIES[copy] if copy else None,
        )

    published = [item.protected for item in found.train]
    originals = [item.original for item in found.train if item.original is not None]
    clean: dict[str, Any] = {}
    if found.has_control:
        clean = {copy: read(originals, "Reading the originals", copy) for copy in copies}
    return Arrays(
        names=tuple(item.name for item in found.train),
        labels=np.array([item.label for item in found.train], np.int64),
        protected={copy: read(published, "Reading the protected files", copy) for copy in copies},
        clean=clean,
        test=read([item.path for item in found.test], "Reading the clean test images"),
        test_labels=np.array([item.label for item in found.test], np.int64),
    )
