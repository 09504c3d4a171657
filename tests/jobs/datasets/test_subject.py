"""Where the report of `ue certify` and `ue evaluate` may go."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
from typer.testing import CliRunner

from tests.jobs.conftest import Quiet, one_process, picture
from ue_cli.cli import app
from ue_cli.datasets.subject import Subject
from ue_cli.datasets.trainside import natural_side
from ue_cli.errors import UeError
from ue_cli.protection.options import ProtectOptions
from ue_cli.protection.protect import protect


def refused(tmp_path: Path, report: Path, command: str = "evaluate") -> dict[str, str]:
    out, src = tmp_path / "out", tmp_path / "src"
    for folder in (out, src):
        (folder / "cats").mkdir(parents=True, exist_ok=True)
    words = [command, out, "--original", src, "--report", report, "--home", tmp_path / "home"]
    done = CliRunner().invoke(app, [*map(str, words), "--json"])
    assert done.exit_code == 2, done.output
    error: dict[str, str] = json.loads(done.stdout)["error"]
    assert "--report DIR" in error["hint"]
    return error


@pytest.mark.parametrize("command", ["certify", "evaluate"])
def test_a_private_report_is_never_put_among_images(tmp_path: Path, command: str) -> None:
    (tmp_path / "link").symlink_to(tmp_path / "out")
    for place, name in (("out", "DATASET"), ("link/sub", "DATASET"), ("src/cats", "--original")):
        error = refused(tmp_path, tmp_path / place, command)
        assert error["code"] == "report-inside" and f"outside of {name}" in error["message"]


def test_a_place_that_takes_no_report_is_refused_before_any_work(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    for place in (tmp_path / "file", tmp_path / "file" / "below"):
        error = refused(tmp_path, place)
        assert error["code"] == "report-not-writable" and "is not a folder" in error["message"]


def test_a_folder_without_permission_is_refused(
    tmp_path: Path, forbid: Callable[[Path], None]
) -> None:
    (tmp_path / "closed").mkdir()
    forbid(tmp_path / "closed")
    assert "is not writable" in refused(tmp_path, tmp_path / "closed" / "report")["message"]


@pytest.mark.parametrize(
    ("sizes", "side"),
    [
        ([(32, 32), (32, 48), (500, 400)], 32),
        ([(30, 90), (28, 28), (28, 40), (100, 99)], 28),
        ([(640, 480), (48, 300)], 48),
        ([(640, 480), (65, 300)], 64),
        ([(8, 8)], 16),
    ],
)
def test_small_files_are_read_at_their_own_size(
    tmp_path: Path, sizes: list[tuple[int, int]], side: int
) -> None:
    files = [picture(tmp_path / f"{i}.png", i, size=size) for i, size in enumerate(sizes)]
    assert natural_side(files, 10**6) == side
    (tmp_path / "broken.png").write_bytes(b"\x89PNG")
    assert natural_side([*files, tmp_path / "broken.png", tmp_path / "gone.png"], 10**6) == side


def test_where_no_header_tells_the_size_it_is_the_usual_one(tmp_path: Path) -> None:
    assert natural_side([tmp_path / "gone.png"], 10**6) == 64


def test_a_missing_dataset_is_what_is_wrong_first(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    asked = Subject(
        tmp_path / "nowhere", tmp_path, None, tmp_path / "home", report=tmp_path / "file"
    )
    with pytest.raises(UeError, match="nowhere does not exist"):
        asked.read(Quiet())


@pytest.mark.slow
def test_a_report_on_other_files_is_left_alone(tmp_path: Path) -> None:
    for index in range(40):
        name = f"{('cats', 'dogs')[index % 2]}/{index}.png"
        picture(tmp_path / "out" / name, index, size=(32, 32))
        picture(tmp_path / "src" / name, 100 + index, size=(32, 32))
    asked = Subject(
        tmp_path / "out",
        tmp_path / "src",
        None,
        tmp_path / "home",
        report=tmp_path / "report",
        min_test=4,
        jobs=1,
    )
    assert asked.read(Quiet()).collection is None
    for index in range(4):
        picture(tmp_path / "photos" / "cats" / f"{index}.png", 200 + index, size=(32, 32))
    home = tmp_path / "home"
    with one_process():
        protect(ProtectOptions(src=tmp_path / "photos", out=tmp_path / "other", home=home), Quiet())
    about = json.loads((tmp_path / "other.report" / "report.json").read_text())["collection"]
    with pytest.raises(UeError, match=f"one about the collection {about}") as caught:
        replace(asked, report=tmp_path / "other.report").read(Quiet())
    assert caught.value.code == "report-of-another"
    replace(asked, report=tmp_path / "another").read(Quiet())
