"""Backup: another machine goes on with it, and a hostile archive changes nothing."""

from __future__ import annotations

import io
import stat
import subprocess
import sys
import tarfile
from collections.abc import Callable
from pathlib import Path

import pytest

from ue_cli.errors import UeError
from ue_cli.photos.owner.backup import export_state, import_state
from ue_cli.photos.owner.collection_info import CollectionInfo, list_collections, new_id, now
from ue_cli.photos.owner.key import KEY_FILE, OwnerKey, load_key, load_or_create_key
from ue_cli.photos.owner.state import Collection
from ue_cli.types import FileRecord


def record(name: str) -> FileRecord:
    return FileRecord(
        name=name,
        output=name,
        label="cats",
        route="lossless",
        route_reason="",
        width=4,
        height=3,
        linf=8,
        linf_limit=8,
        linf_encoding=None,
        mean_abs=5.5,
        mse=30.25,
        sha256="cd" * 32,
        original_hmac="ab" * 32,
        bytes_in=10,
        bytes_out=12,
    )


def begin(home: Path, *names: str) -> str:
    """A new collection with these files; returns its fingerprint."""
    key = load_or_create_key(home)
    draft = CollectionInfo(new_id(), now(), "src", "photos", "csd", 8, "folders")
    with Collection.create(home, key, draft, {"bank.safetensors": b"bank"}) as collection:
        for name in names:
            collection.append(record(name))
        return collection.fingerprint


def add(home: Path, fingerprint: str, *names: str) -> None:
    with Collection.open(home, load_or_create_key(home), fingerprint) as collection:
        for name in names:
            collection.append(record(name))


def names_in(home: Path, fingerprint: str) -> list[str]:
    key = load_or_create_key(home)
    with Collection.open(home, key, fingerprint, readonly=True) as collection:
        assert collection.attachment("bank.safetensors") == b"bank"
        names = [item.name for item in collection.records()]
        return names


def listing(home: Path) -> dict[str, bytes]:
    """Every file below, but for locks."""
    return {
        str(path.relative_to(home)): path.read_bytes()
        for path in home.rglob("*")
        if path.is_file() and path.name != "lock"
    }


def test_another_machine_goes_on_and_the_first_takes_it_back(tmp_path: Path) -> None:
    here, there = tmp_path / "here", tmp_path / "there"
    first, second = begin(here, "a"), begin(here, "x")
    backup = export_state(here, tmp_path / "backup.tar", with_state=True)
    assert backup.collections == tuple(sorted((first, second)))
    assert stat.S_IMODE((tmp_path / "backup.tar").stat().st_mode) == 0o600

    done = import_state(there, tmp_path / "backup.tar", replace=False)
    assert (done.taken, done.kept) == (backup.collections, ())
    assert done.fingerprint == backup.fingerprint
    assert load_key(there) == load_key(here)
    add(there, first, "b")
    assert names_in(there, first) == ["a", "b"]

    export_state(there, tmp_path / "again.tar", with_state=True)
    done = import_state(here, tmp_path / "again.tar", replace=False)
    assert (done.taken, done.kept) == ((first,), (second,))
    assert names_in(here, first) == ["a", "b"]
    for path in (there, *there.rglob("*")):
        assert stat.S_IMODE(path.stat().st_mode) == (0o700 if path.is_dir() else 0o600), path


def test_state_that_went_on_or_apart_is_kept_unless_replaced(tmp_path: Path) -> None:
    home = tmp_path / "home"
    fingerprint = begin(home, "a", "b")
    export_state(home, tmp_path / "backup.tar", with_state=True)
    add(home, fingerprint, "c")
    assert import_state(home, tmp_path / "backup.tar", replace=False).kept == (fingerprint,)
    assert names_in(home, fingerprint) == ["a", "b", "c"]
    assert import_state(home, tmp_path / "backup.tar", replace=True).taken == (fingerprint,)
    assert names_in(home, fingerprint) == ["a", "b"]
    assert list_collections(home) == (fingerprint,)
    assert len(list((home / "collections").glob("*.old"))) == 1


def test_an_import_repairs_damaged_state_and_key(tmp_path: Path) -> None:
    home = tmp_path / "home"
    fingerprint = begin(home, "a")
    export_state(home, tmp_path / "backup.tar", with_state=True)
    (home / KEY_FILE).write_bytes(b"?")
    (home / "collections" / fingerprint / "collection.json").write_bytes(b"?")
    import_state(home, tmp_path / "backup.tar", replace=True)
    assert names_in(home, fingerprint) == ["a"]


def test_the_key_alone_can_travel_and_meets_another_key(tmp_path: Path) -> None:
    here, there = tmp_path / "here", tmp_path / "there"
    begin(here, "a")
    backup = export_state(here, tmp_path / "key.tar", with_state=False)
    assert backup.collections == ()
    own = load_or_create_key(there)
    with pytest.raises(UeError) as caught:
        import_state(there, tmp_path / "key.tar", replace=False)
    assert caught.value.code == "key-exists"
    assert load_key(there) == own
    import_state(there, tmp_path / "key.tar", replace=True)
    assert load_key(there) == load_key(here)
    assert list_collections(there) == ()


