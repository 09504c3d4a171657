"""Pretrained networks that are on this disk already, by file; nothing is ever downloaded.

torchvision keeps ``resnet50-0676ba61.pth``: the name holds the beginning of the file's SHA-256.
The Hugging Face cache keeps a snapshot's file as a link to a blob that is named by all of it.
"""

from __future__ import annotations

import hashlib
import io
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load
from torch import Tensor, nn

from ue_cli.errors import ExitCode, UeError

HEADS = {"resnet50": "fc", "vit_b_16": "heads", "densenet121": "classifier", "resnet18": "fc"}
"""torchvision's names of what can be loaded, the first choice first, and of what is replaced."""

SIZE = 224
"""Pixels that they were trained on."""

_TIMM = ("resnet18", "resnet50", "densenet121")
_MEAN, _DEVIATION = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)


@dataclass(frozen=True, slots=True)
class Backbone:
    """Weights on disk, not yet read.

    Attributes:
        architecture: torchvision's name of the network.
        file: where they lie: ``.pth``, or safetensors.
        sha256: of the file, in hex; at least its first eight digits.
    """

    architecture: str
    file: Path
    sha256: str

    @property
    def name(self) -> str:
        """The network and the first digits of its weights' hash: ``resnet50-0676ba61``."""
        return f"{self.architecture}-{self.sha256[:8]}"


class Pretrained(nn.Module):
    """A pretrained network with a new linear head, zero to begin with.

    Args:
        body: gives (n, width) features for images with ImageNet's mean and deviation.
        width: of the features.
        classes: outputs.
        frozen: a linear probe: the body stays in eval mode and gets no gradient, and its features
            are normalised before the head (BatchNorm without affine map; MAE, He et al., CVPR
            2022, A.1). Else everything is trained.
    """

    gain: Tensor
    offset: Tensor

    def __init__(self, body: nn.Module, width: int, classes: int, *, frozen: bool) -> None:
        super().__init__()
        self.body = body.requires_grad_(not frozen)
        # Frozen features do not drift: their statistics are the mean over all steps.
        settled = nn.BatchNorm1d(width, affine=False, momentum=None)
        self.norm = settled if frozen else nn.Identity()
        self.head = nn.Linear(width, classes)
        nn.init.zeros_(self.head.weight)
        nn.init.zeros_(self.head.bias)
        self._frozen = frozen
        mean, deviation = (torch.tensor(x)[:, None, None] for x in (_MEAN, _DEVIATION))
        self.register_buffer("gain", 64 / 255 / deviation, persistent=False)
        self.register_buffer("offset", (118 / 255 - mean) / deviation, persistent=False)
        if frozen:
            self.register_load_state_dict_pre_hook(_keep_body)  # type: ignore[no-untyped-call]

    def trained_state(self) -> dict[str, Tensor]:
        """The state without what stays as it is on the disk; `load_state_dict` takes it, too."""
        state: dict[str, Tensor] = self.state_dict()
        head = {key: value for key, value in state.items() if not key.startswith("body.")}
        return head if self._frozen else state

    def train(self, mode: bool = True) -> Pretrained:
        """Put what is trained into that mode."""
        super().train(mode)
        if self._frozen:
            self.body.eval()
        return self

    def forward(self, x: Tensor) -> Tensor:
        """(n, 3, 224, 224), normalised as victims see it (`augment`) → (n, classes) logits."""
        logits: Tensor = self.head(self.norm(self.body(x * self.gain + self.offset)))
        return logits


def _keep_body(net: nn.Module, state: dict[str, Any], prefix: str, *_: Any) -> None:
    """Let a state without a body leave the body as it is."""
    body = net.get_submodule("body").state_dict(prefix=f"{prefix}body.")
    if not body.keys() & state.keys():
        state.update(body)


def cache_folders() -> tuple[Path, Path]:
    """Where torchvision and huggingface_hub keep what they download, as those libraries decide."""
    from huggingface_hub.constants import HF_HUB_CACHE

    return Path(torch.hub.get_dir()) / "checkpoints", Path(HF_HUB_CACHE)


