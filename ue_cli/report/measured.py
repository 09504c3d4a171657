"""The sections on what was measured on the written files: budget and fidelity."""

from __future__ import annotations

from base64 import b64encode

from ue_cli.report.chart import histogram
from ue_cli.report.digest import Digest
from ue_cli.report.markup import Html, join, p, table, tag
from ue_cli.report.model import Comparison, Report
from ue_cli.report.words import count, levels, looks, share, size
from ue_cli.types import FidelitySummary

MAX_THUMBNAILS = 24
MAX_FLAT_CROPS = 3

ROUTES = {
    "jpeg-coefficients": "JPEG, changed in its own coefficients, nothing recompressed",
    "lossless": "Written lossless",
    "jpeg-reencoded": "Re-encoded as JPEG",
}


def budget(report: Report, digest: Digest) -> Html:
    """1: did every file keep the promise, and how much of the ball could it use."""
    found = report.budget
    if not found.files:
        return p("No file was written, so there is nothing to measure.")
    limit = f"{found.limit} of 255 levels"
    parts = []
    if found.passed:
        parts.append(
            p(
                tag("strong", "Passed. ", class_="good"),
                f"Every file was read back after it was written. The largest difference of any "
                f"value is {levels(found.linf)}, the limit is {limit} "
                f"(ε\u00a0=\u00a0{found.limit}/255).",
            )
        )
    else:
        names = [tag("li", tag("code", name)) for name in found.over]
        parts += [
            p(
                tag("strong", "Failed. ", class_="bad"),
                f"{count(found.over_count, 'file')} moved farther than the limit of {limit}; the "
                f"largest difference is {levels(found.linf)}. Do not publish these files:",
            ),
            tag("ul", *names, class_="names"),
        ]
    parts += [
        p(
            f"On average a value moved by {levels(found.mean_abs)}, "
            f"{share(found.mean_abs / found.limit)} of the limit: this is how much of the ball was "
            f"usable. The median file moved by {found.median_abs:.2f}, the least by "
            f"{found.lowest_abs:.2f}."
        ),
        histogram(found),
    ]
    if found.faint_count:
        parts.append(
            _details(
                f"{count(found.faint_count, 'file')} too faint to count as protected",
                p(
                    "Small or strongly compressed JPEGs and plain, dark or gray pictures carry "
                    "too little of their class's perturbation."
                ),
                tag("ul", *(tag("li", tag("code", n)) for n in found.faint), class_="names"),
            )
        )
    if found.reencoded:
        parts.append(
            p(
                f"{count(found.reencoded, 'file')} had to be re-encoded as JPEG, which moves "
                "pixels by itself. For these the certified difference is the one before the "
                "encoding; after decoding the published file it is up to "
                f"{levels(found.linf_reencoded)}."
            )
        )
    rows = [
        (ROUTES.get(route, route) + (f": {reason}" if reason else ""), f"{files:,}")
        for (route, reason), files in digest.routes.most_common()
    ]
    if rows:
        parts.append(tag("h3", "How the files were written"))
        parts.append(table(("Route", "Files"), rows, numeric=frozenset({1})))
        change = digest.bytes_out / digest.bytes_in - 1 if digest.bytes_in else 0
        parts.append(p(f"{size(digest.bytes_in)} became {size(digest.bytes_out)} ({change:+.1%})."))
    parts.append(
        p(f"Differences are between two pictures decoded by {report.decoder}.", class_="note")
    )
    return join(*parts)


def fidelity(report: Report) -> Html:
    """2: how it looks."""
    found = report.fidelity
    if found is None:
        parts = [p("Fidelity was not measured in this run.")]
    else:
        sample = (
            "Measured on every photo"
            if found.measured >= found.total
            else f"Measured on {found.measured:,} of {found.total:,} photos, drawn by the key"
        )
        parts = [
            p(
                f"{looks(report.budget)} Look for it in smooth skies, walls and skin. "
                f"{sample}, each at its own resolution on at most one megapixel."
            ),
            _fidelity_table(found),
        ]
    if report.flat_crops:
        parts.append(tag("h3", "Flat areas, one to one"))
        parts.append(
            p(
                "Where colour shows first. One screen pixel is one photo pixel at 100 % zoom; "
                f"the third picture is the difference ×\u2009{report.gain:g} around gray."
            )
        )
        parts.append(_gallery(report.flat_crops[:MAX_FLAT_CROPS], "flat"))
    if report.thumbnails:
        parts.append(tag("h3", "Before, after, difference"))
        parts.append(
            p(
                f"The third picture is the difference ×\u2009{report.gain:g} around gray, shrunk "
                "with it."
            )
        )
        # Tall pictures last: beside a wide one they leave a hole in the grid.
        shown = sorted(report.thumbnails[:MAX_THUMBNAILS], key=lambda t: t.height > t.width)
        parts.append(_gallery(tuple(shown), "thumbs"))
    return join(*parts)


def _fidelity_table(found: FidelitySummary) -> Html:
    def metric(name: str, meaning: str) -> Html:
        return join(name, tag("small", meaning))

    def optional(value: float | None) -> str:
        return "–" if value is None else f"{value:.2f}"

    middle, worst = found.median, found.worst
    rows: list[tuple[str, ...]] = [
        (
            metric("ΔE00, median", "colour difference; 1 is just noticeable on large even patches"),
            f"{middle.delta_e_median:.2f}",
            f"{worst.delta_e_median:.2f}",
        ),
        (
            metric("ΔE00, 95th percentile", "what one pixel in twenty exceeds"),
            f"{middle.delta_e_p95:.2f}",
            f"{worst.delta_e_p95:.2f}",
        ),
        (
            metric("ΔE00 on flat areas, median", "skies, walls, skin"),
            optional(middle.flat_delta_e_median),
            optional(worst.flat_delta_e_median),
        ),
        (
            metric("ΔE00 on flat areas, 95th percentile", "where it is seen first"),
            optional(middle.flat_delta_e_p95),
            optional(worst.flat_delta_e_p95),
        ),
        (
            metric("PSNR", "in dB; higher is closer"),
            f"{middle.psnr:.1f}",
            f"{worst.psnr:.1f}",
        ),
        (
            metric("SSIM", "structure of the luma; 1 is equal"),
            f"{middle.ssim:.3f}",
            f"{worst.ssim:.3f}",
        ),
    ]
    return table(("Measure", "Median photo", "Worst photo"), rows, numeric=frozenset({1, 2}))


def _gallery(pictures: tuple[Comparison, ...], kind: str) -> Html:
    return tag("div", *(_figure(picture, kind) for picture in pictures), class_=f"gallery {kind}")


def _figure(picture: Comparison, kind: str) -> Html:
    images = (
        tag(
            "img",
            src=_data_uri(data),
            alt=f"{picture.name}, {role}",
            title=role,
            width=picture.width,
            height=picture.height,
        )
        for role, data in (
            ("before", picture.before),
            ("after", picture.after),
            ("difference", picture.amplified),
        )
    )
    return tag(
        "figure",
        tag("div", *images, class_="triple"),
        tag("figcaption", picture.name),
        class_=kind,
    )


def _data_uri(data: bytes) -> str:
    kind = "png" if data.startswith(b"\x89PNG") else "jpeg"
    return f"data:image/{kind};base64,{b64encode(data).decode('ascii')}"


def _details(summary: str, *children: str) -> Html:
    return tag("details", tag("summary", summary), *children)
