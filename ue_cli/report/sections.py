"""The numbered sections of report.html; each function returns one section's content."""

from __future__ import annotations

from base64 import b64encode

from ue_cli.report.chart import histogram
from ue_cli.report.digest import Digest
from ue_cli.report.markup import Html, join, table, tag
from ue_cli.report.model import Comparison, Report, Table
from ue_cli.report.words import count, levels, share, size
from ue_cli.types import FidelitySummary

MAX_THUMBNAILS = 24
MAX_FLAT_CROPS = 3

ROUTES = {
    "jpeg-coefficients": "JPEG, changed in its own coefficients, nothing recompressed",
    "lossless": "Written lossless",
    "jpeg-reencoded": "Re-encoded as JPEG",
}


def p(*children: str, **attributes: str | int) -> Html:
    """Build a paragraph."""
    return tag("p", *children, **attributes)


def budget(report: Report, digest: Digest) -> Html:
    """1: did every file keep the promise, and how much of the ball could it use."""
    found = report.budget
    limit = f"{found.limit} of 255 levels"
    parts = []
    if found.passed:
        parts.append(
            p(
                tag("strong", "Passed. ", class_="good"),
                f"Every file was read back after it was written. The largest difference of any "
                f"value is {levels(found.linf)}, the limit is {limit} (ε\u00a0=\u00a0{found.limit}/255).",
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
    if found.underused_count:
        parts.append(
            _details(
                f"{count(found.underused_count, 'file')} used less than a quarter of the ball",
                p("Very small, very dark or very bright pictures leave little room."),
                tag("ul", *(tag("li", tag("code", n)) for n in found.underused), class_="names"),
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
    """2: how hard to see it is."""
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
                "The change is hard to see, not impossible to see: look for it in smooth skies, "
                f"walls and skin. {sample}, each at its own resolution on at most one megapixel."
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


def learnability(report: Report) -> Html:
    """3: not part of a protect run."""
    return join(
        p(
            "Not measured in this run. A bound on what a model can learn from these files takes "
            "surrogate models trained on them; this report gives none."
        )
    )


def effect(report: Report) -> Html:
    """4: what the method did elsewhere."""
    parts = [
        p(
            "Not measured on these files in this run. No model was trained on them, so this report "
            "does not say how well your own photos are protected."
        )
    ]
    if report.effect is not None:
        parts.append(p("What the same method did to benchmark files, for orientation and no more:"))
        parts.append(_measured(report.effect))
    return join(*parts)


def limits(report: Report) -> Html:
    """5: what defeats it."""
    radius = f"{report.budget.limit}/255"
    known = (
        f"Adversarial training with a radius near ε\u00a0=\u00a0{radius}.",
        "Purification of the files with a diffusion model.",
        "Dilution with many clean images: 4,000 clean ones beside 40,000 protected ones restore "
        "about 80 % accuracy on CIFAR-10.",
        "A leak of pairs of original and protected file: 500 pairs restore 84 to 94 %. Keep your "
        "originals, and this report, to yourself.",
        "Originals that are already public elsewhere.",
    )
    parts = [
        p(
            "This raises the cost of training on your photos. It does not make it impossible. Each "
            "of these defeats every published method, this one included:"
        ),
        tag("ul", *(tag("li", line) for line in known)),
        p(
            "It is not encryption: a pattern that many files of a class share can be estimated by "
            "averaging them. Anybody can still look at, copy and print the photos."
        ),
        tag("h3", "Processing that it survives, and processing that it does not"),
    ]
    if report.transformations is None:
        parts.append(
            p(
                "Not measured in this run: resizing, recompression, blurring or conversion to gray "
                "may weaken the perturbation of these files or remove it."
            )
        )
    else:
        parts.append(_measured(report.transformations))
    return join(*parts)


def _measured(found: Table) -> Html:
    numeric = frozenset(
        i
        for i in range(1, len(found.columns))
        if all(row[i][:1].isdigit() or row[i] in ("", "–") for row in found.rows)
    )
    parts = [
        tag("p", found.caption, class_="caption"),
        table(found.columns, found.rows, numeric=numeric),
    ]
    if found.note:
        parts.append(p(found.note, class_="note"))
    return join(*parts)


def warnings(report: Report) -> Html:
    """6: each with what to do."""
    if not report.cautions:
        return p("None.")
    return join(
        *(
            tag(
                "div",
                p(tag("strong", caution.text)),
                p(tag("span", "What to do: ", class_="label"), caution.remedy),
                class_="caution",
            )
            for caution in report.cautions
        )
    )


def _details(summary: str, *children: str) -> Html:
    return tag("details", tag("summary", summary), *children)
