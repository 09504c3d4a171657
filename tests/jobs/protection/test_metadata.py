"""What travels with a photo, through the command line: no copy of the original ever does."""

from __future__ import annotations

import io
import json
import struct
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image, ImageCms
from PIL.TiffImagePlugin import ImageFileDirectory_v2

from tests.jobs.conftest import picture, run_here
from tests.metadata import hidden_pictures as hidden

DATA_MINING = b"DMI-PROHIBITED-AIMLTRAINING"
PROFILE = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
GPS = 0x8825


def multi_picture(first: bytes, second: bytes) -> bytes:
    """An MPO: the MPF index in the first picture points at the second."""
    entries = struct.pack(">IIIHH", 0x030000, len(first) + 90, 0, 0, 0)
    entries += struct.pack(">IIIHH", 0x020002, len(second), len(first), 0, 0)
    index = struct.pack(">H", 3)
    index += struct.pack(">HHI4s", 0xB000, 7, 4, b"0100")
    index += struct.pack(">HHII", 0xB001, 4, 1, 2)
    index += struct.pack(">HHII", 0xB002, 7, 32, 50) + struct.pack(">I", 0)
    body = b"MPF\0MM\0*" + struct.pack(">I", 8) + index + entries
    return hidden.with_segments(first, hidden.segment(0xE2, body)) + second


def crammed() -> tuple[bytes, list[bytes]]:
    """A JPEG with a copy of itself in every place that there is, and those copies."""
    thumbnail, resource, second, trailer = (hidden.jpeg(seed) for seed in (1, 2, 3, 4))
    irb = b"Photoshop 3.0\0" + hidden.photoshop_resource(0x040C, bytes(28) + resource)
    exif = b"Exif\0\0" + hidden.exif(thumbnail=thumbnail)
    profile = b"ICC_PROFILE\0\1\1" + PROFILE
    main = hidden.with_segments(
        hidden.jpeg(0, quality=90),
        hidden.segment(0xE1, exif),
        hidden.segment(0xED, irb),
        hidden.segment(0xE2, profile),
    )
    return multi_picture(main, second) + trailer, [thumbnail, resource, second, trailer]


@pytest.fixture
def src(tmp_path: Path) -> Path:
    """One class per kind of file, each with EXIF (position included), ICC and orientation."""
    src = tmp_path / "src"
    exif = Image.Exif()
    exif[0x0112], exif[0x010F] = 6, "A camera maker"
    exif.get_ifd(GPS)[1] = "N"
    exif.get_ifd(GPS)[2] = (48.0, 51.0, 29.0)
    options: dict[str, Any] = {"exif": exif, "icc_profile": PROFILE}
    picture(src / "jpeg" / "photo.jpg", 1, quality=90, **options)
    picture(src / "png" / "photo.png", 2, **options)
    picture(src / "webp" / "photo.webp", 3, lossless=True, **options)
    tags = ImageFileDirectory_v2()
    tags[0x0112], tags[0x010F], tags[GPS] = 6, "A camera maker", dict(exif.get_ifd(GPS))
    picture(src / "tiff" / "photo.tif", 4, tiffinfo=tags, icc_profile=PROFILE)
    (src / "jpeg" / "crammed.jpg").write_bytes(crammed()[0])
    return src


ALL = ("jpeg/photo.jpg", "png/photo.png", "webp/photo.webp", "tiff/photo.tif")


def opened(path: Path) -> tuple[Image.Exif, bytes, int]:
    with Image.open(path) as image:
        exif = image.getexif()
        exif.get_ifd(GPS)  # while the file is open
        return exif, image.info.get("icc_profile", b""), exif.get(0x0112, 1)


def test_embedded_copies_are_removed_and_listed(src: Path, tmp_path: Path) -> None:
    done = run_here(tmp_path / "home", "protect", src, "--jobs", 1)
    assert done.all_written, done.out
    out = tmp_path / "src-protected"
    written = (out / "jpeg" / "crammed.jpg").read_bytes()
    _, copies = crammed()
    for copy in copies:
        assert hidden.is_gone(copy, written)
    assert written.count(b"\xff\xd8\xff") == 1 and written.endswith(b"\xff\xd9")

    report = json.loads((tmp_path / "src-protected.report" / "report.json").read_text())
    files = {one["name"]: one for one in report["files"]}
    removed = " ".join(files["jpeg/crammed.jpg"]["removed"])
    for kind in ("EXIF thumbnail", "Photoshop thumbnail", "(MPF)", "behind the picture"):
        assert kind.casefold() in removed.casefold(), removed
    assert files["png/photo.png"]["removed"] == []
    assert "embedded-copies" in {one["code"] for one in done.result["warnings"]}

    for name in ALL:
        exif, profile, orientation = opened(out / name)
        assert (profile, orientation) == (PROFILE, 6), name
        assert exif[0x010F] == "A camera maker" and exif.get_ifd(GPS), name
        assert DATA_MINING not in (out / name).read_bytes(), name


def test_the_position_can_be_left_out(src: Path, tmp_path: Path) -> None:
    done = run_here(tmp_path / "home", "protect", src, "--strip-gps", "--opt-out", "--jobs", 1)
    assert done.all_written, done.out
    out = tmp_path / "src-protected"
    for name in (*ALL, "jpeg/crammed.jpg"):
        exif, _, orientation = opened(out / name)
        assert not exif.get_ifd(GPS) and orientation == 6, name
        assert exif[0x010F] == "A camera maker", name
        # Whoever reads XMP finds the field in every type of file.
        with Image.open(out / name) as image:
            packet = image.info.get("xmp") or image.info.get("XML:com.adobe.xmp") or b""
            if not packet and image.format == "TIFF":
                packet = image.tag_v2[700]  # type: ignore[attr-defined]
        text = packet.encode() if isinstance(packet, str) else bytes(packet)
        assert DATA_MINING in text and b"DataMining" in text, name


@pytest.mark.slow
def test_all_metadata_can_be_left_out(src: Path, tmp_path: Path) -> None:
    done = run_here(tmp_path / "home", "protect", src, "--strip-metadata", "--jobs", 1)
    assert done.all_written, done.out
    for name in (*ALL, "jpeg/crammed.jpg"):
        path = tmp_path / "src-protected" / name
        exif, profile, orientation = opened(path)
        assert (profile, orientation) == (PROFILE, 6), name
        assert 0x010F not in exif and not exif.get_ifd(GPS), name
        assert b"camera maker" not in path.read_bytes(), name
        with Image.open(path) as image, Image.open(src / name) as source:
            shown = np.abs(
                np.asarray(image.convert("RGB"), np.int16)
                - np.asarray(source.convert("RGB"), np.int16)
            )
        assert 0 < shown.max() <= 8, name


@pytest.mark.slow
def test_the_report_holds_what_it_should_and_not_the_position(src: Path, tmp_path: Path) -> None:
    """The report is private, but there is no reason for its pictures to carry metadata."""
    run_here(tmp_path / "home", "protect", src, "--jobs", 1)
    page = (tmp_path / "src-protected.report" / "report.html").read_text()
    import base64
    import re

    pictures = re.findall(r"data:image/\w+;base64,([A-Za-z0-9+/=]+)", page)
    assert pictures
    for text in pictures:
        with Image.open(io.BytesIO(base64.b64decode(text))) as image:
            assert not image.getexif()
