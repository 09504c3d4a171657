"""The surrogate-free method in pixel space: δ itself, descending on CSD (Ren et al., ICLR 2023)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from hashlib import shake_256

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from ue_cli import __version__
from ue_cli.errors import UeError
from ue_cli.methods.descent import descend
from ue_cli.methods.discriminant import Gradient, Summary, summarise
from ue_cli.methods.entries import check_frozen
from ue_cli.types import Bank, Budget, FloatArray, OnStep, Provenance


def keyed_start(seed: bytes, per_class: int, values: int) -> FloatArray:
    """A class's random start, (per_class, values) uniform in (−1, 1), from its seed alone.

    Bytes of SHAKE-256, so that no change in a library's generator can move it.
    """
    raw = np.frombuffer(shake_256(seed).digest(2 * per_class * values), "<u2")
    values_in_ball = (raw.astype(np.float32) + np.float32(0.5)) / np.float32(32768) - np.float32(1)
    return values_in_ball.reshape(per_class, values)


@dataclass(frozen=True, slots=True, kw_only=True)
class PixelCsd:
    """The surrogate-free method in pixel space: every class's samples start at random and descend.

    Attributes:
        cells: side of the square of cells that is later stretched over an image; the images' own
            side gives one cell per pixel, as published.
        per_class: samples per class; images of the class take turns.
        steps: signed-gradient steps.
        step: size of one, in 8-bit levels.
        gradient: the paper's, or the released code's.
    """

    cells: int = 8
    per_class: int = 64
    steps: int = 20
    step: float = 0.8
    gradient: Gradient = "paper"

    def optimise(
        self,
        classes: Sequence[str],
        seeds: Mapping[str, bytes],
        budget: Budget,
        *,
        frozen: Bank | None = None,
        device: str = "cpu",
        on_step: OnStep | None = None,
    ) -> Bank:
        """Make a bank, or let classes join one.

        Args:
            classes: names; those that ``frozen`` holds keep their entries.
            seeds: of every new class's random start.
            budget: the ball.
            frozen: entries that new classes are optimised against and that do not change.
            device: for torch.
            on_step: see `types.OnStep`; the objective is CSD before the step.

        Returns:
            The frozen entries, then the new ones in the order of ``classes``. One class alone is
            optimised against unperturbed images, which is what it must be told apart from.

        Raises:
            UeError: the frozen bank has another shape or budget.
        """
        shape = (3, self.cells, self.cells)
        if frozen is not None:
            check_frozen(frozen, (self.per_class, *shape), budget)
        frozen_classes = () if frozen is None else frozen.classes
        new = [name for name in dict.fromkeys(classes) if name not in frozen_classes]
        if not new and frozen is not None:
            return frozen
        if not new:
            raise UeError("csd-classes", "There is no class to protect.", "Add photos.")
        values = 3 * self.cells**2
        start = np.empty((len(new), self.per_class, values), np.float32)
        for k, name in enumerate(new):
            start[k] = keyed_start(seeds[name], self.per_class, values)
        delta = torch.from_numpy(start).to(device).mul_(budget.epsilon)

        fixed = None
        if frozen is not None:
            fixed = summarise(_scaled(frozen.delta, device))
        elif len(new) == 1:
            zero = torch.zeros(1, values, device=device)
            fixed = Summary(zero, zero[:, 0])
        before = _joint(delta, fixed)
        descend(
            delta,
            radius=budget.epsilon,
            step=self.step / 255,
            steps=self.steps,
            gradient=self.gradient,
            fixed=fixed,
            on_step=on_step,
        )
        levels = delta.mul_(255).round_().clamp_(-budget.levels, budget.levels)
        entries = levels.to(torch.int8).cpu().numpy().reshape(len(new), self.per_class, *shape)
        recipe = {
            **asdict(self),
            "csd_before": before,
            "csd_after": _joint(_scaled(entries, device), fixed),
        }
        whole = entries
        if frozen is not None:
            whole = np.concatenate([frozen.delta, entries])
            recipe["joined"] = [*frozen.provenance.recipe.get("joined", []), new]
        return Bank(
            whole,
            (*frozen_classes, *new),
            budget,
            Provenance("csd", "pixel", recipe, f"ue {__version__}"),
        )


def _scaled(levels: NDArray[np.int8], device: str) -> Tensor:
    """Levels (m, per_class, …) in units of full scale, (m, per_class, d)."""
    rows = levels.reshape(*levels.shape[:2], -1).astype(np.float32) / np.float32(255)
    return torch.from_numpy(rows).to(device)


def _joint(delta: Tensor, fixed: Summary | None) -> float:
    summary = summarise(delta)
    return (summary if fixed is None else summary.joined(fixed)).value()
