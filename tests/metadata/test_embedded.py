"""The search for pictures that nobody named."""

from __future__ import annotations

import io

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from tests.metadata.hidden_pictures import exif, jpeg, noise, segment, with_segments
from ue_cli.errors import SkipFile
from ue_cli.metadata.embedded import (
    find_picture,
    has_picture,
    jpeg_end,
    picture_end,
    walk_jpeg,
)


def encoded(kind: str) -> bytes:
    stream = io.BytesIO()
    Image.new("RGB", (32, 32), "teal").save(stream, kind)
    return stream.getvalue()


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP"])
def test_a_picture_is_found_and_so_is_its_end(kind: str) -> None:
    picture = encoded(kind)
    data = noise(1, 100) + picture + noise(2, 100)
    assert find_picture(data) == 100
    assert picture_end(data, 100, len(data)) == 100 + len(picture)
    assert picture_end(data, 100, 110) == 110


def test_a_jpeg_with_a_thumbnail_of_its_own_ends_behind_its_own_end() -> None:
    outer = with_segments(jpeg(3), segment(0xE1, b"Exif\0\0" + exif()))
    assert jpeg_end(outer + b"more", 0) == len(outer)


@pytest.mark.parametrize(
    "options",
    [{}, {"progressive": True}, {"restart_marker_rows": 1}, {"optimize": True, "quality": 30}],
)
def test_every_kind_of_scan_is_walked_to_its_end(options: dict[str, object]) -> None:
    picture = jpeg(4, (80, 96), **options)
    pieces = list(walk_jpeg(picture + b"\xff\xd8\xff behind"))
    assert pieces[-1].end == len(picture)
    assert [a.end for a in pieces[:-1]] == [b.start for b in pieces[1:]]


def test_fill_bytes_and_junk_between_segments_are_skipped() -> None:
    picture = with_segments(jpeg(5), b"\xff\xff\xff", segment(0xFE, b"comment"), b"junk")
    assert 0xFE in [piece.marker for piece in walk_jpeg(picture)]
    assert jpeg_end(picture, 0) == len(picture)


@pytest.mark.parametrize("data", [b"", b"GIF89a", b"\xff\xd8", b"\xff\xd8\xff\xe0\xff\xff short"])
def test_what_leads_nowhere_is_refused(data: bytes) -> None:
    assert jpeg_end(data, 0) is None
    with pytest.raises(SkipFile, match=r"."):
        list(walk_jpeg(data))


def test_a_stream_cut_inside_its_scan_ends_where_the_data_does() -> None:
    picture = jpeg(6)[:-200]
    assert jpeg_end(picture, 0) == len(picture)


@settings(deadline=None, max_examples=50)
@given(st.binary(max_size=300))
def test_chance_bytes_never_raise(data: bytes) -> None:
    at = find_picture(data)
    assert has_picture(data) == (at is not None)
    if at is not None:
        assert at < picture_end(data, at, len(data)) <= len(data)
