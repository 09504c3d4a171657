"""A page as a browser would see it."""

from __future__ import annotations

from html.parser import HTMLParser
from pathlib import Path
from tempfile import TemporaryDirectory

from ue_cli.report import Certification, Evaluation, write_certificate, write_evaluation


class Page(HTMLParser):
    """What a browser would see: elements, attributes, and text outside of them."""

    def __init__(self, source: str) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.attributes: list[tuple[str, str, str]] = []
        self.words: list[str] = []
        self.open: list[str] = []
        self.values: list[str] = []
        self.feed(source)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.attributes += [(tag, name, value or "") for name, value in attrs]
        if tag not in ("meta", "link", "img", "input"):
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        if "style" not in self.open:
            self.words.append(data)
        if (
            self.open
            and self.open[-1] == "span"
            and ("span", "class", "value") in self.attributes[-1:]
        ):
            self.values.append(data)

    @property
    def text(self) -> str:
        """All words, with single spaces between them."""
        return " ".join(" ".join(self.words).split())


ALLOWED = set(
    "html head meta link title style body div main header nav section p strong span h1 h2 h3 h4 a "
    "ul li dl dt dd figure figcaption img table thead tbody tr th td small code details summary "
    "colgroup svg rect line path circle text label input".split()
)


def check_safe(source: str) -> Page:
    """No element, attribute or address that a string could have smuggled in."""
    page = Page(source)
    assert not page.open
    assert set(page.tags) <= ALLOWED
    for element, name, value in page.attributes:
        assert not name.startswith("on") and name != "style", (element, name)
        if name == "src":
            assert value.startswith(("data:image/jpeg;base64,", "data:image/png;base64,"))
        if name == "href":
            assert value == "data:," or value.startswith("#")
    return page


def page_of(part: Certification | Evaluation) -> str:
    """The page of a folder that holds nothing else."""
    with TemporaryDirectory() as name:
        if isinstance(part, Certification):
            write_certificate(Path(name), part)
        else:
            write_evaluation(Path(name), part)
        return (Path(name) / "report.html").read_text("utf-8")
