"""The trainer and the sampler of `ue certify` against loops on torch: parts of benchmark.py.

``certify``: both classify the same images with ResNet-18 at 32 px under the same weight noise; the
control in float32, NCHW, through a DataLoader, noise added to one parameter after the other.
Nothing is trained: the network is as initialised, its BatchNorm statistics are those of the images,
and its last layer is the least-squares fit to their classes, enough for noise to spoil.

``train``: the control is torchvision's ImageFolder and transforms behind a DataLoader, float32,
NCHW, with and without worker processes, and the faster of the two counts. It reads the PNG files in
every epoch, as such loops do, the trainer once. On a CPU also side by side, as `ue certify` and
`ue evaluate` train: as many victims as there are threads, each on one.

The pictures are coloured gratings with noise, ten classes by seed.
"""

from __future__ import annotations

import argparse
import copy
import math
import multiprocessing
import statistics
import time
from dataclasses import replace
from functools import partial
from pathlib import Path

import numpy as np
import torch
from benchmark import Result, compare
from PIL import Image
from torch import Tensor, nn
from torch.nn import functional
from torch.utils.data import DataLoader, TensorDataset
from torchvision import transforms
from torchvision.datasets import ImageFolder

from ue_cli.certificates.sampling import TOLERANCE, choose_precision, count_correct, draw_noise
from ue_cli.training.augment import MEAN, SPREAD, whole
from ue_cli.training.nets import resnet18
from ue_cli.training.scales import weight_scales
from ue_cli.training.supervised import VictimRecipe, build_net, train_victim
from ue_cli.types import Smoothing

SIZE, CLASSES = 32, 10
MORE = 50
"""How many times as much a GPU gets."""


def device_of(a: argparse.Namespace) -> Result:
    """What torch runs on, with as many threads as were asked for."""
    torch.set_num_threads(a.jobs)
    name = torch.cuda.get_device_name() if a.device == "cuda" else "cpu"
    return {"device": name, "threads": a.jobs}


def gratings(count: int, seed: int, side: int = SIZE) -> tuple[Tensor, Tensor]:
    """(n, 3, side, side) uint8 and (n,): a class is a direction and a colour of stripes."""
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
    pixels = functional.interpolate(pixels, size=(side, side), mode="bilinear")
    return pixels.round().clamp(0, 255).to(torch.uint8), labels


def clock(device: str) -> float:
    """Seconds, when what was started on a device is done."""
    if device == "cuda":
        torch.cuda.synchronize()
    return time.perf_counter()


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
    net: nn.Module, data: TensorDataset, setting: Smoothing, draws: range, device: str
) -> list[int]:
    """The control of ``certify``: what each noisy copy gets right."""
    net = net.to(device).eval()
    noisy, clean = copy.deepcopy(net), dict(net.named_parameters())
    scales = {k: v.to(device) for k, v in weight_scales(net, setting.scaling).items()}
    size = sum(value.numel() for value in clean.values())
    counts = []
    for draw in draws:
        noise = draw_noise(draw, size, seed=0, device=device)
        parts = torch.split(noise, [value.numel() for value in clean.values()])
        for (name, value), part in zip(noisy.named_parameters(), parts, strict=True):
            value.copy_(clean[name] + setting.sigma * scales[name] * part.view(value.shape))
        right = 0
        for batch, truth in DataLoader(data, batch_size=128):
            right += int((noisy(batch.to(device)).argmax(1) == truth.to(device)).sum())
        counts.append(right)
    return counts


def certify(work: Path, a: argparse.Namespace) -> Result:
    """Seconds per draw of both, and how far their counts are apart."""
    device = device_of(a)
    draws = range(MORE if a.device == "cuda" else 1)
    images, labels = gratings(2000, 1)
    images = whole(images, SIZE).contiguous()
    example, classes = gratings(500, 2)
    net = fitted_resnet18(whole(example, SIZE), classes)
    setting = Smoothing(sigma=0.1, draws=len(draws), scaling="relative")
    test = (net, images, labels, setting)
    precision = choose_precision(*test, seed=0, device=a.device)
    counts: dict[str, list[int]] = {}

    def control() -> float:
        began = clock(a.device)
        data = TensorDataset(images, labels)
        counts["control"] = plain_counts(net, data, setting, draws, a.device)
        return (clock(a.device) - began) / len(draws)

    def ours() -> float:
        began = clock(a.device)
        noisy = count_correct(*test, seed=0, device=a.device, precision=precision, draws=draws)
        counts["ue"] = list(noisy.correct)
        return (clock(a.device) - began) / len(draws)

    out = device | compare("certify", a.repeats, control, ours)
    gaps = [abs(x - y) for x, y in zip(counts["control"], counts["ue"], strict=True)]
    seconds = statistics.median(row["ue_s"] for row in out["rounds"])
    out |= {"precision": precision, "images": len(labels), "largest_count_difference": max(gaps)}
    # ResNet-18 at 32 px takes 1.11 GFLOP per image; an addition and a multiplication are two.
    out |= {
        "count_tolerance": TOLERANCE * len(labels),
        "ue_gflop_per_s": 1.11 * len(labels) / seconds,
    }
    return out | ({"bf16_matrix_gflop_per_s": matrix_rate()} if a.device == "cuda" else {})


