"""The tar in which the owner's key and state travel; as it is read, anybody may have written it."""

from __future__ import annotations

import hashlib
import io
import json
import os
import shutil
import sys
import tarfile
from pathlib import Path, PurePosixPath
from typing import IO, BinaryIO, cast

from ue_cli.photos.owner.collection_info import COLLECTIONS, INFO_FILE, MAX_INFO, collection_folder
from ue_cli.photos.owner.journal import JOURNAL_FILE
from ue_cli.photos.owner.key import FINGERPRINT, KEY_FILE, MAX_KEY_FILE, OwnerKey
from ue_cli.photos.owner.state import ATTACHMENT
from ue_cli.photos.private import open_regular, parse_json

_CONTENTS = "contents.json"
_MAX_CONTENTS = 64 << 20
_CHUNK = 1 << 20


def write_archive(
    out: io.BufferedWriter, home: Path, key: OwnerKey, collections: tuple[str, ...]
) -> None:
    """Write the key and these collections, and last a list of contents with hashes.

    Raises:
        OSError: the disk is full, or some state cannot be read.
    """
    contents: dict[str, str] = {}
    with tarfile.open(fileobj=out, mode="w") as archive:
        text = key.to_bytes()
        _add(archive, contents, KEY_FILE, io.BytesIO(text), len(text))
        for fingerprint in collections:
            for path in sorted(collection_folder(home, fingerprint).iterdir()):
                if _expected(path.name):
                    with open_regular(path, follow_links=False) as file:
                        name = f"{COLLECTIONS}/{fingerprint}/{path.name}"
                        _add(archive, contents, name, file, os.fstat(file.fileno()).st_size)
        text = json.dumps({"ue_backup": 1, "sha256": contents}).encode()
        _add(archive, {}, _CONTENTS, io.BytesIO(text), len(text))


def _add(
    archive: tarfile.TarFile, contents: dict[str, str], name: str, file: BinaryIO, size: int
) -> None:
    member = tarfile.TarInfo(name)
    member.size, member.mode = size, 0o600
    hashing = _Hashing(file)
    archive.addfile(member, cast(IO[bytes], hashing))
    contents[name] = hashing.digest.hexdigest()


class _Hashing:
    """A file whose content is hashed as it is read."""

    def __init__(self, file: IO[bytes]) -> None:
        self._file = file
        self.digest = hashlib.sha256()

    def read(self, size: int = -1) -> bytes:
        data = self._file.read(size)
        self.digest.update(data)
        return data


def unpack(raw: BinaryIO, stage: Path) -> OwnerKey:
    """Copy the collections into ``stage / fingerprint`` and return the key.

    Args:
        raw: an archive, written by anybody.
        stage: an empty folder.

    Raises:
        OSError: ``stage`` cannot be written.
        ValueError: a member that no backup of ours holds, or one that is missing or damaged.
        tarfile.TarError: it is no tar.
    """
    key: OwnerKey | None = None
    found: dict[str, str] = {}
    contents: object = None
    # "r:": no decompression, so that nothing in it is larger than the file itself.
    with tarfile.open(fileobj=raw, mode="r:") as archive:
        for member in archive:
            _refuse_strange(member, found)
            file = archive.extractfile(member)
            if file is None:
                raise ValueError(f"{member.name} has no content")
            source = _Hashing(file)
            if member.name == _CONTENTS:
                contents = parse_json(source.read())
                break
            if member.name == KEY_FILE:
                key = OwnerKey.from_bytes(source.read())
            else:
                _copy(source, stage / PurePosixPath(member.name).relative_to(COLLECTIONS))
            found[member.name] = source.digest.hexdigest()
    # `tarfile` takes a damaged header for the end of the archive; this list does not.
    if contents != {"ue_backup": 1, "sha256": found}:
        raise ValueError("what is in it is not what its list of contents says")
    if key is None:
        raise ValueError("there is no key in it")
    return key


def _refuse_strange(member: tarfile.TarInfo, found: dict[str, str]) -> None:
    """Raise ValueError unless this is a member that `_write_archive` writes."""
    shown = repr(member.name[:80])
    # Neither links, devices nor sparse members, which claim more bytes than the archive has.
    if member.type not in (tarfile.REGTYPE, tarfile.AREGTYPE) or member.issparse():
        raise ValueError(f"{shown} is not a regular file")
    if member.name in found:
        raise ValueError(f"{shown} comes twice")
    top, *below = member.name.split("/")
    limit = {KEY_FILE: MAX_KEY_FILE, _CONTENTS: _MAX_CONTENTS}.get(member.name)
    if top == COLLECTIONS and len(below) == 2 and FINGERPRINT.fullmatch(below[0]):
        if _expected(below[1]):
            limit = MAX_INFO if below[1] == INFO_FILE else sys.maxsize
    if limit is None:
        raise ValueError(f"{shown} does not belong into a backup")
    if member.size > limit:
        raise ValueError(f"{shown} is too large")


def _copy(source: _Hashing, target: Path) -> None:
    target.parent.mkdir(mode=0o700, exist_ok=True)
    with os.fdopen(os.open(target, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as out:
        shutil.copyfileobj(source, out, _CHUNK)
        out.flush()
        os.fsync(out.fileno())


def _expected(name: str) -> bool:
    """Whether a file of this name belongs to a collection's state (the lock does not)."""
    return name in (INFO_FILE, JOURNAL_FILE) or bool(ATTACHMENT.fullmatch(name))
