"""The quantised DCT coefficients of a JPEG: read them, write them, nothing recompressed.

Everything but the entropy-coded scans (application segments, quantisation tables, frame header)
is taken from the original byte for byte.
"""

from __future__ import annotations

import ctypes
import re
import struct
from dataclasses import dataclass

import numpy as np
from jpeglib._bind import CJpegLib
from numpy.typing import NDArray

from ue_cli.errors import SkipFile
from ue_cli.jpeg.libjpeg import FAST, PROGRESSIVE, available, call, output_file, pointer

Coefficients = NDArray[np.int16]

COEFFICIENT_LIMIT = 1023
_SOI, _EOI, _SOS, _DHT, _DRI, _DQT = 0xD8, 0xD9, 0xDA, 0xC4, 0xDD, 0xDB
_BARE = {0x01, *range(0xD0, 0xD8)}
_MARKER = re.compile(b"\xff[\x02-\xcf\xd8-\xfe]")  # not stuffing, restart or fill
_FRAMES = {*range(0xC0, 0xD0)} - {_DHT, 0xC8, 0xCC}
_HUFFMAN_FRAMES = {0xC0, 0xC1, 0xC2}
_STANDARD_DC_LUMA = bytes([0, 0, 1, 5, 1, 1, 1, 1, 1, 1, 0, 0, 0, 0, 0, 0, 0, *range(12)])


class NotInCoefficientDomain(SkipFile):
    """This JPEG decodes, but its coefficients cannot be rewritten; it takes the lossless path."""


@dataclass(frozen=True)
class JpegCoefficients:
    """A JPEG as its coefficients.

    Attributes:
        planes: per component quantised coefficients, int16 (block rows, block columns, 8, 8), in
            natural order (row frequency, column frequency).
        tables: per component quantisation steps, int32 (8, 8).
        sampling: per component (horizontal, vertical) sampling factor.
        height, width: of the decoded image in stored orientation.
        progressive: the file was progressive, and is written so again.
        optimised: its Huffman tables are not the standard's, so they are fitted to the file again.
        header: the original's bytes before its first scan, split into segments.
        identifiers: component identifiers, as scans name them.
    """

    planes: tuple[Coefficients, ...]
    tables: tuple[NDArray[np.int32], ...]
    sampling: tuple[tuple[int, int], ...]
    height: int
    width: int
    progressive: bool
    optimised: bool
    header: tuple[tuple[int, bytes], ...]
    identifiers: bytes


def read_coefficients(data: bytes) -> JpegCoefficients:
    """Read every coefficient of a JPEG.

    Args:
        data: the whole file.

    Returns:
        The coefficients, and what is needed to write them back.

    Raises:
        NotInCoefficientDomain: arithmetic coding, lossless or hierarchical frames, 12 bits, not
            YCbCr or grayscale, unusual sampling, or a stream that libjpeg does not read.
    """
    header, scan = _header_segments(data)
    kind, frame = next(((m, body) for m, body in header if m in _FRAMES), (0, b""))
    if kind not in _HUFFMAN_FRAMES or len(frame) < 6:
        raise NotInCoefficientDomain(
            "jpeg-coding", "it is not a baseline or progressive Huffman JPEG"
        )
    precision, height, width, count = struct.unpack(">BHHB", frame[:6])
    if precision != 8 or not height or not width or len(frame) != 6 + 3 * count:
        raise NotInCoefficientDomain("jpeg-frame", f"its frame is unusual ({precision} bits)")
    if count not in (1, 3):
        raise NotInCoefficientDomain("jpeg-components", f"it has {count} colour components")
    identifiers = frame[6::3]
    if count == 3 and not _is_ycbcr(header, identifiers):
        raise NotInCoefficientDomain("jpeg-rgb", "it stores RGB, not luma and chroma")
    sampling = tuple((b >> 4, b & 15) for b in frame[7::3]) if count == 3 else ((1, 1),)
    _check_sampling(sampling)
    shapes = _block_shapes(height, width, sampling)
    planes = tuple(np.zeros((*shape, 8, 8), np.int16) for shape in shapes)
    tables = np.zeros((4, 8, 8), np.uint16)
    numbers = np.zeros(4, np.int16)
    pointers = [pointer(plane) for plane in planes] + [None] * (4 - count)
    stream = _bare_stream(header, data[scan:])
    # A fatal error in the header would crash the reader of coefficients; that of markers survives.
    probe = np.zeros(16, np.uint8)
    if not (
        call("read_jpeg_markers", stream, pointer(probe))
        and call("read_jpeg_dct", stream, *pointers, pointer(tables), pointer(numbers))
    ):
        raise NotInCoefficientDomain("jpeg-stream", "its entropy-coded data could not be read")
    for plane, number in zip(planes, numbers, strict=False):
        if not 0 <= number < 4 or tables[number].min() < 1:
            raise NotInCoefficientDomain("jpeg-tables", "a quantisation table is missing")
        if max(int(plane.max()), -int(plane.min())) > 2047:
            raise NotInCoefficientDomain("jpeg-stream", "its entropy-coded data is damaged")
    dc_tables = [body for marker, body in header if marker == _DHT]
    return JpegCoefficients(
        planes=planes,
        tables=tuple(tables[number].astype(np.int32) for number in numbers[:count]),
        sampling=sampling,
        height=height,
        width=width,
        progressive=kind == 0xC2,
        optimised=not any(_STANDARD_DC_LUMA in body for body in dc_tables),
        header=header,
        identifiers=identifiers,
    )


