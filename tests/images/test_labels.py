"""Which class a photo belongs to, by which rule, and why."""

import json
import unicodedata
from functools import partial
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from ue_cli.errors import UeError
from ue_cli.images.clusters import (
    Clusters,
    assign_stream,
    cluster_count,
    fit,
    thumbnail_features,
)
from ue_cli.images.labels import UNLABELLED, folder_class, label
from ue_cli.images.scan import scan
from ue_cli.types import PhotoSet


def tree(root: Path, *names: str) -> Path:
    for name in names:
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"x")
    return root


def labels(found: PhotoSet) -> dict[str, str | None]:
    return {photo.name: photo.label for photo in found.photos}


def clustered(
    root: Path, rule: str = "auto", clusters: Clusters | None = None
) -> tuple[PhotoSet, Clusters | None]:
    features = partial(map, thumbnail_features)
    return label(scan(root), rule, features=features, clusters=clusters)


def labelled(root: Path, rule: str = "auto") -> PhotoSet:
    return clustered(root, rule)[0]


def refusal(root: Path, rule: str = "auto") -> UeError:
    with pytest.raises(UeError) as caught:
        labelled(root, rule)
    assert caught.value.hint
    return caught.value


def paint(path: Path, colour: tuple[int, int, int], seed: int = 0) -> None:
    noise = np.random.default_rng(seed).integers(0, 24, (40, 50, 3))
    values = (np.array(colour) + noise).clip(0, 255).astype(np.uint8)
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(values).save(path)


def test_the_first_folder_below_a_split_is_the_class() -> None:
    found = {n: folder_class(n) for n in ("dog/a", "train/dog/x/a", "train/a", "a", "x/train/a")}
    assert list(found.values()) == ["dog", "dog", None, None, "x"]
    assert folder_class(unicodedata.normalize("NFD", "café/a")) == "café"


def test_folders_are_classes(tmp_path: Path) -> None:
    found = labelled(tree(tmp_path, "train/dog/a.jpg", "val/dog/b.jpg", "train/cat/c.jpg"))
    assert found.classes == ("cat", "dog") and found.label_rule == "folders"
    assert labels(found)["val/dog/b.jpg"] == "dog" and "2 folders" in found.label_reason
    assert found.root == tmp_path.resolve()


def test_one_folder_is_one_class_unless_a_label_file_knows_more(tmp_path: Path) -> None:
    tree(tmp_path, "images/a.jpg", "images/b.jpg")
    assert labelled(tmp_path).classes == ("images",)
    (tmp_path / "labels.csv").write_text("file_name,label\nimages/a.jpg,x\nimages/b.jpg,y\n")
    found = labelled(tmp_path)
    assert found.classes == ("x", "y") and found.label_rule == "labels.csv"
    assert labelled(tmp_path, "folders").classes == ("images",)


def test_a_few_loose_photos_form_a_class_and_it_is_said(tmp_path: Path) -> None:
    found = labelled(tree(tmp_path, "dog/a.jpg", "dog/b.jpg", "cat/c.jpg", "loose.jpg"))
    assert found.classes == (UNLABELLED, "cat", "dog")
    assert "1 photos" in found.label_reason and UNLABELLED in found.label_reason


def test_mostly_loose_photos_are_clustered(tmp_path: Path) -> None:
    found = labelled(tree(tmp_path, "dog/a.jpg", "cat/c.jpg", "1.jpg", "2.jpg", "3.jpg"))
    assert found.label_rule == "clusters" and "3 of 5" in found.label_reason


def test_metadata_goes_before_labels_and_splits_have_their_own(tmp_path: Path) -> None:
    tree(tmp_path, "train/a.jpg", "train/b.jpg", "test/a.jpg")
    (tmp_path / "labels.csv").write_text("file_name,label\ntrain/a.jpg,wrong\n")
    (tmp_path / "train" / "metadata.jsonl").write_text(
        '{"file_name": "a.jpg", "label": 3}\n\n{"file_name": "./b.jpg", "label": "cafe\u0301"}\n'
    )
    found = labelled(tmp_path)
    assert found.label_rule == "metadata.jsonl"
    assert labels(found) == {
        "train/a.jpg": "3",
        "train/b.jpg": "café",
        "test/a.jpg": UNLABELLED,
    }
    assert "1 photos" in found.label_reason


def test_a_label_file_can_be_given(tmp_path: Path) -> None:
    tree(tmp_path / "src", "a.jpg", "b.jpg")
    sheet = tmp_path / "mine.csv"
    sheet.write_text('\ufefflabel,file_name\r\n"x, y",a.jpg\r\n,b.jpg\r\n', encoding="utf-8")
    found = labelled(tmp_path / "src", str(sheet))
    assert labels(found) == {"a.jpg": "x, y", "b.jpg": UNLABELLED}


