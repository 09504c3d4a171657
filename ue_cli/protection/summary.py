"""After the last image: the certificate over the whole collection, cautions, and the report."""

from __future__ import annotations

import platform
import time
from collections import Counter
from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, datetime
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from ue_cli import __version__
from ue_cli.certificates.budget import certify
from ue_cli.certificates.fidelity import summarise
from ue_cli.images.decode import DECODER
from ue_cli.owner.manifest import read_manifest
from ue_cli.owner.state import Collection
from ue_cli.protection.advice import certify_command, evaluate_command
from ue_cli.protection.making import Origin
from ue_cli.protection.options import ProtectOptions
from ue_cli.protection.publicnotes import describe
from ue_cli.protection.published import PublicPerturbation
from ue_cli.protection.results import WORST, ProtectResult, Run
from ue_cli.report import (
    CERTIFICATE_FILE,
    EVALUATION_FILE,
    Album,
    Caution,
    Labels,
    Report,
    current,
    read_certificate,
    read_evaluation,
    report_folder,
    tally,
    write_report,
)
from ue_cli.storage import explain_write
from ue_cli.types import BudgetCertificate, Phases, PhotoSet

FEW_PER_CLASS = 20


def write_summary(
    options: ProtectOptions,
    photos: PhotoSet,
    collection: Collection,
    run: Run,
    origin: Origin | None,
    public: PublicPerturbation | None,
    started: float,
    phases: Phases,
) -> ProtectResult:
    """Write the report on a finished run and return its result."""
    phases.start("Writing the report", 1)
    budget = certify(collection.records(), options.budget)
    sums = tally(collection.records())
    classes = Counter(record.label for record in collection.records())
    skipped = tuple(sorted(run.skipped, key=lambda skip: skip.name))
    cautions = () if origin is None else origin.cautions
    cautions += _cautions(options, photos, run, classes, sums.stripped, budget)
    examined = [run.examined[name] for name in sorted(run.examined)]
    pictures = [photo.picture for photo in (*examined, *run.worst)]
    pictures.sort(key=lambda picture: picture.jod)
    pictures[WORST:] = [replace(picture, crop=None) for picture in pictures[WORST:]]
    output_sha256 = read_manifest(options.out).sha256
    note = None if public is None else describe(public)
    report = Report(
        created=datetime.now(UTC).astimezone().isoformat(timespec="seconds"),
        versions=_versions(),
        source=photos.root.name,
        output=options.out.name,
        output_sha256=output_sha256,
        device="CPU" if origin is None else origin.device.upper(),
        method=_method(options, collection, origin),
        collection=collection.fingerprint,
        decoder=DECODER,
        labels=Labels(photos.label_rule, photos.label_reason, dict(sorted(classes.items()))),
        budget=budget,
        fidelity=summarise([e.fidelity for e in examined], budget.files) if examined else None,
        counts={
            "found": len(photos.photos),
            "protected in this run": run.fresh,
            "kept from an earlier run": run.earlier_files,
            "skipped": len(skipped),
        },
        skipped=skipped,
        cautions=cautions,
        tally=sums,
        public=note,
        certify_command=certify_command(options),
        evaluate_command=evaluate_command(options),
    )
    folder = report_folder(options.out)
    with explain_write(folder):
        write_report(folder, report, Album(tuple(pictures)), collection.records())
    phases.step()
    routes: Counter[str] = Counter()
    for way in sums.routes:
        routes[way.route] += way.files
    return ProtectResult(
        dry_run=False,
        out=options.out,
        report=folder,
        fingerprint=collection.fingerprint,
        candidates=len(photos.photos),
        fresh=run.fresh,
        earlier_files=run.earlier_files,
        skipped=skipped,
        classes=photos.classes,
        label_rule=photos.label_rule,
        label_reason=photos.label_reason,
        budget=budget,
        levels=options.budget.levels,
        look=options.look,
        strict=options.strict,
        routes=dict(routes),
        cautions=cautions + _outdated(report, folder),
        public=note,
        seconds=time.monotonic() - started,
    )


def _outdated(report: Report, folder: Path) -> tuple[Caution, ...]:
    """Warn of what an earlier command measured on other files than these."""
    files = report.output_sha256
    _, certificate = current(read_certificate(folder), folder / CERTIFICATE_FILE, files)
    _, evaluation = current(read_evaluation(folder), folder / EVALUATION_FILE, files)
    gaps = (
        ("certificate-outdated", certificate, report.certify_command),
        ("evaluation-outdated", evaluation, report.evaluate_command),
    )
    return tuple(Caution(code, gap, f"Make it again: {to}") for code, gap, to in gaps if gap)


