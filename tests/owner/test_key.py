"""The owner's key: made once, kept private, and everything derived from it apart."""

from __future__ import annotations

import json
import pickle
import stat
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ue_cli.errors import UeError
from ue_cli.owner.key import (
    KEY_FILE,
    OwnerKey,
    hkdf_sha256,
    install_key,
    load_key,
    load_or_create_key,
    subkey,
    texture_secret,
)

OWNER = OwnerKey(bytes(range(32)))
SUB = subkey(OWNER, bytes(16))


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


@pytest.mark.parametrize(
    ("secret", "salt", "info", "length", "expected"),
    [
        (
            b"\x0b" * 22,
            bytes(range(13)),
            bytes(range(0xF0, 0xFA)),
            42,
            "3cb25f25faacd57a90434f64d0362f2a2d2d0a90cf1a5a4c5db02d56ecc4c5bf34007208d5b887185865",
        ),
        (
            bytes(range(0x50)),
            bytes(range(0x60, 0xB0)),
            bytes(range(0xB0, 0x100)),
            82,
            "b11e398dc80327a1c8e7f78c596a49344f012eda2d4efad8a050cc4c19afa97c"
            "59045a99cac7827271cb41c65e590e09da3275600c2f09b8367793a9aca3db71"
            "cc30c58179ec3e87c14c01d5c1f3434f1d87",
        ),
        (
            b"\x0b" * 22,
            b"",
            b"",
            42,
            "8da4e775a563c18f715f802a063c5a31b8a11f5c5ee1879ec3454e5f3c738d2d9d201395faa4b61a96c8",
        ),
    ],
)
def test_hkdf_gives_the_vectors_of_rfc_5869(
    secret: bytes, salt: bytes, info: bytes, length: int, expected: str
) -> None:
    assert hkdf_sha256(secret, salt=salt, info=info, length=length).hex() == expected


def test_derived_values_never_change() -> None:
    """Frozen: photos that join later must get what an older version would have given them."""
    assert OWNER.fingerprint == FROZEN["owner"]
    assert SUB.fingerprint == FROZEN["collection"]
    assert SUB.class_seed("cats", 1).hex() == FROZEN["class"]
    assert SUB.photo_seed("cats/é.jpg").hex() == FROZEN["photo"]
    assert SUB.hmac_hash("00" * 32) == FROZEN["original"]
    assert SUB.pixel_seed(np.zeros((1, 2, 3), np.uint8)).hex() == FROZEN["pixels"]
    assert SUB.lot("code", "a").hex() == FROZEN["lot"]
    assert SUB.commitment == FROZEN["commitment"]
    assert texture_secret(OWNER, "photos").fingerprint == FROZEN["textures"]


def test_values_of_different_kind_collection_and_owner_are_unrelated() -> None:
    other = subkey(OWNER, bytes(15) + b"\1")
    stranger = subkey(OwnerKey(bytes(32)), bytes(16))
    values = [
        value
        for key in (SUB, other, stranger, texture_secret(OWNER, ""), texture_secret(OWNER, "a"))
        for value in (
            key.fingerprint,
            key.class_seed("a", 1).hex(),
            key.class_seed("a", 2).hex(),
            key.class_seed("a1", 1).hex(),
            key.photo_seed("a").hex(),
            key.photo_seed("a1").hex(),
            key.hmac_hash("00" * 32),
            key.pixel_seed(np.zeros((1, 2, 3), np.uint8)).hex(),
            key.pixel_seed(np.zeros((2, 1, 3), np.uint8)).hex(),
            key.lot("a").hex(),
            key.lot("a", "a").hex(),
            key.nonce.hex(),
            key.commitment,
        )
    ]
    assert len({value[:32] for value in values}) == len(values)


@settings(deadline=None, max_examples=25)
@given(st.text(), st.text())
def test_seeds_exist_for_every_name_and_differ(first: str, second: str) -> None:
    for derive in (SUB.photo_seed, lambda name: SUB.class_seed(name, 1)):
        assert derive(first) == derive(first)
        assert (derive(first) == derive(second)) == (first == second)


def test_a_name_that_is_not_utf8_has_a_seed() -> None:
    name = b"caf\xe9.jpg".decode("utf-8", "surrogateescape")
    assert SUB.photo_seed(name) != SUB.photo_seed("café.jpg")


def test_secrets_are_not_shown_and_survive_pickling() -> None:
    assert OWNER.secret.hex() not in repr(OWNER)
    assert repr(SUB.secret) not in repr(SUB)
    assert pickle.loads(pickle.dumps(SUB)) == SUB


def test_the_key_is_made_once_and_private(tmp_path: Path) -> None:
    home = tmp_path / "deep" / "home"
    assert load_key(home) is None
    key = load_or_create_key(home)
    assert load_or_create_key(home) == key == load_key(home)
    assert mode(home) == mode(home.parent) == 0o700
    assert mode(home / KEY_FILE) == 0o600
    assert [path.name for path in home.iterdir()] == [KEY_FILE]
    assert load_or_create_key(tmp_path / "other") != key


