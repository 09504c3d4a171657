"""How soon a victim learns a texture, where the pictures themselves say nothing of the label.

    python scripts/onset.py --data DATA --keys 1 2 3

Every one of 2,000 Tiny-ImageNet images gets a label by lot and that label's texture, as `ue
protect` would add it to a PNG. A small victim trains on 1,500 of them; the row says after how many
steps it is right on 30 % of the other 500, where guessing gives 10 %. ``content`` is the opposite:
the true labels and no texture, so that it says how soon pictures are learned. A protection whose
texture comes later than that leaves a best epoch that no choice of codes takes away.
"""

from __future__ import annotations

import argparse
import hashlib
import json
from dataclasses import asdict, replace
from pathlib import Path

import numpy as np
import torch
from effect import EXPERIMENTS
from folders import first_files, load
from numpy.typing import NDArray
from torch import Tensor

from ue_cli.textures.choice import optimise_codes
from ue_cli.textures.phases import keyed_phasors, local_phasors
from ue_cli.textures.presets import FILLING, SMALL
from ue_cli.textures.texture import (
    TextureCode,
    TextureField,
    TextureRecipe,
    draw_code,
)
from ue_cli.textures.visibility import bounded, small_copy
from ue_cli.textures.vision import scene
from ue_cli.training.hooks import PLAIN
from ue_cli.training.nets import small_resnet
from ue_cli.training.supervised import make_optimiser, test_accuracy
from ue_cli.types import STANDARD, STRONG, SUBTLE, Budget, Look

RESULTS = Path(__file__).resolve().parent / "results" / "onset.json"
CLASSES, TRAIN, TEST = 10, 1500, 500
STEPS, EVERY, LEARNED = 1200, 50, 0.3
CONDITIONS: dict[str, tuple[TextureRecipe, Look, int]] = {
    "subtle": (SMALL, SUBTLE, 8),
    "standard": (SMALL, STANDARD, 8),
    "standard texture, no bound on looks": (SMALL, STRONG, 8),
    "strong": (FILLING, STRONG, 8),
    "standard texture, no bound on looks, 16 levels": (SMALL, STRONG, 16),
    "standard, 6 to 12 cycles": (replace(SMALL, low=6, high=12), STANDARD, 8),
    "standard, 40 to 55 degrees": (replace(SMALL, first=40, last=55), STANDARD, 8),
    "standard, key's phases": (replace(SMALL, bandwidth=0), STANDARD, 8),
}


def choose(key: int, recipe: TextureRecipe) -> list[TextureCode]:
    """One code per label."""
    seeds = {f"{i:06d}": hashlib.sha256(f"{key} {i}".encode()).digest() for i in range(CLASSES)}
    codes = optimise_codes(seeds, lambda seed: draw_code(seed, recipe)).codes
    return [codes[slot] for slot in sorted(codes)]


def marked(
    image: NDArray[np.uint8],
    code: TextureCode,
    seed: bytes,
    recipe: TextureRecipe,
    look: Look,
    eps: int,
) -> NDArray[np.uint8]:
    """An image with its label's texture, (h, w, 3)."""
    height, width = image.shape[:2]
    small = small_copy(image)
    if recipe.bandwidth:
        phasors = local_phasors(seed, code, small.astype(np.float64), recipe.bandwidth)
    else:
        phasors = keyed_phasors(seed, code)
    field = TextureField(code, phasors, height, width)
    budget = Budget(eps)
    target = bounded(field, scene(small, height, width), (height, width), budget, look)
    change = target.sample(np.arange(height) + 0.5, np.arange(width) + 0.5) * budget.levels
    return np.clip(image + np.rint(change), 0, 255).astype(np.uint8)


def accuracies(images: Tensor, labels: Tensor, seed: int, steps: int) -> list[float]:
    """Accuracy on the held-out images after every `EVERY` steps."""
    recipe = replace(EXPERIMENTS["tiny-1000"].recipe, epochs=1)
    net = small_resnet(CLASSES, recipe.widths, recipe.blocks, recipe.stem_stride, seed=seed)
    net.to(memory_format=torch.channels_last)
    optimiser = make_optimiser(net, recipe)
    warmup = torch.optim.lr_scheduler.LambdaLR(optimiser, lambda step: min(1, (step + 1) / 300))
    generator = torch.Generator().manual_seed(seed)
    out = []
    for step in range(1, steps + 1):
        net.train()
        batch = torch.randint(0, TRAIN, (recipe.batch,), generator=generator)
        optimiser.zero_grad(set_to_none=True)
        loss, _ = PLAIN.loss(net, images[batch], labels[batch], recipe, generator)
        torch.autograd.backward(loss)
        optimiser.step()
        warmup.step()
        if step % EVERY == 0:
            out.append(test_accuracy(net, images[TRAIN:], labels[TRAIN:], size=recipe.size))
    return out


def row(name: str, key: int, images: NDArray[np.uint8], truth: Tensor) -> dict[str, object]:
    """One training."""
    labels, change = truth, 0.0
    if name != "content":
        recipe, look, eps = CONDITIONS[name]
        codes = choose(key, recipe)
        labels = torch.randint(
            0, CLASSES, truth.shape, generator=torch.Generator().manual_seed(key)
        )
        seeds = [hashlib.sha256(f"{key} photo {i}".encode()).digest() for i in range(len(images))]
        after = np.stack(
            [
                marked(image, codes[int(label)], seed, recipe, look, eps)
                for image, label, seed in zip(images, labels, seeds, strict=True)
            ]
        )
        change = float(np.abs(after.astype(np.int16) - images).mean())
        images = after
    pixels = torch.from_numpy(images).permute(0, 3, 1, 2).contiguous()
    accuracy = accuracies(pixels, labels, key, STEPS)
    passed = [EVERY * (i + 1) for i, share in enumerate(accuracy) if share >= LEARNED]
    return {
        "condition": name,
        "key": key,
        "steps": passed[0] if passed else None,
        "mean_abs": change,
        "accuracy": accuracy,
        "recipe": None if name == "content" else asdict(CONDITIONS[name][0]),
    }


def main() -> None:
    """Run the rows that are missing, then print a table."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--data", type=Path, default=Path("data"))
    parser.add_argument("--keys", type=int, nargs="+", default=[1, 2, 3])
    parser.add_argument("--only", choices=["content", *CONDITIONS], nargs="+")
    parser.add_argument("--out", type=Path, default=RESULTS)
    a = parser.parse_args()
    rows = json.loads(a.out.read_text())["rows"] if a.out.exists() else []
    experiment = EXPERIMENTS["tiny-png"]
    names = experiment.classes(a.data)
    files = first_files(a.data / "train", names, experiment.per_class)
    order = np.random.default_rng(0).permutation(len(files))[: TRAIN + TEST]
    pixels, truth = load([files[i] for i in order], names, experiment.trainer_side)
    images = pixels.permute(0, 2, 3, 1).contiguous().numpy()
    for name in a.only or ["content", *CONDITIONS]:
        for key in a.keys:
            if any(r["condition"] == name and r["key"] == key for r in rows):
                continue
            rows.append(row(name, key, images, truth))
            a.out.write_text(json.dumps({"rows": rows}, indent=1) + "\n")
        steps = [r["steps"] for r in rows if r["condition"] == name]
        change = np.mean([r["mean_abs"] for r in rows if r["condition"] == name])
        print(f"{name}: {steps} steps, mean |δ| {change:.2f}", flush=True)


if __name__ == "__main__":
    main()
