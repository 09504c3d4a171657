"""A search that is interrupted ends where an uninterrupted one ends, bit for bit."""

from __future__ import annotations

from dataclasses import replace
from io import BytesIO
from typing import Any

import numpy as np
import pytest
import torch

from tests.methods.test_tue import tiny
from tests.methods.tiny import BUDGET, em, images, pue
from ue_cli.methods.rounds import State, Stream
from ue_cli.methods.search import Learner

NAMES = ("cats", "dogs", "newts")
LEARNERS: dict[str, Learner] = {
    "em": em(stop_error=-1.0),
    "pue": pue(stop_error=-1.0, per_class=16),
    "simclr": tiny("simclr", max_rounds=3),
    "moco": tiny("moco", max_rounds=3),
    "simsiam": tiny("simsiam", max_rounds=3, train_mode=True),
    "csd alone": tiny(contrastive=0.0, max_rounds=3),
}


class Kept:
    """A checkpoint in memory, as a file would have it."""

    def __init__(self, until: int | None = None) -> None:
        self.until, self.saved, self.key, self.data = until, 0, "", b""

    def load(self, key: str) -> State | None:
        found: State = torch.load(BytesIO(self.data), weights_only=True) if self.data else {}
        return found if found and key == self.key else None

    def due(self) -> bool:
        return True

    def save(self, key: str, state: State) -> None:
        file = BytesIO()
        torch.save(state, file)
        self.key, self.data = key, file.getvalue()
        self.saved += 1
        if self.saved == self.until:
            raise KeyboardInterrupt


def optimised(method: Learner, kept: Kept | None = None, **changes: Any) -> Any:
    inputs: dict[str, Any] = {"seed": 1, "budget": BUDGET} | changes
    return method.optimise(*images(), NAMES, checkpoint=kept, **inputs)


@pytest.mark.parametrize("name", LEARNERS)
def test_it_goes_on_after_the_last_whole_round(name: str) -> None:
    method, kept = LEARNERS[name], Kept(until=2)
    whole = optimised(method)
    with pytest.raises(KeyboardInterrupt):
        optimised(method, kept)
    seen: list[int] = []
    again = optimised(method, kept, on_step=lambda n, *_: seen.append(n))
    assert (kept.saved, seen) == (3, [2, 3])
    assert np.array_equal(again.bank.delta, whole.bank.delta)
    assert again.bank.provenance == whole.bank.provenance
    assert again.surrogate.keys() == whole.surrogate.keys()
    assert all(torch.equal(again.surrogate[k], value) for k, value in whole.surrogate.items())


def test_a_finished_search_is_not_run_again() -> None:
    kept = Kept()
    first = optimised(LEARNERS["simclr"], kept)
    assert np.array_equal(optimised(LEARNERS["simclr"], kept).bank.delta, first.bank.delta)
    assert kept.saved == 3


@pytest.mark.parametrize("change", ["seed", "budget", "recipe", "images"])
def test_another_search_begins_at_its_beginning(change: str) -> None:
    method, kept = LEARNERS["csd alone"], Kept(until=1)
    with pytest.raises(KeyboardInterrupt):
        optimised(method, kept)
    pictures, labels = images()
    inputs: dict[str, Any] = {"seed": 1}
    if change == "seed":
        inputs["seed"] = 2
    elif change == "recipe":
        assert isinstance(method, type(tiny()))
        method = replace(method, step=0.5)
    elif change == "images":
        pictures = pictures.clone()
        pictures[0, 0, 0, 0] += 1
    budget = replace(BUDGET, levels=6) if change == "budget" else BUDGET
    seen: list[int] = []
    kept.until = None
    method.optimise(
        pictures,
        labels,
        NAMES,
        budget,
        checkpoint=kept,
        on_step=lambda n, *_: seen.append(n),
        **inputs,
    )
    assert seen == [1, 2, 3]


def test_a_stream_shows_every_image_before_any_again_and_goes_on_as_it_was() -> None:
    generator, cpu = torch.Generator().manual_seed(0), torch.device("cpu")
    stream = Stream(10, 4, generator, cpu)
    batches = [next(stream).tolist() for _ in range(3)]
    assert len({*batches[0], *batches[1]}) == 8 and len(batches[2]) == 4
    rest, earlier = stream.state(), generator.get_state()
    expected = [next(stream).tolist() for _ in range(4)]
    other = Stream(10, 4, torch.Generator(), cpu)
    other.restore(rest)
    generator.set_state(earlier)
    again = Stream(10, 4, generator, cpu)
    again.restore(rest)
    assert [next(again).tolist() for _ in range(4)] == expected
    assert next(other).tolist() == expected[0]
    assert sorted(next(Stream(3, 8, generator, cpu)).tolist()) == [0, 1, 2]
