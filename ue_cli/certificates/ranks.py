"""Order statistics: which of N independent values bounds a quantile of what they come from.

The q-quantile of a distribution is the smallest x with P(X ≤ x) ≥ q. Of N independent values the
k-th smallest is below it only if k or more of them are, which has a probability of at most
P(Bin(N, q) ≥ k), with equality where the distribution is continuous. Ties only help. So one
binomial tail turns a sample into a statement, whatever the distribution (Wilks 1941).
"""

from __future__ import annotations

from bisect import bisect_left
from math import ceil, inf, log, log1p

from scipy.special import betainc

_ROUNDING = 1e-9
"""A risk that is met exactly, say ½⁵, must not be lost to the last digit of a float."""
_MOST_DRAWS = 10**15
"""From here on a float no longer tells the quantile that is needed from 1."""


def bound_rank(draws: int, quantile: float, confidence: float) -> int | None:
    """Which order statistic bounds a quantile from above.

    Args:
        draws: N, the number of independent values; 10⁸ is no slower than 10.
        quantile: q, which quantile of their distribution is bounded.
        confidence: 1 − α.

    Returns:
        The smallest k, from 1, with BinomCDF(k − 1; N, q) ≥ 1 − α: the k-th smallest value is at
        least the q-quantile with that confidence. None: not even the largest is.
    """
    if draws < 1:
        raise ValueError(f"At least one draw is needed; {draws} is too few.")
    if not quantile > 0:
        raise ValueError(f"A quantile lies above 0; {quantile} does not.")
    least = -log_risk(confidence)
    if quantile >= 1:
        return None

    def safety(k: int) -> float:
        # −ln P(Bin(N, q) ≥ k), which grows with k; the tail is a regularised beta function.
        risk = float(betainc(k, draws - k + 1, quantile))
        return -log(risk) if risk > 0 else inf

    index = bisect_left(range(1, draws + 1), least, key=safety)
    return index + 1 if index < draws else None


def draws_for(log_quantile: float, confidence: float) -> int | None:
    """The smallest N whose largest value bounds a quantile: q^N ≤ α.

    Args:
        log_quantile: ln q, which keeps the digits of a q next to 1.
        confidence: 1 − α.

    Returns:
        N; None: more than 10¹⁵, out of anyone's reach.
    """
    least = log_risk(confidence)
    return None if least <= _MOST_DRAWS * log_quantile else ceil(least / log_quantile)


def log_risk(confidence: float) -> float:
    """Ln α."""
    if not 0 < confidence < 1:
        raise ValueError(f"A confidence lies between 0 and 1, excluded; {confidence} does not.")
    return log1p(-confidence) * (1 - _ROUNDING)


def bonferroni(confidence: float, statements: int) -> float:
    """1 − α/n: the confidence that each of n statements needs so that all hold with 1 − α."""
    if statements < 1:
        raise ValueError(f"There must be a statement to share the risk; {statements} came.")
    return 1 - (1 - confidence) / statements
