"""What `ue protect` was asked to do."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from ue_cli.errors import UeError
from ue_cli.perturbation.legacy import Units
from ue_cli.perturbation.texture import TextureRecipe
from ue_cli.photos.write import Requested
from ue_cli.pipeline.datasets.packed import Packed
from ue_cli.pipeline.limits import MAX_PIXELS
from ue_cli.training.ssl_recipes import SslName
from ue_cli.types import STANDARD, Budget, Look, Making, TuePreset

CELLS = 8

COLLECTION = "photos"
"""Name of a collection that was given none."""

Method = Literal[Making, "published"]
"""``published``: none of ours; the perturbation is read from a file."""


@dataclass(frozen=True, slots=True, kw_only=True)
class MethodChoice:
    """A method and the flags that go with it, none of them contradicting another.

    Attributes:
        method: ``csd``, or ``pue``, ``em`` or ``tue``, which train a surrogate, or ``published``.
        space: ``texture`` or ``pixel``: where CSD separates the classes; what is learned is pixel.
        cells: pixel space: cells per side of a pattern.
        gradient: CSD in pixel space, and tue: ``paper`` or ``released``.
        per: pue, em and tue: a pattern per ``class`` or per ``photo``.
        preset: tue: its recipe.
        surrogate: tue: the learner.
        contrastive_weight: tue: w of eq. 5.
        csd_weight: tue: λ.
    """

    method: Method = "csd"
    space: Literal["texture", "pixel"] = "texture"
    cells: int = CELLS
    gradient: Literal["paper", "released"] = "paper"
    per: Literal["class", "photo"] = "class"
    preset: TuePreset | None = None
    surrogate: SslName | None = None
    contrastive_weight: float | None = None
    csd_weight: float | None = None


def choose_method(
    method: Making | None = None,
    *,
    space: Literal["texture", "pixel"] | None = None,
    cells: int | None = None,
    gradient: Literal["paper", "released"] | None = None,
    per: Literal["class", "photo"] | None = None,
    preset: TuePreset | None = None,
    surrogate: SslName | None = None,
    contrastive_weight: float | None = None,
    csd_weight: float | None = None,
    perturbation: str | None = None,
    order: str | None = None,
    units: Units | None = None,
    rescale: bool = False,
) -> MethodChoice:
    """Fill in what was not asked for; None stands for a flag that was not given.

    Raises:
        UeError: a flag that the method has no use for, or a value that it cannot have.
    """
    own: dict[str, object] = {
        "preset": preset,
        "surrogate": surrogate,
        "contrastive-weight": contrastive_weight,
        "csd-weight": csd_weight,
    }
    if perturbation is not None:
        making = {"method": method, "space": space, "cells": cells, "gradient": gradient}
        for name, asked in {**making, "per": per, **own}.items():
            if asked is not None:
                raise _clash("--perturbation brings a finished one", f"--{name} {asked}")
        return MethodChoice(method="published", space="pixel")
    for name, given in (("order", order), ("units", units), ("rescale", rescale)):
        if given:
            raise _clash(
                "There is no published perturbation to read",
                f"--{name}",
                ", or name a perturbation with --perturbation",
            )
    method = method or "csd"
    learned = method != "csd"
    if learned and space == "texture":
        raise _clash(f"--method {method} makes cells", "--space texture")
    if method in ("pue", "em"):
        _refuse(f"--method {method} has no CSD", {"gradient": gradient})
    if not learned:
        _refuse("--method csd draws for every photo by itself", {"per": per})
    if method != "tue":
        _refuse(f"--method {method} is not tue", own)
    space = space or ("pixel" if learned else "texture")
    if space == "texture":
        _refuse("Textures have no cells", {"cells": cells})
        _refuse("Textures follow no gradient", {"gradient": gradient})
    cells = cells or CELLS
    if method != "tue":
        return MethodChoice(
            method=method,
            space=space,
            cells=cells,
            gradient=gradient or "paper",
            per=per or "class",
        )
    from ue_cli.methods.tue_presets import tue

    preset = preset or "small"
    recipe = tue(
        preset,
        surrogate,
        cells=cells,
        per_class=1,
        contrastive=contrastive_weight,
        separation=csd_weight,
        gradient=gradient,
    )
    return MethodChoice(
        method=method,
        space=space,
        cells=cells,
        gradient=recipe.gradient,
        per=per or "photo",  # as published
        preset=preset,
        surrogate=recipe.ssl.ssl,
        contrastive_weight=recipe.contrastive,
        csd_weight=recipe.separation,
    )


_TUE = ", or use --method tue"
_LEARNED = ", or use --method pue, em or tue"
_GOES_WITH = {
    "--cells": ": it is for --method pue, em and tue, and for CSD in pixel space",
    "--gradient": ": it is for --method tue and for CSD in pixel space",
    "--per": _LEARNED,
    "--preset": _TUE,
    "--surrogate": _TUE,
    "--contrastive-weight": _TUE,
    "--csd-weight": _TUE,
}
"""What would give a flag a use; ends the hint of a refusal."""


def _refuse(what: str, flags: Mapping[str, object]) -> None:
    """Raise where any of them was given."""
    for name, asked in flags.items():
        if asked is not None:
            raise _clash(what, f"--{name} {asked}", _GOES_WITH.get(f"--{name}", ""))


def _clash(what: str, flag: str, instead: str = "") -> UeError:
    return UeError(
        "flags-clash",
        f"{what}, but {flag} was given.",
        f"Leave that flag out{instead}.",
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class MakingOptions(MethodChoice):
    """What decides a perturbation that is made on a folder of photos.

    Attributes:
        src: folder of originals; opened read-only.
        packed: the data set whose ``images`` are ``src``: unpacked first, if that is not done.
        home: folder of the owner's key and state.
        budget: the L∞ ball.
        labels: ``auto``, ``folders``, ``metadata``, ``clusters``, ``single`` or a table's path.
        selection: ``csd``, or ``random``: codes as drawn, the baseline that CSD has to beat.
        device: pixel space: ``auto``, ``cpu``, ``cuda`` or ``mps``.
        max_pixels: larger images are refused.
        jobs: worker processes.
    """

    src: Path
    home: Path
    packed: Packed | None = None
    budget: Budget = field(default_factory=lambda: Budget(8))
    labels: str = "auto"
    selection: str = "csd"
    device: str = "auto"
    max_pixels: int = MAX_PIXELS
    jobs: int = 2


@dataclass(frozen=True, slots=True, kw_only=True)
class ProtectOptions(MakingOptions):
    """The flags of `ue protect`, typed.

    Attributes:
        out: folder to publish.
        look: the bound on what is seen.
        collection: its name, from which textures follow.
        recipe: texture space: what a class's code may be; None: the preset for the photos' size.
        perturbation: ``published``: a path, a name or an ``hf://`` address.
        order: of a published array: whose its rows are; see `read_order`.
        units: of a published array: what its values are; None: found from them.
        rescale: multiply a published perturbation to fill the budget.
        format: ``keep``, ``png``, ``webp`` or ``jpeg``.
        strip_gps, strip_metadata, opt_out: what happens to the metadata.
        strict: any faint file counts as not protected.
        overwrite: write finished files anew.
        dry_run: only say what would be done.
        certify: make the certificate, too.
        home_given: ``home`` was asked for; commands that are shown have to name it.
    """

    out: Path
    look: Look = STANDARD
    collection: str = COLLECTION
    recipe: TextureRecipe | None = None
    perturbation: str | None = None
    order: str | None = None
    units: Units | None = None
    rescale: bool = False
    format: Requested = "keep"
    strip_gps: bool = False
    strip_metadata: bool = False
    opt_out: bool = False
    strict: bool = False
    overwrite: bool = False
    dry_run: bool = False
    certify: bool = False
    home_given: bool = False
