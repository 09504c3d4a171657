"""Whole JPEG files: each kind of embedded copy goes, the picture and the other metadata stay."""

from __future__ import annotations

import io
import re
import tarfile

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image, ImageCms

from tests import shared_photos
from tests.metadata.hidden_pictures import (
    LONG,
    PREVIEW,
    SHORT,
    THUMBNAIL,
    exif,
    is_gone,
    jpeg,
    noise,
    photoshop_resource,
    pixels,
    segment,
    tiff,
    with_segments,
)
from ue_cli.errors import SkipFile
from ue_cli.metadata import MetadataPolicy
from ue_cli.metadata.embedded import jpeg_end, walk_jpeg
from ue_cli.metadata.segments import finish_jpeg

SIZE = (40, 56)
PICTURE, WRITTEN = jpeg(10, SIZE), jpeg(11, SIZE, quality=60)
KEEP = MetadataPolicy()
ICC = segment(
    0xE2, b"ICC_PROFILE\0\1\1" + ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
)
EXIF = segment(0xE1, b"Exif\0\0" + exif())
XMP_ID = b"http://ns.adobe.com/xap/1.0/\0"
XMP = segment(
    0xE1,
    XMP_ID + b'<x:xmpmeta xmlns:x="adobe:ns:meta/"><rdf:RDF '
    b'xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#"><rdf:Description rdf:about="" '
    b'xmlns:dc="http://purl.org/dc/elements/1.1/" dc:format="image/jpeg"/></rdf:RDF></x:xmpmeta>',
)
IPTC = segment(0xED, b"Photoshop 3.0\0" + photoshop_resource(0x0404, b"\x1c\x02\x78\x00\x02Hi"))
COMMENT, ADOBE = segment(0xFE, b"a comment"), segment(0xEE, b"Adobe\0d\0\0\0\0\1")
PLAIN = (ICC, XMP, IPTC, COMMENT, ADOBE)
JFIF_THUMBNAIL = noise(12, 3 * 40 * 30)


def hidden_jpegs(data: bytes) -> list[int]:
    """Where JPEGs start in metadata segments or behind the picture; in a profile, whole ones."""
    pieces = [*walk_jpeg(data)]
    parts = [(p.payload, p.end) for p in pieces if 0xE0 <= p.marker <= 0xEF or p.marker == 0xFE]
    return [
        begin + match.start()
        for begin, end in [*parts, (pieces[-1].end, len(data))]
        for match in re.finditer(rb"(?=\xff\xd8\xff)", data[begin:end])
        if data[begin : begin + 11] != b"ICC_PROFILE"
        or jpeg_end(data[begin:end], match.start()) is not None
    ]


def finish(original: bytes, policy: MetadataPolicy = KEEP) -> tuple[bytes, list[str]]:
    out, removed = finish_jpeg(original, WRITTEN, policy, SIZE)
    assert hidden_jpegs(out) == []
    assert pixels(out) == pixels(WRITTEN)
    return out, [r.what for r in removed]


def with_jfif_thumbnail() -> bytes:
    head = b"JFIF\0\1\2\0\0\1\0\1" + bytes((40, 30)) + JFIF_THUMBNAIL
    return PICTURE[:2] + segment(0xE0, head) + PICTURE[20:]


COPIES = {
    "EXIF thumbnail": (with_segments(PICTURE, EXIF), THUMBNAIL),
    "preview in EXIF or MakerNote": (with_segments(PICTURE, EXIF), PREVIEW),
    "JFIF thumbnail": (with_jfif_thumbnail(), JFIF_THUMBNAIL),
    "JFIF extension thumbnail": (
        with_segments(PICTURE, segment(0xE0, b"JFXX\0\x10" + THUMBNAIL)),
        THUMBNAIL,
    ),
    "Photoshop thumbnail": (
        with_segments(
            PICTURE,
            segment(0xED, b"Photoshop 3.0\0" + photoshop_resource(0x040C, bytes(28) + THUMBNAIL)),
        ),
        THUMBNAIL,
    ),
    "extended XMP": (
        with_segments(
            PICTURE,
            segment(0xE1, b"http://ns.adobe.com/xmp/extension/\0" + bytes(40) + noise(1, 999)),
        ),
        noise(1, 999),
    ),
    "FlashPix data": (
        with_segments(PICTURE, segment(0xE2, b"FPXR\0\2" + noise(2, 999))),
        noise(2, 999),
    ),
    "index of further pictures (MPF)": (
        with_segments(PICTURE, segment(0xE2, b"MPF\0II*\0" + noise(3, 99))),
        noise(3, 99),
    ),
    "further pictures behind the picture": (PICTURE + THUMBNAIL, THUMBNAIL),
    "motion-photo film behind the picture": (
        PICTURE + b"\0\0\0\x18ftypmp42" + noise(4, 999),
        noise(4, 999),
    ),
    "data behind the picture": (PICTURE + noise(5, 999), noise(5, 999)),
    "JUMBF (C2PA): its signature cannot fit a changed picture": (
        with_segments(PICTURE, segment(0xEB, b"JP\0\1" + noise(6, 999))),
        noise(6, 999),
    ),
    "picture in vendor segment APP3": (with_segments(PICTURE, segment(0xE3, PREVIEW)), PREVIEW),
    "unreadable vendor segment APP4": (
        # HP and Samsung continue a preview in the segments behind the one that begins it.
        with_segments(PICTURE, segment(0xE3, PREVIEW), segment(0xE4, noise(7, 999))),
        noise(7, 999),
    ),
    "unreadable vendor segment APP7": (
        with_segments(PICTURE, segment(0xE7, noise(8, 5000))),
        noise(8, 5000),
    ),
    "stray continuation of EXIF": (
        with_segments(PICTURE, EXIF, COMMENT, segment(0xE1, b"Exif\0\0" + noise(14, 999))),
        noise(14, 999),
    ),
    "picture in comment": (with_segments(PICTURE, segment(0xFE, b"see" + THUMBNAIL)), THUMBNAIL),
    "thermal picture (FLIR)": (
        with_segments(PICTURE, segment(0xE1, b"FLIR\0\1\0\0" + noise(9, 999))),
        noise(9, 999),
    ),
}


