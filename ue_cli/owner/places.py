"""Where SRC and OUT may lie."""

from __future__ import annotations

import errno
import os
from pathlib import Path

from ue_cli.errors import ExitCode, UeError

MANIFEST = "ue-manifest.jsonl"
LITTER = {"thumbs.db", "ehthumbs.db", "desktop.ini", "__macosx", "$recycle.bin"}


def within(path: str, folder: str) -> bool:
    """Whether a resolved path is a resolved folder or lies below it."""
    return path == folder or path.startswith(folder.rstrip(os.sep) + os.sep)


def check_source(src: Path, name: str = "SRC") -> None:
    """Refuse a SRC that is no readable folder; ``name`` is what the command calls it.

    Raises:
        UeError: ``src-missing``, ``src-not-folder``, ``src-unreadable``.
    """
    if not os.path.lexists(src):
        raise UeError(
            "src-missing",
            f"{name} should be a folder of images, but {src} does not exist.",
            "Check the spelling of the path.",
        )
    if not src.is_dir():
        raise UeError(
            "src-not-folder",
            f"{name} should be a folder of images, but {src} is {_kind(src)}.",
            "Put the image into a folder and give the folder.",
        )
    try:
        with os.scandir(src):
            pass
    except OSError as error:
        raise UeError(
            "src-unreadable",
            f"{name} should be a readable folder, but {src} cannot be opened ({error.strerror}).",
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


def check_private(src: Path, out: Path, report: Path, home: Path) -> None:
    """Refuse a report or an app directory that would end up in what is published, or in SRC.

    Raises:
        UeError: ``home-inside-out``, ``report-in-src``, ``report-not-ours``.
    """
    if within(os.path.realpath(home), os.path.realpath(out)):
        raise UeError(
            "home-inside-out",
            f"The owner's key should lie outside OUT, but {home} is inside {out}.",
            "Publishing OUT would publish the key; give another --home or -o.",
        )
    if within(os.path.realpath(report), os.path.realpath(src)):
        raise UeError(
            "report-in-src",
            f"The report on {out} goes to {report}, but that is inside SRC.",
            "Give another -o; originals are never written to.",
        )
    if not os.path.lexists(report):
        return
    if not report.is_dir():
        raise UeError(
            "report-not-ours",
            f"The report on {out} goes to {report}, but that is {_kind(report)}.",
            "Give another -o, or move it away.",
        )
    with os.scandir(report) as entries:
        foreign = next((e.name for e in entries if not _of_report(e.name)), None)
    if foreign is not None:
        raise UeError(
            "report-not-ours",
            f"The report on {out} goes to {report}, but that holds something else: {foreign}.",
            "Give another -o, or move it away.",
        )


def _of_report(name: str) -> bool:
    ours = ("report.", "pictures.", "certificate.", "evaluation.", "trainings", "DS_Store")
    return name.lstrip(".").startswith(ours) or name.lower() in LITTER


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
