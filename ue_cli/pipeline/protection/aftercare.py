"""After `ue protect`: the certificate, where it takes under two minutes; else how to get it."""

from __future__ import annotations

from dataclasses import replace
from math import ceil
from pathlib import Path

from ue_cli.pipeline.limits import MIN_TEST, TEST_SHARE
from ue_cli.pipeline.protection.advice import certify_command
from ue_cli.pipeline.protection.options import ProtectOptions
from ue_cli.pipeline.protection.results import Aftercare, ProtectResult
from ue_cli.types import Phases

LIMIT = 120.0
"""Seconds that a certificate may add to `ue protect`."""

FAST_CORES = 12
"""With fewer, no CPU trains a dozen surrogates within the limit; that is known without torch."""


def certify_after(options: ProtectOptions, result: ProtectResult, phases: Phases) -> ProtectResult:
    """Certify what was just protected, if that is quick.

    Args:
        options: of the run.
        result: of the run, which wrote its report.
        phases: told about it.
    """
    if not options.certify:
        return result
    command = certify_command(options)
    fewest = ceil(MIN_TEST / TEST_SHARE)
    files = result.fresh + result.kept
    if len(result.classes) < 2:
        command = ""  # it would be refused
        outcome = "Not certified: with one class there is nothing to tell apart."
    elif files < fewest:
        command = ""
        outcome = f"Not certified: {files} photos are few; from {fewest} on a fifth of them tests."
    elif not _may_be_quick(options):
        outcome = "Not certified: it takes more than two minutes on this machine."
    else:
        return _certified(options, result, command, phases)
    return replace(result, aftercare=Aftercare(command, outcome, False))


def _may_be_quick(options: ProtectOptions) -> bool:
    """Whether torch is worth importing to find out."""
    gpu = options.device != "cpu" and Path("/dev/nvidia0").exists()
    return gpu or options.jobs >= FAST_CORES


def _certified(
    options: ProtectOptions, result: ProtectResult, command: str, phases: Phases
) -> ProtectResult:
    from ue_cli.pipeline.certification.certify import certify
    from ue_cli.pipeline.certification.forecast import forecast
    from ue_cli.pipeline.certification.options import CertifyOptions

    wanted = CertifyOptions(
        dataset=options.out,
        original=options.src,
        test=None,
        home=options.home,
        home_given=options.home_given,
        device=options.device,
        jobs=options.jobs,
        max_pixels=options.max_pixels,
    )
    files = result.fresh + result.kept
    tests = round(TEST_SHARE * files)
    seconds = forecast(wanted, files - tests, tests, len(result.classes))
    if seconds > LIMIT:
        outcome = f"Not certified: that takes about {seconds / 60:.0f} minutes here."
        return replace(result, aftercare=Aftercare(command, outcome, False))
    found = certify(wanted, phases).certification
    outcome = f"{found.runs_verdict}: {found.runs_reason}"
    return replace(result, aftercare=Aftercare(command, outcome, True))