@pytest.mark.parametrize("what", COPIES)
def test_each_kind_of_embedded_copy_goes(what: str) -> None:
    original, hidden = COPIES[what]
    original = with_segments(original, *PLAIN)
    assert not is_gone(hidden, original)
    out, removed = finish(original)
    assert is_gone(hidden, out) and what in removed
    assert all(kept in out for kept in PLAIN)
    with Image.open(io.BytesIO(out)) as image:
        assert not image.getexif().get_ifd(1)


def test_other_segments_keep_their_bytes_and_their_order() -> None:
    vendor = segment(0xEC, b"Ducky\0\1\0\4\0\0\0<\0\0")
    original = with_segments(PICTURE, *PLAIN, vendor)
    out, removed = finish(original)
    assert removed == []
    assert out == with_segments(WRITTEN, *PLAIN, vendor)


def test_segments_between_tables_and_scans_are_kept_too() -> None:
    at = PICTURE.index(b"\xff\xc0")
    out, _ = finish(PICTURE[:at] + COMMENT + PICTURE[at:])
    assert out == with_segments(WRITTEN, COMMENT)


def test_the_new_stream_loses_its_own_segments() -> None:
    bare = PICTURE[:2] + PICTURE[20:]
    out, _ = finish_jpeg(bare, with_segments(WRITTEN, COMMENT), KEEP, SIZE)
    assert out == WRITTEN[:2] + WRITTEN[20:]


def test_strip_all_keeps_what_displays_the_picture() -> None:
    out, _ = finish(with_segments(PICTURE, *PLAIN, EXIF), MetadataPolicy(strip_all=True))
    markers = [piece.marker for piece in walk_jpeg(out) if 0xE0 <= piece.marker <= 0xFE]
    assert markers == [0xE0, 0xE2, 0xEE, 0xE1] and ICC in out
    with Image.open(io.BytesIO(out)) as image:
        assert dict(image.getexif()) == {0x0112: 6}


def test_strip_gps_keeps_no_vendor_segment_that_nobody_can_read() -> None:
    telemetry = segment(0xE6, b"GoPro\0GPS5" + noise(1, 60))
    policy = MetadataPolicy(strip_gps=True)
    out, removed = finish(with_segments(PICTURE, *PLAIN, telemetry, EXIF), policy)
    assert telemetry not in out and "GPS position" in removed
    assert all(kept in out for kept in PLAIN)
    with Image.open(io.BytesIO(out)) as image:
        assert 0x8825 not in image.getexif() and image.getexif()[0x0112] == 6


@pytest.mark.parametrize("strip_all", [False, True])
@pytest.mark.parametrize("segments", [(), PLAIN, (EXIF, ICC)])
def test_opt_out_reaches_the_file(segments: tuple[bytes, ...], strip_all: bool) -> None:
    policy = MetadataPolicy(strip_all=strip_all, opt_out=True)
    out, _ = finish(with_segments(PICTURE, *segments), policy)
    with Image.open(io.BytesIO(out)) as image:
        xmp = image.info["xmp"]
    assert xmp.count(b"DMI-PROHIBITED-AIMLTRAINING") == 1
    assert (b"dc:format" in xmp) == (XMP in segments and not strip_all)


