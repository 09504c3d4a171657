"""What every method with a surrogate begins and ends with: photos, their patterns, a bank."""

from __future__ import annotations

import json
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from hashlib import sha256
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional

from ue_cli import __version__
from ue_cli.methods.entries import Entries, check_inputs
from ue_cli.methods.rounds import Checkpoint, Row, Run
from ue_cli.types import Bank, Budget, OnStep, Provenance


@dataclass(frozen=True, slots=True)
class Optimised:
    """What a search ends with.

    Attributes:
        bank: the perturbation.
        surrogate: weights of the network that it was made with, the *online* surrogate; empty
            where there was none.
    """

    bank: Bank
    surrogate: dict[str, Tensor] = field(repr=False)


class Search:
    """Photos on the device, the patterns that they carry, and every draw's generator.

    Args:
        images: (n, 3, h, w) uint8.
        labels: (n,) int64, positions in ``classes``.
        classes: names; those that ``frozen`` holds keep their entries, which take part.
        shape: of one class's patterns, (per_class, 3, cells, cells).
        size: side of the surrogate's input.
        budget: the ball.
        seed: of the generator.
        variants: (n,) which of its class's patterns each image carries; None: in turn.
        frozen: entries that do not change.
        device: for torch.

    Attributes:
        names: the frozen classes, then the new ones in the order of ``classes``.
        labels: (n,) positions in ``names``.

    Raises:
        UeError: fewer than two classes have images, or the frozen bank has another shape.
    """

    def __init__(
        self,
        images: Tensor,
        labels: Tensor,
        classes: Sequence[str],
        shape: tuple[int, int, int, int],
        size: int,
        budget: Budget,
        *,
        seed: int,
        variants: Tensor | None,
        frozen: Bank | None,
        device: str,
    ) -> None:
        check_inputs(images, labels, classes, shape, size, budget, frozen)
        self.names = tuple(dict.fromkeys([*(frozen.classes if frozen else ()), *classes]))
        labels = torch.tensor([self.names.index(name) for name in classes])[labels]
        self.generator = torch.Generator().manual_seed(seed)
        self.entries = Entries(
            labels, len(self.names), shape, budget, variants, frozen, self.generator, device
        )
        self.images, self.labels = images.to(device), labels.to(device)
        self._budget, self._frozen = budget, frozen

    def carrying(self, chosen: Tensor, delta: Tensor) -> Tensor:
        """Some images plus cells, within the values that a pixel can have.

        Args:
            chosen: (k,) images.
            delta: (k, 3, c, c) in levels.

        Returns:
            (k, 3, h, w) float32 in 0..255.
        """
        images = self.images.index_select(0, chosen)
        wide = functional.interpolate(delta, size=images.shape[2:], mode="nearest-exact")
        return (images + wide).clamp(0, 255)

    def digest(self, recipe: Mapping[str, Any], seed: int) -> str:
        """SHA-256, hex, of what decides a search that begins now, and of the code that runs it.

        Args:
            recipe: the hyperparameters.
            seed: as for `Learner.begin`.
        """
        settings = [recipe, seed, self.names, self._budget.levels, str(self.images.device)]
        versions = [__version__, torch.__version__]
        parts = [settings, versions, self.images.shape]
        digest = sha256(json.dumps(parts, sort_keys=True).encode())
        for tensor in (self.images, self.labels, *self.entries.start()):
            digest.update(tensor.cpu().contiguous().numpy().data)
        return digest.hexdigest()

    def bank(self, method: str, recipe: Mapping[str, Any]) -> Bank:
        """The patterns in whole levels.

        Args:
            method: its name.
            recipe: what provenance says of the search.
        """
        record = dict(recipe)
        if self._frozen is not None:
            new = list(self.names[len(self._frozen.classes) :])
            record["joined"] = [*self._frozen.provenance.recipe.get("joined", []), new]
        return Bank(
            self.entries.levels(),
            self.names,
            self._budget,
            Provenance(method, "pixel", record, f"ue {__version__}"),
        )


class Learner(ABC):
    """A method that trains a surrogate; its dataclasses hold the hyperparameters.

    Attributes:
        name: of the method.
        cells: side of the square of cells that is stretched over an image.
        per_class: patterns per class.
        batches: steps of the surrogate per round.
        max_rounds: end of the search.
    """

    name: str
    cells: int
    per_class: int
    batches: int
    max_rounds: int

    @property
    @abstractmethod
    def size(self) -> int:
        """Side of the surrogate's input, in pixels."""

    @property
    @abstractmethod
    def batch(self) -> int:
        """Images per step of the surrogate."""

    @abstractmethod
    def begin(self, on: Search, seed: int) -> Run:
        """A search that improves the patterns of ``on`` in place.

        Args:
            on: the photos and what they carry.
            seed: of the surrogate and its noise; other draws come from the search's generator.
        """

    def optimise(
        self,
        images: Tensor,
        labels: Tensor,
        classes: Sequence[str],
        budget: Budget,
        *,
        seed: int,
        variants: Tensor | None = None,
        frozen: Bank | None = None,
        device: str = "cpu",
        on_step: OnStep | None = None,
        checkpoint: Checkpoint | None = None,
    ) -> Optimised:
        """Make a bank, or let classes join one.

        Args:
            images: (n, 3, h, w) uint8, at or near the surrogate's input size.
            labels: (n,) int64, positions in ``classes``.
            classes: names; those that ``frozen`` holds keep their entries, which take part.
            budget: the ball.
            seed: of the start, the surrogate, the order, the augmentation and the noise.
            variants: (n,) which of its class's patterns each image carries, counted around;
                by default they take turns.
            frozen: entries that do not change.
            device: for torch.
            on_step: see `types.OnStep`; after every round, with what the method watches.
            checkpoint: where an interrupted search of the same inputs goes on, with the same
                result as an uninterrupted one on a CPU.

        Returns:
            The frozen entries, then the new ones in the order of ``classes``, and the surrogate.

        Raises:
            UeError: fewer than two classes have images, or the frozen bank has another shape.
        """
        on = Search(
            images,
            labels,
            classes,
            (self.per_class, 3, self.cells, self.cells),
            self.size,
            budget,
            seed=seed,
            variants=variants,
            frozen=frozen,
            device=device,
        )
        run = self.begin(on, seed)
        hyper = asdict(self)  # type: ignore[call-overload]
        log: list[Row] = []
        key = "" if checkpoint is None else on.digest(hyper, seed)
        if checkpoint is not None and (saved_state := checkpoint.load(key)) is not None:
            log = list(saved_state["log"])
            run.restore(saved_state["run"])
            if on_step is not None:
                on_step(len(log), self.max_rounds, log[-1][run.watched])
        while len(log) < self.max_rounds and not run.over(log):
            log.append(run.round(log))
            if checkpoint is not None and checkpoint.due():
                checkpoint.save(key, {"log": log, "run": run.state()})
            if on_step is not None:
                on_step(len(log), self.max_rounds, log[-1][run.watched])
        state = {} if run.surrogate is None else run.surrogate.state_dict()
        return Optimised(
            on.bank(self.name, hyper | run.summary(log)),
            {name: value.detach().cpu() for name, value in state.items()},
        )
