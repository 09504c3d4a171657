"""The walk, the places, and the names of the output files."""

import errno
import os
import socket
import unicodedata
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ue_cli.errors import ExitCode, UeError
from ue_cli.images.names import output_names
from ue_cli.images.scan import Scan, scan
from ue_cli.owner.places import MANIFEST, check_places


def tree(root: Path, *names: str) -> Path:
    for name in names:
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"x")
    return root


def names(found: Scan) -> list[str]:
    return [photo.name for photo in found.files]


def codes(found: Scan) -> dict[str, str]:
    return {entry.name: entry.code for entry in found.skipped}


def test_a_walk_is_sorted_and_passes_over_litter(tmp_path: Path) -> None:
    tree(tmp_path, "b/2.jpg", "b/1.jpg", "a.png", "z/deep/er/x", ".hidden", ".git/config")
    tree(tmp_path, "Thumbs.db", "b/desktop.ini", "__MACOSX/._a.png", "b/._1.jpg", ".DS_Store")
    found = scan(tmp_path)
    assert names(found) == ["a.png", "b/1.jpg", "b/2.jpg", "z/deep/er/x"]
    assert not found.skipped and found.files[0].label is None
    assert found.files[0].path.read_bytes() == b"x"


def test_label_files_and_the_manifest_are_no_images(tmp_path: Path) -> None:
    tree(tmp_path, "labels.csv", "train/metadata.jsonl", "dog/metadata.csv", MANIFEST, "a.jpg")
    found = scan(tmp_path)
    assert found.sidecars == ("labels.csv", "train/metadata.jsonl")
    assert names(found) == ["a.jpg", "dog/metadata.csv"]


def test_empty_files_are_skipped(tmp_path: Path) -> None:
    (tmp_path / "none.jpg").touch()
    assert codes(scan(tmp_path)) == {"none.jpg": "empty"}