@pytest.mark.parametrize("padding", [b"", b" " * 2000])
def test_opt_out_fits_into_a_full_packet(padding: bytes) -> None:
    body = XMP[4 + len(XMP_ID) :].replace(b"image/jpeg", b"word " * ((65000 - len(padding)) // 5))
    packet = body + padding + b'<?xpacket end="w"?>'
    packet = packet.ljust(65533 - len(XMP_ID))
    out, removed = finish(
        with_segments(PICTURE, segment(0xE1, XMP_ID + packet)), MetadataPolicy(opt_out=True)
    )
    assert b"DMI-PROHIBITED-AIMLTRAINING" in out
    assert ("XMP that left no room for the opt-out" in removed) == (not padding)


def test_exif_and_photoshop_data_beyond_one_segment_are_read_as_one() -> None:
    preview = jpeg(13, (240, 320), quality=95)
    assert len(preview) > 70_000
    block = tiff(
        "<",
        {
            "ifd0": [(0x0112, SHORT, (6,))],
            "ifd1": [(0x0201, LONG, "preview"), (0x0202, LONG, (len(preview),))],
            "preview": preview,
        },
        {"ifd0": "ifd1"},
    )
    resources = photoshop_resource(0x040C, preview) + photoshop_resource(0x03ED, bytes(16))
    parts = [
        segment(0xE1, b"Exif\0\0" + block[i : i + 60_000]) for i in range(0, len(block), 60_000)
    ]
    parts += [
        segment(0xED, b"Photoshop 3.0\0" + resources[i : i + 60_000])
        for i in range(0, len(resources), 60_000)
    ]
    out, _ = finish(with_segments(PICTURE, *parts))
    assert is_gone(preview, out) and len(out) < len(WRITTEN) + 300
    assert photoshop_resource(0x03ED, bytes(16)) in out
    with Image.open(io.BytesIO(out)) as image:
        assert image.getexif()[0x0112] == 6


def test_chance_bytes_in_a_profile_are_not_a_picture_but_a_jpeg_is() -> None:
    chance = segment(0xE2, b"ICC_PROFILE\0\1\1" + b"\xff\xd8\xff\xff\xff" + bytes(200))
    assert chance in finish(with_segments(PICTURE, chance))[0]
    hidden = segment(0xE2, b"ICC_PROFILE\0\1\1" + THUMBNAIL)
    assert hidden_jpegs(with_segments(PICTURE, hidden)) == [20 + 4 + 14]
    assert is_gone(THUMBNAIL, finish(with_segments(PICTURE, hidden))[0])


def test_another_size_or_a_damaged_stream_is_refused() -> None:
    with pytest.raises(SkipFile, match="pixels of"):
        finish_jpeg(PICTURE, jpeg(1, (8, 8)), KEEP, SIZE)
    with pytest.raises(SkipFile) as caught:
        finish_jpeg(PICTURE[:100], WRITTEN, KEEP, SIZE)
    assert caught.value.code == "damaged-jpeg"


@settings(deadline=None, max_examples=60)
@given(
    edits=st.lists(st.tuples(st.integers(2, 6000), st.integers(0, 255)), max_size=10),
    strip_gps=st.booleans(),
    strip_all=st.booleans(),
    opt_out=st.booleans(),
)
def test_a_damaged_header_is_refused_or_clean(
    edits: list[tuple[int, int]], strip_gps: bool, strip_all: bool, opt_out: bool
) -> None:
    block = bytearray(with_segments(PICTURE, EXIF, *PLAIN) + THUMBNAIL)
    for at, value in edits:
        block[at] = value
    try:
        out, _ = finish_jpeg(
            bytes(block), WRITTEN, MetadataPolicy(strip_gps, strip_all, opt_out), SIZE
        )
    except SkipFile:
        return
    assert hidden_jpegs(out) == []


@pytest.mark.slow
@shared_photos.needed
def test_real_cameras_files_keep_their_picture_and_lose_its_copies() -> None:
    checked = 0
    with tarfile.open(shared_photos.ARCHIVE) as archive:
        for member in archive:
            stream = archive.extractfile(member)
            data = stream.read() if stream else b""
            if not data.startswith(b"\xff\xd8\xff"):
                continue
            try:
                before = pixels(data)
            except OSError:
                continue
            with Image.open(io.BytesIO(data)) as image:
                width, height = image.size
            out, _ = finish_jpeg(data, data, KEEP, (height, width))
            assert hidden_jpegs(out) == [], member.name
            assert pixels(out) == before, member.name
            with Image.open(io.BytesIO(data)) as old, Image.open(io.BytesIO(out)) as new:
                assert dict(new.getexif()) == dict(old.getexif()), member.name
                assert not new.getexif().get_ifd(1), member.name
                assert new.info.get("icc_profile") == old.info.get("icc_profile")
            checked += 1
    assert checked > 80
