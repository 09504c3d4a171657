"""What a finite test set says about one model's accuracy."""

from __future__ import annotations

from scipy.special import betainccinv, betaincinv


def clopper_pearson(correct: int, tests: int, confidence: float) -> tuple[float, float]:
    """Exact interval for the accuracy of one fixed model (Clopper and Pearson, Biometrika 1934).

    For A(θ̂) alone: the model was fixed before the test images were looked at. It is no substitute
    for ``certify_population``, which speaks about all noisy models at once.

    Args:
        correct: test images that the model gets right.
        tests: how many there are, an independent sample of those it will meet.
        confidence: of the interval; each end is missed with half of the risk.

    Returns:
        The lowest and the highest accuracy, in [0, 1].
    """
    if not 0 <= correct <= tests or tests < 1:
        raise ValueError(f"{correct} of {tests} test images right: not a count.")
    if not 0 < confidence < 1:
        raise ValueError(f"A confidence lies between 0 and 1, excluded; {confidence} does not.")
    tail, wrong = (1 - confidence) / 2, tests - correct
    low = float(betaincinv(correct, wrong + 1, tail)) if correct else 0.0
    high = float(betainccinv(correct + 1, wrong, tail)) if wrong else 1.0
    return low, high
