"""The row that describes one countermeasure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

Tier = Literal["quick", "standard", "full"]
Kind = Literal["training", "readout", "after", "files"]
Need = Literal["clean", "bank"]

TIERS: tuple[Tier, ...] = ("quick", "standard", "full")
"""Each holds what those before it hold."""


@dataclass(frozen=True, slots=True)
class Spec:
    """One countermeasure.

    Attributes:
        name: what users type and reports print.
        summary: what the adversary does, in one line.
        source: where it comes from.
        tier: the smallest that it belongs to.
        target: ``module:Class`` of `ue_cli.training.hooks.Hooks`, where the kind is ``training``.
        arguments: of the class.
        kind: ``training`` is a training of its own, ``readout`` is read off the plain one,
            ``after`` goes on from the plain one's weights, and ``files`` is the plain training on
            files that were changed at their full size.
        needs: what it needs beside the published files: their originals (``clean``), or a
            published perturbation (``bank``).
        diluted: per cent of the training files in whose place the adversary has clean originals.
        version: of what it does; a new one makes its cached trainings anew.
    """

    name: str
    summary: str
    source: str
    tier: Tier
    target: str = ""
    arguments: Mapping[str, Any] = field(default_factory=dict, hash=False)
    kind: Kind = "training"
    needs: tuple[Need, ...] = ()
    diluted: int = 0
    version: int = 1
