"""The one decoder: what it makes of each kind of file, and what it refuses."""

import io
import struct
import tarfile
import zlib
from pathlib import Path
from threading import Thread

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from tests import shared_photos
from ue_cli.errors import SkipFile
from ue_cli.images.decode import DECODER, Decoded, decode
from ue_cli.images.opening import read_size


def picture(mode: str = "RGB", size: tuple[int, int] = (9, 6), seed: int = 0) -> Image.Image:
    width, height = size
    channels = len(Image.new(mode, (1, 1)).getbands())
    values = np.random.default_rng(seed).integers(0, 256, (height, width, channels), np.uint8)
    return Image.fromarray(values[..., 0] if channels == 1 else values, mode=None)


def saved(image: Image.Image, format: str, **options: object) -> bytes:
    out = io.BytesIO()
    image.save(out, format, **options)
    return out.getvalue()


def refused(data: bytes, **options: int) -> SkipFile:
    with pytest.raises(SkipFile) as caught:
        decode(data, **options)
    assert caught.value.reason.endswith((".", "'")), caught.value.reason
    return caught.value


def deep_png(values: NDArray[np.uint16], colour_type: int) -> bytes:
    """An unfiltered 16-bit PNG, by the specification alone."""

    def chunk(kind: bytes, body: bytes) -> bytes:
        return (
            struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))
        )

    height, width = values.shape[:2]
    rows = b"".join(b"\0" + row.astype(">u2").tobytes() for row in values)
    header = struct.pack(">IIBBBBB", width, height, 16, colour_type, 0, 0, 0)
    body = chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(rows)) + chunk(b"IEND", b"")
    return b"\x89PNG\r\n\x1a\n" + body


def deep_tiff(values: NDArray[np.uint16], order: str) -> bytes:
    """An uncompressed 16-bit RGB TIFF of either byte order, by the specification alone."""
    height, width, channels = values.shape
    at = 8 + 2 + 9 * 12 + 4
    entries = [
        (256, 3, 1, width),
        (257, 3, 1, height),
        (258, 3, channels, at),
        (259, 3, 1, 1),
        (262, 3, 1, 2),
        (273, 4, 1, at + 2 * channels),
        (277, 3, 1, channels),
        (278, 3, 1, height),
        (279, 4, 1, values.size * 2),
    ]
    head = {"<": b"II*\0", ">": b"MM\0*"}[order] + struct.pack(f"{order}IH", 8, len(entries))
    for tag, kind, count, value in entries:
        inline = "HH" if kind == 3 and count == 1 else "I"
        numbers = (value, 0) if inline == "HH" else (value,)
        head += struct.pack(f"{order}HHI{inline}", tag, kind, count, *numbers)
    head += struct.pack(f"{order}I{channels}H", 0, *[16] * channels)
    return head + values.astype(f"{order}u2").tobytes()


@pytest.mark.parametrize(
    ("mode", "format", "channels", "alpha"),
    [
        ("L", "PNG", 1, False),
        ("LA", "PNG", 1, True),
        ("RGB", "BMP", 3, False),
        ("RGBA", "TIFF", 3, True),
        ("RGB", "PPM", 3, False),
        ("RGB", "TIFF", 3, False),
    ],
)
def test_plain_modes_are_as_stored(mode: str, format: str, channels: int, alpha: bool) -> None:
    image = picture(mode)
    found = decode(saved(image, format))
    stored = np.asarray(image).reshape(6, 9, -1)
    assert found.pixels.shape == (6, 9, channels) and found.pixels.dtype == np.uint8
    assert found.pixels.flags.c_contiguous and (found.alpha is not None) == alpha
    np.testing.assert_array_equal(found.pixels, stored[..., :channels])
    if found.alpha is not None:
        np.testing.assert_array_equal(found.alpha, stored[..., channels])
    assert (found.format, found.lossless) == (format, True)


