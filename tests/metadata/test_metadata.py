"""EXIF, XMP and Photoshop filters: pictures and positions go, everything else keeps its bytes."""

from __future__ import annotations

import base64
import io
import struct
import xml.etree.ElementTree as ET

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from tests.metadata.hidden_pictures import (
    ASCII,
    LATITUDE,
    LONG,
    MAKER_NOTE,
    PREVIEW,
    SHORT,
    THUMBNAIL,
    exif,
    is_gone,
    noise,
    photoshop_resource,
    tiff,
)
from ue_cli.metadata import (
    MetadataPolicy,
    add_opt_out,
    filter_exif,
    filter_iptc,
    filter_photoshop,
    filter_xmp,
    orientation,
)
from ue_cli.metadata.tiff import Tiff

KEEP, NO_GPS, NOTHING = (
    MetadataPolicy(),
    MetadataPolicy(strip_gps=True),
    MetadataPolicy(strip_all=True),
)
RDF = "{http://www.w3.org/1999/02/22-rdf-syntax-ns#}"
DATA_MINING = "{http://ns.useplus.org/ldf/xmp/1.0/}DataMining"
PROHIBITED = "http://ns.useplus.org/ldf/vocab/DMI-PROHIBITED-AIMLTRAINING"


def read(block: bytes) -> Image.Exif:
    found = Image.Exif()
    found.load(block)
    return found


# --- EXIF ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("order", ["<", ">"])
@pytest.mark.parametrize("prefix", [b"", b"Exif\0\0"])
def test_thumbnail_and_preview_go_and_the_rest_stays(order: str, prefix: bytes) -> None:
    block = prefix + exif(order)
    result, removed = filter_exif(block, KEEP)
    assert result is not None
    assert is_gone(THUMBNAIL, result) and is_gone(PREVIEW, result)
    assert [r.what for r in removed] == ["EXIF thumbnail", "preview in EXIF or MakerNote"]
    assert removed[0].size >= len(THUMBNAIL) and removed[1].size == len(PREVIEW)
    assert result.startswith(prefix) and len(result) < len(block) - len(THUMBNAIL)

    before, after = read(block), read(result)
    assert dict(after) == dict(before) and after[0x0112] == 6
    assert after.get_ifd(0x8825) == before.get_ifd(0x8825)
    assert not after.get_ifd(1)
    bare = Tiff(result[len(prefix) :])
    assert bare.next_ifd(bare.first) == 0
    inner, was = dict(after.get_ifd(0x8769)), dict(before.get_ifd(0x8769))
    blanked = MAKER_NOTE.replace(PREVIEW, bytes(len(PREVIEW)))
    assert inner.pop(0x927C) == blanked and was.pop(0x927C) == MAKER_NOTE
    assert inner == was
    # Nothing moved: the MakerNote's own offsets stay true.
    assert result.index(b"Maker\0\1\2") == block.index(b"Maker\0\1\2")


@pytest.mark.parametrize("order", ["<", ">"])
def test_strip_gps_removes_the_position_and_its_bytes(order: str) -> None:
    block = exif(order)
    position = struct.pack(f"{order}6I", *struct.unpack(">6I", LATITUDE))
    block = block.replace(LATITUDE, position)
    kept, _ = filter_exif(block, KEEP)
    assert kept is not None and position in kept
    result, removed = filter_exif(block, NO_GPS)
    assert result is not None and position not in result
    assert 0x8825 not in read(result) and read(result)[0x0112] == 6
    assert read(result)[0x010F] == "A camera maker"
    assert b"Maker\0\1\2" not in result
    what = [r.what for r in removed]
    assert "GPS position" in what and "MakerNote (may hold a position)" in what
    assert 0x9286 in read(result).get_ifd(0x8769)


def test_strip_all_keeps_the_orientation_alone() -> None:
    result, removed = filter_exif(b"Exif\0\0" + exif(">"), NOTHING)
    assert result is not None and dict(read(result)) == {0x0112: 6}
    assert removed[0].size == len(b"Exif\0\0" + exif(">"))
    upright = tiff("<", {"ifd0": [(0x010F, ASCII, b"A camera maker\0")]}, {})
    assert filter_exif(upright, NOTHING)[0] is None


def test_a_block_without_pictures_keeps_every_byte() -> None:
    block = tiff("<", {"ifd0": [(0x0112, SHORT, (3,)), (0x010F, ASCII, b"Maker name\0")]}, {})
    block += b"padding" + bytes(64)
    assert filter_exif(block, KEEP) == (block, [])