def write_coefficients(coefficients: JpegCoefficients) -> bytes:
    """Write a complete JPEG file around the coefficients.

    Returns:
        The original's segments in their order, then freshly coded scans and the end marker;
        nothing that followed the original's end marker.

    Raises:
        NotInCoefficientDomain: a coefficient is out of range, so that the writer failed.
    """
    written = _encode(coefficients, FAST, b"") if _in_range(coefficients.planes) else b""
    if not written:
        raise NotInCoefficientDomain("jpeg-write", "its coefficients cannot be coded")
    progressive = b""
    if coefficients.progressive and available(PROGRESSIVE):
        # This build alone writes progressive scans, and only beside a file that it can read.
        progressive = _encode(coefficients, PROGRESSIVE, written)
    return _splice(coefficients, progressive or written, bool(progressive))


def _encode(coefficients: JpegCoefficients, version: str, source: bytes) -> bytes:
    """The coefficients as a JPEG of the writer's own; empty where it failed."""
    planes = [np.ascontiguousarray(plane) for plane in coefficients.planes]
    count = len(planes)
    pointers = [pointer(plane) for plane in planes] + [None] * (4 - count)
    dims = [n for plane in planes for n in plane.shape[:2]]
    factors = [n for h, v in coefficients.sampling for n in (v, h)]
    with output_file() as (path, contents):
        done = call(
            "write_jpeg_dct",
            source,
            path.encode(),
            *pointers,
            (ctypes.c_int * 2)(coefficients.height, coefficients.width),
            (ctypes.c_int * 8)(*dims),
            (ctypes.c_int * 8)(*factors),
            3 if count == 3 else 1,  # JCS_YCbCr, JCS_GRAYSCALE
            count,
            None,  # tables: the original's segments are kept instead
            -1,
            None,
            0,
            None,
            None,
            None,
            *CJpegLib.flags_to_mask(["OPTIMIZE_CODING"] if coefficients.optimised else []),
            version=version,
        )
        return contents() if done else b""


def _in_range(planes: tuple[Coefficients, ...]) -> bool:
    """Whether every coefficient has a code: the fast writer does not check."""
    for plane in planes:
        if plane.max() > COEFFICIENT_LIMIT or plane.min() < -COEFFICIENT_LIMIT:
            constant = plane[:, :, 0, 0]
            rest = plane.copy()
            rest[:, :, 0, 0] = 0
            # Constant terms are coded as differences, which have one bit more.
            if constant.max() > 1023 or constant.min() < -1024:
                return False
            if rest.max() > COEFFICIENT_LIMIT or rest.min() < -COEFFICIENT_LIMIT:
                return False
    return True


