"""Small folders of real files, and the command line as a user runs it."""

from __future__ import annotations

import io
import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, redirect_stderr, redirect_stdout
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
import pytest
from PIL import Image

from ue_cli.__main__ import main
from ue_cli.workers import WorkerPool

T = TypeVar("T")
R = TypeVar("R")


@dataclass(frozen=True)
class Done:
    """A finished `ue` process."""

    code: int
    out: str
    err: str

    @property
    def envelope(self) -> dict[str, Any]:
        value = json.loads(self.out)
        assert isinstance(value, dict)
        return value

    @property
    def result(self) -> dict[str, Any]:
        result = self.envelope["result"]
        assert isinstance(result, dict)
        return result

    @property
    def all_written(self) -> bool:
        """No file was left out; small ones may be too faint to count, which is said with a 6."""
        return self.code in (0, 6) and not self.result["skipped"]


class Quiet:
    """`Phases` that say nothing."""

    def start(self, title: str, total: int) -> None:
        """Nothing."""

    def step(self, count: int = 1) -> None:
        """Nothing."""

    def note(self, text: str) -> None:
        """Nothing."""


Ue = Callable[..., Done]
"""ue("protect", folder, ...) in a home of its own.

With `--json` and in this process; with ``people=True`` in one of its own, and without."""


@pytest.fixture
def ue(tmp_path: Path) -> Ue:
    def run(*arguments: object, people: bool = False, home: str = "home") -> Done:
        if people:
            return run_ue(tmp_path / home, *arguments, people=True)
        return run_here(tmp_path / home, *arguments)

    return run


def run_here(home: Path, *arguments: object) -> Done:
    """The command line as it starts, ends and prints, without the seconds of its processes."""
    out, err = io.StringIO(), io.StringIO()
    words = ["ue", *_texts(arguments), "--home", str(home), "--json"]
    with pytest.MonkeyPatch.context() as patch, one_process():
        patch.setattr(sys, "argv", words)
        with redirect_stdout(out), redirect_stderr(err), pytest.raises(SystemExit) as ended:
            main()
    assert "Traceback" not in err.getvalue(), err.getvalue()
    return Done(int(ended.value.code or 0), out.getvalue(), err.getvalue())


def ue_command(home: Path, *arguments: object, people: bool = False) -> list[str]:
    """What to start for ``ue ARGUMENTS``, warnings being errors."""
    command = [sys.executable, "-W", "error", "-m", "ue_cli", *_texts(arguments)]
    return [*command, "--home", str(home), *([] if people else ["--json"])]


def run_ue(home: Path, *arguments: object, people: bool = False, **options: Any) -> Done:
    """Run ``ue ARGUMENTS``; ``options`` go to `subprocess.run`."""
    done = subprocess.run(
        ue_command(home, *arguments, people=people),
        capture_output=True,
        text=True,
        errors="surrogateescape",
        check=False,
        **options,
    )
    assert "Traceback" not in done.stderr, done.stderr
    return Done(done.returncode, done.stdout, done.stderr)


def _texts(arguments: tuple[object, ...]) -> list[str]:
    return [os.fspath(x) if isinstance(x, os.PathLike) else str(x) for x in arguments]


def picture(path: Path, seed: int, *, size: tuple[int, int] = (72, 56), **options: Any) -> Path:
    """A small photograph-like file of the type that its name says."""
    rng = np.random.default_rng(seed)
    coarse = rng.integers(40, 215, (6, 7, 3), dtype=np.uint8)
    image = Image.fromarray(coarse).resize(size, Image.Resampling.BICUBIC)
    path.parent.mkdir(parents=True, exist_ok=True)
    image.save(path, **options)
    return path


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    """Two classes, six files: four JPEGs (4:2:0), a PNG, a lossless WebP.

    With ``--look strong`` the first two JPEGs and the lossless files carry enough to count.
    """
    root, size = tmp_path / "photos", (120, 96)
    for index in range(2):
        picture(root / "cats" / f"{index}.jpg", index, size=size, quality=90)
        picture(root / "dogs" / f"{index}.jpg", 10 + index, size=size, quality=75)
    picture(root / "cats" / "drawn.png", 20, size=size)
    picture(root / "dogs" / "web.webp", 21, size=size, lossless=True)
    return root


def tree(root: Path) -> dict[str, bytes]:
    """Every file below a folder and its bytes."""
    return {
        str(p.relative_to(root)): p.read_bytes() for p in sorted(root.rglob("*")) if p.is_file()
    }


def pixels(path: Path) -> np.ndarray[Any, np.dtype[np.int16]]:
    """Decoded by Pillow directly, not by the code under test."""
    with Image.open(path) as image:
        return np.asarray(image.convert("RGB")).astype(np.int16)


@contextmanager
def one_process() -> Iterator[None]:
    """Inside, files are looked at here: to start processes takes longer than most tests do.

    How the processes work, and what they survive, is tested in ``test_workers``.
    """

    def run(pool: WorkerPool[T, R], tasks: Iterable[T]) -> Iterator[tuple[T, R]]:
        pool.setup(*pool.setup_args)
        for task in tasks:
            yield task, pool.function(task)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(WorkerPool, "run", run)
        yield


@pytest.fixture
def here() -> Iterator[None]:
    """Everything in `one_process`."""
    with one_process():
        yield


@pytest.fixture
def short(monkeypatch: pytest.MonkeyPatch) -> None:
    """A tiny network that trains for a moment, and an estimate from less than that."""
    from ue_cli.training import readout, ssl_recipes, victims
    from ue_cli.training.supervised import VictimRecipe
    from ue_cli.trials import plan as trialplan

    monkeypatch.setattr(victims, "STEPS", (1, 4))
    monkeypatch.setattr(victims, "EPOCHS", (1, 2, 2))
    monkeypatch.setitem(victims.RECIPES, "small", VictimRecipe(widths=(8, 16)))
    monkeypatch.setattr(victims, "ENCODER_STEPS", (1, 8))
    monkeypatch.setattr(victims, "ENCODER_EPOCHS", (1, 2, 2))
    monkeypatch.setattr(readout, "DECAYS", (1e-2,))
    tiny = {"widths": (8, 16), "projection": (16, 8), "batch": 16}
    monkeypatch.setattr(ssl_recipes, "_SMALL", ssl_recipes._SMALL | tiny)
    monkeypatch.setattr(ssl_recipes, "_NARROW", {name: {} for name in ssl_recipes.SSL_NAMES})
    monkeypatch.setattr(trialplan, "_MEASURE", 0.01)


@pytest.fixture
def forbid(monkeypatch: pytest.MonkeyPatch) -> Callable[[Path], None]:
    """Make a folder one that this user may not write to; root may, whatever its mode."""
    allowed = os.access
    closed: set[Path] = set()

    def access(path: str | Path, mode: int) -> bool:
        return allowed(path, mode) and not (Path(path) in closed and mode & os.W_OK)

    monkeypatch.setattr(os, "access", access)
    return closed.add
