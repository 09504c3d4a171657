"""Coefficients go in and out of a JPEG unchanged, and nothing else of the file moves."""

from __future__ import annotations

import io
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from PIL import Image

from ue_cli.errors import SkipFile
from ue_cli.jpeg.quantised import (
    NotInCoefficientDomain,
    read_coefficients,
    write_coefficients,
)

SAMPLINGS = ["4:4:4", "4:2:2", "4:2:0", "4:4:0", "4:1:1", "gray"]


def picture(height: int, width: int, seed: int = 0) -> Image.Image:
    """Smooth areas, edges, texture, and some black and white."""
    rng = np.random.default_rng(seed)
    coarse = rng.integers(0, 256, (max(2, height // 9), max(2, width // 9), 3), dtype=np.uint8)
    image = np.asarray(Image.fromarray(coarse).resize((width, height), Image.Resampling.BILINEAR))
    noisy = image.astype(int) + rng.integers(-12, 13, image.shape)
    noisy[: height // 4] = 255
    noisy[:, : width // 5] = 0
    return Image.fromarray(noisy.clip(0, 255).astype(np.uint8))


def jpeg(
    height: int = 50, width: int = 70, sampling: str = "4:2:0", seed: int = 0, **options: Any
) -> bytes:
    image = picture(height, width, seed)
    buffer = io.BytesIO()
    if sampling == "gray":
        image.convert("L").save(buffer, "JPEG", **options)
    elif sampling in ("4:4:0", "4:1:1"):
        # Pillow writes neither: transcode a 4:2:2 or 4:2:0 frame's header instead.
        return resampled(image, sampling, **options)
    else:
        image.save(buffer, "JPEG", subsampling=sampling, **options)
    return buffer.getvalue()


def resampled(image: Image.Image, sampling: str, **options: Any) -> bytes:
    """A JPEG whose frame header claims another sampling, around coefficients of that shape."""
    factors = {"4:4:0": (1, 2), "4:1:1": (4, 1)}[sampling]
    buffer = io.BytesIO()
    image.save(buffer, "JPEG", subsampling="4:4:4", **options)
    full = read_coefficients(buffer.getvalue())
    h, v = factors
    planes = [full.planes[0]]
    for plane in full.planes[1:]:
        rows = -(-full.height // (8 * v))
        columns = -(-full.width // (8 * h))
        planes.append(np.ascontiguousarray(plane[::v, ::h][:rows, :columns]))
    header = []
    for marker, body in full.header:
        if marker in (0xC0, 0xC1, 0xC2):
            changed = bytearray(body)
            changed[7] = h << 4 | v
            body = bytes(changed)
        header.append((marker, body))
    return write_coefficients(
        replace(
            full, planes=tuple(planes), sampling=(factors, (1, 1), (1, 1)), header=tuple(header)
        )
    )


def pixels(data: bytes) -> NDArray[np.uint8]:
    return np.asarray(Image.open(io.BytesIO(data)))


@settings(deadline=None, max_examples=40)
@given(
    height=st.integers(1, 70),
    width=st.integers(1, 70),
    sampling=st.sampled_from(SAMPLINGS),
    quality=st.sampled_from([5, 50, 75, 92, 100]),
    variant=st.sampled_from(
        [{}, {"progressive": True}, {"optimize": True}, {"restart_marker_blocks": 3}]
    ),
)
def test_rewriting_keeps_every_coefficient_and_pixel(
    height: int, width: int, sampling: str, quality: int, variant: dict[str, Any]
) -> None:
    data = jpeg(height, width, sampling, quality=quality, **variant)
    read = read_coefficients(data)
    written = write_coefficients(read)
    again = read_coefficients(written)
    assert all(np.array_equal(a, b) for a, b in zip(read.planes, again.planes, strict=True))
    assert np.array_equal(pixels(data), pixels(written))
    assert again.progressive == read.progressive == bool(variant.get("progressive"))


def test_segments_other_than_huffman_tables_stay() -> None:
    data = jpeg(comment=b"left alone", exif=b"Exif\0\0II*\0\x08\0\0\0\0\0\0\0\0\0", quality=90)
    before, after = (
        read_coefficients(data),
        read_coefficients(write_coefficients(read_coefficients(data))),
    )
    kept = [segment for segment in before.header if segment[0] != 0xC4]
    assert [segment for segment in after.header if segment[0] != 0xC4] == kept


def test_size_stays_about_the_same() -> None:
    variants: list[dict[str, Any]] = [{}, {"optimize": True}, {"progressive": True}]
    for options in variants:
        data = jpeg(300, 400, quality=90, **options)
        assert len(write_coefficients(read_coefficients(data))) < 1.02 * len(data)


def test_nothing_after_the_end_marker_is_kept() -> None:
    data = jpeg()
    written = write_coefficients(read_coefficients(data + b"\xff\xd8 a second picture"))
    assert written == write_coefficients(read_coefficients(data))


def rgb_jpeg() -> bytes:
    buffer = io.BytesIO()
    picture(40, 40).save(buffer, "JPEG", keep_rgb=True)
    return buffer.getvalue()


def cmyk_jpeg() -> bytes:
    buffer = io.BytesIO()
    picture(40, 40).convert("CMYK").save(buffer, "JPEG")
    return buffer.getvalue()


@pytest.mark.parametrize("data", [rgb_jpeg(), cmyk_jpeg(), b"", b"\xff\xd8", b"GIF89a" * 20])
def test_what_cannot_be_rewritten_is_named(data: bytes) -> None:
    with pytest.raises(NotInCoefficientDomain):
        read_coefficients(data)


def test_out_of_range_coefficients_are_refused() -> None:
    read = read_coefficients(jpeg())
    planes = tuple(plane.copy() for plane in read.planes)
    planes[0][0, 0, 0, 1] = 5000
    with pytest.raises(NotInCoefficientDomain):
        write_coefficients(replace(read, planes=planes))


@settings(deadline=None, max_examples=150)
@given(seed=st.integers(0, 10**6))
def test_damage_never_crashes_nor_prints(seed: int) -> None:
    rng = np.random.default_rng(seed)
    data = bytearray(jpeg(64, 64, seed=1))
    for _ in range(int(rng.integers(1, 4))):
        data[int(rng.integers(2, len(data)))] = int(rng.integers(256))
    if seed % 3 == 0:
        data = data[: int(rng.integers(len(data)))]
    try:
        write_coefficients(read_coefficients(bytes(data)))
    except SkipFile:
        pass


def test_messages_of_the_c_library_stay_off_the_terminal(capfd: pytest.CaptureFixture[str]) -> None:
    data = jpeg(64, 64)
    read_coefficients(data[: len(data) * 2 // 3])
    assert capfd.readouterr() == ("", "")


def test_no_file_holds_the_original(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    write_coefficients(read_coefficients(jpeg(progressive=True)))
    assert not list(tmp_path.iterdir())
