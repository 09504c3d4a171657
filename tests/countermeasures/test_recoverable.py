"""Taking a planted pattern off again: averages, a linear fit, a public bank, dilution."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor
from torch.nn import functional

from tests.countermeasures.small import as_it_is, draw, photos
from ue_cli.countermeasures.averaging import Averaging
from ue_cli.countermeasures.dilution import Dilution
from ue_cli.countermeasures.projection import OrthogonalProjection, mean_image
from ue_cli.countermeasures.subtraction import SpanSubtraction, Subtraction
from ue_cli.training.hooks import NOTHING, Hooks, Knowledge
from ue_cli.training.publicbank import PublicBank

CLASSES = 3
CLEAN, LABELS = photos(300, CLASSES, seed=11)
CLEAN = (64 + CLEAN.float() / 2).to(torch.uint8)  # no pixel near the ends of the range


def planted(cells: int, variants: int = 1) -> tuple[Tensor, Tensor]:
    """Files that carry ±8 in squares of random signs, and the bank, (classes, variants, …)."""
    signs = torch.randint(2, (CLASSES * variants, 3, cells, cells), generator=draw(5))
    bank = functional.interpolate(16.0 * signs - 8, size=(16, 16)).view(-1, variants, 3, 16, 16)
    chosen = torch.arange(len(CLEAN)) // CLASSES % variants
    return (CLEAN + bank[LABELS, chosen]).to(torch.uint8), bank


def likeness(images: Tensor, bank: Tensor) -> float:
    """How much of each class's pattern its files carry on average: 0 none, 1 all of it."""
    patterns = bank[:, 0] - bank[:, 0].mean(dim=0)
    carried = images.float() - CLEAN.float()
    own = patterns[LABELS]
    return float((carried * own).sum() / (own * own).sum())


def test_averages_find_a_classwise_pattern_and_take_it_off() -> None:
    files, bank = planted(4)
    found = Averaging(levels=8).estimate(files, LABELS)
    expected = bank[:, 0] - bank[:, 0].mean(dim=0)
    both = torch.stack([found.flatten(), expected.flatten()])
    assert torch.corrcoef(both)[0, 1] > 0.8
    assert found.abs().max() <= 8
    assert likeness(files, bank) == pytest.approx(1, abs=0.01)
    assert likeness(Averaging(levels=8).prepare(files, LABELS, NOTHING, draw()), bank) < 0.3


def test_high_passed_averages_find_fine_patterns_and_no_coarse_ones() -> None:
    left = {}
    for cells in (1, 16):
        files, bank = planted(cells)
        out = Averaging(levels=8, share=1 / 8).prepare(files, LABELS, NOTHING, draw())
        left[cells] = likeness(out, bank)
    assert left[16] < 0.4 and left[1] > 0.9


def test_a_pattern_that_differs_from_image_to_image_has_no_average() -> None:
    signs = torch.randint(2, CLEAN.shape, generator=draw(5))
    files = (CLEAN + 16.0 * signs - 8).to(torch.uint8)
    found = Averaging(levels=8).estimate(files, LABELS)
    same = Averaging(levels=8).estimate(CLEAN, LABELS)
    assert (found - same).abs().mean() < 1


def test_a_class_without_files_has_no_pattern() -> None:
    found = Averaging(levels=8).estimate(CLEAN, 2 * LABELS)
    assert found.shape[0] == 2 * CLASSES - 1
    assert found[1].abs().max() == found[3].abs().max() == 0
    assert found[[0, 2, 4]].abs().amax((1, 2, 3)).min() > 0


def test_the_projection_takes_a_planted_linear_pattern_out() -> None:
    files, bank = planted(4)
    patterns = (bank[:, 0] - bank[:, 0].mean(dim=0)).flatten(1)

    def matched(images: Tensor) -> float:
        """Accuracy of the classifier that knows the patterns."""
        pixels = images.float() - mean_image(images)
        return float((pixels.flatten(1) @ patterns.T).argmax(1).eq(LABELS).float().mean())

    hooks = OrthogonalProjection(steps=100)
    out = hooks.prepare(files, LABELS, NOTHING, draw())
    assert matched(files) > 0.85
    assert matched(out) < 0.6
    # Few directions are gone; to the eye the files are the same.
    assert (out.float() - files.float()).abs().mean() < 8
    torch.testing.assert_close(mean_image(out), mean_image(files), atol=0.1, rtol=0)


def test_what_is_left_is_orthogonal_to_the_fitted_weights() -> None:
    files, _ = planted(4)
    hooks = OrthogonalProjection(steps=50)
    weights = hooks.fit(files, LABELS, draw())
    out = hooks.prepare(files, LABELS, NOTHING, draw()).float()
    centred = (out - mean_image(out)).flatten(1)
    before = (files.float() - mean_image(files)).flatten(1)
    assert (centred @ weights.T).norm() < 0.01 * (before @ weights.T).norm()


@pytest.mark.parametrize("variants", [1, 4])
def test_a_public_bank_is_subtracted_exactly_whichever_entry_it_was(variants: int) -> None:
    files, bank = planted(16, variants)
    out = Subtraction().prepare(files, LABELS, Knowledge(bank=as_it_is(bank, len(files))), draw())
    assert (out == CLEAN).all(dim=(1, 2, 3)).float().mean() > (0.95 if variants > 1 else 0.999)


