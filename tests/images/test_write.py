"""Encoding gives back what it was given; writing leaves whole files or none."""

import dataclasses
import errno
import io
import os
import resource
import signal
import stat
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image, ImageCms

from ue_cli.errors import SkipFile, UeError
from ue_cli.images.decode import Decoded, decode
from ue_cli.images.write import (
    JPEG_COEFFICIENTS,
    TEMPORARY_PREFIX,
    choose_format,
    encode,
    sweep,
    write_atomic,
)
from ue_cli.metadata.info import Info

MODES = {
    **{"1": 1, "L": 1, "LA": 2, "La": 2, "P": 1, "PA": 2, "RGB": 3, "RGBA": 4, "RGBa": 4},
    **{"RGBX": 4, "CMYK": 4, "YCbCr": 3, "LAB": 3, "HSV": 3, "I": 4, "F": 4, "I;16": 2, "I;16B": 2},
}
FORMATS = ["PNG", "WEBP", "TIFF", "BMP", "DIB", "PPM", "TGA", "GIF", "AVIF", "JPEG", "JPEG2000"]
FORMATS += ["ICO", "PCX", "SGI", "QOI", "DDS", "MSP", "XBM", "BLP", "MPO"]
XMP = b'<x:xmpmeta xmlns:x="adobe:ns:meta/"><r>\xc3\xa9</r></x:xmpmeta>'


def an_image(mode: str, size: tuple[int, int], seed: int) -> Image.Image:
    rng = np.random.default_rng(seed)
    if mode == "1":
        return Image.fromarray(rng.random(size[::-1]) > 0.5)
    raw = rng.integers(0, 256, size[0] * size[1] * MODES[mode], np.uint8).tobytes()
    image = Image.frombytes(mode, size, raw)
    if mode in ("P", "PA"):
        image.putpalette(rng.integers(0, 256, 768, np.uint8).tobytes())
    return image


def a_file(mode: str, format: str, size: tuple[int, int], seed: int, **options: Any) -> bytes:
    out = io.BytesIO()
    try:
        an_image(mode, size, seed).save(out, format, **options)
    except (OSError, ValueError, TypeError, KeyError, AttributeError):
        return b""  # Pillow cannot write this mode in this format
    return out.getvalue()


def same_alpha(left: Decoded, right: Decoded) -> bool:
    if left.alpha is None or right.alpha is None:
        present = right.alpha if left.alpha is None else left.alpha
        return present is None or bool((present == np.iinfo(present.dtype).max).all())
    return np.array_equal(left.alpha, right.alpha)


@settings(deadline=None, max_examples=120)
@given(
    mode=st.sampled_from(list(MODES)),
    format=st.sampled_from(FORMATS),
    size=st.tuples(st.integers(1, 40), st.integers(1, 40)),
    seed=st.integers(0, 2**32 - 1),
    lossless=st.booleans(),
    requested=st.sampled_from(["keep", "keep", "png", "webp"]),
)
def test_every_mode_and_format_comes_back_or_is_refused(
    mode: str, format: str, size: tuple[int, int], seed: int, lossless: bool, requested: Any
) -> None:
    options = {"lossless": True, "exact": True} if format == "WEBP" and lossless else {}
    data = a_file(mode, format, size, seed, **options)
    try:
        original = decode(data)
    except SkipFile as refusal:
        assert refusal.code and refusal.reason
        return
    target, extension, note = choose_format(original, requested)
    if target == JPEG_COEFFICIENTS:
        assert original.format == "JPEG" and not extension
        target = "PNG"
    elif requested == "keep":
        assert extension == ("" if target == original.format else ".png")
        assert target == original.format or note
    top = np.iinfo(original.pixels.dtype).max
    wanted = np.random.default_rng(seed).integers(0, top, original.pixels.shape, endpoint=True)
    pixels: Any = wanted.astype(original.pixels.dtype)
    found = decode(encode(original, pixels, target))
    assert found.pixels.dtype == pixels.dtype and found.lossless
    np.testing.assert_array_equal(found.pixels, pixels)
    assert same_alpha(original, found)
    again = decode(encode(found, found.pixels, target))
    assert again.info == found.info


