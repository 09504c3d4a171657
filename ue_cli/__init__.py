"""`ue`: protect published images with unlearnable examples, and measure what that is worth.

From Python: `protect`, `certify`, `evaluate` and `optimize` do what the commands of these names do,
and `perturb` protects tensors. Nothing heavy is imported before one of them is used.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from ue_cli.api import certify, evaluate, optimize, perturb, protect

__version__ = "0.1.0"
__all__ = ["__version__", "certify", "evaluate", "optimize", "perturb", "protect"]


def __getattr__(name: str) -> Any:
    """Import the function of that name when it is asked for (PEP 562)."""
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from ue_cli import api

    return getattr(api, name)
