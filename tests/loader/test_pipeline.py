"""Work in threads: results in order, and no more under way than memory is meant for."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest

from colonnade.loader.pipeline import in_order


def started_before_first(shares: list[float], ahead: int) -> int:
    """How many items are asked for before the first result is given."""
    asked = 0

    def items() -> Iterator[float]:
        nonlocal asked
        for share in shares:
            asked += 1
            yield share

    with ThreadPoolExecutor(2) as pool:
        results = in_order(pool, lambda share: share, items(), ahead, share=lambda share: share)
        first = next(results)
        count = asked
        assert [first, *results] == shares
    return count


def test_so_many_items_are_started_as_their_shares_leave_room_for() -> None:
    assert started_before_first([1.0] * 10, 2) == 3
    assert started_before_first([0.5] * 10, 2) == 6
    assert started_before_first([1.0, 0.25, 0.25, 0.25, 0.25, 1.0, 1.0], 2) == 6
    assert started_before_first([0.1] * 4, 2) == 4


def test_an_error_comes_where_its_result_would_have_and_what_gives_the_items_is_closed() -> None:
    closed = []

    def items() -> Iterator[int]:
        try:
            yield from (3, 2, 0, 1, 5, 6)
        finally:
            closed.append(True)

    with ThreadPoolExecutor(2) as pool:
        results = in_order(pool, lambda item: 6 // item, items(), 2)
        assert [next(results), next(results)] == [2, 3]
        with pytest.raises(ZeroDivisionError):
            next(results)
    assert closed == [True]