def find_backbones(checkpoints: Path, hub: Path) -> tuple[Backbone, ...]:
    """All weights that can be loaded from these folders, by name. No file is opened.

    Args:
        checkpoints: torchvision's folder; may be missing.
        hub: the Hugging Face cache, where timm's weights of the same networks count; may be
            missing.
    """
    named = re.compile(rf"({'|'.join(HEADS)})-([0-9a-f]{{8,64}})\.pth")
    backbones = {}
    for file in checkpoints.glob("*.pth"):
        if match := named.fullmatch(file.name):
            backbones[file] = Backbone(match[1], file, match[2])
    for architecture in _TIMM:
        pattern = f"models--timm--{architecture}.*/snapshots/*/model.safetensors"
        for file in hub.glob(pattern):
            blob = file.resolve()
            if re.fullmatch("[0-9a-f]{64}", blob.name) and blob.is_file():
                backbones[blob] = Backbone(architecture, blob, blob.name)
    return tuple(sorted(backbones.values(), key=lambda weights: (weights.name, str(weights.file))))


def find_backbone(name: str = "") -> Backbone:
    """The weights of that name in the libraries' own folders; without a name the first choice.

    Raises:
        UeError: ``backbone-missing``.
    """
    folders = cache_folders()
    order = list(HEADS)
    backbones = find_backbones(*folders)
    for backbone in sorted(backbones, key=lambda weights: order.index(weights.architecture)):
        if name in ("", backbone.name):
            return backbone
    raise UeError(
        "backbone-missing",
        f"There are no pretrained weights {f'{name} ' if name else ''}in {folders[0]} or "
        f"{folders[1]}, and nothing is downloaded here.",
        'Download some with torchvision, for example python -c "import torchvision.models as m; '
        "m.resnet50(weights='DEFAULT')\", or leave probe and fine-tune out.",
    )


def load_backbone(backbone: Backbone, classes: int, *, frozen: bool) -> Pretrained:
    """Read the weights and put a new head on them.

    Args:
        backbone: of `find_backbones`.
        classes: of the new head.
        frozen: see `Pretrained`.

    Raises:
        UeError: ``backbone-damaged``: its hash is another; ``backbone-unreadable``: the file
            cannot be read, or does not hold this network.
    """
    try:
        content = backbone.file.read_bytes()
    except OSError as error:
        raise _unreadable(backbone, error.strerror or str(error)) from error
    digest = hashlib.sha256(content).hexdigest()
    if not digest.startswith(backbone.sha256):
        raise UeError(
            "backbone-damaged",
            f"The SHA-256 of {backbone.file} should begin with {backbone.sha256[:8]} but begins "
            f"with {digest[:8]}.",
            "Delete that file and download it again, or leave this backbone out.",
            exit_code=ExitCode.NOTHING_USABLE,
        )
    try:
        if backbone.file.suffix == ".pth":
            state = torch.load(io.BytesIO(content), map_location="cpu", weights_only=True)
        else:
            state = load(content)
        with torch.random.fork_rng(devices=[]):  # first weights are drawn, and then replaced
            body, width = _body(backbone.architecture, state)
            return Pretrained(body, width, classes, frozen=frozen)
    except Exception as error:  # whatever a foreign file makes the readers raise
        lines = str(error).splitlines()
        raise _unreadable(backbone, lines[0] if lines else "empty") from error


def _body(architecture: str, state: Mapping[str, Any]) -> tuple[nn.Module, int]:
    """The network without its head, and how wide its features are."""
    from torchvision.models import get_model

    head = HEADS[architecture]
    body: nn.Module = get_model(architecture, weights=None)
    width = next(
        layer.in_features
        for layer in body.get_submodule(head).modules()
        if isinstance(layer, nn.Linear)
    )
    setattr(body, head, nn.Identity())
    weights = {key: value for key, value in state.items() if not key.startswith(f"{head}.")}
    if architecture == "densenet121":  # its file is older than today's names of these layers
        weights = {re.sub(r"(norm|conv)\.([12])\.", r"\1\2.", key): weights[key] for key in weights}
    body.load_state_dict(weights)
    return body, width


def _unreadable(backbone: Backbone, reason: str) -> UeError:
    return UeError(
        "backbone-unreadable",
        f"The weights of {backbone.architecture} cannot be read from {backbone.file}: {reason}",
        "Delete that file and download it again, or leave this backbone out.",
        exit_code=ExitCode.NOTHING_USABLE,
    )
