"""Where SRC and OUT may lie, and what the output files are called."""

from __future__ import annotations

import errno
import os
import unicodedata
from collections.abc import Iterable, Mapping, Sequence
from hashlib import sha256
from pathlib import Path

from ue_cli.errors import ExitCode, UeError

MANIFEST = "ue-manifest.jsonl"
LITTER = {"thumbs.db", "ehthumbs.db", "desktop.ini", "__macosx", "$recycle.bin"}

_NAME_BYTES = 255


def within(path: str, folder: str) -> bool:
    """Whether a resolved path is a resolved folder or lies below it."""
    return path == folder or path.startswith(folder.rstrip(os.sep) + os.sep)


def check_source(src: Path) -> None:
    """Refuse a SRC that is no readable folder.

    Raises:
        UeError: ``src-missing``, ``src-not-folder``, ``src-unreadable``.
    """
    if not os.path.lexists(src):
        raise UeError(
            "src-missing",
            f"SRC should be a folder of images, but {src} does not exist.",
            "Check the spelling of the path.",
        )
    if not src.is_dir():
        raise UeError(
            "src-not-folder",
            f"SRC should be a folder of images, but {src} is {_kind(src)}.",
            "Put the image into a folder and give the folder.",
        )
    try:
        with os.scandir(src):
            pass
    except OSError as error:
        raise UeError(
            "src-unreadable",
            f"SRC should be a readable folder, but {src} cannot be opened ({error.strerror}).",
            "Check its permissions.",
        ) from None


def _kind(path: Path) -> str:
    if path.is_file():
        return "a file"
    return "a link that leads nowhere" if path.is_symlink() else "neither a file nor a folder"


def check_places(src: Path, out: Path) -> None:
    """Refuse a SRC or an OUT that cannot do, before any work.

    Raises:
        UeError: ``src-missing``, ``src-not-folder``, ``src-unreadable``, ``src-empty`` (exit 3),
            ``out-is-src``, ``out-inside-src``, ``src-inside-out``, ``out-not-folder``,
            ``out-not-ours``, ``out-parent-missing``, ``out-not-writable``.
    """
    check_source(src)
    with os.scandir(src) as entries:
        if not any(True for _ in entries):
            raise no_files(src)
    _check_overlap(src, out)
    if not os.path.lexists(out):
        _check_parent(out)
        return
    if not out.is_dir():
        raise UeError(
            "out-not-folder",
            f"OUT should be a folder, but {out} is {_kind(out)}.",
            "Give another -o.",
        )
    _check_writable(out)
    if not (out / MANIFEST).is_file() and _holds_something(out):
        raise UeError(
            "out-not-ours",
            f"OUT should be new, empty or the output of an earlier run, but {out} holds other "
            f"files and no {MANIFEST}.",
            "Give another -o, or move those files away.",
        )


def no_files(src: Path) -> UeError:
    """The error for a SRC in which there is nothing to protect."""
    return UeError(
        "src-empty",
        f"SRC should hold images, but there are no files in {src}.",
        "Hidden files and folders do not count.",
        exit_code=ExitCode.NOTHING_USABLE,
    )


def _check_overlap(src: Path, out: Path) -> None:
    source, target = os.path.realpath(src), os.path.realpath(out)
    if source == target or (out.exists() and out.samefile(src)):
        raise UeError(
            "out-is-src",
            f"OUT should be another folder than SRC, but both are {src}.",
            "Give another -o; originals are never written to.",
        )
    if within(target, source):
        raise UeError(
            "out-inside-src",
            f"OUT should lie outside SRC, but {out} is inside {src}.",
            "Give a folder beside it, such as -o " + source + "-protected.",
        )
    if within(source, target):
        raise UeError(
            "src-inside-out",
            f"OUT should lie outside SRC, but {src} is inside {out}.",
            "Publishing OUT would publish the originals; give another -o.",
        )


def _check_parent(out: Path) -> None:
    parent = out.absolute().parent
    if not parent.is_dir():
        raise UeError(
            "out-parent-missing",
            f"OUT should lie in a folder that exists, but {parent} does not.",
            "Create it, or give another -o.",
        )
    _check_writable(parent)


def _check_writable(folder: Path) -> None:
    if not os.access(folder, os.W_OK | os.X_OK):
        raise UeError(
            "out-not-writable",
            f"OUT should be writable, but {folder} does not let this user write.",
            "Change its permissions, or give another -o.",
        )


def _holds_something(folder: Path) -> bool:
    """Whether there is anything but litter and what an interrupted first run leaves."""
    try:
        with os.scandir(folder) as entries:
            return any(
                not entry.name.startswith((".ue-", ".DS_Store"))
                and entry.name.lower() not in LITTER
                for entry in entries
            )
    except OSError as error:
        if error.errno in (errno.EACCES, errno.EPERM):
            return True
        raise


def output_names(
    items: Sequence[tuple[str, str]], assigned: Mapping[str, str] | None = None
) -> list[str]:
    """A name in OUT for every input, distinct on any file system.

    A file that keeps its type keeps its name. One that changes gets the new extension *after* the
    old one (``a.heic`` → ``a.heic.png``), so that no file that joins later, ``a.png`` included,
    can claim it. Names that differ only in case or in Unicode composition would be one file on
    macOS and Windows: the first in order keeps the name, the others get a mark made of their own.

    Args:
        items: (name, extension of the output, empty where the name stays).
        assigned: what earlier runs chose, name → output: kept, so that joining moves nothing.

    Returns:
        POSIX paths below OUT, in the order of ``items``.
    """
    kept = dict(assigned or {})
    taken = {_key(out) for out in kept.values()} | {_key(MANIFEST)}
    parents = _parents([*(name for name, _ in items), *kept.values()])
    chosen = dict(kept)
    # Files that need no change choose first, whatever sorts before them.
    for name, extension in sorted(set(items), key=lambda item: (item[1] != "", item[0])):
        if name in chosen:
            continue
        candidate, attempt = _fit(name, extension), 0
        while _key(candidate) in taken or _key(candidate) in parents:
            attempt += 1
            candidate = _fit(name, extension, attempt)
        taken.add(_key(candidate))
        chosen[name] = candidate
    return [chosen[name] for name, _ in items]


def _key(name: str) -> str:
    return unicodedata.normalize("NFC", unicodedata.normalize("NFC", name).casefold())


def _parents(names: Iterable[str]) -> set[str]:
    folders = {name.rpartition("/")[0] for name in names}
    return {
        _key("/".join(parts[:depth]))
        for parts in (folder.split("/") for folder in folders if folder)
        for depth in range(1, len(parts) + 1)
    }


def _fit(name: str, extension: str, attempt: int = 0) -> str:
    """``name`` with an extension, and a mark of its own if too long or if not the first attempt."""
    folder, slash, base = name.rpartition("/")
    if not attempt and len(os.fsencode(base + extension)) <= _NAME_BYTES:
        return f"{folder}{slash}{base}{extension}"
    mark = f"~{sha256(os.fsencode(name) + b'/' * attempt).hexdigest()[:12]}"
    stem, dot, old = base.rpartition(".")
    stem, old = (stem, dot + old) if stem else (base, "")
    if len(os.fsencode(old)) > 16:  # a dot early in a long name begins no extension
        stem, old = base, ""
    tail = f"{mark}{old}{extension}"
    room = _NAME_BYTES - len(os.fsencode(tail))
    while len(os.fsencode(stem)) > room:
        stem = stem[:-1]
    return f"{folder}{slash}{stem}{tail}"
