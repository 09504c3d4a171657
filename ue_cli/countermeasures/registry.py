"""Countermeasures by name. Nothing here needs torch, until one is built."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any, cast

from ue_cli.countermeasures.rows import SPECS
from ue_cli.countermeasures.spec import TIERS, Kind, Need, Spec, Tier
from ue_cli.errors import unknown_name

if TYPE_CHECKING:
    from ue_cli.training.hooks import Hooks

__all__ = [
    "SPECS",
    "TIERS",
    "Kind",
    "Need",
    "Spec",
    "Tier",
    "build",
    "find",
    "identity",
    "in_tier",
]


def find(name: str) -> Spec:
    """The row of that name.

    Raises:
        UeError: there is none; the hint lists what there is, the closest first.
    """
    rows = {spec.name: spec for spec in SPECS}
    if name in rows:
        return rows[name]
    raise unknown_name(
        "countermeasure-unknown", f"There is no countermeasure {name!r}.", name, rows
    )


def in_tier(tier: Tier) -> tuple[Spec, ...]:
    """All rows of a tier and of those before it, in the order of the registry."""
    held = TIERS[: TIERS.index(tier) + 1]
    return tuple(spec for spec in SPECS if spec.tier in held)


def build(name: str) -> Hooks:
    """What the trainer takes.

    Raises:
        UeError: no such name.
        ValueError: it is no training of its own.
    """
    spec = find(name)
    if spec.kind != "training":
        raise ValueError(f"{name} is no training of its own: its kind is {spec.kind}")
    module, _, kind = spec.target.partition(":")
    return cast("Hooks", getattr(import_module(module), kind)(**spec.arguments))


def identity(name: str) -> dict[str, Any]:
    """All that decides what a countermeasure does, as JSON: for the key of a cached training."""
    spec = find(name)
    return {
        "target": spec.target,
        "arguments": dict(spec.arguments),
        "needs": list(spec.needs),
        "version": spec.version,
    }
