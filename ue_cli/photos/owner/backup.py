"""Backup of the owner's key and state: one tar, so that another machine can go on.

An archive that is read is untrusted: every member is checked by name, kind and size, and every
collection against the key, before anything of the owner's is touched.
"""

from __future__ import annotations

import os
import secrets
import shutil
import tarfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from ue_cli.errors import UeError
from ue_cli.photos.owner.archive import unpack, write_archive
from ue_cli.photos.owner.collection_info import (
    INFO_FILE,
    collection_folder,
    list_collections,
    read_info,
)
from ue_cli.photos.owner.journal import JOURNAL_FILE
from ue_cli.photos.owner.key import OwnerKey, install_key, load_key
from ue_cli.photos.private import (
    explain_write,
    lock_folder,
    open_regular,
    private_folder,
    sync_folder,
)

_STAGE = ".ue-tmp-import"
_CHUNK = 1 << 20


@dataclass(frozen=True, slots=True)
class Backup:
    """What an archive holds.

    Attributes:
        fingerprint: of the owner's key.
        collections: fingerprints, sorted.
        size: bytes of the archive.
    """

    fingerprint: str
    collections: tuple[str, ...]
    size: int


@dataclass(frozen=True, slots=True)
class Imported:
    """What an import changed.

    Attributes:
        fingerprint: of the key that is the owner's now.
        taken: collections whose state now is the archive's.
        kept: collections whose own state stayed, because it goes further or has diverged.
    """

    fingerprint: str
    taken: tuple[str, ...]
    kept: tuple[str, ...]


def export_state(home: Path, file: Path, *, with_state: bool) -> Backup:
    """Write the key, and if wished the state of every collection, into a new tar (0600).

    Args:
        home: the app directory.
        file: must not exist.
        with_state: False for the key alone: small, but what was protected can be restored or
            added to only where the state is too.

    Raises:
        UeError: ``file-exists``, ``key-missing``, ``disk-full`` or ``write-failed``.
    """
    if os.path.lexists(file):
        raise UeError(
            "file-exists",
            f"{file} exists already; a backup is never overwritten.",
            "Give a new file name.",
        )
    key = load_key(home)
    if key is None:
        raise UeError(
            "key-missing", f"There is no owner's key in {home} yet.", "ue protect makes one."
        )
    collections = list_collections(home) if with_state else ()
    temporary = file.with_name(f".ue-tmp-{secrets.token_hex(8)}")
    with explain_write(file):
        descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        try:
            with os.fdopen(descriptor, "wb") as out:
                write_archive(out, home, key, collections)
                out.flush()
                os.fsync(out.fileno())
            size = temporary.stat().st_size
            temporary.rename(file)
        except BaseException:
            temporary.unlink(missing_ok=True)
            raise
        sync_folder(file.parent)
    return Backup(key.fingerprint, collections, size)


def import_state(home: Path, file: Path, *, replace: bool) -> Imported:
    """Make an archive's key the owner's, and take in its collections.

    A collection that is here too is taken only where the archive's goes on from it; with
    ``replace`` it is always taken, as is the key. What was there stays beside it as ``.old``.

    Args:
        home: the app directory.
        file: written by `export_state`, or by anybody.
        replace: see above.

    Raises:
        UeError: ``backup-invalid``: nothing was changed; ``key-exists``; ``state-locked``;
            ``disk-full`` or ``write-failed``.
    """
    lock = lock_folder(private_folder(home))
    stage = home / _STAGE
    try:
        with explain_write(stage):
            shutil.rmtree(stage, ignore_errors=True)  # of a killed import
            stage.mkdir(mode=0o700)
            with _opened(file) as raw, _explained(file):
                key = unpack(raw, stage)
            staged = _check(stage, key, file)
            install_key(home, key, replace=replace)
            taken = tuple(name for name in staged if _take(home, stage, name, replace=replace))
        kept = tuple(name for name in staged if name not in taken)
        return Imported(key.fingerprint, taken, kept)
    finally:
        shutil.rmtree(stage, ignore_errors=True)
        os.close(lock)


def _opened(file: Path) -> BinaryIO:
    try:
        return open_regular(file, follow_links=True)
    except OSError as error:
        raise UeError(
            "backup-unreadable",
            f"Cannot read {file}: {error.strerror or error}.",
            "Check the path of the backup.",
        ) from None


@contextmanager
def _explained(file: Path) -> Iterator[None]:
    """Whatever `tarfile` and we find wrong in an archive becomes ``backup-invalid``."""
    try:
        yield
    except (tarfile.TarError, ValueError, OverflowError, EOFError) as error:
        raise _invalid(file, str(error)) from None


def _check(stage: Path, key: OwnerKey, file: Path) -> list[str]:
    """The collections that were unpacked, each shown to be this key's."""
    staged = sorted(path.name for path in stage.iterdir())
    for fingerprint in staged:
        try:
            info = read_info(stage / fingerprint / INFO_FILE)
        except UeError as error:
            raise _invalid(file, f"collection {fingerprint}: {error.message}") from None
        if info.subkey(key).fingerprint != fingerprint:
            raise _invalid(file, f"collection {fingerprint} was not made with the key in it")
    return staged


def _take(home: Path, stage: Path, fingerprint: str, *, replace: bool) -> bool:
    """Put a checked collection at its place, if it should be there; whether it now is."""
    target = collection_folder(home, fingerprint)
    if not target.exists():
        private_folder(target.parent)
        (stage / fingerprint).rename(target)
    else:
        lock = lock_folder(target)
        try:
            if not replace and not _goes_on(target / JOURNAL_FILE, stage / fingerprint):
                return False
            target.rename(target.with_name(f"{fingerprint}.{secrets.token_hex(4)}.old"))
            (stage / fingerprint).rename(target)
        finally:
            os.close(lock)
    sync_folder(target.parent)
    return True


def _goes_on(ours: Path, theirs: Path) -> bool:
    """Whether the journal in ``theirs`` begins with ours and is longer."""
    journal = theirs / JOURNAL_FILE
    if not journal.exists():
        return False
    if not ours.exists():
        return True
    size = ours.stat().st_size
    if journal.stat().st_size <= size:
        return False
    with ours.open("rb") as mine, journal.open("rb") as other:
        while chunk := mine.read(_CHUNK):
            if other.read(len(chunk)) != chunk:
                return False
    return True


def _invalid(file: Path, problem: str) -> UeError:
    return UeError(
        "backup-invalid",
        f"{file} is not a backup that can be used: {problem}. Nothing was changed.",
        "Give the file that ue key export wrote.",
    )
