"""Lossless encoding in the file's own type, and writing that leaves whole files only."""

from __future__ import annotations

import contextlib
import io
import os
import secrets
from collections.abc import Callable
from pathlib import Path
from typing import Any, Literal

import numpy as np
from PIL import Image, PngImagePlugin

from ue_cli.images import png_deep, tiff_write
from ue_cli.images.decode import Decoded
from ue_cli.images.opening import DEFAULT_MAX_PIXELS, pillow
from ue_cli.metadata.info import Info
from ue_cli.storage import explain_write
from ue_cli.types import PixelArray

Requested = Literal["keep", "png", "webp", "jpeg"]

JPEG_COEFFICIENTS = "jpeg-coefficients"
TEMPORARY_PREFIX = ".ue-tmp-"

_SAME_FORMATS = {"PNG", "TIFF", "BMP", "PPM", "TGA"}
_EXTENSIONS = {"PNG": ".png", "WEBP": ".webp", "JPEG": ".jpg"}
_WEBP_SIDE = 16383
# Measured on photos with a perturbation: level 6 takes 4 times as long as 2 and saves 5 %, WebP's
# default effort 12 times as long as its least and saves 5 %.
_PNG_LEVEL = 2
_WEBP_EFFORT = {"quality": 0, "method": 0}  # lossless: "quality" is effort, not fidelity
_JPEG_QUALITY = 95


def choose_format(decoded: Decoded, requested: Requested) -> tuple[str, str, str | None]:
    """The type of the output file.

    Args:
        decoded: the original.
        requested: ``--format``.

    Returns:
        The format that `encode` takes, or ``jpeg-coefficients`` (photos/jpeg); the extension
        that the output's name needs, empty where the name stays; a note where the type had to
        change, else None.
    """
    source = decoded.format
    if requested in ("keep", "jpeg") and source == "JPEG":
        return JPEG_COEFFICIENTS, "", None
    if requested == "keep":
        target, note = _kept(decoded)
    else:
        target, note = requested.upper(), None
        refusal = _refusal(decoded, target)
        if refusal:
            target, note = "PNG", f"Written as PNG: {refusal}."
    return target, "" if target == source else _EXTENSIONS[target], note


def _kept(decoded: Decoded) -> tuple[str, str | None]:
    source = decoded.format
    if source == "WEBP":
        note = "Lossy WebP became lossless WebP: compressing again would break the budget."
        return "WEBP", None if decoded.lossless else note
    if source == "BMP" and decoded.alpha is not None:
        return "PNG", "Written as PNG: a BMP's alpha channel cannot be written."
    if source == "TIFF":
        compression = decoded.info.compression
        if compression == tiff_write.compression_for(decoded.info):
            return "TIFF", None
        return "TIFF", f"The TIFF's compression ({compression}) became deflate."
    if source in _SAME_FORMATS:
        return source, None
    return "PNG", f"Written as PNG: {source} files are read here but not written."


def _refusal(decoded: Decoded, target: str) -> str:
    """Why an image does not fit a format; empty where it does."""
    if target == "PNG":
        return ""
    if decoded.pixels.dtype == np.uint16:
        return f"{target} holds 8 bits per channel only"
    if target == "JPEG" and decoded.alpha is not None:
        return "JPEG has no alpha channel"
    if target == "WEBP" and decoded.pixels.shape[2] == 1:
        return "WebP has no grayscale"
    if target == "WEBP" and max(decoded.pixels.shape[:2]) > _WEBP_SIDE:
        return f"WebP ends at {_WEBP_SIDE} pixels a side"
    return ""