def matrix_rate() -> float:
    """GFLOP/s of a large bfloat16 matrix product on the GPU: the arithmetic limit in practice."""
    side = 8192
    x, y = (torch.randn(side, side, device="cuda", dtype=torch.bfloat16) for _ in range(2))
    best = math.inf
    for _ in range(10):
        began = clock("cuda")
        x @ y
        best = min(best, clock("cuda") - began)
    return 2 * side**3 / best / 1e9


VICTIM = VictimRecipe(epochs=3, size=48, augment="resized-crop")
VICTIMS = {
    "small": (VICTIM, 2000, 64),
    "resnet18": (replace(VICTIM, net="resnet18", size=32, augment="shift", epochs=1), 640, 32),
}
"""Recipe, training images and their side."""


def plain_training(folder: Path, recipe: VictimRecipe, a: argparse.Namespace) -> float:
    """The control of ``train``, with worker processes or without, whichever is faster."""
    crop = (
        transforms.RandomResizedCrop(recipe.size, (recipe.min_scale, 1.0))
        if recipe.augment == "resized-crop"
        else transforms.RandomCrop(recipe.size, padding=recipe.reach)
    )
    unit = transforms.Normalize([MEAN / 255] * 3, [SPREAD / 255] * 3)
    steps = [crop, transforms.RandomHorizontalFlip(), transforms.ToTensor(), unit]
    files = ImageFolder(str(folder), transforms.Compose(steps))
    seconds = []
    for workers in (0, a.jobs):
        net = build_net(recipe, CLASSES, seed=0).to(a.device)
        loader = DataLoader(files, recipe.batch, shuffle=True, drop_last=True, num_workers=workers)
        optimiser = torch.optim.SGD(
            net.parameters(),
            recipe.lr,
            momentum=recipe.momentum,
            weight_decay=recipe.weight_decay,
            nesterov=True,
        )
        began = clock(a.device)
        for _ in range(recipe.epochs):
            for images, labels in loader:
                optimiser.zero_grad()
                loss = functional.cross_entropy(net(images.to(a.device)), labels.to(a.device))
                torch.autograd.backward(loss)
                optimiser.step()
        seconds.append(clock(a.device) - began)
    return min(seconds)


def our_training(folder: Path, recipe: VictimRecipe, device: str) -> float:
    """The trainer, reading the files included, until the last epoch has ended."""
    began = ended = time.perf_counter()
    files = ImageFolder(str(folder)).samples
    pixels = np.stack([np.asarray(Image.open(path).convert("RGB")) for path, _ in files])
    images = torch.from_numpy(pixels).permute(0, 3, 1, 2).contiguous()
    labels = torch.tensor([label for _, label in files])

    def on_epoch(*_: object) -> None:
        nonlocal ended
        ended = time.perf_counter()  # the fit of the training files, after it, is no training

    test = images[:1], labels[:1]  # nor is testing after every epoch
    train_victim(images, labels, *test, recipe, seed=0, device=device, on_epoch=on_epoch)
    return ended - began


def single_training(folder: Path, recipe: VictimRecipe, _: int) -> None:
    """One of several trainings side by side."""
    torch.set_num_threads(1)
    our_training(folder, recipe, "cpu")


def train(work: Path, a: argparse.Namespace) -> Result:
    """Seconds of a training of both, for each network."""
    out = device_of(a) | {"control": "ImageFolder, DataLoader, fp32, NCHW"}
    for name, (recipe, count, side) in VICTIMS.items():
        many = MORE * count if a.device == "cuda" else count
        folder = work / name
        for index, (image, label) in enumerate(zip(*gratings(many, 1, side), strict=True)):
            path = folder / str(int(label)) / f"{index:06}.png"
            path.parent.mkdir(parents=True, exist_ok=True)
            Image.fromarray(image.permute(1, 2, 0).numpy()).save(path, compress_level=1)
        control = partial(plain_training, folder, recipe, a)
        ours = partial(our_training, folder, recipe, a.device)
        out[name] = compare(name, a.repeats, control, ours) | {"images": many}
        images = many // recipe.batch * recipe.batch * recipe.epochs
        seconds = statistics.median(row["ue_s"] for row in out[name]["rounds"])
        out[name]["ue_images_per_s"] = images / seconds
        if a.device == "cpu":
            with multiprocessing.get_context("spawn").Pool(a.jobs) as pool:
                pool.map(partial(single_training, folder, recipe), range(a.jobs))  # and imports
                began = time.perf_counter()
                pool.map(partial(single_training, folder, recipe), range(a.jobs), chunksize=1)
                together = (time.perf_counter() - began) / a.jobs
            out[name]["side_by_side_images_per_s"] = images / together
    return out
