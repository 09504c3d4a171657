"""What is refused before any work: a sentence, an exit code, and nothing touched."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from tests.jobs.conftest import picture, run_here, tree
from ue_cli.cli import app

pytestmark = pytest.mark.usefixtures("here")

Argument = str | Path


def ue(home: Path, *arguments: Argument, people: bool = False) -> Result:
    """The command line in this process: what is refused starts no others."""
    words = [*map(str, arguments), "--home", str(home), *([] if people else ["--json"])]
    return CliRunner().invoke(app, words)


def refused(result: Result) -> tuple[int, str]:
    """Exit code and error code of a refusal, whose one envelope is all there is on stdout."""
    value = json.loads(result.stdout)
    assert set(value) == {"schema", "command", "ok", "exit_code", "error"}
    assert value["exit_code"] == result.exit_code and value["ok"] is False
    error = value["error"]
    assert error["message"].endswith((".", ")")) and error["hint"], error
    assert "Traceback" not in result.output
    return result.exit_code, error["code"]


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with photos in ``src``, protected into ``out``."""
    root = tmp_path_factory.mktemp("made")
    picture(root / "src" / "a" / "1.png", 1, size=(16, 16))
    picture(root / "src" / "b" / "2.png", 2, size=(16, 16))
    done = run_here(root / "home", "protect", root / "src", "-o", root / "out")
    assert done.all_written
    return root


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """Places that will not do, beside one that will."""
    picture(tmp_path / "src" / "a" / "1.png", 1, size=(16, 16))
    (tmp_path / "empty").mkdir()
    (tmp_path / "hidden").mkdir()
    (tmp_path / "hidden" / ".x.jpg").write_bytes(b"x")
    (tmp_path / "file").write_bytes(b"x")
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "mine.txt").write_text("mine")
    (tmp_path / "into-src").symlink_to("src")
    (tmp_path / "nowhere").symlink_to("gone")
    (tmp_path / "new.report").mkdir()
    (tmp_path / "new.report" / "mine.txt").write_text("mine")
    picture(tmp_path / "pics.report" / "a" / "1.png", 1, size=(16, 16))
    return tmp_path


@pytest.mark.parametrize(
    ("src", "out", "expected"),
    [
        ("gone", "fine", (2, "src-missing")),
        ("file", "fine", (2, "src-not-folder")),
        ("src/a/1.png", "fine", (2, "src-not-folder")),
        ("nowhere", "fine", (2, "src-not-folder")),
        ("empty", "fine", (3, "src-empty")),
        ("hidden", "fine", (3, "src-empty")),
        ("src", "src", (2, "out-is-src")),
        ("src", "into-src", (2, "out-is-src")),
        ("src", "src/a/../", (2, "out-is-src")),
        ("src", "src/out", (2, "out-inside-src")),
        ("src", "into-src/out", (2, "out-inside-src")),
        ("src/a", "src", (2, "src-inside-out")),
        ("src", ".", (2, "src-inside-out")),
        ("src", "/", (2, "src-inside-out")),
        ("src", "file", (2, "out-not-folder")),
        ("src", "nowhere", (2, "out-not-folder")),
        ("src", "full", (2, "out-not-ours")),
        ("src", "gone/out", (2, "out-parent-missing")),
        ("src", "file/out", (2, "out-parent-missing")),
        ("src", "new", (2, "report-not-ours")),
        ("pics.report", "pics", (2, "report-in-src")),
        ("src", "home", (2, "home-inside-out")),
    ],
)
def test_unfit_places(root: Path, src: str, out: str, expected: tuple[int, str]) -> None:
    before = tree(root)
    where = f"{root}/{out}" if out != "/" else out
    result = ue(root / "home" / "deep", "protect", root / src, "-o", where)
    assert refused(result) == expected
    assert tree(root) == before and not (root / "home").exists()


def test_a_parent_that_cannot_be_written(root: Path, forbid: Callable[[Path], None]) -> None:
    (root / "locked").mkdir()
    forbid(root / "locked")
    assert refused(ue(root / "home", "protect", root / "src", "-o", root / "locked" / "out")) == (
        2,
        "out-not-writable",
    )


