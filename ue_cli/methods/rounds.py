"""A search with a surrogate, round by round: what it does in one, and what it goes on from."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Protocol

import torch
from torch import Tensor, nn

if TYPE_CHECKING:
    from ue_cli.methods.search import Search

State = Mapping[str, Any]
"""Tensors, numbers, strings, and lists and maps of them."""

Row = dict[str, Any]
"""What happened in one round, for the bank's provenance; JSON."""


class Checkpoint(Protocol):
    """Where an interrupted search is found again."""

    def load(self, key: str) -> State | None:
        """What was saved last; None where there is nothing, or that of another key."""

    def due(self) -> bool:
        """Whether to save after this round."""

    def save(self, key: str, state: State) -> None:
        """Keep a search's state, in the place of what was kept before.

        Args:
            key: of everything that decides the search.
            state: of after a whole round.
        """


class Stream:
    """Batches of indices without end; every image once before any comes again.

    Args:
        count: images.
        batch: of them at a time, or all if there are fewer.
        generator: of their orders.
        device: of the batches.
    """

    def __init__(
        self, count: int, batch: int, generator: torch.Generator, device: torch.device
    ) -> None:
        self._count, self._size = count, min(batch, count)
        self._generator, self._device = generator, device
        self._order = torch.empty(0, dtype=torch.int64)

    def __iter__(self) -> Iterator[Tensor]:
        return self

    def __next__(self) -> Tensor:
        """(k,) images."""
        if len(self._order) < self._size:
            self._order = torch.randperm(self._count, generator=self._generator)
        chosen, self._order = self._order[: self._size], self._order[self._size :]
        return chosen.to(self._device)

    def state(self) -> Tensor:
        """The images that are still to come of this order."""
        return self._order.clone()

    def restore(self, state: Tensor) -> None:
        """Go on with these."""
        self._order = state


class Run(ABC):
    """One search under way; whatever its log does not tell is in `state`.

    Args:
        on: the photos and what they carry.
        surrogate: None where there is none.
        optimiser: of the surrogate.
        batch: images per step of the surrogate.
        generators: of draws other than ``on``'s.

    Attributes:
        watched: what a row of the log says that `types.OnStep` gets.
    """

    watched: str

    def __init__(
        self,
        on: Search,
        surrogate: nn.Module | None,
        optimiser: torch.optim.Optimizer | None,
        batch: int,
        generators: Sequence[torch.Generator] = (),
    ) -> None:
        self.search, self.surrogate, self.optimiser = on, surrogate, optimiser
        self.generator = on.generator
        self.stream = Stream(len(on.images), batch, on.generator, on.images.device)
        self._generators = (on.generator, *generators)

    @abstractmethod
    def round(self, log: Sequence[Row]) -> Row:
        """Improve surrogate and patterns once; the row that comes after ``log``."""

    def over(self, log: Sequence[Row]) -> bool:
        """Whether a search with this log ends before its last round."""
        return False

    @abstractmethod
    def summary(self, log: Sequence[Row]) -> Row:
        """What happened in all, for the bank's provenance; JSON."""

    def state(self) -> State:
        """All that a search with the same inputs needs besides its log to go on from here."""
        return {
            "patterns": self.search.entries.state(),
            "stream": self.stream.state(),
            "generators": [generator.get_state() for generator in self._generators],
            "surrogate": None if self.surrogate is None else self.surrogate.state_dict(),
            "optimiser": None if self.optimiser is None else self.optimiser.state_dict(),
        }

    def restore(self, state: State) -> None:
        """Go on from what `state` gave of a search with the same inputs."""
        self.search.entries.restore(state["patterns"])
        self.stream.restore(state["stream"])
        for generator, earlier in zip(self._generators, state["generators"], strict=True):
            generator.set_state(earlier)
        if self.surrogate is not None:
            self.surrogate.load_state_dict(state["surrogate"])
        if self.optimiser is not None:
            self.optimiser.load_state_dict(state["optimiser"])
