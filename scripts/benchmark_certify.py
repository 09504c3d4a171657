"""The sampler of `ue certify` against the loop that one would write first, on the same draws.

Both classify the same test images with ResNet-18 at 32 px under the same weight noise; every image
is counted once per draw. The control is that loop in float32: NCHW, a DataLoader, noise added to
one parameter after the other, no gradients, all threads. Draws alternate between the two.

Nothing is trained. The images are coloured gratings with noise, ten classes by seed; the network
is ResNet-18 as initialised, its BatchNorm statistics are those of these images, and its last layer
is the least-squares fit to their classes: enough for predictions that noise can spoil.
"""

from __future__ import annotations

import copy
import math
import statistics
import sys
import time
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils.data import DataLoader, TensorDataset

from ue_cli.certificates.sampling import (
    TOLERANCE,
    choose_precision,
    count_correct,
    count_without_noise,
    draw_noise,
)
from ue_cli.training.augment import whole
from ue_cli.training.nets import resnet18
from ue_cli.training.scales import weight_scales
from ue_cli.types import Smoothing

SIZE, CLASSES, IMAGES, SIGMA = 32, 10, 2000, 0.1
FORWARD_FLOP = 1.11e9
"""Of ResNet-18 at 32 px, per image; an addition and a multiplication are two."""


def gratings(count: int, seed: int) -> tuple[Tensor, Tensor]:
    """(n, 3, 32, 32) uint8 and (n,) int64: a class is a direction and a colour of stripes."""
    generator = torch.Generator().manual_seed(seed)
    labels = torch.arange(count) % CLASSES
    angle = math.pi * labels / CLASSES + 0.05 * torch.randn(count, generator=generator)
    phase = 2 * math.pi * torch.rand(count, generator=generator)
    y, x = torch.meshgrid(torch.arange(SIZE), torch.arange(SIZE), indexing="ij")
    along = torch.cos(angle)[:, None, None] * x + torch.sin(angle)[:, None, None] * y
    wave = torch.sin(0.8 * along + phase[:, None, None])[:, None]
    colour = 0.5 + 0.5 * torch.cos(labels[:, None] + torch.arange(3) * 2.1)
    noise = 10 * torch.randn(count, 3, SIZE, SIZE, generator=generator)
    pixels = 128 + 60 * colour[:, :, None, None] * wave + noise
    return pixels.round().clamp(0, 255).to(torch.uint8), labels


@torch.no_grad()
def fitted_resnet18(images: Tensor, labels: Tensor) -> nn.Module:
    """See the module's docstring; (n, 3, 32, 32) float32 and (n,) int64."""
    net = resnet18(CLASSES, size=SIZE, seed=0)
    for module in net.modules():
        if isinstance(module, nn.BatchNorm2d):
            module.momentum = None
    net.train()(images)
    net.eval()
    head = nn.Linear(512, CLASSES)
    net.fc = nn.Identity()
    features = net(images)
    deviation, mean = torch.std_mean(features, dim=0)
    features = (features - mean) / deviation
    square = features.T @ features + 100 * torch.eye(512)
    weight = torch.linalg.solve(square, features.T @ torch.eye(CLASSES)[labels]).T / deviation
    head.weight.copy_(weight)
    head.bias.copy_(-weight @ mean)
    net.fc = head
    return net


@torch.no_grad()
def plain_counts(
    net: nn.Module,
    images: Tensor,
    labels: Tensor,
    setting: Smoothing,
    draws: range,
    *,
    seed: int,
    device: str,
) -> list[int]:
    """The control."""
    net = net.to(device).eval()
    noisy = copy.deepcopy(net)
    scales = {k: v.to(device) for k, v in weight_scales(net, setting.scaling).items()}
    size = sum(value.numel() for value in net.parameters())
    loader = DataLoader(TensorDataset(images, labels), batch_size=128)
    counts = []
    for draw in draws:
        noise, begin = draw_noise(draw, size, seed=seed, device=device), 0
        clean = dict(net.named_parameters())
        for name, value in noisy.named_parameters():
            own = noise[begin : begin + value.numel()].view(value.shape)
            value.copy_(clean[name] + setting.sigma * scales[name] * own)
            begin += value.numel()
        right = 0
        for batch, truth in loader:
            right += int((noisy(batch.to(device)).argmax(1) == truth.to(device)).sum())
        counts.append(right)
    return counts


def certify(device: str, threads: int, rounds: int) -> dict[str, Any]:
    """Seconds per draw of both, and how far their counts are apart."""
    torch.set_num_threads(threads)
    per_round = 50 if device == "cuda" else 1
    images, labels = gratings(IMAGES, 1)
    images = whole(images, SIZE).contiguous()
    fit_images, fit_labels = gratings(500, 2)
    net = fitted_resnet18(whole(fit_images, SIZE), fit_labels)
    setting = Smoothing(sigma=SIGMA, draws=rounds * per_round, scaling="relative")
    began = time.perf_counter()
    precision = choose_precision(net, images, labels, setting, seed=0, device=device)
    choosing = time.perf_counter() - began
    test = (net, images, labels, setting)
    if device == "cuda":
        plain_counts(*test, range(2), seed=0, device=device)
        count_correct(*test, seed=0, device=device, precision=precision, draws=range(2))
    rows: list[dict[str, Any]] = []
    for index in range(rounds):
        draws = range(index * per_round, (index + 1) * per_round)
        began = time.perf_counter()
        control = plain_counts(*test, draws, seed=0, device=device)
        between = time.perf_counter()
        ours = count_correct(*test, seed=0, device=device, precision=precision, draws=draws)
        ended = time.perf_counter()
        rows.append(
            {
                "control_correct": control,
                "ue_correct": list(ours.correct),
                "control_s": (between - began) / per_round,
                "ue_s": (ended - between) / per_round,
                "ratio": (between - began) / (ended - between),
            }
        )
        print(rows[-1], file=sys.stderr, flush=True)
    seconds = statistics.median(row["ue_s"] for row in rows)
    out: dict[str, Any] = {
        "device": torch.cuda.get_device_name() if device == "cuda" else "cpu",
        "threads": threads,
        "network": "ResNet-18 at 32 px",
        "images": IMAGES,
        "control": "fp32, NCHW, DataLoader, one parameter and one draw at a time",
        "precision": precision,
        "choosing_precision_s": choosing,
        "correct_without_noise": count_without_noise(net, images, labels, device=device),
        "rounds": rows,
        "ratio_median": statistics.median(row["ratio"] for row in rows),
        "largest_count_difference": max(
            abs(one - other)
            for row in rows
            for one, other in zip(row["control_correct"], row["ue_correct"], strict=True)
        ),
        "count_tolerance": TOLERANCE * IMAGES,
        "ue_gflop_per_s": FORWARD_FLOP * IMAGES / seconds / 1e9,
    }
    if device == "cuda":
        out["bf16_matrix_gflop_per_s"] = matrix_rate()
        out["share_of_matrix_rate"] = out["ue_gflop_per_s"] / out["bf16_matrix_gflop_per_s"]
    return out


def matrix_rate() -> float:
    """GFLOP/s of a large bfloat16 matrix product on the GPU: the arithmetic limit in practice."""
    side = 8192
    a, b = (torch.randn(side, side, device="cuda", dtype=torch.bfloat16) for _ in range(2))
    best = math.inf
    for _ in range(10):
        torch.cuda.synchronize()
        began = time.perf_counter()
        a @ b
        torch.cuda.synchronize()
        best = min(best, time.perf_counter() - began)
    return 2 * side**3 / best / 1e9
