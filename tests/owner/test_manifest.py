"""The public manifest: round trips for us, and refuses whatever a stranger may put into it."""

from __future__ import annotations

import json
import os
import re
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from ue_cli.errors import ExitCode, UeError
from ue_cli.owner.manifest import MANIFEST_FILE, ManifestWriter, read_manifest, safe_join

FINGERPRINT = "0123456789abcdef" * 2
DIGEST = "ab" * 32
HEADER = {"ue_manifest": 1, "collection": FINGERPRINT, "decoder": "Pillow 12", "complete": True}
BAD_PATHS = [
    "",
    "/etc/passwd",
    "..",
    "../x",
    "a/../b",
    "a/./b",
    "a//b",
    "a/",
    ".",
    "a/..",
    "\\x",
    "..\\x",
    "a\\..\\..\\x",
    "a\\",
    "C:\\x",
    "C:/x",
    "a\0b",
    "\ud800",
    "\udcc3\udca9",
    "x" * 5000,
    MANIFEST_FILE,
]


def writer(root: Path, collection: str = FINGERPRINT) -> ManifestWriter:
    return ManifestWriter(root, collection=collection, decoder="Pillow 12")


def write(root: Path, *lines: object, header: object = HEADER) -> None:
    text = "".join(json.dumps(line) + "\n" for line in (header, *lines))
    (root / MANIFEST_FILE).write_text(text)


def entry(path: object, digest: object = DIGEST) -> dict[str, object]:
    return {"path": path, "sha256": digest}


def refused(root: Path, text: str) -> None:
    with pytest.raises(UeError, match=re.escape(text)) as caught:
        read_manifest(root)
    assert caught.value.code == "manifest-invalid"
    assert caught.value.exit_code == ExitCode.VERIFICATION_FAILED
    assert str(root / MANIFEST_FILE) in caught.value.message


def test_what_is_written_is_read_back_sorted(tmp_path: Path) -> None:
    with writer(tmp_path) as manifest:
        manifest.add("b/2.jpg", DIGEST)
        manifest.add("a/1.jpg", "00" * 32)
        begun = read_manifest(tmp_path)
        assert not begun.complete
        assert begun.entries == {"b/2.jpg": DIGEST, "a/1.jpg": "00" * 32}
        manifest.finish()
    done = read_manifest(tmp_path)
    assert done.complete
    assert (done.collection, done.decoder) == (FINGERPRINT, "Pillow 12")
    assert list(done.entries) == ["a/1.jpg", "b/2.jpg"]
    assert [path.name for path in tmp_path.iterdir()] == [MANIFEST_FILE]
    assert (tmp_path / MANIFEST_FILE).read_text().isascii()


def test_a_commitment_is_kept_and_may_be_missing(tmp_path: Path) -> None:
    for commitment in (None, "cd" * 32):
        with ManifestWriter(
            tmp_path, collection=FINGERPRINT, decoder="Pillow 12", commitment=commitment
        ) as manifest:
            manifest.add("a.jpg", DIGEST)
            assert read_manifest(tmp_path).commitment == commitment
            manifest.finish()
        assert read_manifest(tmp_path).commitment == commitment


def test_the_same_files_have_the_same_hash(tmp_path: Path) -> None:
    hashes = []
    for pairs in (
        [entry("a.jpg"), entry("b.jpg")],
        [entry("b.jpg"), entry("a.jpg")],
        [entry("a.jpg"), entry("b.jpg", "00" * 32)],
        [entry("a.jpg")],
        [entry("a.jpg"), entry("c.jpg")],
    ):
        write(tmp_path, *pairs)
        hashes.append(read_manifest(tmp_path).sha256)
    assert hashes[0] == hashes[1] and len(set(hashes)) == 4


