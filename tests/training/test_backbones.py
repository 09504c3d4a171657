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
from ue_cli.training import transfer
from ue_cli.training.augment import whole
from ue_cli.training.backbones import (
    Backbone,
    Pretrained,
    cache_folders,
    find_backbones,
    load_backbone,
)
from ue_cli.training.transfer import fine_tune, fine_tune_recipe, linear_probe

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
    return load_backbone(find_backbones(checkpoints, checkpoints)[0], classes=3)


@pytest.fixture
def small_frames(monkeypatch: pytest.MonkeyPatch) -> None:
    """Features of small frames: these networks pool globally, and the tests are in a hurry."""
    monkeypatch.setattr(transfer, "SIZE", SIDE)


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
    assert load_backbone(found, classes=2).head.out_features == 2


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
        found = net.eval().features((255 * pixels - 118) / 64)
        assert torch.allclose(found, expected, atol=1e-4)
        assert not net((255 * pixels - 118) / 64).any()


def test_a_file_that_is_not_what_its_name_says_is_refused(checkpoints: Path) -> None:
    (found,) = find_backbones(checkpoints, checkpoints)
    with pytest.raises(UeError, match="should begin with 00000000") as caught:
        load_backbone(replace(found, sha256="00000000"), classes=2)
    assert caught.value.code == "backbone-damaged"
    missing = replace(found, file=found.file.with_name("gone.pth"))
    with pytest.raises(UeError, match=r"gone\.pth: No such file") as caught:
        load_backbone(missing, classes=2)
    assert caught.value.code == "backbone-unreadable"


class Evil:
    """Unpickling it would write a file."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple[object, ...]:
        return (Path.touch, (self.path,))


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
        load_backbone(found, classes=2)
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
    body = load_backbone(found, classes=2).body.state_dict()
    assert all(torch.equal(value, state[key]) for key, value in body.items())


@pytest.mark.usefixtures("small_frames")
def test_a_linear_probe_learns_from_frozen_features(net: Pretrained) -> None:
    before = {name: value.clone() for name, value in net.state_dict().items()}
    found = linear_probe(net, *coloured(60, 0), *coloured(30, 1))
    assert found.last > 0.9 and found.fit > 0.9
    assert len(found.accuracy) == 1 and list(found.state) == ["head.weight", "head.bias"]
    assert all(torch.equal(value, before[name]) for name, value in net.state_dict().items())
    net.load_state_dict({**before, **found.state})
    images, labels = coloured(30, 1)
    with torch.inference_mode():
        guesses = net.eval()(whole(images, SIDE)).argmax(1)
    assert float((guesses == labels).float().mean()) == pytest.approx(found.last, abs=0.04)


@pytest.mark.slow
@pytest.mark.usefixtures("small_frames")
def test_the_best_a_probe_can_do_is_what_the_labels_allow(net: Pretrained) -> None:
    images, labels = coloured(60, 0)
    shuffled = labels[torch.randperm(60, generator=torch.Generator().manual_seed(0))]
    found = linear_probe(net, images, shuffled, *coloured(60, 1))
    assert found.last < 0.6


@pytest.mark.slow
@pytest.mark.usefixtures("small_frames")
def test_fine_tuning_goes_on_from_a_fitted_head(net: Pretrained) -> None:
    recipe = replace(fine_tune_recipe(48), epochs=1, size=SIDE, batch=16, lr=1e-4)
    with torch.no_grad():  # statistics such as a trained network has
        for seed in range(20):
            net.train().features(whole(coloured(24, seed)[0], SIDE))
    before = {name: value.clone() for name, value in net.state_dict().items()}
    seen: list[int] = []
    found = fine_tune(
        net,
        *coloured(48, 0),
        *coloured(24, 1),
        recipe,
        seed=0,
        on_epoch=lambda epoch, _: seen.append(epoch),
    )
    assert seen == [1] and found.last > 0.8
    assert not torch.equal(found.state["body.conv1.weight"], before["body.conv1.weight"])
    assert all(torch.equal(value, before[name]) for name, value in net.state_dict().items())


@pytest.mark.parametrize(("files", "steps"), [(10, 500), (800, 500), (100_000, 4_600)])
def test_fine_tuning_takes_as_many_steps_as_its_data_needs(files: int, steps: int) -> None:
    recipe = fine_tune_recipe(files)
    taken = recipe.epochs * max(1, files // recipe.batch)
    assert steps <= taken <= 1.1 * steps