def test_special_files_are_never_opened(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe.jpg")
    (tmp_path / "link.jpg").symlink_to("pipe.jpg")
    with socket.socket(socket.AF_UNIX) as server:
        try:
            server.bind(str(tmp_path / "s"))
        except OSError:
            pytest.skip("the temporary folder's path is too long for a socket")
        found = codes(scan(tmp_path))
    assert found == dict.fromkeys(("pipe.jpg", "link.jpg", "s"), "special-file")


def test_links_are_followed_once_and_never_out(tmp_path: Path) -> None:
    src = tree(tmp_path / "src", "cats/1.jpg", "dogs/2.jpg")
    tree(tmp_path, "private/secret.jpg", "src-too/3.jpg")
    for link, target in {
        "file.jpg": "cats/1.jpg",
        "pets": "dogs",
        "dogs/up": "..",
        "cats/self": ".",
        "loop": "loop",
        "gone.jpg": "nothing.jpg",
        "out": "../private",
        "out.jpg": "../private/secret.jpg",
        "neighbour": "../src-too",
        "absolute": str(tmp_path / "private"),
    }.items():
        (src / link).symlink_to(target)
    found = scan(src)
    assert names(found) == ["cats/1.jpg", "dogs/2.jpg", "file.jpg", "pets/2.jpg"]
    out = dict.fromkeys(("out", "out.jpg", "neighbour", "absolute"), "link-outside")
    loops = dict.fromkeys(("dogs/up", "cats/self", "pets/up"), "link-loop")
    assert codes(found) == {**out, **loops, "loop": "broken-link", "gone.jpg": "broken-link"}


def test_linked_folders_do_not_multiply(tmp_path: Path) -> None:
    for k in range(8):
        tree(tmp_path, f"d{k}/x.jpg")
        for other in range(8):
            if other != k:
                (tmp_path / f"d{k}" / f"to{other}").symlink_to(f"../d{other}")
    assert len(scan(tmp_path).files) == 8 + 8 * 7


def test_a_source_that_is_a_link_is_walked(tmp_path: Path) -> None:
    tree(tmp_path / "real", "a.jpg")
    (tmp_path / "link").symlink_to("real")
    assert names(scan(tmp_path / "link")) == ["a.jpg"]


def test_unreadable_folders_are_skipped(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    tree(tmp_path, "shut/a.jpg", "b.jpg")
    opened = os.scandir

    def guarded(folder: str) -> object:  # as for a user who may not; root may
        if Path(folder) == tmp_path / "shut":
            raise PermissionError(errno.EACCES, os.strerror(errno.EACCES), folder)
        return opened(folder)

    monkeypatch.setattr(os, "scandir", guarded)
    found = scan(tmp_path)
    assert codes(found) == {"shut": "unreadable-folder"} and names(found) == ["b.jpg"]


def test_names_of_any_bytes_are_found(tmp_path: Path) -> None:
    odd = [b"caf\xe9.jpg", b"a\nb.jpg", "🐈 .jpg".encode(), b"x" * 251 + b".jpg", b"[b]<img>.png"]
    for name in odd:
        try:
            Path(os.fsdecode(os.fsencode(tmp_path) + b"/" + name)).write_bytes(b"x")
        except OSError:
            pytest.skip("this file system refuses such names")
    assert sorted(os.fsencode(n) for n in names(scan(tmp_path))) == sorted(odd)


def refusal(src: Path, out: Path) -> str:
    with pytest.raises(UeError) as caught:
        check_places(src, out)
    assert caught.value.message and caught.value.hint
    if caught.value.code == "src-empty":
        assert caught.value.exit_code == ExitCode.NOTHING_USABLE
    return caught.value.code


def test_places_are_checked_before_any_work(tmp_path: Path) -> None:
    src = tree(tmp_path / "src", "a/b.jpg")
    file = tree(tmp_path, "file.jpg") / "file.jpg"
    (tmp_path / "void").mkdir()
    tree(tmp_path / "other", "thesis.tex")
    new = tmp_path / "out"
    assert refusal(tmp_path / "nowhere", new) == "src-missing"
    assert refusal(file, new) == "src-not-folder"
    assert refusal(tmp_path / "void", new) == "src-empty"
    assert refusal(src, src) == "out-is-src"
    assert refusal(src, src / "a" / ".." / "") == "out-is-src"
    assert refusal(src, src / "out") == "out-inside-src"
    assert refusal(src / "a", src) == "src-inside-out"
    assert refusal(src, file) == "out-not-folder"
    assert refusal(src, tmp_path / "other") == "out-not-ours"
    assert refusal(src, tmp_path / "no" / "such" / "out") == "out-parent-missing"
    assert not new.exists()


def test_good_places_pass(tmp_path: Path) -> None:
    src = tree(tmp_path / "src", "a.jpg")
    check_places(src, tmp_path / "new")
    check_places(src, tmp_path / "src-protected")  # a common prefix is not inside
    (tmp_path / "void").mkdir()
    check_places(src, tmp_path / "void")
    check_places(src, tree(tmp_path / "ours", MANIFEST, "a.jpg"))


def test_links_do_not_hide_an_overlap(tmp_path: Path) -> None:
    src = tree(tmp_path / "src", "a/b.jpg")
    (tmp_path / "alias").symlink_to("src")
    assert refusal(src, tmp_path / "alias") == "out-is-src"
    assert refusal(src, tmp_path / "alias" / "out") == "out-inside-src"


def test_a_file_that_keeps_its_type_keeps_its_name() -> None:
    items = [("a.heic", ".png"), ("a.png", ""), ("dog/b", ".png"), ("a.heic.png", "")]
    chosen = output_names(items)
    assert chosen[1:] == ["a.png", "dog/b.png", "a.heic.png"]
    assert chosen[0].startswith("a~") and chosen[0].endswith(".heic.png")


def test_twins_in_case_or_composition_stay_apart() -> None:
    composed, apart = "é.jpg", unicodedata.normalize("NFD", "é.jpg")
    items = [(n, "") for n in ("A.jpg", "a.jpg", composed, apart, "Straße.png", "STRASSE.PNG")]
    chosen = output_names(items)
    assert len({unicodedata.normalize("NFC", n).casefold() for n in chosen}) == len(items)
    assert chosen[0] == "A.jpg" and all("~" in n or n in dict(items) for n in chosen)


def test_an_output_never_takes_a_folder_s_or_the_manifest_s_place() -> None:
    items = [("a.heic", ".png"), ("A.HEIC.png/b.jpg", ""), (MANIFEST.upper(), "")]
    chosen = output_names(items)
    assert chosen[1] == "A.HEIC.png/b.jpg" and "~" in chosen[0] and "~" in chosen[2]


def test_names_fit_a_directory_entry() -> None:
    long = "é" * 124 + ".heic"  # 253 bytes
    dotted = "a." + "b" * 253
    chosen = output_names([(long, ".png"), (dotted, ".png"), (os.fsdecode(b"\xff" * 255), ".png")])
    assert all(len(os.fsencode(n)) <= 255 and n.endswith(".png") for n in chosen)
    assert len(set(chosen)) == 3


@settings(deadline=None, max_examples=60)
@given(st.data())
def test_joining_moves_nothing_that_was_chosen(data: st.DataObject) -> None:
    part = st.text(st.sampled_from("aAéE.~"), min_size=1, max_size=4)
    name = st.lists(part, min_size=1, max_size=3).map("/".join)
    items = data.draw(st.dictionaries(name, st.sampled_from(["", ".png"]), max_size=8))
    first = dict(list(items.items())[: len(items) // 2])
    before = dict(zip(first, output_names(list(first.items())), strict=True))
    after = dict(zip(items, output_names(list(items.items()), before), strict=True))
    assert {n: after[n] for n in before} == before
    assert len({unicodedata.normalize("NFC", n.casefold()) for n in after.values()}) == len(items)
