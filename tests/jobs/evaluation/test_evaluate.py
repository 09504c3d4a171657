"""`ue evaluate` from folder to report, on trainings too short for any verdict."""

from __future__ import annotations

import json
import shlex
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner

from tests.jobs.certification.test_certify import Notes
from tests.jobs.conftest import picture, run_ue
from ue_cli.certificates.intervals import clopper_pearson
from ue_cli.cli import app
from ue_cli.countermeasures.registry import SPECS, find
from ue_cli.datasets.dataset import Dataset, TrainItem
from ue_cli.datasets.limits import SIDE
from ue_cli.errors import UeError
from ue_cli.evaluation import options as options_module
from ue_cli.evaluation import recovered
from ue_cli.evaluation.cells import check_coverages, plan_cells, possible, tasks_of
from ue_cli.evaluation.evaluate import EvaluateResult, evaluate
from ue_cli.evaluation.files import (
    WEB_COPIES,
    Arrays,
    Source,
    alone_count,
    covered,
    side_of,
)
from ue_cli.evaluation.options import (
    EvaluateOptions,
    chosen_countermeasures,
    chosen_victims,
    parse_coverage,
)
from ue_cli.evaluation.words import describe_training, few_epochs
from ue_cli.report import read_evaluation
from ue_cli.training import backbones
from ue_cli.trials import cache as trialcache
from ue_cli.trials.running import TrialResult
from ue_cli.types import EffectCell

PER_CLASS = 30
pytestmark = pytest.mark.usefixtures("short", "here")


