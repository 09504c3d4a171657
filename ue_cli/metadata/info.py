"""The metadata that travels with an image from `decode` to `encode`."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from PIL import Image, ImageFile

from ue_cli.metadata import containers

# Tags that describe the picture; all others lay out the file, and would break another one.
DESCRIPTIVE_TAGS = (270, 271, 272, 274, 285, 305, 306, 315, 316, 18246, 33432, *range(40091, 40096))
_EXIF_IFD, _GPS_IFD, _INTEROP_IFD = 0x8769, 0x8825, 0xA005


@dataclass(frozen=True, slots=True)
class Info:
    """Metadata to carry into the output; bytes fields are empty where the file has none.

    Attributes:
        exif: a TIFF block, without the ``Exif`` prefix of JPEG.
        icc: the colour profile.
        xmp: the packet.
        iptc, photoshop: TIFF tags 33723 and 34377.
        dpi: horizontal, vertical.
        text: PNG text chunks, keyword and value.
        png_chunks: PNG chunks that say how to show the pixels, in file order.
        compression: of a TIFF or TGA, as Pillow names it.
    """

    exif: bytes = b""
    icc: bytes = b""
    xmp: bytes = b""
    iptc: bytes = b""
    photoshop: bytes = b""
    dpi: tuple[float, float] | None = None
    text: tuple[tuple[str, str], ...] = ()
    png_chunks: tuple[tuple[bytes, bytes], ...] = ()
    compression: str = ""


def _bytes(value: Any) -> bytes:
    if isinstance(value, tuple) and len(value) == 1 and isinstance(value[0], bytes):
        value = value[0]
    if isinstance(value, tuple) and all(isinstance(v, int) for v in value):
        value = bytes(v & 255 for v in value)
    return value if isinstance(value, bytes) else b""


def read_info(image: Image.Image, name: str, raw: bytes) -> Info:
    """Metadata of a *loaded* image of any format but TIFF: PNG may have some after its pixels."""
    info = image.info
    text: dict[str, str] = getattr(image, "text", {}) if name == "PNG" else {}
    exif = containers.strip_exif_prefix(_bytes(info.get("exif")))
    xmp = info.get("xmp", b"")
    display_chunks = (b"gAMA", b"cHRM", b"sRGB", b"cICP", b"tIME")
    chunks = containers.png_header_chunks(raw) if name == "PNG" else []
    return Info(
        exif=exif,
        icc=_bytes(info.get("icc_profile")),
        xmp=xmp.encode() if isinstance(xmp, str) else _bytes(xmp),
        dpi=_dpi(info.get("dpi")),
        text=tuple((k, str(v)) for k, v in text.items() if k != "XML:com.adobe.xmp"),
        png_chunks=tuple((kind, body) for kind, body in chunks if kind in display_chunks),
        compression=str(info.get("compression", "")) if name == "TGA" else "",
    )


def _dpi(value: Any) -> tuple[float, float] | None:
    try:
        x, y = (float(v) for v in value)
    except (TypeError, ValueError, ZeroDivisionError):
        return None
    return (x, y) if 0 < x < 1e6 and 0 < y < 1e6 else None


def read_tiff_info(image: ImageFile.ImageFile) -> tuple[Info, int, int]:
    """Metadata of a TIFF, its orientation, and the turn that Pillow will apply on load."""
    tags: Any = image.tag_v2  # type: ignore[attr-defined]
    read = image.getexif()
    undo = read.get(274, 1)
    orientation = tags.get(274, 1)
    block = Image.Exif()
    for tag in DESCRIPTIVE_TAGS:
        if tag in tags:
            block[tag] = tags[tag]
    for ifd in (_EXIF_IFD, _GPS_IFD):
        entries = read.get_ifd(ifd)
        if entries:
            entries.pop(_INTEROP_IFD, None)  # an offset into the old file
            block.get_ifd(ifd).update(entries)
    try:
        exif = containers.strip_exif_prefix(block.tobytes()) if block or block._ifds else b""
    except Exception:  # tags of impossible types: the picture matters more than its metadata
        exif = b""
    info = Info(
        exif=exif,
        icc=_bytes(image.info.get("icc_profile")),
        xmp=_bytes(tags.get(700)),
        iptc=_bytes(tags.get(33723)),
        photoshop=_bytes(tags.get(34377)),
        dpi=_dpi(image.info.get("dpi")),
        compression=str(image.info.get("compression", "")),
    )
    valid = isinstance(orientation, int) and 1 <= orientation <= 8
    return info, orientation if valid else 1, undo if undo in range(2, 9) else 1