def test_palette_becomes_true_colour_and_its_transparency_alpha() -> None:
    image = picture("L").convert("P")
    image.putpalette([i for k in range(256) for i in (k, 255 - k, 7)])
    plain = decode(saved(image, "PNG"))
    keyed = decode(saved(image, "PNG", transparency=int(np.asarray(image)[0, 0])))
    assert plain.alpha is None and plain.notes
    np.testing.assert_array_equal(plain.pixels[..., 0], np.asarray(image))
    np.testing.assert_array_equal(plain.pixels[..., 2], 7)
    assert keyed.alpha is not None and keyed.alpha[0, 0] == 0 and keyed.alpha.max() == 255


def test_bilevel_becomes_gray_and_a_colour_key_becomes_alpha() -> None:
    bilevel = decode(saved(picture("L").convert("1"), "PNG"))
    assert set(np.unique(bilevel.pixels)) <= {0, 255} and bilevel.pixels.shape[2] == 1
    image = picture("RGB")
    found = decode(saved(image, "PNG", transparency=image.getpixel((2, 3))))
    assert found.alpha is not None and found.alpha[3, 2] == 0 and found.notes


def test_colours_below_transparent_alpha_stay() -> None:
    values = np.full((4, 4, 4), 200, np.uint8)
    values[..., 3] = 0
    for format, options in (("PNG", {}), ("WEBP", {"lossless": True, "exact": True})):
        found = decode(saved(Image.fromarray(values), format, **options))
        assert (found.pixels == 200).all() and found.alpha is not None and not found.alpha.any()


@pytest.mark.parametrize("channels", [1, 3, 4])
def test_sixteen_bit_png_keeps_both_bytes(channels: int) -> None:
    values = np.random.default_rng(1).integers(0, 65536, (5, 7, channels), np.uint16)
    found = decode(deep_png(values, {1: 0, 3: 2, 4: 6}[channels]))
    assert found.pixels.dtype == np.uint16
    np.testing.assert_array_equal(found.pixels, values[..., :3])
    if channels == 4:
        np.testing.assert_array_equal(found.alpha, values[..., 3])


@pytest.mark.parametrize("order", ["<", ">"])
def test_sixteen_bit_tiff_keeps_both_bytes(order: str) -> None:
    values = np.random.default_rng(2).integers(0, 65536, (5, 7, 3), np.uint16)
    found = decode(deep_tiff(values, order))
    np.testing.assert_array_equal(found.pixels, values)


def test_what_cannot_keep_sixteen_bits_is_refused_not_cut() -> None:
    values = np.zeros((5, 7, 2), np.uint16)
    assert refused(deep_png(values, 4)).code == "16-bit-colour"
    assert refused(b"P6\n# x\n1 1\n65535\n" + bytes(6)).code == "16-bit-colour"


@pytest.mark.parametrize("orientation", range(0, 10))
@pytest.mark.parametrize("format", ["JPEG", "TIFF", "PNG", "WEBP"])
def test_pixels_are_never_turned(format: str, orientation: int) -> None:
    exif = Image.Exif()
    exif[274] = orientation
    image = picture("RGB")
    options: dict[str, object] = {"lossless": True} if format == "WEBP" else {}
    found = decode(saved(image, format, exif=exif, **options))
    upright = decode(saved(image, format, **options))
    np.testing.assert_array_equal(found.pixels, upright.pixels)
    assert found.orientation == (orientation if 1 <= orientation <= 8 else 1)
    assert (found.height, found.width) == ((9, 6) if found.orientation > 4 else (6, 9))


@pytest.mark.parametrize("mode", ["CMYK", "YCbCr", "LAB", "I", "F"])
def test_other_colour_is_refused(mode: str) -> None:
    assert refused(saved(Image.new(mode, (4, 4)), "TIFF")).code == "colour-mode"
    assert refused(saved(Image.new("CMYK", (4, 4)), "JPEG")).code == "colour-mode"


@pytest.mark.parametrize("format", ["GIF", "PNG", "WEBP", "TIFF", "AVIF"])
def test_several_frames_are_refused(format: str) -> None:
    second = picture(seed=1)
    data = saved(picture(), format, save_all=True, append_images=[second])
    assert refused(data).code == "animated"


def test_an_mpo_is_the_jpeg_it_begins_with() -> None:
    image = picture(size=(32, 24))
    data = saved(image, "MPO", save_all=True, append_images=[picture(seed=3)])
    found = decode(data)
    assert found.format == "JPEG" and found.pixels.shape == (24, 32, 3) and not found.lossless


