"""What decides whether two answers are the same sees each kind of difference."""

from __future__ import annotations

import pytest

from tests.differential.likeness import EXACT, SUMMED, as_bags, in_order, in_ranks, ranks, same_value


@pytest.mark.parametrize(
    ("theirs", "ours"),
    [
        *(
            (1, 1.0),
            (1.0, 1),
            (0.0, -0.0),
            (1, True),
            (1, "1"),
            ("a", b"a"),
            (None, 0),
            (None, ""),
            ("a", "A"),
        ),
        *((0.1 + 0.2, 0.3), (2**53 + 1, 2**53), (1e308, float("inf")), (float("inf"), float("-inf"))),
    ],
)
def test_values_that_differ_differ(theirs: object, ours: object) -> None:
    assert not same_value(theirs, ours)
    assert same_value(theirs, theirs)
    assert same_value(ours, ours)


def test_only_floats_and_only_the_last_digits_have_leeway() -> None:
    assert same_value(0.1 + 0.2, 0.3, SUMMED)
    assert not same_value(0.1 + 0.2, 0.3, EXACT)
    assert not same_value(1.0, 1.0 + 1e-8, SUMMED)
    assert not same_value(1, 1.0, SUMMED)
    assert not same_value(10**12, 10**12 + 1, SUMMED)
    assert not same_value("0.1", "0.10", SUMMED)
    assert not same_value(float("inf"), 1e308, SUMMED)


def test_rows_in_order_are_told_from_rows_in_another() -> None:
    assert in_order([(1,), (2,)], [(1,), (2,)])
    assert not in_order([(1,), (2,)], [(2,), (1,)])
    assert not in_order([(1,)], [(1,), (2,)])
    assert not in_order([(1, 2)], [(1,)])


def test_bags_count_their_rows() -> None:
    assert as_bags([(1,), (2,), (1,)], [(1,), (1,), (2,)])
    assert not as_bags([(1,), (2,), (1,)], [(1,), (2,), (2,)])
    assert not as_bags([(1,), (1,)], [(1,)])
    assert not as_bags([(1, "a")], [(1.0, "a")])
    assert as_bags([(0.1 + 0.2, "a"), (5.0, "b")], [(5.0, "b"), (0.3, "a")], [SUMMED])
    assert not as_bags([(0.1 + 0.2, "a")], [(0.3, "a")])
    assert not as_bags([(0.3, "a"), (0.5, "b")], [(0.3, "b"), (0.5, "a")], [SUMMED])


def test_rows_of_one_rank_may_be_in_any_order_but_not_of_two() -> None:
    ranked = [(1, ("a", 1)), (1, ("b", 1)), (2, ("c", 2))]
    assert in_ranks(ranked, [("b", 1), ("a", 1), ("c", 2)])
    assert not in_ranks(ranked, [("b", 1), ("c", 2), ("a", 1)])
    assert not in_ranks(ranked, [("a", 1), ("a", 1), ("c", 2)])
    assert not in_ranks(ranked, [("a", 1), ("b", 1), ("c", 2), ("c", 2)])


def test_a_limit_may_take_any_rows_of_the_rank_that_it_cuts() -> None:
    ranked = [(1, ("a",)), (2, ("b",)), (2, ("c",)), (3, ("d",))]
    assert in_ranks(ranked, [("a",), ("c",)])
    assert in_ranks(ranked, [("c",), ("d",)], offset=2)
    assert not in_ranks(ranked, [("a",), ("d",)])
    assert not in_ranks(ranked, [("a",), ("c",)], offset=1)


def test_ranks_are_runs_of_equal_keys() -> None:
    assert [rank for rank, _ in ranks([(1, 2), (1, 3), (2, 3), (1, 3)], lambda a, b: a[0] == b[0])] == [
        0,
        0,
        1,
        2,
    ]
