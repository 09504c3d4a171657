"""Any image there is: protected within its budget, or skipped with a reason."""

from __future__ import annotations

import io
import tarfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image, features

from tests import shared_photos
from tests.jobs.conftest import run_ue, tree
from ue_cli.banks.apply import GrayField
from ue_cli.errors import SkipFile
from ue_cli.images.decode import Decoded, decode
from ue_cli.metadata.embedded import MetadataPolicy
from ue_cli.owner.key import Subkey
from ue_cli.protection.embed import ProtectedImage, make
from ue_cli.protection.pattern import TexturePattern
from ue_cli.textures.presets import FILLING
from ue_cli.textures.texture import draw_code
from ue_cli.textures.visibility import bounded, small_copy
from ue_cli.textures.vision import scene
from ue_cli.types import LOOKS, STRONG, Budget, Look

LIMIT = 100_000_000
CODES = {"a class": draw_code(bytes(range(32)), FILLING)}
PATTERN = TexturePattern(CODES, FILLING.bandwidth, Subkey(bytes(range(32))))
MODES = ("1", "L", "LA", "P", "PA", "RGB", "RGBA", "RGBX", "CMYK", "YCbCr", "LAB", "HSV")
DEEP = ("I", "F", "I;16", "I;16B", "La", "RGBa")
FORMATS = (
    "JPEG",
    "JPEG",
    "JPEG",
    "PNG",
    "WEBP",
    "TIFF",
    "BMP",
    "GIF",
    "PPM",
    "TGA",
    "ICO",
    "PCX",
    "SGI",
    "DIB",
)
OPTIONAL = (("AVIF", "avif"), ("JPEG2000", "jpg_2000"))
OPTIONS: dict[str, list[dict[str, Any]]] = {
    "JPEG": [
        {"quality": 90},
        {"quality": 100, "subsampling": 0},
        {"quality": 30, "subsampling": 2},
        {"quality": 80, "progressive": True},
        {"quality": 85, "subsampling": 1, "restart_marker_blocks": 2},
    ],
    "WEBP": [{"lossless": True, "exact": True}, {"quality": 70}],
    "TIFF": [{}, {"compression": "tiff_lzw"}, {"compression": "packbits"}],
    "PNG": [{}, {"optimize": True}, {"transparency": 3}],
}

available = [name for name, feature in OPTIONAL if features.check(feature)]


def protect(
    data: bytes, decoded: Decoded, format: Any, levels: int, look: Look = STRONG
) -> ProtectedImage:
    small = small_copy(decoded.pixels, decoded.orientation)
    size = decoded.height, decoded.width
    shown = PATTERN.field("a class", bytes(32), decoded, small)
    if decoded.pixels.shape[2] == 1:
        shown = GrayField(shown)
    budget = Budget(levels)
    target = bounded(shown, scene(small, *size), size, budget, look)
    policy = MetadataPolicy(strip_gps=False, strip_all=False, opt_out=True)
    fill = look.jod is None
    return make(data, decoded, target, budget, policy, format=format, fill=fill)


def check(made: ProtectedImage, before: Decoded, levels: int) -> None:
    """Budget on the decoded bytes, whatever the route was."""
    after = decode(made.data, max_pixels=LIMIT)
    assert after.pixels.shape == before.pixels.shape
    assert after.pixels.dtype == before.pixels.dtype
    apart = np.abs(after.pixels.astype(np.int32) - before.pixels.astype(np.int32)).max()
    if made.route != "jpeg-reencoded":
        assert apart <= Budget(levels).radius(before.pixels.dtype)
    assert apart == made.difference.linf
    assert after.orientation == before.orientation
    if before.alpha is not None and before.alpha.min() < np.iinfo(before.alpha.dtype).max:
        assert after.alpha is not None and np.array_equal(after.alpha, before.alpha)


def image_of(mode: str, width: int, height: int, seed: int, smooth: bool) -> Image.Image:
    rng = np.random.default_rng(seed)
    grid = (3, 3, 4) if smooth else (height, width, 4)
    noise = Image.fromarray(rng.integers(0, 256, grid, dtype=np.uint8), "RGBA")
    image = noise.resize((width, height), Image.Resampling.BICUBIC)
    if mode in ("I;16", "I;16B"):
        return Image.fromarray(rng.integers(0, 65_536, (height, width)).astype(np.uint16))
    if mode in ("I", "F"):
        return image.convert("L").convert(mode)
    if mode in ("LAB", "HSV", "YCbCr", "CMYK", "RGBX"):
        return image.convert("RGB").convert(mode) if mode != "LAB" else lab(image)
    return image.convert("L").convert("LA") if mode == "LA" else image.convert(mode)


def lab(image: Image.Image) -> Image.Image:
    return Image.frombytes("LAB", image.size, image.convert("RGB").tobytes())


def encoded(image: Image.Image, format: str, options: dict[str, Any]) -> bytes:
    """The image in a mode that the format has."""
    stream = io.BytesIO()
    try:
        image.save(stream, format, **options)
    except (OSError, ValueError, KeyError, TypeError):
        stream = io.BytesIO()
        image_of("RGB", *image.size, seed=1, smooth=True).save(stream, format)
    return stream.getvalue()


