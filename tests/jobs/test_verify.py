"""What `ue verify` notices, and what `ue key` lists."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from tests.jobs.conftest import picture, run_here, run_ue, tree
from ue_cli.errors import UeError
from ue_cli.owner.key import KEY_FILE
from ue_cli.owner.manifest import MANIFEST_FILE
from ue_cli.protection.results import VerifyResult
from ue_cli.protection.verify import verify

pytestmark = pytest.mark.usefixtures("here")


class Silent:
    """`Phases` for tests in this process."""

    def start(self, title: str, total: int) -> None: ...

    def step(self, count: int = 1) -> None: ...

    def note(self, text: str) -> None: ...


@dataclass(frozen=True)
class Place:
    """A protected folder, its originals and its owner's state."""

    src: Path
    out: Path
    home: Path

    def verify(self, home: Path | None = None) -> VerifyResult:
        return verify(self.out, self.src, home=home or self.home, jobs=1, phases=Silent())


def deep(path: Path, channels: int) -> None:
    """A 16-bit PNG or TIFF."""
    from ue_cli.images.png_deep import png16

    values = np.arange(40 * 50 * channels, dtype=np.uint32).reshape(40, 50, channels) * 31 % 65_536
    if channels == 1:
        Image.fromarray(values[..., 0].astype(np.uint16)).save(path)
        return
    shell = Image.new("L", (1, 1))
    shell.save(path)
    path.write_bytes(png16(path.read_bytes(), values.astype(np.uint16), 2))


@pytest.fixture(scope="module")
def original(tmp_path_factory: pytest.TempPathFactory) -> Place:
    root = tmp_path_factory.mktemp("verified")
    place = Place(root / "src", root / "out", root / "home")
    exif = Image.Exif()
    exif[0x010F], exif[0x0112] = "A maker", 6
    picture(place.src / "cats" / "420.jpg", 1, quality=90, exif=exif, comment=b"hello")
    picture(place.src / "cats" / "444.jpg", 2, quality=95, subsampling=0, progressive=True)
    picture(place.src / "dogs" / "odd.jpg", 3, size=(37, 51), quality=80, restart_marker_rows=1)
    picture(place.src / "dogs" / "plain.png", 4)
    picture(place.src / "dogs" / "web.webp", 5, lossless=True)
    picture(place.src / "dogs" / "lossy.webp", 6)
    picture(place.src / "dogs" / "scan.tif", 7, compression="tiff_deflate")
    picture(place.src / "dogs" / "pixels.bmp", 8)
    with Image.open(picture(place.src / "cats" / "gray.jpg", 9)) as image:
        image.convert("L").save(place.src / "cats" / "gray.jpg")
    rng = np.random.default_rng(10)
    clear = rng.integers(0, 256, (30, 40, 4), dtype=np.uint8)
    Image.fromarray(clear).save(place.src / "cats" / "alpha.png")
    Image.fromarray(clear).save(place.src / "cats" / "alpha.webp", lossless=True, exact=True)
    Image.fromarray(clear[..., 0]).convert("P").save(place.src / "cats" / "palette.gif")
    deep(place.src / "cats" / "deep.png", 3)
    deep(place.src / "cats" / "deep gray.png", 1)
    deep(place.src / "cats" / "deep gray.tif", 1)
    done = run_here(place.home, "protect", place.src, "-o", place.out, "--opt-out")
    assert done.all_written, done.out
    return place


@pytest.fixture
def place(original: Place, tmp_path: Path) -> Place:
    for name in ("src", "out", "home"):
        shutil.copytree(getattr(original, name), tmp_path / name)
    return Place(tmp_path / "src", tmp_path / "out", tmp_path / "home")


def test_what_was_written_verifies(place: Place, tmp_path: Path) -> None:
    result = place.verify()
    assert not result.problems and result.measured == 15 and 0 < result.linf <= 8
    # Anybody with the originals can verify, without the owner's state.
    without = place.verify(tmp_path / "nobody")
    assert not without.problems and without.linf == result.linf


