"""Keys are found in the row groups exactly where SQLite would find them equal."""

from __future__ import annotations

import apsw
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from colonnade.store.database import Store
from colonnade.store.keycode import KeySpec
from colonnade.store.keyfind import WantedKeys
from colonnade.store.values import SQLiteValue, from_python

NUMBERS = st.integers(-5, 5) | st.sampled_from([-(2**63), 2**63 - 1, 2**53 + 1])
VALUES = (
    st.none() | NUMBERS | st.sampled_from([1.0, 2.5, "a", "A", "a ", "b\0c", b"a", "1", 1e300, float("inf")])
)


def make(rows: list[tuple[SQLiteValue, ...]], group_rows: int) -> Store:
    db = apsw.Connection(":memory:")
    store = Store(db, memory_limit=1 << 20)
    db.execute("CREATE TABLE t(a, b)")
    db.executemany("INSERT INTO t VALUES(?, ?)", rows)
    store.batch_size = group_rows
    store.convert("t").freeze(keep_last=False)
    return store


@pytest.mark.parametrize("values", [NUMBERS, VALUES])
@pytest.mark.parametrize("collation", ["BINARY", "NOCASE", "RTRIM"])
@settings(max_examples=25, deadline=None)
@given(data=st.data())
def test_keys_are_found_where_sqlite_finds_them(
    values: st.SearchStrategy[SQLiteValue], collation: str, data: st.DataObject
) -> None:
    rows = data.draw(st.lists(st.tuples(values, values), min_size=1, max_size=30))
    wanted = data.draw(st.lists(st.tuples(values, values), max_size=5))
    parts = data.draw(st.integers(1, 2))
    store = make(rows, data.draw(st.sampled_from([4, 100])))
    table = store.table("t")
    assert table is not None
    dead = data.draw(st.sets(st.integers(1, len(rows)), max_size=3))
    for rowid in dead:
        table.delete(np.array([rowid]))
    columns = [from_python([row[part] for row in wanted]) for part in range(parts)]
    spec = KeySpec((1, 2)[:parts], (collation,) * parts)
    found = table.find_keys(spec, WantedKeys(columns, spec.collations)).tolist()
    where = " AND ".join(f"{'ab'[part]} COLLATE {collation} = ?" for part in range(parts))
    expected = {
        row[0]
        for key in wanted
        for row in store.db.execute(f"SELECT rowid FROM t WHERE {where}", key[:parts])
    }
    assert found == sorted(expected)
    again = table.find_keys(spec, WantedKeys(columns, spec.collations)).tolist()  # from the cache
    assert again == found
