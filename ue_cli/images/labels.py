"""Which class a photo belongs to: folders, a label file, or pseudo-classes."""

from __future__ import annotations

import csv
import json
import unicodedata
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from ue_cli.errors import UeError
from ue_cli.images.clusters import Clusters, assign_stream, fit
from ue_cli.images.scan import SIDECARS, SPLITS, Scan
from ue_cli.types import FloatArray, Photo, PhotoSet

RULES = ("auto", "folders", "metadata", "clusters", "single")
UNLABELLED = "_unlabelled"
SINGLE = "all"

Features = Callable[[Sequence[Path]], Iterable[FloatArray | None]]


def label(
    scan: Scan,
    rule: str,
    *,
    features: Features,
    clusters: Clusters | None,
) -> tuple[PhotoSet, Clusters | None]:
    """Give every file of a scan a class, and say why by that rule.

    ``auto``: the first path component below ``train``, ``val`` or ``test`` is the class, if at
    least half of the files lie in such folders; but a label file wins over a single folder, which
    tells nothing apart. Else the label file; else pseudo-classes. A file that the chosen rule
    leaves without a class joins the class ``_unlabelled``.

    Args:
        scan: what was found.
        rule: one of `RULES`, or the path of a ``.csv`` or ``.jsonl`` label file.
        features: computes `thumbnail_features` of many files in order, in parallel for instance.
        clusters: kept from an earlier run: its centroids are used as they are.

    Returns:
        The labelled set, and the clusters if pseudo-classes were made.

    Raises:
        UeError: ``labels-rule``, ``labels-missing``, ``labels-malformed``, ``labels-conflict``.
    """
    if rule == "single":
        return _labelled(scan, [SINGLE] * len(scan.files), "single", "It was asked for."), None
    if rule == "clusters":
        return _clustered(scan, "It was asked for", features, clusters)
    if rule == "folders":
        return _by_folders(scan, "It was asked for"), None
    if rule == "metadata":
        if not scan.sidecars:
            raise UeError(
                "labels-missing",
                f"--labels metadata expects {', '.join(SIDECARS)} in {scan.root}; there is none.",
                "Add one with columns file_name and label, or use --labels auto.",
            )
        return _by_sidecar(scan, _read_sidecars(scan), "It was asked for"), None
    if rule != "auto":
        return _by_sidecar(scan, _read_given(scan, Path(rule)), "It was asked for"), None
    return _auto(scan, features, clusters)


def folder_class(name: str) -> str | None:
    """The class that a path below SRC names, NFC-normalised; None at the top level."""
    parts = name.split("/")
    if len(parts) > 1 and parts[0] in SPLITS:
        del parts[0]
    return unicodedata.normalize("NFC", parts[0]) if len(parts) > 1 else None


def given_labels(scan: Scan) -> PhotoSet | None:
    """The classes that a folder itself states, found as ``auto`` finds them; None without any.

    Raises:
        UeError: ``labels-malformed``, ``labels-conflict``.
    """
    return _given(scan)[0]


def _auto(
    scan: Scan, features: Features, clusters: Clusters | None
) -> tuple[PhotoSet, Clusters | None]:
    if clusters is not None:
        return _clustered(scan, "The collection began with them", features, clusters)
    given, why = _given(scan)
    if given is not None:
        return given, None
    return _clustered(scan, why + ", no labels", features, clusters)


def _given(scan: Scan) -> tuple[PhotoSet | None, str]:
    """The labels of folders or of a label file; None, and why there are none."""
    named = [folder_class(photo.name) for photo in scan.files]
    folders = {name for name in named if name is not None}
    loose = named.count(None)
    half = 2 * loose <= len(named)
    if len(folders) > 1 and half:
        why = f"Photos lie in {len(folders)} folders"
        return _by_folders(scan, why), why
    why = "There are no class folders"
    if folders:
        why = "There is one folder only" if half else f"{loose} of {len(named)} photos lie outside"
    if scan.sidecars:
        sidecar = _read_sidecars(scan)
        if any(_lookup(sidecar[1], photo.name) for photo in scan.files):
            return _by_sidecar(scan, sidecar, why), why
        why += f", {', '.join(scan.sidecars)} labels none of these files"
    if folders and half:
        return _by_folders(scan, why), why
    return None, why


def _by_folders(scan: Scan, why: str) -> PhotoSet:
    named = [folder_class(photo.name) for photo in scan.files]
    loose = named.count(None)
    reason = f"{why}: each folder is a class."
    if loose:
        reason += f" {loose} photos outside any folder form the class {UNLABELLED}."
    return _labelled(scan, [name or UNLABELLED for name in named], "folders", reason)


