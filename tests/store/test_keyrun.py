"""Key runs: integer keys of a row group, found without decoding the others; and look-ups of batches through them."""

from __future__ import annotations

import random
from typing import Any

import apsw
import numpy as np
import pytest

from colonnade.store.check import check_table
from colonnade.store.database import Store
from colonnade.store.errors import Corrupt
from colonnade.store.keycode import KeySpec
from colonnade.store.keyprobe import Effort, KeyBatch, held_by_groups
from colonnade.store.keyrun import KeyRun, make_run
from colonnade.store.values import from_python

Keys = list[tuple[int, ...]]


def some_keys(kind: str, choose: random.Random) -> Keys:
    count = choose.randint(1024, 3000)
    if kind == "sparse":
        return [(n // 8 * 32 + n % 8,) for n in range(count)]
    if kind == "anywhere":
        return [(choose.randint(-(2**62), 2**62 - 1),) for _ in range(count)]
    if kind == "repeated":
        return [(n // 3 * 5,) for n in range(count)]
    if kind == "pairs":
        return [(n // 4, (n * 2503) % 10_000) for n in range(count)]
    return [(choose.randint(-5, 5), choose.randint(0, 1000), choose.randint(-9, 9)) for _ in range(count)]


def parts_of(keys: Keys) -> list[Any]:
    return [np.array(part, np.int64) for part in zip(*keys, strict=True)]


@pytest.mark.parametrize("shuffled", [False, True])
@pytest.mark.parametrize("kind", ["sparse", "anywhere", "repeated", "pairs", "triples"])
def test_a_run_holds_its_keys_and_no_others(kind: str, shuffled: bool) -> None:
    choose = random.Random(kind)
    keys = some_keys(kind, choose)
    if shuffled:
        choose.shuffle(keys)
    stored = make_run(parts_of(keys))
    assert stored is not None
    run = KeyRun(stored)
    near = [tuple(part + choose.randint(-1, 1) for part in key) for key in keys]
    far = [tuple(choose.randint(-(2**63), 2**63 - 1) for _ in key) for key in keys[:50]]
    wanted = [*keys, *near, *far, tuple([-(2**63)] * len(keys[0])), tuple([2**63 - 1] * len(keys[0]))]
    choose.shuffle(wanted)
    held = set(keys)
    assert run.holds(parts_of(wanted)).tolist() == [key in held for key in wanted]


def test_keys_without_a_gap_few_keys_and_keys_too_wide_have_no_run() -> None:
    assert make_run([np.arange(5000) + 7]) is None
    assert make_run([np.arange(0, 200, 2)]) is None
    wide = np.array([-(2**62), 2**62] * 1000)
    assert make_run([wide, wide]) is None


def test_any_damage_to_a_run_is_found() -> None:
    stored = make_run([np.arange(0, 6000, 3)])
    assert stored is not None
    for at in (0, 5, 9, 13, 20, 40, len(stored) - 1):
        damaged = bytearray(stored)
        damaged[at] ^= 4
        with pytest.raises(Corrupt):
            KeyRun(bytes(damaged))
    for size in (0, 10, len(stored) - 1):
        with pytest.raises(Corrupt):
            KeyRun(stored[:size])


@pytest.fixture
def table() -> Any:
    """5,000 rows in two row groups: pairs, a text that repeats them, and every seventh row deleted."""
    db = apsw.Connection(":memory:")
    store = Store(db, memory_limit=64 << 20)
    db.execute("CREATE TABLE t(a INTEGER, b INTEGER, c TEXT COLLATE NOCASE, UNIQUE(a, b), UNIQUE(c))")
    rows = [(n // 4 * 3, 10_000 - n, f"Key {n}" if n % 10 else None) for n in range(5000)]
    db.executemany("INSERT INTO t VALUES (?, ?, ?)", rows)
    store.batch_size = 2500
    table = store.convert("t")
    table.freeze()
    table.delete(np.arange(1, 5001, 7))
    yield table
    store.close()
    db.close()


def look_up(table: Any, spec: KeySpec, keys: list[tuple[Any, ...]], effort: Effort) -> list[bool]:
    columns = [from_python(part) for part in zip(*keys, strict=True)]
    held: list[bool] = held_by_groups(table, spec, KeyBatch(columns, spec.collations), effort).tolist()
    return held


def test_a_batch_finds_the_live_rows_through_runs_and_by_decoding(table: Any) -> None:
    pairs, texts = sorted(table.key_specs(), key=lambda spec: -len(spec.column_ids))
    assert all(table.key_run(pairs.signature, group.group_id) for group in table.groups())
    assert not any(table.key_run(texts.signature, group.group_id) for group in table.groups())
    live = {(n // 4 * 3, 10_000 - n): f"kEY {n}" if n % 10 else None for n in range(4999) if n % 7}
    wanted = [(n // 4 * 3 + n % 2 * (n % 3), 10_000 - n) for n in range(5000)]
    effort = Effort()
    assert look_up(table, pairs, wanted, effort) == [key in live for key in wanted]
    names = [(f"KEY {n}",) for n in range(5200)]
    known = {text.upper() for text in live.values() if text}
    assert look_up(table, texts, names, effort) == [name in known for (name,) in names]
    mixed = [(0, 10_000.0), (0, 9_999.0), (0.5, 9_999), (b"", 1)]
    assert look_up(table, pairs, mixed, effort) == [False, True, False, False]


def test_rows_that_are_gone_from_a_row_group_without_gaps_are_not_found(table: Any) -> None:
    store = table.store
    store.db.execute("CREATE TABLE full(id INTEGER PRIMARY KEY)")
    store.db.executemany("INSERT INTO full VALUES (?)", [(n,) for n in range(1, 5001)])
    full = store.convert("full")
    full.freeze()
    full.delete(np.arange(3, 5000, 1000))
    effort = Effort()
    wanted = list(range(5003))
    held = look_up(full, full.key_specs()[0], [(n,) for n in wanted], effort)
    assert held == [1 <= n < 5000 and n % 1000 != 3 for n in wanted]
    assert effort.rows_read == 5  # the dead ones


def test_few_keys_cost_few_comparisons(table: Any) -> None:
    pairs = max(table.key_specs(), key=lambda spec: len(spec.column_ids))
    effort = Effort()
    absent = [(n // 4 * 3 + 1, 10_000 - n) for n in range(0, 5000, 500)]
    assert not any(look_up(table, pairs, absent, effort))
    assert 0 < effort.rows_read <= 8 * len(absent)


def test_the_check_of_a_table_finds_a_run_of_other_keys(table: Any) -> None:
    assert list(check_table(table)) == []
    db, names = table.store.db, table.names
    db.execute(f"UPDATE {names.keys} SET run=? WHERE run IS NOT NULL", (make_run([np.arange(0, 9000, 2)]),))
    table.changed()
    assert any("key run" in str(finding) for finding in check_table(table))


def test_neighbouring_keys_ask_no_more_row_groups_however_many_there_are() -> None:
    asked = []
    for group_count in (4, 32):
        db = apsw.Connection(":memory:")
        store = Store(db, memory_limit=64 << 20)
        db.execute("CREATE TABLE t(a INTEGER, b INTEGER, UNIQUE(a, b))")
        rows = [(n // 5 * 7, n % 5) for n in range(1024 * group_count)]
        db.executemany("INSERT INTO t VALUES (?, ?)", rows)
        store.batch_size = 1024
        table = store.convert("t")
        table.freeze()
        effort = Effort()
        [spec] = table.key_specs()
        wanted = rows[2000:2500]
        assert look_up(table, spec, wanted, effort) == [True] * len(wanted)
        assert effort.groups_proven == len(table.groups()) - effort.groups_read
        asked.append((effort.groups_read, effort.rows_read))
        store.close()
        db.close()
    assert asked[0] == asked[1]
    assert asked[0][0] == 2
