"""The victims' trainer against the loop that one would write first: same files, network and recipe.

The control is torchvision's ImageFolder and transforms behind a DataLoader, float32, NCHW, all
threads; with and without worker processes, and the faster of the two counts. Both read the same
PNG files: the control in every epoch, as such loops do, the trainer once. Both test the finished
network on the same images, outside the time. The pictures are coloured gratings with noise, ten
classes by seed.

The trainer is timed twice: one training on all threads, and, on a CPU, as `ue certify` and
`ue evaluate` train: as many victims side by side as there are threads, each on one.
"""

from __future__ import annotations

import math
import multiprocessing
import statistics
import sys
import tempfile
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from benchmark_certify import CLASSES, gratings
from PIL import Image
from torch import Tensor, nn
from torch.nn import functional
from torch.utils.data import DataLoader
from torchvision import transforms
from torchvision.datasets import ImageFolder

from ue_cli.training.augment import MEAN, SPREAD, whole
from ue_cli.training.supervised import VictimRecipe, build_net, train_victim

TESTS = 500
SMALL = VictimRecipe(epochs=3, size=48, augment="resized-crop")
RECIPES = {
    "small": (SMALL, 2000, 64),
    "resnet18": (replace(SMALL, net="resnet18", size=32, augment="shift", epochs=1), 640, 32),
}
"""Recipe, training images and their side; on a GPU fifty times as many images."""


def write_folder(root: Path, count: int, side: int) -> None:
    """PNG files, ``class/number.png``."""
    images, labels = pictures(count, side, seed=1)
    for index, (image, label) in enumerate(zip(images, labels, strict=True)):
        path = root / str(int(label)) / f"{index:06}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(image.permute(1, 2, 0).numpy()).save(path, compress_level=1)


def pictures(count: int, side: int, *, seed: int) -> tuple[Tensor, Tensor]:
    """(n, 3, side, side) uint8 and (n,)."""
    images, labels = gratings(count, seed)
    larger = functional.interpolate(images.float(), size=(side, side), mode="bilinear")
    return larger.round().clamp(0, 255).to(torch.uint8), labels


def plain_seconds(
    folder: Path, recipe: VictimRecipe, tests: tuple[Tensor, Tensor], workers: int, device: str
) -> tuple[float, float]:
    """The control: seconds of training, and the final accuracy."""
    crop = (
        transforms.RandomResizedCrop(recipe.size, (recipe.min_scale, 1.0))
        if recipe.augment == "resized-crop"
        else transforms.RandomCrop(recipe.size, padding=recipe.reach)
    )
    unit = transforms.Normalize([MEAN / 255] * 3, [SPREAD / 255] * 3)
    steps = [crop, transforms.RandomHorizontalFlip(), transforms.ToTensor(), unit]
    files = ImageFolder(str(folder), transforms.Compose(steps))
    loader = DataLoader(
        files, recipe.batch, shuffle=True, num_workers=workers, drop_last=True, pin_memory=False
    )
    net = build_net(recipe, CLASSES, seed=0).to(device)
    optimiser = torch.optim.SGD(
        net.parameters(),
        recipe.lr,
        momentum=recipe.momentum,
        weight_decay=recipe.weight_decay,
        nesterov=True,
    )
    total, warm = recipe.epochs * len(loader), recipe.warmup

    def share(step: int) -> float:
        done = step / total
        if done < warm:
            return max(done, 1e-3) / warm
        return 0.5 + 0.5 * math.cos(math.pi * (done - warm) / (1 - warm))

    scheduler = torch.optim.lr_scheduler.LambdaLR(optimiser, share)
    began = time.perf_counter()
    for _ in range(recipe.epochs):
        for images, labels in loader:
            optimiser.zero_grad()
            loss = functional.cross_entropy(net(images.to(device)), labels.to(device))
            torch.autograd.backward(loss)
            optimiser.step()
            scheduler.step()
    seconds = time.perf_counter() - began
    return seconds, accuracy(net.eval(), tests, recipe.size, device)


@torch.no_grad()
def accuracy(net: nn.Module, tests: tuple[Tensor, Tensor], size: int, device: str) -> float:
    """On whole frames."""
    images, labels = tests
    found = net(whole(images, size).to(device)).argmax(1).cpu()
    return float((found == labels).float().mean())


