"""`ue` from Python: calls that do what the commands do, with the same defaults.

Each returns a frozen value whose ``to_json()`` is the ``result`` of the command's ``--json``, and
raises `ue_cli.errors.UeError`, with a sentence and a hint, where the command would end with it.
Work is spread over processes that import the calling script, so that a script calls these below
``if __name__ == "__main__":``.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import numpy as np

from ue_cli.datasets.limits import MAX_PIXELS, MIN_TEST, TEST_SHARE
from ue_cli.defaults import beside, home_folder, process_count
from ue_cli.errors import SkipFile, UeError
from ue_cli.types import Budget, Look, Watch

if TYPE_CHECKING:
    from torch import Tensor

    from ue_cli.banks.legacy import Units
    from ue_cli.certification.certify import CertifyResult
    from ue_cli.evaluation.evaluate import EvaluateResult
    from ue_cli.images.write import Requested
    from ue_cli.protection.optimize import OptimizeResult
    from ue_cli.protection.results import ProtectResult
    from ue_cli.training.ssl_recipes import SslName
    from ue_cli.types import Making, Scaling, TuePreset

Place = str | Path


class Silent:
    """A `Watch` that shows nothing."""

    def start(self, title: str, total: int) -> None:
        """See `Phases.start`."""

    def step(self, count: int = 1) -> None:
        """See `Phases.step`."""

    def note(self, text: str) -> None:
        """See `Phases.note`."""

    def show(self, columns: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
        """See `Watch.show`."""


def protect(
    source: Place,
    out: Place | None = None,
    *,
    look: str = "standard",
    epsilon: int | float | str = 8,
    collection: str = "photos",
    labels: str = "auto",
    method: Making | None = None,
    space: Literal["texture", "pixel"] | None = None,
    perturbation: str | None = None,
    order: str | None = None,
    units: Units | None = None,
    rescale: bool = False,
    format: Requested = "keep",
    strip_gps: bool = False,
    strip_metadata: bool = False,
    opt_out: bool = False,
    strict: bool = False,
    overwrite: bool = False,
    rehash: bool = False,
    dry_run: bool = False,
    certify: bool = False,
    device: str = "auto",
    jobs: int | None = None,
    max_pixels: int = MAX_PIXELS,
    home: Place | None = None,
    watch: Watch | None = None,
) -> ProtectResult:
    """Write a protected copy of a folder of images, and a private report beside it.

    Args:
        source: folder of originals, never written to.
        out: folder to publish; None: ``source-protected``.
        look: ``subtle``, ``standard`` or ``strong``: how visible the perturbation may be.
        epsilon: L∞ budget: 1 or more are 8-bit levels, below 1 a fraction; ``"8/255"`` too.
        collection: its name; with the key it decides the textures.
        labels: ``auto``, ``folders``, ``metadata``, ``clusters``, ``single`` or a table's path.
        method: ``csd``, ``pue``, ``em`` or ``tue``, as it is by default (`optimize` has its
            options); None: ``csd``.
        space: ``texture`` or ``pixel``: where CSD separates the classes; None: the method's.
        perturbation: a published one instead of a secret one: a path, a name or ``hf://…``.
        order: of a published array: the class of each row, ``cifar10`` or a text file's path.
        units: of a published array: what its values are; None: found from them.
        rescale: multiply a published perturbation to fill the budget.
        format: ``keep``, ``png``, ``webp`` or ``jpeg``.
        strip_gps: leave the position out of the written files.
        strip_metadata: keep only orientation and colour profile.
        opt_out: write the IPTC/PLUS field that forbids AI training.
        strict: count any file that carries too little as one that was not protected.
        overwrite: write finished files anew.
        rehash: read every original, also where its size and time are as an earlier run left them.
        dry_run: only say what would be done.
        certify: certify the written files as well.
        device: pixel space, pue, em and tue: ``auto``, ``cpu``, ``cuda`` or ``mps``.
        jobs: processes; None: one per usable CPU.
        max_pixels: larger images are refused.
        home: folder of the key and the state; None: that of the commands.
        watch: shows progress; None: nothing is shown.

    Returns:
        What was written, the budget and the look as measured on the written files, and warnings.

    Raises:
        UeError: nothing could be done, or a guarantee could not be kept; what was written until
            then is whole, and the same call goes on from there.
    """
    from ue_cli.protection.options import ProtectOptions, choose_method
    from ue_cli.protection.protect import protect as run

    choice = choose_method(
        method,
        space=space,
        perturbation=perturbation,
        order=order,
        units=units,
        rescale=rescale,
    )
    options = ProtectOptions(
        **asdict(choice),
        src=Path(source),
        out=Path(out) if out is not None else beside(source, "-protected"),
        home=home_folder(_path(home)),
        home_given=home is not None,
        budget=Budget.parse(str(epsilon)),
        look=Look.parse(look),
        collection=collection,
        labels=labels,
        perturbation=perturbation,
        order=order,
        units=units,
        rescale=rescale,
        device=device,
        format=format,
        strip_gps=strip_gps,
        strip_metadata=strip_metadata,
        opt_out=opt_out,
        strict=strict,
        overwrite=overwrite,
        rehash=rehash,
        dry_run=dry_run,
        certify=certify,
        jobs=process_count(jobs),
        max_pixels=max_pixels,
    )
    return run(options, watch or Silent())


def certify(
    dataset: Place,
    original: Place | None = None,
    *,
    test: Place | None = None,
    preset: Literal["default", "paper"] = "default",
    runs: int = 5,
    victims: Sequence[str] = (),
    q: float | None = None,
    draws: int | None = None,
    sigma: float | None = None,
    confidence: float | None = None,
    smoothing: Scaling | None = None,
    test_share: float = TEST_SHARE,
    min_test: int = MIN_TEST,
    seed: int = 0,
    side: int | None = None,
    max_pixels: int = MAX_PIXELS,
    device: str = "auto",
    jobs: int | None = None,
    report: Place | None = None,
    home: Place | None = None,
    watch: Watch | None = None,
) -> CertifyResult:
    """Certify how much a model can learn from a protected folder, beside a clean control.

    Args:
        dataset: the protected folder.
        original: the originals' folder, of which the test set is split off; None: no control.
        test: folder of other clean images of the same classes to test on.
        preset: ``paper`` is the published setting.
        runs: K, independent trainings on either side.
        victims: architectures; of several, each training draws one; none: the preset's.
        q: quantile of accuracy that is bounded, in (0, 1).
        draws: N, noisy copies of each surrogate that are tested.
        sigma: size of the noise; None: by the control, on pilot draws.
        confidence: of each smoothing statement, in (0, 1).
        smoothing: noise in units of the weights (``absolute``) or of each filter (``relative``).
        test_share: of the originals that is split off, in (0, 1).
        min_test: fewest clean test images.
        seed: of the split, the trainings and everything that is drawn.
        side: pixels to which trainers resize what they read; None: as most files have, 64 at most.
        max_pixels: larger images are refused.
        device: ``auto``, ``cpu``, ``cuda`` or ``mps``.
        jobs: trainings side by side on a CPU; None: one per usable CPU.
        report: the report's folder; None: ``dataset.report``.
        home: as in `protect`.
        watch: as in `protect`.

    Returns:
        The certificates with all counts, their verdicts and warnings.

    Raises:
        UeError: the data set cannot be certified; finished trainings are kept.
    """
    from ue_cli.training.architectures import FROM_SCRATCH, find_victim
    from ue_cli.training.backend import resolve_device

    trained = tuple(find_victim(name, FROM_SCRATCH) for name in victims)
    available = resolve_device(device)  # before anything imports torch without a sentence for it
    from ue_cli.certification.certify import certify as run
    from ue_cli.certification.options import CertifyOptions

    options = CertifyOptions(
        dataset=Path(dataset),
        original=_path(original),
        test=_path(test),
        home=home_folder(_path(home)),
        home_given=home is not None,
        report=_path(report),
        preset=preset,
        runs=runs,
        victims=trained,
        q=q,
        draws=draws,
        sigma=sigma,
        confidence=confidence,
        scaling=smoothing,
        test_share=test_share,
        min_test=min_test,
        seed=seed,
        side=side,
        max_pixels=max_pixels,
        device=available,
        jobs=process_count(jobs),
    )
    return run(options, watch or Silent())


def evaluate(
    dataset: Place,
    original: Place | None = None,
    *,
    test: Place | None = None,
    tier: Literal["quick", "standard", "full"] = "quick",
    against: Sequence[str] = (),
    victims: Sequence[str] = (),
    coverage: Sequence[int] | str = (100,),
    seeds: int | None = None,
    epochs: int | None = None,
    bank: str | None = None,
    order: str | None = None,
    units: Units | None = None,
    test_share: float = TEST_SHARE,
    min_test: int = MIN_TEST,
    seed: int = 0,
    side: int | None = None,
    max_pixels: int = MAX_PIXELS,
    device: str = "auto",
    jobs: int | None = None,
    report: Place | None = None,
    dry_run: bool = False,
    home: Place | None = None,
    watch: Watch | None = None,
) -> EvaluateResult:
    """Train victims on a protected folder, with and without countermeasures, beside controls.

    Args:
        dataset: the protected folder.
        original: as in `certify`.
        test: as in `certify`.
        tier: how much is tried.
        against: countermeasures by name; none: the tier's.
        victims: who learns from the files, by name; none: the tier's.
        coverage: per cents of the files that stay protected, originals in place of the rest;
            ``"100,90"`` too.
        seeds: trainings of each kind; None: the tier's.
        epochs: passes over the files; None: the victim's recipe.
        bank: a perturbation that the adversary has and subtracts.
        order: of ``bank``, as in `protect`.
        units: of ``bank``, as in `protect`.
        test_share: as in `certify`.
        min_test: as in `certify`.
        seed: as in `certify`.
        side: as in `certify`.
        max_pixels: as in `certify`.
        device: ``auto``, ``cpu``, ``cuda`` or ``mps``.
        jobs: trainings side by side on a CPU; None: one per usable CPU.
        report: the report's folder; None: ``dataset.report``.
        dry_run: only say what would be trained, and how long that takes.
        home: as in `protect`.
        watch: as in `protect`.

    Returns:
        Every training's accuracies, a verdict per condition, the worst case and warnings.

    Raises:
        UeError: unknown names, or files that cannot be evaluated; finished trainings are kept.
    """
    from ue_cli.training.backend import resolve_device

    available = resolve_device(device)  # before anything imports torch without a sentence for it
    from ue_cli.evaluation.evaluate import evaluate as run
    from ue_cli.evaluation.options import EvaluateOptions, parse_coverage

    options = EvaluateOptions(
        dataset=Path(dataset),
        original=_path(original),
        test=_path(test),
        home=home_folder(_path(home)),
        home_given=home is not None,
        report=_path(report),
        tier=tier,
        against=tuple(against),
        victims=tuple(victims),
        coverage=parse_coverage(
            coverage if isinstance(coverage, str) else ",".join(map(str, coverage))
        ),
        seeds=seeds,
        epochs=epochs,
        bank=bank,
        order=order,
        units=units,
        test_share=test_share,
        min_test=min_test,
        seed=seed,
        side=side,
        max_pixels=max_pixels,
        device=available,
        jobs=process_count(jobs),
        dry_run=dry_run,
    )
    return run(options, watch or Silent())


def optimize(
    source: Place,
    out: Place,
    *,
    method: Making = "csd",
    epsilon: int | float | str = 8,
    labels: str = "auto",
    cells: int | None = None,
    per: Literal["class", "photo"] | None = None,
    preset: TuePreset | None = None,
    surrogate: SslName | None = None,
    gradient: Literal["paper", "released"] | None = None,
    contrastive_weight: float | None = None,
    csd_weight: float | None = None,
    seed: int | None = None,
    device: str = "auto",
    jobs: int | None = None,
    max_pixels: int = MAX_PIXELS,
    overwrite: bool = False,
    home: Place | None = None,
    watch: Watch | None = None,
) -> OptimizeResult:
    """Make a perturbation of cells on a folder and save it for reuse; no image is written.

    Args:
        source: folder of originals, never written to.
        out: bank to write, a ``.safetensors`` file.
        method: ``csd``, ``pue``, ``em`` or ``tue``.
        epsilon: as in `protect`.
        labels: as in `protect`.
        cells: per side of a pattern; None: the method's.
        per: pue, em and tue: a pattern per ``class`` or per ``photo``.
        preset: tue: its recipe.
        surrogate: tue: what the surrogate learns by.
        gradient: csd and tue: the paper's gradient of CSD, or the released code's.
        contrastive_weight: tue: of the surrogate's loss (w); None: the preset's.
        csd_weight: tue: of CSD (λ); None: the preset's.
        seed: of every draw, so that anybody can repeat it; None: the owner's key.
        device: ``auto``, ``cpu``, ``cuda`` or ``mps``.
        jobs: processes; None: one per usable CPU.
        max_pixels: larger images are refused.
        overwrite: replace a bank of that name.
        home: as in `protect`.
        watch: as in `protect`.

    Returns:
        The file, its hash and what it holds.

    Raises:
        UeError: there is nothing to make it on, or the file cannot be written.
    """
    from ue_cli.protection.optimize import OptimizeOptions, optimise
    from ue_cli.protection.options import choose_cells

    choice = choose_cells(
        method,
        cells=cells,
        gradient=gradient,
        per=per,
        preset=preset,
        surrogate=surrogate,
        contrastive_weight=contrastive_weight,
        csd_weight=csd_weight,
    )
    options = OptimizeOptions(
        **asdict(choice),
        src=Path(source),
        file=Path(out),
        home=home_folder(_path(home)),
        budget=Budget.parse(str(epsilon)),
        labels=labels,
        seed=seed,
        device=device,
        jobs=process_count(jobs),
        max_pixels=max_pixels,
        overwrite=overwrite,
    )
    return optimise(options, watch or Silent())


def perturb(
    images: Tensor,
    labels: Sequence[str | int] | Tensor,
    *,
    key: bytes | None = None,
    classes: Sequence[str | int] | None = None,
    collection: str = "photos",
    look: str = "standard",
    epsilon: int | float | str = 8,
    home: Place | None = None,
) -> Tensor:
    """Protect a batch of images: the pixels that `protect` writes for PNG files of them.

    Textures follow from the key, the collection's name, the names of all classes and the size of
    the images, so that batches of a data set are protected alike where ``classes`` names them all.

    Args:
        images: (n, 3, h, w) uint8, RGB.
        labels: n names of classes; a number stands for its decimal digits.
        key: the owner's secret of 32 bytes; None: that of the commands, made if there is none.
        classes: names of all classes of the data set; None: those in ``labels``.
        collection: as in `protect`.
        look: as in `protect`.
        epsilon: as in `protect`.
        home: where the key lies, if none is given; as in `protect`.

    Returns:
        (n, 3, h, w) uint8 on the device of ``images``.

    Raises:
        UeError: ``images``, ``labels`` or ``key`` are not as they should be, or an image cannot
            keep the look at any amplitude.
    """
    import torch

    from ue_cli.images.decode import Decoded
    from ue_cli.metadata.embedded import MetadataPolicy
    from ue_cli.metadata.info import Info
    from ue_cli.owner.key import KEY_BYTES, OwnerKey, load_or_create_key, texture_secret
    from ue_cli.protection.making import make_codes
    from ue_cli.protection.onefile import Shared, within_look
    from ue_cli.protection.pattern import TexturePattern
    from ue_cli.textures.presets import texture_recipe

    if images.dtype != torch.uint8 or images.ndim != 4 or images.shape[1] != 3:
        raise UeError(
            "images-shape",
            "images should be a uint8 tensor of shape (n, 3, h, w), but is "
            f"{images.dtype} of shape {tuple(images.shape)}.",
            "Scale to whole levels from 0 to 255, channels first.",
        )
    names = [str(label) for label in (labels.tolist() if torch.is_tensor(labels) else labels)]
    every = sorted(set(names) if classes is None else {str(name) for name in classes})
    if len(names) != len(images):
        raise UeError(
            "labels-count",
            f"There should be a label per image, but {len(images)} images have {len(names)}.",
        )
    if strangers := set(names) - set(every):
        raise UeError(
            "labels-classes",
            f"classes should name all classes, but lacks {', '.join(sorted(strangers))}.",
        )
    if key is not None and len(key) != KEY_BYTES:
        raise UeError(
            "key-length",
            f"key should have {KEY_BYTES} bytes, but has {len(key)}.",
            f"Make it once with secrets.token_bytes({KEY_BYTES}), and keep it secret.",
        )
    owner = load_or_create_key(home_folder(_path(home))) if key is None else OwnerKey(key)
    appearance, secret = Look.parse(look), texture_secret(owner, collection)
    recipe = texture_recipe(appearance, min(images.shape[2:]))
    codes, _ = make_codes(every, secret, recipe, "csd", {}, Silent())
    shared = Shared(
        out=Path(),
        subkey=secret,
        pattern=TexturePattern(codes, recipe.bandwidth, secret),
        budget=Budget.parse(str(epsilon)),
        look=appearance,
        format="keep",
        policy=MetadataPolicy(),
        max_pixels=MAX_PIXELS,
        protected=np.empty(0, "S32"),
    )
    perturbed = images.permute(0, 2, 3, 1).cpu().numpy().copy()
    for index, label in enumerate(names):
        picture = Decoded(perturbed[index], None, "PNG", 1, True, Info())
        try:
            perturbed[index] = within_look(b"", picture, label, b"", shared)[0].pixels
        except SkipFile as skip:
            raise UeError(skip.code, f"Image {index} cannot be protected: {skip.reason}") from None
    return torch.from_numpy(perturbed).permute(0, 3, 1, 2).contiguous().to(images.device)


def _path(place: Place | None) -> Path | None:
    return None if place is None else Path(place)