def test_the_folder_one_stands_in_can_be_the_output(
    root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(root / "empty")
    result = ue(root / "home", "protect", root / "src", "-o", ".", "--jobs", "1")
    assert result.exit_code in (0, 6), result.output
    assert (root / "empty" / "a" / "1.png").exists()
    assert (root / "empty.report" / "report.html").exists()


@pytest.mark.parametrize(
    "words",
    [
        ["protect"],
        ["protect", "src", "--format", "gif"],
        ["protect", "src", "--jobs", "0"],
        ["protect", "src", "--jobs", "many"],
        ["protect", "src", "--max-pixels", "-1"],
        ["protect", "src", "--no-such-flag"],
        ["protct", "src"],
        ["verify", "out"],
        ["key", "show"],
    ],
)
def test_misspelt_commands_give_an_envelope_too(
    words: list[str], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    from ue_cli.cli import main

    monkeypatch.setattr("sys.argv", ["ue", *words, "--json"])
    with pytest.raises(SystemExit) as ended:
        main()
    assert ended.value.code == 2
    value = json.loads(capsys.readouterr().out)
    assert (value["error"]["code"], value["ok"], value["exit_code"]) == ("usage", False, 2)


@pytest.mark.parametrize("epsilon", ["0", "-1", "nan", "inf", "x", "8/0", "300", "0.001", ""])
def test_budgets_that_are_none(root: Path, epsilon: str) -> None:
    code, _ = refused(ue(root / "home", "protect", root / "src", f"--epsilon={epsilon}"))
    assert code == 2 and not (root / "src-protected").exists()


@pytest.mark.parametrize(
    ("table", "expected"),
    [
        ("a,b\n1,2\n", "labels-malformed"),
        ("file_name,label\na/1.png\n", "labels-malformed"),
        ('file_name,label\n"a/1.png,cat\n', "labels-malformed"),
        ("file_name,label\na/1.png,cat\na/1.png,dog\n", "labels-conflict"),
        ("file_name,label\nelse/where.png,cat\n", "labels-missing"),
        ("\x00\xff", "labels-malformed"),
        ("", "labels-malformed"),
    ],
)
def test_label_tables_that_cannot_be_used(root: Path, table: str, expected: str) -> None:
    (root / "labels.csv").write_bytes(table.encode("latin-1"))
    result = ue(root / "home", "protect", root / "src", "--labels", root / "labels.csv")
    assert refused(result) == (2, expected)


@pytest.mark.parametrize("rule", ["by-magic", "gone.csv", "src", "metadata"])
def test_label_rules_that_are_none(root: Path, rule: str) -> None:
    code, name = refused(ue(root / "home", "protect", root / "src", "--labels", rule))
    assert code == 2 and name in ("labels-rule", "labels-missing")


def empty_ledger(state: Path) -> None:
    (state / "ledger.sqlite3").write_bytes(b"")


def garble_ledger(state: Path) -> None:
    (state / "ledger.sqlite3").write_bytes(b"garbage" * 1000)


def garble_info(state: Path) -> None:
    (state / "collection.json").write_bytes(b"\x00{garbage")


def empty_info(state: Path) -> None:
    (state / "collection.json").write_bytes(b"")


def garble_key(state: Path) -> None:
    (state.parent.parent / "owner.key").write_bytes(b"garbage")


def open_key(state: Path) -> None:
    (state.parent.parent / "owner.key").chmod(0o644)


def lose_key(state: Path) -> None:
    (state.parent.parent / "owner.key").unlink()


def open_home(state: Path) -> None:
    state.parent.parent.chmod(0o777)
    (state.parent.parent / "owner.key").unlink()


@pytest.mark.parametrize(
    ("damage", "expected"),
    [
        (garble_info, "state-damaged"),
        (empty_info, "state-damaged"),
        (garble_ledger, "state-damaged"),
        (garble_key, "key-damaged"),
        (open_key, "key-permissions"),
        (lose_key, "state-foreign"),
        (open_home, "state-permissions"),
    ],
)
def test_damaged_state(
    made: Path, tmp_path: Path, damage: Callable[[Path], None], expected: str
) -> None:
    import shutil

    shutil.copytree(made / "home", tmp_path / "home")
    (state,) = (tmp_path / "home" / "collections").iterdir()
    before = tree(made / "out")
    damage(state)
    arguments = ("protect", made / "src", "-o", made / "out")
    assert refused(ue(tmp_path / "home", *arguments)) == (2, expected)
    people = ue(tmp_path / "home", *arguments, people=True)
    assert people.stdout == "" and "→" in people.stderr
    assert tree(made / "out") == before


def test_a_ledger_that_was_lost_is_filled_again(made: Path, tmp_path: Path) -> None:
    import shutil

    for name in ("home", "out"):
        shutil.copytree(made / name, tmp_path / name)
    (state,) = (tmp_path / "home" / "collections").iterdir()
    empty_ledger(state)
    arguments = ("protect", made / "src", "-o", tmp_path / "out", "--jobs", "1")
    result = ue(tmp_path / "home", *arguments)
    assert result.exit_code in (0, 6), result.output
    assert tree(tmp_path / "out") == tree(made / "out")


def test_links_planted_in_the_output_are_not_followed(made: Path, tmp_path: Path) -> None:
    """Else the next run would write over the originals."""
    import shutil

    for name in ("home", "out", "src"):
        shutil.copytree(made / name, tmp_path / name)
    shutil.rmtree(tmp_path / "out" / "a")
    (tmp_path / "out" / "a").symlink_to(tmp_path / "src" / "a")
    before = tree(tmp_path / "src")
    arguments = ("protect", tmp_path / "src", "-o", tmp_path / "out", "--jobs", "1", "--overwrite")
    assert refused(ue(tmp_path / "home", *arguments)) == (5, "path-is-link")
    assert tree(tmp_path / "src") == before


def test_folders_that_ue_did_not_write(root: Path) -> None:
    for out in ("full", "gone", "file"):
        verified = ue(root / "home", "verify", root / out, "--original", root / "src")
        assert refused(verified) == (2, "manifest-missing")
    assert refused(ue(root / "home", "verify", root / "src", "--original", root / "gone")) == (
        2,
        "src-missing",
    )
