"""Killed, interrupted, out of disk: what is written is whole, and the same command goes on."""

from __future__ import annotations

import functools
import json
import os
import random
import resource
import shutil
import signal
import subprocess
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from tests.jobs.conftest import Done, picture, run_ue, tree, ue_command

PHOTOS = 10


class Twice:
    """One collection in two copies: the first is protected undisturbed, the other is not."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.src = root / "src"
        picture(self.src / "cats" / "first.jpg", 0, size=(16, 16))
        picture(self.src / "dogs" / "first.png", 1, size=(16, 16))
        assert run_ue(root / "home", *self.command(root / "out")).all_written
        for name in ("home", "out"):
            shutil.copytree(root / name, root / f"{name}-before")
        for seed in range(PHOTOS):
            kind = ("jpg", "png", "webp")[seed % 3]
            picture(self.src / ("cats", "dogs")[seed % 2] / f"{seed}.{kind}", seed, size=(240, 200))
        assert run_ue(root / "home", *self.command(root / "out")).all_written
        self.whole = tree(root / "out")

    def reset(self) -> None:
        """The disturbed copies as they were before."""
        for name in ("home", "out"):
            shutil.rmtree(self.root / f"{name}-disturbed", ignore_errors=True)
            shutil.copytree(self.root / f"{name}-before", self.root / f"{name}-disturbed")

    @property
    def out(self) -> Path:
        return self.root / "out-disturbed"

    @property
    def home(self) -> Path:
        return self.root / "home-disturbed"

    def command(self, out: Path) -> tuple[object, ...]:
        return ("protect", self.src, "-o", out, "--jobs", 2)

    def start(self) -> subprocess.Popen[str]:
        return subprocess.Popen(
            ue_command(self.home, *self.command(self.out)),
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            start_new_session=True,
        )

    def finish(self, **options: Any) -> Done:
        return run_ue(self.home, *self.command(self.out), **options)

    def written(self) -> dict[str, bytes]:
        # Drafts come and go while this looks; what has its own name stays.
        found = {str(p.relative_to(self.out)): p for p in sorted(self.out.rglob("*"))}
        return {
            name: path.read_bytes()
            for name, path in found.items()
            if not is_draft(name) and path.is_file()
        }

    def check_whole_so_far(self) -> None:
        """Every file under its own name is the undisturbed run's, byte for byte."""
        for name, data in self.written().items():
            if name != "ue-manifest.jsonl":
                assert data == self.whole[name], name

    def check_finished(self, done: Done) -> None:
        assert done.all_written, done.out
        assert done.result["protected"] + done.result["kept"] == PHOTOS + 2
        assert tree(self.out) == self.whole
        assert not [name for name in tree(self.home) if is_draft(name)]


def is_draft(name: str) -> bool:
    return name.rpartition("/")[2].startswith(".ue-")


@pytest.fixture(scope="module")
def prepared(tmp_path_factory: pytest.TempPathFactory) -> Twice:
    return Twice(tmp_path_factory.mktemp("twice"))


@pytest.fixture
def twice(prepared: Twice) -> Twice:
    prepared.reset()
    return prepared


def wait_for(condition: Callable[[], bool], process: subprocess.Popen[str]) -> None:
    while process.poll() is None and not condition():
        time.sleep(0.002)


def kill(process: subprocess.Popen[str], number: int, *, group: bool) -> tuple[str, str]:
    if process.poll() is None:
        if group:
            os.killpg(process.pid, number)
        else:
            process.send_signal(number)
    return process.communicate(timeout=120)


@pytest.mark.slow
def test_kill_and_the_same_command_again(twice: Twice) -> None:
    for count in (3, 7):
        process = twice.start()
        wait_for(lambda count=count: len(twice.written()) >= 3 + count, process)  # type: ignore[misc]
        kill(process, signal.SIGKILL, group=count == 7)
        assert process.returncode == -signal.SIGKILL
        twice.check_whole_so_far()
    twice.check_finished(twice.finish())


@pytest.mark.slow
def test_kill_at_random_moments(twice: Twice) -> None:
    rng = random.Random(1)
    started = time.monotonic()
    twice.finish()
    duration = time.monotonic() - started
    twice.reset()
    for _ in range(6):
        process = twice.start()
        time.sleep(rng.uniform(0, duration))
        _, err = kill(process, signal.SIGKILL, group=rng.random() < 0.5)
        assert "Traceback" not in err
        twice.check_whole_so_far()
    twice.check_finished(twice.finish())


@pytest.mark.slow
def test_interrupt_and_the_same_command_again(twice: Twice) -> None:
    process = twice.start()
    wait_for(lambda: len(twice.written()) >= 6, process)
    out, err = kill(process, signal.SIGINT, group=True)
    assert process.returncode == 130
    assert "Traceback" not in err
    assert json.loads(out)["error"]["code"] == "interrupted"
    assert not [name for name in tree(twice.out) if is_draft(name)]
    twice.check_whole_so_far()
    twice.check_finished(twice.finish())


@pytest.mark.slow
def test_interrupt_while_the_processes_start(twice: Twice) -> None:
    """Ctrl-C reaches the whole group, children that still import included."""
    manifest = twice.out / "ue-manifest.jsonl"
    process = twice.start()
    wait_for(lambda: b'"complete": false' in manifest.read_bytes(), process)
    time.sleep(0.1)
    _, err = kill(process, signal.SIGINT, group=True)
    assert process.returncode == 130
    assert "Traceback" not in err and "Error" not in err
    twice.check_finished(twice.finish())


