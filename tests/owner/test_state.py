"""The owner's state: whatever happens to the process or the disk, what was noted is found again."""

from __future__ import annotations

import dataclasses
import os
import resource
import shutil
import signal
import stat
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.records import RECORD
from ue_cli.errors import UeError
from ue_cli.owner.collection_info import (
    CollectionInfo,
    collection_folder,
    find_collection,
    list_collections,
    new_id,
    now,
)
from ue_cli.owner.key import OwnerKey
from ue_cli.owner.ledger import LEDGER_FILE
from ue_cli.owner.state import Collection, ProtectedHashes
from ue_cli.types import FileRecord

OWNER = OwnerKey(bytes(range(32)))
LOG = f"{LEDGER_FILE}-wal"
NAMES = ("cats/a.jpg", "b c\n[b]é😀.png", b"caf\xe9.jpg".decode("utf-8", "surrogateescape"))


def info() -> CollectionInfo:
    return CollectionInfo(
        id=new_id(),
        created=now(),
        source="./photos",
        name="photos",
        method="csd",
        levels=8,
        label_rule="folders",
        recipe={"waves": 3},
        options={"format": "keep"},
        codes={"cats": {"gain": 8.0}},
    )


def record(name: str, digest: int = 0) -> FileRecord:
    return replace(
        RECORD,
        name=name,
        output=name,
        route_reason='says "sha256": "' + "f" * 64 + '"',
        sha256=f"{digest:064x}",
        removed=("EXIF thumbnail (7,412 bytes)",),
    )


