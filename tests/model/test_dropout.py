"""Dropout: the share of units, and the same mask for a part of a batch as for the whole."""

from __future__ import annotations

import pytest
import torch

from robojam.model.dropout import Dropout

ONES = torch.ones(7, 211, 101)


@pytest.mark.parametrize("share", [0.001, 0.1, 0.5, 0.9])
def test_dropout_zeroes_its_share_and_scales_up_the_rest(share: float) -> None:
    torch.manual_seed(3)
    passed = Dropout(share)(ONES)
    assert passed.unique().tolist() == pytest.approx([0.0, 1 / (1 - share)])
    deviation = (share * (1 - share) / ONES.numel()) ** 0.5
    assert float((passed == 0).double().mean()) == pytest.approx(share, abs=5 * deviation)


def test_dropout_masks_are_independent_between_units_and_calls() -> None:
    torch.manual_seed(3)
    layer = Dropout(0.5)
    first, second = (layer(ONES).flatten() > 0 for _ in range(2))
    for lag in (1, 2, 3, 4, 101):
        same = (first[lag:] == first[:-lag]).double().mean()
        assert float(same) == pytest.approx(0.5, abs=0.01)
    assert float((first == second).double().mean()) == pytest.approx(0.5, abs=0.01)


def test_dropout_of_some_rows_is_that_of_the_whole_batch() -> None:
    parts = []
    for rows in (slice(None), slice(0, None, 2), slice(1, None, 2)):
        layer = Dropout(0.3)
        layer.batch, layer.rows = len(ONES), rows
        torch.manual_seed(3)
        parts.append(layer(ONES[rows]))
    whole, even, odd = parts
    assert torch.equal(whole[::2], even)
    assert torch.equal(whole[1::2], odd)


def test_dropout_in_evaluation_passes_all_and_draws_no_random_numbers() -> None:
    torch.manual_seed(3)
    before = torch.get_rng_state()
    for layer in (Dropout(0.4).eval(), Dropout(0.0)):
        assert layer(ONES) is ONES
    assert torch.equal(torch.get_rng_state(), before)


def test_dropout_keeps_dtype_and_gradient() -> None:
    values = torch.ones(2, 3, 5, dtype=torch.bfloat16, requires_grad=True)
    passed = Dropout(0.5)(values)
    passed.sum().backward()
    assert passed.dtype == torch.bfloat16
    assert values.grad is not None
    assert torch.equal(values.grad, passed.detach())


@pytest.mark.parametrize("share", [-0.1, 1.0, float("nan")])
def test_dropout_share_outside_its_range_is_refused(share: float) -> None:
    with pytest.raises(ValueError, match="from 0 to below 1"):
        Dropout(share)
