"""The perturbation that an adversary has, laid out on every training file as ue lays it out."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ue_cli.banks.apply import gray_target
from ue_cli.banks.bank import load_bank
from ue_cli.banks.hub import resolve
from ue_cli.banks.layout import CellField
from ue_cli.banks.legacy import SUFFIXES
from ue_cli.banks.transfer import transfer_bank
from ue_cli.errors import ExitCode, UeError
from ue_cli.evaluation.options import EvaluateOptions
from ue_cli.images.square import Frame, shrink_axis
from ue_cli.owner.collection_info import collection_folder, find_collection
from ue_cli.owner.manifest import MANIFEST_FILE, read_manifest
from ue_cli.protection.prepare import BANK_FILE
from ue_cli.protection.published import PUBLIC, load_perturbation
from ue_cli.types import Bank, FloatArray


@dataclass(frozen=True, slots=True)
class PublicFile:
    """A bank that was given, and what the report calls it.

    Attributes:
        bank: with the classes that it was published for, or that its files have.
        title: for the report.
        transfers: it was published, so that whoever has it knows which entry `ue protect` gives to
            classes of other names.
    """

    bank: Bank
    title: str
    transfers: bool = False


def read_public(options: EvaluateOptions) -> PublicFile | None:
    """Read the adversary's bank, which may be given in any form that `ue protect` takes.

    Where the owner's state says that the files carry this very perturbation, it is read as they
    carry it: classes that joined later may have got other entries than they would get today.

    Raises:
        UeError: see `hub.resolve` and `load_perturbation`.
    """
    if options.bank is None:
        for flag, value in (("--order", options.order), ("--units", options.units)):
            if value is not None:
                raise UeError(
                    "flags-clash",
                    f"There is no published array to read, but {flag} {value} was given.",
                    "Leave it out, or give the array with --bank FILE.",
                )
        return None
    file = resolve(options.bank)
    public = load_perturbation(file, None, order=options.order, units=options.units)
    bank, name, sha256 = public.bank, public.name, public.sha256
    path = collection_bank(options.dataset, options.home)
    carried = None if path is None else load_bank(Path(path))
    if carried is not None and carried.provenance.recipe["sha256"] == sha256:
        bank = carried
    provenance = bank.provenance
    if provenance.recipe.get(PUBLIC) is True:
        name, sha256 = provenance.recipe["file"], provenance.recipe["sha256"]
        return PublicFile(bank, f"{name} as these files carry it, SHA-256 {sha256[:12]}…")
    array = file.path.suffix.lower() in SUFFIXES
    method, space = provenance.method, provenance.space
    how = method if method == "published" else f"{method} in {space}s"
    return PublicFile(
        bank,
        f"{name}, {how}, SHA-256 {sha256[:12]}…",
        transfers=array or file.source != "path" or file.card is not None,
    )


def collection_bank(dataset: Path, home: Path) -> str | None:
    """What a folder was protected with, where everyone may have that: a copy in the owner's state.

    Raises:
        UeError: the folder's manifest or the state is damaged.
    """
    if not (dataset / MANIFEST_FILE).is_file():
        return None
    fingerprint = read_manifest(dataset).collection
    info = find_collection(home, fingerprint)
    if info is None or info.recipe.get(PUBLIC) is not True:
        return None
    return str(collection_folder(home, fingerprint) / BANK_FILE)


def for_classes(public: PublicFile, classes: Sequence[str]) -> PublicFile:
    """Its entries for these classes, in their order.

    Raises:
        UeError: ``bank-classes``: it has none for some of them, and was not published either.
    """
    bank = public.bank
    absent = [name for name in classes if name not in bank.classes]
    if absent and public.transfers:
        title = f"{public.title}, given to these classes as ue protect would"
        return PublicFile(transfer_bank(bank, classes), title)
    if absent:
        raise UeError(
            "bank-classes",
            f"--bank should have an entry for each class of the files, but has none for "
            f"{_some(absent)}; it has {_some(bank.classes)}.",
            "Give the perturbation that these files carry, or name the folders as its classes.",
            exit_code=ExitCode.PERTURBATION_UNAVAILABLE,
        )
    chosen = [bank.classes.index(name) for name in classes]
    bank = Bank(bank.delta[chosen], tuple(classes), bank.budget, bank.provenance)
    return PublicFile(bank, public.title)


def lay_out(bank: Bank, frames: Sequence[Frame], side: int) -> Mapping[str, NDArray[Any]]:
    """What turns cells into δ on the squares of these files.

    Args:
        bank: an entry per class.
        frames: of the files.
        side: of the squares.

    Returns:
        The fields of `ue_cli.training.publicbank.PublicBank` by name.
    """
    kinds = sorted(set(frames), key=lambda f: (f.height, f.width, f.gray))
    number = {frame: index for index, frame in enumerate(kinds)}
    levels = np.float32(bank.budget.levels)
    cells = bank.delta.astype(np.float32)
    # Cells are flat, so what is done to a pixel's three values can be done to a cell's.
    grays = levels * gray_target(np.moveaxis(cells / levels, 2, -1))[:, :, None]
    rows, columns = cells.shape[3:]
    shorter = [min(frame.height, frame.width) for frame in kinds]
    down = [_axis(f.height, rows, side, s) for f, s in zip(kinds, shorter, strict=True)]
    across = [_axis(f.width, columns, side, s) for f, s in zip(kinds, shorter, strict=True)]
    return {
        "cells": np.stack([cells, np.broadcast_to(grays, cells.shape)]),
        "frame": np.array([number[frame] for frame in frames], np.int64),
        "gray": np.array([frame.gray for frame in kinds], np.int64),
        "down": np.stack(down),
        "across": np.stack(across),
    }


def _axis(length: int, cells: int, side: int, shorter: int) -> FloatArray:
    """How much of each cell is in each pixel of the square, (side, cells)."""
    each = np.repeat(np.eye(cells, dtype=np.float32)[:, :, None], 3, axis=2)
    field = CellField(each, height=cells, width=length)
    centres = (np.arange(n, dtype=np.float32) + np.float32(0.5) for n in (cells, length))
    shares = np.ascontiguousarray(field.sample(*centres)[:, :, 0])
    return np.ascontiguousarray(shrink_axis(shares, side, shorter).T)


def _some(names: Sequence[str]) -> str:
    return ", ".join(names[:5]) + (f" and {len(names) - 5} more" if len(names) > 5 else "")
