"""The method's effect on benchmark files, as ``scripts`` measured it, for the report."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from importlib import resources
from typing import Any

from ue_cli.pipeline.protection.options import CELLS, ProtectOptions
from ue_cli.report import Table
from ue_cli.types import STANDARD, STRONG

_FILES = {
    "tiny-png": "64-pixel PNG, random resized crops",
    "tiny-jpeg": "1,024-pixel JPEG, protected JPEG to JPEG, resized and cropped by the trainer",
    "cifar-png": "32-pixel PNG, flips and small shifts",
    "cifar-jpeg": "32-pixel JPEG, protected JPEG to JPEG",
    "flowers-png": "photos of flowers as PNG, read at 96 pixels (five classes, 44 epochs)",
    "flowers-jpeg": "the same JPEG to JPEG",
}
_ARMS = {"clean": "Unprotected", "random": "Random textures", "csd": "This method"}

Cell = Mapping[str, Sequence[float]]


def effect_table(options: ProtectOptions) -> Table | None:
    """Victim accuracies under the default recipe; None where these flags were not measured."""
    if options.method in ("published", "tue"):
        return None
    if options.method != "csd":
        return _learned(options)
    default = options.space == "texture" and options.selection == "csd"
    default = default and options.look == STANDARD
    if not default or options.format != "keep" or options.budget.levels != 8:
        return None
    measured: dict[str, dict[str, Cell]] = _read("effect.json")
    rows = tuple(
        (words, *(_cell(measured[name].get(arm)) for arm in _ARMS))
        for name, words in _FILES.items()
        if name in measured
    )
    return Table(
        caption="Accuracy on clean test images of a small ResNet trained for 30 epochs on other "
        "people's files (most of ten classes): last epoch, in brackets its best epoch, which is "
        "what a trainer who stops early on clean validation images gets.",
        columns=("Files", *_ARMS.values()),
        rows=rows,
        note="Mean over seeds; each seed is another key and another training. These are benchmark "
        "files, not yours.",
    )


def _learned(options: ProtectOptions) -> Table | None:
    """PUE's and EM's accuracies, as ``reproduce.py`` and ``effect.py`` measured them."""
    default = options.cells == CELLS and options.per == "class" and options.look == STRONG
    if not default or options.format != "keep" or options.budget.levels != 8:
        return None
    arms = ("clean", "random", "csd", options.method)
    small: dict[str, Cell] = _read("pue.json")
    rows = [("32-pixel images, flips and small shifts", *(_cell(small.get(arm)) for arm in arms))]
    for name, found in _read("effect.json").items():
        if name in _FILES and options.method in found:
            # Random textures are no control for cells.
            cells = {arm: found.get(arm) for arm in arms if arm != "random"}
            rows.append((_FILES[name], *(_cell(cells.get(arm)) for arm in arms)))
    return Table(
        caption="Accuracy on clean test images of small ResNets trained on 5,000 of other people's "
        "files (ten classes): last epoch, and in brackets the best epoch, which is what a trainer "
        "who stops early on clean validation images gets.",
        columns=("Files", "Unprotected", "Random cells", "The default, textures", "This method"),
        rows=tuple(rows),
        note="Mean over seeds; each seed is another surrogate or key, and another training. The "
        "first row's victims train for 14 epochs, the others for 30. These are benchmark files, "
        "not yours.",
    )


def _read(name: str) -> Any:
    return json.loads(resources.files("ue_cli.pipeline.protection").joinpath(name).read_text())


def _cell(cell: Cell | None) -> str:
    if cell is None:
        return "not measured"
    last, best = (100 * sum(cell[name]) / len(cell[name]) for name in ("last", "best"))
    seeds = len(cell["last"])
    return f"{last:.1f} % ({best:.1f} %), {seeds} seed{'s' if seeds > 1 else ''}"