@settings(deadline=None, max_examples=150, derandomize=True)
@given(
    mode=st.sampled_from(MODES + DEEP),
    format=st.sampled_from([*FORMATS, *available]),
    width=st.integers(1, 40),
    height=st.integers(1, 40),
    seed=st.integers(0, 1000),
    smooth=st.booleans(),
    choice=st.integers(0, 4),
    orientation=st.integers(0, 9),
    levels=st.sampled_from([1, 4, 8, 16]),
    look=st.sampled_from(LOOKS),
)
def test_every_mode_size_and_format(
    mode: str,
    format: str,
    width: int,
    height: int,
    seed: int,
    smooth: bool,
    choice: int,
    orientation: int,
    levels: int,
    look: Look,
) -> None:
    choices = OPTIONS.get(format, [{}])
    options = dict(choices[choice % len(choices)])
    if format in ("JPEG", "PNG", "WEBP") and orientation:
        exif = Image.Exif()
        exif[0x0112] = orientation
        options["exif"] = exif
    data = encoded(image_of(mode, width, height, seed, smooth), format, options)
    try:
        decoded = decode(data, max_pixels=LIMIT)
        requested = ("keep", "keep", "png", "webp", "jpeg")[choice]
        made = protect(data, decoded, requested, levels, look)
    except SkipFile as skip:
        assert skip.code in ("colour-mode", "16-bit-colour", "corrupt", "not-an-image"), skip.reason
        assert mode in ("CMYK", "LAB", "HSV", "YCbCr", *DEEP) or format in ("ICO", "TGA", "PCX")
        return
    check(made, decoded, levels)


def test_sixteen_bits_are_kept() -> None:
    values = np.arange(48 * 64, dtype=np.uint16).reshape(48, 64) * 21
    for format in ("PNG", "TIFF"):
        stream = io.BytesIO()
        Image.fromarray(values).save(stream, format)
        decoded = decode(stream.getvalue())
        made = protect(stream.getvalue(), decoded, "keep", 8)
        check(made, decoded, 8)
        assert 8 * 257 - 2 <= made.difference.linf <= 8 * 257


@pytest.fixture(scope="module")
def corpus(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The shared photos and camera files, unpacked."""
    if not shared_photos.ARCHIVE.is_file():
        pytest.skip(f"{shared_photos.ARCHIVE} is absent")
    root = tmp_path_factory.mktemp("corpus")
    with tarfile.open(shared_photos.ARCHIVE) as tar:
        tar.extractall(root, filter="data")
    return root


def folders(corpus: Path, name: str) -> Path:
    return next(path for path in corpus.rglob(name) if path.is_dir())


def files_below(folder: Path) -> Iterator[tuple[str, bytes]]:
    for name, data in tree(folder).items():
        if not name.rpartition("/")[2].startswith("."):
            yield name, data


def fully_decoded(data: bytes) -> bool:
    """Whether Pillow by itself reads one whole still image of a kind that can be protected."""
    import warnings

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            with Image.open(io.BytesIO(data)) as image:
                still = image.format == "MPO" or getattr(image, "n_frames", 1) == 1
                image.load()
                return still and image.mode in ("1", "L", "LA", "P", "RGB", "RGBA", "I;16")
        except Exception:
            return False


@pytest.mark.slow
def test_every_camera_file_that_pillow_decodes_is_protected(corpus: Path, tmp_path: Path) -> None:
    src = folders(corpus, "camera-files")
    done = run_ue(tmp_path / "home", "protect", src, "-o", tmp_path / "out", "--jobs", 2)
    skipped = {one["name"]: one["reason"] for one in done.result["skipped"]}
    assert done.code in ((6,) if skipped else (0, 6)), done.out
    for name, data in files_below(src):
        assert (name in skipped) != fully_decoded(data), (name, skipped.get(name))
    assert done.result["budget"]["passed"] is True
    checked = run_ue(tmp_path / "home", "verify", tmp_path / "out", "--original", src)
    assert (checked.code, checked.result["problems"]) == (0, [])


@pytest.mark.slow
def test_every_photo_stays_a_jpeg_within_budget(corpus: Path, tmp_path: Path) -> None:
    src = folders(corpus, "photos")
    done = run_ue(tmp_path / "home", "protect", src, "-o", tmp_path / "out", "--jobs", 2)
    assert (done.code, done.result["skipped"]) == (0, []), done.out
    assert done.result["routes"] == {"jpeg-coefficients": done.result["protected"]}
    assert done.result["budget"]["linf"] <= 8
    sizes: list[int] = []
    for name, data in files_below(src):
        protected = (tmp_path / "out" / name).read_bytes()
        apart = decode(protected).pixels.astype(np.int16) - decode(data).pixels
        assert 0 < np.abs(apart).max() <= 8, name
        sizes += len(data), len(protected)
    assert sum(sizes[1::2]) < 1.15 * sum(sizes[::2])
