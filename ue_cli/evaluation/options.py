"""What `ue evaluate` was asked to do."""

from __future__ import annotations

from dataclasses import dataclass, replace

from ue_cli.banks.legacy import Units
from ue_cli.countermeasures.registry import SPECS, Spec, Tier, find, in_tier
from ue_cli.datasets.subject import Subject
from ue_cli.errors import UeError
from ue_cli.training.architectures import ARCHITECTURES, VICTIMS, VictimName, find_victim
from ue_cli.training.backbones import cache_folders, find_backbone, find_backbones
from ue_cli.training.victims import Recipe, recipe_of

SEEDS: dict[Tier, int] = {"quick": 1, "standard": 3, "full": 3}
"""Trainings of each kind, where ``--seeds`` does not say.

A small victim takes 2,000 steps of 0.08 s on one core, so that the six trainings of the quick tier
(three countermeasures; the crop is that of the plain training) end within ten minutes on two."""
TIER_VICTIMS: dict[Tier, tuple[VictimName, ...]] = {
    "quick": ("small",),
    "standard": ("small",),
    "full": ("small", "resnet18", "vit-tiny"),
}
"""Networks, where ``--victim`` does not say."""


@dataclass(frozen=True, slots=True)
class EvaluateOptions(Subject):
    """The flags of `ue evaluate`, typed.

    Attributes:
        tier: which countermeasures and victims, and how many seeds.
        against: names of countermeasures; empty: the tier's.
        victims: names of networks; empty: the tier's.
        coverage: per cent of the training files that are protected, one evaluation each.
        seeds: trainings of each kind; None: the tier's.
        epochs: passes of each victim over its files; None: as many as its recipe has.
        bank: a perturbation that the adversary has, in any form that `ue protect` takes; what
            subtracts it is tried, too.
        order, units: of a published array, as in `ProtectOptions`.
        dry_run: say what would be trained, and stop.
    """

    tier: Tier = "quick"
    against: tuple[str, ...] = ()
    victims: tuple[str, ...] = ()
    coverage: tuple[int, ...] = (100,)
    seeds: int | None = None
    epochs: int | None = None
    bank: str | None = None
    order: str | None = None
    units: Units | None = None
    dry_run: bool = False

    @property
    def runs(self) -> int:
        """Trainings of each kind."""
        return SEEDS[self.tier] if self.seeds is None else self.seeds

    def recipe(self, victim: VictimName, *, train_files: int, side: int) -> Recipe:
        """How a victim trains here; see `recipe_of`."""
        whole = recipe_of(victim, train_files=train_files, side=side)
        return whole if self.epochs is None else replace(whole, epochs=self.epochs)

    def command(self) -> str:
        """The command line that does it again."""
        coverage = None if self.coverage == (100,) else ",".join(map(str, self.coverage))
        flags: list[tuple[str, object]] = [
            *self.changed("tier"),
            *(("--against", name) for name in self.against),
            *(("--victim", name) for name in self.victims),
            ("--coverage", coverage),
            ("--seeds", self.seeds),
            ("--epochs", self.epochs),
            ("--bank", self.bank),
            ("--order", self.order),
            ("--units", self.units),
        ]
        return self.command_line("evaluate", flags)


def chosen_countermeasures(options: EvaluateOptions) -> tuple[Spec, ...]:
    """Those asked for, or the tier's, and with a bank what needs one; a plain training comes first.

    Raises:
        UeError: an unknown name.
    """
    asked = tuple(find(name) for name in options.against) or in_tier(options.tier)
    given = () if options.bank is None else tuple(s for s in SPECS if "bank" in s.needs)
    return tuple({spec.name: spec for spec in (find("none"), *asked, *given)}.values())


def chosen_victims(options: EvaluateOptions) -> tuple[VictimName, ...]:
    """Those asked for, or the tier's; the full one has pretrained ones where weights are here.

    Raises:
        UeError: ``victim-unknown``; ``backbone-missing``: it needs weights that are not here.
    """
    wanted = {find_victim(name) for name in options.victims}
    named = tuple(victim for victim in VICTIMS if victim in wanted)
    if any(ARCHITECTURES[victim].pretrained for victim in named):
        find_backbone()
    if not named and options.tier == "full" and find_backbones(*cache_folders()):
        return (*TIER_VICTIMS["full"], *(v for v in VICTIMS if ARCHITECTURES[v].pretrained))
    return named or TIER_VICTIMS[options.tier]


def parse_coverage(text: str) -> tuple[int, ...]:
    """``100,90,50`` as whole per cents, the fullest first.

    Raises:
        UeError: ``coverage``.
    """
    parts = [part.strip().removesuffix("%").strip() for part in text.split(",")]
    if not all(part.isdecimal() and part.isascii() for part in parts):
        raise _bad_coverage(text)
    shares = {int(part) for part in parts}
    if not all(1 <= share <= 100 for share in shares):
        raise _bad_coverage(text)
    return tuple(sorted(shares, reverse=True))


def _bad_coverage(text: str) -> UeError:
    return UeError(
        "coverage",
        f"--coverage should list whole per cents from 1 to 100, but is {text!r}.",
        "For example: --coverage 100,90,50",
    )