def limited(size: int) -> Callable[[], None]:
    """No file of the process and its children grows beyond ``size`` bytes: a full disk, nearly."""
    return functools.partial(resource.setrlimit, resource.RLIMIT_FSIZE, (size, size))


@pytest.mark.slow
@pytest.mark.parametrize("size", [500, 4_000, 60_000])
def test_full_disk_and_the_same_command_again(twice: Twice, size: int) -> None:
    done = twice.finish(preexec_fn=limited(size))
    assert done.code == 2, done.out
    assert done.envelope["error"]["code"] == "disk-full"
    assert "Make room" in done.envelope["error"]["hint"]
    assert not [name for name in tree(twice.out) if is_draft(name)]
    twice.check_whole_so_far()
    twice.check_finished(twice.finish())


@pytest.mark.slow
def test_full_disk_at_the_report(tmp_path: Path) -> None:
    for seed in range(4):
        picture(tmp_path / "src" / "a" / f"{seed}.png", seed)
    command = ("protect", tmp_path / "src", "-o", tmp_path / "out", "--jobs", 1)
    assert run_ue(tmp_path / "home", *command).all_written
    report = tmp_path / "out.report"
    before = tree(report)
    limit = len(before["report.html"]) - 100
    assert limit > 40_000  # SQLite's shared memory takes 32 KiB
    done = run_ue(tmp_path / "home", *command, preexec_fn=limited(limit), people=True)
    assert (done.code, done.out) == (2, "")
    assert "out.report" in done.err and "Make room" in done.err
    assert tree(report).keys() == before.keys()
    assert tree(report)["report.html"] == before["report.html"]


@pytest.mark.slow
def test_a_first_run_that_is_killed_leaves_no_riddle(tmp_path: Path) -> None:
    """Before the manifest is there, nothing of OUT is anybody's: the next run begins anew."""
    picture(tmp_path / "src" / "a" / "1.jpg", 1)
    out = tmp_path / "out"
    out.mkdir()
    (out / ".ue-tmp-ue-manifest.jsonl").write_bytes(b'{"ue_mani')
    done = run_ue(tmp_path / "home", "protect", tmp_path / "src", "-o", out, "--jobs", 1)
    assert done.all_written
    assert set(tree(out)) == {"a/1.jpg", "ue-manifest.jsonl"}


@pytest.mark.slow
def test_two_runs_at_once(twice: Twice) -> None:
    process = twice.start()
    wait_for(lambda: len(twice.written()) >= 4, process)
    if process.poll() is None:
        os.killpg(process.pid, signal.SIGSTOP)
    try:
        second = twice.finish()
    finally:
        os.killpg(process.pid, signal.SIGCONT)
    out, _ = process.communicate(timeout=120)
    assert second.code == 2
    assert second.envelope["error"]["code"] == "state-locked"
    twice.check_finished(Done(process.returncode, out, ""))


@pytest.mark.slow
def test_a_file_whose_output_vanished_is_written_again(twice: Twice) -> None:
    twice.finish()
    (twice.out / "cats" / "0.jpg").unlink()
    (twice.out / "cats" / "2.webp").write_bytes(b"half")
    done = twice.finish()
    assert done.result["protected"] == 2
    twice.check_finished(done)


@pytest.mark.slow
def test_an_original_that_changes_its_type_leaves_no_old_output(tmp_path: Path) -> None:
    src, out = tmp_path / "src", tmp_path / "out"
    command = ("protect", src, "-o", out, "--jobs", 1)
    picture(src / "a" / "x.png", 1)
    picture(src / "a" / "y.jpg", 2, quality=90)
    assert run_ue(tmp_path / "home", *command).all_written
    with Image.open(src / "a" / "x.png") as image:
        image.save(src / "a" / "x.png", "GIF")
    assert run_ue(tmp_path / "home", *command).all_written
    assert set(tree(out)) == {"a/x.png", "a/y.jpg", "ue-manifest.jsonl"}
    with Image.open(out / "a" / "x.png") as image:
        assert image.format == "PNG"
        assert np.asarray(image).shape == (56, 72, 3)
    checked = run_ue(tmp_path / "home", "verify", out, "--original", src, "--jobs", 1)
    assert checked.result["problems"] == []


@pytest.mark.slow
def test_an_image_that_joins_never_takes_over_another_ones_output(tmp_path: Path) -> None:
    src, out = tmp_path / "src", tmp_path / "out"
    command = ("protect", src, "-o", out, "--jobs", 1)
    picture(src / "a" / "x.gif", 1)
    assert run_ue(tmp_path / "home", *command).all_written
    before = (out / "a" / "x.gif.png").read_bytes()
    picture(src / "a" / "x.gif.png", 2)
    done = run_ue(tmp_path / "home", *command)
    assert (done.result["protected"], done.result["kept"]) == (1, 1)
    assert (out / "a" / "x.gif.png").read_bytes() == before
    assert len(tree(out)) == 3
    checked = run_ue(tmp_path / "home", "verify", out, "--original", src, "--jobs", 1)
    assert (checked.code, checked.result["measured"]) == (0, 2)
