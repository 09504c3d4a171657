"""`ue verify`: every written file again, against the manifest and the originals."""

from __future__ import annotations

import hashlib
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from ue_cli.certificates.budget import measure
from ue_cli.datasets.limits import MAX_PIXELS
from ue_cli.errors import SkipFile, UeError
from ue_cli.images.decode import decode
from ue_cli.images.names import source_name
from ue_cli.images.scan import scan
from ue_cli.owner.collection_info import find_collection
from ue_cli.owner.key import load_key
from ue_cli.owner.manifest import Manifest, read_manifest, safe_join
from ue_cli.owner.places import check_source
from ue_cli.owner.state import Collection
from ue_cli.protection.results import Problem, VerifyResult
from ue_cli.storage import open_regular
from ue_cli.types import Budget, Difference, FileRecord, Phases
from ue_cli.workers import Crashed, WorkerPool


@dataclass(frozen=True, slots=True)
class Task:
    """One file to look at.

    Attributes:
        name: as the problem will name it.
        protected: in OUT; None where SRC has a file that OUT lacks.
        sha256: what the manifest says of it.
        original: in SRC; None where there is none.
        encoded_only: a re-encoded JPEG, for which the budget held before the encoding only.
        max_pixels: as many as it has, if it was protected with a limit above the usual one.
    """

    name: str
    protected: Path | None
    sha256: str
    original: Path | None
    encoded_only: bool
    max_pixels: int = MAX_PIXELS


@dataclass(frozen=True, slots=True)
class Compared:
    """A protected file beside its original; linf in 8-bit levels."""

    difference: Difference
    linf: float


def verify(out: Path, original: Path, *, home: Path, jobs: int, phases: Phases) -> VerifyResult:
    """Check budget, completeness and hashes of a protected folder.

    The manifest is read as what it is, a file that anybody may have written. Where the owner's
    state is here, names and budget come from it; else names must match and the budget is 8.

    Raises:
        UeError: OUT or SRC is no folder, or the manifest cannot be used.
    """
    started = time.monotonic()
    check_source(original)
    manifest = read_manifest(out)
    records, levels = _records(home, manifest)
    problems = [] if manifest.complete else [_unfinished()]
    folder = scan(out)
    text = "It is not in the manifest: nobody vouches that it is protected."
    strays = {photo.name: text for photo in folder.files}
    strays |= {s.name: f"It is not in the manifest. {s.reason}" for s in folder.skipped}
    for name in strays.keys() - manifest.entries.keys():
        problems.append(Problem(name, "stray", strays[name]))
    tasks = list(_tasks(out, original, manifest, records, problems))
    phases.start("Verifying", len(tasks))
    measured, linf, total = 0, 0.0, 0.0
    pool = WorkerPool(_look, jobs, _set_up, (Budget(levels),))
    for task, outcome in pool.run(tasks):
        phases.step()
        if isinstance(outcome, Crashed):
            text = "Reading it ended the process."
            problems.append(Problem(task.name, "crashed", text))
        elif isinstance(outcome, Problem):
            problems.append(outcome)
        elif outcome is not None:
            measured += 1
            linf, total = max(linf, outcome.linf), total + outcome.difference.mean_abs
    return VerifyResult(
        out=out,
        fingerprint=manifest.collection,
        listed=len(manifest.entries),
        measured=measured,
        linf=linf,
        levels=levels,
        mean_abs=total / measured if measured else 0.0,
        problems=tuple(sorted(problems, key=lambda problem: (problem.name, problem.code))),
        seconds=time.monotonic() - started,
    )


def _records(home: Path, manifest: Manifest) -> tuple[dict[str, FileRecord], int]:
    """Output name -> record, from the owner's state where it is here; and the budget."""
    owner = load_key(home)
    info = find_collection(home, manifest.collection)
    if owner is None or info is None:
        return {}, 8
    with Collection.open(home, owner, manifest.collection, readonly=True) as collection:
        return {record.output: record for record in collection.records()}, info.levels


def _tasks(
    out: Path,
    original: Path,
    manifest: Manifest,
    records: dict[str, FileRecord],
    problems: list[Problem],
) -> Iterator[Task]:
    sources = {photo.name: photo.path for photo in scan(original).files}
    names = set()
    for path, sha256 in sorted(manifest.entries.items()):
        record = records.get(path)
        name = record.name if record else source_name(path, sources)
        names.add(name)
        try:
            place = safe_join(out, path)
        except UeError as error:
            problems.append(Problem(path, error.code, error.message))
            continue
        encoded_only = record is not None and record.linf_encoding is not None
        limit = max(MAX_PIXELS, record.width * record.height) if record else MAX_PIXELS
        yield Task(path, place, sha256, sources.get(name), encoded_only, limit)
    for name, source in sources.items():
        if name not in names:
            yield Task(name, None, "", source, False)


_budget = Budget(8)


def _set_up(budget: Budget) -> None:
    global _budget
    _budget = budget


def _look(task: Task) -> Compared | Problem | None:
    if task.protected is None:
        return _missing(task)
    try:
        with open_regular(task.protected, follow_links=False) as file:
            data = file.read()
    except OSError as error:
        text = f"It is in the manifest but cannot be read: {error.strerror or error}."
        return Problem(task.name, "missing", text)
    if hashlib.sha256(data).hexdigest() != task.sha256:
        return Problem(task.name, "changed", "Its bytes are not those that were written.")
    if task.original is None:
        return Problem(task.name, "no-original", "There is no original of it to compare with.")
    try:
        before = decode(task.original, max_pixels=task.max_pixels).pixels
        after = decode(data, max_pixels=task.max_pixels).pixels
        difference = measure(before, after)
    except SkipFile as skip:
        return Problem(task.name, skip.code, f"It cannot be compared: {skip.reason}")
    except UeError as error:
        return Problem(task.name, "original-changed", f"It cannot be compared: {error.message}")
    radius = _budget.radius(before.dtype)
    if difference.linf > radius and not task.encoded_only:
        text = f"It differs by {difference.linf} from its original; the budget is {radius}."
        return Problem(task.name, "over-budget", text)
    linf = 0.0 if task.encoded_only else difference.linf * _budget.levels / radius
    return Compared(difference, linf)


def _missing(task: Task) -> Problem | None:
    """An original without a protected file is a problem only if it could have one."""
    if task.original is None:
        return None
    try:
        decode(task.original, max_pixels=MAX_PIXELS)
    except SkipFile:
        return None
    text = "This original has no protected file; run the same ue protect again."
    return Problem(task.name, "unprotected", text)


def _unfinished() -> Problem:
    text = "The run that writes this folder has not ended; run the same ue protect again."
    return Problem("ue-manifest.jsonl", "incomplete", text)