def test_processes_that_race_get_the_same_key(tmp_path: Path) -> None:
    home, start = tmp_path / "home", tmp_path / "start"
    script = (
        "import sys, pathlib\n"
        "from ue_cli.owner.key import load_or_create_key\n"
        "home, start = map(pathlib.Path, sys.argv[1:])\n"
        "print('ready', flush=True)\n"
        "while not start.exists(): pass\n"
        "print(load_or_create_key(home).fingerprint)\n"
    )
    runs = [
        subprocess.Popen(
            [sys.executable, "-c", script, str(home), str(start)],
            stdout=subprocess.PIPE,
            text=True,
        )
        for _ in range(4)
    ]
    for run in runs:
        assert run.stdout is not None
        assert run.stdout.readline() == "ready\n"
    start.touch()
    answers = {run.communicate()[0] for run in runs}
    key = load_key(home)
    assert key is not None
    assert answers == {key.fingerprint + "\n"}
    assert [path.name for path in home.iterdir()] == [KEY_FILE]


@pytest.mark.parametrize(
    "damage",
    [
        lambda text: b"",
        lambda text: text[:40],
        lambda text: bytes(32),
        lambda text: b"\xff" * 100,
        lambda text: b"[" * 4000,
        lambda text: b"[]",
        lambda text: json.dumps(json.loads(text) | {"ue_key": 2}).encode(),
        lambda text: json.dumps(json.loads(text) | {"key": "00" * 32}).encode(),
        lambda text: json.dumps(json.loads(text) | {"key": 5}).encode(),
        lambda text: json.dumps(json.loads(text) | {"fingerprint": None}).encode(),
    ],
)
def test_a_damaged_key_file_is_refused_and_left_alone(tmp_path: Path, damage: object) -> None:
    load_or_create_key(tmp_path)
    path = tmp_path / KEY_FILE
    assert callable(damage)
    text = damage(path.read_bytes())
    path.write_bytes(text)
    with pytest.raises(UeError, match=KEY_FILE) as caught:
        load_or_create_key(tmp_path)
    assert caught.value.code == "key-damaged"
    assert "copy" in caught.value.hint
    assert path.read_bytes() == text


@pytest.mark.parametrize("bits", [0o640, 0o604, 0o620, 0o666])
def test_a_key_open_to_others_is_refused(tmp_path: Path, bits: int) -> None:
    load_or_create_key(tmp_path)
    (tmp_path / KEY_FILE).chmod(bits)
    with pytest.raises(UeError) as caught:
        load_key(tmp_path)
    assert caught.value.code == "key-permissions"
    assert "chmod 600" in caught.value.hint


def test_a_home_others_may_write_into_is_refused(tmp_path: Path) -> None:
    home = tmp_path / "home"
    home.mkdir()
    home.chmod(0o777)
    with pytest.raises(UeError) as caught:
        load_or_create_key(home)
    assert caught.value.code == "state-permissions"


def test_a_home_that_is_a_file_and_a_key_that_is_a_folder_are_refused(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(UeError):
        load_or_create_key(tmp_path / "file")
    (tmp_path / "home" / KEY_FILE).mkdir(parents=True)
    with pytest.raises(UeError) as caught:
        load_or_create_key(tmp_path / "home")
    assert caught.value.code == "key-unreadable"


def test_a_key_is_installed_once_and_never_replaced(tmp_path: Path) -> None:
    install_key(tmp_path / "new", OWNER)
    install_key(tmp_path / "new", OWNER)
    assert load_key(tmp_path / "new") == OWNER
    assert mode(tmp_path / "new" / KEY_FILE) == 0o600
    assert [path.name for path in (tmp_path / "new").iterdir()] == [KEY_FILE]
    other = load_or_create_key(tmp_path / "other")
    with pytest.raises(UeError) as caught:
        install_key(tmp_path / "other", OWNER)
    assert caught.value.code == "key-exists"
    assert load_key(tmp_path / "other") == other


FROZEN = {
    "owner": "0ec073fe6dfbe691d32ab0de005f5552",
    "collection": "25e93d685ed1d10152ba6acffc13139e",
    "class": "594f442297521a9b3b2bc45f05a11f8063eb0607bf476a3cc899c8e106cc305b",
    "photo": "45afe5fbd3dea122d0d35e892b11551c330d6e89cc939b8552525efb624a7e44",
    "original": "5e674ee3bdcc75f0b8e5c2a0105b85b849f7a89584f60af7c360de086de54b3c",
    "pixels": "61ae61fdd82c2abbd83c1cd0c3cab4dfaea0e78c5eeaf2c6eb907470edaf1e20",
    "lot": "0398c575c91bb1f512b7f7535d3c677aca5a7b4bae095ec148539e21352dd7cc",
    "commitment": "2afe622b033dcddcd3d849001a51c3f1d5571466670bc21397a53e3a9f20a017",
    "textures": "d8f1a46ba1a1028c78e6306c6f7c64da",
}
