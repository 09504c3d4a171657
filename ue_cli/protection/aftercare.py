"""After `ue protect --certify`: the certificate on what was just protected."""

from __future__ import annotations

from dataclasses import replace

from ue_cli.errors import UeError
from ue_cli.protection.options import ProtectOptions
from ue_cli.protection.results import Aftercare, ProtectResult
from ue_cli.types import Phases


def certify_after(options: ProtectOptions, result: ProtectResult, phases: Phases) -> ProtectResult:
    """Certify what was just protected; where that is refused, the outcome says why.

    Args:
        options: of the run.
        result: of the run, which wrote its report.
        phases: told about it.
    """
    from ue_cli.certification.certify import certify
    from ue_cli.certification.options import CertifyOptions

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
    try:
        certification = certify(wanted, phases).certification
    except UeError as error:  # the files are protected all the same
        return replace(result, aftercare=Aftercare(f"Not certified: {error} {error.hint}", False))
    outcome = f"{certification.runs_verdict}: {certification.runs_reason}"
    return replace(result, aftercare=Aftercare(outcome, True))
