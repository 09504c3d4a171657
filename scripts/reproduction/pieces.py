"""The pieces of PUE's experiment: make files, train on them, certify what was trained."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from effect import CIFAR
from numpy.typing import NDArray
from torch import Tensor, nn

from reproduction.certificates import certified, judged, upper_at
from reproduction.files import SIDE, by_the_tool, read, with_cells
from reproduction.scales import ARMS, Scale
from reproduction.store import Key, Row, Store
from ue_cli.certificates.sampling import choose_sigma
from ue_cli.countermeasures.recovery import RecoveryRecipe, recover
from ue_cli.training.augment import whole
from ue_cli.training.supervised import VictimResult, build_net, test_accuracy, train_victim
from ue_cli.types import Budget, Smoothing

BUDGET = Budget(8)
ATTACK_ETAS = (1.0, 10.0, 30.0, 100.0)
"""Radii far beyond what is certified, in the same units: how far accuracy really is."""


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
        self.classes = [p.name for p in sorted((data / "train").iterdir()) if p.name in CIFAR]
        self.images, self.labels = read(data / "train", self.classes, scale.per_class)
        self.tests, self.truth = read(data / "test", self.classes, scale.tests)

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
                if arm != "clean":
                    yield self._piece(self.attack, piece="recovery", arm=arm, seed=seed)

    def make(self, key: Key) -> Row:
        """Protected images, rounded to what a file holds, and what their making said."""
        arm, seed = str(key["arm"]), int(key["seed"])
        if arm == "csd":
            images, made = by_the_tool(
                self.images, self.labels, self.classes, self.store.work / f"{self.name}-csd-{seed}"
            )
        elif arm == "random":
            cells = self.scale.pue.cells
            draw = np.random.default_rng(seed)
            shape = (len(self.classes), 3, cells, cells)
            signs = draw.choice(np.array([-1, 1], np.int8), shape) * np.int8(BUDGET.levels)
            images, made = with_cells(self.images, self.labels, signs), {"cells": cells}
        else:
            method = self.scale.em if arm == "em" else self.scale.pue
            found = method.optimise(
                self.images, self.labels, self.classes, BUDGET, seed=seed, device=self.device
            )
            self.store.save_weights(key, found.surrogate)
            images = with_cells(self.images, self.labels, found.bank.delta[:, 0])
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
        row = certified(net, images, truth, setting, seed=int(key["seed"]), device=self.device)
        row |= {"sigma_rule": rule, "fit": self._fit(net, key)}
        if key["arm"] != "clean":
            control = self._row(dict(key) | {"arm": "clean", "surrogate": "offline"})
            row |= judged(row, control, setting, classes=len(self.classes))
        return row

    def attack(self, key: Key) -> Row:
        """The recovery attack on the offline surrogate, beside the bound at the same radius."""
        base = dict(key) | {"piece": "certificate", "surrogate": "offline", "setting": "relative"}
        row = self._row(base)
        net = self._surrogate(base)
        chosen = self._chosen_tests()
        reach = round(float(row["max_eta"]) / 2, 4)
        setting, _ = self._setting(base)
        found = recover(
            net,
            self.images,
            self.labels,
            self.tests[chosen],
            self.truth[chosen],
            (reach, *ATTACK_ETAS),
            RecoveryRecipe(
                scaling="relative",
                size=SIDE,
                epochs=self.scale.attack_epochs,
                fraction=self.scale.attack_share,
            ),
            seed=int(key["seed"]),
            device=self.device,
        )
        return {
            "scaling": "relative",
            "sigma": setting.sigma,
            "clean_images": int(self.scale.attack_share * len(self.images)),
            "epochs": self.scale.attack_epochs,
            "before": row["correct_without_noise"] / row["tests"],
            "attacks": [
                {
                    "eta": one.eta,
                    "accuracy": one.accuracy,
                    "distance": one.distance,
                    "bound": upper_at(row, one.eta, setting),
                }
                for one in found
            ],
        }

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

    def _chosen_tests(self) -> Tensor:
        """The first test images of every class: those of certificates and attacks."""
        most = self.scale.certified_tests
        classes = range(len(self.classes))
        return torch.cat([(self.truth == k).nonzero()[:most, 0] for k in classes])

    def _certified(self) -> tuple[Tensor, Tensor]:
        """Those images as the network sees them."""
        chosen = self._chosen_tests()
        return whole(self.tests[chosen], SIDE), self.truth[chosen]
