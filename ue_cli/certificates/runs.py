"""The training-run certificate: what K independent trainings prove about the next one.

The accuracies of K independent trainings on the same files are i.i.d. draws of "what a training
on these files reaches", so their order statistics bound its quantiles, whatever its distribution
(S. S. Wilks, "Determination of Sample Sizes for Setting Tolerance Limits", Annals of Mathematical
Statistics 12, 1941). No weights, no noise, no ball: the largest of K is exceeded by at most a
share 1 − q of all such trainings, with confidence 1 − q^K. K is fixed before the first training
and never cut short by the clock, and the trainings share nothing but the files and the stated
distribution of everything else.
"""

from __future__ import annotations

from collections.abc import Sequence

from ue_cli.types import RunsCertificate


def runs_confidence(runs: int, q: float) -> float:
    """1 − q^K: the confidence of the largest of K, or of the smallest, for a share q.

    To bound several countermeasures at once, ask each for ``bonferroni(confidence, n)``. The
    largest of their bounds needs no such share: it is at least the bound of the worst of them,
    and which one is the worst does not depend on the trainings.
    """
    _check_share(q)
    if runs < 1:
        raise ValueError("It takes at least one training.")
    return float(1 - q**runs)


def certify_runs(
    protected: Sequence[int],
    control: Sequence[int] = (),
    *,
    tests: int,
    q: float,
    protected_fit: Sequence[float],
    control_fit: Sequence[float] = (),
    protected_best: Sequence[int],
    distribution: str,
) -> RunsCertificate:
    """Certify K finished trainings by the largest of the protected and the smallest control.

    Args:
        protected: correct test images after each of K trainings on the protected files.
        control: the same for K trainings on the originals; empty without originals.
        tests: size of the clean test set.
        q: the share of trainings that the statement speaks about.
        protected_fit: share of its own files that each of them fits.
        control_fit: the same for the control.
        protected_best: correct test images at the best epoch of each protected training.
        distribution: what varied between the trainings and what did not, in words.

    Raises:
        ValueError: the lengths do not agree, or a number is out of range.
    """
    runs = len(protected)
    confidence = runs_confidence(runs, q)
    lengths = {"fits": len(protected_fit), "best epochs": len(protected_best)}
    if control or control_fit:
        lengths |= {"controls": len(control), "fits of controls": len(control_fit)}
    for name, length in lengths.items():
        if length != runs:
            raise ValueError(f"{runs} trainings came with {length} {name}; K is one number.")
    _sorted_counts(protected_best, tests)
    return RunsCertificate(
        runs=runs,
        q=q,
        confidence=confidence,
        tests=tests,
        protected=tuple(protected),
        control=tuple(control),
        protected_fit=tuple(protected_fit),
        control_fit=tuple(control_fit),
        upper=_sorted_counts(protected, tests)[-1] / tests,
        control_lower=_sorted_counts(control, tests)[0] / tests if control else None,
        protected_best=tuple(protected_best),
        distribution=distribution,
    )


def _sorted_counts(correct: Sequence[int], tests: int) -> list[int]:
    ordered = sorted(correct)
    if not ordered or ordered[0] < 0 or ordered[-1] > tests or tests < 1:
        raise ValueError(f"Counts of correct images run from 0 to {tests}; these are {ordered}.")
    return ordered


def _check_share(q: float) -> None:
    if not 0 < q < 1:
        raise ValueError(f"The share q of trainings lies between 0 and 1, excluded; {q} does not.")