@pytest.mark.parametrize("variants", [1, 4])
def test_the_span_of_a_public_bank_is_taken_out_without_labels(variants: int) -> None:
    files, bank = planted(16, variants)
    known = Knowledge(bank=as_it_is(bank, len(files)))
    out = SpanSubtraction().prepare(files, LABELS, known, draw()).float()
    scaled = SpanSubtraction().prepare(
        (CLEAN + 0.5 * (files.float() - CLEAN)).to(torch.uint8), LABELS, known, draw()
    )
    directions = bank.flatten(0, 1).flatten(1)
    left = (out - mean_image(out)).flatten(1) @ directions.T / directions.square().sum(dim=1)
    assert left.abs().max() < 0.01
    # At half the strength the same is left, but for the mean image and rounding.
    apart = (out - mean_image(out)) - (scaled.float() - mean_image(scaled))
    assert apart.abs().mean() < 1
    assert (out - CLEAN).abs().mean() < (files.float() - CLEAN).abs().mean()


@pytest.mark.parametrize("hooks", [Subtraction(), SpanSubtraction()], ids=["entry", "span"])
def test_subtraction_needs_a_bank_that_fits(hooks: Hooks) -> None:
    with pytest.raises(ValueError, match="needs a published perturbation"):
        hooks.prepare(CLEAN, LABELS, NOTHING, draw())
    for shape, count in (
        ((2, 1, 3, 16, 16), 300),
        ((3, 1, 3, 8, 8), 300),
        ((3, 1, 3, 16, 16), 299),
    ):
        known = Knowledge(bank=as_it_is(torch.zeros(shape), count))
        with pytest.raises(ValueError, match="does not fit 3 classes"):
            hooks.prepare(CLEAN, LABELS, known, draw())


def laid_out(count: int, variants: int) -> PublicBank:
    """Cells of 4×4 on files of three frames, the last of them gray."""
    cells = torch.randint(-8, 9, (2, CLASSES, variants, 3, 4, 4), generator=draw(9)).float()
    cells[1] = cells[1].mean(dim=2, keepdim=True)
    wide = torch.eye(4).repeat_interleave(4, dim=0)
    down, across = (
        torch.stack([wide.roll(by, dims=0) for by in moved]) for moved in ((0, 2, 5), (0, 1, 0))
    )
    return PublicBank(cells, torch.arange(count) % 3, torch.tensor([0, 0, 1]), down, across)


def test_laying_out_has_a_transpose_and_an_overlap() -> None:
    bank = laid_out(5, 1)
    cells, pixels = torch.randn(5, 2, 3, 4, 4), torch.randn(5, 2, 3, 16, 16)
    laid = bank.lay(cells, bank.frame)
    assert torch.allclose(laid[4, 1, 2], bank.down[1] @ cells[4, 1, 2] @ bank.across[1].T)
    assert torch.allclose(
        (laid * pixels).sum(), (cells * bank.gather(pixels, bank.frame)).sum(), rtol=1e-4
    )
    assert torch.allclose(
        bank.overlap(cells, bank.frame), bank.gather(laid, bank.frame), rtol=1e-4, atol=1e-4
    )


@pytest.mark.parametrize("variants", [1, 4])
def test_each_file_loses_what_lies_on_its_own_frame(variants: int) -> None:
    bank = laid_out(len(CLEAN), variants)
    which = torch.arange(len(CLEAN)) // 9 % variants
    delta = bank.lay(bank.cells[bank.gray[bank.frame], LABELS, which], bank.frame)
    files = (CLEAN + delta).round().to(torch.uint8)
    known = Knowledge(bank=bank)
    entry = Subtraction().prepare(files, LABELS, known, draw()).float()
    missed = (entry - CLEAN).abs().amax(dim=(1, 2, 3)) > 1
    assert missed.float().mean() <= (0.1 if variants > 1 else 0)
    left = SpanSubtraction().prepare(files, LABELS, known, draw()).float() - mean_image(files)
    for variant in range(variants):
        laid = bank.lay(bank.cells[bank.gray[bank.frame], LABELS, variant], bank.frame)
        assert (
            (left * laid).sum(dim=(1, 2, 3)) / laid.square().sum(dim=(1, 2, 3))
        ).abs().max() < 0.1


@pytest.mark.parametrize(("share", "count"), [(0.2, 60), (0.005, 2), (1.0, 300)])
def test_dilution_replaces_the_stated_share(share: float, count: int) -> None:
    files, _ = planted(4)
    known = Knowledge(clean=CLEAN)
    out = Dilution(share=share).prepare(files, LABELS, known, draw())
    clean = (out == CLEAN).all(dim=(1, 2, 3))
    protected = (out == files).all(dim=(1, 2, 3))
    assert int(clean.sum()) == count and torch.equal(clean, ~protected)
    other = Dilution(share=share).prepare(files, LABELS, known, draw(1))
    assert torch.equal(out, other) == (share == 1)


def test_dilution_needs_originals() -> None:
    with pytest.raises(ValueError, match="needs the originals"):
        Dilution(share=0.2).prepare(CLEAN, LABELS, NOTHING, draw())
