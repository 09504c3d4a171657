"""JPEG files as marker segments: the original's metadata, filtered, around a freshly coded picture.

Whoever writes new coefficients writes a whole new stream; of it only the tables, frame and scans
are used. Every APPn and COM segment comes from the original, byte for byte and in order, except
what would hand out an unprotected copy of the picture.
"""

from __future__ import annotations

import zlib
from dataclasses import dataclass
from itertools import groupby

from ue_cli.errors import SkipFile
from ue_cli.photos.embedded import (
    EOI,
    JPEG_START,
    M_EOI,
    SOI,
    MetadataPolicy,
    Removed,
    has_picture,
    jpeg_end,
    walk_jpeg,
)
from ue_cli.photos.metadata import add_opt_out, filter_exif, filter_photoshop, filter_xmp

APP0, APP1, APP2, APP11, APP13, APP14, COM = 0xE0, 0xE1, 0xE2, 0xEB, 0xED, 0xEE, 0xFE
_SOF = frozenset(range(0xC0, 0xD0)) - {0xC4, 0xC8, 0xCC}
_MAX_PAYLOAD = 65533

_JFIF, _EXIF = b"JFIF\0", b"Exif\0"
_XMP, _EXTENDED_XMP = b"http://ns.adobe.com/xap/1.0/\0", b"http://ns.adobe.com/xmp/extension/\0"
_ICC, _PHOTOSHOP, _ADOBE = b"ICC_PROFILE\0", b"Photoshop 3.0\0", b"Adobe"
# Segments that hold pictures, or describe pictures that are dropped.
_PICTURE_SEGMENTS = (
    (APP0, b"JFXX\0", "JFIF extension thumbnail"),
    (APP1, _EXTENDED_XMP, "extended XMP"),
    (APP1, b"FLIR\0", "thermal picture (FLIR)"),
    (APP2, b"MPF\0", "index of further pictures (MPF)"),
    (APP2, b"FPXR\0", "FlashPix data"),
    (APP2, b"urn:iso:std:iso:ts:21496", "gain map description"),
    (APP11, b"JP", "JUMBF (C2PA): its signature cannot fit a changed picture"),
    (APP11, b"HDR_RI", "HDR ratio picture"),
)
# Vendor segments that nobody can read stay up to here: a caption fits, a usable preview does not.
_SMALL_VENDOR_SEGMENT = 2048

Segment = tuple[int, bytes]


@dataclass(frozen=True, slots=True)
class Segments:
    """A JPEG file taken apart.

    Attributes:
        header: the APPn and COM segments in order, as (marker, payload), wherever they stood.
        frame: everything else from the first table to EOI; no SOI.
        trailer: what follows EOI.
        height, width: from the frame header, in pixels as stored.
    """

    header: tuple[Segment, ...]
    frame: bytes
    trailer: bytes
    height: int
    width: int


def parse_segments(data: bytes) -> Segments:
    """Take a JPEG file apart.

    Raises:
        SkipFile: ``damaged-jpeg`` where the markers lead nowhere.
    """
    header: list[Segment] = []
    frame: list[bytes] = []
    size: tuple[int, int] | None = None
    end, ended = len(data), False
    for piece in walk_jpeg(data):
        end, ended = piece.end, piece.marker == M_EOI
        if 0xE0 <= piece.marker <= 0xEF or piece.marker == COM:
            header.append((piece.marker, data[piece.payload : piece.end]))
            continue
        frame.append(data[piece.start : piece.end])
        if piece.marker in _SOF and size is None:
            at = piece.payload + 1
            size = (
                int.from_bytes(data[at : at + 2], "big"),
                int.from_bytes(data[at + 2 : at + 4], "big"),
            )
    if size is None:
        raise SkipFile("damaged-jpeg", "The JPEG has no frame header.")
    if not ended:
        frame.append(EOI)
    return Segments(tuple(header), b"".join(frame), data[end:], *size)


