"""The process pool with tasks that end their process, and what the exit code says of a run."""

from __future__ import annotations

import os
import signal
from dataclasses import replace
from multiprocessing import get_context
from multiprocessing.synchronize import Event
from pathlib import Path

import pytest

from tests.records import RECORD
from ue_cli.certificates.budget import certify
from ue_cli.errors import ExitCode, UeError
from ue_cli.protection.results import ProtectResult
from ue_cli.types import STANDARD, Budget, FileRecord, Skipped
from ue_cli.workers import Crashed, WorkerPool

POISON, ERROR, SEGFAULT = 7, 13, 11


def work(task: int) -> int:
    if task == POISON:
        os._exit(3)  # as a decoder that crashes
    if task == SEGFAULT:
        os.kill(os.getpid(), signal.SIGSEGV)
    if task == ERROR:
        raise UeError("thirteen", "It is thirteen.", "Count on.", exit_code=ExitCode.BUG)
    return task * task


def no_setup() -> None:
    """Nothing is shared."""


def failing_setup() -> None:
    os._exit(4)


@pytest.mark.slow
def test_a_task_that_ends_its_process_is_reported_alone() -> None:
    pool = WorkerPool(work, 2, no_setup, ())
    tasks = [n for n in range(16) if n != ERROR]
    results = dict(pool.run(iter(tasks)))
    expected = {n: Crashed() if n in (POISON, SEGFAULT) else n * n for n in tasks}
    assert results == expected


def test_processes_that_never_start_are_reported_too() -> None:
    pool = WorkerPool(work, 1, failing_setup, ())
    assert dict(pool.run([1, 2])) == {1: Crashed(), 2: Crashed()}


def test_an_error_comes_back_whole() -> None:
    pool = WorkerPool(work, 1, no_setup, ())
    with pytest.raises(UeError, match="It is thirteen") as raised:
        list(pool.run([1, ERROR, 2]))
    assert (raised.value.code, raised.value.hint) == ("thirteen", "Count on.")
    assert raised.value.exit_code == ExitCode.BUG


_told: Event | None = None


def be_told(event: Event) -> None:
    global _told
    _told = event


def wait_to_be_told(task: int) -> int:
    assert _told is not None
    if task:
        _told.wait()
    return task


def test_long_tasks_are_told_when_a_run_ends_early() -> None:
    """Else whoever stops it would wait for them: here for ever."""
    told = get_context("spawn").Event()
    pool = WorkerPool(wait_to_be_told, 2, be_told, (told,), stop=told.set)
    run = pool.run([0, 1])
    assert next(run) == (0, 0)
    run.close()  # type: ignore[attr-defined]
    assert told.is_set()


def test_nothing_to_do() -> None:
    assert list(WorkerPool(work, 2, no_setup, ()).run([])) == []


def record(name: str, strength: float) -> FileRecord:
    return replace(RECORD, name=name, output=name, strength=strength)


def result(*skipped: str, faint: int = 0, strict: bool = False) -> ProtectResult:
    strengths = [0.0] * faint + [1.0] * (9 - len(skipped) - faint)
    records = [record(f"{i}.jpg", strength) for i, strength in enumerate(strengths)]
    return ProtectResult(
        dry_run=False,
        out=Path("out"),
        report=None,
        fingerprint=None,
        candidates=9,
        fresh=9 - len(skipped),
        earlier_files=0,
        skipped=tuple(Skipped(f"{code}.jpg", code, "Because.") for code in skipped),
        classes=("a",),
        label_rule="single",
        label_reason="It was asked for.",
        budget=certify(records, Budget(8)),
        levels=8,
        look=STANDARD,
        strict=strict,
        routes={},
        cautions=(),
        seconds=1.0,
    )


def test_exit_codes_and_their_order() -> None:
    codes = {
        "all": result().exit_code,
        "one skipped": result("truncated").exit_code,
        "one over budget": result("truncated", "over-budget").exit_code,
        "one that ue fails on": result("over-budget", "bug").exit_code,
        "few faint": result(faint=4).exit_code,
        "most faint": result(faint=5).exit_code,
        "one faint, strictly": result(faint=1, strict=True).exit_code,
        "none faint, strictly": result(strict=True).exit_code,
        "over budget and faint": result("over-budget", faint=8).exit_code,
    }
    assert {name: int(code) for name, code in codes.items()} == {
        "all": 0,
        "one skipped": 6,
        "one over budget": 5,
        "one that ue fails on": 1,
        "few faint": 0,
        "most faint": 6,
        "one faint, strictly": 6,
        "none faint, strictly": 0,
        "over budget and faint": 5,
    }
