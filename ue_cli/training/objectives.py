"""What contrastive learners minimise, as functions of embeddings."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional


def nt_xent(first: Tensor, second: Tensor, temperature: float) -> Tensor:
    """SimCLR's normalised temperature-scaled cross-entropy (Chen et al., ICML 2020, eq. 1).

    Each view is to find the other one of its image among the 2n − 1 others of the batch.

    Args:
        first: (n, d), of any length.
        second: (n, d), of the same images in the same order.
        temperature: that cosines are divided by.
    """
    both = functional.normalize(torch.cat([first, second]))
    count = len(first)
    logits = (both @ both.T / temperature).fill_diagonal_(float("-inf"))
    partners = torch.arange(2 * count, device=both.device).roll(count)
    return functional.cross_entropy(logits, partners)


def info_nce(queries: Tensor, keys: Tensor, queue: Tensor, temperature: float) -> Tensor:
    """MoCo's loss (He et al., CVPR 2020, eq. 1): find one's key among the queue's.

    Args:
        queries: (n, d) of length 1.
        keys: (n, d) of length 1, of the same images.
        queue: (k, d) of length 1, of other images.
        temperature: that cosines are divided by.
    """
    positives = (queries * keys).sum(dim=1, keepdim=True)
    logits = torch.cat([positives, queries @ queue.T], dim=1) / temperature
    return functional.cross_entropy(logits, logits.new_zeros(len(logits), dtype=torch.long))


def negative_cosine(predictions: Tensor, targets: Tensor) -> Tensor:
    """SimSiam's D (Chen & He, CVPR 2021, eq. 1), averaged; both (n, d) of any length."""
    return -functional.cosine_similarity(predictions, targets).mean()
