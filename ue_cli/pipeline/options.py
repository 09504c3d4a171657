"""What `ue protect` was asked to do."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from ue_cli.errors import UeError
from ue_cli.perturbation.legacy import Units
from ue_cli.perturbation.texture import TextureRecipe
from ue_cli.photos.write import Requested
from ue_cli.pipeline.limits import MAX_PIXELS
from ue_cli.pipeline.packed import Packed
from ue_cli.types import Budget, Making, TuePreset

CELLS = 8

Method = Literal[Making, "published"]
"""``published``: none of ours; the perturbation is read from a file."""


@dataclass(frozen=True, slots=True)
class MethodChoice:
    """A method and the flags that go with it, none of them contradicting another.

    Attributes:
        method, space, cells, gradient, per, preset: as in `ProtectOptions`.
    """

    method: Method = "csd"
    space: Literal["texture", "pixel"] = "texture"
    cells: int = CELLS
    gradient: Literal["paper", "released"] = "paper"
    per: Literal["class", "photo"] = "class"
    preset: TuePreset | None = None


def choose_method(
    method: Making | None = None,
    *,
    space: Literal["texture", "pixel"] | None = None,
    cells: int | None = None,
    gradient: Literal["paper", "released"] | None = None,
    per: Literal["class", "photo"] | None = None,
    preset: TuePreset | None = None,
    perturbation: str | None = None,
    order: str | None = None,
    units: Units | None = None,
    rescale: bool = False,
) -> MethodChoice:
    """Fill in what was not asked for; None stands for a flag that was not given.

    Raises:
        UeError: a flag that the method has no use for.
    """
    if perturbation is not None:
        making = (("method", method), ("space", space), ("cells", cells), ("gradient", gradient))
        for name, asked in (*making, ("per", per), ("preset", preset)):
            if asked is not None:
                raise _clash("--perturbation brings a finished one", f"--{name} {asked}")
        return MethodChoice("published", "pixel")
    for name, given in (("order", order), ("units", units), ("rescale", rescale)):
        if given:
            raise _clash("There is no published perturbation to read", f"--{name}")
    method = method or "csd"
    learned = method != "csd"
    if learned and space == "texture":
        raise _clash(f"--method {method} makes cells", "--space texture")
    if learned and gradient is not None:
        raise _clash(f"--method {method} has no CSD", f"--gradient {gradient}")
    if not learned and per is not None:
        raise _clash("--method csd draws for every photo by itself", f"--per {per}")
    if preset is not None and method != "tue":
        raise _clash(f"--method {method} has no presets", f"--preset {preset}")
    space = space or ("pixel" if learned else "texture")
    if space == "texture" and cells is not None:
        raise _clash("Textures have no cells", f"--cells {cells}")
    if space == "texture" and gradient is not None:
        raise _clash("Textures follow no gradient", f"--gradient {gradient}")
    cells, gradient = cells or CELLS, gradient or "paper"
    if method == "tue":  # a pattern per photo, as published
        return MethodChoice(method, space, cells, gradient, per or "photo", preset or "small")
    return MethodChoice(method, space, cells, gradient, per or "class")


def _clash(what: str, flag: str) -> UeError:
    return UeError(
        "flags-clash",
        f"{what}, but {flag} was given.",
        "Leave that flag out. --cells goes with --space pixel, pue, em and tue, --gradient with "
        "--space pixel, --per with pue, em and tue, --preset with tue, --order, --units and "
        "--rescale with --perturbation.",
    )


@dataclass(frozen=True, slots=True)
class ProtectOptions:
    """The flags of `ue protect`, typed.

    Attributes:
        src: folder of originals; opened read-only.
        out: folder to publish.
        home: folder of the owner's key and state.
        budget: the L∞ ball.
        labels: ``auto``, ``folders``, ``metadata``, ``clusters``, ``single`` or a table's path.
        method: ``csd``, or ``pue``, ``em`` or ``tue``, which train a surrogate, or ``published``.
        perturbation: ``published``: a path, a name or an ``hf://`` address.
        order: of a published array: whose its rows are; see `read_order`.
        units: of a published array: what its values are; None: found from them.
        rescale: multiply a published perturbation to fill the budget.
        space: ``texture`` or ``pixel``: where CSD separates the classes; what is learned is pixel.
        selection: ``csd``, or ``random``: codes as drawn, the baseline that CSD has to beat.
        recipe: texture space: what a class's code may be.
        cells: pixel space: cells per side of a pattern.
        gradient: CSD in pixel space: ``paper`` or ``released``.
        per: pue, em and tue: a pattern per ``class`` or per ``photo``.
        preset: tue: its recipe.
        device: pixel space: ``auto``, ``cpu``, ``cuda`` or ``mps``.
        format: ``keep``, ``png``, ``webp`` or ``jpeg``.
        strip_gps, strip_metadata, opt_out: what happens to the metadata.
        max_pixels: larger images are refused.
        jobs: worker processes.
        overwrite: write finished files anew.
        dry_run: only say what would be done.
        certify: make the certificate, where that is quick.
        home_given: ``home`` was asked for; commands that are shown have to name it.
        packed: the data set whose ``images`` are ``src``: unpacked first, if that is not done.
    """

    src: Path
    out: Path
    home: Path
    budget: Budget = field(default_factory=lambda: Budget(8))
    labels: str = "auto"
    method: Method = "csd"
    perturbation: str | None = None
    order: str | None = None
    units: Units | None = None
    rescale: bool = False
    space: str = "texture"
    selection: str = "csd"
    recipe: TextureRecipe = field(default_factory=TextureRecipe)
    cells: int = CELLS
    gradient: Literal["paper", "released"] = "paper"
    per: Literal["class", "photo"] = "class"
    preset: TuePreset | None = None
    device: str = "auto"
    format: Requested = "keep"
    strip_gps: bool = False
    strip_metadata: bool = False
    opt_out: bool = False
    max_pixels: int = MAX_PIXELS
    jobs: int = 2
    overwrite: bool = False
    dry_run: bool = False
    certify: bool = True
    home_given: bool = False
    packed: Packed | None = None
