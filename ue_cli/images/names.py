"""What the output files are called: distinct names, on any file system, that never move."""

from __future__ import annotations

import os
import unicodedata
from collections.abc import Container, Iterable, Mapping, Sequence
from dataclasses import dataclass
from hashlib import sha256

from ue_cli.owner.manifest import MANIFEST_FILE, path_problem

_NAME_BYTES = 255


@dataclass(frozen=True, slots=True)
class Naming:
    """What an output can be called before its type is known.

    Attributes:
        base: its name if the file keeps its type.
        crowded: another file or folder may be called ``base`` plus an extension.
        previous: its name in an earlier run, which it keeps if it still fits its type.
    """

    base: str
    crowded: bool
    previous: str | None = None

    def final(self, extension: str) -> str:
        """The output's name, now that the extension of a changed type is known (else empty)."""
        if self.previous is not None:
            if _suffix(self.previous) == (extension or _suffix(self.base)):
                return self.previous
        if not extension:
            return self.base
        claimed = {"": self.base + extension} if self.crowded else None
        return output_names([(self.base, extension)], claimed)[0]


def plan_names(names: Sequence[str], recorded: Mapping[str, str]) -> list[Naming]:
    """Name the outputs of a collection's inputs.

    Args:
        names: of the inputs.
        recorded: input -> output of earlier runs, files that are gone included: no file that
            joins later takes over the name of another one's output.
    """
    assigned = {name: out for name, out in recorded.items() if _suffix(name) == _suffix(out)}
    # Outputs of another type than their input reserve that name, under no input's.
    reserved = {f"\0{name}": out for name, out in recorded.items() if name not in assigned}
    bases = output_names([(name, "") for name in names], assigned | reserved)
    places = {*bases, *recorded.values()}
    stems = {_key(place.rpartition(".")[0]) for place in places}
    stems |= {folder.rpartition(".")[0] for folder in _parents(places)}
    return [
        Naming(base, _key(base) in stems, recorded.get(name))
        for name, base in zip(names, bases, strict=True)
    ]


def output_names(
    items: Sequence[tuple[str, str]], assigned: Mapping[str, str] | None = None
) -> list[str]:
    r"""A name in OUT for every input, distinct on any file system.

    A file that keeps its type keeps its name. One that changes gets the new extension *after* the
    old one (``a.heic`` → ``a.heic.png``), so that no file that joins later, ``a.png`` included,
    can claim it. Names that differ only in case or in Unicode composition would be one file on
    macOS and Windows: the first in order keeps the name, the others get a mark made of their own.
    A name that would leave OUT on Windows (``..\x``) has its separators replaced.

    Args:
        items: (name, extension of the output, empty where the name stays).
        assigned: what earlier runs chose, name → output: kept, so that joining moves nothing.

    Returns:
        POSIX paths below OUT, in the order of ``items``, that a manifest can hold.
    """
    chosen = dict(assigned or {})
    portable = {name: _portable(name) for name, _ in items}
    taken = {_key(out) for out in chosen.values()} | {_key(MANIFEST_FILE)}
    parents = _parents([*portable.values(), *chosen.values()])

    def first(item: tuple[str, str]) -> tuple[bool, bool, str]:
        # Files that need no change choose first, whatever sorts before them.
        return item[1] != "", portable[item[0]] != item[0], item[0]

    for name, extension in sorted(set(items), key=first):
        if name in chosen:
            continue
        candidate, attempt = _fit(portable[name], extension, name), 0
        while _key(candidate) in taken or _key(candidate) in parents:
            attempt += 1
            candidate = _fit(portable[name], extension, name, attempt)
        taken.add(_key(candidate))
        chosen[name] = candidate
    return [chosen[name] for name, _ in items]


def source_name(output: str, sources: Container[str]) -> str:
    """The original's name: the same, or without the extension that a change of type appended.

    For those who have OUT and the originals, and not the owner's state.
    """
    stem = output.rpartition(".")[0]
    return stem if output not in sources and stem in sources else output


def _suffix(name: str) -> str:
    stem, dot, suffix = name.rpartition("/")[2].rpartition(".")
    return dot + suffix.casefold() if stem else ""


def _portable(name: str) -> str:
    """The name, or one close to it where another system would read it as a way out of OUT."""
    if not path_problem(name):
        return name
    plain = name.replace("\\", "_")
    return f"{plain[0]}_{plain[2:]}" if plain[1:2] == ":" else plain


def _key(name: str) -> str:
    return unicodedata.normalize("NFC", unicodedata.normalize("NFC", name).casefold())


def _parents(names: Iterable[str]) -> set[str]:
    folders = {name.rpartition("/")[0] for name in names}
    return {
        _key("/".join(parts[:depth]))
        for parts in (folder.split("/") for folder in folders if folder)
        for depth in range(1, len(parts) + 1)
    }


def _fit(name: str, extension: str, marked: str, attempt: int = 0) -> str:
    """``name`` with an extension; with a mark, from ``marked``, if too long or not the first."""
    folder, slash, base = name.rpartition("/")
    if not attempt and len(os.fsencode(base + extension)) <= _NAME_BYTES:
        return f"{folder}{slash}{base}{extension}"
    mark = f"~{sha256(os.fsencode(marked) + b'/' * attempt).hexdigest()[:12]}"
    stem, dot, old = base.rpartition(".")
    stem, old = (stem, dot + old) if stem else (base, "")
    if len(os.fsencode(old)) > 16:  # a dot early in a long name begins no extension
        stem, old = base, ""
    tail = f"{mark}{old}{extension}"
    room = _NAME_BYTES - len(os.fsencode(tail))
    while len(os.fsencode(stem)) > room:
        stem = stem[:-1]
    return f"{folder}{slash}{stem}{tail}"
