"""What a trainer reads from files of every kind."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image, ImageOps

from tests.jobs.conftest import Quiet, picture
from ue_cli.datasets.images import load_images
from ue_cli.errors import UeError
from ue_cli.images.square import read_square


def load(paths: list[Path], side: int, jobs: int = 1) -> NDArray[np.uint8]:
    return load_images(paths, side, jobs=jobs, phases=Quiet(), title="Reading")


def far(a: NDArray[Any], b: NDArray[Any]) -> int:
    return int(np.abs(a.astype(int) - b.astype(int)).max())


def test_order_and_shape_do_not_depend_on_the_number_of_processes(tmp_path: Path) -> None:
    paths = [picture(tmp_path / f"{i}.png", i) for i in range(7)]
    one, two = load(paths, 24), load(paths, 24, jobs=2)
    assert one.shape == (7, 3, 24, 24) and one.dtype == np.uint8
    assert np.array_equal(one, two)
    assert len({image.tobytes() for image in one}) == 7
    assert np.array_equal(one[3], read_square(paths[3], 24).transpose(2, 0, 1))


def test_the_centre_square_of_the_picture_is_taken(tmp_path: Path) -> None:
    wide = np.zeros((20, 60, 3), np.uint8)
    wide[:, 20:40] = (10, 200, 90)
    Image.fromarray(wide).save(tmp_path / "wide.png")
    assert np.array_equal(
        read_square(tmp_path / "wide.png", 20), np.broadcast_to(wide[0, 30], (20, 20, 3))
    )


def test_shrinking_averages_instead_of_skipping(tmp_path: Path) -> None:
    stripes = np.zeros((64, 64, 3), np.uint8)
    stripes[:, ::2] = 255
    Image.fromarray(stripes).save(tmp_path / "stripes.png")
    assert np.abs(read_square(tmp_path / "stripes.png", 8)[:, 1:-1].astype(int) - 127).max() <= 8


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("suffix", [".jpg", ".png", ".tif"])
def test_every_orientation_is_read_upright(tmp_path: Path, orientation: int, suffix: str) -> None:
    picture(tmp_path / "a.png", 3, size=(90, 60))
    exif = Image.Exif()
    exif[274] = orientation
    turned = tmp_path / f"turned{suffix}"
    options: dict[str, Any] = {"quality": 98, "subsampling": 0} if suffix == ".jpg" else {}
    with Image.open(tmp_path / "a.png") as image:
        image.save(turned, exif=exif, **options)
    with Image.open(turned) as image:
        shown = ImageOps.exif_transpose(image)
    left, top = (shown.width - 60) // 2, (shown.height - 60) // 2
    square = shown.convert("RGB").crop((left, top, left + 60, top + 60))
    assert far(read_square(turned, 60), np.asarray(square)) <= 1


def test_gray_alpha_and_sixteen_bits_become_plain_rgb(tmp_path: Path) -> None:
    gray = np.arange(256, dtype=np.uint8).reshape(16, 16)
    Image.fromarray(gray).save(tmp_path / "gray.png")
    Image.fromarray(gray.astype(np.uint16) * 257).save(tmp_path / "deep.png")
    colour = np.dstack([gray, gray.T, 255 - gray, np.zeros_like(gray)])
    Image.fromarray(colour).save(tmp_path / "clear.png")
    for name in ("gray.png", "deep.png"):
        assert np.array_equal(read_square(tmp_path / name, 16), np.repeat(gray[..., None], 3, 2))
    assert np.array_equal(read_square(tmp_path / "clear.png", 16), colour[..., :3])


def test_a_large_jpeg_is_read_at_a_fraction_and_looks_the_same(tmp_path: Path) -> None:
    path = picture(tmp_path / "large.jpg", 5, size=(1600, 1200), quality=95)
    with Image.open(path) as image:
        whole = image.convert("RGB").crop((200, 0, 1400, 1200))
        wanted = np.asarray(whole.resize((32, 32), Image.Resampling.BILINEAR))
    assert far(read_square(path, 32), wanted) <= 3


def test_an_unreadable_file_is_named_with_the_reason(tmp_path: Path) -> None:
    paths = [picture(tmp_path / f"{i}.png", i) for i in range(3)]
    paths[1].write_bytes(paths[1].read_bytes()[:60])
    paths.append(tmp_path / "gone.png")
    with pytest.raises(UeError, match=r"2 cannot be read; the first is .*1\.png: .*too early") as e:
        load(paths, 8)
    assert e.value.code == "image-unreadable"


def test_no_files_are_no_images() -> None:
    assert load([], 16).shape == (0, 3, 16, 16)
