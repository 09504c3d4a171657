"""The flags that `ue certify` and `ue evaluate` have in common."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from ue_cli.cli.run import folder
from ue_cli.datasets.limits import SIDE, SIDES

DatasetArgument = Annotated[Path, typer.Argument(parser=folder, help="The protected folder.")]
OriginalOption = Annotated[
    Path | None,
    typer.Option(
        "--original",
        help="The originals' folder; the clean test set is split off it, and the clean controls "
        "are trained on the rest.",
    ),
]
TestOption = Annotated[
    Path | None,
    typer.Option("--test", help="Folder of other clean images of the same classes to test on."),
]
TestShareOption = Annotated[
    float, typer.Option(min=0.05, max=0.5, help="Share of the originals that is split off.")
]
MinTestOption = Annotated[int, typer.Option(min=10, help="Fewest clean test images.")]
SeedOption = Annotated[
    int,
    typer.Option(
        min=0, max=2**31 - 1, help="Of the split, the trainings and everything that is drawn."
    ),
]
SideOption = Annotated[
    int | None,
    typer.Option(
        min=SIDES[0],
        max=SIDES[1],
        help="Pixels to which trainers resize what they read; pretrained networks read 256. "
        f"[default: as many as most files have, {SIDE} at most]",
    ),
]
ReportOption = Annotated[
    Path | None,
    typer.Option(help="Folder of the report, to be kept private. [default: DATASET.report]"),
]
