"""The method's effect on benchmark files, as `scripts/effect.py` measured it, for the report."""

from __future__ import annotations

from ue_cli.pipeline.options import ProtectOptions
from ue_cli.report import Table


def effect_table(options: ProtectOptions) -> Table | None:
    """Victim accuracies under the default recipe; None where these flags were not measured."""
    return None


def transformation_table(options: ProtectOptions) -> Table | None:
    """What the default recipe was measured to survive; None where these flags were not measured."""
    return None
