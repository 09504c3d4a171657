"""The pieces of TUE's tables: files that are made, and victims that train on them."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import asdict
from typing import Any

from torch import Tensor

from reproduction.store import Row, Store
from reproduction.tue.arms import Arm, arms_of
from reproduction.tue.cells import Cell
from reproduction.tue.files import Files
from reproduction.tue.plan import Scale, as_json, recipe_of
from ue_cli.training.contrastive import build_contrast
from ue_cli.training.ssl_recipes import SslRecipe
from ue_cli.training.ssl_victims import Readout, read_out, ssl_victim
from ue_cli.training.supervised import train_victim


class Pieces:
    """Runs them at one scale.

    Args:
        name: of the scale.
        scale: its sizes.
        files: of the scale.
        store: of rows.
        device: ``cpu`` or ``cuda``.
        arms: by name; None: the scale's.
    """

    def __init__(
        self,
        name: str,
        scale: Scale,
        files: Files,
        store: Store,
        device: str,
        arms: Mapping[str, Arm] | None = None,
    ) -> None:
        self._name, self._scale, self._files = name, scale, files
        self._store, self._device = store, device
        self._arms = arms or arms_of(scale)

    def key(self, cell: Cell) -> dict[str, Any]:
        """Everything that must be equal in a row for it to be this piece.

        How the files are made and how the victim trains are in it: a row of other settings stays,
        and is not taken for this one.
        """
        key = {"scale": self._name, **asdict(cell), "settings": self._arms[cell.arm].settings}
        photos = self._files.photos(cell.dataset)
        key |= {"classes": len(photos.classes), "train_images": len(photos.images)}
        if cell.victim is not None:
            recipe = recipe_of(self._scale, cell.victim, cell.dataset, len(photos.images))
            tests, _ = photos.asked(self._tests(cell))
            key |= {"test_images": len(tests), "recipe": as_json(asdict(recipe))}
        return key

    def ready(self, cell: Cell) -> bool:
        """Whether what it needs is there, or was and can be made again."""
        arm = self._arms[cell.arm]
        if cell.piece == "make" or arm.maker is None:
            return True
        making = Cell("make", cell.arm, None, None, "cifar10", cell.seed)
        return self._store.find(self.key(making)) is not None

    def run(self, cell: Cell) -> Row:
        """Do it, and keep the row.

        Raises:
            UeError: the files could not be made.
        """
        began = time.perf_counter()
        work: Callable[[Cell], Row] = {
            "make": self._make,
            "supervised": self._with_labels,
            "ssl": self._without_labels,
        }[cell.piece]
        row = work(cell) | {"device": self._device}
        return self._store.add(
            self.key(cell), row | {"seconds": round(time.perf_counter() - began, 1)}
        )

    def _make(self, cell: Cell) -> Row:
        return self._files.make(self._arms[cell.arm], cell.seed)

    def _with_labels(self, cell: Cell) -> Row:
        """A victim, tested on clean images after each epoch."""
        images, labels = self._train_on(cell)
        tests, truth = self._files.photos(cell.dataset).asked(self._tests(cell))
        recipe = recipe_of(self._scale, "supervised", cell.dataset, len(images))
        assert not isinstance(recipe, SslRecipe)
        result = train_victim(
            images, labels, tests, truth, recipe, seed=cell.seed, device=self._device
        )
        return {
            "last": result.last,
            "best": result.best,
            "fit": result.fit,
            "accuracy": [round(value, 4) for value in result.accuracy],
            "training_seconds": round(result.seconds, 1),
        }

    def _without_labels(self, cell: Cell) -> Row:
        """An encoder that learns the files without labels, read out with the same files."""
        images, labels = self._train_on(cell)
        tests, truth = self._files.photos(cell.dataset).asked(self._tests(cell))
        assert cell.victim is not None
        recipe = recipe_of(self._scale, cell.victim, cell.dataset, len(images))
        assert isinstance(recipe, SslRecipe)
        result = ssl_victim(
            images, labels, tests, truth, recipe, seed=cell.seed, device=self._device
        )
        return {
            "probe": result.probe,
            "knn": result.knn,
            "fit": result.fit,
            "floor": asdict(result.floor),
            "encoder": asdict(self._read_by_originals(result.state, recipe, cell)),
            "losses": [round(value, 4) for value in result.losses],
            "training_seconds": round(result.seconds, 1),
        }

    def _read_by_originals(
        self, state: dict[str, Tensor], recipe: SslRecipe, cell: Cell
    ) -> Readout:
        """What the encoder itself is worth: a probe on protected files may use what they carry."""
        photos = self._files.photos(cell.dataset)
        asked, truth = photos.asked(self._tests(cell))
        net = build_contrast(recipe, seed=cell.seed).to(self._device)
        net.load_state_dict(state)
        shown = [each.to(self._device) for each in (photos.images, photos.labels, asked, truth)]
        return read_out(net, *shown, seed=cell.seed)

    def _train_on(self, cell: Cell) -> tuple[Tensor, Tensor]:
        assert cell.correspondence is not None
        images = self._files.protected(
            self._arms[cell.arm], cell.seed, cell.dataset, cell.correspondence
        )
        return images, self._files.photos(cell.dataset).labels

    def _tests(self, cell: Cell) -> int:
        """Test images of each class."""
        if cell.dataset != "cifar10":
            return self._scale.other_tests
        return self._scale.tests if cell.piece == "supervised" else self._scale.ssl_tests
