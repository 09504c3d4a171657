"""`ue restore`: the originals' pixels back, from the protected files and the owner's state."""

from __future__ import annotations

import hashlib
import os
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from ue_cli.errors import SkipFile, UeError
from ue_cli.photos.decode import decode
from ue_cli.photos.manifest import Manifest, read_manifest, safe_join
from ue_cli.photos.owner.key import load_key
from ue_cli.photos.owner.state import Collection
from ue_cli.photos.private import open_regular
from ue_cli.photos.write import write_atomic
from ue_cli.pipeline.limits import MAX_PIXELS
from ue_cli.pipeline.protection.results import Problem, RestoreResult
from ue_cli.pipeline.protection.undo import restore_file
from ue_cli.pipeline.workers import Crashed, WorkerPool
from ue_cli.types import Phases


@dataclass(frozen=True, slots=True)
class Task:
    """One file to restore.

    Attributes:
        output: its path below OUT.
        protected: where it lies.
        sha256: what the owner's state says of it.
        target: where the original goes.
        max_pixels: as many as it has, if it was protected with a limit above the usual one.
        undo: what the owner's state kept.
    """

    output: str
    protected: Path
    sha256: str
    target: Path
    max_pixels: int
    undo: bytes = field(repr=False)


def restore(out: Path, target: Path, *, home: Path, jobs: int, phases: Phases) -> RestoreResult:
    """Write the originals of a protected folder into a new folder.

    JPEGs come back coefficient for coefficient, everything else pixel for pixel, with the metadata
    that was removed. Files that changed since they were written are left out and listed.

    Raises:
        UeError: the target holds something, or the owner's key or state is not here.
    """
    started = time.monotonic()
    manifest = read_manifest(out)
    _check_target(out, target)
    owner = load_key(home)
    if owner is None:
        raise UeError(
            "key-missing",
            f"Restoring needs the owner's key; there is none in {home}.",
            "Import a backup: ue key import BACKUP",
        )
    problems: list[Problem] = []
    restored = 0
    with Collection.open(home, owner, manifest.collection, readonly=True) as collection:
        target.mkdir(exist_ok=True)
        phases.start("Restoring", len(manifest.entries))
        pool = WorkerPool(_restore, jobs, _no_setup, ())
        for task, outcome in pool.run(_tasks(out, target, manifest, collection, problems)):
            phases.step()
            if isinstance(outcome, Crashed):
                text = "Reading it ended the process."
                problems.append(Problem(task.output, "crashed", text))
            elif outcome is not None:
                problems.append(outcome)
            else:
                restored += 1
    return RestoreResult(
        out=out,
        target=target,
        restored=restored,
        problems=tuple(sorted(problems, key=lambda problem: problem.name)),
        seconds=time.monotonic() - started,
    )


def _check_target(out: Path, target: Path) -> None:
    if os.path.lexists(target) and (not target.is_dir() or any(target.iterdir())):
        raise UeError(
            "target-not-empty",
            f"--to should be a new or empty folder, but {target} holds something.",
            "Give another --to.",
        )
    inside = os.path.realpath(target).startswith(os.path.realpath(out) + os.sep)
    if inside or os.path.realpath(target) == os.path.realpath(out):
        raise UeError(
            "target-inside-out",
            f"--to should lie outside the protected folder, but {target} is inside {out}.",
            "Publishing that folder would publish the originals; give another --to.",
        )
    if not target.absolute().parent.is_dir():
        raise UeError(
            "target-parent-missing",
            f"--to should lie in a folder that exists, but {target.absolute().parent} does not.",
            "Create it, or give another --to.",
        )


def _tasks(
    out: Path, target: Path, manifest: Manifest, collection: Collection, problems: list[Problem]
) -> Iterator[Task]:
    """One task per file that both the manifest and the owner's state know."""
    known = set()
    for record in collection.records():
        if record.output not in manifest.entries:
            continue
        known.add(record.output)
        try:
            yield Task(
                output=record.output,
                protected=safe_join(out, record.output),
                sha256=record.sha256,
                target=safe_join(target, record.name, native=True),
                max_pixels=max(MAX_PIXELS, record.width * record.height),
                undo=collection.undo(record.name),
            )
        except UeError as error:
            problems.append(Problem(record.output, error.code, error.message))
    for output in manifest.entries.keys() - known:
        text = "The owner's state does not know this file."
        problems.append(Problem(output, "unknown", text))


def _no_setup() -> None:
    """Restoring shares nothing."""


def _restore(task: Task) -> Problem | None:
    try:
        with open_regular(task.protected, follow_links=False) as file:
            data = file.read()
    except OSError as error:
        return Problem(task.output, "missing", f"It cannot be read: {error.strerror or error}.")
    if hashlib.sha256(data).hexdigest() != task.sha256:
        return Problem(
            task.output, "changed", "Its bytes are not those that were written; left out."
        )
    try:
        original = restore_file(data, task.undo, max_pixels=task.max_pixels)
        decode(original, max_pixels=task.max_pixels)
    except SkipFile as skip:
        return Problem(task.output, skip.code, skip.reason)
    except UeError as error:
        return Problem(task.output, error.code, error.message)
    task.target.parent.mkdir(parents=True, exist_ok=True)
    write_atomic(task.target, original)
    return None
