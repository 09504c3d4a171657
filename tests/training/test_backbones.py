"""Pretrained weights that lie on the disk: made here, found, checked, probed and fine-tuned."""

from __future__ import annotations

import hashlib
import io
import pickle
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from safetensors.torch import save
from torch import Tensor
from torchvision.models import get_model

from ue_cli.errors import UeError
from ue_cli.training import backbones
from ue_cli.training.backbones import (
    Backbone,
    Pretrained,
    cache_folders,
    find_backbone,
    find_backbones,
    load_backbone,
)
from ue_cli.training.supervised import build_net, test_accuracy, train_victim
from ue_cli.training.victims import victim_recipe

SIDE = 32


def weights(architecture: str) -> dict[str, Tensor]:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        state: dict[str, Tensor] = get_model(architecture, weights=None).state_dict()
    return state


def keep(folder: Path, architecture: str, state: object) -> Path:
    """As torchvision would keep it."""
    content = io.BytesIO()
    torch.save(state, content)
    digest = hashlib.sha256(content.getvalue()).hexdigest()
    folder.mkdir(exist_ok=True)
    file = folder / f"{architecture}-{digest[:8]}.pth"
    file.write_bytes(content.getvalue())
    return file


@pytest.fixture(scope="module")
def checkpoints(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("hub") / "checkpoints"
    keep(folder, "resnet18", weights("resnet18"))
    return folder


@pytest.fixture
def net(checkpoints: Path) -> Pretrained:
    return load_backbone(find_backbones(checkpoints, checkpoints)[0], classes=3, frozen=False)


@pytest.fixture
def on_disk(checkpoints: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """The libraries keep their files in ``checkpoints``; the name of what is there."""
    monkeypatch.setattr(backbones, "cache_folders", lambda: (checkpoints, checkpoints / "none"))
    return find_backbones(checkpoints, checkpoints)[0].name


def coloured(count: int, seed: int) -> tuple[Tensor, Tensor]:
    draw = torch.Generator().manual_seed(seed)
    labels = torch.arange(count) % 3
    images = torch.randint(0, 200, (count, 3, SIDE, SIDE), generator=draw)
    images[torch.arange(count), labels] += 55
    return images.to(torch.uint8), labels


def test_only_files_of_known_networks_with_a_hash_in_their_names_are_found(tmp_path: Path) -> None:
    names = [
        "resnet50-0676ba61.pth",
        "resnet18-f37072fd.pth",
        "resnet18.pth",
        "fcn_resnet50_coco-1167a1af.pth",
        "resnet34-b627a593.pth",
        "resnet18-f37072fd.pth.partial",
    ]
    for name in names:
        (tmp_path / name).touch()
    found = find_backbones(tmp_path, tmp_path / "missing")
    assert [one.name for one in found] == ["resnet18-f37072fd", "resnet50-0676ba61"]
    assert found[0] == Backbone("resnet18", tmp_path / "resnet18-f37072fd.pth", "f37072fd")
    assert find_backbones(tmp_path / "missing", tmp_path / "missing") == ()


@pytest.mark.slow
def test_weights_in_the_hugging_face_cache_are_found_by_their_blob(tmp_path: Path) -> None:
    content = save(weights("resnet18"))
    digest = hashlib.sha256(content).hexdigest()
    repository = tmp_path / "models--timm--resnet18.a1_in1k"
    (repository / "blobs").mkdir(parents=True)
    (repository / "blobs" / digest).write_bytes(content)
    for revision in ("one", "two"):
        snapshot = repository / "snapshots" / revision
        snapshot.mkdir(parents=True)
        (snapshot / "model.safetensors").symlink_to(Path("../../blobs", digest))
    other = tmp_path / "models--timm--resnet18d.ra2_in1k" / "snapshots" / "one"
    other.mkdir(parents=True)
    (other / "model.safetensors").touch()
    (found,) = find_backbones(tmp_path / "missing", tmp_path)
    assert found.name == f"resnet18-{digest[:8]}" and found.sha256 == digest
    assert load_backbone(found, classes=2, frozen=False).head.out_features == 2


def test_the_caches_are_where_the_libraries_keep_them() -> None:
    checkpoints, hub = cache_folders()
    assert checkpoints == Path(torch.hub.get_dir()) / "checkpoints"
    assert hub.name == "hub"


def test_a_loaded_network_gives_the_features_of_its_file(net: Pretrained) -> None:
    """It takes what victims see, and undoes that for a network that was trained on ImageNet's."""
    pixels = torch.rand(2, 3, SIDE, SIDE, generator=torch.Generator().manual_seed(0))
    mean, deviation = torch.tensor([0.485, 0.456, 0.406]), torch.tensor([0.229, 0.224, 0.225])
    whole = get_model("resnet18", weights=None)
    whole.load_state_dict(weights("resnet18"))
    whole.fc = torch.nn.Identity()
    with torch.inference_mode():
        expected = whole.eval()((pixels - mean[:, None, None]) / deviation[:, None, None])
        seen = (255 * pixels - 118) / 64
        assert not net.eval()(seen).any()  # a head that was not trained yet
        net.head = torch.nn.Identity()  # type: ignore[assignment]
        assert torch.allclose(net(seen), expected, atol=1e-4)


def test_a_file_that_is_not_what_its_name_says_is_refused(checkpoints: Path) -> None:
    (found,) = find_backbones(checkpoints, checkpoints)
    with pytest.raises(UeError, match="should begin with 00000000") as caught:
        load_backbone(replace(found, sha256="00000000"), classes=2, frozen=False)
    assert caught.value.code == "backbone-damaged"
    missing = replace(found, file=found.file.with_name("gone.pth"))
    with pytest.raises(UeError, match=r"gone\.pth: No such file") as caught:
        load_backbone(missing, classes=2, frozen=False)
    assert caught.value.code == "backbone-unreadable"


class Evil:
    """Unpickling it would write a file."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple[object, ...]:
        return (Path.touch, (self.path,))


def test_reading_weights_leaves_the_global_generator_alone(checkpoints: Path) -> None:
    torch.manual_seed(99)
    before = torch.random.get_rng_state()
    load_backbone(find_backbones(checkpoints, checkpoints)[0], classes=3, frozen=True)
    assert torch.equal(before, torch.random.get_rng_state())


@pytest.mark.parametrize("kind", ["code", "another network", "no network", "no archive"])
def test_files_that_hold_something_else_are_refused(tmp_path: Path, kind: str) -> None:
    bad = {
        "code": {"fc.weight": Evil(tmp_path / "touched")},
        "another network": {"conv1.weight": torch.zeros(1)},
        "no network": [1, 2],
        "no archive": None,
    }[kind]
    file = keep(tmp_path / "cache", "resnet18", bad)
    if kind == "no archive":
        content = pickle.dumps("text")
        file = file.with_name(f"resnet18-{hashlib.sha256(content).hexdigest()[:8]}.pth")
        file.write_bytes(content)
    found = Backbone("resnet18", file, file.stem.rpartition("-")[2])
    with pytest.raises(UeError, match="weights of resnet18 cannot be read") as caught:
        load_backbone(found, classes=2, frozen=False)
    assert caught.value.code == "backbone-unreadable"
    assert not (tmp_path / "touched").exists()


@pytest.mark.slow
def test_densenet_is_read_under_the_names_that_its_file_has(tmp_path: Path) -> None:
    state = weights("densenet121")
    old = {
        key.replace("norm1.", "norm.1.").replace("norm2.", "norm.2.").replace("conv1.", "conv.1.")
        if "denselayer" in key
        else key: value
        for key, value in state.items()
    }
    assert old.keys() != state.keys()
    keep(tmp_path, "densenet121", old)
    (found,) = find_backbones(tmp_path, tmp_path)
    body = load_backbone(found, classes=2, frozen=False).body.state_dict()
    assert all(torch.equal(value, state[key]) for key, value in body.items())


def test_without_a_name_the_first_choice_is_taken(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(backbones, "cache_folders", lambda: (tmp_path, tmp_path / "none"))
    with pytest.raises(UeError, match="no pretrained weights in") as caught:
        victim_recipe("probe", train_files=100, side=64)
    assert caught.value.code == "backbone-missing" and "torchvision" in caught.value.hint
    for name in ("resnet18-f37072fd", "resnet50-11ad3fa6", "densenet121-a639ec97"):
        (tmp_path / f"{name}.pth").touch()
    assert find_backbone().name == "resnet50-11ad3fa6"
    assert find_backbone("resnet18-f37072fd").architecture == "resnet18"
    with pytest.raises(UeError, match="no pretrained weights resnet50-00000000 in"):
        find_backbone("resnet50-00000000")


@pytest.mark.parametrize(
    ("name", "files", "steps"), [("probe", 10, 200), ("probe", 800, 200), ("fine-tune", 800, 500)]
)
def test_what_is_pretrained_trains_for_as_few_steps_as_it_needs(
    on_disk: str, name: str, files: int, steps: int
) -> None:
    recipe = victim_recipe(name, train_files=files, side=64)
    assert (recipe.net, recipe.backbone, recipe.size) == (name, on_disk, 224)
    assert steps <= recipe.epochs * max(1, files // recipe.batch) < 1.1 * steps


@pytest.mark.slow
@pytest.mark.parametrize("name", ["probe", "fine-tune"])
def test_pretrained_victims_learn_and_only_a_probe_leaves_its_body_alone(
    on_disk: str, name: str
) -> None:
    """Small frames: this network pools globally, and the test is in a hurry."""
    recipe = replace(
        victim_recipe(name, train_files=60, side=SIDE), epochs=4, size=SIDE, batch=20, lr=0.02
    )
    if name == "fine-tune":  # weights that were drawn are not as robust as those of a training
        recipe = replace(recipe, epochs=1, lr=1e-4)
    found = train_victim(*coloured(60, 0), *coloured(30, 1), recipe, seed=0)
    net = build_net(recipe, 3, seed=0)
    before = {key: value.clone() for key, value in net.named_parameters()}
    net.load_state_dict(found.state)
    assert test_accuracy(net, *coloured(30, 1), size=SIDE) == pytest.approx(found.last)
    changed = {key for key, value in net.named_parameters() if not torch.equal(value, before[key])}
    if name == "probe":
        assert found.last > 0.7 and found.fit > 0.9
        assert changed == {"head.weight", "head.bias"}
        assert sum(value.numel() for value in found.state.values()) < 4_000
    else:
        assert {"body.conv1.weight", "body.layer4.1.conv2.weight", "head.weight"} <= changed