def _by_sidecar(scan: Scan, sidecar: tuple[str, dict[str, str]], why: str) -> PhotoSet:
    source, labels = sidecar
    named = [_lookup(labels, photo.name) for photo in scan.files]
    missing = named.count(None)
    if missing == len(named):
        raise UeError(
            "labels-missing",
            f"{source} should label the photos in {scan.root}, but it labels none of them.",
            "Its file_name column should hold paths relative to the folder that it lies in.",
        )
    reason = f"{why}: {source} gives the classes."
    if missing:
        reason += f" {missing} photos that it does not label form the class {UNLABELLED}."
    kind = Path(source).name
    rule = kind if kind in SIDECARS else "labels.csv"
    return _labelled(scan, [name or UNLABELLED for name in named], rule, reason)


def _clustered(
    scan: Scan, why: str, features: Features, clusters: Clusters | None
) -> tuple[PhotoSet, Clusters]:
    paths = [photo.path for photo in scan.files]
    rows = list(features(paths))
    end = "." if clusters is None else ", with the centroids kept from the first run."
    clusters = clusters or fit(rows)
    reason = f"{why}: {len(clusters.names)} pseudo-classes by the look of the photos{end}"
    labels = list(assign_stream(clusters, rows))
    return _labelled(scan, labels, "clusters", reason), clusters


def _labelled(scan: Scan, labels: Sequence[str], rule: str, reason: str) -> PhotoSet:
    photos: tuple[Photo, ...] = tuple(
        replace(photo, label=name) for photo, name in zip(scan.files, labels, strict=True)
    )
    return PhotoSet(scan.root, photos, tuple(sorted(set(labels))), rule, reason)


def _lookup(labels: dict[str, str], name: str) -> str | None:
    return labels.get(_normal(name))


def _normal(name: str) -> str:
    return unicodedata.normalize("NFC", name)


def _read_sidecars(scan: Scan) -> tuple[str, dict[str, str]]:
    """The labels of the preferred kind of label file, from every place where one lies."""
    kind = next(k for k in SIDECARS if any(s.rpartition("/")[2] == k for s in scan.sidecars))
    chosen = [s for s in scan.sidecars if s.rpartition("/")[2] == kind]
    labels: dict[str, str] = {}
    for name in chosen:
        labels |= _read(scan.root / name, name.rpartition("/")[0])
    return ", ".join(chosen), labels


def _read_given(scan: Scan, path: Path) -> tuple[str, dict[str, str]]:
    if path.suffix.lower() not in (".csv", ".jsonl") or not path.is_file():
        raise UeError(
            "labels-rule",
            f"--labels expects one of {', '.join(RULES)} or a .csv or .jsonl file, got {path}.",
            "A file needs columns file_name and label; check that the path exists.",
        )
    return str(path), _read(path, "")


def _read(path: Path, prefix: str) -> dict[str, str]:
    """One file's labels: name below SRC, NFC → label."""
    labels: dict[str, str] = {}
    for line, row in _rows(path):
        if "file_name" not in row:
            raise _malformed(path, line, "there is no file_name")
        file, value = row["file_name"], row.get("label")
        if not isinstance(file, str) or not file:
            raise _malformed(path, line, "file_name is not a text")
        if isinstance(value, bool) or not isinstance(value, str | int | None):
            raise _malformed(path, line, "label is neither a text nor a whole number")
        text = unicodedata.normalize("NFC", str(value).strip()) if value is not None else ""
        if not text:
            continue
        file = file.replace("\\", "/").removeprefix("./")
        name = _normal(f"{prefix}/{file}" if prefix else file)
        if labels.setdefault(name, text) != text:
            raise UeError(
                "labels-conflict",
                f"{path}, line {line}: {file} is {text} here and {labels[name]} before.",
                "Give each file one label.",
            )
    return labels


def _rows(path: Path) -> Iterator[tuple[int, dict[str, Any]]]:
    line = 1
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            if path.suffix.lower() == ".csv":
                table = csv.DictReader(file, strict=True)
                try:
                    yield from _table_rows(path, table)
                except csv.Error as error:
                    raise _malformed(path, max(table.reader.line_num, 1), str(error)) from None
                return
            for line, text in enumerate(file, 1):
                if text.strip():
                    value = json.loads(text)
                    if not isinstance(value, dict):
                        raise _malformed(path, line, "it is not a JSON object")
                    yield line, value
    except OSError as error:
        raise UeError(
            "labels-missing",
            f"{path} should be a readable label file, but it cannot be opened ({error.strerror}).",
            "Check its permissions.",
        ) from None
    except (ValueError, RecursionError) as error:
        raise _malformed(path, line, str(error)) from None


def _table_rows(path: Path, table: csv.DictReader[str]) -> Iterator[tuple[int, dict[str, Any]]]:
    if "file_name" not in (table.fieldnames or ()):
        raise _malformed(path, 1, "the header has no file_name")
    for row in table:
        if None in row or None in row.values():
            raise _malformed(path, table.line_num, "it has more or fewer fields than the header")
        yield table.line_num, row


def _malformed(path: Path, line: int, problem: str) -> UeError:
    return UeError(
        "labels-malformed",
        f"{path}, line {line}: expected file_name and label, but {problem}.",
        "Correct that line, or choose other labels with --labels folders, clusters or single.",
    )