@pytest.fixture(scope="module")
def crashed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A home as a process leaves it that was killed: its three records are in the log still."""
    home = tmp_path_factory.mktemp("crashed") / "home"
    live = home.with_name("live")
    with Collection.create(live, OWNER, info()) as collection:
        for number, name in enumerate(NAMES):
            collection.append(record(name, number))
        shutil.copytree(live, home)
    return home


def folder_of(home: Path) -> Path:
    return collection_folder(home, list_collections(home)[0])


def reopen(home: Path, *, readonly: bool = False) -> Collection:
    return Collection.open(home, OWNER, list_collections(home)[0], readonly=readonly)


def found(collection: Collection) -> list[str]:
    """The recovered names; every one of them must be wholly right."""
    names = []
    for item in collection.records():
        number = NAMES.index(item.name)
        assert item == record(item.name, number) == collection.finished(item.name)
        names.append(item.name)
    assert len(collection) == len(names)
    return names


def test_what_is_appended_is_read_back(tmp_path: Path) -> None:
    made = info()
    with Collection.create(tmp_path, OWNER, made, {"bank.safetensors": b"bank"}) as collection:
        assert collection.info == made
        assert collection.finished(NAMES[0]) is None
        for number, name in enumerate(NAMES):
            collection.append(record(name, number))
        assert found(collection) == list(NAMES)
        fingerprint = collection.fingerprint
    assert find_collection(tmp_path, fingerprint) == made
    for readonly in (True, False):
        with reopen(tmp_path, readonly=readonly) as collection:
            assert found(collection) == list(NAMES)
            assert (collection.folder / "bank.safetensors").read_bytes() == b"bank"
            assert collection.subkey == made.subkey(OWNER)


def test_the_newest_record_of_a_name_counts(tmp_path: Path) -> None:
    with Collection.create(tmp_path, OWNER, info()) as collection:
        collection.append(record("a", 1))
        collection.append(record("b", 2))
        collection.append(record("a", 3))
    with reopen(tmp_path) as collection:
        assert [item.name for item in collection.records()] == ["b", "a"]
        collection.append(record("a", 4))
        assert collection.finished("a") == record("a", 4)


@settings(
    deadline=None, max_examples=15, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(st.data())
def test_after_a_crash_the_lost_files_are_done_again_and_all_is_found(
    crashed: Path, tmp_path: Path, data: st.DataObject
) -> None:
    home = tmp_path / "home"
    shutil.rmtree(home, ignore_errors=True)
    shutil.copytree(crashed, home)
    path = folder_of(home) / LOG
    size = path.stat().st_size
    cut = data.draw(st.integers(0, size))
    # A power loss can leave zeros where data had not reached the disk.
    zeros = data.draw(st.integers(0, size - cut))
    path.write_bytes(path.read_bytes()[:cut] + bytes(zeros))
    with reopen(home) as collection:
        before = found(collection)
        assert before == list(NAMES[: len(before)])
        for number, name in enumerate(NAMES):
            if collection.finished(name) is None:
                collection.append(record(name, number))
        assert found(collection) == list(NAMES)
    with reopen(home) as collection:
        assert found(collection) == list(NAMES)


@pytest.mark.parametrize(
    "damage",
    [
        lambda whole: b"not a database" * 100,
        lambda whole: whole[: len(whole) // 2],
        lambda whole: whole[:4096] + bytes(len(whole) - 4096),
        lambda whole: whole.replace(b'"linf"', b'"lint"'),
        lambda whole: whole.replace(b'{"name"', b'["name"'),
    ],
)
def test_a_damaged_ledger_is_a_sentence(tmp_path: Path, damage: Callable[[bytes], bytes]) -> None:
    with Collection.create(tmp_path, OWNER, info()) as collection:
        collection.append(record("a"))
    ledger = folder_of(tmp_path) / LEDGER_FILE
    ledger.write_bytes(damage(ledger.read_bytes()))
    for readonly in (True, False):
        with (
            pytest.raises(UeError, match=LEDGER_FILE) as caught,
            reopen(tmp_path, readonly=readonly) as collection,
        ):
            list(collection.records())
        assert caught.value.code == "state-damaged"
    ledger.unlink()  # as the hint says
    with reopen(tmp_path) as collection:
        assert len(collection) == 0


@pytest.mark.parametrize("writable", [True, False])
def test_a_reader_leaves_no_file(
    crashed: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, writable: bool
) -> None:
    shutil.copytree(crashed, tmp_path / "home")
    reopen(tmp_path / "home").close()
    before = sorted(folder_of(tmp_path / "home").iterdir())
    monkeypatch.setattr("os.access", lambda *_: writable)
    with reopen(tmp_path / "home", readonly=True) as collection:
        assert found(collection) == list(NAMES)
    assert sorted(folder_of(tmp_path / "home").iterdir()) == before


@pytest.mark.parametrize(
    "text",
    [b"", b"{", b"[]", b"\xff", b'{"ue_collection": 2}', b'{"ue_collection": 1}', b"[" * 99_999],
)
def test_a_damaged_collection_file_is_a_sentence(tmp_path: Path, text: bytes) -> None:
    Collection.create(tmp_path, OWNER, info()).close()
    (folder_of(tmp_path) / "collection.json").write_bytes(text)
    with pytest.raises(UeError, match=r"collection\.json") as caught:
        reopen(tmp_path)
    assert caught.value.code == "state-damaged"


def test_state_of_another_key_or_of_nobody_is_refused(tmp_path: Path) -> None:
    Collection.create(tmp_path, OWNER, info()).close()
    fingerprint = list_collections(tmp_path)[0]
    with pytest.raises(UeError) as caught:
        Collection.open(tmp_path, OwnerKey(bytes(32)), fingerprint)
    assert caught.value.code == "state-foreign"
    for unknown in ("0" * 32, "", "../../etc", "x" * 5000, "a\0b"):
        assert find_collection(tmp_path, unknown) is None
        with pytest.raises(UeError) as caught:
            Collection.open(tmp_path, OWNER, unknown)
        assert caught.value.code == "state-missing"


def test_codes_join_and_never_change(tmp_path: Path) -> None:
    with Collection.create(tmp_path, OWNER, info()) as collection:
        collection.add_codes({"dogs": {"f": (1.5, 2)}})
        collection.add_codes({"dogs": {"f": (1.5, 2)}, "cats": {"gain": 8.0}})
        with pytest.raises(ValueError, match="cats"):
            collection.add_codes({"cats": {"gain": 9.0}})
    with reopen(tmp_path) as collection:
        assert collection.info.codes == {"cats": {"gain": 8.0}, "dogs": {"f": [1.5, 2]}}


def test_everything_is_private(tmp_path: Path) -> None:
    home = tmp_path / "home"
    with Collection.create(home, OWNER, info(), {"bank.npz": b""}) as collection:
        collection.append(record("a"))
    for path in (home, *home.rglob("*")):
        assert stat.S_IMODE(path.stat().st_mode) == (0o700 if path.is_dir() else 0o600), path


def test_hashes_of_every_collection_are_known(tmp_path: Path) -> None:
    assert f"{1:064x}" not in ProtectedHashes(tmp_path / "none")
    for first in (0, 10):
        with Collection.create(tmp_path, OWNER, info()) as collection:
            for digest in range(first, first + 5):
                collection.append(record(f"{digest}.png", digest << 8))
            collection.append(record(f"{first}.png", (first + 5) << 8))  # done again
    hashes = ProtectedHashes(tmp_path)
    known = [digest for digest in range(20) if f"{digest << 8:064x}" in hashes]
    assert known == [*range(6), *range(10, 16)]
    assert "f" * 64 not in hashes


def test_a_second_run_is_told_and_a_reader_is_not(tmp_path: Path) -> None:
    script = (
        "import sys, pathlib\n"
        "from ue_cli.errors import UeError\n"
        "from ue_cli.owner.key import OwnerKey\n"
        "from ue_cli.owner.state import Collection\n"
        "home, fingerprint = pathlib.Path(sys.argv[1]), sys.argv[2]\n"
        "for readonly in (True, False):\n"
        "    try:\n"
        "        key = OwnerKey(bytes(range(32)))\n"
        "        Collection.open(home, key, fingerprint, readonly=readonly)\n"
        "        print('open')\n"
        "    except UeError as error:\n"
        "        print(error.code)\n"
    )
    with Collection.create(tmp_path, OWNER, info()) as collection:
        command = [sys.executable, "-c", script, str(tmp_path), collection.fingerprint]
        assert subprocess.check_output(command, text=True) == "open\nstate-locked\n"
    assert subprocess.check_output(command, text=True) == "open\nopen\n"


def test_a_killed_run_keeps_what_it_noted_and_its_workers_do_not_keep_the_lock(
    tmp_path: Path,
) -> None:
    script = (
        "import os, pathlib, sys, time\n"
        "sys.path.insert(0, sys.argv[2])\n"
        "import test_state as t\n"
        "c = t.Collection.create(pathlib.Path(sys.argv[1]), t.OWNER, t.info())\n"
        "child = os.fork()\n"
        "if child == 0:\n"
        "    time.sleep(60)\n"
        "print(child, flush=True)\n"
        "for number in range(10**6):\n"
        "    c.append(t.record(f'{number}.png', number))\n"
        "    print(number, flush=True)\n"
    )
    command = [sys.executable, "-c", script, str(tmp_path), str(Path(__file__).parent)]
    run = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    assert run.stdout is not None
    worker = int(run.stdout.readline())
    try:
        noted = -1
        while noted < 90:
            noted = int(run.stdout.readline())
        run.kill()
        run.wait()
        run.stdout.close()
        with reopen(tmp_path) as collection:
            assert len(collection) > noted
            for number in range(noted + 1):
                assert collection.finished(f"{number}.png") == record(f"{number}.png", number)
    finally:
        os.kill(worker, signal.SIGKILL)


@pytest.fixture
def small_disk() -> Iterator[None]:
    """No file may grow beyond 100,000 bytes, as on a disk that is full."""
    limit_files(100_000)
    yield
    limit_files(None)


def limit_files(size: int | None) -> None:
    hard = resource.getrlimit(resource.RLIMIT_FSIZE)[1]
    resource.setrlimit(resource.RLIMIT_FSIZE, (hard if size is None else size, hard))


def test_a_full_disk_is_a_sentence_and_nothing_is_torn(tmp_path: Path, small_disk: None) -> None:
    noted = 0
    collection = Collection.create(tmp_path, OWNER, info())
    with pytest.raises(UeError) as caught:
        for number in range(1000):
            collection.append(record(f"{number}.png", number))
            noted += 1
    assert caught.value.code == "disk-full"
    assert 5 <= noted < 1000
    limit_files(200_000)
    collection.append(record("more.png"))
    collection.close()
    with reopen(tmp_path) as collection:
        assert len(collection) == noted + 1
        assert collection.finished("more.png") == record("more.png")


def test_a_reader_of_an_empty_collection_finds_nothing_and_may_not_write(tmp_path: Path) -> None:
    Collection.create(tmp_path, OWNER, info()).close()
    (folder_of(tmp_path) / LEDGER_FILE).unlink()
    with reopen(tmp_path, readonly=True) as collection:
        assert list(collection.records()) == []
        with pytest.raises(ValueError, match="reading"):
            collection.append(record("a"))


def test_a_discarded_collection_is_gone_and_no_other(tmp_path: Path) -> None:
    Collection.create(tmp_path, OWNER, info()).close()
    others = list_collections(tmp_path)
    with Collection.create(tmp_path, OWNER, info()) as collection:
        collection.discard()
    assert list_collections(tmp_path) == others


def test_records_keep_every_field(tmp_path: Path) -> None:
    full = dataclasses.replace(record("a"), linf_encoding=3, notes=("one", "two"), mean_abs=5.0)
    with Collection.create(tmp_path, OWNER, info()) as collection:
        collection.append(full)
        assert collection.finished("a") == full
