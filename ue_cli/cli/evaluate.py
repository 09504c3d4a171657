"""`ue evaluate`: flags to a typed call."""

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
    OrderOption,
    UnitsOption,
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
from ue_cli.countermeasures.registry import SPECS, TIERS
from ue_cli.datasets.limits import MAX_PIXELS, MIN_TEST, TEST_SHARE
from ue_cli.errors import ExitCode
from ue_cli.training.architectures import CLASSIFIERS, VICTIMS

if TYPE_CHECKING:
    from ue_cli.output import Output


class Tier(StrEnum):
    """How much is tried."""

    quick = "quick"
    standard = "standard"
    full = "full"


def names() -> str:
    """All that ``--against`` and ``--victim`` take, for the end of the help text."""
    parts: list[str] = []
    for tier in TIERS:
        held = [spec.name for spec in SPECS if spec.tier == tier]
        parts.append(f"{tier}{' adds' if parts else ''} {', '.join(held)}")
    encoders = ", ".join(name for name in VICTIMS if name not in CLASSIFIERS)
    return (
        f"Countermeasures: {'; '.join(parts)}. Victims: {', '.join(CLASSIFIERS)}; learning "
        f"without labels: {encoders}."
    )


def evaluate(
    dataset: DatasetArgument,
    original: OriginalOption = None,
    test: TestOption = None,
    tier: Annotated[
        Tier,
        typer.Option(
            help="How much is tried (see below): quick trains a small network once of each kind, "
            "standard three times, full other networks, too."
        ),
    ] = Tier.quick,
    against: Annotated[
        list[str] | None,
        typer.Option(
            metavar="NAME",
            help="A countermeasure, instead of the tier's; repeatable.",
        ),
    ] = None,
    victim: Annotated[
        list[str] | None,
        typer.Option(
            metavar="NAME",
            help="Who learns from the files, instead of the tier's; repeatable.",
        ),
    ] = None,
    coverage: Annotated[
        str,
        typer.Option(
            metavar="LIST",
            help="Per cents of the files that stay protected, originals taking the place of the "
            "rest: 100,90,50.",
        ),
    ] = "100",
    seeds: Annotated[
        int | None,
        typer.Option(min=1, max=1000, help="Trainings of each kind. [default: the tier's]"),
    ] = None,
    epochs: Annotated[
        int | None,
        typer.Option(
            min=1,
            max=10_000,
            help="Passes over the files. Fewer than the recipe has take less time and show less. "
            "[default: the victim's recipe]",
        ),
    ] = None,
    bank: Annotated[
        str | None,
        typer.Option(
            metavar="NAME|FILE|hf://…",
            help="A perturbation that the adversary has, named as in ue protect --perturbation: "
            "subtracting it is tried, too. [default: the public one that the files carry, if any]",
        ),
    ] = None,
    order: OrderOption = None,
    units: UnitsOption = None,
    test_share: TestShareOption = TEST_SHARE,
    min_test: MinTestOption = MIN_TEST,
    seed: SeedOption = 0,
    side: SideOption = None,
    max_pixels: MaxPixelsOption = MAX_PIXELS,
    device: DeviceOption = "auto",
    report: ReportOption = None,
    dry_run: Annotated[
        bool,
        typer.Option("--dry-run", help="Say what would be trained and how long it takes; stop."),
    ] = False,
    jobs: JobsOption = None,
    home: HomeOption = None,
    as_json: JsonOption = False,
) -> None:
    """Train victims on a protected folder, with and without countermeasures, beside controls.

    The report tells the worst case. Every training is kept as soon as it ends, and the same
    command goes on from there.
    """

    def work(output: Output) -> ExitCode:
        from ue_cli import api
        from ue_cli.render.training import evaluate_rows

        with output.phases() as phases:
            result = api.evaluate(
                dataset,
                original,
                test=test,
                tier=tier.value,
                against=against or (),
                victims=victim or (),
                coverage=coverage,
                seeds=seeds,
                epochs=epochs,
                bank=bank,
                order=order,
                units=units.value if units else None,
                test_share=test_share,
                min_test=min_test,
                seed=seed,
                side=side,
                max_pixels=max_pixels,
                device=device,
                report=report,
                dry_run=dry_run,
                jobs=jobs,
                home=home,
                watch=phases,
            )
        rows, lists = evaluate_rows(result)
        output.result(result.to_json(), rows, lists=lists)
        return ExitCode.DONE  # whatever the verdicts: they are results

    run_command("evaluate", as_json, work)
