"""`ue optimize`: flags to a typed call."""

from __future__ import annotations

import shlex
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
    folder,
    run_command,
)
from ue_cli.datasets.limits import MAX_PIXELS
from ue_cli.errors import ExitCode

if TYPE_CHECKING:
    from ue_cli.output import Output
    from ue_cli.protection.optimize import OptimizeResult


class Preset(StrEnum):
    """TUE's recipe."""

    small = "small"
    targeted = "targeted"
    paper = "paper"


class Surrogate(StrEnum):
    """What TUE's surrogate learns by."""

    simclr = "simclr"
    moco = "moco"
    simsiam = "simsiam"


class Per(StrEnum):
    """What has a pattern of its own."""

    class_ = "class"
    photo = "photo"


class Gradient(StrEnum):
    """Which gradient of CSD is followed."""

    paper = "paper"
    released = "released"


def optimize(
    src: Annotated[Path, typer.Argument(parser=folder, help="Folder of images, never written to.")],
    file: Annotated[
        Path,
        typer.Option("--out", "-o", metavar="FILE", help="Bank to write, a .safetensors file."),
    ],
    epsilon: EpsilonOption = "8",
    labels: LabelsOption = "auto",
    method: MethodOption = None,
    cells: Annotated[
        int | None,
        typer.Option(min=1, max=256, help="Cells per side of a pattern. [default: 8]"),
    ] = None,
    gradient: Annotated[
        Gradient | None,
        typer.Option(
            help="csd, tue: the paper's gradient of CSD or the released code's. [default: paper]",
            rich_help_panel=MORE,
        ),
    ] = None,
    per: Annotated[
        Per | None,
        typer.Option(
            help="pue, em, tue: one pattern per class or per photo. [default: class; tue: photo]"
        ),
    ] = None,
    preset: Annotated[
        Preset | None,
        typer.Option(
            help="tue: small and targeted are for CPUs, targeted against models that learn without "
            "labels (give it --cells 32); paper trains ResNet-18 for hours on a GPU. "
            "[default: small]"
        ),
    ] = None,
    surrogate: Annotated[
        Surrogate | None,
        typer.Option(
            help="tue: what the surrogate learns by. [default: simclr]", rich_help_panel=MORE
        ),
    ] = None,
    contrastive_weight: Annotated[
        float | None,
        typer.Option(
            help="tue: weight of the surrogate's loss; 0 is CSD alone. [default: the preset's]",
            rich_help_panel=MORE,
        ),
    ] = None,
    csd_weight: Annotated[
        float | None,
        typer.Option(help="tue: weight of CSD (λ). [default: the preset's]", rich_help_panel=MORE),
    ] = None,
    seed: Annotated[
        int | None,
        typer.Option(help="Of every draw, so that anybody can repeat it. [default: your key]"),
    ] = None,
    device: DeviceOption = "auto",
    max_pixels: MaxPixelsOption = MAX_PIXELS,
    jobs: JobsOption = None,
    overwrite: Annotated[
        bool, typer.Option("--overwrite", help="Replace a bank of that name.")
    ] = False,
    home: HomeOption = None,
    as_json: JsonOption = False,
) -> None:
    """Make a perturbation of cells on a folder and save it for reuse; no image is written.

    The textures that ue protect makes by default are drawn for each photo and have no bank: csd
    is that of the paper here, in pixel space.
    """

    def work(output: Output) -> ExitCode:
        from ue_cli import api

        with output.phases() as phases:
            result = api.optimize(
                src,
                file,
                method=method.value if method else "csd",
                epsilon=epsilon,
                labels=labels,
                cells=cells,
                per=per.value if per else None,
                preset=preset.value if preset else None,
                surrogate=surrogate.value if surrogate else None,
                gradient=gradient.value if gradient else None,
                contrastive_weight=contrastive_weight,
                csd_weight=csd_weight,
                seed=seed,
                device=device,
                jobs=jobs,
                max_pixels=max_pixels,
                overwrite=overwrite,
                home=home,
                watch=phases,
            )
        output.result(result.to_json(), _rows(result, src))
        return ExitCode.DONE

    run_command("optimize", as_json, work)


def _rows(result: OptimizeResult, src: Path) -> list[tuple[str, str]]:
    classes, per_class, _, rows, columns = result.shape
    return [
        ("Written", str(result.file)),
        (
            "Holds",
            f"{classes} class{'es' if classes > 1 else ''} × {per_class} "
            f"pattern{'s' if per_class > 1 else ''} of {rows}×{columns} cells, "
            f"ε = {result.levels}/255, {result.bytes / 1e6:.1f} MB",
        ),
        ("Method", f"{result.method}, for {result.photos} photos"),
        *((name, str(value)) for name, value in result.words.items()),
        ("SHA-256", result.sha256),
        ("Time", f"{result.seconds:.1f} s"),
        ("Apply it", shlex.join(["ue", "protect", str(src), "--perturbation", str(result.file)])),
    ]
