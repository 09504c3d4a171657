"""Pictures hidden inside a picture's file: what they look like, where they end, and their record.

Every copy of the original inside a protected file is an unprotected picture for a scraper to
take, so the filters beside this module remove what they know by name (thumbnails, previews, gain
maps), and this search finds what nobody named.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import NamedTuple

from ue_cli.errors import SkipFile

SOI = b"\xff\xd8"
EOI = b"\xff\xd9"
JPEG_START = b"\xff\xd8\xff"
PNG_START = b"\x89PNG\r\n\x1a\n"
M_SOI, M_EOI, M_SOS = 0xD8, 0xD9, 0xDA

# What pictures and films begin with, and how far into them. ``D8 FF DB`` alone is a preview of
# Minolta's and Sony's, whose first byte is overwritten.
_STARTS = (
    (JPEG_START, 0),
    (b"\xd8\xff\xdb", 1),
    (PNG_START, 0),
    (b"WEBPVP8", 8),
    *((b"ftyp" + brand, 4) for brand in (b"heic", b"heix", b"mif1", b"avif", b"mp4", b"isom")),
)
# Junk and fill bytes between segments are skipped, as libjpeg does; so are reserved codes.
_MARKER = re.compile(rb"\xff[\xc0-\xfe]")
# In entropy-coded data, FF 00 is a data byte and FF D0..D7 a restart.
_SCAN_END = re.compile(rb"\xff[\xc0-\xcf\xd8-\xfe]")


@dataclass(frozen=True)
class MetadataPolicy:
    """What the owner wants done with metadata, besides dropping embedded pictures.

    Attributes:
        strip_gps: remove positions, and vendor data that nobody can read for one.
        strip_all: keep only what displays the picture: orientation, ICC, density, Adobe marker.
        opt_out: write the IPTC/PLUS ``plus:DataMining`` prohibition into XMP.
    """

    strip_gps: bool = False
    strip_all: bool = False
    opt_out: bool = False


@dataclass(frozen=True)
class Removed:
    """One thing that was taken out of a file.

    Attributes:
        what: for the report, such as ``EXIF thumbnail``.
        size: how many bytes that was.
    """

    what: str
    size: int

    @classmethod
    def of(cls, what: str, data: bytes) -> Removed:
        """Record ``data`` as removed."""
        return cls(what, len(data))

    def __str__(self) -> str:
        return f"{self.what} ({self.size:,} bytes)"


class Piece(NamedTuple):
    """One marker segment of a JPEG stream; a scan's entropy-coded data belongs to its SOS."""

    marker: int
    start: int
    payload: int
    end: int


def walk_jpeg(data: bytes | bytearray, start: int = 0) -> Iterator[Piece]:
    """Go through the marker segments of the JPEG stream at ``start``, EOI included.

    A stream that ends inside its last scan, or whose scan runs into another SOI, ends there
    without an EOI; decoders accept both.

    Raises:
        SkipFile: ``damaged-jpeg`` where no decoder could follow either.
    """
    if data[start : start + 2] != SOI:
        raise SkipFile("damaged-jpeg", "It does not start like a JPEG (FF D8).")
    at, scanned = start + 2, False
    while match := _MARKER.search(data, at):
        begin = match.start()
        marker = data[begin + 1]
        if marker == M_EOI:
            yield Piece(marker, begin, begin + 2, begin + 2)
            return
        if marker == M_SOI:
            break
        if 0xD0 <= marker <= 0xD7:
            at = begin + 2
            continue
        size = int.from_bytes(data[begin + 2 : begin + 4], "big")
        end = begin + 2 + size
        if size < 2 or end > len(data):
            if scanned:
                break
            raise SkipFile("damaged-jpeg", f"Its marker {marker:02X} has no whole segment.")
        if marker == M_SOS:
            scanned = True
            stop = _SCAN_END.search(data, end)
            end = stop.start() if stop else len(data)
        yield Piece(marker, begin, begin + 4, end)
        at = end
    if not scanned:
        raise SkipFile("damaged-jpeg", "The JPEG has no picture data in it.")


def jpeg_end(data: bytes | bytearray, start: int) -> int | None:
    """Where the JPEG stream that starts at ``start`` ends; None where it makes no sense."""
    end = None
    try:
        for piece in walk_jpeg(data, start):
            end = piece.end
    except SkipFile:
        return None
    return end


def find_picture(data: bytes | bytearray, start: int = 0) -> int | None:
    """Offset of the first thing from ``start`` on that begins like a picture or a film."""
    offsets = []
    for magic, depth in _STARTS:
        at = data.find(magic, start)
        if at >= 0:
            offsets.append(max(at - depth, start))
    return min(offsets, default=None)


def picture_end(data: bytes | bytearray, start: int, limit: int) -> int:
    """Where the picture at ``start`` ends; ``limit`` where that cannot be told."""
    window = bytes(data[start:limit])
    if window.startswith(PNG_START):
        tail = window.find(b"IEND")
        size = tail + 8 if tail >= 0 else len(window)
    elif window.startswith(b"RIFF"):
        size = 8 + int.from_bytes(window[4:8], "little")
    elif window[1:3] == JPEG_START[1:]:
        size = jpeg_end(b"\xff" + window[1:], 0) or len(window)
    else:
        size = len(window)
    return start + min(size, len(window))


def has_picture(data: bytes) -> bool:
    """True where ``data`` contains the start of a picture."""
    return find_picture(data) is not None
