"""A folder of everything that is no usable photo, and names that break careless programs."""

from __future__ import annotations

import io
import json
import os
import socket
import struct
import unicodedata
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from tests.jobs.conftest import Done, picture, pixels, run_here, run_ue, tree


def encoded(format: str, mode: str = "RGB", **options: object) -> bytes:
    rng = np.random.default_rng(len(format))
    noise = rng.integers(0, 255, (40, 48, 3), dtype=np.uint8)
    stream = io.BytesIO()
    Image.fromarray(noise).convert(mode).save(stream, format, **options)
    return stream.getvalue()


def bomb() -> bytes:
    """A PNG of 10¹⁰ pixels in a hundred bytes."""

    def chunk(kind: bytes, body: bytes) -> bytes:
        return (
            struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))
        )

    header = struct.pack(">IIBBBBB", 100_000, 100_000, 8, 2, 0, 0, 0)
    data = zlib.compress(bytes(1000))
    return (
        b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", data) + chunk(b"IEND", b"")
    )


def start_of_frame(kind: int, precision: int) -> bytes:
    """A JPEG whose header promises another coding or precision than its data has."""
    data = encoded("JPEG")
    at = data.index(b"\xff\xc0")
    return (
        data[: at + 1] + bytes([kind]) + data[at + 2 : at + 4] + bytes([precision]) + data[at + 5 :]
    )


def several(format: str) -> bytes:
    frames = [Image.new("RGB", (20, 20), (shade, 80, 80)) for shade in (10, 90, 200)]
    stream = io.BytesIO()
    frames[0].save(stream, format, save_all=True, append_images=frames[1:])
    return stream.getvalue()


