"""The recovery attack as a countermeasure: attacked once, kept, never trusted when damaged."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import pytest

from tests.jobs.conftest import Quiet
from tests.jobs.trials.test_trials import TINY, make_data
from ue_cli.countermeasures.recovery import RecoveryRecipe
from ue_cli.evaluation import recovered
from ue_cli.evaluation.recovered import attacks_left, recover_each
from ue_cli.trials.cache import keep
from ue_cli.trials.running import Trial, TrialData, TrialResult, run_trials
from ue_cli.types import Training

DATA = make_data()
SHORT = replace(TINY, epochs=1, widths=(8,), batch=64)
DEVICE = "cpu"


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """Two radii and two steps each."""
    monkeypatch.setattr(recovered, "RADII", (30.0, 3.0))
    monkeypatch.setattr(
        recovered, "RECIPE", RecoveryRecipe(scaling="relative", fraction=0.5, epochs=2)
    )


@pytest.fixture(scope="module")
def victims(tmp_path_factory: pytest.TempPathFactory) -> list[TrialResult]:
    return run_trials(
        [Trial("protected", seed, SHORT) for seed in (0, 1)],
        DATA,
        cache=tmp_path_factory.mktemp("victims"),
        jobs=1,
        device=DEVICE,
        phases=Quiet(),
    )


def attack(
    victims: Sequence[TrialResult], cache: Path | None, data: TrialData = DATA
) -> tuple[tuple[Training, ...], int]:
    """What comes of it, and how often a radius was told of."""
    told: list[None] = []
    found = recover_each(
        victims, data, device=DEVICE, on_radius=lambda: told.append(None), cache=cache
    )
    return found, len(told)


def left(victims: Sequence[TrialResult], cache: Path, data: TrialData = DATA) -> int:
    return attacks_left(victims, data, device=DEVICE, cache=cache)


def test_a_finished_attack_is_not_made_again(
    victims: list[TrialResult], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert left(victims, tmp_path) == 2
    first, _ = attack(victims[:1], tmp_path)
    assert left(victims, tmp_path) == 1
    assert attack(victims[:1], None) == (first, 2)
    both, _ = attack(victims, tmp_path)
    assert both[0] == first[0] and left(victims, tmp_path) == 0

    def none(*_: object, **__: object) -> None:
        raise AssertionError("attacked again")

    monkeypatch.setattr(recovered, "recover", none)
    assert attack(victims, tmp_path) == (both, 4)
    assert [one.seed for one in both] == [0, 1]
    assert [one.fitted for one in both] == [one.fitted for one in victims]


@pytest.mark.parametrize("what", ["weights", "originals", "tests", "radii", "recipe", "version"])
def test_whatever_decides_an_attack_makes_it_another(
    victims: list[TrialResult], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, what: str
) -> None:
    (victim, _), data = victims, DATA
    attack([victim], tmp_path)
    assert data.clean is not None
    if what == "weights":
        victim = replace(victim, sha256="0" * 64)
    elif what == "originals":
        data = replace(data, clean=255 - data.clean)
    elif what == "tests":
        data = replace(data, test=255 - data.test)
    elif what == "radii":
        monkeypatch.setattr(recovered, "RADII", (30.0, 2.0))
    elif what == "recipe":
        monkeypatch.setattr(recovered, "RECIPE", replace(recovered.RECIPE, epochs=1))
    else:
        monkeypatch.setattr(recovered, "ATTACK_VERSION", 0)
    assert left([victim], tmp_path, data) == 1
    # The protected files are no part of it: the weights say what they led to.
    assert left(victims[:1], tmp_path, replace(DATA, protected=DATA.protected[:1])) == (
        what in ("radii", "recipe", "version")
    )


@pytest.mark.parametrize("damage", ["count", "cut off", "empty", "list", "one radius", "shares"])
def test_a_damaged_attack_is_made_again(
    victims: list[TrialResult], tmp_path: Path, damage: str
) -> None:
    first, _ = attack(victims[:1], tmp_path)
    (entry,) = tmp_path.iterdir()
    whole = entry.read_bytes()
    body = json.loads(whole)
    if damage == "count":
        entry.write_text(json.dumps(body | {"correct": [0, 0]}))
    elif damage == "one radius":
        keep(tmp_path, entry.stem, {"correct": body["correct"][:1]})
    elif damage == "shares":
        keep(tmp_path, entry.stem, {"correct": [0.5, 0.5]})
    else:
        entry.write_bytes({"cut off": whole[:-20], "empty": b"", "list": b"[1]"}[damage])
    assert left(victims[:1], tmp_path) == 1
    assert attack(victims[:1], tmp_path)[0] == first
    assert entry.read_bytes() == whole and left(victims[:1], tmp_path) == 0


def test_without_originals_there_is_no_attack(victims: list[TrialResult], tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="no originals"):
        attack(victims, tmp_path, replace(DATA, clean=None))
