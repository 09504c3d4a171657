"""Finished trainings, and what was done to them, on disk: each whole or not at all."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import save
from torch import Tensor

from ue_cli import __version__
from ue_cli.countermeasures.registry import identity
from ue_cli.storage import explain_write, write_whole
from ue_cli.training.ssl_recipes import SslRecipe
from ue_cli.training.victims import READOUTS
from ue_cli.trials.data import Trial

TRAINING_VERSION = 1
"""Of what a training does with a recipe and a seed; a new one makes every cached trial anew."""

_NUMBERS = ("tests", "fitted", "trained", "classes")


def trial_key(
    trial: Trial, data_sha256: str, device: str, knowledge_sha256: Mapping[str, str] | None = None
) -> str:
    """SHA-256, hex, of everything that decides a training.

    Args:
        trial: canonical.
        data_sha256: of what its arm sees.
        device: that trains.
        knowledge_sha256: of what its countermeasure needs beside that, by need.
    """
    parts: dict[str, Any] = {
        "data": data_sha256,
        "trial": asdict(trial),
        "device": device,
        "training": TRAINING_VERSION,
    }
    if isinstance(trial.recipe, SslRecipe):
        parts["readouts"] = READOUTS
    elif not trial.recipe.backbone:  # as it was before there were any: trainings keep their keys
        del parts["trial"]["recipe"]["backbone"]
    if trial.countermeasure is not None:
        parts["countermeasure"] = identity(trial.countermeasure)
        parts["known"] = dict(knowledge_sha256 or {})
    return entry_key(parts)


def entry_key(parts: Mapping[str, Any]) -> str:
    """SHA-256, hex, of whatever decides an entry, and of the code that made it.

    Args:
        parts: as JSON.
    """
    made_by = {"ue": __version__, "torch": torch.__version__}
    return hashlib.sha256(_dump({**parts, **made_by})).hexdigest()


def store(
    cache: Path, key: str, trial: Trial, numbers: Mapping[str, Any], state: Mapping[str, Tensor]
) -> None:
    """Keep a finished training. The JSON comes last: without it the weights count for nothing.

    Args:
        cache: the folder; exists.
        key: of `trial_key`.
        trial: for whoever reads the JSON.
        numbers: ``correct`` (integers), ``tests``, ``fitted``, ``trained``, ``classes``,
            ``seconds``; of an encoder ``encoding``, as `Encoding` has it.
        state: the network's weights and buffers.

    Raises:
        UeError: ``disk-full`` or ``write-failed``.
    """
    weights = save({name: value.contiguous() for name, value in state.items()})
    with explain_write(cache):
        write_whole(weights_path(cache, key), [weights])
    digest = hashlib.sha256(weights).hexdigest()
    keep(cache, key, {"trial": asdict(trial), **numbers, "weights_sha256": digest})


def keep(cache: Path, key: str, body: Mapping[str, Any]) -> None:
    """Write one entry, with what tells whether it is whole.

    Args:
        cache: the folder; exists.
        key: of `entry_key`.
        body: JSON, without ``key`` and ``check``.

    Raises:
        UeError: ``disk-full`` or ``write-failed``.
    """
    entry = {"key": key, **body}
    entry["check"] = hashlib.sha256(_dump(entry)).hexdigest()
    with explain_write(cache):
        write_whole(cache / f"{key}.json", [_dump(entry), b"\n"])


def read_entry(cache: Path, key: str) -> dict[str, Any] | None:
    """What `keep` wrote under that key; None where there is none, or it is damaged."""
    try:
        body = json.loads((cache / f"{key}.json").read_bytes())
        check = body.pop("check")
        if check != hashlib.sha256(_dump(body)).hexdigest() or body["key"] != key:
            return None
    except (OSError, ValueError, KeyError, TypeError, AttributeError, RecursionError):
        return None
    entry: dict[str, Any] = body
    return entry


def fetch(cache: Path, key: str) -> dict[str, Any] | None:
    """A finished training's numbers; None where there is none, or anything about it is wrong."""
    body = read_entry(cache, key)
    if body is None:
        return None
    try:
        counts = [*body["correct"], *(body[name] for name in _NUMBERS)]
        if not body["correct"] or not all(type(n) is int for n in counts):
            return None
        weights = weights_path(cache, key).read_bytes()
        if hashlib.sha256(weights).hexdigest() != body["weights_sha256"]:
            return None
    except (OSError, KeyError, TypeError):
        return None
    return body


def weights_path(cache: Path, key: str) -> Path:
    """Where a trial's weights lie."""
    return cache / f"{key}.safetensors"


def _dump(value: Any) -> bytes:
    return json.dumps(value, sort_keys=True, separators=(",", ":")).encode("ascii")