def test_an_uncompressed_thumbnail_and_a_second_preview_directory_go() -> None:
    strip, preview = noise(5, 1200), noise(6, 1500)
    block = tiff(
        ">",
        {
            "ifd0": [(0x0112, SHORT, (8,))],
            "ifd1": [(0x0111, LONG, "strip"), (0x0117, LONG, (len(strip),))],
            "strip": strip,
            "ifd2": [(0x0201, LONG, "preview"), (0x0202, LONG, (len(preview),))],
            "preview": preview,
        },
        {"ifd0": "ifd1", "ifd1": "ifd2"},
    )
    result, removed = filter_exif(block, KEEP)
    assert result is not None and is_gone(strip, result) and is_gone(preview, result)
    assert orientation(result) == 8 and len(removed) == 1 and len(result) < 40


def test_sub_directories_and_thumbnails_in_values_go() -> None:
    preview = noise(7, 900)
    block = tiff(
        "<",
        {
            "ifd0": [(0x0112, SHORT, (5,)), (0x014A, LONG, "sub"), (0x501B, 7, THUMBNAIL)],
            "sub": [(0x0111, LONG, "preview"), (0x0117, LONG, (len(preview),))],
            "preview": preview,
        },
        {},
    )
    result, _ = filter_exif(block, KEEP)
    assert result is not None and is_gone(preview, result) and is_gone(THUMBNAIL, result)
    assert dict(read(result)) == {0x0112: 5}


