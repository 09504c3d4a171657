"""Bounds hold as they are printed."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from ue_cli.types.wording import at_least, at_most, confidence_words


def test_bounds_are_rounded_to_the_safe_side() -> None:
    assert at_most(0.2141) == "21.5 %" and at_least(0.2149) == "21.4 %"
    assert at_most(0.412) == at_least(0.412) == "41.2 %"
    assert confidence_words(0.96875) == "96.87 %" and confidence_words(0.99) == "99 %"


@given(st.floats(0, 1))
def test_no_bound_is_printed_tighter_than_it_is(share: float) -> None:
    printed = float(at_least(share).removesuffix(" %")), float(at_most(share).removesuffix(" %"))
    assert printed[0] <= 100 * share + 1e-6
    assert printed[1] >= 100 * share - 1e-6
