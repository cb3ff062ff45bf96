"""Write hints, batch sizes and counters."""

from __future__ import annotations

import warnings

import numpy as np
import pytest

from colonnade.store.counters import FilePages
from colonnade.store.database import Store

NUMBERS = "WITH RECURSIVE n(value) AS (SELECT 1 UNION ALL SELECT value + 1 FROM n LIMIT {})"


@pytest.fixture
def lineitem(store: Store) -> Store:
    store.db.execute(
        """CREATE TABLE lineitem(l_orderkey INTEGER NOT NULL, l_partkey INTEGER, l_suppkey INTEGER,
        l_linenumber INTEGER, l_quantity DECIMAL(15,2), l_extendedprice DECIMAL(15,2), l_discount DECIMAL(15,2),
        l_tax DECIMAL(15,2), l_returnflag CHAR(1), l_linestatus CHAR(1), l_shipdate DATE, l_commitdate DATE,
        l_receiptdate DATE, l_shipinstruct CHAR(25), l_shipmode CHAR(10), l_comment VARCHAR(44))"""
    )
    return store


def test_a_lineitem_row_group_has_50k_to_128k_rows(lineitem: Store) -> None:
    hints = lineitem.hints("lineitem")
    assert 50_000 <= hints.recommended_rows.value <= 131_072
    assert hints.bytes_per_row.source == "declared types"
    assert lineitem.batch_rows("lineitem") == hints.recommended_rows.value


def test_figures_come_from_row_groups_once_there_are_some(lineitem: Store) -> None:
    lineitem.db.execute(
        NUMBERS.format(2001)
        + "INSERT INTO lineitem(l_orderkey, l_comment) SELECT value, printf('%500d', value) FROM n"
    )
    lineitem.convert("lineitem").freeze()
    hints = lineitem.hints("lineitem")
    assert hints.bytes_per_row.source == "2000 rows in row groups"
    assert 500 <= hints.bytes_per_row.value <= 700
    assert 0 < hints.stored_bytes_per_row.value < 500
    assert hints.recommended_rows.value == hints.target_bytes.value // hints.bytes_per_row.value


def test_a_batch_size_is_used_and_one_above_the_maximum_is_clamped_with_one_warning(lineitem: Store) -> None:
    lineitem.batch_size = 1000
    assert lineitem.batch_rows("lineitem") == 1000
    lineitem.batch_size = 5_000_000
    maximum = lineitem.hints("lineitem").maximum_rows.value
    with pytest.warns(
        RuntimeWarning, match=f"batch_size 5000000 is above the maximum of {maximum}; using {maximum}"
    ):
        assert lineitem.batch_rows("lineitem") == maximum
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert lineitem.batch_rows("lineitem") == maximum
    lineitem.batch_size = 0
    assert lineitem.batch_rows("lineitem") == lineitem.hints("lineitem").recommended_rows.value


def test_rows_of_long_values_make_short_row_groups_and_narrow_rows_do_not_make_endless_ones(
    store: Store,
) -> None:
    store.db.execute("CREATE TABLE narrow(a INT); CREATE TABLE wide(a BLOB)")
    assert store.hints("narrow").recommended_rows.value == 131_072
    store.db.execute(NUMBERS.format(4) + "INSERT INTO wide SELECT zeroblob(1000000) FROM n")
    store.convert("wide").freeze()
    assert store.hints("wide").maximum_rows.value == 67


def test_counters_tell_what_a_phase_wrote_and_freed(store: Store) -> None:
    store.db.execute("CREATE TABLE t(a, b);" + NUMBERS.format(101) + "INSERT INTO t SELECT value, 'x' FROM n")
    table = store.convert("t")
    start = store.pager.counters.snapshot()
    table.freeze()
    frozen = store.pager.counters.snapshot()
    written = (frozen - start).tables["main.t"]
    assert (written.chunks_put, written.chunks_overwritten, written.groups_put) == (3, 0, 1)
    assert written.bytes_put == table.groups()[0].bytes == (frozen - start).total.bytes_put
    assert (frozen - start).pages.cache_hits > 0
    table.delete(np.arange(1, 101))
    freed = (store.pager.counters.snapshot() - frozen).total
    assert (freed.chunks_freed, freed.bytes_freed, freed.groups_freed) == (3, written.bytes_put, 1)


def test_dead_bytes_and_write_amplification(store: Store) -> None:
    store.db.execute("CREATE TABLE t(a);" + NUMBERS.format(101) + "INSERT INTO t SELECT value FROM n")
    table = store.convert("t")
    table.freeze()
    table.delete(np.arange(1, 51))
    usage = table.usage()
    assert usage.stored_bytes == table.groups()[0].bytes
    assert usage.dead_bytes == usage.stored_bytes // 2
    assert usage.write_amplification(table.counters) == pytest.approx(2.0)
    assert FilePages.read(store.db).page_count > 0
