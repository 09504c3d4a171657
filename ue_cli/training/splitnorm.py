"""BatchNorm over parts of a batch: what many small GPUs do, on one device.

A key must not be normalised together with its query, or the statistics of the batch tell the two
apart from the other images (He et al., CVPR 2020, 3.3).
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional


class SplitBatchNorm2d(nn.BatchNorm2d):
    """In train mode consecutive parts of the batch have their own means and variances.

    The running statistics follow the mean of the parts' ones. In eval mode it is BatchNorm.

    Args:
        width: channels.
        splits: parts; a last one may be smaller.
    """

    def __init__(self, width: int, splits: int) -> None:
        super().__init__(width)
        self.splits = splits

    def forward(self, x: Tensor) -> Tensor:
        """(n, width, h, w) → the same shape."""
        mean, variance = self.running_mean, self.running_var
        if not self.training or mean is None or variance is None:
            return super().forward(x)
        parts = torch.tensor_split(x, self.splits) if len(x) > self.splits else (x,)
        means, variances = mean.repeat(len(parts), 1), variance.repeat(len(parts), 1)
        out = [
            functional.batch_norm(
                part, centre, spread, self.weight, self.bias, True, self.momentum or 0.0, self.eps
            )
            for part, centre, spread in zip(parts, means, variances, strict=True)
        ]
        with torch.no_grad():
            mean.copy_(means.mean(dim=0))
            variance.copy_(variances.mean(dim=0))
        return torch.cat(out)


def split_norms(net: nn.Module, splits: int) -> nn.Module:
    """Put a `SplitBatchNorm2d` in the place of each fresh BatchNorm2d of ``net``; returns it."""
    for name, module in list(net.named_modules()):
        if isinstance(module, nn.BatchNorm2d):
            net.set_submodule(name, SplitBatchNorm2d(module.num_features, splits))
    return net


def dealt(count: int, splits: int, device: torch.device) -> Tensor:
    """An order in which each of the parts has members of all parts of the usual order.

    Keys are normalised in it, as if they had been shuffled; batches are in random order already,
    so that one fixed shuffle does.

    Args:
        count: images of a batch.
        splits: parts.
        device: of the result.

    Returns:
        (count,) int64: images of place 0, splits, 2·splits, …, then those of place 1, and so on.
    """
    return (torch.arange(count, device=device) % splits).argsort(stable=True)
