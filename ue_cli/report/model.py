"""What a report holds. Values only: write.py and page.py turn them into the two files."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from ue_cli.report.certification import Certification
from ue_cli.report.effectrecord import Evaluation
from ue_cli.types import BudgetCertificate, FidelitySummary, Skipped

SCHEMA = "ue-report/1"

PUBLIC_CAUTION = "public-perturbation"
"""Code of the `Caution` that anyone may have the perturbation, too."""


@dataclass(frozen=True, slots=True)
class Caution:
    """A warning, and what to do about it.

    Attributes:
        code: a stable name, such as ``one-class``.
        text: what is the case.
        remedy: what to do.
    """

    code: str
    text: str
    remedy: str


@dataclass(frozen=True, slots=True)
class Comparison:
    """Three small pictures of one photo, in displayed orientation.

    Attributes:
        name: the photo's path below SRC.
        before, after, amplified: JPEG or PNG bytes; ``amplified`` is the difference, times the
            report's ``gain``, around mid-gray.
        width, height: of each, in pixels.
    """

    name: str
    before: bytes
    after: bytes
    amplified: bytes
    width: int
    height: int


@dataclass(frozen=True, slots=True)
class Table:
    """Numbers measured elsewhere, on benchmark files, that the report refers to.

    Attributes:
        caption: what was measured, on which files, by which recipe.
        columns: the heads.
        rows: one cell per column.
        note: a sentence below the table.
    """

    caption: str
    columns: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    note: str = ""


@dataclass(frozen=True, slots=True)
class PublicNote:
    """What is known of a public perturbation.

    Attributes:
        name: of its file, or its address on the Hub.
        sha256: of that file.
        source: where it was found: ``path``, ``bundle``, ``cache`` or ``hub``.
        chosen: why it was taken, where several have the name that was given; else empty.
        card: the name on its card; None where it has none.
        measured: what its card says that it did to benchmark files; None where it says nothing.
        limits: sentences of its card.
    """

    name: str
    sha256: str
    source: str
    chosen: str
    card: str | None
    measured: Table | None
    limits: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Labels:
    """Where the classes came from.

    Attributes:
        rule, reason: as in ``PhotoSet``.
        classes: protected files per class.
    """

    rule: str
    reason: str
    classes: Mapping[str, int]


@dataclass(frozen=True, slots=True)
class Report:
    """Everything about one run but its per-file records, which are streamed past it.

    Attributes:
        created: ISO 8601 time with its offset.
        versions: of ``ue`` and what it stands on.
        source, output: the folders' names.
        device: where the perturbation was made.
        method: the recipe, in words: ``{"method": "csd", "space": "texture", …}``.
        collection: the public fingerprint.
        decoder: which decoder the differences were measured with.
        labels: where the classes came from.
        budget: the certificate.
        fidelity: over a sample of the photos; None where it was not measured.
        counts: files found, protected, kept from an earlier run …, in the order to show.
        skipped: files left alone.
        cautions: warnings, the gravest first.
        thumbnails: whole photos, small.
        flat_crops: flat areas at one screen pixel per photo pixel.
        effect: victim accuracies of this method on benchmark files.
        public: what is known of a public perturbation; None where a secret one was made.
        transformations: what the perturbation was measured to survive on benchmark files.
        gain: how far ``Comparison.amplified`` is amplified.
        certify_command: the command line that certifies these files.
        evaluate_command: the command line that trains victims on them.
        certification: what it found, where that still stands for these files.
        evaluation: what victims reached on them, where that still stands for these files.
    """

    created: str
    versions: Mapping[str, str]
    source: str
    output: str
    device: str
    method: Mapping[str, str]
    collection: str
    decoder: str
    labels: Labels
    budget: BudgetCertificate
    fidelity: FidelitySummary | None
    counts: Mapping[str, int] = field(default_factory=dict)
    skipped: tuple[Skipped, ...] = ()
    cautions: tuple[Caution, ...] = ()
    thumbnails: tuple[Comparison, ...] = ()
    flat_crops: tuple[Comparison, ...] = ()
    effect: Table | None = None
    public: PublicNote | None = None
    transformations: Table | None = None
    gain: float = 16.0
    certify_command: str = ""
    evaluate_command: str = ""
    certification: Certification | None = None
    evaluation: Evaluation | None = None
