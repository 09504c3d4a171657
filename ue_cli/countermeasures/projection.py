"""Orthogonal projection: what a linear classifier looks at is taken out of the files."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional

from ue_cli.training.hooks import Knowledge, Plain

_CHUNK = 1000
_BATCH = 256


class OrthogonalProjection(Plain):
    """Fit a linear classifier to the files' pixels and project its weights out of them.

    Algorithm of Sandoval-Segura et al., NeurIPS 2023 (*What Can We Learn from Unlearnable
    Datasets?*): logistic regression on pixels as they are, without augmentation, then a QR
    decomposition of the class weights. As there, test images stay as they are: some directions,
    one per class, out of thousands make no difference to them. Pixels are centred first, so that
    the mean image stays where it is, and scaled to a mean squared length of 1, so that one step
    size fits every size of image.

    Args:
        steps: of the fit, on up to 256 files each. More change little: on smooth noise with a
            class-wise pattern, 1,000 files of 32 pixels, 100 fit 99 % of them.
        lr: of its stochastic gradient descent; a tenth from half of the steps on, a hundredth
            from three quarters on, as in the released code.
        momentum: of the gradient.
    """

    def __init__(self, *, steps: int = 300, lr: float = 1.0, momentum: float = 0.9) -> None:
        self._steps = steps
        self._lr = lr
        self._momentum = momentum

    def prepare(
        self, images: Tensor, labels: Tensor, knowledge: Knowledge, generator: torch.Generator
    ) -> Tensor:
        """The files without one direction per class, (n, 3, h, w) float16."""
        return project_out(images, self.fit(images, labels, generator))

    def fit(self, images: Tensor, labels: Tensor, generator: torch.Generator) -> Tensor:
        """The class weights of a linear classifier, (classes, 3·h·w)."""
        mean = mean_image(images)
        power = sum(
            (chunk.float() - mean).square().sum() for chunk in torch.split(images, _CHUNK)
        ) / len(images)
        scale = torch.as_tensor(power, device=images.device).clamp(min=1e-12).rsqrt()
        classes = int(labels.max()) + 1
        weights = torch.zeros(classes, mean.numel(), device=images.device)
        speed = torch.zeros_like(weights)
        batch = min(_BATCH, len(images))
        for step in range(self._steps):
            chosen = torch.randint(len(images), (batch,), generator=generator).to(images.device)
            pixels = ((images[chosen].float() - mean) * scale).flatten(1)
            shares = (pixels @ weights.T).softmax(dim=1)
            slope = (shares - functional.one_hot(labels[chosen], classes)).T @ pixels / batch
            speed = self._momentum * speed + slope
            done = step / self._steps
            weights -= self._lr * (0.01 if done >= 0.75 else 0.1 if done >= 0.5 else 1) * speed
        return weights


def project_out(images: Tensor, directions: Tensor) -> Tensor:
    """Images whose difference from their mean is orthogonal to some directions.

    Args:
        images: (n, 3, h, w) in 0..255.
        directions: (k, 3·h·w); they may depend on each other.

    Returns:
        (n, 3, h, w) float16: an eighth of a level is exact enough, and clipping to whole levels
        would bring some of the directions back.
    """
    mean = mean_image(images)
    # On the CPU: not every device decomposes, and there are few directions.
    _, strengths, basis = torch.linalg.svd(directions.cpu(), full_matrices=False)
    basis = basis[strengths > 1e-5 * strengths.max().clamp(min=1e-30)].to(images.device)
    parts = []
    for chunk in torch.split(images, _CHUNK):
        centred = (chunk.float() - mean).flatten(1)
        left = centred - (centred @ basis.T) @ basis
        parts.append((left.view(chunk.shape) + mean).half())
    return torch.cat(parts)


def mean_image(images: Tensor) -> Tensor:
    """The mean over (n, 3, h, w) images, (3, h, w) float32."""
    total = torch.zeros(images.shape[1:], device=images.device)
    for chunk in torch.split(images, _CHUNK):
        total += chunk.float().sum(dim=0)
    return total / len(images)
