"""How a perturbation is made, by name; flags and scripts read this without torch."""

from __future__ import annotations

from typing import Literal

Making = Literal["csd", "pue", "em", "tue"]
"""Methods that make a perturbation of one's own."""

TuePreset = Literal["small", "targeted", "paper"]
"""Recipes of TUE; see `methods.tue_presets`."""