def half(data: bytes) -> bytes:
    return data[: len(data) // 2]


BAD: dict[str, tuple[str, bytes]] = {
    "cut.jpg": ("truncated", half(encoded("JPEG"))),
    "cut.png": ("truncated", half(encoded("PNG"))),
    "cut.webp": ("corrupt", half(encoded("WEBP"))),
    "cut.tif": ("truncated", encoded("TIFF")[:3000]),
    "cut.bmp": ("truncated", half(encoded("BMP"))),
    "header only.jpg": ("truncated", encoded("JPEG")[:640]),
    "two bytes.jpg": ("not-an-image", b"\xff\xd8"),
    "zero.jpg": ("empty", b""),
    "text.jpg": ("not-an-image", b"I am not a photo.\n" * 40),
    "page.html": ("not-an-image", b"<!doctype html><img src=x>"),
    "drawing.svg": ("not-an-image", b"<svg xmlns='http://www.w3.org/2000/svg'/>"),
    "paper.pdf": ("not-an-image", b"%PDF-1.7\n" + bytes(200)),
    "print.eps": ("not-an-image", b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 10 10\nquit\n"),
    "noise.png": ("corrupt", b"\x89PNG\r\n\x1a\n" + bytes(range(256)) * 4),
    "animated.gif": ("animated", several("GIF")),
    "animated.webp": ("animated", several("WEBP")),
    "animated.png": ("animated", several("PNG")),
    "pages.tif": ("animated", several("TIFF")),
    "cmyk.jpg": ("colour-mode", encoded("JPEG", "CMYK")),
    "cmyk.tif": ("colour-mode", encoded("TIFF", "CMYK")),
    "lab.tif": ("colour-mode", encoded("TIFF", "LAB")),
    "float.tif": ("colour-mode", encoded("TIFF", "F")),
    "integer.tif": ("colour-mode", encoded("TIFF", "I")),
    "bomb.png": ("too-many-pixels", bomb()),
    "12 bits.jpg": ("corrupt", start_of_frame(0xC1, 12)),
    "lossless.jpg": ("corrupt", start_of_frame(0xC3, 8)),
}
# What libjpeg was built with decides whether it decodes these.
EITHER = {
    "arithmetic.jpg": start_of_frame(0xC9, 8),
    "zero-filled.jpg": half(encoded("JPEG")) + bytes(500),
}


@dataclass(frozen=True)
class Ran:
    """A folder that was protected once for all the tests that look at it."""

    src: Path
    out: Path
    home: Path
    done: Done

    @property
    def report(self) -> Path:
        return self.out.with_name(self.out.name + ".report")


@pytest.fixture(scope="module")
def bad(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Ran]:
    root = tmp_path_factory.mktemp("bad")
    src = root / "src"
    picture(src / "cats" / "good.jpg", 1, quality=90)
    picture(src / "dogs" / "good.png", 2)
    for name, (_, data) in BAD.items():
        (src / "cats" / name).write_bytes(data)
    for name, data in EITHER.items():
        (src / "cats" / name).write_bytes(data)
    os.mkfifo(src / "cats" / "pipe.jpg")
    (src / "cats" / "vast.jpg").touch()
    os.truncate(src / "cats" / "vast.jpg", 1 << 40)
    picture(root / "private" / "secret.jpg", 3)
    (src / "outside").symlink_to("../private")
    (src / "cats" / "outside.jpg").symlink_to("../../private/secret.jpg")
    (src / "cats" / "nowhere.jpg").symlink_to("gone.jpg")
    (src / "cats" / "self.jpg").symlink_to("self.jpg")
    (src / "dogs" / "up").symlink_to("..")
    (src / "linked").symlink_to("dogs")
    with socket.socket(socket.AF_UNIX) as server:
        here = Path.cwd()
        os.chdir(src / "cats")  # a socket's path may have a hundred bytes
        try:
            server.bind("socket.jpg")
        finally:
            os.chdir(here)
        done = run_ue(root / "home", "protect", src, "-o", root / "out", "--jobs", 1, timeout=300)
    yield Ran(src, root / "out", root / "home", done)


def test_unusable_files_are_skipped_with_the_reason(bad: Ran) -> None:
    assert bad.done.code == 6, bad.done.err
    found = {one["name"]: one for one in bad.done.result["skipped"]}
    expected = {f"cats/{name}": code for name, (code, _) in BAD.items()} | {
        "cats/pipe.jpg": "special-file",
        "cats/socket.jpg": "special-file",
        "cats/vast.jpg": "too-large",
        "cats/outside.jpg": "link-outside",
        "outside": "link-outside",
        "cats/nowhere.jpg": "broken-link",
        "cats/self.jpg": "broken-link",
        "dogs/up": "link-loop",
        "linked/up": "link-loop",
    }
    either = {f"cats/{name}" for name in EITHER}
    assert {name: one["code"] for name, one in found.items() if name not in either} == expected
    assert all(one["reason"].endswith((".", ")")) for one in found.values()), found


def test_what_is_usable_beside_them_is_protected(bad: Ran) -> None:
    either = {f"cats/{name}{new}" for name in EITHER for new in ("", ".png")}
    written = set(tree(bad.out)) - either
    assert written == {"cats/good.jpg", "dogs/good.png", "linked/good.png", "ue-manifest.jsonl"}
    for name in ("cats/good.jpg", "dogs/good.png"):
        assert 0 < np.abs(pixels(bad.out / name) - pixels(bad.src / name)).max() <= 8


def test_skipped_files_are_in_the_report(bad: Ran) -> None:
    value = json.loads((bad.report / "report.json").read_text())
    assert value["counts"]["skipped"] == len(bad.done.result["skipped"]) == len(value["skipped"])
    page = (bad.report / "report.html").read_text()
    assert "animated.webp" in page and "too-many-pixels" in page
    assert "part-of-a-class" in {one["code"] for one in bad.done.result["warnings"]}


def test_unusable_originals_are_no_problem_for_verify(bad: Ran) -> None:
    done = run_ue(bad.home, "verify", bad.out, "--original", bad.src, "--jobs", 1, timeout=300)
    assert (done.code, done.result["problems"]) == (0, [])


@pytest.mark.slow
def test_a_folder_of_nothing_usable_leaves_nothing_behind(tmp_path: Path) -> None:
    (tmp_path / "src").mkdir()
    for name in ("text.jpg", "cmyk.jpg", "animated.gif"):
        (tmp_path / "src" / name).write_bytes(BAD[name][1])
    done = run_ue(tmp_path / "home", "protect", tmp_path / "src", people=True)
    assert (done.code, done.out) == (3, "")
    assert "None of the 3 files could be protected" in done.err
    assert sorted(p.name for p in tmp_path.iterdir()) == ["home", "src"]
    assert not list((tmp_path / "home" / "collections").iterdir())


@pytest.mark.slow
def test_the_pixel_limit_moves(tmp_path: Path) -> None:
    picture(tmp_path / "src" / "a" / "small.png", 1, size=(20, 20))
    picture(tmp_path / "src" / "a" / "large.png", 2, size=(60, 20))
    done = run_here(tmp_path / "home", "protect", tmp_path / "src", "--max-pixels", 400)
    assert done.code == 6
    (skipped,) = done.result["skipped"]
    assert (skipped["name"], skipped["code"]) == ("a/large.png", "too-many-pixels")
    assert "--max-pixels" in skipped["reason"]


NAMES = [
    "a class/with space.jpg",
    "a class/new\nline.jpg",
    "a class/tab\t.png",
    "a class/bell\x07.jpg",
    "emoji🙂/photo🙂.jpg",
    "[b]x/[b]y[/b].jpg",
    "[b]x/<img src=x onerror=alert(1)>.jpg",
    "[b]x/&amp;.jpg",
    "-rf/-rf.jpg",
    "-rf/'single' \"double\" `tick` $(id).jpg",
    "-rf/%s%n{0}.png",
    "odd/up\\..\\x.jpg",
    "odd/up_.._x.jpg",
    "odd/C:\\x.jpg",
    "D:\\top.jpg",
    "odd/trailing.jpg\\",
    "odd/inner\\name.jpg",
    "odd/\\\\server\\share.png",
    "C:/drive.jpg",
    "back\\/slash.jpg",
    "long/" + "n" * 251 + ".jpg",
    "long/" + "ü" * 125 + ".gif",
    "long/" + "n" * 251 + ".gif",
    os.fsdecode(b"bytes/latin\xe9.jpg"),
    os.fsdecode(b"bytes\xff/\xfe.png"),
    "twins/A.jpg",
    "twins/a.jpg",
    "twins/" + unicodedata.normalize("NFC", "é.jpg"),
    "twins/" + unicodedata.normalize("NFD", "é.jpg"),
    "twins/x.gif",
    "twins/x.gif.png",
    "twins/X.GIF.PNG",
    "twins/y.gif",
    "twins/y.gif.png/inside.png",
    "twins/no extension",
    "twins/ue-manifest.jsonl",
    "twins/report.json",
]


@pytest.fixture(scope="module")
def named(tmp_path_factory: pytest.TempPathFactory) -> Ran:
    root = tmp_path_factory.mktemp("named")
    for seed, name in enumerate(NAMES):
        path = root / "src" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        kind = {".png": "PNG", ".gif": "GIF"}.get(name[-4:].lower(), "JPEG")
        picture(path, seed, size=(24, 20), format=kind)
    done = run_ue(root / "home", "protect", root / "src", "-o", root / "out")
    return Ran(root / "src", root / "out", root / "home", done)


def test_every_name_is_protected(named: Ran) -> None:
    # All are written; JPEGs of this size have no room for what would count.
    assert named.done.code == 6 and not named.done.result["skipped"], named.done.out
    lines = (named.out / "ue-manifest.jsonl").read_text().splitlines()[1:]
    listed = {json.loads(line)["path"] for line in lines}
    assert len(listed) == len(NAMES) == named.done.result["protected"]
    assert listed == set(tree(named.out)) - {"ue-manifest.jsonl"}
    on_windows = {unicodedata.normalize("NFC", x).casefold().replace("\\", "/") for x in listed}
    assert len(on_windows) == len(NAMES)
    for path in on_windows:
        assert ".." not in path.split("/") and "" not in path.split("/") and path[1:3] != ":/"
    # Only what cannot keep its name gets another.
    moved = set(NAMES) - listed
    assert len(moved) == 13 and "odd/inner\\name.jpg" not in moved, moved


def test_every_name_is_in_the_report_and_escaped(named: Ran) -> None:
    value = json.loads((named.report / "report.json").read_text())
    names = {one["name"] for one in value["files"]}
    valid = {name for name in NAMES if name.isprintable() and "\udc80" > max(name)}
    assert len(names) == len(NAMES) and valid <= names
    page = (named.report / "report.html").read_text()
    assert "<img src=x" not in page
    assert "&lt;img src=x onerror=alert(1)&gt;.jpg" in page
    assert "new\\nline.jpg" in page and "latin\\xe9.jpg" in page and "&amp;amp;.jpg" in page


@pytest.mark.slow
def test_every_name_verifies(named: Ran) -> None:
    checked = run_here(named.home, "verify", named.out, "--original", named.src)
    assert (checked.code, checked.result["problems"]) == (0, [])


def test_names_are_text_and_not_markup_on_the_terminal(named: Ran) -> None:
    done = run_ue(named.home, "protect", named.src, "-o", named.out, "--dry-run", people=True)
    assert done.code == 0
    assert "[b]x" in done.out and "\udcff" not in done.out


@pytest.mark.parametrize("command", ["protect", "optimize", "certify", "evaluate", "verify"])
def test_an_empty_path_is_not_the_current_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, command: str
) -> None:
    picture(tmp_path / "photos" / "cats" / "0.png", 0)
    monkeypatch.chdir(tmp_path / "photos")
    before = tree(tmp_path)
    more = ["-o", tmp_path / "bank.safetensors"] if command == "optimize" else []
    done = run_here(tmp_path / "home", command, "", *more)
    assert (done.code, done.envelope["error"]["code"]) == (2, "usage")
    assert tree(tmp_path) == before
