"""Informative or not: a low bound proves nothing unless the same noise spares a clean control.

Under σ = 0.25 a ResNet trained on *clean* CIFAR-10 falls from 55 % to 10 %: its data would be
certified as unlearnable. So a certificate counts only beside a control, trained on the originals
with the same recipe and seeds and certified in the same way, and only if both learned their files.
"""

from __future__ import annotations

from math import floor
from statistics import fmean

from ue_cli.certificates.smoothing import draws_needed, max_certifiable_eta
from ue_cli.types import RunsCertificate, Smoothing, SurrogateCertificate, Verdict
from ue_cli.types.wording import at_least, at_most, confidence_words

MARGIN = 0.05
"""By how much the control's lower bound must exceed the protected upper bound."""
FIT_SLACK = 0.02
"""How much less of its own files the protected surrogate may fit than the control of its."""

_ROUNDING = 1e-9


def learning_mark(classes: int) -> float:
    """From which accuracy on a model has learned something.

    Twice chance; for two classes, where that would ask for perfection, half of the way from chance
    to perfection.
    """
    if classes < 2:
        raise ValueError(f"A verdict takes two classes or more; there are {classes}.")
    return min(2 / classes, (1 + 1 / classes) / 2)


def judge(
    protected: SurrogateCertificate,
    control: SurrogateCertificate | None,
    setting: Smoothing,
    *,
    classes: int,
) -> tuple[Verdict, str]:
    """Decide whether a smoothing certificate says anything about the protection.

    It does if the control's lower bound on its own q-quantile exceeds the protected upper bound
    at the smallest certified η by ``MARGIN``, and the protected surrogate fits its own files no
    worse than the control fits its own, within ``FIT_SLACK``.

    Args:
        protected: trained on the protected files.
        control: trained on the originals, same recipe and seeds; None without originals.
        setting: that both were certified with.
        classes: of the data set.

    Returns:
        The verdict, and why, in sentences with the numbers.
    """
    certified = [(b.eta, b.upper) for b in protected.bounds if b.upper is not None]
    if not certified:
        return "abstain", _too_few_draws(protected, setting)
    if protected.fit < learning_mark(classes):
        return "uninformative", _learned_nothing(protected.fit, classes)
    eta, upper = min(certified)
    share = f"{100 * setting.q:g} %"
    claim = (
        f"at least {share} of the noisy copies of the surrogate trained on the protected files get "
        f"at most {at_most(upper)} of the clean test images right (within η = {eta:g})"
    )
    if control is None:
        return "no-control", (
            f"There is no control: {claim}, but only a second surrogate, trained on the originals, "
            "can show whether the files or the noise keep that low. Give the originals."
        )
    if control.lower is None:
        return "abstain", (
            f"{setting.draws:,} draws are too few to bound the control from below. Take more draws."
        )
    if protected.fit < control.fit - FIT_SLACK - _ROUNDING:
        return "uninformative", _fits_worse(protected.fit, control.fit)
    gap = control.lower - upper
    compared = (
        f"{claim}; the same {share} mark of the control, trained on the originals, lies at "
        f"{at_least(control.lower)} or higher under the same noise "
        f"({confidence_words(setting.confidence)} confidence each): a gap of {_points(gap)}, where "
        f"{_points(MARGIN)} are asked for"
    )
    if gap < MARGIN - _ROUNDING:
        return "uninformative", (
            f"The bound says nothing about the protection: {compared}. "
            f"{_why_no_gap(control, control.lower, setting)}"
        )
    reach = informative_up_to(protected, control)
    holds = "" if reach is None else f" With all η taken together, this holds up to η = {reach:g}."
    return "informative", f"The bound speaks about the protection: {compared}.{holds}"


def informative_up_to(
    protected: SurrogateCertificate, control: SurrogateCertificate
) -> float | None:
    """Largest η at which the control still keeps its distance; None: at none.

    It is picked after looking, so it is taken from the simultaneous bounds.
    """
    if control.lower is None:
        return None
    least = control.lower - MARGIN + _ROUNDING
    etas = (b.eta for b in protected.simultaneous if b.upper is not None and b.upper <= least)
    return max(etas, default=None)


