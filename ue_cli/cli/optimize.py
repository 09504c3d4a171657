"""`ue optimize`: flags to a typed call."""

from __future__ import annotations

import shlex
from collections.abc import Sequence
from dataclasses import asdict
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from ue_cli.cli.methodflags import (
    CellsOption,
    ContrastiveOption,
    CsdOption,
    DeviceOption,
    EpsilonOption,
    GradientOption,
    LabelsOption,
    MaxPixelsOption,
    MethodOption,
    PerOption,
    PresetOption,
    SurrogateOption,
)
from ue_cli.cli.run import (
    HomeOption,
    JobsOption,
    JsonOption,
    RootOption,
    run_command,
)
from ue_cli.defaults import home_folder, process_count
from ue_cli.errors import ExitCode

if TYPE_CHECKING:
    from ue_cli.output import Output
    from ue_cli.pipeline.protection.optimise import OptimizeResult


class Correspondence(StrEnum):
    """Whose pattern each entry gets in the end."""

    original = "original"
    intra_class = "intra-class"
    inter_class = "inter-class"


def optimize(
    src: Annotated[
        Path, typer.Argument(help="Folder of images, never written to; or cifar10: or cifar100:.")
    ],
    file: Annotated[
        Path,
        typer.Option("--out", "-o", metavar="FILE", help="Bank to write, a .safetensors file."),
    ],
    root: RootOption = None,
    epsilon: EpsilonOption = "8",
    labels: LabelsOption = "auto",
    method: MethodOption = None,
    cells: CellsOption = None,
    gradient: GradientOption = None,
    per: PerOption = None,
    preset: PresetOption = None,
    surrogate: SurrogateOption = None,
    contrastive_weight: ContrastiveOption = None,
    csd_weight: CsdOption = None,
    correspondence: Annotated[
        Correspondence,
        typer.Option(
            help="Swap patterns in the end, as Ren et al. do in table 5: among a class's images, "
            "or between classes."
        ),
    ] = Correspondence.original,
    seed: Annotated[
        int | None,
        typer.Option(help="Of every draw, so that anybody can repeat it. [default: your key]"),
    ] = None,
    shard_mb: Annotated[
        int,
        typer.Option(
            min=1, help="Most MB of a file; a larger bank becomes several files and an index."
        ),
    ] = 256,
    device: DeviceOption = "auto",
    max_pixels: MaxPixelsOption = 200_000_000,
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
        from ue_cli.pipeline.datasets.packed import find_packed, refuse_root
        from ue_cli.pipeline.protection.optimise import OptimizeOptions, optimise
        from ue_cli.pipeline.protection.options import choose_method
        from ue_cli.types import Budget

        choice = choose_method(
            method.value if method else None,
            space="pixel",
            cells=cells,
            gradient=gradient.value if gradient else None,
            per=per.value if per else None,
            preset=preset.value if preset else None,
            surrogate=surrogate.value if surrogate else None,
            contrastive_weight=contrastive_weight,
            csd_weight=csd_weight,
        )
        packed = find_packed(src, root)
        if packed is None:
            refuse_root(root)
        options = OptimizeOptions(
            **asdict(choice),
            src=src if packed is None else packed.images,
            packed=packed,
            file=file,
            home=home_folder(home),
            budget=Budget.parse(epsilon),
            labels=labels,
            correspondence=correspondence.value,
            seed=seed,
            shard_bytes=shard_mb << 20,
            device=device,
            max_pixels=max_pixels,
            jobs=process_count(jobs),
            overwrite=overwrite,
        )
        with output.phases() as phases:
            result = optimise(options, phases)
        source = [str(src), *(["--root", str(root)] if root is not None else [])]
        output.result(result.to_json(), _rows(result, source))
        return ExitCode.DONE

    run_command("optimize", as_json, work)


def _rows(result: OptimizeResult, source: Sequence[str]) -> list[tuple[str, str]]:
    first, count = result.files[0], len(result.files) - 1
    classes, per_class, _, rows, columns = result.shape
    return [
        ("Written", f"{first}" + (f", with {count} files beside it" if count else "")),
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
        ("Apply it", shlex.join(["ue", "protect", *source, "--perturbation", str(first)])),
    ]
