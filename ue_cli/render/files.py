"""`ue protect`, `verify` and `key` as rows."""

from __future__ import annotations

import shlex
from typing import TYPE_CHECKING

from ue_cli.output import printable
from ue_cli.render.rows import Lists, Rows, listed, warnings

if TYPE_CHECKING:
    from ue_cli.owner.overview import KeyResult
    from ue_cli.protection.results import ProtectResult, VerifyResult

ROUTES = {
    "jpeg-coefficients": "JPEG, in its own coefficients",
    "lossless": "encoded losslessly",
    "jpeg-reencoded": "compressed anew as JPEG",
}


def protect_rows(result: ProtectResult) -> tuple[Rows, Lists]:
    """`ue protect`, dry or not."""
    names = [*map(printable, result.classes[:6]), *(["…"] if len(result.classes) > 6 else [])]
    labels = f"{len(result.classes)} ({', '.join(names)}), by {result.label_rule}"
    skipped = listed("Skipped", [f"{s.name}: {s.reason}" for s in result.skipped])
    if result.dry_run or result.budget is None:
        rows = [
            ("Would protect", f"up to {result.candidates} files, ε = {result.levels}/255"),
            ("Into", printable(str(result.out))),
            ("Classes", labels),
            *_public(result),
        ]
        return rows, skipped
    budget = result.budget
    verdict = "kept" if budget.passed else "EXCEEDED"
    routes = ", ".join(f"{n} {ROUTES.get(name, name)}" for name, n in result.routes.items())
    rows = [
        ("Protected", _protected(result)),
        ("Budget", f"{verdict}: largest difference {budget.linf:g} of {budget.limit} levels"),
        ("Looks", _looks(result)),
        ("Written", routes),
        ("Classes", labels),
        *_public(result),
        ("Publish", printable(str(result.out))),
        ("Keep private", printable(str(result.report)) + " (open report.html)"),
        ("Time", f"{result.seconds:.1f} s"),
    ]
    if (after := result.aftercare) is not None:
        rows.append(("Certificate", printable(after.outcome)))
    return rows, [*skipped, warnings(result.cautions)]


def verify_rows(result: VerifyResult) -> tuple[Rows, Lists]:
    """`ue verify`."""
    verdict = f"FAILED, {len(result.problems)} problems" if result.problems else "verified"
    rows = [
        ("Result", verdict),
        ("Files", f"{result.listed} listed, {result.measured} compared with their originals"),
        ("Budget", f"largest difference {result.linf:g} of {result.levels} levels"),
        ("Mean |δ|", f"{result.mean_abs:.2f} levels"),
    ]
    return rows, listed("Problems", [f"{p.name}: {p.text}" for p in result.problems])


def key_rows(result: KeyResult) -> tuple[Rows, Lists]:
    """`ue key`."""
    file = printable(str(result.file))
    if result.fingerprint is None:
        return [("Key", f"none yet; the first ue protect makes one: {file}")], []
    rows = [
        ("Key", result.fingerprint),
        ("File", file),
        (
            "To copy it",
            f"cp -p {printable(shlex.quote(str(result.file)))} ELSEWHERE; whoever has the copy can "
            "take the protection off, so keep it like a password",
        ),
    ]
    lines = [
        f"{summary.collection}  "
        + ("of another key" if summary.files is None else f"{summary.files} files")
        + f"  {summary.created}  {summary.source}"
        for summary in result.collections
    ]
    return rows, [("Collections", [printable(line) for line in lines])]


def _public(result: ProtectResult) -> Rows:
    """The public perturbation, with its effect where its card says one."""
    if (public := result.public) is None:
        return []
    rows = [("Perturbation", printable(f"{public.card or public.name}, public"))]
    rows += [("Its card says", printable(claim)) for claim in public.claims]
    if public.card is not None and not public.claims:
        rows.append(("Its card says", "nobody has measured what it does"))
    return rows


def _looks(result: ProtectResult) -> str:
    budget = result.budget
    assert budget is not None
    name = printable(budget.jod_least_file)
    if result.look.jod is None:
        asked = "plainly visible: --look strong asks for nothing"
    else:
        asked = f"--look {result.look.name} asks for {result.look.jod:g}"
    return (
        f"{budget.jod_median:.2f} JOD predicted (10: no difference; JPEG q75: 9.7), "
        f"{budget.jod_least:.2f} the least ({name}); {asked}"
    )


def _protected(result: ProtectResult) -> str:
    budget = result.budget
    if budget is not None and budget.faint_count:
        faint = f", {budget.faint_count} of them faint: count those as unprotected"
    else:
        faint = ""
    earlier = f", {result.earlier_files} finished earlier" if result.earlier_files else ""
    skipped = f", {len(result.skipped)} skipped" if result.skipped else ""
    return f"{result.fresh} files{faint}{earlier}{skipped}"
