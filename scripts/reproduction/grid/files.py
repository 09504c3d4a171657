"""The grid's files: originals, clean test images, and what `ue protect` makes of the originals."""

from __future__ import annotations

import fcntl
import hashlib
import json
import shutil
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

from effect import CIFAR, Quiet
from PIL import Image

from reproduction.grid.plan import BUDGET, GridScale
from ue_cli.photos.owner.key import load_key
from ue_cli.photos.owner.state import Collection
from ue_cli.pipeline.datasets.dataset import Dataset, read_dataset
from ue_cli.pipeline.protection.options import ProtectOptions
from ue_cli.pipeline.protection.protect import protect
from ue_cli.types import STRONG

MADE = "made.json"

_NO_OPTIONS = ("candidates", "texture", "levels", "sha256")
"""Settings that `ProtectOptions` has under another name, or that a run is held against."""

Made = dict[str, Any]
"""What the tool measured on files that it made, and how it made them; without paths."""


class Files:
    """Folders of one scale, made once and kept.

    Args:
        name: of the scale.
        scale: its sizes.
        data: holds ``train/CLASS/*`` and ``test/CLASS/*``.
        work: where they lie.
        jobs: processes that read and protect.
    """

    def __init__(self, name: str, scale: GridScale, data: Path, work: Path, jobs: int) -> None:
        self._scale, self._data, self.jobs = scale, data, jobs
        self._work = work / "grid" / name

    def classes(self, dataset: str) -> list[str]:
        """The class folders of one data set in ``data``.

        Raises:
            SystemExit: there are fewer than two.
        """
        names = sorted(path.name for path in (self._data / "train").iterdir())
        found = [name for name in names if (name in CIFAR) == (dataset == "cifar10")]
        if len(found) < 2:
            raise SystemExit(f"{self._data} should have class folders of {dataset} in train/.")
        return found[: self._scale.classes]

    def count(self, dataset: str) -> int:
        """Training files of one data set."""
        return sum(1 for _ in self._sources(dataset, "train"))

    def read(
        self, dataset: str, arm: str, seed: int, settings: Mapping[str, Any] | None
    ) -> tuple[Dataset, Made]:
        """An arm's files beside their originals and the test images, as `ue evaluate` sees them.

        Args:
            dataset: which.
            arm: whose files; the clean one's are the originals.
            seed: every seed has a key of its own.
            settings: of `ue protect`.

        Returns:
            The data set (lazy), and what the tool measured on the files; empty for clean ones.

        Raises:
            UeError: files could not be protected, or read.
        """
        originals, tests = self._clean(dataset, "train"), self._clean(dataset, "test")
        if settings is None:
            return self._unprotected(originals, tests), {}
        digest = hashlib.sha256(json.dumps(settings, sort_keys=True).encode()).hexdigest()[:8]
        folder = self._work / dataset / f"{arm}-{seed}-{digest}"
        with once(folder) as draft:
            if draft is not None:
                measured = protect_folder(originals, draft, settings, self.jobs)
                (draft / MADE).write_text(json.dumps(measured))
        made: Made = json.loads((folder / MADE).read_text())
        return self._read(folder / "out", originals, tests, folder / "home"), made

    def _read(self, dataset: Path, original: Path | None, test: Path, home: Path) -> Dataset:
        return read_dataset(
            dataset,
            original=original,
            test=test,
            home=home,
            min_test=1,
            jobs=self.jobs,
            phases=Quiet(),
        )

    def _unprotected(self, originals: Path, tests: Path) -> Dataset:
        found = self._read(originals, None, tests, originals.parent / "home")
        return replace(
            found, train=tuple(replace(item, original=item.protected) for item in found.train)
        )

    def _clean(self, dataset: str, split: str) -> Path:
        folder = self._work / dataset / ("originals" if split == "train" else "tests")
        with once(folder) as draft:
            if draft is not None:
                for path in self._sources(dataset, split):
                    out = draft / path.parent.name / f"{path.stem}.png"
                    out.parent.mkdir(parents=True, exist_ok=True)
                    with Image.open(path) as image:
                        image.convert("RGB").save(out)
        return folder

    def _sources(self, dataset: str, split: str) -> Iterator[Path]:
        """The first files of every class, in the order of their names."""
        most = self._scale.per_class if split == "train" else self._scale.tests
        for name in self.classes(dataset):
            yield from sorted((self._data / split / name).iterdir())[:most]


def protect_folder(source: Path, folder: Path, settings: Mapping[str, Any], jobs: int) -> Made:
    """Protect PNG files under a new key.

    Args:
        source: of the originals.
        folder: for ``out`` and ``home``, which do not exist.
        settings: of `plan.settings_of`, or of a published perturbation with its ``sha256``.
        jobs: processes.

    Returns:
        What was measured.

    Raises:
        RuntimeError: a file was left out, so that the arms would train on different ones; or the
            perturbation was exchanged since its hash was taken.
        UeError: nothing could be protected.
    """
    began = time.perf_counter()
    own = {name: value for name, value in settings.items() if name not in _NO_OPTIONS}
    options = ProtectOptions(
        src=source,
        out=folder / "out",
        home=folder / "home",
        budget=BUDGET,
        look=STRONG,
        labels="folders",
        jobs=jobs,
        **own,
    )
    result = protect(options, Quiet())
    owner = load_key(options.home)
    if result.budget is None or result.fingerprint is None or owner is None:
        raise RuntimeError("protect returned no measurement")
    if result.skipped:
        raise RuntimeError(f"not all files are protected: {result.skipped[0].reason}")
    with Collection.open(options.home, owner, result.fingerprint, readonly=True) as collection:
        method = collection.info.recipe
    if method.get("SHA-256") != settings.get("sha256"):
        raise RuntimeError("the perturbation was made anew meanwhile: start again")
    return {
        "linf": result.budget.linf,
        "mean_abs": result.budget.mean_abs,
        "files": result.budget.files,
        "method": method,
        "seconds": round(time.perf_counter() - began, 1),
    }


@contextmanager
def once(folder: Path) -> Iterator[Path | None]:
    """Let one of several processes make a folder, which is whole or absent.

    Yields:
        Where to make it, or None: it is there.
    """
    folder.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    with folder.with_name(folder.name + ".lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if folder.exists():
            yield None
            return
        draft = folder.with_name(folder.name + ".draft")
        shutil.rmtree(draft, ignore_errors=True)
        draft.mkdir()
        yield draft
        draft.rename(folder)