def _method(
    options: ProtectOptions, collection: Collection, origin: Origin | None
) -> dict[str, str]:
    method = options.method.upper()
    words = {
        "method": method if options.selection == "csd" else "random codes (a baseline)",
        "space": options.space,
        "key": "fresh, the owner's own" if options.perturbation is None else "none: it is public",
        "epsilon": f"{options.budget.levels}/255",
    }
    words |= {name: str(value) for name, value in collection.info.recipe.items()}
    if origin is not None and origin.csd_before is not None and origin.csd_after is not None:
        before, after = origin.csd_before, origin.csd_after
        words["CSD of the codes"] = f"{before:.3f} as drawn, {after:.3f} chosen"
    return words


def _cautions(
    options: ProtectOptions,
    photos: PhotoSet,
    run: Run,
    classes: Mapping[str, int],
    removed: int,
    budget: BudgetCertificate,
) -> tuple[Caution, ...]:
    cautions: list[Caution] = []
    published = options.perturbation is not None
    if reencoded := budget.reencoded:
        cautions.append(
            Caution(
                "re-encoded",
                f"{reencoded} files were compressed anew as JPEG, which moves pixels outside any "
                "budget by itself; for them the budget holds before that step only.",
                "Leave --format out: JPEGs then stay within the budget, without recompression.",
            )
        )
    if budget.faint_count:
        cautions.append(
            Caution(
                "faint",
                f"{budget.faint_count} of {budget.files} files are faint: small or strongly "
                "compressed JPEGs and plain or gray photos have no room for it within both bounds"
                + (", and a published one may be faint." if published else "."),
                "Count those as unprotected. --format png gives JPEGs all that their look allows, "
                "as larger files; --look strong gives up the look.",
            )
        )
    if options.method in ("pue", "em", "tue"):
        cautions.append(
            Caution(
                "learned-cells",
                f"{options.method.upper()} was measured on benchmark files with hundreds of images "
                "per class, in few trainings. " + _learned_limit(options),
                "Let ue certify measure what a small model learns from these files.",
            )
        )
    if len(classes) == 1:
        cautions.append(
            Caution(
                "one-class",
                "All photos carry one texture. A model that is trained on them beside other "
                "people's photos can still learn the other classes, and yours from elsewhere; "
                "what one protected class is worth in such a mixture is not measured here.",
                "Sort the photos into a folder per subject, or give labels, if they have any.",
            )
        )
    if photos.label_rule == "clusters":
        cautions.append(
            Caution(
                "pseudo-classes",
                "The classes were guessed from the look of the photos. A trainer who labels them "
                "by subject mixes several textures in one class, which weakens the effect.",
                "Sort the photos into a folder per subject, or give a labels.csv.",
            )
        )
    bare = Counter(p.label or "" for p in photos.photos if p.name in {s.name for s in run.skipped})
    if partly := sorted(name for name in bare if classes.get(name)):
        cautions.append(
            Caution(
                "part-of-a-class",
                f"{sum(bare[name] for name in partly)} files of the classes "
                f"{', '.join(partly[:5])} are not protected; clean photos of a class teach a "
                "model what the others withhold.",
                "Look through the skipped files below; do not publish those originals.",
            )
        )
    if few := sorted(name for name, count in classes.items() if count < FEW_PER_CLASS):
        cautions.append(
            Caution(
                "few-images",
                f"Fewer than {FEW_PER_CLASS} photos in {len(few)} of {len(classes)} classes. The "
                "effect was measured with hundreds per class; so few can show nothing.",
                "Let ue evaluate measure it on these files.",
            )
        )
    if options.out.absolute().parent == options.src.absolute().parent:
        cautions.append(
            Caution(
                "originals-near",
                "The originals lie beside the protected folder.",
                "Publish the protected folder alone: not the originals, not this report.",
            )
        )
    if removed:
        cautions.append(
            Caution(
                "embedded-copies",
                "Embedded copies of the unprotected picture, such as thumbnails, were removed "
                f"from {removed} of the files.",
                "Nothing to do: your originals keep theirs.",
            )
        )
    return tuple(cautions)


def _versions() -> dict[str, str]:
    versions = {"ue": __version__, "python": platform.python_version()}
    for package in ("pillow", "numpy", "jpeglib"):
        try:
            versions[package] = version(package)
        except PackageNotFoundError:  # vendored or frozen into an executable
            versions[package] = "unknown"
    return versions


def _learned_limit(options: ProtectOptions) -> str:
    """What is known against a learned perturbation of this kind."""
    if options.method == "tue":
        return "It was not shown to protect there: crops and gray undo most of it."
    if options.per == "class":
        return "All photos of a class share one pattern, which averaging many of them shows."
    return "With a pattern per photo it was not measured at all."
