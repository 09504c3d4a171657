"""Plant a violation of every guarantee in a copy of the package, and show that the tests notice.

    python scripts/violations.py [GUARANTEE …]

Exits with 1 where tests pass in spite of a violation, or where the code to break has moved.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent


@dataclass(frozen=True)
class Violation:
    """What breaks one guarantee, and the tests that must not let it pass.

    Attributes:
        guarantee: as README and CONTRIBUTING have it.
        file: below the root.
        code: that keeps it; stands there once.
        broken: what stands in its place.
        tests: files below ``tests/``.
    """

    guarantee: str
    file: str
    code: str
    broken: str
    tests: tuple[str, ...]


VIOLATIONS = (
    Violation(
        "nothing beyond epsilon is written",
        "ue_cli/protection/embed.py",
        "    if difference.linf > radius:",
        "    if False:",
        ("jobs/protection/test_gate.py",),
    ),
    Violation(
        "nothing more visible than its look is written",
        "ue_cli/protection/onefile.py",
        "        if least is None or jod >= least - TOLERANCE:",
        "        if True:",
        ("jobs/protection/test_looks.py",),
    ),
    Violation(
        "originals are never written to",
        "ue_cli/protection/onefile.py",
        "    write.write_atomic(target, image.data)",
        "    write.write_atomic(target, image.data)\n    task.path.write_bytes(image.data)",
        ("jobs/protection/test_protect.py",),
    ),
    Violation(
        "nothing is half-written",
        "ue_cli/images/write.py",
        '            with temporary.open("xb") as file:',
        '            path.write_bytes(b"")\n            with temporary.open("xb") as file:',
        ("images/test_write.py",),
    ),
    Violation(
        "nothing embedded is left",
        "ue_cli/metadata/segments.py",
        "    clean = [segment for segment in header if not _hides_jpeg(*segment)]",
        "    clean = [*header]",
        ("metadata/test_segments.py", "metadata/test_metadata.py"),
    ),
    Violation(
        "nothing is protected twice",
        "ue_cli/protection/onefile.py",
        "    _refuse_protected(digest.digest(), shared.protected)",
        "",
        ("jobs/protection/test_protect.py",),
    ),
    Violation(
        "no secret is in the folder to publish",
        "ue_cli/protection/protect.py",
        "collection.info.texture_secret(owner).commitment if secret else None",
        "owner.to_bytes()[:32].hex() if secret else None",
        ("jobs/protection/test_lots.py",),
    ),
    Violation(
        "no certificate is without its control",
        "ue_cli/certification/smoothed.py",
        "        control = certified(surrogates.control, nets[1])",
        "        pass",
        ("jobs/certification/test_certify.py",),
    ),
)


def notices(violation: Violation, copy: Path) -> bool:
    """Whether its tests pass on a copy of the repository, and fail once that is broken.

    Raises:
        SystemExit: they fail before, or the code to break does not stand there once.
    """
    for name in ("ue_cli", "tests", "scripts", "pretrained"):
        shutil.copytree(ROOT / name, copy / name, ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copyfile(ROOT / "pyproject.toml", copy / "pyproject.toml")
    file = copy / violation.file
    text = file.read_text()
    if text.count(violation.code) != 1:
        raise SystemExit(f"{violation.file} should have this once: {violation.code.strip()}")
    if not passes(violation.tests, copy):
        raise SystemExit(f"{', '.join(violation.tests)}: fails without a violation.")
    file.write_text(text.replace(violation.code, violation.broken))
    return not passes(violation.tests, copy)


def passes(names: Sequence[str], copy: Path) -> bool:
    """Whether test files pass on a copy of the repository."""
    tests = [f"tests/{name}" for name in names]
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-x", "-p", "no:cacheprovider", *tests],
        cwd=copy,
        env=os.environ | {"PYTHONPATH": str(copy)},
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode not in (0, 1):
        raise SystemExit(done.stdout + done.stderr)
    return done.returncode == 0


def main() -> None:
    """Break one guarantee after the other."""
    chosen = [v for v in VIOLATIONS if not sys.argv[1:] or v.guarantee in sys.argv[1:]]
    missed = 0
    for violation in chosen:
        with tempfile.TemporaryDirectory() as folder:
            noticed = notices(violation, Path(folder) / "copy")
        print(f"{'noticed' if noticed else 'MISSED '}  {violation.guarantee}", flush=True)
        missed += not noticed
    raise SystemExit(1 if missed or not chosen else 0)


if __name__ == "__main__":
    main()