def described(dtype: type, compression: str, orientation: int, alpha: bool) -> Decoded:
    exif = Image.Exif()
    exif[0x010F], exif[0x0112] = "Camera", orientation
    exif.get_ifd(0x8769).update({0x9003: "2020:01:01 00:00:00", 0x829A: 0.004, 0x927C: b"m\0k"})
    exif.get_ifd(0x8825).update({1: "N", 2: (52.0, 30.0, 1.5)})
    profile = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    rng = np.random.default_rng(orientation)
    values: Any = rng.integers(0, np.iinfo(dtype).max, (5, 7, 4)).astype(dtype)
    info = Info(
        exif=exif.tobytes().removeprefix(b"Exif\0\0"),
        icc=profile,
        xmp=XMP,
        iptc=b"\x1c\x02\x05\0\x04abcd",
        photoshop=b"8BIM\x04\x04\0\0\0\0\0\0",
        dpi=(300.0, 300.0),
        text=(("Title", "a [b]title"), ("Comment", "long " * 500)),
        png_chunks=((b"gAMA", b"\0\0\xb1\x8f"),),
        compression=compression,
    )
    pixels = np.ascontiguousarray(values[..., :3])
    return Decoded(
        pixels, values[..., 3].copy() if alpha else None, "TIFF", orientation, True, info
    )


@pytest.mark.parametrize("alpha", [False, True])
@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
@pytest.mark.parametrize("compression", ["raw", "tiff_lzw", "tiff_adobe_deflate", "packbits"])
def test_tiff_keeps_its_metadata_and_compression(
    compression: str, dtype: type, alpha: bool
) -> None:
    for orientation in range(1, 9):
        given = described(dtype, compression, orientation, alpha)
        found = decode(encode(given, given.pixels, "TIFF"))
        np.testing.assert_array_equal(found.pixels, given.pixels)
        assert same_alpha(given, found)
        assert found.orientation == orientation
        assert found.info == dataclasses.replace(given.info, text=(), png_chunks=())


def test_layout_tags_in_exif_do_not_reach_the_tiff() -> None:
    given = described(np.uint8, "tiff_lzw", 6, False)
    exif = Image.Exif()
    exif[0x0112], exif[0x0103], exif[0x0111], exif[0x0116] = 6, 6, 8, 99999
    info = dataclasses.replace(given.info, exif=exif.tobytes().removeprefix(b"Exif\0\0"))
    found = decode(encode(dataclasses.replace(given, info=info), given.pixels, "TIFF"))
    np.testing.assert_array_equal(found.pixels, given.pixels)
    assert found.orientation == 6


@pytest.mark.parametrize("format", ["PNG", "WEBP", "JPEG"])
def test_other_formats_carry_what_they_can(format: str) -> None:
    given = described(np.uint8, "raw", 6, False)
    found = decode(encode(given, given.pixels, format)).info
    assert (found.exif, found.icc, found.xmp) == (given.info.exif, given.info.icc, XMP)
    if format == "PNG":
        assert found.text == given.info.text and found.png_chunks == given.info.png_chunks
    if format != "WEBP":
        assert found.dpi is not None and [round(v) for v in found.dpi] == [300, 300]
    bare = dataclasses.replace(given, info=Info())
    assert XMP not in encode(bare, given.pixels, format)


def test_sixteen_bit_png_keeps_its_metadata() -> None:
    given = described(np.uint16, "", 8, True)
    found = decode(encode(given, given.pixels, "PNG"))
    np.testing.assert_array_equal(found.pixels, given.pixels)
    np.testing.assert_array_equal(found.alpha, given.alpha)
    assert (found.info.exif, found.info.icc) == (given.info.exif, given.info.icc)


def test_a_sixteen_bit_tiff_looks_right_to_other_readers() -> None:
    given = described(np.uint16, "tiff_lzw", 1, False)
    with Image.open(io.BytesIO(encode(given, given.pixels, "TIFF"))) as image:
        np.testing.assert_array_equal(np.asarray(image), given.pixels >> 8)
        assert image.size == (7, 5)


def test_lossy_types_change_and_say_so() -> None:
    image = Image.new("RGB", (20, 20), (200, 10, 90))
    files = {}
    for format in ("WEBP", "AVIF", "JPEG", "GIF"):
        out = io.BytesIO()
        image.save(out, format)
        files[format] = decode(out.getvalue())
    assert choose_format(files["WEBP"], "keep")[:2] == ("WEBP", "")
    assert "lossless" in (choose_format(files["WEBP"], "keep")[2] or "")
    assert choose_format(files["AVIF"], "keep")[:2] == ("PNG", ".png")
    assert choose_format(files["GIF"], "jpeg") == ("JPEG", ".jpg", None)
    assert choose_format(files["JPEG"], "jpeg") == (JPEG_COEFFICIENTS, "", None)
    assert choose_format(files["JPEG"], "png") == ("PNG", ".png", None)


