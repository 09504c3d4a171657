"""Banks on disk: a safetensors file, refused with a sentence where it is none.

The tensor ``delta`` holds int8 levels; the metadata entry ``ue`` holds everything else as one JSON
string (safetensors metadata maps strings to strings). No clock and no path goes into the file, so
the same bank always gives the same bytes.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
from safetensors import SafetensorError, safe_open
from safetensors.numpy import save

from ue_cli.banks.arrayfile import unusable
from ue_cli.errors import ExitCode, UeError
from ue_cli.storage import write_whole
from ue_cli.types import Bank, Budget, Provenance
from ue_cli.types.perturbation import UNFIT

FORMAT = "ue-bank"
FORMAT_VERSION = 1
"""Raised by every change that an older reader would misread."""


def save_bank(bank: Bank, path: Path) -> None:
    """Write a bank, whole or not at all.

    Args:
        bank: what is written.
        path: ends in ``.safetensors``.

    Raises:
        UeError: the provenance is not JSON (NaN and infinity are not).
        OSError: the file cannot be written.
    """
    meta = {
        "format": FORMAT,
        "version": FORMAT_VERSION,
        "levels": bank.budget.levels,
        "classes": list(bank.classes),
        "method": bank.provenance.method,
        "space": bank.provenance.space,
        "recipe": dict(bank.provenance.recipe),
        "created_by": bank.provenance.created_by,
    }
    try:
        text = json.dumps(meta, allow_nan=False, sort_keys=True)
    except (TypeError, ValueError) as error:
        raise UeError(
            "bank-recipe",
            f"The recipe of this perturbation cannot be written as JSON: {error}.",
            "Keep to finite numbers, strings, lists and maps.",
            exit_code=ExitCode.PERTURBATION_UNAVAILABLE,
        ) from error
    payload = save({"delta": np.ascontiguousarray(bank.delta)}, metadata={"ue": text})
    write_whole(path, [payload])


def load_bank(path: Path) -> Bank:
    """Read a bank and check all that it says about itself.

    Raises:
        UeError: with exit code 4, saying what was expected and what the file holds.
    """
    try:
        with safe_open(path, framework="numpy") as file:
            meta = _metadata(path, file.metadata())
            if list(file.keys()) != ["delta"]:
                raise unusable(path, "it does not hold exactly one tensor named delta")
            delta = np.array(file.get_tensor("delta"))
    except FileNotFoundError:
        raise unusable(path, "there is no such file") from None
    except (OSError, SafetensorError) as error:
        # A directory, a truncated download, a pickle or a web page under this name.
        raise unusable(path, f"it is not a whole safetensors file ({error})") from error
    try:
        return Bank(
            delta,
            tuple(meta["classes"]),
            Budget(meta["levels"]),
            Provenance(meta["method"], meta["space"], meta["recipe"], meta["created_by"]),
        )
    except UeError as error:
        why = error.message.removeprefix(UNFIT).removesuffix(".")
        raise unusable(path, why) from error


def no_constant(text: str) -> float:
    """For `json.loads`: NaN and infinity are no JSON."""
    raise ValueError(f"{text} is not a finite number")


FIELDS = {
    "levels": int,
    "classes": list,
    "method": str,
    "space": str,
    "recipe": dict,
    "created_by": str,
}


def _metadata(path: Path, raw: dict[str, str] | None) -> dict[str, Any]:
    """The JSON metadata of a file, its version and the type of each of its fields checked."""
    try:
        meta = json.loads((raw or {})["ue"], parse_constant=no_constant)
    except (KeyError, ValueError, RecursionError):
        raise unusable(path, "it carries no readable description of a perturbation") from None
    if not isinstance(meta, dict) or meta.get("format") != FORMAT:
        raise unusable(path, "it is a safetensors file of something else")
    if meta.get("version") != FORMAT_VERSION:
        raise unusable(
            path,
            f"its format has version {meta.get('version')!r} and this program reads "
            f"version {FORMAT_VERSION}",
            f"Update ue, or ask for the file in version {FORMAT_VERSION}.",
        )
    for name, kind in FIELDS.items():
        if type(meta.get(name)) is not kind:
            raise unusable(path, f"its field {name!r} is missing or not a {kind.__name__}")
    if not all(isinstance(name, str) for name in meta["classes"]):
        raise unusable(path, "its class names are not all strings")
    return meta
