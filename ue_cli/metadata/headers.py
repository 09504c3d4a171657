"""What stays of a JPEG's APPn and COM segments when it is published: everything but pictures.

A segment that is understood is filtered; one that holds or describes pictures goes; a vendor's
segment that nobody can read stays only if it is too small for a picture.
"""

from __future__ import annotations

from itertools import groupby

from ue_cli.metadata import add_opt_out, filter_exif, filter_photoshop, filter_xmp
from ue_cli.metadata.embedded import MetadataPolicy, Removed, has_picture

APP0, APP1, APP2, APP11, APP13, APP14, APP15 = 0xE0, 0xE1, 0xE2, 0xEB, 0xED, 0xEE, 0xEF
COM = 0xFE
_MAX_PAYLOAD = 65533

_JFIF, _EXIF = b"JFIF\0", b"Exif\0"
_XMP, _EXTENDED_XMP = b"http://ns.adobe.com/xap/1.0/\0", b"http://ns.adobe.com/xmp/extension/\0"
ICC, _PHOTOSHOP, _ADOBE = b"ICC_PROFILE\0", b"Photoshop 3.0\0", b"Adobe"
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


def filter_header(
    header: list[Segment], policy: MetadataPolicy
) -> tuple[list[Segment], list[Removed]]:
    """Filter every APPn and COM segment of a file.

    Args:
        header: (marker, payload) in the file's order.
        policy: what else to remove.

    Returns:
        The segments that stay, in order, with unchanged bytes unless they held a picture; and
        what was removed.
    """
    segments: list[Segment] = []
    removed: list[Removed] = []
    after_dropped_vendor = has_exif = False
    for kind, run in groupby(header, key=_block_kind):
        if kind:
            for block in _blocks(kind, list(run)):
                if kind == "exif" and has_exif and not _starts_exif(block[0]):
                    stray = b"".join(payload for _, payload in block)
                    removed.append(Removed.of("stray continuation of EXIF", stray))
                    continue
                has_exif |= kind == "exif"
                more, gone = _filter_block(kind, block, policy)
                segments += more
                removed += gone
            continue
        for marker, payload in run:
            result, gone = _filter_segment(marker, payload, policy, after_dropped_vendor)
            after_dropped_vendor = result is None and _is_vendor(marker, payload)
            removed += gone
            if result is not None:
                segments.append((marker, result))
    return segments, removed


def _blocks(kind: str, run: list[Segment]) -> list[list[Segment]]:
    """Split a run: data beyond 64 KB goes on in the next segment, but TIFF heads start anew."""
    blocks: list[list[Segment]] = []
    for segment in run:
        if not blocks or (kind == "exif" and _starts_exif(segment)):
            blocks.append([])
        blocks[-1].append(segment)
    return blocks


def _starts_exif(segment: Segment) -> bool:
    return segment[1][6:8] in (b"II", b"MM")


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
    if marker == APP2 and payload.startswith(ICC):
        return payload, []
    for picture_marker, start, what in _PICTURE_SEGMENTS:
        if marker == picture_marker and payload.startswith(start):
            return None, [Removed.of(what, payload)]
    if marker == APP1 and payload.startswith(_XMP):
        xmp, removed = filter_xmp(payload[len(_XMP) :], policy)
        if xmp is not None and len(_XMP) + len(xmp) > _MAX_PAYLOAD:
            # Only UTF-16 turned into UTF-8 can grow.
            return None, [Removed.of("XMP in UTF-16", payload)]
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


def add_notice(header: list[Segment]) -> tuple[list[Segment], list[Removed]]:
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
