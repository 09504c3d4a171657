"""`ue certify`: flags to a typed call."""

from __future__ import annotations

from enum import StrEnum
from typing import TYPE_CHECKING, Annotated

import typer

from ue_cli.cli.run import (
    DeviceOption,
    HomeOption,
    JobsOption,
    JsonOption,
    MaxPixelsOption,
    run_command,
)
from ue_cli.cli.subject import (
    DatasetArgument,
    MinTestOption,
    OriginalOption,
    ReportOption,
    SeedOption,
    SideOption,
    TestOption,
    TestShareOption,
)
from ue_cli.datasets.limits import MAX_PIXELS, MIN_TEST, TEST_SHARE
from ue_cli.errors import ExitCode
from ue_cli.training.architectures import FROM_SCRATCH

if TYPE_CHECKING:
    from ue_cli.output import Output


class Smoothing(StrEnum):
    """What the noise is measured in."""

    absolute = "absolute"
    relative = "relative"


class Preset(StrEnum):
    """Surrogate and setting."""

    default = "default"
    paper = "paper"


def certify(
    dataset: DatasetArgument,
    original: OriginalOption = None,
    test: TestOption = None,
    preset: Annotated[
        Preset,
        typer.Option(help="paper: ResNet-18, σ 0.25 absolute, q 0.9, N 1000, confidence 0.99."),
    ] = Preset.default,
    runs: Annotated[
        int,
        typer.Option(min=2, help="K: independent trainings on either side; 5 bound the median."),
    ] = 5,
    victim: Annotated[
        list[str] | None,
        typer.Option(
            help="Architecture: "
            + ", ".join(FROM_SCRATCH)
            + "; of several, each training draws one."
        ),
    ] = None,
    q: Annotated[
        float | None,
        typer.Option(min=0.01, max=0.99, help="Quantile of accuracy that is bounded.", metavar="Q"),
    ] = None,
    draws: Annotated[
        int | None, typer.Option(min=10, help="N: noisy copies of each surrogate that are tested.")
    ] = None,
    sigma: Annotated[
        float | None,
        typer.Option(min=1e-6, help="Size of the noise. [default: by the control, on pilot draws]"),
    ] = None,
    confidence: Annotated[
        float | None, typer.Option(min=0.5, max=0.9999, help="Of each smoothing statement.")
    ] = None,
    smoothing: Annotated[
        Smoothing | None,
        typer.Option(help="Noise in units of the weights, or of each filter's own size."),
    ] = None,
    test_share: TestShareOption = TEST_SHARE,
    min_test: MinTestOption = MIN_TEST,
    seed: SeedOption = 0,
    side: SideOption = None,
    max_pixels: MaxPixelsOption = MAX_PIXELS,
    device: DeviceOption = "auto",
    report: ReportOption = None,
    jobs: JobsOption = None,
    home: HomeOption = None,
    as_json: JsonOption = False,
) -> None:
    """Certify how much a model can learn from a protected folder, beside a clean control."""

    def work(output: Output) -> ExitCode:
        from ue_cli import api
        from ue_cli.render.training import certify_rows

        with output.phases() as phases:
            result = api.certify(
                dataset,
                original,
                test=test,
                preset=preset.value,
                runs=runs,
                victims=victim or (),
                q=q,
                draws=draws,
                sigma=sigma,
                confidence=confidence,
                smoothing=smoothing.value if smoothing else None,
                test_share=test_share,
                min_test=min_test,
                seed=seed,
                side=side,
                max_pixels=max_pixels,
                device=device,
                report=report,
                jobs=jobs,
                home=home,
                watch=phases,
            )
        rows, lists = certify_rows(result)
        output.result(result.to_json(), rows, lists=lists)
        return ExitCode.DONE  # whatever the verdicts: they are results

    run_command("certify", as_json, work)