def encode(decoded: Decoded, pixels: PixelArray, format: str) -> bytes:
    """Encode pixels with an image's own alpha and metadata.

    ``decode(encode(d, x, f)).pixels`` equals x for every format but JPEG (which is quality 95,
    4:4:4), and alpha, depth, orientation, ICC, EXIF, XMP and resolution are kept as far as the
    format can hold them. Of WebP, an alpha channel that is opaque everywhere comes back as None.
    To change metadata, pass ``dataclasses.replace(decoded, info=...)``.

    Args:
        decoded: gives alpha and metadata.
        pixels: (H, W, C), shape and dtype of ``decoded.pixels``.
        format: from `choose_format`.
    """
    full = pixels
    if decoded.alpha is not None:
        full = np.concatenate([pixels, decoded.alpha[..., None]], axis=-1)
    with pillow(DEFAULT_MAX_PIXELS):
        if full.shape[2] == 1:
            full = full[..., 0]
        if format == "TIFF":
            return tiff_write.tiff(full, decoded.info)
        if full.dtype == np.uint16 and full.ndim == 3:  # `choose_format` leaves PNG for these
            shell = _save(Image.new("L", (1, 1)), format, decoded.info)
            return png_deep.png16(shell, full.astype(np.uint16, copy=False), _PNG_LEVEL)
        return _save(Image.fromarray(full), format, decoded.info)


def _save(image: Image.Image, format: str, info: Info) -> bytes:
    out = io.BytesIO()
    image.save(out, format, **_OPTIONS[format](info))
    return out.getvalue()


def _png(info: Info) -> dict[str, Any]:
    chunks: Any = PngImagePlugin.PngInfo()
    for kind, body in info.png_chunks:
        chunks.add(kind, body)
    for key, value in info.text:
        chunks.add_text(key, value, zip=len(value) > 1024)
    if info.xmp:
        chunks.add_itxt("XML:com.adobe.xmp", info.xmp.decode("utf-8", "replace"))
    return _present(
        pnginfo=chunks,
        compress_level=_PNG_LEVEL,
        exif=info.exif,
        icc_profile=info.icc,
        dpi=info.dpi,
    )


def _webp(info: Info) -> dict[str, Any]:
    return {
        "lossless": True,
        "exact": True,  # keeps colours under alpha 0
        **_WEBP_EFFORT,
        **_present(exif=info.exif, icc_profile=info.icc, xmp=info.xmp),
    }


def _jpeg(info: Info) -> dict[str, Any]:
    options = _present(exif=info.exif, icc_profile=info.icc, xmp=info.xmp, dpi=info.dpi)
    if info.exif:
        options["exif"] = b"Exif\0\0" + info.exif
    return {"quality": _JPEG_QUALITY, "subsampling": 0, **options}


def _tga(info: Info) -> dict[str, Any]:
    return _present(compression=info.compression)


def _bmp(info: Info) -> dict[str, Any]:
    return _present(dpi=info.dpi)


_OPTIONS: dict[str, Callable[[Info], dict[str, Any]]] = {
    "PNG": _png,
    "WEBP": _webp,
    "JPEG": _jpeg,
    "BMP": _bmp,
    "TGA": _tga,
    "PPM": lambda info: {},
}


def _present(**options: Any) -> dict[str, Any]:
    return {key: value for key, value in options.items() if value}


def write_atomic(path: Path, data: bytes) -> None:
    """Write a file that is there whole or not at all, through power loss too.

    Args:
        path: where; its folder exists.
        data: what.

    Raises:
        UeError: ``disk-full`` or ``write-failed``; nothing is left behind.
    """
    # The temporary name is short: one made from a name of 255 bytes would not fit.
    temporary = path.with_name(f"{TEMPORARY_PREFIX}{secrets.token_hex(8)}")
    with explain_write(path):
        try:
            with temporary.open("xb") as file:
                file.write(data)
                file.flush()
                os.fsync(file.fileno())
            temporary.replace(path)
        except BaseException:
            with contextlib.suppress(OSError):
                temporary.unlink()
            raise


def sweep(folder: Path) -> int:
    """Remove temporary files that an interrupted run left below a folder.

    Returns:
        How many there were.
    """
    count = 0
    for parent, _, names in os.walk(folder):
        for name in names:
            if name.startswith(TEMPORARY_PREFIX):
                with contextlib.suppress(FileNotFoundError):
                    Path(parent, name).unlink()
                    count += 1
    return count
