"""A perturbation that an adversary has, as it lies on each file of a training set."""

from __future__ import annotations

from dataclasses import dataclass, fields

import torch
from torch import Tensor


@dataclass(frozen=True, slots=True)
class PublicBank:
    """Cells of each class, and how each training file stretches and crops them.

    Laying out is linear and separable: on a file of frame f the cells c are
    ``down[f] @ c @ across[f].T``. A frame is what files share that have the same shape.

    Attributes:
        cells: (2, classes, per_class, 3, rows, columns) float32 in 8-bit levels: of class y what
            colour files carry, and what gray ones do.
        frame: (n,) int64, of each training file.
        gray: (frames,) int64, 1 where its files are gray.
        down: (frames, h, rows) float32.
        across: (frames, w, columns) float32.
    """

    cells: Tensor
    frame: Tensor
    gray: Tensor
    down: Tensor
    across: Tensor

    def to(self, device: torch.device) -> PublicBank:
        """All of it on that device."""
        return PublicBank(*(getattr(self, field.name).to(device) for field in fields(self)))

    def fits(self, images: Tensor, labels: Tensor) -> bool:
        """Whether it is for these files: their number, their size and their classes."""
        shape = len(self.frame), 3, self.down.shape[1], self.across.shape[1]
        return images.shape == shape and self.cells.shape[1] > int(labels.max())

    def lay(self, cells: Tensor, frame: Tensor) -> Tensor:
        """Cells as they lie on files.

        Args:
            cells: (k, …, rows, columns), of k files.
            frame: (k,) of those files.

        Returns:
            (k, …, h, w).
        """
        down, across = self._axes(frame, cells.ndim)
        return down @ cells @ across.mT

    def gather(self, pixels: Tensor, frame: Tensor) -> Tensor:
        """The transpose of `lay`: ⟨gather(p), c⟩ = ⟨p, lay(c)⟩; (k, …, h, w) → (k, …, rows, …)."""
        down, across = self._axes(frame, pixels.ndim)
        return down.mT @ pixels @ across

    def overlap(self, cells: Tensor, frame: Tensor) -> Tensor:
        """Gather what is laid out, without making images: ⟨c, overlap of d⟩ is ⟨δ of c, δ of d⟩."""
        down, across = self._axes(frame, cells.ndim)
        return (down.mT @ down) @ cells @ (across.mT @ across)

    def _axes(self, frame: Tensor, ndim: int) -> tuple[Tensor, Tensor]:
        """Both matrices of each file, with as many dimensions between as what they multiply."""
        between = (1,) * (ndim - 3)
        down, across = self.down[frame], self.across[frame]
        return (
            down.view(len(frame), *between, *down.shape[1:]),
            across.view(len(frame), *between, *across.shape[1:]),
        )
