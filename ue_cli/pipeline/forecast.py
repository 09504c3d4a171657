"""Which trainings `ue certify` needs, and how long everything will take."""

from __future__ import annotations

from collections.abc import Sequence

from ue_cli.pipeline.backend import resolve_device
from ue_cli.pipeline.certifyoptions import SIDE, CertifyOptions
from ue_cli.pipeline.recovered import attack_steps
from ue_cli.pipeline.smoothed import estimate_draws
from ue_cli.pipeline.trialplan import measure
from ue_cli.pipeline.trials import Trial, estimate_seconds


def planned(options: CertifyOptions, train_files: int, *, with_control: bool) -> list[Trial]:
    """K plain trainings on either side, of which the first is the plain surrogate; one robust.

    Args:
        options: of `ue certify`.
        train_files: that each training sees.
        with_control: whether there are originals.
    """
    plain = options.surrogate(train_files)
    robust = options.robust(plain, options.setting().scaling)
    trials = []
    for arm in ("protected", "clean") if with_control else ("protected",):
        trials += [Trial(arm, options.seed + k, plain) for k in range(options.runs)]
        trials.append(Trial(arm, options.seed, robust))
    return trials


def forecast(
    options: CertifyOptions,
    train_files: int,
    tests: int,
    classes: int,
    *,
    trials: Sequence[Trial] | None = None,
    left: Sequence[Trial] | None = None,
) -> float:
    """Seconds of the trainings that are left, of all draws and attacks, from a few of each.

    Args:
        options: of `ue certify`.
        train_files: that each training sees.
        tests: clean test images.
        classes: of the data set.
        trials: all trainings; those with a control where not given.
        left: those that are not in the cache; all where not given.
    """
    device = resolve_device(options.device)
    wanted = planned(options, train_files, with_control=True) if trials is None else trials
    training = estimate_seconds(
        wanted if left is None else left,
        train_files=train_files,
        tests=tests,
        side=SIDE,
        classes=classes,
        jobs=options.jobs,
        device=device,
    )
    arms = {trial.arm for trial in wanted}
    plain = wanted[0].recipe
    each = estimate_draws(plain, options.setting(), classes, tests, device)
    total = training + 2 * len(arms) * each
    if "clean" in arms:
        lanes = 1  # one attack after another, on all threads
        step, _ = measure(plain, SIDE, classes, lanes, options.jobs, device)
        total += 2 * attack_steps(train_files) * step
    return total
