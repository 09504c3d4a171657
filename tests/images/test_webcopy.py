"""The copy that a website publishes of an upload."""

from __future__ import annotations

import io
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageOps

from tests.jobs.conftest import Quiet, picture
from ue_cli.datasets.images import load_images
from ue_cli.errors import SkipFile
from ue_cli.images.webcopy import WebCopy


def opened(data: bytes) -> Image.Image:
    return Image.open(io.BytesIO(data))


def test_the_long_edge_is_cut_down_and_never_enlarged(tmp_path: Path) -> None:
    tall = picture(tmp_path / "tall.png", 0, size=(60, 90))
    assert opened(WebCopy(45, 80).of(tall)).size == (30, 45)
    assert opened(WebCopy(2048, 80).of(tall)).size == (60, 90)


def test_it_is_a_420_jpeg_of_that_quality_without_metadata(tmp_path: Path) -> None:
    exif = Image.Exif()
    exif[271] = "Camera"
    path = picture(tmp_path / "a.jpg", 1, exif=exif, quality=95, subsampling=0, comment=b"mine")
    copy = opened(WebCopy(64, 70).of(path))
    assert copy.format == "JPEG"
    assert not copy.getexif() and "icc_profile" not in copy.info and "comment" not in copy.info
    assert [layer[1:3] for layer in copy.layer] == [(2, 2), (1, 1), (1, 1)]  # type: ignore[attr-defined]
    reference = io.BytesIO()
    Image.new("RGB", (8, 8)).save(reference, "JPEG", quality=70)
    assert copy.quantization == opened(reference.getvalue()).quantization  # type: ignore[attr-defined]


def test_pixels_are_those_of_an_upright_resize(tmp_path: Path) -> None:
    exif = Image.Exif()
    exif[274] = 6
    path = picture(tmp_path / "turned.jpg", 2, size=(160, 96), exif=exif, quality=95)
    with Image.open(path) as image:
        upright = ImageOps.exif_transpose(image)
    wanted = upright.resize((48, 80), Image.Resampling.LANCZOS)
    found = opened(WebCopy(80, 95).of(path))
    assert found.size == (48, 80)
    difference = np.abs(np.asarray(found, np.int16) - np.asarray(wanted, np.int16))
    assert difference.mean() < 2


@pytest.mark.parametrize("mode", ["L", "RGBA", "I;16"])
def test_every_kind_of_pixel_can_be_published(tmp_path: Path, mode: str) -> None:
    values = np.full((20, 20), 40 * 257, np.uint16)
    image = Image.fromarray(values) if mode == "I;16" else Image.new(mode, (20, 20), 40)
    image.save(tmp_path / "a.png")
    copy = opened(WebCopy(10, 90).of(tmp_path / "a.png"))
    assert copy.size == (10, 10) and copy.mode in ("L", "RGB")


def test_what_is_no_image_is_refused(tmp_path: Path) -> None:
    (tmp_path / "a.jpg").write_bytes(b"text")
    with pytest.raises(SkipFile):
        WebCopy(10, 90).of(tmp_path / "a.jpg")


def test_a_trainer_reads_the_copy(tmp_path: Path) -> None:
    path = picture(tmp_path / "a.png", 3, size=(200, 150))
    copy = WebCopy(64, 30)
    (tmp_path / "published.jpg").write_bytes(copy.of(path))
    published, plain = (
        load_images([file], 32, jobs=1, phases=Quiet(), title="")
        for file in (tmp_path / "published.jpg", path)
    )
    through = load_images([path], 32, jobs=1, phases=Quiet(), title="", copy=copy)
    assert np.array_equal(through, published)
    assert not np.array_equal(through, plain)
