"""One surrogate's certificate as a row of numbers, from which every bound can be computed again."""

from __future__ import annotations

from torch import Tensor, nn

from reproduction.store import Row
from ue_cli.certificates.sampling import count_correct, count_without_noise
from ue_cli.certificates.smoothing import (
    certify_grid,
    certify_population,
    certify_simultaneous,
    eta_grid,
    lower_quantile,
    max_certifiable_eta,
)
from ue_cli.certificates.verdict import judge
from ue_cli.training.scales import weight_norm
from ue_cli.types import NoisyCounts, Smoothing, SurrogateCertificate


def certified(
    net: nn.Module, images: Tensor, truth: Tensor, setting: Smoothing, *, seed: int, device: str
) -> Row:
    """Count what noisy copies get right, and bound it.

    Args:
        net: the surrogate.
        images: (m, 3, s, s) float32, as the network sees them.
        truth: (m,).
        setting: fixed before.
        seed: of the draws.
        device: for torch.
    """
    counts = count_correct(net, images, truth, setting, seed=seed, device=device)
    bounds = certify_grid(counts, eta_grid(setting.sigma), setting)
    reach = max_certifiable_eta(setting.draws, setting.q, setting.sigma, setting.confidence)
    return {
        "sigma": setting.sigma,
        "q": setting.q,
        "confidence": setting.confidence,
        "scaling": setting.scaling,
        "max_eta": reach,
        "correct_without_noise": count_without_noise(net, images, truth, device=device),
        "tests": len(images),
        "weight_norm": weight_norm(net, setting.scaling),
        "lower_quantile": lower_quantile(counts, setting),
        "bounds": [{"eta": bound.eta, "upper": bound.upper} for bound in bounds],
        "counts": list(counts.correct),
    }


def judged(row: Row, control: Row, setting: Smoothing, *, classes: int) -> Row:
    """The verdict on a protected surrogate's row beside the clean one's."""
    verdict, reason = judge(
        _certificate(row, "protected", setting),
        _certificate(control, "clean", setting),
        setting,
        classes=classes,
    )
    return {"verdict": verdict, "reason": reason}


def upper_at(row: Row, eta: float, setting: Smoothing) -> float | None:
    """A row's bound at any radius; None: it abstains."""
    return certify_grid(_counts(row), (eta,), setting)[0].upper


def _counts(row: Row) -> NoisyCounts:
    return NoisyCounts(tuple(row["counts"]), row["tests"])


def _certificate(row: Row, arm: str, setting: Smoothing) -> SurrogateCertificate:
    counts = _counts(row)
    etas = eta_grid(setting.sigma)
    return SurrogateCertificate(
        arm=arm,
        training="plain",
        correct=row["correct_without_noise"],
        fit=row["fit"],
        weight_norm=row["weight_norm"],
        counts=counts,
        bounds=certify_grid(counts, etas, setting),
        simultaneous=certify_simultaneous(counts, etas, setting),
        population=certify_population(counts, etas, setting),
        lower=lower_quantile(counts, setting),
        sha256="",
    )
