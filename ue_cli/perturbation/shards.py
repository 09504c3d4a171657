"""A large bank in several files: shards of bounded size, and an index that vouches for each.

The index is JSON as Hugging Face lays it out (``metadata`` and ``weight_map``). It holds the
bank's description once, and size and SHA-256 of every shard, so that one which is missing, cut
short or of another bank is refused by name. Shards are named after what the bank holds: those of
another one are never written over, so that a bank of that name stays whole until the index of the
next one takes its place.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from safetensors import SafetensorError, safe_open
from safetensors.numpy import save

from ue_cli.errors import UeError
from ue_cli.perturbation.arrayfile import MOST_VALUES, unusable
from ue_cli.perturbation.cards import BANK_SUFFIX

INDEX_SUFFIX = BANK_SUFFIX + ".index.json"
SHARD_BYTES = 256 << 20
SHARD_FORMAT = "ue-bank-shard"

_MOST_INDEX = 1 << 28
_MARK = 8
"""Digits of a bank's digest in the names of its shards."""
_SHA256 = re.compile(r"[0-9a-f]{64}")


def index_of(path: Path) -> Path | None:
    """The index that a path stands for: itself, or the one of a bank that lies there in shards."""
    if path.name.endswith(INDEX_SUFFIX):
        return path
    beside = path.with_name(path.name + ".index.json")
    sharded = path.name.endswith(BANK_SUFFIX) and not path.exists() and beside.is_file()
    return beside if sharded else None