def test_a_backup_is_never_overwritten_and_needs_a_key(tmp_path: Path) -> None:
    with pytest.raises(UeError) as caught:
        export_state(tmp_path / "none", tmp_path / "backup.tar", with_state=True)
    assert caught.value.code == "key-missing"
    begin(tmp_path / "home")
    (tmp_path / "backup.tar").write_bytes(b"mine")
    with pytest.raises(UeError) as caught:
        export_state(tmp_path / "home", tmp_path / "backup.tar", with_state=True)
    assert caught.value.code == "file-exists"
    assert (tmp_path / "backup.tar").read_bytes() == b"mine"
    with pytest.raises(UeError):
        export_state(tmp_path / "home", tmp_path / "no" / "folder.tar", with_state=True)


def member(name: str, **fields: object) -> tarfile.TarInfo:
    made = tarfile.TarInfo(name)
    for field, value in fields.items():
        setattr(made, field, value)
    return made


HOSTILE = [
    member("../evil"),
    member("/evil"),
    member("evil"),
    member(KEY_FILE),
    member("collections/../../evil"),
    member("collections/" + "0" * 32 + "/../evil.json"),
    member("collections/" + "0" * 32 + "/evil.sh"),
    member("collections/" + "0" * 32 + "/lock"),
    member("collections/" + "0" * 32 + "/bank.json", type=tarfile.SYMTYPE, linkname="/etc/passwd"),
    member("collections/" + "0" * 32 + "/bank.json", type=tarfile.LNKTYPE, linkname=KEY_FILE),
    member("collections/" + "0" * 32 + "/bank.json", type=tarfile.FIFOTYPE),
    member("collections/" + "0" * 32 + "/bank.json", type=tarfile.CHRTYPE),
    member("collections/" + "0" * 32, type=tarfile.DIRTYPE),
    member("collections/" + "0" * 32 + "/bank.json"),
]


@pytest.mark.parametrize("place", ["before", "after"])
@pytest.mark.parametrize("evil", HOSTILE, ids=lambda info: info.name[-20:])
def test_a_hostile_member_spoils_the_archive_and_changes_nothing(
    tmp_path: Path, evil: tarfile.TarInfo, place: str
) -> None:
    begin(tmp_path / "here", "a")
    export_state(tmp_path / "here", tmp_path / "good.tar", with_state=True)
    with (
        tarfile.open(tmp_path / "good.tar") as good,
        tarfile.open(tmp_path / "bad.tar", "w") as bad,
    ):
        first, *rest = good.getmembers()
        bad.addfile(first, good.extractfile(first))
        for info in [evil, *rest] if place == "before" else [*rest[:-1], evil, rest[-1]]:
            bad.addfile(info, io.BytesIO() if info is evil else good.extractfile(info))
    unchanged(tmp_path, tmp_path / "bad.tar")


@pytest.mark.parametrize(
    "damage",
    [
        lambda data: b"",
        lambda data: b"not a tar" * 100,
        lambda data: data[: len(data) // 4],
        lambda data: data[:512],
        lambda data: data.replace(b"csd", b"dsc"),
        lambda data: data.replace(b"collections/", b"Collections/"),
        lambda data: data[:1024] + bytes(512) + data[1024:],
        lambda data: data[:1024] + b"\xff" * 512 + data[1536:],
    ],
)
def test_a_damaged_archive_changes_nothing(
    tmp_path: Path, damage: Callable[[bytes], bytes]
) -> None:
    begin(tmp_path / "here", "a")
    export_state(tmp_path / "here", tmp_path / "good.tar", with_state=True)
    (tmp_path / "bad.tar").write_bytes(damage((tmp_path / "good.tar").read_bytes()))
    unchanged(tmp_path, tmp_path / "bad.tar")


def test_a_collection_of_another_key_is_refused(tmp_path: Path) -> None:
    here = tmp_path / "here"
    begin(here, "a")
    (here / KEY_FILE).write_bytes(OwnerKey(bytes(32)).to_bytes())
    export_state(here, tmp_path / "bad.tar", with_state=True)
    unchanged(tmp_path, tmp_path / "bad.tar")


def unchanged(tmp_path: Path, archive: Path) -> None:
    there = tmp_path / "there"
    begin(there, "kept")
    before = listing(there)
    for replace in (False, True):
        with pytest.raises(UeError, match="Nothing was changed") as caught:
            import_state(there, archive, replace=replace)
        assert caught.value.code == "backup-invalid"
    assert listing(there) == before
    assert not any(path.name.startswith("evil") for path in tmp_path.rglob("*"))


def test_a_missing_archive_is_a_sentence(tmp_path: Path) -> None:
    with pytest.raises(UeError) as caught:
        import_state(tmp_path / "home", tmp_path / "none.tar", replace=False)
    assert caught.value.code == "backup-unreadable"


def test_state_in_use_is_not_replaced(tmp_path: Path) -> None:
    home = tmp_path / "home"
    fingerprint = begin(home, "a")
    export_state(home, tmp_path / "backup.tar", with_state=True)
    script = (
        "import sys, pathlib\n"
        "from ue_cli.errors import UeError\n"
        "from ue_cli.photos.owner.backup import import_state\n"
        "try:\n"
        "    import_state(*map(pathlib.Path, sys.argv[1:]), replace=True)\n"
        "except UeError as error:\n"
        "    print(error.code)\n"
    )
    command = [sys.executable, "-c", script, str(home), str(tmp_path / "backup.tar")]
    with Collection.open(home, load_or_create_key(home), fingerprint):
        assert subprocess.check_output(command, text=True) == "state-locked\n"
    assert names_in(home, fingerprint) == ["a"]