def judge_runs(runs: RunsCertificate, *, classes: int) -> tuple[Verdict, str]:
    """Decide whether a training-run certificate says anything about the protection.

    It does if the worst training on the originals gets ``MARGIN`` more than the best one on the
    protected files, and passes ``learning_mark``, and if the trainings on the protected files fit
    theirs on average no worse, within ``FIT_SLACK``.
    """
    fit = fmean(runs.protected_fit)
    if fit < learning_mark(classes):
        return "uninformative", _learned_nothing(fit, classes)
    if runs.control_lower is None:
        return "no-control", (
            f"There is no control: the best of {runs.runs} trainings on the protected files gets "
            f"{at_most(runs.upper)} of the clean test images right, but only trainings on the "
            "originals can show whether that is little. Give the originals."
        )
    if runs.control_lower < learning_mark(classes) - _ROUNDING:
        return "uninformative", (
            f"Even from the originals, the worst of {runs.runs} trainings learns only "
            f"{at_least(runs.control_lower)}, where {at_least(learning_mark(classes))} are asked "
            f"for among {classes} classes: such trainings find little to learn anywhere. Train "
            "longer, or on more files."
        )
    control_fit = fmean(runs.control_fit)
    if fit < control_fit - FIT_SLACK - _ROUNDING:
        return "uninformative", _fits_worse(fit, control_fit)
    gap = runs.control_lower - runs.upper
    compared = (
        f"Of {runs.runs} trainings on each, the best on the protected files gets "
        f"{at_most(runs.upper)} of the clean test images right, the worst on the originals "
        f"{at_least(runs.control_lower)}: "
        f"a gap of {_points(gap)}, where {_points(MARGIN)} are asked for. Each bounds "
        f"{100 * runs.q:g} % of such trainings with {confidence_words(runs.confidence)} "
        "confidence."
    )
    if gap < MARGIN - _ROUNDING:
        return "uninformative", (
            f"{compared} Models trained on the protected files may be as good as others."
        )
    early = max(runs.protected_best) / runs.tests
    stopped = f" Stopped at its best epoch, one of them had {at_most(early)}."
    return "informative", compared + (stopped if early > runs.upper else "")


def _too_few_draws(protected: SurrogateCertificate, setting: Smoothing) -> str:
    eta = min((bound.eta for bound in protected.bounds), default=0.0)
    largest = max_certifiable_eta(setting.draws, setting.q, setting.sigma, setting.confidence)
    reach = f"only η up to {largest:.3g}, not those asked for" if largest >= 0 else "no η at all"
    needed = draws_needed(eta, setting.q, setting.sigma, setting.confidence)
    remedy = "Ask for a smaller η" if needed is None else f"Take {needed:,} draws for η = {eta:g}"
    return f"{setting.draws:,} draws can certify {reach}. {remedy}, or lower q."


def _learned_nothing(fit: float, classes: int) -> str:
    return (
        f"The surrogate learned nothing: it gets {100 * fit:.1f} % of its own training files "
        f"right, where guessing among {classes} classes gets {100 / classes:.1f} %. Such a model "
        "certifies any files as unlearnable. Train it longer, or on more files."
    )


def _fits_worse(fit: float, control_fit: float) -> str:
    return (
        f"The surrogate trained on the protected files fits {100 * fit:.1f} % of them, the control "
        f"{100 * control_fit:.1f} % of the originals. One that was trained less well says nothing "
        "about the files. Train both until they fit."
    )


def _why_no_gap(control: SurrogateCertificate, lower: float, setting: Smoothing) -> str:
    if lower < control.accuracy / 2:
        return (
            f"The noise, σ = {setting.sigma:g}, ruins the control too: without it, it gets "
            f"{100 * control.accuracy:.1f} %. Take a smaller σ, or surrogates trained under noise."
        )
    return "Models trained on the protected files may be nearly as good as others."


def _points(gap: float) -> str:
    points = floor(1000 * gap + 1e-6) / 10
    return f"{points:g} points"
