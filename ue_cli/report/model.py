"""What a report holds. Values only: ``templates`` turns them into the page."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from ue_cli.types import BudgetCertificate, FidelitySummary, FileRecord, Skipped

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
    """Three pictures of one photo or of a part of it, in displayed orientation.

    Attributes:
        before, after, difference: JPEG or PNG bytes; ``difference`` is amplified by the report's
            ``gain``, around mid-gray.
        width, height: of each, in pixels.
    """

    before: bytes
    after: bytes
    difference: bytes
    width: int
    height: int


@dataclass(frozen=True, slots=True)
class Picture:
    """What the page shows of one photo.

    Attributes:
        name: the photo's path below SRC.
        jod: predicted quality of the written file beside the original.
        whole: all of it, small.
        crop: its flattest spot, one picture pixel per photo pixel; None where it is not shown.
    """

    name: str
    jod: float
    whole: Comparison
    crop: Comparison | None


@dataclass(frozen=True, slots=True)
class Album:
    """The content of ``pictures.json``.

    Attributes:
        pictures: the photo with the lowest JOD first.
    """

    pictures: tuple[Picture, ...]


@dataclass(frozen=True, slots=True)
class PublicNote:
    """What is known of a public perturbation.

    Attributes:
        name: of its file, or its address on the Hub.
        sha256: of that file.
        source: where it was found: ``path``, ``bundle``, ``cache`` or ``hub``.
        chosen: why it was taken, where several have the name that was given; else empty.
        card: the name on its card; None where it has none.
        claims: what its card says that it did to benchmark files, a sentence for each measurement.
        limits: sentences of its card.
    """

    name: str
    sha256: str
    source: str
    chosen: str
    card: str | None
    claims: tuple[str, ...]
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
class Route:
    """One way in which files were written.

    Attributes:
        route, reason: as in `FileRecord`.
        files: how many.
    """

    route: str
    reason: str
    files: int


@dataclass(frozen=True, slots=True)
class Tally:
    """Sums over all files.

    Attributes:
        routes: the most frequent first.
        removed: embedded copies by kind, such as ``EXIF thumbnail``.
        stripped: files that lost an embedded copy.
        bytes_in, bytes_out: sizes in sum.
    """

    routes: tuple[Route, ...]
    removed: Mapping[str, int]
    stripped: int
    bytes_in: int
    bytes_out: int


def tally(records: Iterable[FileRecord]) -> Tally:
    """Sum up the records of all files; they are read once and not kept."""
    routes: Counter[tuple[str, str]] = Counter()
    removed: Counter[str] = Counter()
    stripped = bytes_in = bytes_out = 0
    for record in records:
        routes[record.route, record.route_reason] += 1
        # "EXIF thumbnail (7,412 bytes)" counts as an EXIF thumbnail.
        removed.update(copy.partition(" (")[0] for copy in record.removed)
        stripped += bool(record.removed)
        bytes_in += record.bytes_in
        bytes_out += record.bytes_out
    return Tally(
        tuple(Route(*way, files) for way, files in routes.most_common()),
        dict(removed.most_common()),
        stripped,
        bytes_in,
        bytes_out,
    )


@dataclass(frozen=True, slots=True)
class Report:
    """Everything about one run but its pictures and its per-file records.

    Attributes:
        created: ISO 8601 time with its offset.
        versions: of ``ue`` and what it stands on.
        source, output: the folders' names.
        output_sha256: the manifest's hash (`Manifest.sha256`) of the published files.
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
        tally: sums over all files.
        public: what is known of a public perturbation; None where a secret one was made.
        certify_command: the command line that certifies these files.
        evaluate_command: the command line that trains victims on them.
        gain: how far ``Comparison.difference`` is amplified.
    """

    created: str
    versions: Mapping[str, str]
    source: str
    output: str
    output_sha256: str
    device: str
    method: Mapping[str, str]
    collection: str
    decoder: str
    labels: Labels
    budget: BudgetCertificate
    fidelity: FidelitySummary | None
    counts: Mapping[str, int]
    skipped: tuple[Skipped, ...]
    cautions: tuple[Caution, ...]
    tally: Tally
    public: PublicNote | None
    certify_command: str
    evaluate_command: str
    gain: float = 16.0
