"""TUE's two costs against the loops that one would write first: CSD, and steps of a surrogate.

**CSD.** 20 signed-gradient steps make a bank (`methods.descent.descend`); a few are timed, on
5,000 random starts of 3 × 32 × 32, a tenth of CIFAR's, in 10 and in 100 classes. The control says
eq. 2-4 of the paper class by class and pair by pair, on the whole set's centroids, and lets
autograd do the rest; a class's samples are handled at once and nothing is copied. A second control
is more careful: it visits each pair once, where eq. 4 counts it twice, and every class has a slope
of its own. All must end at the same δ.

**A surrogate's step** (S1: what TUE does most of, and a contrastive victim nothing else). SimSiam
on images that carry δ: crops, flips, colours, forward, backward, SGD. The control is torchvision's
transforms on PIL images behind a DataLoader, float32, NCHW, the same network, batch and number of
images; δ is in its files already, while ours is added in every step. With and without worker
processes, and the faster of the two counts. Pictures are coloured gratings with noise.

Both sides have the same cores. The two alternate.
"""

from __future__ import annotations

import statistics
import sys
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from itertools import combinations, permutations
from pathlib import Path
from typing import Any

import numpy as np
import torch
from benchmark_certify import gratings
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor
from torch.nn import functional
from torch.utils.data import DataLoader, Dataset
from torchvision import transforms

from ue_cli.methods.descent import descend
from ue_cli.methods.search import Search
from ue_cli.training.augment import MEAN, SPREAD
from ue_cli.training.contrastive import SimSiam, build_contrast
from ue_cli.training.ssl import learn, ssl_optimiser
from ue_cli.training.ssl_recipes import SslRecipe, small_ssl, ssl_recipe
from ue_cli.training.views import views
from ue_cli.types import Budget

BUDGET = Budget(8)
STEP = 0.8 / 255
SAMPLES, VALUES, STEPS = 5000, 3 * 32 * 32, 3
CLASS_COUNTS = (10, 100)
SAME_SHARE = 1e-5
"""Values of δ that may differ: where the gradient is 0 but for rounding, its sign is anybody's."""

RECIPES: dict[str, tuple[SslRecipe, int]] = {
    "small": (small_ssl("simsiam"), 1920),
    "resnet18": (replace(ssl_recipe("simsiam"), batch=64), 128),
}
"""Recipe and images of an epoch; on a GPU fifty times as many. The released batch is 512."""

SAME_LOSS = 0.02
"""How far bfloat16 may move the first loss, a mean cosine."""


def plain_csd(classes: Sequence[Tensor], pairs: Iterable[tuple[int, int]]) -> Tensor:
    """Eq. 2-4 of classes (n, d), one class and one pair at a time."""
    centroids, spreads = [], []
    for own in classes:
        centroid = own.mean(0)
        centroids.append(centroid)
        spreads.append(torch.linalg.vector_norm(own - centroid, dim=1).mean())
    total, count = torch.zeros((), device=classes[0].device), 0
    for i, j in pairs:
        distance = torch.linalg.vector_norm(centroids[i] - centroids[j])
        total, count = total + (spreads[i] + spreads[j]) / distance, count + 1
    return total / count


def plain_descent(delta: Tensor) -> None:
    """The control as the formula stands, in place on (classes, per_class, d)."""
    delta.requires_grad_()
    for _ in range(STEPS):
        torch.autograd.backward(plain_csd(delta.unbind(), permutations(range(len(delta)), 2)))
        _move(delta)
    delta.requires_grad_(False)


def careful_descent(delta: Tensor) -> None:
    """The control with each pair once, and no slopes to gather."""
    classes = [own.requires_grad_() for own in delta.unbind()]
    for _ in range(STEPS):
        torch.autograd.backward(plain_csd(classes, combinations(range(len(delta)), 2)))
        for own in classes:
            _move(own)


@torch.no_grad()
def _move(delta: Tensor) -> None:
    assert delta.grad is not None
    delta.sub_(delta.grad.sign_(), alpha=STEP).clamp_(-BUDGET.epsilon, BUDGET.epsilon)
    delta.grad = None