def save_shards(
    delta: NDArray[np.int8], description: Mapping[str, Any], path: Path, most: int
) -> tuple[Path, ...]:
    """Write a bank's values as shards and, last, their index, which alone makes them the bank.

    Args:
        delta: (classes, per_class, 3, h, w).
        description: of the bank, JSON.
        path: the bank's name, ending in ``.safetensors``, under which then no file lies.
        most: bytes of values per shard; a single pattern may need more.

    Returns:
        The index, then the shards.

    Raises:
        OSError: a file cannot be written; no new shard stays behind, an earlier bank stays whole.
    """
    rows = np.ascontiguousarray(delta).reshape(-1, *delta.shape[2:])
    each = max(1, most // rows[0].nbytes)
    parts = range(0, len(rows), each)
    digits = max(5, len(str(len(parts))))
    index = path.with_name(path.stem + INDEX_SUFFIX)
    held = hashlib.sha256(json.dumps(description, sort_keys=True).encode())
    held.update(rows.data)
    mark = held.hexdigest()[:_MARK]
    shards: dict[str, Any] = {}
    fresh: list[Path] = []
    names: dict[str, str] = {}
    try:
        for number, start in enumerate(parts, 1):
            tensor = f"delta.{number:0{digits}}"
            said = {"format": SHARD_FORMAT, "index": index.name}
            payload = save({tensor: rows[start : start + each]}, metadata={"ue": json.dumps(said)})
            place = f"{number:0{digits}}-of-{len(parts):0{digits}}"
            name = f"{path.stem}-{mark}-{place}{BANK_SUFFIX}"
            there = path.with_name(name)
            if not there.exists():
                fresh.append(there)
            write_file(there, payload)
            shards[name] = {"bytes": len(payload), "sha256": hashlib.sha256(payload).hexdigest()}
            names[tensor] = name
        meta = {
            "total_size": rows.nbytes,
            "shape": list(delta.shape),
            "shards": shards,
            "ue": dict(description),
        }
        text = json.dumps({"metadata": meta, "weight_map": names}, allow_nan=False, sort_keys=True)
        write_file(index, text.encode())
    except BaseException:
        for there in fresh:
            there.unlink(missing_ok=True)
        raise
    return (index, *(path.with_name(name) for name in shards))


def load_shards(index: Path) -> tuple[Any, NDArray[np.int8]]:
    """Read a sharded bank.

    Returns:
        Its description, which is for the caller to check, and (classes, per_class, 3, h, w).

    Raises:
        UeError: with exit code 4: the index is damaged, or a shard is missing, left over, cut
            short or another one than the index vouches for.
    """
    meta, names = _index(index)
    shape, shards = tuple(meta["shape"]), meta["shards"]
    _check_strays(index, shards)
    delta = np.empty((shape[0] * shape[1], *shape[2:]), np.int8)
    at = 0
    for tensor, name in sorted(names.items()):
        rows = _shard(index, tensor, name, shards[name])
        if rows.shape[1:] != delta.shape[1:] or at + len(rows) > len(delta):
            raise unusable(index, f"its shard {name} has patterns of another shape or number")
        delta[at : at + len(rows)] = rows
        at += len(rows)
    if at != len(delta):
        raise unusable(index, f"its shards hold {at:,} patterns instead of {len(delta):,}")
    return meta["ue"], delta.reshape(shape)


def shard_files(path: Path) -> tuple[Path, ...]:
    """The files of the bank in shards that is known by this name; none where there is no such."""
    name = path.name.removesuffix(INDEX_SUFFIX).removesuffix(BANK_SUFFIX)
    index = path.with_name(name + INDEX_SUFFIX)
    try:
        names = _index(index)[1].values()
    except UeError:
        return ()
    return (index, *(index.with_name(name) for name in names))


def write_file(path: Path, payload: bytes) -> None:
    """Write a file whole or not at all.

    Raises:
        OSError: it cannot be written; nothing was changed.
    """
    handle, temporary = tempfile.mkstemp(dir=path.parent, prefix=".ue-", suffix=".tmp")
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(payload)
            file.flush()
            os.fsync(file.fileno())
        Path(temporary).replace(path)
    except BaseException:
        Path(temporary).unlink(missing_ok=True)
        raise


def no_constant(text: str) -> float:
    """For `json.loads`: NaN and infinity are no JSON."""
    raise ValueError(f"{text} is not a finite number")


def _index(path: Path) -> tuple[dict[str, Any], dict[str, str]]:
    """The index's metadata and weight map, every type in them checked."""
    try:
        if path.stat().st_size > _MOST_INDEX:
            raise ValueError
        found = json.loads(path.read_bytes(), parse_constant=no_constant)
        meta, names = found["metadata"], found["weight_map"]
        shape = meta["shape"]
        sound = (
            len(shape) == 5
            and all(type(n) is int and n > 0 for n in shape)
            and all(_own(path).fullmatch(name) for name in names.values())
            and set(names.values()) == set(meta["shards"])
            and all(
                type(one["bytes"]) is int and _SHA256.fullmatch(one["sha256"])
                for one in meta["shards"].values()
            )
            and "ue" in meta
        )
    except FileNotFoundError:
        raise unusable(path, "there is no such file") from None
    except OSError as error:
        raise unusable(path, f"it cannot be read ({error.strerror or error})") from None
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
        sound = False
    if not sound:
        raise unusable(path, "it is no whole index of a bank in several files")
    if np.prod(shape, dtype=object) > MOST_VALUES:
        raise unusable(path, f"its shape {shape} has more than {MOST_VALUES:,} values")
    return meta, names


def _own(index: Path) -> re.Pattern[str]:
    """What `save_shards` calls a bank's shards; other files are not an index's to read or drop."""
    stem = re.escape(index.name.removesuffix(INDEX_SUFFIX))
    return re.compile(rf"{stem}-([0-9a-f]{{{_MARK}}})-\d{{5,}}-of-\d{{5,}}\.safetensors")


def _check_strays(index: Path, shards: Mapping[str, Any]) -> None:
    """Refuse files that look like this bank's shards and are not in its index."""
    like = _own(index)
    marks = {found[1] for name in shards if (found := like.fullmatch(name))}
    beside = [found for one in index.parent.iterdir() if (found := like.fullmatch(one.name))]
    if strays := sorted({one[0] for one in beside if one[1] in marks} - set(shards)):
        raise unusable(
            index,
            f"beside it lies {strays[0]}, which is none of its {len(shards)} shards",
            "Take it away, or get the index that belongs to it.",
        )


def _shard(index: Path, tensor: str, name: str, said: Mapping[str, Any]) -> NDArray[np.int8]:
    """One shard's patterns, (k, 3, h, w), its bytes held against the index."""
    path = index.with_name(name)
    try:
        size = path.stat().st_size
        if size != said["bytes"]:
            raise unusable(
                index,
                f"its shard {name} has {size:,} bytes, not {said['bytes']:,}; it is not whole",
            )
        with path.open("rb") as file:
            digest = hashlib.file_digest(file, "sha256").hexdigest()
        if digest != said["sha256"]:
            raise unusable(index, f"its shard {name} is another file than the one it was made with")
        with safe_open(path, framework="numpy") as opened:
            rows = np.asarray(opened.get_tensor(tensor))
    except FileNotFoundError:
        raise unusable(index, f"its shard {name} is not there") from None
    except (OSError, SafetensorError) as error:
        raise unusable(index, f"its shard {name} cannot be read ({error})") from None
    if rows.dtype != np.int8:
        raise unusable(index, f"its shard {name} holds {rows.dtype} and not int8 levels")
    return rows