@settings(
    deadline=None, max_examples=25, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(st.lists(st.binary(min_size=1, max_size=12), max_size=5))
def test_every_name_that_a_disk_can_hold_round_trips(tmp_path: Path, names: list[bytes]) -> None:
    paths = {
        name.replace(b"\0", b"").replace(b"/", b"").replace(b"\\", b"").strip(b".") or b"x"
        for name in names
    }
    entries = {f"é/{path.decode('utf-8', 'surrogateescape')}": DIGEST for path in paths}
    (tmp_path / MANIFEST_FILE).unlink(missing_ok=True)
    with writer(tmp_path) as manifest:
        for path, digest in entries.items():
            manifest.add(path, digest)
        manifest.finish()
    assert read_manifest(tmp_path).entries == entries
    for path in entries:
        assert os.fsencode(safe_join(tmp_path, path).name) in paths


def test_names_that_look_odd_but_are_plain_pass(tmp_path: Path) -> None:
    names = ["a\\b.jpg", "..a", "a..", "...", "a:b.png", "~", "-rf", "$(x)", "\n", " ", "<img>"]
    write(tmp_path, *map(entry, names))
    assert list(read_manifest(tmp_path).entries) == names
    for name in names:
        assert safe_join(tmp_path, name) == tmp_path / name


def test_an_interrupted_manifest_is_ours_and_goes_on(tmp_path: Path) -> None:
    first = writer(tmp_path)
    first.add("a.jpg", DIGEST)
    first.add("b.jpg", DIGEST)
    first.close()
    path = tmp_path / MANIFEST_FILE
    whole = path.read_bytes()
    body = whole.index(b"\n") + 1
    for cut in range(body, len(whole)):
        path.write_bytes(whole[:cut])
        entries = read_manifest(tmp_path).entries
        assert list(entries) == ["a.jpg", "b.jpg"][: whole[body:cut].count(b"\n")]
    with writer(tmp_path) as manifest:
        manifest.add("b.jpg", "00" * 32)
        manifest.add("c.jpg", DIGEST)
    assert read_manifest(tmp_path).entries == {
        "a.jpg": DIGEST,
        "b.jpg": "00" * 32,
        "c.jpg": DIGEST,
    }


def test_a_finished_manifest_is_added_to_and_taken_from(tmp_path: Path) -> None:
    with writer(tmp_path) as manifest:
        manifest.add("a.jpg", DIGEST)
        manifest.add("b.jpg", DIGEST)
        manifest.finish()
    with writer(tmp_path) as manifest:
        assert not read_manifest(tmp_path).complete
        del manifest.entries["a.jpg"]
        manifest.add("c.jpg", DIGEST)
        manifest.finish()
    assert list(read_manifest(tmp_path).entries) == ["b.jpg", "c.jpg"]


def test_adding_what_is_there_writes_nothing(tmp_path: Path) -> None:
    with writer(tmp_path) as manifest:
        manifest.add("a.jpg", DIGEST)
        size = (tmp_path / MANIFEST_FILE).stat().st_size
        manifest.add("a.jpg", DIGEST)
        assert (tmp_path / MANIFEST_FILE).stat().st_size == size


def test_another_collections_folder_is_refused(tmp_path: Path) -> None:
    writer(tmp_path).close()
    before = (tmp_path / MANIFEST_FILE).read_bytes()
    with pytest.raises(UeError) as caught:
        writer(tmp_path, "f" * 32)
    assert caught.value.code == "manifest-foreign"
    assert (tmp_path / MANIFEST_FILE).read_bytes() == before


@pytest.mark.parametrize("path", BAD_PATHS)
def test_a_dangerous_path_is_never_read_joined_or_written(tmp_path: Path, path: str) -> None:
    write(tmp_path, entry("fine.jpg"), entry(path))
    refused(tmp_path, "line 3")
    with pytest.raises(UeError) as caught:
        safe_join(tmp_path, path)
    assert caught.value.code == "path-unsafe"
    (tmp_path / MANIFEST_FILE).unlink()
    with writer(tmp_path) as manifest, pytest.raises(ValueError, match="manifest cannot hold"):
        manifest.add(path, DIGEST)


@pytest.mark.parametrize(
    "line",
    [
        entry(5),
        entry(None),
        entry(["a"]),
        entry("a", None),
        entry("a", "ab"),
        entry("a", DIGEST.upper()),
        entry("a", DIGEST + "\n"),
        {"path": "a"},
        entry("a") | {"more": 1},
        [],
        "a",
        None,
        HEADER,
    ],
)
def test_a_wrong_entry_is_refused_with_its_line(tmp_path: Path, line: object) -> None:
    write(tmp_path, entry("fine.jpg"), line)
    refused(tmp_path, "line 3")


@pytest.mark.parametrize(
    "change",
    [
        {"ue_manifest": 2},
        {"ue_manifest": True},
        {"ue_manifest": None},
        {"collection": "../../x"},
        {"collection": FINGERPRINT + "\n"},
        {"collection": 5},
        {"decoder": "x" * 1000},
        {"decoder": None},
        {"complete": 1},
        {"commitment": 5},
        {"commitment": "ab"},
        {"commitment": DIGEST.upper()},
        {"commitment": DIGEST[:-1] + "\n"},
    ],
)
def test_a_wrong_header_is_refused(tmp_path: Path, change: dict[str, object]) -> None:
    write(tmp_path, header=HEADER | change)
    refused(tmp_path, "line 1")


@pytest.mark.parametrize(
    "text",
    [
        b"",
        b"\n",
        b"\xff\xfe",
        b"[" * 60_000 + b"\n",
        b'{"ue_manifest": ' + b"9" * 9000 + b"}\n",
        b"{" + b" " * 70_000 + b"}\n",
        b"\0" * 200_000,
    ],
)
def test_what_is_no_manifest_is_refused(tmp_path: Path, text: bytes) -> None:
    (tmp_path / MANIFEST_FILE).write_bytes(text)
    refused(tmp_path, "line 1")


def test_a_complete_manifest_has_neither_duplicates_nor_a_torn_end(tmp_path: Path) -> None:
    write(tmp_path, entry("a.jpg"), entry("a.jpg"))
    refused(tmp_path, "comes twice")
    write(tmp_path, entry("a.jpg"))
    path = tmp_path / MANIFEST_FILE
    path.write_bytes(path.read_bytes()[:-5])
    refused(tmp_path, "line 2")


def test_a_huge_manifest_is_refused_before_it_is_read(tmp_path: Path) -> None:
    write(tmp_path)
    os.truncate(tmp_path / MANIFEST_FILE, (1 << 30) + 1)  # sparse
    refused(tmp_path, "the limit is")


def test_a_manifest_must_be_a_plain_file(tmp_path: Path) -> None:
    with pytest.raises(UeError) as caught:
        read_manifest(tmp_path)
    assert caught.value.code == "manifest-missing"
    path = tmp_path / MANIFEST_FILE
    (tmp_path / "other").write_text("")
    path.symlink_to("other")
    refused(tmp_path, "plain file")
    path.unlink()
    os.mkfifo(path)
    refused(tmp_path, "plain file")
    path.unlink()
    path.mkdir()
    refused(tmp_path, "plain file")


def test_links_below_the_root_are_refused_and_above_it_are_not(tmp_path: Path) -> None:
    root = tmp_path / "out"
    (root / "cats").mkdir(parents=True)
    (root / "cats" / "a.jpg").touch()
    (root / "dogs").symlink_to(tmp_path)
    (root / "cats" / "link.jpg").symlink_to("/etc/passwd")
    (root / "cats" / "broken").symlink_to("nowhere")
    (tmp_path / "alias").symlink_to(root)
    assert safe_join(tmp_path / "alias", "cats/a.jpg").exists()
    assert not safe_join(root, "new/deep/b.jpg").exists()
    for path in ("dogs/x", "cats/link.jpg", "cats/broken"):
        with pytest.raises(UeError) as caught:
            safe_join(root, path)
        assert caught.value.code == "path-is-link"
