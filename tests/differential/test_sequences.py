"""Random statements on random tables: Colonnade in column format gives what plain SQLite gives, each time.

A failing seed is reduced and shown; `python -m tests.differential.run --seed N --count 1` does it again.
"""

from __future__ import annotations

import pytest

from tests.differential.compare import compare, shown
from tests.differential.counts import Counts
from tests.differential.sequences import sequence
from tests.differential.shrink import show, shrink

_BATCH = 60
_FEW = range(5)  # batches of `make test`
_MANY = range(5, 340)  # with those above more than 20,000 sequences

# What must have gone well in any batch, and for tables that have row groups.
_ESSENTIAL = (
    "insert",
    "executemany",
    "update",
    "delete",
    "upsert",
    "insert select",
    "join",
    "look-up",
    "filter",
)


def _run(batch: int) -> Counts:
    counts = Counts()
    for seed in range(batch * _BATCH, (batch + 1) * _BATCH):
        made = sequence(seed)
        found = compare(made, counts)
        if found is not None:
            pytest.fail(show(*shrink(made, found, 30)), pytrace=False)
    return counts


def _assert_not_hollow(counts: Counts) -> None:
    report = counts.report()
    assert counts.sequences == _BATCH
    for kind in _ESSENTIAL:
        assert counts.total(kind, "went well"), f"no {kind} went well\n{report}"
    assert any(counts.total(kind, "went well", "column") >= 3 for kind in _ESSENTIAL), report
    writes = (
        "insert",
        "executemany",
        "update",
        "delete",
        "upsert",
        "insert or",
        "update or",
        "insert select",
    )
    reads = ("join", "look-up", "filter", "order by", "aggregate", "group by", "scan", "window")
    for kinds in (writes, reads):
        on_columns = sum(counts.total(kind, "went well", "column") for kind in kinds)
        everywhere = sum(counts.total(kind, "went well") for kind in kinds)
        assert on_columns > everywhere * 0.1, report
    assert counts.total(ending="went well") > counts.total(ending="failed") > 0, report


@pytest.mark.parametrize("batch", _FEW)
def test_each_statement_gives_what_sqlite_gives(batch: int) -> None:
    _assert_not_hollow(_run(batch))


@pytest.mark.slow
@pytest.mark.parametrize("batch", _MANY)
def test_each_statement_of_20000_sequences_gives_what_sqlite_gives(batch: int) -> None:
    _assert_not_hollow(_run(batch))


def test_a_seed_makes_the_same_sequence_each_time() -> None:
    assert sequence(7) == sequence(7) != sequence(8)


def test_types_and_depth_of_values_are_told_apart() -> None:
    assert len({shown([(1, 2)]), shown([(1,), (2,)]), shown([(1.0, 2)]), shown([]), shown(None)}) == 5
    assert shown([0.0]) != shown([-0.0])