def our_descent(delta: Tensor) -> None:
    """What `ue protect --method csd` does."""
    descend(delta, radius=BUDGET.epsilon, step=STEP, steps=STEPS)


def descent(classes: int, device: str, rounds: int) -> dict[str, Any]:
    """Seconds per step of all three, which must end alike."""
    samples = 10 * SAMPLES if device == "cuda" else SAMPLES
    generator = torch.Generator().manual_seed(classes)
    start = 2 * torch.rand(classes, samples // classes, VALUES, generator=generator) - 1
    start = start.mul_(BUDGET.epsilon).to(device)
    rows: list[dict[str, float]] = []
    for _ in range(rounds):
        plain, expected = timed(plain_descent, start, device)
        ours, found = timed(our_descent, start, device)
        careful, again = timed(careful_descent, start, device)
        apart = max(
            float(((found - other).abs() > STEP / 100).float().mean())
            for other in (expected, again)
        )
        assert apart <= SAME_SHARE, f"{apart:.2%} of the values differ"
        rows.append(
            {
                "control_s": plain,
                "careful_control_s": careful,
                "ue_s": ours,
                "ratio": plain / ours,
                "careful_ratio": careful / ours,
                "differing_share": apart,
            }
        )
    return {
        "samples": samples,
        "steps": STEPS,
        "rounds": rows,
        "ratio_median": statistics.median(row["ratio"] for row in rows),
        "careful_ratio_median": statistics.median(row["careful_ratio"] for row in rows),
    }


def timed(descent: Callable[[Tensor], None], start: Tensor, device: str) -> tuple[float, Tensor]:
    """Seconds per step, and where it ends."""
    delta = start.clone()
    began = clock(device)
    descent(delta)
    return (clock(device) - began) / STEPS, delta


class TwoViews(Dataset[tuple[Tensor, Tensor]]):
    """Two views of each (n, h, w, 3) image, as torchvision's documentation composes them."""

    def __init__(self, images: NDArray[np.uint8], recipe: SslRecipe) -> None:
        self.images = images
        jitter = transforms.ColorJitter(*recipe.jitter)
        self.view = transforms.Compose(
            [
                transforms.RandomResizedCrop(recipe.size, (recipe.min_scale, 1.0)),
                transforms.RandomHorizontalFlip(),
                transforms.RandomApply([jitter], recipe.jittered),
                transforms.RandomGrayscale(recipe.gray),
                transforms.ToTensor(),
                transforms.Normalize([MEAN / 255] * 3, [SPREAD / 255] * 3),
            ]
        )

    def __len__(self) -> int:
        """Images."""
        return len(self.images)

    def __getitem__(self, index: int) -> tuple[Tensor, Tensor]:
        """Two draws."""
        image = Image.fromarray(self.images[index])
        return self.view(image), self.view(image)


def fresh(recipe: SslRecipe, device: str) -> SimSiam:
    """The network both begin with."""
    net = build_contrast(recipe, seed=0).to(device).train()
    assert isinstance(net, SimSiam)
    return net


def plain_loss(net: SimSiam, first: Tensor, second: Tensor) -> Tensor:
    """SimSiam's, in single precision."""
    one, other = (net.projector(net.backbone(seen)) for seen in (first, second))
    there = functional.cosine_similarity(net.predictor(one), other.detach()).mean()
    back = functional.cosine_similarity(net.predictor(other), one.detach()).mean()
    return -(there + back) / 2


def plain_seconds(on: Search, recipe: SslRecipe, workers: int, device: str) -> float:
    """The control: one epoch."""
    every = torch.arange(len(on.images), device=on.images.device)
    carried = on.carrying(every, on.entries.of(every)).round().to(torch.uint8)
    files = TwoViews(carried.permute(0, 2, 3, 1).contiguous().cpu().numpy(), recipe)
    loader = DataLoader(files, recipe.batch, shuffle=True, drop_last=True, num_workers=workers)
    net = fresh(recipe, device)
    optimiser = torch.optim.SGD(
        net.parameters(), recipe.lr, momentum=recipe.momentum, weight_decay=recipe.weight_decay
    )
    began = clock(device)
    for first, second in loader:
        optimiser.zero_grad()
        torch.autograd.backward(plain_loss(net, first.to(device), second.to(device)))
        optimiser.step()
    return clock(device) - began


def ours_seconds(on: Search, recipe: SslRecipe, device: str) -> float:
    """One epoch of S1."""
    net = fresh(recipe, device).to(memory_format=torch.channels_last)
    optimiser = ssl_optimiser(net, recipe)
    began = clock(device)
    order = torch.randperm(len(on.images), generator=on.generator).to(device)
    for chosen in torch.split(order, recipe.batch):
        seen = on.carrying(chosen, on.entries.of(chosen))
        learn(net, optimiser, *views(seen, recipe, on.generator))
    return clock(device) - began


def step(name: str, device: str, threads: int, rounds: int) -> dict[str, Any]:
    """Images per second of both."""
    recipe, count = RECIPES[name]
    many = 50 * count if device == "cuda" else count
    images, labels = gratings(many, 1)
    classes = [str(k) for k in range(int(labels.max()) + 1)]
    shape = (int(labels.bincount().max()), 3, recipe.size, recipe.size)
    on = Search(
        *(images, labels, classes, shape, recipe.size, BUDGET),
        seed=0,
        variants=None,
        frozen=None,
        device=device,
    )
    off = check_same_loss(on, recipe, device)
    rows: list[dict[str, float]] = []
    for _ in range(rounds):
        controls = [plain_seconds(on, recipe, workers, device) for workers in (0, threads)]
        ours = ours_seconds(on, recipe, device)
        rows.append(
            {
                "control_s": controls[0],
                "control_with_workers_s": controls[1],
                "ue_s": ours,
                "ratio": min(controls) / ours,
                "control_images_per_s": many / min(controls),
                "ue_images_per_s": many / ours,
            }
        )
    return {
        "images": many,
        "batch": recipe.batch,
        "size": recipe.size,
        "bf16_instructions": bf16_instructions() if device == "cpu" else None,
        "loss_difference": off,
        "rounds": rows,
        "ratio_median": statistics.median(row["ratio"] for row in rows),
    }


def check_same_loss(on: Search, recipe: SslRecipe, device: str) -> float:
    """How far the two sides' losses are apart on the same views; a first step of both."""
    net = fresh(recipe, device)
    pair = views(on.images[: recipe.batch], recipe, torch.Generator().manual_seed(0))
    plain = plain_loss(net, *(seen.contiguous() for seen in pair))
    found = learn(net, ssl_optimiser(net, recipe), *pair)
    off = float((plain.detach() - found).abs())
    assert off <= SAME_LOSS, f"the losses are {off:.3f} apart"
    return off


def bf16_instructions() -> list[str]:
    """What this CPU has for products in bfloat16. The ratio that was asked, 4, is for AMX."""
    cpuinfo = Path("/proc/cpuinfo")
    known = cpuinfo.read_text().split() if cpuinfo.exists() else []
    return [name for name in ("amx_bf16", "avx512_bf16") if name in known]


def clock(device: str) -> float:
    """Seconds, when what was asked for is done."""
    if device == "cuda":
        torch.cuda.synchronize()
    return time.perf_counter()


def tue(device: str, threads: int, rounds: int) -> dict[str, Any]:
    """Both, each beside its control."""
    torch.set_num_threads(threads)
    out: dict[str, Any] = {
        "device": torch.cuda.get_device_name() if device == "cuda" else "cpu",
        "threads": threads,
        "csd": {"control": "autograd, class by class and ordered pair by pair, exact centroids"},
        "simsiam": {"control": "DataLoader of PIL transforms, fp32, NCHW"},
    }
    for classes in CLASS_COUNTS:
        out["csd"][str(classes)] = descent(classes, device, rounds)
        _say("CSD", classes, out["csd"][str(classes)])
    for name in RECIPES:
        out["simsiam"][name] = step(name, device, threads, rounds)
        _say("SimSiam", name, out["simsiam"][name])
    return out


def _say(what: str, which: object, found: dict[str, Any]) -> None:
    ratios = {key: round(value, 2) for key, value in found.items() if key.endswith("_median")}
    print(what, which, ratios, file=sys.stderr, flush=True)
