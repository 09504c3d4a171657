"""Files that hold secrets: how they are made, written and read (0600 in 0700, whole or absent)."""

from __future__ import annotations

import errno
import fcntl
import json
import os
import stat
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, BinaryIO

from ue_cli.errors import UeError

LOCK_FILE = "lock"


@contextmanager
def explain_write(path: Path) -> Iterator[None]:
    """Turn an `OSError` met while writing ``path`` into a sentence.

    Raises:
        UeError: ``disk-full`` or ``write-failed``, naming the path and the system's reason.
    """
    try:
        yield
    except OSError as error:
        full = error.errno in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
        raise UeError(
            "disk-full" if full else "write-failed",
            f"Cannot write {path}: {error.strerror or error}.",
            f"{'Make room' if full else 'Make the folder writable for you'}, then run the same "
            "command again: it goes on where it stopped.",
        ) from error


def private_folder(path: Path) -> Path:
    """Make ``path`` and its missing parents, 0700 each; refuse one that others may write into.

    A folder that exists is not tightened: it may be one the user shares on purpose, and what
    is written into it is 0600.

    Raises:
        UeError: others may write into it, it is not a folder, or it cannot be made.
    """
    with explain_write(path):
        missing = [p for p in (path, *path.parents) if not p.exists()]
        for folder in reversed(missing):
            folder.mkdir(mode=0o700, exist_ok=True)
        mode = path.stat().st_mode
    if not stat.S_ISDIR(mode):
        raise UeError(
            "state-not-a-folder",
            f"Expected a folder for the owner's state at {path}, found something else.",
            "Move that file away.",
        )
    if mode & 0o022:
        raise UeError(
            "state-permissions",
            f"Other users may write into {path}, which holds the owner's key and state.",
            f"Run: chmod 700 '{path}'",
        )
    return path


def write_whole(path: Path, chunks: Iterable[bytes], *, mode: int = 0o600) -> None:
    """Write a file so that it is, at any moment, either the old one or the new one entire.

    Args:
        path: its folder exists. One writer at a time: the temporary name is fixed, so that a
            killed run leaves at most one stray file, which the next run replaces.
        chunks: the content.
        mode: before the umask.

    Raises:
        OSError: nothing was changed.
    """
    temporary = path.with_name(f".ue-tmp-{path.name}")
    temporary.unlink(missing_ok=True)
    descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode)
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.writelines(chunks)
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(path)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise
    sync_folder(path.parent)


def sync_folder(folder: Path) -> None:
    """Make names created in ``folder`` survive a power loss, where the system can."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        with suppress(OSError):  # some network file systems refuse
            os.fsync(descriptor)
    finally:
        os.close(descriptor)


def write_all(descriptor: int, data: bytes) -> None:
    """`os.write` that goes on after a partial write."""
    view = memoryview(data)
    while view:
        view = view[os.write(descriptor, view) :]


def parse_json(text: bytes) -> Any:
    """Parse ASCII JSON that somebody else may have written.

    Raises:
        ValueError: for whatever is wrong with it, nesting too deep included.
    """
    try:
        return json.loads(text.decode("ascii"))
    except RecursionError:
        raise ValueError("nested too deep") from None


def open_regular(path: Path, *, follow_links: bool) -> BinaryIO:
    """Open a plain file for reading; a pipe or a device of that name neither hangs nor passes.

    Raises:
        OSError: as `open`; also for what is not a regular file, or a link where none may be.
    """
    flags = os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC
    descriptor = os.open(path, flags if follow_links else flags | os.O_NOFOLLOW)
    if not stat.S_ISREG(os.fstat(descriptor).st_mode):
        os.close(descriptor)
        raise OSError(errno.EINVAL, "not a regular file")
    return os.fdopen(descriptor, "rb")


def lock_folder(folder: Path) -> int:
    """Take the lock of a folder; closing the descriptor lets go of it.

    A POSIX record lock belongs to this process alone. `flock` would be inherited by forked
    workers, and one that outlives its killed parent would keep the folder locked.

    Raises:
        UeError: ``state-locked``: another process has it.
    """
    path = folder / LOCK_FILE
    with explain_write(path):
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
    try:
        fcntl.lockf(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        os.close(descriptor)
        raise UeError(
            "state-locked",
            f"Another run of ue is working in {folder}.",
            "Wait until it has ended, then run the same command again.",
        ) from None
    return descriptor