def change(place: Place) -> dict[str, str]:
    data = bytearray((place.out / "dogs" / "plain.png").read_bytes())
    data[len(data) // 2] ^= 1
    (place.out / "dogs" / "plain.png").write_bytes(data)
    return {"dogs/plain.png": "changed"}


def remove(place: Place) -> dict[str, str]:
    (place.out / "cats" / "420.jpg").unlink()
    return {"cats/420.jpg": "missing"}


def pipe(place: Place) -> dict[str, str]:
    (place.out / "cats" / "420.jpg").unlink()
    os.mkfifo(place.out / "cats" / "420.jpg")
    return {"cats/420.jpg": "missing"}


def add(place: Place) -> dict[str, str]:
    shutil.copy(place.src / "dogs" / "plain.png", place.out / "dogs" / "stray.png")
    (place.out / "dogs" / "link.png").symlink_to(place.src / "dogs" / "plain.png")
    return {"dogs/stray.png": "stray", "dogs/link.png": "stray"}


def exceed(place: Place) -> dict[str, str]:
    """Somebody writes a file beyond the budget and lists it properly."""
    import hashlib

    path = place.out / "dogs" / "plain.png"
    with Image.open(place.src / "dogs" / "plain.png") as image:
        pixels = np.asarray(image).copy()
    pixels[3, 4, 1] += 9 if pixels[3, 4, 1] < 128 else -9
    Image.fromarray(pixels).save(path)
    edit(place, "dogs/plain.png", sha256=hashlib.sha256(path.read_bytes()).hexdigest())
    return {"dogs/plain.png": "over-budget"}


def resize(place: Place) -> dict[str, str]:
    picture(place.src / "dogs" / "plain.png", 4, size=(10, 10))
    return {"dogs/plain.png": "original-changed"}


def lose_original(place: Place) -> dict[str, str]:
    (place.src / "dogs" / "plain.png").unlink()
    return {"dogs/plain.png": "no-original"}


def join(place: Place) -> dict[str, str]:
    picture(place.src / "dogs" / "new.png", 40)
    (place.src / "dogs" / "text.jpg").write_text("not a photo")
    return {"dogs/new.png": "unprotected"}


def unfinish(place: Place) -> dict[str, str]:
    lines = (place.out / MANIFEST_FILE).read_text()
    (place.out / MANIFEST_FILE).write_text(lines.replace('"complete": true', '"complete": false'))
    return {MANIFEST_FILE: "incomplete"}


def link_folder(place: Place) -> dict[str, str]:
    shutil.rmtree(place.out / "cats")
    (place.out / "cats").symlink_to(place.src / "cats")
    inside = {name: "path-is-link" for name in tree(place.src) if name.startswith("cats/")}
    inside["cats/palette.gif.png"] = inside.pop("cats/palette.gif")
    return {**inside, "cats": "stray"}


def edit(place: Place, listed: str, **changes: str) -> None:
    lines = (place.out / MANIFEST_FILE).read_text().splitlines()
    values: list[dict[str, Any]] = [json.loads(line) for line in lines]
    for value in values:
        if value.get("path") == listed:
            value.update(changes)
    (place.out / MANIFEST_FILE).write_text("".join(json.dumps(v) + "\n" for v in values))


@pytest.mark.parametrize(
    "meddle",
    [change, remove, pipe, add, exceed, resize, lose_original, join, unfinish, link_folder],
)
def test_verify_notices(place: Place, meddle: Callable[[Place], dict[str, str]]) -> None:
    expected = meddle(place)
    result = place.verify()
    assert {one.name: one.code for one in result.problems} == expected
    assert result.exit_code == 5


@pytest.mark.parametrize("path", ["/etc/passwd", "../src/cats/420.jpg", "cats/../../x", "C:\\x"])
def test_hostile_manifests_are_refused(place: Place, path: str) -> None:
    edit(place, "cats/420.jpg", path=path)
    with pytest.raises(UeError) as refused:
        place.verify()
    assert (refused.value.code, refused.value.exit_code) == ("manifest-invalid", 5)


def test_the_key_is_described_and_a_copy_of_it_is_the_same(place: Place, tmp_path: Path) -> None:
    described = run_here(place.home, "key").result
    (collection,) = described["collections"]
    assert (collection["files"], Path(collection["source"]).name) == (15, "src")
    (tmp_path / "other").mkdir(mode=0o700)
    shutil.copy(described["file"], tmp_path / "other")
    copied = run_here(tmp_path / "other", "key").result
    assert (copied["key"], copied["collections"]) == (described["key"], [])
    lines = run_ue(place.home, "key", people=True).out
    assert described["key"] in lines and "cp -p" in lines
    nothing = run_here(tmp_path / "new", "key").result
    assert (nothing["key"], nothing["collections"]) == (None, [])
    assert not (tmp_path / "new").exists()


@pytest.mark.slow
def test_another_key_never_goes_on_with_a_collection(place: Place, tmp_path: Path) -> None:
    other = tmp_path / "other"
    picture(tmp_path / "photos" / "a" / "1.png", 1)
    assert run_here(other, "protect", tmp_path / "photos").all_written
    shutil.copy(place.home / KEY_FILE, other / KEY_FILE)
    shutil.copytree(place.home / "collections", other / "collections", dirs_exist_ok=True)
    # What the replaced key made is listed still, and refused with a sentence.
    listed = run_here(other, "key").result["collections"]
    assert sorted(str(collection["files"]) for collection in listed) == ["15", "None"]
    joined = run_here(other, "protect", tmp_path / "photos")
    assert (joined.code, joined.envelope["error"]["code"]) == (2, "state-foreign")
