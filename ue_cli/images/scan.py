"""What lies in SRC: a walk that opens nothing and never leaves it."""

from __future__ import annotations

import os
import stat
from dataclasses import dataclass
from pathlib import Path

from ue_cli.owner.places import LITTER, MANIFEST, check_source, within
from ue_cli.types import Photo, Skipped

SIDECARS = ("metadata.jsonl", "metadata.csv", "labels.csv")
SPLITS = ("train", "val", "test", "valid", "validation")


@dataclass(frozen=True, slots=True)
class Scan:
    """What a walk found; only decoding tells which files are images.

    Attributes:
        root: SRC, absolute, links resolved.
        files: candidates without labels, sorted by name.
        skipped: what can never be one, and why, sorted by name.
        sidecars: names of label files at the top of SRC and of its train, val and test folders.
    """

    root: Path
    files: tuple[Photo, ...]
    skipped: tuple[Skipped, ...]
    sidecars: tuple[str, ...]


def scan(root: Path) -> Scan:
    """Walk a folder, never out of it, opening nothing.

    A link to a file is a file of its own; a link to a folder is followed, but no further links to
    folders below it, so that the walk ends. Hidden entries and the litter of operating systems
    are passed over in silence.

    Raises:
        UeError: ``src-missing``, ``src-not-folder``, ``src-unreadable``.
    """
    check_source(root)
    walk = _Walk(os.path.realpath(root))
    walk.enter(walk.root, "", linked=False)
    return Scan(
        Path(walk.root),
        tuple(sorted(walk.files, key=lambda photo: photo.name)),
        tuple(sorted(walk.skipped, key=lambda entry: entry.name)),
        tuple(sorted(walk.sidecars)),
    )


class _Walk:
    """One pass over the tree, with an explicit stack: depth is the user's, not Python's."""

    def __init__(self, root: str) -> None:
        self.root = root
        self.files: list[Photo] = []
        self.skipped: list[Skipped] = []
        self.sidecars: list[str] = []

    def enter(self, path: str, name: str, *, linked: bool) -> None:
        stack = [(path, name, linked)]
        while stack:
            folder, prefix, below_link = stack.pop()
            try:
                with os.scandir(folder) as entries:
                    listing = list(entries)
            except OSError as error:
                self.skip(prefix, "unreadable-folder", _cannot("opened", error))
                continue
            for entry in listing:
                child = f"{prefix}/{entry.name}" if prefix else entry.name
                if entry.name.startswith(".") or entry.name.lower() in LITTER:
                    continue
                if self.is_ours(prefix, entry.name, child):
                    continue
                try:
                    onward = self.visit(entry, child, below_link)
                except OSError as error:
                    self.skip(child, "unreadable-file", _cannot("read", error))
                    continue
                if onward:
                    stack.append((entry.path, child, below_link or entry.is_symlink()))

    def is_ours(self, prefix: str, name: str, child: str) -> bool:
        """Whether a name is a label file's or the manifest's, which are no images."""
        if not prefix and name == MANIFEST:
            return True
        if name in SIDECARS and (not prefix or prefix in SPLITS):
            self.sidecars.append(child)
            return True
        return False

    def visit(self, entry: os.DirEntry[str], child: str, below_link: bool) -> bool:
        """Note one entry; True if it is a folder to enter."""
        if entry.is_symlink():
            target = os.path.realpath(entry.path)
            if not within(target, self.root):
                self.skip(child, "link-outside", "The link leads out of the source folder.")
                return False
            if not os.path.lexists(target) or Path(target).is_symlink():
                self.skip(child, "broken-link", "The link leads nowhere.")
                return False
            if entry.is_dir():
                if below_link or within(os.path.realpath(Path(entry.path).parent), target):
                    self.skip(child, "link-loop", "The link would be followed in circles.")
                    return False
                return True
        elif entry.is_dir(follow_symlinks=False):
            return True
        status = entry.stat()
        if not stat.S_ISREG(status.st_mode):
            self.skip(child, "special-file", "This is a pipe, a socket or a device, not a file.")
        elif status.st_size == 0:
            self.skip(child, "empty", "The file is empty (0 bytes).")
        else:
            self.files.append(Photo(Path(entry.path), child))
        return False

    def skip(self, name: str, code: str, reason: str) -> None:
        self.skipped.append(Skipped(name or ".", code, reason))


def _cannot(verb: str, error: OSError) -> str:
    return f"It cannot be {verb}: {error.strerror or error}."