@pytest.mark.parametrize(
    ("name", "text", "line"),
    [
        ("labels.csv", "file,label\na.jpg,x\n", 1),
        ("labels.csv", "file_name,label\na.jpg,x\nb.jpg\n", 3),
        ("labels.csv", 'file_name,label\na.jpg,"x\n', 2),
        ("labels.csv", "", 1),
        ("metadata.jsonl", '{"file_name": "a.jpg", "label": "x"}\n{"file_name"\n', 2),
        ("metadata.jsonl", '{"label": "x"}\n', 1),
        ("metadata.jsonl", "[1]\n", 1),
        ("metadata.jsonl", '{"file_name": "a.jpg", "label": ["x"]}\n', 1),
    ],
)
def test_a_malformed_label_file_names_the_line(
    tmp_path: Path, name: str, text: str, line: int
) -> None:
    (tree(tmp_path, "a.jpg") / name).write_text(text)
    error = refusal(tmp_path)
    assert error.code == "labels-malformed" and f"{name}, line {line}" in error.message


def test_bytes_that_are_no_text_are_said(tmp_path: Path) -> None:
    (tree(tmp_path, "a.jpg") / "labels.csv").write_bytes(b"file_name,label\na.jpg,\xff\xfe\n")
    assert refusal(tmp_path).code == "labels-malformed"


def test_contradicting_and_useless_label_files_are_refused(tmp_path: Path) -> None:
    sheet = tree(tmp_path, "a.jpg") / "labels.csv"
    sheet.write_text("file_name,label\na.jpg,x\na.jpg,x\na.jpg,y\n")
    assert refusal(tmp_path).code == "labels-conflict" and "line 4" in refusal(tmp_path).message
    sheet.write_text("file_name,caption\na.jpg,hello\n")
    assert refusal(tmp_path, "metadata").code == "labels-missing"
    found = labelled(tmp_path)
    assert found.label_rule == "clusters" and "labels.csv" in found.label_reason


def test_unknown_rules_list_the_known(tmp_path: Path) -> None:
    tree(tmp_path, "a.jpg")
    assert "folders" in refusal(tmp_path, "foldres").message
    assert refusal(tmp_path, str(tmp_path / "none.csv")).code == "labels-rule"
    assert refusal(tmp_path, "metadata").code == "labels-missing"


def test_single_is_one_class(tmp_path: Path) -> None:
    found = labelled(tree(tmp_path, "dog/a.jpg", "cat/b.jpg"), "single")
    assert found.classes == ("all",) and found.label_rule == "single"


def test_photos_that_look_alike_share_a_pseudo_class(tmp_path: Path) -> None:
    for k in range(6):
        paint(tmp_path / f"red{k}.png", (200, 20, 20), k)
        paint(tmp_path / f"blue{k}.jpg", (20, 20, 200), k)
    tree(tmp_path, "broken.jpg")
    found, clusters = clustered(tmp_path)
    assert clusters is not None and found.label_rule == "clusters"
    assert found.classes == ("cluster-00", "cluster-01")
    reds = {photo.label for photo in found.photos if photo.name.startswith("red")}
    blues = {photo.label for photo in found.photos if photo.name.startswith("blue")}
    assert len(reds) == len(blues) == 1 and reds != blues
    again = clustered(tmp_path)[0]
    assert again == found


def test_a_later_photo_takes_the_nearest_kept_centroid(tmp_path: Path) -> None:
    for k in range(6):
        paint(tmp_path / f"red{k}.png", (200, 20, 20), k)
        paint(tmp_path / f"blue{k}.png", (20, 20, 200), k)
    before, clusters = clustered(tmp_path)
    assert clusters is not None
    kept = Clusters.from_json(json.loads(json.dumps(clusters.to_json())))
    np.testing.assert_array_equal(kept.centroids, clusters.centroids)
    for k in range(30):
        paint(tmp_path / f"blue-late{k}.png", (20, 20, 200), 100 + k)
    after, same = clustered(tmp_path, clusters=kept)
    assert same is kept
    old, new = labels(before), labels(after)
    assert {name: new[name] for name in old} == old
    assert new["blue-late3.png"] == old["blue0.png"]


def test_the_number_of_clusters_follows_the_rule() -> None:
    assert [cluster_count(n) for n in (0, 3, 4, 50, 200, 10**6)] == [1, 1, 2, 5, 10, 10]
    alike = np.ones((20, 96), np.float32)
    assert len(set(assign_stream(fit(alike), alike))) == 1
    assert list(assign_stream(fit([None]), [None, None])) == ["cluster-00", "cluster-00"]


def test_features_of_another_version_are_refused() -> None:
    with pytest.raises(UeError) as caught:
        Clusters.from_json({"feature_version": "thumbnail-0", "centroids": []})
    assert caught.value.code == "clusters-version"


def test_features_do_not_stumble(tmp_path: Path) -> None:
    Image.new("1", (1, 1)).save(tmp_path / "dot.png")
    Image.new("CMYK", (9, 4)).save(tmp_path / "cmyk.jpg")
    Image.new("I;16", (3, 200)).save(tmp_path / "deep.png")
    for path in tmp_path.iterdir():
        found = thumbnail_features(path)
        assert found is not None and found.shape == (96,) and np.isfinite(found).all()
    assert thumbnail_features(tmp_path / "gone.jpg") is None
