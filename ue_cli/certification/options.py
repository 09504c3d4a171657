"""What `ue certify` was asked to do, and what that makes of surrogate and setting."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Literal

from ue_cli.datasets.subject import Subject
from ue_cli.training.architectures import VictimName
from ue_cli.training.supervised import VictimRecipe
from ue_cli.training.victims import victim_recipe
from ue_cli.types import Scaling, Smoothing

PRESETS = {
    "default": Smoothing(scaling="relative"),
    "paper": Smoothing(sigma=0.25, draws=1000, q=0.9, confidence=0.99, scaling="absolute"),
}
"""``paper`` is the published setting (Wang et al., NDSS 2025); ``default`` chooses its σ."""

ROBUST: dict[Scaling, float] = {"absolute": 0.02, "relative": 0.25}
"""The largest weight noise that a robust surrogate is trained under, by its units."""

PUBLISHED_NOISE = 0.25
"""PUE's σ_train, which ``paper`` trains its robust surrogate under."""


@dataclass(frozen=True, slots=True)
class CertifyOptions(Subject):
    """The flags of `ue certify`, typed.

    Attributes:
        preset: ``default``, or ``paper``: the published surrogate and setting.
        runs: K, trainings on either side.
        victims: architectures that each of them draws from; empty: the preset's.
        q, draws, sigma, confidence, scaling: of the smoothing; None: the preset's.
    """

    preset: Literal["default", "paper"] = "default"
    runs: int = 5
    victims: tuple[VictimName, ...] = ()
    q: float | None = None
    draws: int | None = None
    sigma: float | None = None
    confidence: float | None = None
    scaling: Scaling | None = None

    @property
    def given_sigma(self) -> float | None:
        """σ where it is not to be chosen on pilot draws."""
        if self.sigma is None and self.preset == "paper":
            return PRESETS["paper"].sigma
        return self.sigma

    def setting(self) -> Smoothing:
        """The preset with what was given in its place; σ may still be chosen."""
        asked = {
            "q": self.q,
            "draws": self.draws,
            "sigma": self.sigma,
            "confidence": self.confidence,
            "scaling": self.scaling,
        }
        given = {name: value for name, value in asked.items() if value is not None}
        return replace(PRESETS[self.preset], **given)  # type: ignore[arg-type]

    @property
    def architectures(self) -> tuple[VictimName, ...]:
        """What each training draws from; the first is smoothed as well."""
        return self.victims or (("resnet18",) if self.preset == "paper" else ("small",))

    def surrogate(self, train_files: int, name: VictimName) -> VictimRecipe:
        """How a victim of that architecture trains plainly."""
        return victim_recipe(name, train_files=train_files, side=self.square)

    def robust(self, plain: VictimRecipe, scaling: Scaling) -> VictimRecipe:
        """The same under weight noise."""
        noise = PUBLISHED_NOISE if self.preset == "paper" else ROBUST[scaling]
        return replace(plain, noise=noise, noise_scaling=scaling)

    def command(self) -> str:
        """The command line that does it again."""
        flags: list[tuple[str, object]] = [
            *self.changed("preset", "runs"),
            *(("--victim", name) for name in self.victims),
            ("--q", self.q),
            ("--draws", self.draws),
            ("--sigma", self.sigma),
            ("--confidence", self.confidence),
            ("--smoothing", self.scaling),
        ]
        return self.command_line("certify", flags)
