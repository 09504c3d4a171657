"""Opening an image with Pillow, and what to say where that fails."""

from __future__ import annotations

import io
import logging
import os
import threading
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from PIL import Image, ImageFile, UnidentifiedImageError

from ue_cli.errors import SkipFile
from ue_cli.metadata import containers
from ue_cli.storage import open_regular

DEFAULT_MAX_PIXELS = 200_000_000
_BYTES_PER_PIXEL = 16  # four channels of 16 bits, twice over
_OVERHEAD = 1 << 28

# Without any handler, Python prints what Pillow logs about damaged files.
logging.getLogger("PIL").addHandler(logging.NullHandler())

# Stubs decode nothing, EPS runs Ghostscript, and the rest accept files on no signature at all.
_REFUSED = {"EPS", "WMF", "BUFR", "GRIB", "HDF5", "MPEG", "IM", "IMT", "IPTC", "PCD", "SPIDER"}
_MAGIC = {
    b"\xff\xd8\xff": "JPEG",
    b"\x89PNG": "PNG",
    b"GIF8": "GIF",
    b"II*\0": "TIFF",
    b"MM\0*": "TIFF",
    b"BM": "BMP",
}

_depth_lock = threading.Lock()
_depth = 0
_outer: tuple[Any, int | None] | None = None


@contextmanager
def pillow(max_pixels: int) -> Iterator[None]:
    """Hold Pillow's warnings and its own pixel limit still; nested and threaded uses share one.

    Both are process-wide settings of Pillow and Python, hence the count: the first one in changes
    them, the last one out restores them. `open_still` enforces the limit that was asked for.
    """
    global _depth, _outer
    with _depth_lock:
        _depth += 1
        if _depth == 1:
            catch = warnings.catch_warnings()
            catch.__enter__()
            warnings.simplefilter("ignore")
            _outer = (catch, Image.MAX_IMAGE_PIXELS)
            Image.MAX_IMAGE_PIXELS = max_pixels
        elif Image.MAX_IMAGE_PIXELS is not None:
            Image.MAX_IMAGE_PIXELS = max(Image.MAX_IMAGE_PIXELS, max_pixels)
    try:
        yield
    finally:
        with _depth_lock:
            _depth -= 1
            if _depth == 0 and _outer is not None:
                Image.MAX_IMAGE_PIXELS = _outer[1]
                _outer[0].__exit__(None, None, None)
                _outer = None


def read_file(path: Path, max_pixels: int) -> bytes:
    """Read an input file, unless it is larger than any image of so many pixels.

    Raises:
        SkipFile: ``unreadable-file``, ``too-large``.
    """
    limit = _BYTES_PER_PIXEL * max_pixels + _OVERHEAD
    try:
        with open_regular(path, follow_links=True) as file:
            size = os.fstat(file.fileno()).st_size
            if size > limit:  # a sparse file of a terabyte takes no room on the disk
                raise SkipFile(
                    "too-large",
                    f"{size:,} bytes are more than an image of {max_pixels:,} pixels can have.",
                )
            return file.read()
    except OSError as error:
        raise SkipFile(
            "unreadable-file", f"The file cannot be read: {error.strerror or error}."
        ) from None


def read_size(path: Path, max_pixels: int = DEFAULT_MAX_PIXELS) -> tuple[int, int] | None:
    """Width and height as stored, from the header alone; None where it does not tell them."""
    try:
        with pillow(max_pixels), open_regular(path, follow_links=True) as file:
            if containers.is_heic(file.read(256)):
                _register_heif()
            file.seek(0)
            with Image.open(file, formats=_formats(b"")) as image:
                return image.size
    except Exception:  # Pillow has a dozen for damaged files; decoding will say what is wrong
        return None


def open_still(raw: bytes, max_pixels: int = DEFAULT_MAX_PIXELS) -> ImageFile.ImageFile:
    """Open without decoding, and refuse what is no single still image. Call within `pillow`.

    Raises:
        SkipFile: see `decode`.
    """
    if not raw:
        raise SkipFile("empty", "The file is empty (0 bytes).")
    if containers.is_heic(raw):
        _register_heif()
    try:
        image = Image.open(io.BytesIO(raw), formats=_formats(raw))
        frames = 1 if image.format in ("MPO", "PSD") else _frames(image)
    except UnidentifiedImageError as error:
        raise damaged(raw, error) from None
    except Image.DecompressionBombError:
        raise _too_large(None, max_pixels) from None
    except Exception as error:
        raise damaged(raw, error) from None
    if image.width * image.height > max_pixels:
        raise _too_large(image.size, max_pixels)
    if frames > 1:
        raise SkipFile(
            "animated",
            f"The {image.format} holds several frames or pages; only stills can be protected.",
        )
    return image


def _frames(image: Image.Image) -> int:
    """1, or 2 where there are more: counting them all would decode a whole GIF."""
    if not getattr(image, "is_animated", False):
        return 1
    return 2


def _formats(raw: bytes) -> list[str]:
    Image.init()
    refused = _REFUSED if containers.is_tga(raw) else _REFUSED | {"TGA"}
    return [name for name in Image.ID if name not in refused]


def _register_heif() -> None:
    try:
        import pillow_heif
    except ImportError:
        raise SkipFile(
            "heif-missing", "HEIC files need a plug-in: pip install 'ue-cli[heif]'"
        ) from None
    pillow_heif.register_heif_opener()


def _too_large(size: tuple[int, int] | None, max_pixels: int) -> SkipFile:
    extent = f"{size[0]}×{size[1]} = {size[0] * size[1]:,} pixels are" if size else "The image is"
    return SkipFile(
        "too-many-pixels",
        f"{extent} more than the limit of {max_pixels:,}; raise it with --max-pixels.",
    )


def damaged(raw: bytes, error: Exception) -> SkipFile:
    """Say what is wrong with a file that made Pillow raise."""
    # Judged by the first bytes: a damaged JPEG is still no "not an image".
    kind = next((name for magic, name in _MAGIC.items() if raw.startswith(magic)), None)
    if kind is None and raw[8:12] == b"WEBP":
        kind = "WEBP"
    if isinstance(error, UnidentifiedImageError):
        if kind is None:
            return SkipFile("not-an-image", "This is not an image that can be read.")
        return SkipFile("corrupt", f"The file begins like a {kind} but cannot be read as one.")
    text = str(error).strip() or type(error).__name__
    if isinstance(error, EOFError) or "truncated" in text.lower():
        return SkipFile("truncated", f"The image ends too early ({text}).")
    return SkipFile("corrupt", f"The image is damaged ({text}).")