def test_what_does_not_fit_a_requested_type_becomes_png() -> None:
    deep = described(np.uint16, "", 1, False)
    clear = described(np.uint8, "", 1, True)
    gray = dataclasses.replace(deep, pixels=np.zeros((4, 4, 1), np.uint8))
    for image, requested in ((deep, "jpeg"), (deep, "webp"), (clear, "jpeg"), (gray, "webp")):
        target, extension, note = choose_format(image, requested)  # type: ignore[arg-type]
        assert (target, extension) == ("PNG", ".png") and note
    assert choose_format(clear, "webp")[0] == "WEBP"


def test_a_tiff_with_a_lossy_codec_inside_becomes_deflate() -> None:
    out = io.BytesIO()
    Image.new("RGB", (16, 16), (9, 99, 199)).save(out, "TIFF", compression="jpeg")
    found = decode(out.getvalue())
    target, extension, note = choose_format(found, "keep")
    assert not found.lossless and (target, extension) == ("TIFF", "") and "deflate" in (note or "")
    assert decode(encode(found, found.pixels, "TIFF")).info.compression == "tiff_adobe_deflate"


def test_a_write_is_whole_and_has_the_usual_permissions(tmp_path: Path) -> None:
    target = tmp_path / ("é" * 125 + ".jpeg")  # 255 bytes
    write_atomic(target, b"one")
    write_atomic(target, b"two")
    assert target.read_bytes() == b"two" and [p.name for p in tmp_path.iterdir()] == [target.name]
    mask = os.umask(0)
    os.umask(mask)
    assert stat.S_IMODE(target.stat().st_mode) == 0o666 & ~mask


def failing(number: int) -> Callable[..., None]:
    def fail(*_: object) -> None:
        raise OSError(number, os.strerror(number))

    return fail


@pytest.mark.parametrize(
    ("number", "code"), [(errno.ENOSPC, "disk-full"), (errno.EIO, "write-failed")]
)
def test_a_failed_write_leaves_the_old_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, number: int, code: str
) -> None:
    target = tmp_path / "a.png"
    target.write_bytes(b"old")
    monkeypatch.setattr(os, "fsync", failing(number))
    with pytest.raises(UeError) as caught:
        write_atomic(target, b"new")
    assert caught.value.code == code and caught.value.hint
    assert [p.name for p in tmp_path.iterdir()] == ["a.png"] and target.read_bytes() == b"old"


def test_a_file_size_limit_reads_as_a_full_disk(tmp_path: Path) -> None:
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    handler = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (1000, before[1]))
    try:
        with pytest.raises(UeError) as caught:
            write_atomic(tmp_path / "a.png", bytes(5000))
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
        signal.signal(signal.SIGXFSZ, handler)
    assert caught.value.code == "disk-full" and not list(tmp_path.iterdir())


def test_a_missing_folder_is_said(tmp_path: Path) -> None:
    with pytest.raises(UeError) as caught:
        write_atomic(tmp_path / "gone" / "a.png", b"x")
    assert caught.value.code == "write-failed" and "a.png" in caught.value.message


def test_sweep_removes_ours_only(tmp_path: Path) -> None:
    (tmp_path / "dog").mkdir()
    for name in (f"{TEMPORARY_PREFIX}1", f"dog/{TEMPORARY_PREFIX}2", "dog/a.png", ".other"):
        (tmp_path / name).write_bytes(b"x")
    assert sweep(tmp_path) == 2
    assert sorted(p.name for p in tmp_path.rglob("*")) == [".other", "a.png", "dog"]


def test_a_file_has_its_name_only_once_it_is_whole(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "photo.png"
    path.write_bytes(b"earlier")
    meanwhile = []
    monkeypatch.setattr(os, "fsync", lambda _: meanwhile.append(path.read_bytes()))
    write_atomic(path, b"later")
    assert meanwhile == [b"earlier"]
    assert path.read_bytes() == b"later"
    assert list(tmp_path.iterdir()) == [path]
