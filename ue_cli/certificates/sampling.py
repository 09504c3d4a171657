"""Noisy copies of a trained network, counted on a test set: the experiment behind a certificate.

A draw is ξ ~ N(0, I) over every named parameter, BatchNorm's γ and β and the head included. The
network with weights θ̂ + σ·D·ξ, in eval mode with the running statistics of θ̂, classifies every
test image once (Wang et al., NDSS 2025; the released code leaves out the last, partial batch).
Draw i depends on the seed and i alone: not on batches, order or how many draws are made at once,
so that draws can be shared out and resumed. A CPU and a GPU draw different noise.
"""

from __future__ import annotations

import hashlib
import statistics
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Literal

import torch
from torch import Tensor, nn

from ue_cli.certificates.folding import NoisyCopy
from ue_cli.training.scales import weight_scales
from ue_cli.types import NoisyCounts, OnStep, Smoothing

Precision = Literal["auto", "fp32", "bf16"]

TOLERANCE = 0.01
"""bf16 is used where no pilot draw's count differs by more than this share of the images.

Differences have both signs and average out over draws; a verdict needs five times as much."""

PILOTS = 3
"""Draws, with seeds of their own, that bf16 is compared with fp32 on."""

PILOT_IMAGES = 1000
"""About so many images, from the whole test set, that each of them classifies."""

USEFUL_SHARE = 0.9
"""Share of its accuracy that the median noisy copy of a useful surrogate keeps."""

PIXELS = {"cpu": 2**17, "cuda": 2**21}
"""Input pixels per batch: what keeps activations in a CPU's cache and a GPU busy."""


def count_correct(
    net: nn.Module,
    images: Tensor,
    labels: Tensor,
    setting: Smoothing,
    *,
    seed: int,
    device: str = "cpu",
    precision: Precision = "auto",
    draws: range | None = None,
    scales: Mapping[str, Tensor] | None = None,
    on_step: OnStep | None = None,
) -> NoisyCounts:
    """Count what noisy copies of a network get right; every image once per draw.

    Args:
        net: θ̂, on any device; it is copied, never changed.
        images: (m, 3, s, s) float32 as `training.augment.whole` gives them.
        labels: (m,) int64.
        setting: σ, the number of draws and the scaling of the noise.
        seed: of the draws.
        device: ``cpu``, ``cuda`` or ``mps``.
        precision: of the convolutions; ``auto`` decides by `choose_precision`. The bound is about
            the network as it computes in that precision, and exact for it.
        draws: which draws to make, of 0 … ``setting.draws`` − 1; all of them if None.
        scales: D per named parameter; that of ``net`` if None. What attacks a certificate stays
            in the units of the network that was certified.
        on_step: called after each draw with the share of images that it got right.

    Returns:
        One count per draw, in order.
    """
    scales = weight_scales(net, setting.scaling) if scales is None else scales
    if precision == "auto":
        precision = choose_precision(
            net, images, labels, setting, seed=seed, device=device, scales=scales
        )
    copy = NoisyCopy(net, scales, device=device, dtype=_dtype(precision))
    chosen = range(setting.draws) if draws is None else draws
    counts: list[int] = []
    for count in _counts(copy, images, labels, setting.sigma, chosen, "draws", seed):
        counts.append(count)
        if on_step is not None:
            on_step(len(counts), len(chosen), count / len(images))
    return NoisyCounts(tuple(counts), len(images))


def count_without_noise(
    net: nn.Module, images: Tensor, labels: Tensor, *, device: str = "cpu"
) -> int:
    """How many images the network itself gets right, in fp32: A(θ̂) is this over their number."""
    copy = NoisyCopy(net, weight_scales(net, "absolute"), device=device)
    return next(_counts(copy, images, labels, 0.0, range(1), "none", 0))