def ours_seconds(
    folder: Path, recipe: VictimRecipe, tests: tuple[Tensor, Tensor], device: str
) -> tuple[float, float]:
    """The trainer, reading the files included: seconds, and the final accuracy."""
    began = time.perf_counter()
    ended, state = _train(folder, recipe, tests, device)
    net = build_net(recipe, CLASSES, seed=0).to(device)
    net.load_state_dict(state)
    return ended - began, accuracy(net.eval(), tests, recipe.size, device)


def _train(
    folder: Path, recipe: VictimRecipe, tests: tuple[Tensor, Tensor], device: str
) -> tuple[float, dict[str, Tensor]]:
    """When the last epoch ended, and the weights."""
    files = ImageFolder(str(folder)).samples
    pixels = np.stack([np.asarray(Image.open(path).convert("RGB")) for path, _ in files])
    images = torch.from_numpy(pixels).permute(0, 3, 1, 2).contiguous()
    labels = torch.tensor([label for _, label in files])
    one = (tests[0][:1], tests[1][:1])  # testing after every epoch is no part of the control
    ended = 0.0

    def on_epoch(*_: object) -> None:
        nonlocal ended
        ended = time.perf_counter()  # the fit of the training files, after it, is not either

    result = train_victim(images, labels, *one, recipe, seed=0, device=device, on_epoch=on_epoch)
    return ended, result.state


def side_by_side_seconds(
    folder: Path, recipe: VictimRecipe, tests: tuple[Tensor, Tensor], lanes: int
) -> float:
    """As many trainings as threads, each in a process of its own; seconds until all have ended."""
    context = multiprocessing.get_context("spawn")
    start, ends = context.Barrier(lanes + 1), context.SimpleQueue()
    lane = (folder, recipe, tests, start, ends)
    processes = [context.Process(target=_lane, args=lane) for _ in range(lanes)]
    for process in processes:
        process.start()
    start.wait()
    began = time.perf_counter()
    last = max(ends.get() for _ in processes)
    for process in processes:
        process.join()
    return float(last - began)


def _lane(
    folder: Path, recipe: VictimRecipe, tests: tuple[Tensor, Tensor], start: Any, ends: Any
) -> None:
    torch.set_num_threads(1)
    start.wait()
    ends.put(_train(folder, recipe, tests, "cpu")[0])


def train(device: str, threads: int, rounds: int) -> dict[str, Any]:
    """Images per second of both, for each network."""
    torch.set_num_threads(threads)
    out: dict[str, Any] = {"device": device, "threads": threads, "networks": {}}
    for name, (recipe, count, side) in RECIPES.items():
        many = 50 * count if device == "cuda" else count
        tests = pictures(TESTS, side, seed=2)
        with tempfile.TemporaryDirectory(prefix="ue-benchmark-") as work:
            write_folder(Path(work), many, side)
            rows = [_round(Path(work), recipe, tests, device, threads) for _ in range(rounds)]
        seen = many // recipe.batch * recipe.batch * recipe.epochs
        for row in rows:
            row["ue_images_per_s"] = seen / row["ue_s"]
            if "side_by_side_s" in row:
                row["side_by_side_images_per_s"] = threads * seen / row["side_by_side_s"]
        out["networks"][name] = {
            "images": many,
            "epochs": recipe.epochs,
            "size": recipe.size,
            "rounds": rows,
        }
        for ratio in ("ratio", "side_by_side_ratio"):
            if ratio in rows[0]:
                median = statistics.median(row[ratio] for row in rows)
                out["networks"][name][f"{ratio}_median"] = median
                print(name, ratio, median, file=sys.stderr, flush=True)
    return out


def _round(
    folder: Path, recipe: VictimRecipe, tests: tuple[Tensor, Tensor], device: str, threads: int
) -> dict[str, float]:
    controls = [plain_seconds(folder, recipe, tests, n, device) for n in (0, threads)]
    ours, reached = ours_seconds(folder, recipe, tests, device)
    fastest = min(seconds for seconds, _ in controls)
    together = {}
    if device == "cpu":
        seconds = side_by_side_seconds(folder, recipe, tests, threads)
        together = {
            "side_by_side_s": seconds,
            "side_by_side_ratio": fastest / (seconds / threads),
        }
    return {
        **together,
        "control_s": controls[0][0],
        "control_with_workers_s": controls[1][0],
        "ue_s": ours,
        "ratio": fastest / ours,
        "control_accuracy": controls[0][1],
        "ue_accuracy": reached,
    }
