"""Sums by group, and the order of codes, are those of the plain ways to find them."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from colonnade.sql.select.bins import Bins
from colonnade.sql.select.keys import stable_order
from colonnade.sql.select.order import sorted_places
from tests.select.test_found import assert_equal

RNG = np.random.default_rng(3)


@pytest.mark.parametrize("rows", [0, 1, 1023, 1024, 5000])
@pytest.mark.parametrize("count", [1, 2, 8, 9, 300])
def test_sums_by_group(rows: int, count: int) -> None:
    numbers = RNG.integers(0, count, rows)
    bins = Bins(numbers, count)
    assert bins.sizes.tolist() == [int((numbers == group).sum()) for group in range(count)]
    for weights in (RNG.random(rows), RNG.integers(-(2**40), 2**40, rows)):
        expected = [weights[numbers == group].sum() for group in range(count)]
        assert np.allclose(bins.sums(weights), expected, rtol=1e-12, atol=0)
    exact = RNG.integers(-(2**40), 2**40, rows)
    assert bins.sums(exact).astype(np.int64).tolist() == [
        int(exact[numbers == g].sum()) for g in range(count)
    ]


@pytest.mark.parametrize("count", [1, 3, 20])
@pytest.mark.parametrize("odd", [np.inf, -np.inf])
def test_a_weight_that_is_no_finite_number_shows(count: int, odd: float) -> None:
    weights = RNG.random(2000)
    weights[77] = odd
    with np.errstate(invalid="ignore"):
        assert not np.isfinite(Bins(RNG.integers(0, count, 2000), count).sums(weights)).all()


@pytest.mark.parametrize("width", [1, 5, 1 << 20, 1 << 60])
@pytest.mark.parametrize("rows", [0, 1, 1000])
def test_a_stable_order(width: int, rows: int) -> None:
    codes = RNG.integers(0, width, rows)
    assert stable_order(codes, width).tolist() == np.argsort(codes, kind="stable").tolist()


KEYS = st.one_of(
    st.lists(st.integers(-3, 3), min_size=8, max_size=8).map(lambda each: np.array(each, np.int64)),
    st.lists(st.sampled_from([2**63 - 1, -(2**63), 0]), min_size=8, max_size=8).map(
        lambda each: np.array(each, np.int64)
    ),
    st.lists(st.integers(0, 1), min_size=8, max_size=8).map(lambda each: np.array(each, np.int8)),
    st.lists(st.sampled_from([0.5, -1.0, np.inf]), min_size=8, max_size=8).map(lambda each: np.array(each)),
)


@settings(max_examples=200, deadline=None)
@given(st.lists(KEYS, min_size=1, max_size=4))
def test_rows_sorted_by_several_keys(keys: list[np.ndarray]) -> None:  # type: ignore[type-arg]
    assert sorted_places(keys).tolist() == np.lexsort(tuple(reversed(keys))).tolist()


def test_no_rows_are_in_order() -> None:
    assert sorted_places([np.zeros(0, np.int64), np.zeros(0)]).tolist() == []


@pytest.mark.parametrize("kind", ["LEFT", "FULL"])
def test_rows_without_a_partner_stand_where_they_were(kind: str) -> None:
    assert_equal(
        f"SELECT a, c, d FROM t {kind} JOIN u ON a = c AND d > 1",
        "CREATE TABLE t(a INTEGER PRIMARY KEY)",
        "CREATE TABLE u(c INTEGER, d INTEGER)",
        "INSERT INTO t VALUES(1), (2), (3), (4), (5), (6)",
        "INSERT INTO u VALUES(2, 1), (2, 2), (4, 3), (2, 4), (9, 9), (5, 0)",
    )
