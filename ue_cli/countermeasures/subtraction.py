"""Subtraction: whoever has the perturbation that was published takes it off again."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from ue_cli.countermeasures.filters import to_bytes
from ue_cli.countermeasures.projection import mean_image
from ue_cli.training.hooks import Arm, Knowledge, Plain
from ue_cli.training.publicbank import PublicBank

if TYPE_CHECKING:
    from ue_cli.training.ssl_recipes import SslRecipe
    from ue_cli.training.supervised import VictimRecipe

_CHUNK = 256


class Subtraction(Plain):
    """Subtract the class's entry of a public bank; of several, the one that leaves least behind.

    This is all that can be known: which entries a class has, but neither a private key nor the
    original. Natural images change little from pixel to pixel, so the right entry is the one
    without which the file is smoothest: least squared differences of neighbours, the likelihood
    under a 1/f² spectrum. Test images carry no perturbation and stay as they are, and so do
    originals: less an entry they would carry its opposite, which is no control for anything.
    """

    def prepare(
        self, images: Tensor, labels: Tensor, knowledge: Knowledge, generator: torch.Generator
    ) -> Tensor:
        """The files less an entry each; as they are where they are their originals."""
        bank = bank_of(knowledge, labels, images)
        if knowledge.clean is not None and torch.equal(knowledge.clean.to(images.device), images):
            return images
        parts = []
        for chunk, classes, frame in _chunks(images, labels, bank.frame):
            pixels = chunk.float()
            entries = bank.cells[bank.gray[frame], classes]
            best = _smoothed(pixels, bank, entries, frame).argmax(dim=1)
            chosen = entries[torch.arange(len(chunk), device=images.device), best]
            parts.append(to_bytes(pixels - bank.lay(chosen, frame)))
        return torch.cat(parts)

    def same_as_plain(self, recipe: VictimRecipe | SslRecipe, arm: Arm) -> bool:
        """Originals stay as they are: the control is the plain one."""
        return arm == "clean"


def _smoothed(pixels: Tensor, bank: PublicBank, entries: Tensor, frame: Tensor) -> Tensor:
    """By how much ‖∇x‖² falls when an entry is subtracted: 2⟨∇x, ∇δ⟩ − ‖∇δ‖².

    Args:
        pixels: (k, 3, h, w).
        bank: that lays the entries out.
        entries: (k, per_class, 3, rows, columns).
        frame: (k,).

    Returns:
        (k, per_class).
    """
    steps = (
        (replace(bank, down=bank.down.diff(dim=1)), pixels.diff(dim=2)),
        (replace(bank, across=bank.across.diff(dim=1)), pixels.diff(dim=3)),
    )
    fallen = torch.zeros_like(entries)
    for slopes, edges in steps:
        projection = slopes.gather(edges, frame)[:, None]
        fallen += entries * (2 * projection - slopes.overlap(entries, frame))
    return fallen.sum(dim=(2, 3, 4))


class SpanSubtraction(Plain):
    """Take out of every file its least-squares fit by all entries of a public bank.

    Labels and variants need not be known, nor at what strength an entry was applied. The mean
    image stays where it is.
    """

    def prepare(
        self, images: Tensor, labels: Tensor, knowledge: Knowledge, generator: torch.Generator
    ) -> Tensor:
        """The files without the span of the bank, (n, 3, h, w) float16."""
        bank = bank_of(knowledge, labels, images)
        mean = mean_image(images)
        spanning = _spanning(bank.cells)
        parts = []
        for chunk, frame in _chunks(images, bank.frame):
            pixels = chunk.float() - mean
            frames, which = torch.unique(frame, return_inverse=True)
            basis = spanning[bank.gray[frames]]
            gram = basis.flatten(2) @ bank.overlap(basis, frames).flatten(2).mT
            # On the CPU: not every device decomposes. What a crop shows of a direction may be
            # nothing; single precision leaves 1e-6 of the strongest there.
            inverse = torch.linalg.pinv(gram.cpu().double(), rtol=1e-5, hermitian=True)
            directions = basis[which]
            products = (directions * bank.gather(pixels, frame)[:, None]).sum(dim=(2, 3, 4))
            shares = inverse.to(images.device, torch.float32)[which] @ products[:, :, None]
            fit = bank.lay((directions * shares[..., None, None]).sum(dim=1), frame)
            # An eighth of a level is exact enough; whole levels would bring some of it back.
            parts.append((pixels - fit + mean).half())
        return torch.cat(parts)


def _chunks(*tensors: Tensor) -> zip[tuple[Tensor, ...]]:
    return zip(*(torch.split(tensor, _CHUNK) for tensor in tensors), strict=True)


def _spanning(cells: Tensor) -> Tensor:
    """An orthonormal basis of all entries, of colour files and of gray ones.

    Args:
        cells: (2, classes, per_class, 3, rows, columns).

    Returns:
        (2, k, 3, rows, columns), k at most the number of entries and of values in one; zero where
        one basis needs fewer.
    """
    _, strengths, basis = torch.linalg.svd(
        cells.flatten(3).flatten(1, 2).cpu(), full_matrices=False
    )
    strong = strengths > 1e-5 * strengths.amax(dim=1, keepdim=True).clamp(min=1e-30)
    spanning: Tensor = (basis * strong[..., None]).unflatten(2, cells.shape[3:])
    return spanning.to(cells.device)


def bank_of(knowledge: Knowledge, labels: Tensor, images: Tensor) -> PublicBank:
    """The adversary's bank, on the images' device.

    Raises:
        ValueError: there is none, or it is for other files.
    """
    bank = knowledge.bank
    if bank is None:
        raise ValueError("subtraction needs a published perturbation")
    if not bank.fits(images, labels):
        raise ValueError(
            f"a perturbation of {bank.cells.shape[1]} classes on {len(bank.frame)} files does not "
            f"fit {int(labels.max()) + 1} classes of images of shape {tuple(images.shape)}"
        )
    return bank.to(images.device)
