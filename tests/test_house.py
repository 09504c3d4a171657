"""The house rules, checked by running the tools that define them."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent


def run(*command: str, cwd: Path = ROOT) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, *command], cwd=cwd, capture_output=True, text=True, check=False
    )


def test_ruff_finds_nothing() -> None:
    done = run("-m", "ruff", "check", ".")
    assert done.returncode == 0, done.stdout


def test_ruff_would_format_nothing() -> None:
    done = run("-m", "ruff", "format", "--check", ".")
    assert done.returncode == 0, done.stdout + done.stderr


def test_names_say_what_they_hold() -> None:
    done = run("scripts/names.py", "--at-most", "0.005")
    assert done.returncode == 0, done.stdout
    assert run("scripts/names.py", "--at-most", "-1").returncode == 1


@pytest.mark.slow
def test_mypy_strict_finds_nothing() -> None:
    done = run("-m", "mypy")
    assert done.returncode == 0, done.stdout


IMPORT_LINTER = "from importlinter.cli import lint_imports; raise SystemExit(lint_imports())"


def test_imports_go_one_way() -> None:
    done = run("-c", IMPORT_LINTER)
    assert done.returncode == 0, done.stdout


def test_an_import_the_other_way_is_caught(tmp_path: Path) -> None:
    """A planted violation proves that the check above can fail."""
    package = tmp_path / "ue_cli"
    for source in (ROOT / "ue_cli").rglob("*.py"):
        copy = package / source.relative_to(ROOT / "ue_cli")
        copy.parent.mkdir(parents=True, exist_ok=True)
        copy.write_bytes(source.read_bytes())
    (tmp_path / "pyproject.toml").write_bytes((ROOT / "pyproject.toml").read_bytes())
    with (package / "images" / "scan.py").open("a") as scan:
        scan.write("\nimport ue_cli.textures.texture\n")
    done = run("-c", IMPORT_LINTER, cwd=tmp_path)
    assert done.returncode != 0
    assert "ue_cli.images.scan -> ue_cli.textures.texture" in done.stdout


def test_only_one_file_imports_each_edge_library() -> None:
    owners = {
        "typer": {
            "certify.py",
            "commands.py",
            "evaluate.py",
            "fetch.py",
            "optimize.py",
            "panels.py",
            "protect.py",
            "run.py",
            "subject.py",
        },
        "rich": {"output.py"},
    }
    for library, allowed in owners.items():
        users = {
            path.name
            for path in (ROOT / "ue_cli").rglob("*.py")
            if any(
                line.startswith((f"import {library}", f"from {library}"))
                for line in path.read_text().splitlines()
            )
        }
        assert users == allowed


def test_help_imports_nothing_heavy() -> None:
    probe = (
        "import sys\n"
        "from typer.testing import CliRunner\n"
        "from ue_cli.cli import app\n"
        "result = CliRunner().invoke(app, ['protect', '--help'])\n"
        "assert result.exit_code == 0, result.output\n"
        "print(sorted({'torch', 'numpy', 'PIL', 'jpeglib'} & set(sys.modules)))\n"
    )
    done = run("-c", probe)
    assert done.stdout.strip() == "[]", done.stdout + done.stderr


def test_protecting_textures_never_imports_torch(tmp_path: Path) -> None:
    """A data owner waits for torch only where the work needs it."""
    probe = (
        "import sys\n"
        "from ue_cli.cli import main\n"
        "sys.argv = ['ue', 'protect', sys.argv[1], '-o', sys.argv[2], '--home', sys.argv[3]]\n"
        "try:\n"
        "    main()\n"
        "except SystemExit as end:\n"
        "    assert end.code in (0, 6), end.code\n"
        "assert 'torch' not in sys.modules\n"
    )
    script = tmp_path / "probe.py"
    script.write_text(f"if __name__ == '__main__':\n    {probe.replace(chr(10), chr(10) + '    ')}")
    sample = ROOT / "tests" / "sample-photos" / "skies"
    done = run(str(script), str(sample), str(tmp_path / "out"), str(tmp_path / "home"))
    assert done.returncode == 0, done.stdout + done.stderr