def test_refusals_name_the_damage() -> None:
    whole = {f: saved(picture(size=(64, 48)), f) for f in ("JPEG", "PNG", "BMP", "TIFF", "GIF")}
    assert refused(b"").code == "empty"
    assert refused(b"not an image at all").code == "not-an-image"
    assert refused(b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n").code == "not-an-image"
    for data in whole.values():
        assert refused(data[: len(data) * 2 // 3]).code in ("truncated", "corrupt")
        assert refused(data[:6]).code in ("truncated", "corrupt", "not-an-image")
    broken = bytearray(whole["PNG"])
    broken[60] ^= 255
    assert refused(bytes(broken)).code in ("truncated", "corrupt")
    with pytest.raises(SkipFile) as caught:
        decode(Path("no such file"))
    assert caught.value.code == "unreadable-file"


def test_too_many_pixels_are_refused_from_the_header() -> None:
    data = saved(Image.new("1", (3000, 1000)), "PNG")
    for limit in (2_999_999, 10):
        refusal = refused(data, max_pixels=limit)
        assert refusal.code == "too-many-pixels" and "--max-pixels" in refusal.reason
    assert decode(data, max_pixels=3_000_000).width == 3000


@pytest.mark.slow
def test_a_hundred_megapixels_are_fine() -> None:
    before = Image.MAX_IMAGE_PIXELS  # lower: Pillow would warn, and warnings are errors here
    assert decode(saved(Image.new("1", (12_000, 8_400)), "BMP")).height == 8_400
    assert before == Image.MAX_IMAGE_PIXELS


def test_heic_without_its_plugin_names_the_install_line() -> None:
    try:
        import pillow_heif  # noqa: F401
    except ImportError:
        data = struct.pack(">I", 24) + b"ftypheic\0\0\0\0mif1heic" + bytes(64)
        assert "pip install 'ue-cli[heif]'" in refused(data).reason


def test_webp_kind_is_read_from_its_chunks() -> None:
    image = picture("RGBA", (20, 20))
    extended = saved(image, "WEBP", lossless=True, exif=b"II*\0\x08\0\0\0\0\0\0\0\0\0")
    assert decode(extended).lossless and decode(saved(image, "WEBP", lossless=True)).lossless
    assert not decode(saved(image, "WEBP", quality=90)).lossless


def test_no_file_makes_pillow_speak_in_threads_either(recwarn: pytest.WarningsRecorder) -> None:
    damaged = saved(picture(), "JPEG", exif=b"Exif\0\0II*\0\xff\xff\xff\xff")
    results: list[Decoded] = []
    threads = [Thread(target=lambda: results.append(decode(damaged))) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(results) == 8 and results[0].orientation == 1 and not recwarn.list


def test_a_size_is_read_from_the_header_alone(tmp_path: Path) -> None:
    path = tmp_path / "x"
    for format in ("JPEG", "PNG", "WEBP", "TIFF", "BMP", "GIF"):
        whole = saved(picture(size=(90, 60)), format)
        path.write_bytes(whole)
        assert read_size(path) == (90, 60)
    path.write_bytes(saved(picture(size=(90, 60)), "PNG")[:60])  # the end is never looked at
    assert read_size(path) == (90, 60)
    assert read_size(path, max_pixels=100) is None
    for junk in (b"", b"<html>", b"\xff\xd8\xff", b"\0\0\0\x18ftypheic"):
        path.write_bytes(junk)
        assert read_size(path) is None
    assert read_size(tmp_path) is None and read_size(tmp_path / "gone") is None


def test_the_decoder_has_a_name() -> None:
    assert DECODER.startswith("Pillow ") and DECODER.endswith("accurate DCT, fancy upsampling")


@pytest.mark.slow
@shared_photos.needed
def test_every_camera_file_is_decoded_or_refused() -> None:
    seen = 0
    with tarfile.open(shared_photos.ARCHIVE) as archive:
        for member in archive:
            stream = archive.extractfile(member) if "camera-files" in member.name else None
            if stream is not None:
                seen += 1
                try:
                    assert decode(stream.read()).pixels.size
                except SkipFile as refusal:
                    assert refusal.reason
    assert seen