def choose_precision(
    net: nn.Module,
    images: Tensor,
    labels: Tensor,
    setting: Smoothing,
    *,
    seed: int,
    device: str = "cpu",
    scales: Mapping[str, Tensor] | None = None,
) -> Literal["fp32", "bf16"]:
    """bf16 where the hardware multiplies it and no count moves by more than ``TOLERANCE``.

    The clock has no say in it, so that every run and every share of one run decides alike.

    Args:
        net: as `count_correct` takes it.
        images: every so manieth is looked at, `PILOT_IMAGES` in all.
        labels: theirs.
        setting: its σ and scaling count.
        seed: of the pilot draws, which are not those of `count_correct`.
        device: where it will run.
        scales: D per named parameter; that of ``net`` if None.
    """
    if not _multiplies_bf16(device):
        return "fp32"
    scales = weight_scales(net, setting.scaling) if scales is None else scales
    every = max(1, len(images) // PILOT_IMAGES)
    images, labels = images[::every], labels[::every]
    single = NoisyCopy(net, scales, device=device)
    if not single.folded:
        return "fp32"
    half = NoisyCopy(net, scales, device=device, dtype=torch.bfloat16)
    pairs = zip(
        *(
            _counts(copy, images, labels, setting.sigma, range(PILOTS), "precision", seed)
            for copy in (single, half)
        ),
        strict=True,
    )
    near = all(abs(fp32 - bf16) <= TOLERANCE * len(images) for fp32, bf16 in pairs)
    return "bf16" if near else "fp32"


@dataclass(frozen=True, slots=True)
class SigmaChoice:
    """σ as the pilot draws chose it.

    Attributes:
        sigma: the largest on the grid that keeps enough; its smallest if none does.
        useful: whether any did. If not, noise of every size on the grid destroys the network,
            and whatever is certified with it says nothing.
        accuracy: A(θ̂), from 0 to 1.
        median: the median accuracy of the pilot draws at ``sigma``.
    """

    sigma: float
    useful: bool
    accuracy: float
    median: float


def choose_sigma(
    net: nn.Module,
    images: Tensor,
    labels: Tensor,
    grid: Sequence[float],
    setting: Smoothing,
    *,
    seed: int,
    draws: int = 20,
    device: str = "cpu",
    precision: Precision = "auto",
) -> SigmaChoice:
    """The largest σ under which the median noisy copy keeps 90 % of the network's accuracy.

    The draws are not those of `count_correct` under the same seed: N, q and σ must be fixed
    before the first draw that counts.

    Args:
        net: the control, trained on clean data.
        images: (m, 3, s, s) float32, as `count_correct` takes them.
        labels: (m,) int64.
        grid: values of σ, in the units of the scaling; none twice.
        setting: its scaling counts; its σ and its number of draws do not.
        seed: of the pilot draws.
        draws: pilot draws per value.
        device: ``cpu``, ``cuda`` or ``mps``.
        precision: ``auto`` decides at the smallest σ.
    """
    if not grid or draws < 1:
        raise ValueError("Choosing σ takes at least one value and one draw.")
    base = count_without_noise(net, images, labels, device=device)
    if precision == "auto":
        least = replace(setting, sigma=min(grid))
        precision = choose_precision(net, images, labels, least, seed=seed, device=device)
    scales = weight_scales(net, setting.scaling)
    copy = NoisyCopy(net, scales, device=device, dtype=_dtype(precision))
    for sigma in sorted(grid, reverse=True):
        counts = _counts(copy, images, labels, sigma, range(draws), "sigma", seed)
        median = statistics.median(counts)
        if median >= USEFUL_SHARE * base:
            break
    tests = len(images)
    return SigmaChoice(sigma, median >= USEFUL_SHARE * base, base / tests, median / tests)


def draw_noise(
    draw: int, size: int, *, seed: int, purpose: str = "draws", device: str = "cpu"
) -> Tensor:
    """ξ of one draw, (size,) float32: standard normal, from the seed and the draw's number alone.

    Consecutive draws take consecutive seeds, from one that the hash of ``purpose`` and ``seed``
    names. A CPU's generator reads only 32 bits: hashes of every draw's own would repeat some.

    Args:
        draw: its number, from 0.
        size: of all named parameters.
        seed: of the certificate.
        purpose: keeps the draws that choose something apart from those that certify.
        device: whose generator draws, and where the result is.
    """
    first = int.from_bytes(hashlib.sha256(f"{purpose}/{seed}".encode()).digest()[:7], "big")
    generator = torch.Generator(device).manual_seed(first + draw)
    return torch.randn(size, generator=generator, device=device)


@torch.inference_mode()
def _counts(
    copy: NoisyCopy,
    images: Tensor,
    labels: Tensor,
    sigma: float,
    draws: range,
    purpose: str,
    seed: int,
) -> Iterator[int]:
    """The count of each draw; on a GPU one draw is under way while the last one is read."""
    prepared = copy.prepare(images)
    device = prepared.device
    size = max(1, PIXELS.get(device.type, 2**17) // prepared[0, 0].numel())
    batches, truths = torch.split(prepared, size), torch.split(labels.to(device), size)
    waiting: Tensor | None = None
    for draw in draws:
        noise = draw_noise(draw, copy.size, seed=seed, purpose=purpose, device=str(device))
        copy.move(sigma, noise)
        right = torch.zeros((), dtype=torch.int64, device=device)
        for batch, truth in zip(batches, truths, strict=True):
            right += (copy.logits(batch).argmax(1) == truth).sum()
        if waiting is not None:
            yield int(waiting)
        waiting = right
    if waiting is not None:
        yield int(waiting)


def _dtype(precision: Precision) -> torch.dtype:
    return torch.bfloat16 if precision == "bf16" else torch.float32


def _multiplies_bf16(device: str) -> bool:
    """Whether bf16 products are instructions of this device (emulated, they are slower)."""
    if torch.device(device).type == "cuda":
        return torch.cuda.get_device_capability(device) >= (8, 0)
    if torch.device(device).type != "cpu" or not hasattr(torch.cpu, "get_capabilities"):
        return False
    able = torch.cpu.get_capabilities()
    return bool(able.get("avx512_bf16") or able.get("amx_bf16"))
