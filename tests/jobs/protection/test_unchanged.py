"""A second run reads what may have changed, and trusts size and time for the rest."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from tests.jobs.conftest import Ue, picture
from ue_cli.protection import protect as run

OLD = 1_600_000_000 * 10**9


@pytest.fixture
def photos(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Six photos that were last written years ago; the report examines none."""
    monkeypatch.setattr(run, "EXAMINED", 0)
    monkeypatch.setattr(run, "WORST", 0)
    for index in range(6):
        path = tmp_path / "photos" / ("cats", "dogs")[index % 2] / f"{index}.bmp"
        os.utime(picture(path, index), ns=(OLD, OLD))
    return tmp_path / "photos"


def output(photos: Path, name: str) -> bytes:
    return (photos.with_name("photos-protected") / name).read_bytes()


def replace(path: Path, seed: int, modified: int) -> None:
    """Another picture of the same size in bytes, last written at a time of choice."""
    size = path.stat().st_size
    picture(path, seed)
    assert path.stat().st_size == size
    os.utime(path, ns=(modified, modified))


def test_another_time_is_noticed_and_the_same_time_is_trusted_unless_rehashed(
    ue: Ue, photos: Path
) -> None:
    assert ue("protect", photos).result["protected"] == 6
    before = {name: output(photos, name) for name in ("cats/0.bmp", "dogs/1.bmp")}
    replace(photos / "cats/0.bmp", 100, OLD)
    replace(photos / "dogs/1.bmp", 101, OLD + 10**9)

    second = ue("protect", photos)
    assert (second.result["protected"], second.result["kept"]) == (1, 5)
    assert output(photos, "cats/0.bmp") == before["cats/0.bmp"]
    assert output(photos, "dogs/1.bmp") != before["dogs/1.bmp"]

    third = ue("protect", photos, "--rehash")
    assert (third.result["protected"], third.result["kept"]) == (1, 5)
    assert output(photos, "cats/0.bmp") != before["cats/0.bmp"]


def test_an_output_that_is_gone_is_written_again(ue: Ue, photos: Path) -> None:
    ue("protect", photos)
    before = output(photos, "cats/0.bmp")
    (photos.with_name("photos-protected") / "cats/0.bmp").unlink()
    assert ue("protect", photos).result["protected"] == 1
    assert output(photos, "cats/0.bmp") == before


def test_a_photo_that_was_read_at_once_is_read_again(ue: Ue, photos: Path) -> None:
    picture(photos / "cats/0.bmp", 200)
    ue("protect", photos)
    before = output(photos, "cats/0.bmp")
    modified = (photos / "cats/0.bmp").stat().st_mtime_ns
    replace(photos / "cats/0.bmp", 201, modified)
    assert ue("protect", photos).result["protected"] == 1
    assert output(photos, "cats/0.bmp") != before


def test_a_photo_of_the_report_that_changed_behind_its_time_is_written_again(
    ue: Ue, photos: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    ue("protect", photos)
    for index in range(6):
        replace(photos / ("cats", "dogs")[index % 2] / f"{index}.bmp", 300 + index, OLD)
    monkeypatch.setattr(run, "WORST", 2)
    second = ue("protect", photos)
    assert (second.result["protected"], second.result["kept"]) == (2, 4)
    out = photos.with_name("photos-protected")
    assert ue("verify", out, "--original", photos).code == 5
    ue("protect", photos, "--rehash")
    assert ue("verify", out, "--original", photos).code == 0