def finish_jpeg(
    original: bytes, written: bytes, policy: MetadataPolicy, size: tuple[int, int]
) -> tuple[bytes, tuple[Removed, ...]]:
    """Put the original's metadata around a newly written picture.

    Args:
        original: the file that the picture came from.
        written: a JPEG with the new picture; its own APPn and COM segments are ignored.
        policy: what else to remove or add.
        size: (height, width) that ``written`` must have, as stored.

    Returns:
        The file, and what was removed from it. No JPEG starts anywhere inside it but at its start.

    Raises:
        SkipFile: either stream is damaged, or ``written`` has another size.
    """
    old, new = parse_segments(original), parse_segments(written)
    if (new.height, new.width) != size:
        raise SkipFile(
            "damaged-jpeg",
            f"The JPEG writer made {new.width}×{new.height} pixels of {size[1]}×{size[0]}.",
        )
    header, removed = _filter_header(old.header, policy)
    if old.trailer:
        removed.append(Removed.of(_describe_trailer(old.trailer), old.trailer))
    if policy.opt_out:
        header, more = _opt_out(header)
        removed += more
    clean = [segment for segment in header if not _hides_jpeg(*segment)]
    removed += [
        Removed.of(f"segment {marker:02X} with a picture in it", payload)
        for marker, payload in header
        if _hides_jpeg(marker, payload)
    ]
    return SOI + _join(clean) + new.frame, tuple(removed)


def second_soi(data: bytes) -> list[int]:
    """Offsets at which another JPEG starts, in metadata segments or behind the picture.

    A color profile only counts where a whole JPEG parses: three chance bytes are not a picture.

    Raises:
        SkipFile: ``damaged-jpeg``.
    """
    found: list[int] = []
    end = len(data)
    for piece in walk_jpeg(data):
        end = piece.end
        if 0xE0 <= piece.marker <= 0xEF or piece.marker == COM:
            inner = data[piece.payload : piece.end]
            if _hides_jpeg(piece.marker, inner):
                found += [piece.payload + at for at in _starts(inner)]
    return found + [end + at for at in _starts(data[end:])]


def pack_jpeg_container(original: bytes) -> bytes:
    """Everything of a JPEG file but its picture, compressed, for ``restore_jpeg_container``."""
    parts = parse_segments(original)
    header = _join(list(parts.header))
    return zlib.compress(len(header).to_bytes(8, "big") + header + parts.trailer)


def restore_jpeg_container(packed: bytes, written: bytes) -> bytes:
    """Put the original's complete metadata and trailer around its restored picture.

    Args:
        packed: from ``pack_jpeg_container``.
        written: a JPEG with the original's coefficients.

    Raises:
        SkipFile: ``damaged-state`` where ``packed`` is not what was packed.
    """
    try:
        raw = zlib.decompress(packed)
    except zlib.error as error:
        raise SkipFile("damaged-state", f"The stored metadata cannot be read: {error}.") from None
    size = int.from_bytes(raw[:8], "big")
    if len(raw) < 8 + size:
        raise SkipFile("damaged-state", "The stored metadata is cut short.")
    return SOI + raw[8 : 8 + size] + parse_segments(written).frame + raw[8 + size :]


def _filter_header(
    header: tuple[Segment, ...], policy: MetadataPolicy
) -> tuple[list[Segment], list[Removed]]:
    kept: list[Segment] = []
    removed: list[Removed] = []
    after_dropped_vendor = False
    for kind, run in groupby(header, key=_block_kind):
        if kind:
            for block in _blocks(kind, list(run)):
                more, gone = _filter_block(kind, block, policy)
                kept += more
                removed += gone
            continue
        for marker, payload in run:
            result, gone = _filter_segment(marker, payload, policy, after_dropped_vendor)
            after_dropped_vendor = result is None and _is_vendor(marker, payload)
            removed += gone
            if result is not None:
                kept.append((marker, result))
    return kept, removed


def _blocks(kind: str, run: list[Segment]) -> list[list[Segment]]:
    """Split a run: data beyond 64 KB goes on in the next segment, but TIFF heads start anew."""
    blocks: list[list[Segment]] = []
    for segment in run:
        if not blocks or (kind == "exif" and segment[1][6:8] in (b"II", b"MM")):
            blocks.append([])
        blocks[-1].append(segment)
    return blocks


def _block_kind(segment: Segment) -> str:
    marker, payload = segment
    if marker == APP1 and payload.startswith(_EXIF):
        return "exif"
    return "photoshop" if marker == APP13 and payload.startswith(_PHOTOSHOP) else ""


def _filter_block(
    kind: str, segments: list[Segment], policy: MetadataPolicy
) -> tuple[list[Segment], list[Removed]]:
    marker, first = segments[0]
    prefix = first[:6] if kind == "exif" else _PHOTOSHOP
    block = b"".join(payload[len(prefix) :] for _, payload in segments)
    if kind == "exif":
        result, removed = filter_exif(block, policy)
    elif policy.strip_all:
        result, removed = None, [Removed.of("Photoshop and IPTC data", block)]
    else:
        result, removed = filter_photoshop(block, policy)
    if result == block:
        return segments, removed
    room = _MAX_PAYLOAD - len(prefix)
    data = result or b""
    return [(marker, prefix + data[i : i + room]) for i in range(0, len(data), room)], removed