def test_what_a_camera_left_behind_its_thumbnail_goes() -> None:
    result, _ = filter_exif(exif() + THUMBNAIL[len(THUMBNAIL) // 2 :], KEEP)
    assert result is not None and is_gone(THUMBNAIL, result)


def test_previews_with_an_overwritten_first_byte_and_other_formats_are_found() -> None:
    stream = io.BytesIO()
    Image.new("RGB", (40, 40), "red").save(stream, "PNG")
    table_first = b"\x01\xd8" + PREVIEW[20:]  # Minolta: no JFIF header, and not FF
    for hidden in (table_first, stream.getvalue()):
        block = tiff("<", {"ifd0": [(0x0112, SHORT, (6,)), (0x927C, 7, b"note" + hidden)]}, {})
        result, removed = filter_exif(block, KEEP)
        assert result is not None and is_gone(hidden, result)
        assert removed[0].size == len(hidden) and orientation(result) == 6


def test_unreadable_exif_loses_its_picture_and_under_strip_gps_itself() -> None:
    block = b"not a TIFF structure" + THUMBNAIL + b"the end"
    result, removed = filter_exif(block, KEEP)
    assert result == b"not a TIFF structure" + bytes(len(THUMBNAIL)) + b"the end"
    assert removed[0].size == len(THUMBNAIL)
    assert filter_exif(block, NO_GPS)[0] is None


def test_the_orientation_outlives_a_picture_that_lies_across_its_directory() -> None:
    block = tiff(">", {"ifd0": [(0xFFD8, SHORT, (1,)), (0x0112, SHORT, (6,))]}, {})
    damaged = block.replace(b"\xff\xd8\0\3", b"\xff\xd8\xff\xe0")
    assert damaged != block and orientation(damaged) == 6
    result, removed = filter_exif(damaged, KEEP)
    assert result is not None and dict(read(result)) == {0x0112: 6}
    assert b"\xff\xd8\xff" not in result
    assert removed[-1].what == "damaged EXIF" and removed[-1].size == len(damaged)


def test_directories_that_loop_or_lie_on_each_other_end() -> None:
    loop = tiff("<", {"ifd0": [(0x0112, SHORT, (6,)), (0x8769, LONG, (8,))]}, {"ifd0": "ifd0"})
    result, _ = filter_exif(loop, KEEP)
    assert result is not None and orientation(result) == 6


@settings(deadline=None, max_examples=150)
@given(
    order=st.sampled_from("<>"),
    edits=st.lists(st.tuples(st.integers(0, 700), st.integers(0, 255)), max_size=12),
    cut=st.integers(0, 3000),
    policy=st.sampled_from([KEEP, NO_GPS, NOTHING]),
)
def test_no_damage_raises_hides_a_picture_or_turns_the_photo(
    order: str, edits: list[tuple[int, int]], cut: int, policy: MetadataPolicy
) -> None:
    block = bytearray(exif(order))
    for at, value in edits:
        block[at] = value
    damaged = bytes(block[: len(block) - cut])
    result, _ = filter_exif(damaged, policy)
    assert orientation(result or b"") == orientation(damaged)
    assert result is None or (b"\xff\xd8\xff" not in result and len(result) <= len(damaged) + 32)


@settings(deadline=None, max_examples=50)
@given(st.binary(max_size=400))
def test_no_bytes_at_all_raise(data: bytes) -> None:
    for policy in (KEEP, NO_GPS, NOTHING):
        for head in (b"", b"II*\0\x08\0\0\0", b"Exif\0\0MM\0*"):
            filter_exif(head + data, policy)
        filter_xmp(data, policy)
        filter_photoshop(b"8BIM" + data, policy)
    filter_iptc(b"\x1c" + data)
    ET.fromstring(_inner(add_opt_out(data)))


# --- XMP ----------------------------------------------------------------------------------------

HEAD = (
    '<?xpacket begin="\ufeff" id="W5M0MpCehiHzreSzNTczkc9d"?>\n'
    '<x:xmpmeta xmlns:x="adobe:ns:meta/"><rdf:RDF xmlns:rdf="' + RDF[1:-1] + '">\n'
)
TAIL = "</rdf:RDF></x:xmpmeta>\n" + " " * 200 + '\n<?xpacket end="w"?>'
NAMESPACES = (
    'xmlns:xmp="http://ns.adobe.com/xap/1.0/" xmlns:dc="http://purl.org/dc/elements/1.1/" '
    'xmlns:img="http://ns.adobe.com/xap/1.0/g/img/" xmlns:exif="http://ns.adobe.com/exif/1.0/" '
    'xmlns:GDepth="http://ns.google.com/photos/1.0/depthmap/" '
    'xmlns:Container="http://ns.google.com/photos/1.0/container/" '
    'xmlns:hdrgm="http://ns.adobe.com/hdr-gain-map/1.0/" '
    'xmlns:note="http://ns.adobe.com/xmp/note/" xmlns:my="http://example.org/my/"'
)
ENCODED = base64.b64encode(THUMBNAIL).decode()
DESCRIPTION = (
    f'<rdf:Description rdf:about="" {NAMESPACES} xmp:Rating="4" {{attributes}}>'
    "<dc:title><rdf:Alt><rdf:li xml:lang='x-default'>Träume &gt; &#x61;</rdf:li></rdf:Alt>"
    "</dc:title>{elements}<!-- kept --></rdf:Description>"
)


def packet(attributes: str = "", elements: str = "") -> bytes:
    body = DESCRIPTION.replace("{attributes}", attributes).replace("{elements}", elements)
    return (HEAD + body + TAIL).encode()


def _inner(xmp: bytes) -> str:
    """The packet as XML proper, without its processing instructions."""
    text = xmp.decode()
    start = text.index("<x:xmpmeta")
    return text[start : text.index("</x:xmpmeta>") + len("</x:xmpmeta>")]


@pytest.mark.parametrize(
    ("attributes", "elements"),
    [
        (
            "",
            "<xmp:Thumbnails><rdf:Alt><rdf:li rdf:parseType='Resource'><img:width>64</img:width>"
            f"<img:image>{ENCODED}</img:image></rdf:li></rdf:Alt></xmp:Thumbnails>",
        ),
        (f'GDepth:Mime="image/jpeg" GDepth:Data="{ENCODED}"', ""),
        ('hdrgm:Version="1.0"', "<hdrgm:GainMapMax>2.3</hdrgm:GainMapMax>"),
        ("note:HasExtendedXMP='0123456789ABCDEF'", ""),
        ("", "<Container:Directory><rdf:Seq><rdf:li/></rdf:Seq></Container:Directory>"),
        (f"my:hidden='{ENCODED}'", ""),
        ("", f"<my:hidden>{ENCODED[:80]}&#xA;{ENCODED[80:]}</my:hidden>"),
        (f"my:hidden='data:image/jpeg;base64,{ENCODED}'", ""),
        (f"my:raw='{base64.b64encode(noise(8, 4000)).decode()}'", ""),
    ],
)
def test_pictures_in_xmp_go_and_every_other_byte_stays(attributes: str, elements: str) -> None:
    before = packet(attributes, elements)
    result, removed = filter_xmp(before, KEEP)
    assert result is not None and removed
    assert result.replace(b" >", b">") == packet().replace(b" >", b">")
    assert filter_xmp(before, NOTHING)[0] is None


def test_xmp_without_pictures_keeps_every_byte() -> None:
    assert filter_xmp(packet(), KEEP) == (packet(), [])
    prose = packet("", "<dc:description>" + "words and more words " * 400 + "</dc:description>")
    assert filter_xmp(prose, KEEP) == (prose, [])
    broken = packet()[:-300]
    assert filter_xmp(broken, KEEP) == (broken, [])


def test_positions_in_xmp_go_only_when_asked() -> None:
    before = packet('exif:GPSLatitude="48,51.5N"', "<exif:GPSLongitude>2,21E</exif:GPSLongitude>")
    assert filter_xmp(before, KEEP) == (before, [])
    result, removed = filter_xmp(before, NO_GPS)
    assert result is not None and b"GPSL" not in result and b"Rating" in result
    assert [r.what for r in removed] == ["GPS position in XMP"]
    assert filter_xmp(before[:-300], NO_GPS)[0] is None


def test_unreadable_xmp_with_a_picture_goes() -> None:
    broken = packet(f'GDepth:Data="{ENCODED}"')[:-300]
    assert filter_xmp(broken, KEEP)[0] is None
    bomb = b'<!DOCTYPE x [<!ENTITY a "aa">]>' + packet(f"my:x='{ENCODED}'")
    assert filter_xmp(bomb, KEEP)[0] is None


@pytest.mark.parametrize("codec", ["utf-16-le", "utf-16-be", "utf-16"])
def test_xmp_in_utf_16_is_read(codec: str) -> None:
    before = packet(f'GDepth:Data="{ENCODED}"').decode().encode(codec)
    result, _ = filter_xmp(before, KEEP)
    assert result is not None and ENCODED[100:140].encode() not in result
    assert "Träume".encode() in result


def test_opt_out_is_added_once_and_replaces_what_was_said_before() -> None:
    earlier = (
        '<plus:DataMining xmlns:plus="http://ns.useplus.org/ldf/xmp/1.0/">'
        "http://ns.useplus.org/ldf/vocab/DMI-ALLOWED</plus:DataMining>"
    )
    for xmp in (None, packet(), packet("", earlier), add_opt_out(packet()), b"<broken", b""):
        result = add_opt_out(xmp)
        root = ET.fromstring(_inner(result))
        assert [node.text for node in root.iter(DATA_MINING)] == [PROHIBITED]
        assert root.find(f"{RDF}RDF/{RDF}Description") is not None
    merged = add_opt_out(packet("", earlier))
    assert merged.startswith(packet()[: packet().index(b"<!-- kept")])
    assert merged.endswith(TAIL.encode())


def test_opt_out_enters_an_empty_rdf_of_any_prefix() -> None:
    empty = '<x:xmpmeta xmlns:x="adobe:ns:meta/"><r:RDF xmlns:r="' + RDF[1:-1] + '" /></x:xmpmeta>'
    root = ET.fromstring(add_opt_out(empty.encode()))
    assert [node.text for node in root.iter(DATA_MINING)] == [PROHIBITED]


# --- Photoshop and IPTC ---------------------------------------------------------------------------

CAPTION = b"\x1c\x02\x78\x00\x09A caption"
RESOLUTION = photoshop_resource(0x03ED, bytes(16), b"Resolution")
IPTC, DIGEST = photoshop_resource(0x0404, CAPTION), photoshop_resource(0x0425, bytes(16))


@pytest.mark.parametrize("kind", [0x0409, 0x040C, 0x0BB8])
def test_photoshop_thumbnails_go_and_other_resources_stay(kind: int) -> None:
    hidden = photoshop_resource(kind, bytes(28) + THUMBNAIL)
    result, removed = filter_photoshop(RESOLUTION + hidden + IPTC + DIGEST, KEEP)
    assert result == RESOLUTION + IPTC + DIGEST
    assert removed[0].size == len(hidden)


def test_iptc_previews_go_with_the_digest_that_no_longer_fits() -> None:
    preview = noise(9, 40_000)
    extended = b"\x1c\x02\xca\x80\x04" + len(preview).to_bytes(4, "big") + preview
    block = RESOLUTION + DIGEST + photoshop_resource(0x0404, extended + CAPTION)
    result, removed = filter_photoshop(block, KEEP)
    assert result == RESOLUTION + IPTC
    assert [r.what for r in removed] == ["IPTC preview"]


def test_unreadable_photoshop_data_stays_unless_it_hides_a_picture() -> None:
    assert filter_photoshop(RESOLUTION + b"junk", KEEP) == (RESOLUTION + b"junk", [])
    assert filter_photoshop(RESOLUTION + b"junk" + THUMBNAIL, KEEP)[0] == RESOLUTION
    assert filter_photoshop(RESOLUTION + b"junk", NO_GPS)[0] == RESOLUTION
