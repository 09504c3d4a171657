"""In what precision networks run."""

from __future__ import annotations

import torch


def autocast(device: str) -> torch.autocast:
    """Products in bfloat16; sums, norms and the loss stay in single precision."""
    return torch.autocast(torch.device(device).type, torch.bfloat16)
