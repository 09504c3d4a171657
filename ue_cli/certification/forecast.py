"""Which trainings `ue certify` needs, and how long everything will take."""

from __future__ import annotations

import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from ue_cli.certification.options import CertifyOptions
from ue_cli.certification.recovered import attack_steps
from ue_cli.certification.smoothed import estimate_draws
from ue_cli.training.architectures import VictimName
from ue_cli.training.backend import resolve_device
from ue_cli.trials.plan import measure
from ue_cli.trials.running import Trial, estimate_seconds


@dataclass(frozen=True, slots=True)
class Plan:
    """The trainings of a certificate, fixed before the first of them.

    Attributes:
        runs: K plain trainings by arm, with the same architectures and seeds on either.
        plain: by arm, the surrogate that is smoothed; one of the runs, where one has its recipe.
        robust: by arm, the surrogate that is trained under weight noise and smoothed.
    """

    runs: Mapping[str, tuple[Trial, ...]]
    plain: Mapping[str, Trial]
    robust: Mapping[str, Trial]

    @property
    def trials(self) -> list[Trial]:
        """Every training once, those of an arm together."""
        trials = []
        for arm in self.runs:
            trials += [*self.runs[arm], self.plain[arm], self.robust[arm]]
        return list(dict.fromkeys(trials))


def planned(options: CertifyOptions, train_files: int, *, with_control: bool) -> Plan:
    """K plain trainings on either side, and the two surrogates that are smoothed.

    Args:
        options: of `ue certify`.
        train_files: that each training sees.
        with_control: whether there are originals.
    """
    seed = options.seed
    recipes = {name: options.surrogate(train_files, name) for name in options.architectures}
    plain = recipes[options.architectures[0]]
    robust = options.robust(plain, options.setting().scaling)
    drawn = drawn_victims(options.architectures, options.runs, seed)
    runs, plains, robusts = {}, {}, {}
    for arm in ("protected", "clean") if with_control else ("protected",):
        runs[arm] = tuple(Trial(arm, seed + k, recipes[name]) for k, name in enumerate(drawn))
        plains[arm] = Trial(arm, seed, plain)
        robusts[arm] = Trial(arm, seed, robust)
    return Plan(runs, plains, robusts)


def drawn_victims(names: Sequence[VictimName], runs: int, seed: int) -> list[VictimName]:
    """The architecture of each training: an independent draw, all of ``names`` being as likely.

    Args:
        names: what is drawn from; with one there is nothing to draw.
        runs: K.
        seed: of the draws.
    """
    draw = random.Random(f"architectures/{seed}")
    return [draw.choice(names) for _ in range(runs)]


def forecast(
    options: CertifyOptions,
    train_files: int,
    tests: int,
    classes: int,
    *,
    plan: Plan | None = None,
    left: Sequence[Trial] | None = None,
) -> float:
    """Seconds of the trainings that are left, of all draws and attacks, from a few of each.

    Args:
        options: of `ue certify`.
        train_files: that each training sees.
        tests: clean test images.
        classes: of the data set.
        plan: all trainings; those with a control where not given.
        left: those that are not in the cache; all where not given.
    """
    device = resolve_device(options.device)
    wanted = planned(options, train_files, with_control=True) if plan is None else plan
    total = estimate_seconds(
        wanted.trials if left is None else left,
        train_files=train_files,
        tests=tests,
        side=options.square,
        classes=classes,
        jobs=options.jobs,
        device=device,
    )
    surrogate = wanted.plain["protected"].classifier
    each = estimate_draws(surrogate, options.setting(), classes, tests, device)
    total += 2 * len(wanted.runs) * each
    if "clean" in wanted.runs:
        # One attack after another, each on all threads.
        costs = measure(surrogate, options.square, classes, 1, options.jobs, device)
        total += 2 * attack_steps(train_files) * costs.step
    return total
