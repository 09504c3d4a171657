"""What the commands return: frozen values that `render` turns into rows and JSON."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from ue_cli.errors import ExitCode
from ue_cli.protection.embed import OVER_BUDGET
from ue_cli.protection.onefile import BUG, Examined
from ue_cli.report import Caution, PublicNote
from ue_cli.report.values import plain
from ue_cli.types import BudgetCertificate, Look, Skipped

WORST = 3
"""Photos with the lowest predicted quality, which the report shows before all others."""


@dataclass
class Run:
    """What a run gathers while it goes over the photos.

    Attributes:
        fresh: how many files were written.
        earlier_files: how many earlier outputs still stood.
        skipped: what was left alone.
        examined: the report's sample, by name.
        worst: the ``WORST`` photos, as far as they are not in the sample.
    """

    fresh: int = 0
    earlier_files: int = 0
    skipped: list[Skipped] = field(default_factory=list)
    examined: dict[str, Examined] = field(default_factory=dict)
    worst: list[Examined] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class Aftercare:
    """What became of the certificate that `ue protect --certify` was to make.

    Attributes:
        outcome: in a sentence.
        certified: whether it was made.
    """

    outcome: str
    certified: bool


@dataclass(frozen=True, slots=True)
class ProtectResult:
    """What `ue protect` did, or with ``dry_run`` would do.

    Attributes:
        dry_run: nothing was written.
        out: OUT.
        report: the report's folder.
        fingerprint: of the collection.
        candidates: how many files there were to protect.
        fresh, earlier_files: files written now, and finished earlier.
        skipped: files left alone.
        classes: class names.
        label_rule, label_reason: as in `PhotoSet`.
        budget: the certificate over every file of the collection.
        levels: the budget in 8-bit levels.
        look: the bound on what is seen.
        strict: any faint file counts as one that was not protected.
        routes: files per route.
        cautions: warnings with remedies.
        seconds: wall time.
        aftercare: of the certificate; None where none was asked for.
        public: what is known of the public perturbation; None where a secret one was made.
    """

    dry_run: bool
    out: Path
    report: Path | None
    fingerprint: str | None
    candidates: int
    fresh: int
    earlier_files: int
    skipped: tuple[Skipped, ...]
    classes: tuple[str, ...]
    label_rule: str
    label_reason: str
    budget: BudgetCertificate | None
    levels: int
    look: Look
    strict: bool
    routes: dict[str, int]
    cautions: tuple[Caution, ...]
    seconds: float
    aftercare: Aftercare | None = None
    public: PublicNote | None = None

    @property
    def exit_code(self) -> ExitCode:
        """A bug before the budget, and the budget before other skipped files."""
        codes = {skip.code for skip in self.skipped}
        if BUG in codes:
            return ExitCode.BUG
        if OVER_BUDGET in codes or (self.budget is not None and not self.budget.passed):
            return ExitCode.VERIFICATION_FAILED
        faint = 0 if self.budget is None else self.budget.faint_count
        files = 0 if self.budget is None else self.budget.files
        if self.skipped or 2 * faint > files or (self.strict and faint):
            return ExitCode.SOME_SKIPPED
        return ExitCode.DONE

    def to_json(self) -> dict[str, Any]:
        """The envelope's result; its keys are frozen by a test."""
        budget = self.budget
        return {
            "dry_run": self.dry_run,
            "out": str(self.out),
            "report": str(self.report) if self.report else None,
            "collection": self.fingerprint,
            "found": self.candidates,
            "protected": self.fresh,
            "kept": self.earlier_files,
            "skipped": [{"name": s.name, "code": s.code, "reason": s.reason} for s in self.skipped],
            "classes": list(self.classes),
            "labels": {"rule": self.label_rule, "reason": self.label_reason},
            "budget": None
            if budget is None
            else {
                "levels": budget.limit,
                "linf": budget.linf,
                "passed": budget.passed,
                "mean_abs": budget.mean_abs,
                "files": budget.files,
            },
            "look": None
            if budget is None
            else {
                "name": self.look.name,
                "asked_jod": self.look.jod,
                "median_jod": round(budget.jod_median, 3),
                "least_jod": round(budget.jod_least, 3),
                "least_file": budget.jod_least_file,
            },
            "faint": None if budget is None else budget.faint_count,
            "routes": self.routes,
            "perturbation": plain(self.public),
            "warnings": [
                {"code": c.code, "text": c.text, "remedy": c.remedy} for c in self.cautions
            ],
            "certify": None if self.aftercare is None else asdict(self.aftercare),
            "seconds": round(self.seconds, 3),
        }


@dataclass(frozen=True, slots=True)
class Problem:
    """Something that `verify` found wrong with one file."""

    name: str
    code: str
    text: str


@dataclass(frozen=True, slots=True)
class VerifyResult:
    """What `ue verify` found.

    Attributes:
        out: OUT.
        fingerprint: of its collection.
        listed: files in the manifest.
        measured: files compared with their originals.
        linf: the largest difference in 8-bit levels.
        levels: the budget.
        mean_abs: mean over files of mean |δ|, in 8-bit levels.
        problems: whatever is wrong; none means verified.
        seconds: wall time.
    """

    out: Path
    fingerprint: str
    listed: int
    measured: int
    linf: float
    levels: int
    mean_abs: float
    problems: tuple[Problem, ...]
    seconds: float

    @property
    def exit_code(self) -> ExitCode:
        """0, or 5 where anything is wrong."""
        return ExitCode.VERIFICATION_FAILED if self.problems else ExitCode.DONE

    def to_json(self) -> dict[str, Any]:
        """The envelope's result."""
        return {
            "out": str(self.out),
            "collection": self.fingerprint,
            "verified": not self.problems,
            "listed": self.listed,
            "measured": self.measured,
            "linf": self.linf,
            "levels": self.levels,
            "mean_abs": self.mean_abs,
            "problems": [asdict(problem) for problem in self.problems],
            "seconds": round(self.seconds, 3),
        }
