"""What `ue protect` was asked to do."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from ue_cli.perturbation.texture import TextureRecipe
from ue_cli.photos.write import Requested
from ue_cli.types import Budget

MAX_PIXELS = 200_000_000


@dataclass(frozen=True, slots=True)
class ProtectOptions:
    """The flags of `ue protect`, typed.

    Attributes:
        src: folder of originals; opened read-only.
        out: folder to publish.
        home: folder of the owner's key and state.
        budget: the L∞ ball.
        labels: ``auto``, ``folders``, ``metadata``, ``clusters``, ``single`` or a table's path.
        space: ``texture`` or ``pixel``: where CSD separates the classes.
        selection: ``csd``, or ``random``: codes as drawn, the baseline that CSD has to beat.
        recipe: texture space: what a class's code may be.
        cells: pixel space: cells per side of a pattern.
        gradient: pixel space: ``paper`` or ``released``.
        device: pixel space: ``auto``, ``cpu``, ``cuda`` or ``mps``.
        format: ``keep``, ``png``, ``webp`` or ``jpeg``.
        strip_gps, strip_metadata, opt_out: what happens to the metadata.
        max_pixels: larger images are refused.
        jobs: worker processes.
        overwrite: write finished files anew.
        dry_run: only say what would be done.
    """

    src: Path
    out: Path
    home: Path
    budget: Budget = field(default_factory=lambda: Budget(8))
    labels: str = "auto"
    space: str = "texture"
    selection: str = "csd"
    recipe: TextureRecipe = field(default_factory=TextureRecipe)
    cells: int = 8
    gradient: Literal["paper", "released"] = "paper"
    device: str = "auto"
    format: Requested = "keep"
    strip_gps: bool = False
    strip_metadata: bool = False
    opt_out: bool = False
    max_pixels: int = MAX_PIXELS
    jobs: int = 2
    overwrite: bool = False
    dry_run: bool = False
