"""The pieces of PUE's experiment: make files, train on them, certify what was trained."""

from __future__ import annotations

import shutil
import time
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from effect import CIFAR, load, protected
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor, nn

from reproduction.scales import ARMS, Scale
from reproduction.store import Key, Row, Store
from ue_cli.certify.sampling import choose_sigma, count_correct, count_without_noise
from ue_cli.certify.smoothing import (
    certify_grid,
    certify_population,
    certify_simultaneous,
    eta_grid,
    lower_quantile,
    max_certifiable_eta,
)
from ue_cli.certify.verdict import judge
from ue_cli.perturbation.texture import TextureRecipe
from ue_cli.training.augment import whole
from ue_cli.training.scales import weight_norm
from ue_cli.training.supervised import VictimResult, build_net, test_accuracy, train_victim
from ue_cli.types import Budget, NoisyCounts, Smoothing, SurrogateCertificate

BUDGET = Budget(8)
SIDE = 32


@dataclass(frozen=True)
class Piece:
    """One unit of work, with one row.

    Attributes:
        key: what it is; its row has the same fields.
        run: does it.
    """

    key: Key
    run: Callable[[], Row]


class Experiment:
    """PUE against EM, CSD, random signs and clean files, at one scale.

    Args:
        name: of the scale.
        scale: its sizes.
        data: holds ``train/CLASS/*`` and ``test/CLASS/*``.
        store: of rows and arrays.
        device: ``cpu`` or ``cuda``.
    """

    def __init__(self, name: str, scale: Scale, data: Path, store: Store, device: str) -> None:
        self.name, self.scale, self.store, self.device = name, scale, store, device
        self.data = data
        self.classes = [p.name for p in sorted((data / "train").iterdir()) if p.name in CIFAR]
        self.images, self.labels = self._load("train", scale.per_class)
        self.tests, self.truth = self._load("test", scale.tests)

    def pieces(self, seeds: list[int]) -> Iterator[Piece]:
        """All of them, each after those that it needs."""
        for seed in seeds:
            for arm in ARMS:
                if arm != "clean":
                    yield self._piece(self.make, piece="make", arm=arm, seed=seed)
                yield self._piece(self.train, piece="victim", arm=arm, seed=seed)
                for setting in ("relative", "published"):
                    for surrogate in (
                        ("offline", "online") if arm in ("em", "pue") else ("offline",)
                    ):
                        yield self._piece(
                            self.certify,
                            piece="certificate",
                            arm=arm,
                            seed=seed,
                            surrogate=surrogate,
                            setting=setting,
                        )

    def make(self, key: Key) -> Row:
        """Protected images, rounded to what a file holds, and what their making said."""
        arm, seed = str(key["arm"]), int(key["seed"])
        if arm == "csd":
            images, made = self._by_the_tool(seed)
        elif arm == "random":
            cells = self.scale.pue.cells
            draw = np.random.default_rng(seed)
            shape = (len(self.classes), 3, cells, cells)
            signs = draw.choice(np.array([-1, 1], np.int8), shape) * np.int8(BUDGET.levels)
            images, made = self._with_cells(signs), {"cells": cells}
        else:
            method = self.scale.em if arm == "em" else self.scale.pue
            found = method.optimise(
                self.images, self.labels, self.classes, BUDGET, seed=seed, device=self.device
            )
            self.store.save_weights(key, found.surrogate)
            images = self._with_cells(found.bank.delta[:, 0])
            made = dict(found.bank.provenance.recipe)
        self.store.save_images(key, images)
        delta = np.abs(images.astype(np.int16) - self.images.numpy())
        return {"linf": int(delta.max()), "mean_abs": float(delta.mean()), "made": made}

    def train(self, key: Key) -> Row:
        """A victim, tested on clean images after each epoch; it is the offline surrogate, too."""
        images = self._images_of(key)
        result: VictimResult = train_victim(
            torch.from_numpy(images),
            self.labels,
            self.tests,
            self.truth,
            self.scale.victim,
            seed=int(key["seed"]),
            device=self.device,
        )
        self.store.save_weights(key, result.state)
        return {
            "last": result.last,
            "best": result.best,
            "fit": result.fit,
            "accuracy": [round(value, 4) for value in result.accuracy],
            "train_images": len(images),
            "test_images": len(self.tests),
            "victim": asdict(self.scale.victim),
        }

    def certify(self, key: Key) -> Row:
        """Noisy copies of one surrogate, counted; the bounds, and the verdict on offline ones."""
        net = self._surrogate(key)
        images, truth = self._certified()
        setting, rule = self._setting(key)
        counts = count_correct(
            net, images, truth, setting, seed=int(key["seed"]), device=self.device
        )
        correct = count_without_noise(net, images, truth, device=self.device)
        row: Row = {
            "sigma": setting.sigma,
            "q": setting.q,
            "confidence": setting.confidence,
            "scaling": setting.scaling,
            "sigma_rule": rule,
            "max_eta": max_certifiable_eta(
                setting.draws, setting.q, setting.sigma, setting.confidence
            ),
            "correct_without_noise": correct,
            "tests": len(images),
            "fit": self._fit(net, key),
            "weight_norm": weight_norm(net, setting.scaling),
            "counts": list(counts.correct),
            "lower_quantile": lower_quantile(counts, setting),
            "bounds": [
                {"eta": b.eta, "upper": b.upper}
                for b in certify_grid(counts, eta_grid(setting.sigma), setting)
            ],
        }
        if key["arm"] != "clean":
            control = self._row(dict(key) | {"arm": "clean", "surrogate": "offline"})
            row["verdict"], row["reason"] = judge(
                _certificate(row, key, setting),
                _certificate(control, control, setting),
                setting,
                classes=len(self.classes),
            )
        return row

    def _piece(self, work: Callable[[Key], Row], **fields: Any) -> Piece:
        key = {"scale": self.name, **fields}

        def run() -> Row:
            began = time.perf_counter()
            row = work(key)
            seconds = round(time.perf_counter() - began, 1)
            return self.store.add(key, row | {"device": self.device, "seconds": seconds})

        return Piece(key, run)

    def _row(self, key: Key) -> Row:
        row = self.store.find(key)
        if row is None:
            raise SystemExit(f"This piece needs another one first: {dict(key)}")
        return row

    def _setting(self, key: Key) -> tuple[Smoothing, str]:
        draws = self.scale.draws
        if key["setting"] == "published":
            return Smoothing(draws=draws), "as published"
        setting = Smoothing(draws=draws, scaling="relative")
        if key["arm"] != "clean":
            control = self._row(dict(key) | {"arm": "clean", "surrogate": "offline"})
            sigma = float(control["sigma"])
            return Smoothing(sigma, draws, scaling="relative"), "as the clean control's"
        images, truth = self._certified()
        found = choose_sigma(
            self._surrogate(key),
            images,
            truth,
            self.scale.sigmas,
            setting,
            seed=int(key["seed"]),
            device=self.device,
        )
        rule = f"keeps {found.median:.3f} of {found.accuracy:.3f} (median of pilot draws)"
        return Smoothing(found.sigma, draws, scaling="relative"), rule

    def _surrogate(self, key: Key) -> nn.Module:
        base = {"scale": self.name, "arm": key["arm"], "seed": key["seed"]}
        if key["surrogate"] == "online":
            recipe = (self.scale.em if key["arm"] == "em" else self.scale.pue).surrogate
            state = self.store.load_weights({"scale": self.name, "piece": "make"} | base)
        else:
            recipe = self.scale.victim
            state = self.store.load_weights({"scale": self.name, "piece": "victim"} | base)
        net = build_net(recipe, len(self.classes), seed=0)
        net.load_state_dict(state)
        return net.eval()

    def _fit(self, net: nn.Module, key: Key) -> float:
        """On its own whole files: the same measure for a victim and for an online surrogate."""
        images = torch.from_numpy(self._images_of(key)).to(self.device)
        labels = self.labels.to(self.device)
        return test_accuracy(net.to(self.device), images, labels, size=SIDE)

    def _images_of(self, key: Key) -> NDArray[np.uint8]:
        if key["arm"] == "clean":
            return self.images.numpy()
        return self.store.load_images(
            {"scale": self.name, "piece": "make", "arm": key["arm"], "seed": key["seed"]}
        )

    def _certified(self) -> tuple[Tensor, Tensor]:
        """The first test images of every class, as the network sees them."""
        chosen = torch.cat(
            [
                (self.truth == k).nonzero()[: self.scale.certified_tests, 0]
                for k in range(len(self.classes))
            ]
        )
        return whole(self.tests[chosen], SIDE), self.truth[chosen]

    def _with_cells(self, cells: NDArray[np.int8]) -> NDArray[np.uint8]:
        """Every image with its class's cells (classes, 3, c, c), stretched and clipped."""
        wide = nn.functional.interpolate(
            torch.from_numpy(cells.astype(np.float32)), size=SIDE, mode="nearest-exact"
        )
        delta = wide.to(torch.int16)[self.labels]
        return (self.images + delta).clamp(0, 255).to(torch.uint8).numpy()

    def _by_the_tool(self, seed: int) -> tuple[NDArray[np.uint8], Row]:
        """The images as PNG files, protected by `ue protect`; a new key per seed, at random."""
        work = self.store.work / f"{self.name}-csd-{seed}"
        source = work / "photos"
        for index, (image, label) in enumerate(zip(self.images, self.labels, strict=True)):
            path = source / self.classes[int(label)] / f"{index:06d}.png"
            path.parent.mkdir(parents=True, exist_ok=True)
            Image.fromarray(image.permute(1, 2, 0).numpy()).save(path)
        out, made = protected(source, work / "made", "csd", TextureRecipe())
        files = sorted(out.rglob("*.png"), key=lambda p: p.name)
        images, _ = load([(p, p.parent.name) for p in files], self.classes, SIDE)
        shutil.rmtree(work)
        return images.numpy(), made

    def _load(self, split: str, count: int) -> tuple[Tensor, Tensor]:
        files = [
            (path, name)
            for name in self.classes
            for path in sorted((self.data / split / name).iterdir())[:count]
        ]
        return load(files, self.classes, SIDE)


def _certificate(row: Row, key: Key, setting: Smoothing) -> SurrogateCertificate:
    counts = NoisyCounts(tuple(row["counts"]), row["tests"])
    etas = eta_grid(setting.sigma)
    return SurrogateCertificate(
        arm="clean" if key["arm"] == "clean" else "protected",
        training="plain",
        correct=row["correct_without_noise"],
        fit=row["fit"],
        weight_norm=row["weight_norm"],
        counts=counts,
        bounds=certify_grid(counts, etas, setting),
        simultaneous=certify_simultaneous(counts, etas, setting),
        population=certify_population(counts, etas, setting),
        lower=lower_quantile(counts, setting),
        sha256="",
    )