def _splice(coefficients: JpegCoefficients, written: bytes, progressive: bool) -> bytes:
    """The original's segments around the written file's Huffman tables and scans.

    The writer numbers components and tables itself: its frame header and quantisation tables are
    dropped, its scans are renamed to the original's components, and the restart interval goes,
    because it writes no restart markers.
    """
    parts = [b"\xff\xd8"]
    for marker, body in coefficients.header:
        if marker == 0xC2 and not progressive:
            # Baseline, or extended where a table has 16-bit steps, which baseline cannot have.
            marker = 0xC1 if any(int(t.max()) > 255 for t in coefficients.tables) else 0xC0
        if marker not in (_DHT, _DRI):
            parts.append(_segment(marker, body))
    header, position = _header_segments(written)
    parts.extend(_segment(marker, body) for marker, body in header if marker == _DHT)
    identifiers = next(body for marker, body in header if marker in _FRAMES)[6::3]
    names = dict(zip(identifiers, coefficients.identifiers, strict=True))
    while True:  # one turn per scan
        (length,) = struct.unpack_from(">H", written, position + 2)
        scan = bytearray(written[position : position + 2 + length])
        for i in range(5, 5 + 2 * scan[4], 2):
            scan[i] = names[scan[i]]
        position += len(scan)
        end = _end_of_scan(written, position)
        parts += [bytes(scan), written[position:end]]
        position = end
        while written[position + 1] not in (_SOS, _EOI):
            (length,) = struct.unpack_from(">H", written, position + 2)
            if written[position + 1] == _DHT:
                parts.append(written[position : position + 2 + length])
            position += 2 + length
        if written[position + 1] == _EOI:
            return b"".join([*parts, b"\xff\xd9"])


def _end_of_scan(data: bytes, position: int) -> int:
    """Offset of the marker that ends the entropy-coded data starting at ``position``."""
    match = _MARKER.search(data, position)
    if not match:
        raise NotInCoefficientDomain("jpeg-write", "the written file has no end")
    return match.start()


def _segment(marker: int, body: bytes) -> bytes:
    return struct.pack(">BBH", 0xFF, marker, len(body) + 2) + body


def _header_segments(data: bytes) -> tuple[tuple[tuple[int, bytes], ...], int]:
    """(marker, body) of every segment before the first scan, and that scan's offset."""
    segments: list[tuple[int, bytes]] = []
    position = 2
    while data[:2] == b"\xff\xd8" and position + 4 <= len(data) and data[position] == 0xFF:
        marker = data[position + 1]
        if marker == 0xFF:  # fill byte
            position += 1
            continue
        if marker == _SOS:
            return tuple(segments), position
        (length,) = struct.unpack_from(">H", data, position + 2)
        if marker in _BARE or marker in (_SOI, _EOI) or length < 2:
            break
        segments.append((marker, data[position + 4 : position + 2 + length]))
        position += 2 + length
    raise NotInCoefficientDomain("jpeg-header", "its segments do not lead to a scan")


def _bare_stream(header: tuple[tuple[int, bytes], ...], scans: bytes) -> bytes:
    """What a decoder of coefficients needs of a file, without its application segments."""
    needed = {_DQT, _DHT, _DRI, *_FRAMES}
    segments = [_segment(marker, body) for marker, body in header if marker in needed]
    return b"".join([b"\xff\xd8", *segments, scans])


def _is_ycbcr(header: tuple[tuple[int, bytes], ...], identifiers: bytes) -> bool:
    """The rule of libjpeg for the colour space of three components."""
    if any(marker == 0xE0 and body.startswith(b"JFIF\0") for marker, body in header):
        return True
    for marker, body in header:
        if marker == 0xEE and body.startswith(b"Adobe") and len(body) >= 12:
            return body[11] != 0
    return identifiers != b"RGB"


def _check_sampling(sampling: tuple[tuple[int, int], ...]) -> None:
    """Luma at full resolution, both chroma planes alike, whole ratios of 1, 2 or 4."""
    luma, *chroma = sampling
    alike = len(set(chroma)) <= 1
    if not alike or any(
        not 1 <= c <= 4 or not 1 <= y <= 4 or y % c or y // c == 3
        for factors in chroma
        for y, c in zip(luma, factors, strict=True)
    ):
        raise NotInCoefficientDomain("jpeg-sampling", f"its chroma sampling is unusual: {sampling}")


def _block_shapes(
    height: int, width: int, sampling: tuple[tuple[int, int], ...]
) -> list[tuple[int, int]]:
    most_h = max(h for h, _ in sampling)
    most_v = max(v for _, v in sampling)
    return [(-(-height * v // (8 * most_v)), -(-width * h // (8 * most_h))) for h, v in sampling]
