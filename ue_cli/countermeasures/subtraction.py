"""Subtraction: whoever has the perturbation that was published takes it off again."""

from __future__ import annotations

import torch
from torch import Tensor

from ue_cli.countermeasures.filters import to_bytes
from ue_cli.countermeasures.projection import mean_image, project_out
from ue_cli.training.hooks import Knowledge, Plain

_CHUNK = 1000


class Subtraction(Plain):
    """Subtract the class's entry of a public bank; of several, the one most like the file.

    This is all that can be known: which entry a class has, but neither a private key nor the
    original. Test images carry no perturbation and stay as they are.
    """

    def prepare(
        self, images: Tensor, labels: Tensor, known: Knowledge, generator: torch.Generator
    ) -> Tensor:
        """The files less an entry each."""
        bank = bank_of(known, labels, images)
        mean = mean_image(images)
        unit = bank.flatten(2)
        unit = unit / unit.norm(dim=2, keepdim=True).clamp(min=1e-12)
        parts = []
        for some, own in zip(torch.split(images, _CHUNK), torch.split(labels, _CHUNK), strict=True):
            pixels = some.float()
            likeness = ((pixels - mean).flatten(1) @ unit.flatten(0, 1).T).view(
                len(some), *unit.shape[:2]
            )
            each = torch.arange(len(some), device=images.device)
            parts.append(to_bytes(pixels - bank[own, likeness[each, own].argmax(dim=1)]))
        return torch.cat(parts)


class SpanSubtraction(Plain):
    """Take out of every file its least-squares fit by all entries of a public bank.

    Labels and variants need not be known, nor at what strength an entry was applied.
    """

    def prepare(
        self, images: Tensor, labels: Tensor, known: Knowledge, generator: torch.Generator
    ) -> Tensor:
        """The files without the span of the bank, (n, 3, h, w) float16."""
        return project_out(images, bank_of(known, labels, images).flatten(0, 1).flatten(1))


def bank_of(known: Knowledge, labels: Tensor, images: Tensor) -> Tensor:
    """The adversary's bank, (classes, per_class, 3, h, w) float32 on the images' device.

    Raises:
        ValueError: there is none, or it does not fit the files.
    """
    if known.bank is None:
        raise ValueError("subtraction needs a published perturbation")
    bank = known.bank
    if bank.ndim != 5 or bank.shape[2:] != images.shape[1:] or len(bank) <= int(labels.max()):
        raise ValueError(
            f"a perturbation of shape {tuple(bank.shape)} does not fit {int(labels.max()) + 1} "
            f"classes of images of shape {tuple(images.shape[1:])}"
        )
    return bank.to(images.device, torch.float32)
