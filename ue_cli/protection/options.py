"""What `ue protect` was asked to do."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from ue_cli.banks.legacy import Units
from ue_cli.datasets.limits import MAX_PIXELS
from ue_cli.errors import UeError
from ue_cli.images.write import Requested
from ue_cli.textures.texture import TextureRecipe
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
    perturbation: str | None = None,
    order: str | None = None,
    units: Units | None = None,
    rescale: bool = False,
) -> MethodChoice:
    """What `ue protect` does, each method as it is by default; None: a flag that was not given.

    Raises:
        UeError: ``flags-clash``: a flag that nothing has a use for.
    """
    if perturbation is not None:
        for name, value in (("method", method), ("space", space)):
            if value is not None:
                raise _clash("--perturbation brings a finished one", f"--{name} {value}")
        return MethodChoice(method="published", space="pixel")
    for name, given in (("order", order), ("units", units), ("rescale", rescale)):
        if given:
            raise _clash(
                "There is no published perturbation to read",
                f"--{name}",
                ", or name a perturbation with --perturbation",
            )
    if method in (None, "csd") and space != "pixel":
        return MethodChoice()
    if space == "texture":
        raise _clash(f"--method {method} makes cells", "--space texture")
    return choose_cells(method)


def choose_cells(
    method: Making | None = None,
    *,
    cells: int | None = None,
    gradient: Literal["paper", "released"] | None = None,
    per: Literal["class", "photo"] | None = None,
    preset: TuePreset | None = None,
    surrogate: SslName | None = None,
    contrastive_weight: float | None = None,
    csd_weight: float | None = None,
) -> MethodChoice:
    """How a bank of cells is made; None stands for a flag that was not given.

    Raises:
        UeError: a flag that the method has no use for, or a value that it cannot have.
    """
    method = method or "csd"
    cells = cells or CELLS
    if method in ("pue", "em"):
        _refuse(f"--method {method} has no CSD", "csd or tue", {"gradient": gradient})
    if method == "csd":
        _refuse("--method csd draws for every photo by itself", "pue, em or tue", {"per": per})
    if method != "tue":
        tue_options = {
            "preset": preset,
            "surrogate": surrogate,
            "contrastive-weight": contrastive_weight,
            "csd-weight": csd_weight,
        }
        _refuse(f"--method {method} is not tue", "tue", tue_options)
        return MethodChoice(
            method=method,
            space="pixel",
            cells=cells,
            gradient=gradient or "paper",
            per=per or "class",
        )
    from ue_cli.methods.tue_presets import tue

    preset = preset or "small"
    recipe = tue(
        preset,
        surrogate or "simclr",
        cells=cells,
        per_class=1,
        contrastive=contrastive_weight,
        separation=csd_weight,
        gradient=gradient,
    )
    return MethodChoice(
        method=method,
        space="pixel",
        cells=cells,
        gradient=recipe.gradient,
        per=per or "photo",  # as published
        preset=preset,
        surrogate=recipe.ssl.ssl,
        contrastive_weight=recipe.contrastive,
        csd_weight=recipe.separation,
    )


def _refuse(what: str, methods: str, flags: Mapping[str, object]) -> None:
    """Raise where a flag was given that only other methods have a use for."""
    for name, value in flags.items():
        if value is not None:
            raise _clash(what, f"--{name} {value}", f", or use --method {methods}")


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
        rehash: read every original, also where its size and time are as an earlier run left them.
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
    rehash: bool = False
    dry_run: bool = False
    certify: bool = False
    home_given: bool = False
