"""Photoshop image resources (8BIM) and the IPTC records in them, without their thumbnails."""

from __future__ import annotations

from typing import NamedTuple

from ue_cli.metadata.embedded import MetadataPolicy, Removed, has_picture

_SIGNATURES = (b"8BIM", b"MeSa", b"AgHg", b"PHUT", b"DCSR")
_THUMBNAILS = (0x0409, 0x040C)
_IPTC, _IPTC_DIGEST = 0x0404, 0x0425
_EXIF = (0x0422, 0x0423)
_XMP = 0x0424
# IPTC: preview format, version and data; the object itself (records 7 to 9).
_PREVIEWS = {(2, 200), (2, 201), (2, 202)}
_OBJECT_RECORDS = (7, 8, 9)


class _Block(NamedTuple):
    kind: int
    payload: int
    payload_end: int
    end: int


def filter_photoshop(data: bytes, policy: MetadataPolicy) -> tuple[bytes, list[Removed]]:
    """Take thumbnails, and second copies of EXIF, out of a sequence of image resources.

    Args:
        data: 8BIM blocks, one after the other; several APP13 payloads are joined first.
        policy: under ``strip_gps``, copies of XMP and blocks that cannot be read go too.

    Returns:
        The blocks that stay, byte for byte, and what was removed. From a block that cannot be
        parsed on, the rest stays if nothing in it looks like a picture.
    """
    blocks: list[bytes] = []
    removed: list[Removed] = []
    digests: list[int] = []
    iptc_changed = False
    at = 0
    while at < len(data):
        block = _block(data, at)
        if block is None:
            rest = data[at:]
            if has_picture(rest) or (policy.strip_gps and rest.strip(b"\0")):
                removed.append(Removed.of("unreadable Photoshop data", rest))
            else:
                blocks.append(rest)
            break
        raw, payload = data[at : block.end], data[block.payload : block.payload_end]
        if block.kind in _THUMBNAILS:
            removed.append(Removed.of("Photoshop thumbnail", raw))
        elif block.kind in _EXIF or (policy.strip_gps and block.kind == _XMP):
            # Readers take these from their own segments, which are filtered with more care.
            removed.append(Removed.of("second copy of EXIF or XMP", raw))
        elif block.kind == _IPTC:
            records, dropped = filter_iptc(payload)
            if dropped:
                iptc_changed = True
                removed += dropped
                raw = data[at : block.payload - 4] + len(records).to_bytes(4, "big")
                raw += records + bytes(len(records) & 1)
            blocks.append(raw)
        elif has_picture(payload):
            removed.append(Removed.of("picture in Photoshop data", raw))
        else:
            if block.kind == _IPTC_DIGEST:
                digests.append(len(blocks))
            blocks.append(raw)
        at = block.end
    if iptc_changed:
        # The MD5 of the old records would tell readers that someone else edited the new ones.
        for index in reversed(digests):
            del blocks[index]
    return b"".join(blocks), removed


def _block(data: bytes, at: int) -> _Block | None:
    name_at = at + 6
    if data[at : at + 4] not in _SIGNATURES or name_at >= len(data):
        return None
    kind = int.from_bytes(data[at + 4 : name_at], "big")
    size_at = name_at + (data[name_at] + 2) // 2 * 2  # length byte and name, padded to even
    payload = size_at + 4
    end = payload + int.from_bytes(data[size_at:payload], "big")
    if end > len(data):
        return None
    return _Block(kind, payload, end, min(end + (end - payload) % 2, len(data)))


def filter_iptc(data: bytes) -> tuple[bytes, list[Removed]]:
    """Take the preview datasets (2:200 to 2:202, records 7 to 9) out of IPTC-IIM records.

    Returns:
        The records, byte for byte but for the previews, and what was removed. What cannot be
        parsed stays if nothing in it looks like a picture.
    """
    records: list[bytes] = []
    removed: list[Removed] = []
    at = 0
    while at + 5 <= len(data) and data[at] == 0x1C:
        record, dataset = data[at + 1], data[at + 2]
        size, body = int.from_bytes(data[at + 3 : at + 5], "big"), at + 5
        if size & 0x8000:  # extended: the length of the length
            width = size & 0x7FFF
            size, body = int.from_bytes(data[body : body + width], "big"), body + width
        end = body + size
        if end > len(data):
            break
        raw = data[at:end]
        if (
            (record, dataset) in _PREVIEWS
            or record in _OBJECT_RECORDS
            or has_picture(data[body:end])
        ):
            removed.append(Removed.of("IPTC preview", raw))
        else:
            records.append(raw)
        at = end
    rest = data[at:]
    if has_picture(rest):
        removed.append(Removed.of("IPTC preview", rest))
    else:
        records.append(rest)
    return b"".join(records), removed