def _filter_segment(
    marker: int, payload: bytes, policy: MetadataPolicy, after_dropped_vendor: bool
) -> tuple[bytes | None, list[Removed]]:
    """One segment that stands alone: its payload as it stays, or None."""
    if marker == APP0 and payload.startswith(_JFIF) and len(payload) >= 14:
        if len(payload) == 14 and payload[12:14] == b"\0\0":
            return payload, []
        return payload[:12] + b"\0\0", [Removed.of("JFIF thumbnail", payload[14:])]
    if marker == APP14 and payload.startswith(_ADOBE):
        rest = [Removed.of("data behind the Adobe marker", payload[12:])] if payload[12:] else []
        return payload[:12], rest
    if marker == APP2 and payload.startswith(_ICC):
        return payload, []
    for known, start, what in _PICTURE_SEGMENTS:
        if marker == known and payload.startswith(start):
            return None, [Removed.of(what, payload)]
    if marker == APP1 and payload.startswith(_XMP):
        xmp, removed = filter_xmp(payload[len(_XMP) :], policy)
        return (None if xmp is None else _XMP + xmp), removed
    if policy.strip_all:
        return None, [Removed.of(_name(marker), payload)]
    if has_picture(payload):
        return None, [Removed.of(f"picture in {_name(marker)}", payload)]
    if marker != COM and (
        policy.strip_gps or after_dropped_vendor or len(payload) > _SMALL_VENDOR_SEGMENT
    ):
        return None, [Removed.of(f"unreadable {_name(marker)}", payload)]
    return payload, []


def _is_vendor(marker: int, payload: bytes) -> bool:
    return marker != COM and not payload.startswith((_XMP, _EXTENDED_XMP, b"JFXX\0", b"MPF\0"))


def _name(marker: int) -> str:
    return "comment" if marker == COM else f"vendor segment APP{marker - APP0}"


def _opt_out(header: list[Segment]) -> tuple[list[Segment], list[Removed]]:
    """Add the opt-out to the packet that is there, else behind JFIF and EXIF, where it belongs."""
    removed: list[Removed] = []
    for index, (marker, payload) in enumerate(header):
        if marker == APP1 and payload.startswith(_XMP):
            packet = add_opt_out(payload[len(_XMP) :])
            if len(_XMP) + len(packet) > _MAX_PAYLOAD:
                packet = add_opt_out(_without_padding(payload[len(_XMP) :]))
            if len(_XMP) + len(packet) > _MAX_PAYLOAD:
                removed.append(Removed.of("XMP that left no room for the opt-out", payload))
                packet = add_opt_out(None)
            return [*header[:index], (marker, _XMP + packet), *header[index + 1 :]], removed
    at = 0
    while at < len(header) and header[at][0] in (APP0, APP1):
        at += 1
    return [*header[:at], (APP1, _XMP + add_opt_out(None)), *header[at:]], removed


def _without_padding(xmp: bytes) -> bytes:
    """Drop the room that writers leave for growing before the end of a packet."""
    tail = xmp.rfind(b"<?xpacket end")
    return xmp if tail < 0 else xmp[:tail].rstrip() + b"\n" + xmp[tail:]


def _hides_jpeg(marker: int, payload: bytes) -> bool:
    if marker == APP2 and payload.startswith(_ICC):
        return any(jpeg_end(payload, at) is not None for at in _starts(payload))
    return JPEG_START in payload


def _starts(data: bytes) -> list[int]:
    found = []
    at = data.find(JPEG_START)
    while at >= 0:
        found.append(at)
        at = data.find(JPEG_START, at + 1)
    return found


def _describe_trailer(trailer: bytes) -> str:
    if b"ftyp" in trailer:
        return "motion-photo film behind the picture"
    if JPEG_START in trailer:
        return "further pictures behind the picture"
    return "data behind the picture" if trailer.strip(b"\0") else "padding behind the picture"


def _join(header: list[Segment]) -> bytes:
    return b"".join(
        bytes((0xFF, marker)) + (len(payload) + 2).to_bytes(2, "big") + payload
        for marker, payload in header
    )
