"""Files with pictures hidden in them, built byte by byte for the tests of the metadata filters."""

from __future__ import annotations

import io
import struct

import numpy as np
from PIL import Image

Payload = bytes | str | tuple[int, ...]
Directory = list[tuple[int, int, Payload]]

BYTE, ASCII, SHORT, LONG, RATIONAL, UNDEFINED = 1, 2, 3, 4, 5, 7
_UNITS = {BYTE: 1, ASCII: 1, SHORT: 2, LONG: 4, RATIONAL: 8, UNDEFINED: 1}


def jpeg(seed: int = 0, size: tuple[int, int] = (48, 64), **options: object) -> bytes:
    """A small JPEG of noise, so that no stretch of it occurs anywhere by chance."""
    pixels = np.random.default_rng(seed).integers(0, 256, (*size, 3), dtype=np.uint8)
    stream = io.BytesIO()
    Image.fromarray(pixels).save(stream, "JPEG", **options)
    return stream.getvalue()


def noise(seed: int, size: int) -> bytes:
    """Bytes of an uncompressed picture, without an FF that could look like a marker."""
    return np.random.default_rng(seed).integers(0, 255, size, dtype=np.uint8).tobytes()


def is_gone(picture: bytes, data: bytes) -> bool:
    """Whether no quarter of a picture's bytes is left in ``data``."""
    step = len(picture) // 4
    return all(picture[at + 8 : at + 40] not in data for at in range(0, 3 * step + 1, step))


def tiff(order: str, blocks: dict[str, Directory | bytes], chain: dict[str, str]) -> bytes:
    """Lay blocks out one after the other, the first being IFD0; names stand for offsets."""
    offsets = dict.fromkeys(blocks, 0)
    body = b""
    for _ in range(2):  # once for the sizes, once with the offsets
        body = (b"II*\0" if order == "<" else b"MM\0*") + struct.pack(f"{order}I", 8)
        for name, block in blocks.items():
            offsets[name] = len(body)
            if isinstance(block, bytes):
                body += block
                continue
            values_at = len(body) + 2 + 12 * len(block) + 4
            table, values = struct.pack(f"{order}H", len(block)), b""
            for tag, kind, payload in block:
                raw = _encode(order, kind, payload, offsets)
                table += struct.pack(f"{order}HHI", tag, kind, len(raw) // _UNITS[kind])
                if len(raw) <= 4:
                    table += raw.ljust(4, b"\0")
                else:
                    table += struct.pack(f"{order}I", values_at + len(values))
                    values += raw + bytes(len(raw) & 1)
            body += table + struct.pack(f"{order}I", offsets.get(chain.get(name, ""), 0)) + values
    return body


def _encode(order: str, kind: int, payload: Payload, offsets: dict[str, int]) -> bytes:
    if isinstance(payload, bytes):
        return payload
    numbers = (offsets[payload],) if isinstance(payload, str) else payload
    letter = "H" if kind == SHORT else "I"
    return b"".join(struct.pack(order + letter, number) for number in numbers)


THUMBNAIL, PREVIEW = jpeg(1), jpeg(2)
MAKER_NOTE = b"Maker\0\1\2" + noise(3, 40) + PREVIEW + noise(4, 40)
LATITUDE = struct.pack(">6I", 48, 1, 51, 1, 29_876, 1000)


def exif(order: str = "<", thumbnail: bytes = THUMBNAIL) -> bytes:
    """A camera's EXIF: everything that can hold a picture or a position, in a usual layout."""
    return tiff(
        order,
        {
            "ifd0": [
                (0x010F, ASCII, b"A camera maker\0"),
                (0x0112, SHORT, (6,)),
                (0x8769, LONG, "exif"),
                (0x8825, LONG, "gps"),
            ],
            "exif": [
                (0x829A, RATIONAL, (1, 250)),
                (0x927C, UNDEFINED, MAKER_NOTE),
                (0x9286, UNDEFINED, b"ASCII\0\0\0a comment"),
            ],
            "gps": [(0x0001, ASCII, b"N\0"), (0x0002, RATIONAL, LATITUDE)],
            "ifd1": [
                (0x0103, SHORT, (6,)),
                (0x011A, RATIONAL, (72, 1)),
                (0x0201, LONG, "thumbnail"),
                (0x0202, LONG, (len(thumbnail),)),
            ],
            "thumbnail": thumbnail,
        },
        {"ifd0": "ifd1"},
    )


def photoshop_resource(kind: int, payload: bytes, name: bytes = b"") -> bytes:
    """One 8BIM block."""
    label = bytes([len(name)]) + name
    label += bytes(len(label) & 1)
    size = len(payload).to_bytes(4, "big")
    return b"8BIM" + kind.to_bytes(2, "big") + label + size + payload + bytes(len(payload) & 1)


def segment(marker: int, payload: bytes) -> bytes:
    """One marker segment."""
    return bytes((0xFF, marker)) + (len(payload) + 2).to_bytes(2, "big") + payload


def with_segments(picture: bytes, *segments: bytes) -> bytes:
    """A JPEG with segments put behind its SOI and JFIF header."""
    at = 2
    if picture[2:4] == b"\xff\xe0":
        at += 2 + int.from_bytes(picture[4:6], "big")
    return picture[:at] + b"".join(segments) + picture[at:]


def pixels(data: bytes) -> bytes:
    """The decoded picture."""
    with Image.open(io.BytesIO(data)) as image:
        return image.convert("RGB").tobytes()
