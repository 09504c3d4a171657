"""`ue protect`: flags to a typed call."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from ue_cli.cli.panels import MORE
from ue_cli.cli.run import (
    DeviceOption,
    EpsilonOption,
    HomeOption,
    JobsOption,
    JsonOption,
    LabelsOption,
    MaxPixelsOption,
    MethodOption,
    OrderOption,
    UnitsOption,
    folder,
    run_command,
)
from ue_cli.datasets.limits import MAX_PIXELS
from ue_cli.errors import ExitCode

if TYPE_CHECKING:
    from ue_cli.output import Output


class Space(StrEnum):
    """Where CSD separates the classes."""

    texture = "texture"
    pixel = "pixel"


class Format(StrEnum):
    """What is written."""

    keep = "keep"
    png = "png"
    webp = "webp"
    jpeg = "jpeg"


def protect(
    src: Annotated[Path, typer.Argument(parser=folder, help="Folder of images, never written to.")],
    out: Annotated[
        Path | None,
        typer.Option("--out", "-o", help="Folder to publish. [default: SRC-protected]"),
    ] = None,
    epsilon: EpsilonOption = "8",
    look: Annotated[
        str,
        typer.Option(
            help="How visible it may be: subtle, standard, or strong (no bound, plainly seen)."
        ),
    ] = "standard",
    labels: LabelsOption = "auto",
    method: MethodOption = None,
    perturbation: Annotated[
        str | None,
        typer.Option(
            metavar="NAME|FILE|hf://…",
            help="Apply a published perturbation as it is, instead of making a secret one: anyone "
            "who has it can subtract it. A name of ue fetch-perturbations, .safetensors, .pt, .npy "
            "or .npz.",
        ),
    ] = None,
    collection: Annotated[
        str,
        typer.Option(help="Name of the collection: with your key it decides the textures."),
    ] = "photos",
    format: Annotated[
        Format, typer.Option("--format", help="keep: every file stays what it is.")
    ] = Format.keep,
    strip_gps: Annotated[
        bool, typer.Option("--strip-gps", help="Leave the position out of the written files.")
    ] = False,
    strip_metadata: Annotated[
        bool,
        typer.Option("--strip-metadata", help="Keep only orientation and colour profile."),
    ] = False,
    opt_out: Annotated[
        bool,
        typer.Option("--opt-out", help="Write the IPTC/PLUS field that forbids AI training."),
    ] = False,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Say what would be done; write nothing.")
    ] = False,
    overwrite: Annotated[
        bool, typer.Option("--overwrite", help="Write files anew that are already finished.")
    ] = False,
    jobs: JobsOption = None,
    as_json: JsonOption = False,
    space: Annotated[
        Space | None,
        typer.Option(
            help="Where CSD separates the classes: textures or pixels. [default: texture]",
            rich_help_panel=MORE,
        ),
    ] = None,
    order: OrderOption = None,
    units: UnitsOption = None,
    rescale: Annotated[
        bool,
        typer.Option(
            "--rescale",
            help="Multiply the published perturbation to fill the budget.",
            rich_help_panel=MORE,
        ),
    ] = False,
    strict: Annotated[
        bool,
        typer.Option(
            "--strict",
            help="Exit with 6 where any file is too faint to count.",
            rich_help_panel=MORE,
        ),
    ] = False,
    rehash: Annotated[
        bool,
        typer.Option(
            "--rehash",
            help="Read every original again, whatever its size and time say.",
            rich_help_panel=MORE,
        ),
    ] = False,
    certify: Annotated[
        bool,
        typer.Option(
            "--certify",
            help="Certify the written files as well: ue certify.",
            rich_help_panel=MORE,
        ),
    ] = False,
    device: DeviceOption = "auto",
    max_pixels: MaxPixelsOption = MAX_PIXELS,
    home: HomeOption = None,
) -> None:
    """Write a protected copy of a folder of images, and a report beside it."""

    def work(output: Output) -> ExitCode:
        from ue_cli import api
        from ue_cli.render.files import protect_rows

        with output.phases() as phases:
            result = api.protect(
                src,
                out,
                look=look,
                epsilon=epsilon,
                collection=collection,
                labels=labels,
                method=method.value if method else None,
                space=space.value if space else None,
                perturbation=perturbation,
                order=order,
                units=units.value if units else None,
                rescale=rescale,
                format=format.value,
                strip_gps=strip_gps,
                strip_metadata=strip_metadata,
                opt_out=opt_out,
                strict=strict,
                overwrite=overwrite,
                rehash=rehash,
                dry_run=dry_run,
                certify=certify,
                device=device,
                jobs=jobs,
                max_pixels=max_pixels,
                home=home,
                watch=phases,
            )
        rows, lists = protect_rows(result)
        output.result(result.to_json(), rows, lists=lists, exit_code=result.exit_code)
        return result.exit_code

    run_command("protect", as_json, work)
