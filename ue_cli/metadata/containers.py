"""What file headers say and Pillow does not pass on."""

from __future__ import annotations

import struct

_HEIC_BRANDS = {b"heic", b"heix", b"hevc", b"hevx", b"heim", b"heis", b"hevm", b"hevs"}
_TGA_FOOTER = b"TRUEVISION-XFILE.\0"


def is_heic(data: bytes) -> bool:
    """Whether an ISO file declares HEVC-coded stills (major or compatible brand), and not AVIF."""
    if data[4:8] != b"ftyp":
        return False
    end = min(int.from_bytes(data[:4], "big"), 256)
    brands = {data[8:12], *(data[i : i + 4] for i in range(16, end - 3, 4))}
    return bool(brands & _HEIC_BRANDS) and not brands & {b"avif", b"avis"}


def is_tga(data: bytes) -> bool:
    """Whether a file carries the TGA 2.0 footer, TGA's only signature."""
    return data.endswith(_TGA_FOOTER)


def is_lossless_webp(data: bytes) -> bool:
    """Whether a still WebP's image chunk is VP8L, also inside the extended container."""
    at = 12
    while at + 8 <= len(data):
        kind, size = data[at : at + 4], int.from_bytes(data[at + 4 : at + 8], "little")
        if kind in (b"VP8L", b"VP8 "):
            return kind == b"VP8L"
        at += 8 + size + (size & 1)
    return False


def png_header_chunks(data: bytes) -> list[tuple[bytes, bytes]]:
    """The chunks before the first IDAT, in file order."""
    chunks = []
    at = 8
    while at + 12 <= len(data):
        size, kind = int.from_bytes(data[at : at + 4], "big"), data[at + 4 : at + 8]
        if kind == b"IDAT":
            break
        chunks.append((kind, data[at + 8 : at + 8 + size]))
        at += 12 + size
    return chunks


def ppm_is_deep_colour(data: bytes) -> bool:
    """Whether a PPM (P3, P6) holds more than 8 bits per channel."""
    if data[:2] not in (b"P3", b"P6"):
        return False
    words: list[bytes] = []
    for line in data[:4096].splitlines():
        words += line.split(b"#")[0].split()
    return len(words) > 3 and words[3].isdigit() and int(words[3]) > 255


def strip_exif_prefix(exif: bytes) -> bytes:
    r"""Drop the ``Exif\0\0`` that JPEG puts before the TIFF block."""
    return exif.removeprefix(b"Exif\0\0")


def exif_orientation(exif: bytes) -> int:
    """The orientation tag of an EXIF block's first directory; 1 if there is none or it is invalid.

    Reads that one tag only: a damaged block must neither raise nor rotate.
    """
    order = {b"II*\0": "<", b"MM\0*": ">"}.get(exif[:4])
    if order is None or len(exif) < 8:
        return 1
    try:
        (start,) = struct.unpack_from(f"{order}I", exif, 4)
        (count,) = struct.unpack_from(f"{order}H", exif, start)
        for entry in range(start + 2, start + 2 + 12 * count, 12):
            tag, kind, number, value = struct.unpack_from(f"{order}HHIH", exif, entry)
            if tag == 274:
                return value if kind == 3 and number == 1 and 1 <= value <= 8 else 1
    except struct.error:
        pass
    return 1