class Board(Notes):
    """`Watch` that remembers every table."""

    def __init__(self) -> None:
        super().__init__()
        self.tables: list[list[tuple[str, ...]]] = []

    def show(self, columns: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
        assert all(len(row) == len(columns) for row in rows)
        self.tables.append([tuple(row) for row in rows])


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """``src``, a made-up protected copy ``out`` and other clean images ``test``, in a folder."""
    root = tmp_path_factory.mktemp("evaluate")
    for index in range(2 * PER_CLASS):
        name = ("cats", "dogs")[index % 2]
        picture(root / "src" / name / f"{index}.png", index, size=(32, 32))
        picture(root / "out" / name / f"{index}.png", index, size=(32, 32), compress_level=1)
        pixel = np.zeros((32, 32, 3), np.uint8)
        pixel[:, :, index % 2] = 8
        _add(root / "out" / name / f"{index}.png", pixel)
        if index < PER_CLASS:
            picture(root / "test" / name / f"{index}.png", 1000 + index, size=(32, 32))
    return root


def _add(path: Path, delta: np.ndarray) -> None:
    from PIL import Image

    with Image.open(path) as image:
        changed = np.asarray(image) + delta
    Image.fromarray(changed).save(path)


def options(root: Path, **changes: object) -> EvaluateOptions:
    asked = EvaluateOptions(
        dataset=root / "out",
        original=root / "src",
        test=None,
        home=root / "home",
        report=root / "report",
        against=("grayscale",),
        min_test=10,
        device="cpu",
        jobs=1,
    )
    return replace(asked, **changes)  # type: ignore[arg-type]


def cells(result: EvaluateResult) -> dict[tuple[str, int], EffectCell]:
    assert result.evaluation is not None
    return {(c.countermeasure, c.coverage): c for c in result.evaluation.measured.cells}


@pytest.mark.slow
def test_everything_is_trained_beside_a_control_and_kept(folder: Path) -> None:
    board = Board()
    first = evaluate(options(folder, coverage=(100, 50)), board)
    found = cells(first)
    assert list(found) == [("none", 100), ("grayscale", 100), ("none", 50), ("grayscale", 50)]
    measured = first.evaluation.measured if first.evaluation else None
    assert measured is not None and measured.tests == 12 and measured.train_files == 48
    for (_, coverage), cell in found.items():
        (protected,), (control,) = cell.protected, cell.control
        assert cell.upper == clopper_pearson(protected.best, 12, 0.95)[1]
        assert cell.lower == clopper_pearson(control.last, 12, 0.95)[0]
        assert cell.control == found[cell.countermeasure, 100].control
        assert [one.trained for one in cell.alone] == ([] if coverage == 100 else [24])
        assert protected.trained == control.trained == 48
    assert measured.detectability is not None and measured.detectability.photos == 48
    # Nobody enlarges files of 32 pixels to train on them.
    assert "files at 32 pixels, shifts by up to 4 of 32 pixels" in found["none", 100].recipe
    # 2 countermeasures: protected at both coverages, one control, and the unprotected half.
    assert first.trainings == first.left == 8
    assert any("8 trainings" in note and "This will take" in note for note in board.notes)
    assert read_evaluation(folder / "report") == first.evaluation
    assert "How a verdict is reached" in (folder / "report" / "report.html").read_text()

    pending, done = board.tables[0], board.tables[-1]
    assert {row[3] for row in pending} == {row[6] for row in pending} == {"…"}
    assert not [row for row in done if "…" in row]
    assert [row[:3] for row in done] == [
        ("small", name, f"{coverage} %") for name, coverage in found
    ]

    again = evaluate(options(folder, coverage=(100, 50)), Board())
    assert (again.trainings, again.left) == (8, 0)
    assert cells(again) == found


def test_a_dry_run_says_what_it_would_do_and_does_nothing(folder: Path, tmp_path: Path) -> None:
    board = Board()
    result = evaluate(
        options(folder, report=tmp_path / "new", dry_run=True, seeds=2, against=("jpeg-50",)), board
    )
    assert result.cells == (("small", "none", 100), ("small", "jpeg-50", 100))
    assert (result.trainings, result.left) == (8, 8)
    assert result.estimate > 0 and result.evaluation is None and not board.tables
    assert not (tmp_path / "new").exists()


def test_a_shorter_training_is_named_as_such(folder: Path) -> None:
    item = TrainItem("a.png", 0, folder, None)
    found = Dataset(("a", "b"), (item,) * 48, (), "", "", "", None, 1, 32, ())
    (cell,) = plan_cells([find("none")], ("small",), (100,))
    for epochs, words in (
        (1, "1 epochs instead of 2"),
        (2, "2 epochs in"),
        (3, "3 epochs instead"),
    ):
        asked = options(folder, epochs=epochs)
        task, *_ = tasks_of(cell, asked, [0, 1] * 24, side=32, originals=True)
        assert task.trial.recipe.epochs == epochs
        assert words in describe_training(cell, task, 48)
        said = [(one.code, "small 2" in one.text) for one in few_epochs(asked, found)]
        assert said == ([("few-epochs", True)] if epochs == 1 else [])


@pytest.mark.slow
def test_an_interrupted_evaluation_goes_on_where_it_stopped(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Stops(Board):
        def show(self, columns: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
            if any(row[3] != "…" for row in rows):
                raise KeyboardInterrupt

    asked = options(folder, report=tmp_path / "report", against=("none",))
    with pytest.raises(KeyboardInterrupt):
        evaluate(asked, Stops())
    assert not (tmp_path / "report" / "evaluation.json").exists()
    kept = list((tmp_path / "report" / "trainings").glob("*.json"))
    assert len(kept) == 1
    stored: list[str] = []
    store = trialcache.store

    def counting(cache: Path, key: str, *rest: object) -> None:
        stored.append(key)
        store(cache, key, *rest)  # type: ignore[arg-type]

    monkeypatch.setattr("ue_cli.trials.lanes.store", counting)
    result = evaluate(asked, Board())
    assert (result.trainings, result.left) == (2, 1)
    assert len(stored) == 1 and stored[0] != kept[0].stem


@pytest.mark.slow
def test_the_recovery_attack_goes_on_from_the_plain_trainings_and_from_itself(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    attacked: list[str] = []

    def attack(result: TrialResult, *rest: object) -> list[int]:
        if len(attacked) == 1 and not (tmp_path / "again").exists():
            raise KeyboardInterrupt
        attacked.append(result.sha256)
        return _attack(result, *rest)  # type: ignore[arg-type]

    _attack = recovered._attack
    monkeypatch.setattr(recovered, "_attack", attack)
    monkeypatch.setattr(recovered, "RECIPE", replace(recovered.RECIPE, epochs=1))
    asked = options(folder, report=tmp_path / "report", against=("recovery",))
    with pytest.raises(KeyboardInterrupt):
        evaluate(asked, Board())
    (tmp_path / "again").touch()
    before = evaluate(replace(asked, dry_run=True), Board())
    result = evaluate(asked, Board())
    assert (result.trainings, result.left) == (2, 0) and len(attacked) == 2
    found = cells(result)["recovery", 100]
    assert len(found.protected[0].correct) == len(found.control[0].correct) == 4
    assert found.protected[0].fitted == cells(result)["none", 100].protected[0].fitted
    assert "fine-tuned" in found.recipe
    after = evaluate(asked, Board())
    assert cells(after) == cells(result) and len(attacked) == 2
    assert before.estimate > 0 == after.estimate


@pytest.mark.slow
def test_without_originals_nothing_is_concluded(folder: Path, tmp_path: Path) -> None:
    asked = options(
        folder, original=None, test=folder / "test", report=tmp_path / "report", against=()
    )
    board = Board()
    result = evaluate(replace(asked, against=("none",)), board)
    assert {cell.verdict for cell in cells(result).values()} == {"inconclusive"}
    assert any("no control" in note for note in board.notes)
    assert board.tables[-1][0][5] == "none"


def test_names_are_checked_before_any_work(folder: Path) -> None:
    def refused(**changes: object) -> UeError:
        with pytest.raises(UeError) as caught:
            evaluate(options(folder, dataset=folder / "nowhere", **changes), Board())
        return caught.value

    unknown = refused(against=("grey",))
    assert unknown.code == "countermeasure-unknown" and "jpeg-50" in unknown.hint
    unknown = refused(victims=("resnet19",))
    assert unknown.code == "victim-unknown" and "Did you mean resnet18" in unknown.hint


def test_what_cannot_be_had_is_left_out_or_refused(folder: Path) -> None:
    tier = chosen_countermeasures(options(folder, against=(), tier="full"))
    kept, left = possible(tier, options(folder), originals=True)
    assert left == ("subtraction", "subtraction-span")
    kept, left = possible(tier, options(folder), originals=False)
    assert {"recovery", "dilution-20"} <= set(left) and find("none") in kept
    for name, words in (("subtraction", "none was given"), ("recovery", "no originals")):
        asked = options(folder, against=(name,))
        with pytest.raises(UeError, match=words):
            possible(chosen_countermeasures(asked), asked, originals=False)
    with pytest.raises(UeError, match="leaves files unprotected"):
        possible(tier, options(folder, coverage=(50,)), originals=False)


def test_a_plain_training_is_always_there_and_early_stopping_is_read_off(folder: Path) -> None:
    specs = chosen_countermeasures(options(folder, against=("early-stopping", "jpeg-50")))
    assert [spec.name for spec in specs] == ["none", "early-stopping", "jpeg-50"]
    planned = plan_cells(specs, ("small",), (50, 100))
    assert [(c.countermeasure, c.coverage) for c in planned] == [
        ("none", 100),
        ("jpeg-50", 100),
        ("none", 50),
        ("jpeg-50", 50),
    ]


def test_tiers_grow(folder: Path) -> None:
    def names(**asked: object) -> set[str]:
        return {spec.name for spec in chosen_countermeasures(options(folder, against=(), **asked))}

    quick, standard, full = (names(tier=tier) for tier in ("quick", "standard", "full"))
    assert quick < standard < full == {spec.name for spec in SPECS}
    assert options(folder, tier="quick").runs == 1 and options(folder, tier="standard").runs == 3
    assert options(folder, tier="full", seeds=2).runs == 2
    assert chosen_victims(options(folder)) == ("small",)
    assert chosen_victims(options(folder, victims=("vit-tiny", "small"))) == ("small", "vit-tiny")


def test_pretrained_victims_are_tried_where_their_weights_are(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(options_module, "cache_folders", lambda: (tmp_path, tmp_path))
    full = options(folder, tier="full")
    assert chosen_victims(full) == ("small", "resnet18", "vit-tiny")
    (tmp_path / "resnet18-f37072fd.pth").touch()
    assert chosen_victims(full) == ("small", "resnet18", "vit-tiny", "probe", "fine-tune")
    assert chosen_victims(options(folder)) == ("small",)
    assert [side_of(name, 32) for name in ("small", "probe")] == [32, 256]


def test_a_victim_without_its_weights_is_refused_before_any_work(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(backbones, "cache_folders", lambda: (tmp_path, tmp_path))
    with pytest.raises(UeError, match="nothing is downloaded here") as caught:
        evaluate(options(folder, dataset=folder / "nowhere", victims=("small", "probe")), Board())
    assert caught.value.code == "backbone-missing" and "leave probe" in caught.value.hint


def test_a_web_copy_is_the_plain_training_on_other_files(folder: Path) -> None:
    assert set(WEB_COPIES) == {spec.name for spec in SPECS if spec.kind == "files"}
    for name, copy in WEB_COPIES.items():
        assert f"{copy.long_edge:,} pixels" in find(name).summary
        assert f"q{copy.quality} " in find(name).summary
        (cell,) = plan_cells([find(name)], ("small",), (100,))
        protected, control = tasks_of(cell, options(folder), [0, 1] * 40, side=32, originals=True)
        assert protected.source == control.source == Source(name, 100, side=32)
        assert protected.trial.countermeasure is control.trial.countermeasure is None


def test_coverage_is_nested_and_by_class() -> None:
    names = [f"{i}.jpg" for i in range(200)]
    labels = [int(i >= 40) for i in range(200)]
    chosen = {share: covered(names, labels, share) for share in (100, 90, 50, 5)}
    for share, mask in chosen.items():
        assert [int(mask[:40].sum()), int(mask[40:].sum())] == [
            40 * share // 100,
            160 * share // 100,
        ]
        assert alone_count(labels, share) == int((~mask).sum())
    assert not (chosen[50] & ~chosen[90]).any()
    back = covered(names[::-1], labels[::-1], 50)
    assert np.array_equal(back[::-1], chosen[50])


def test_only_some_files_are_protected_and_the_rest_can_stand_alone() -> None:
    n = 10
    arrays = Arrays(
        names=tuple(map(str, range(n))),
        labels=np.arange(n, dtype=np.int64) % 2,
        protected={("", SIDE): np.full((n, 3, 4, 4), 9, np.uint8)},
        clean={("", SIDE): np.full((n, 3, 4, 4), 5, np.uint8)},
        test={SIDE: np.zeros((2, 3, 4, 4), np.uint8)},
        test_labels=np.arange(2, dtype=np.int64),
    )
    mask = covered(arrays.names, arrays.labels.tolist(), 60)
    mixed = arrays.of(Source("", 60))
    assert np.array_equal(mixed.protected[:, 0, 0, 0], np.where(mask, 9, 5))
    rest = arrays.of(Source("", 60, alone=True))
    assert np.array_equal(rest.labels, arrays.labels[~mask]) and (rest.protected == 5).all()
    assert arrays.count(Source("", 60)) == n
    assert arrays.count(Source("", 60, alone=True)) == len(rest.labels) == 4
    whole = arrays.of(Source("", 100))
    assert whole.sha256("clean") == mixed.sha256("clean")
    assert whole.sha256("protected") != mixed.sha256("protected")


@pytest.mark.parametrize(("coverage", "clean"), [(100, 20), (50, 60)])
def test_originals_among_protected_files_are_tried_alone(
    folder: Path, coverage: int, clean: int
) -> None:
    """What dilution reaches says little without what its clean images reach by themselves."""
    (cell,) = plan_cells([find("dilution-20")], ("small",), (coverage,))
    labels = [0, 1] * 50
    protected, control, alone = tasks_of(cell, options(folder), labels, side=SIDE, originals=True)
    assert (protected.source.coverage, control.source.coverage) == (coverage, 100)
    assert protected.trial.countermeasure == control.trial.countermeasure == "dilution-20"
    assert alone.source == Source("", 100 - clean, alone=True)
    assert alone.trial.countermeasure is None
    assert alone_count(labels, alone.source.coverage) == clean


@pytest.mark.parametrize(("coverage", "what"), [(99, "all"), (1, "none")])
def test_a_coverage_that_rounds_to_all_or_none_is_refused(coverage: int, what: str) -> None:
    labels = [0, 1] * 20
    check_coverages((100, 95, 5), labels)
    with pytest.raises(UeError, match=f"40 in 2 classes it protects {what}") as caught:
        check_coverages((100, coverage), labels)
    assert caught.value.code == "coverage-rounds" and caught.value.hint


@pytest.mark.parametrize("text", ["", "0", "101", "ninety", "100,,50", "-5", "50.5", "²"])
def test_a_coverage_that_is_none_is_refused(text: str) -> None:
    with pytest.raises(UeError) as caught:
        parse_coverage(text)
    assert caught.value.code == "coverage" and repr(text) in caught.value.message


def test_coverages_are_sorted_and_named_once() -> None:
    assert parse_coverage("50, 100,90 %,50") == (100, 90, 50)


def test_the_command_repeats_what_was_asked(folder: Path) -> None:
    changes = {"coverage": (100, 50), "victims": ("small",), "seeds": 2, "side": 48, "epochs": 7}
    asked = options(folder, **changes, home_given=True)
    words = shlex.split(asked.command())
    assert words[:3] == ["ue", "evaluate", str(folder / "out")]
    for flag, value in (
        ("--original", str(folder / "src")),
        ("--against", "grayscale"),
        ("--victim", "small"),
        ("--seeds", "2"),
        ("--coverage", "100,50"),
        ("--min-test", "10"),
        ("--home", str(folder / "home")),
        ("--side", "48"),
        ("--epochs", "7"),
    ):
        assert words[words.index(flag) + 1] == value
    assert "--tier" not in words


def test_a_limit_that_is_shown_can_be_moved(folder: Path, tmp_path: Path) -> None:
    """Files above it name --max-pixels, and so does the command that repeats an evaluation."""

    def error(command: str, *flags: object) -> dict[str, str]:
        words = [command, folder / "out", "--original", folder / "src", "--report", tmp_path / "r"]
        words += ["--home", tmp_path, "--device", "cpu", "--jobs", 1, "--json", *flags]
        done = CliRunner().invoke(app, [str(word) for word in words])
        found: dict[str, str] = json.loads(done.stdout)["error"]
        return found

    for command in ("evaluate", "certify"):
        refused = error(command, "--max-pixels", 1000)
        assert refused["code"] == "dataset-unreadable"
        assert "raise it with --max-pixels" in refused["message"]
    # The limit is gone, and what comes next is refused.
    assert error("evaluate", "--max-pixels", 1024)["code"] == "test-too-small"
    words = shlex.split(options(folder, max_pixels=1024).command())
    assert words[words.index("--max-pixels") + 1] == "1024"


def test_the_command_line_refuses_in_words(folder: Path, tmp_path: Path) -> None:
    def error(*arguments: object) -> dict[str, str]:
        words = ["evaluate", *map(str, arguments), "--home", str(tmp_path), "--json"]
        done = CliRunner().invoke(app, words)
        assert done.exit_code == 2, done.output
        envelope = json.loads(done.stdout)
        assert envelope["command"] == "evaluate" and envelope["ok"] is False
        found: dict[str, str] = envelope["error"]
        return found

    out, src = folder / "out", folder / "src"
    report = tmp_path / "report"
    for code, arguments in {
        "countermeasure-unknown": (out, "--original", src, "--against", "jpeg-55"),
        "victim-unknown": (out, "--original", src, "--victim", "vgg"),
        "coverage": (out, "--original", src, "--coverage", "0"),
        "test-missing": (out,),
        "original-is-dataset": (src, "--original", src),
    }.items():
        found = error(*arguments, "--report", report)
        assert found["code"] == code and found["hint"]
    assert not report.exists()


def test_the_help_names_every_countermeasure_and_victim() -> None:
    shown = CliRunner().invoke(app, ["evaluate", "--help"]).stdout
    text = " ".join(shown.split()).replace("- ", "-")
    assert all(f" {spec.name}" in text for spec in SPECS)
    assert "Victims: small, resnet18" in text and "full adds resize" in text


@pytest.mark.slow
def test_the_command_prints_an_envelope_and_a_table(folder: Path, tmp_path: Path) -> None:
    words: list[object] = [folder / "out", "--original", folder / "src", "--min-test", 10]
    words += ["--jobs", 1, "--against", "none", "--dry-run", "--report", tmp_path / "report"]
    done = run_ue(tmp_path, "evaluate", *words)
    assert done.code == 0, done.err
    assert done.result["dry_run"] is True and done.result["trainings_left"] == 2
    assert done.result["evaluation"] is None
    told = run_ue(tmp_path, "evaluate", *words, people=True)
    assert "small, none, 100 % protected" in told.out and "This will take about" in told.err
