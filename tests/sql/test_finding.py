"""UPDATE and DELETE whose rows a vectorised query finds: the same results as sqlite3's, with it and without."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest

import colonnade
from colonnade.finding import Finding
from colonnade.sql.select import Answer, NotVectorizable, Vector
from colonnade.store.columnscan import ColumnScan
from tests.sql.test_sets import ROWS, Pair


class Found(Pair):
    """A Pair that tells how rows were looked for.

    found  for each time whether a vectorised query found them
    """

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        super().__init__(monkeypatch)
        self.found: list[bool] = []
        find = Finding.find

        def noted(finding: Finding, text: str, params: Any, use: Callable[[Answer], None]) -> bool:
            done = find(finding, text, params, use)
            self.found.append(done)
            return done

        monkeypatch.setattr(Finding, "find", noted)


@pytest.fixture
def pair(monkeypatch: pytest.MonkeyPatch) -> Iterator[Found]:
    made = Found(monkeypatch)
    yield made
    assert made.ours.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
    made.theirs.close()
    made.ours.close()


FOUND = [
    ("DELETE FROM t WHERE e IN (SELECT max(k) FROM s GROUP BY v, k % 9 HAVING max(k) % 3 = 0)", ()),
    ("DELETE FROM t AS q WHERE EXISTS (SELECT 1 FROM s WHERE s.k = q.e AND s.v < ?)", (4,)),
    ("DELETE FROM t WHERE NOT EXISTS (SELECT 1 FROM s WHERE k = e AND v = :v)", {"v": 3}),
    ("DELETE FROM t WHERE d < 50 AND d > (SELECT avg(d) / 30 FROM t AS o WHERE o.b = t.b)", ()),
    ("WITH few AS (SELECT k FROM s WHERE v = 2) DELETE FROM t WHERE e IN (SELECT k FROM few)", ()),
    ("DELETE FROM s WHERE n LIKE '%7%' OR v = 3", ()),
    ("DELETE FROM t WHERE d < 0", ()),
    ("UPDATE t SET b = b * 2, c = c || ? WHERE e IN (SELECT k FROM s WHERE v < ?)", ("!", 4)),
    ("UPDATE t SET d = d / 3, b = CAST(d AS INTEGER) WHERE b <> :b", {"b": 2}),
    ("UPDATE t SET c = upper(c), d = CASE WHEN b > 3 THEN NULL ELSE 7 END WHERE d IS NOT NULL", ()),
    ("UPDATE t AS q SET b = '0018' WHERE EXISTS (SELECT 1 FROM s WHERE s.k = q.e AND s.v = 1)", ()),
    ("UPDATE s SET v = n, n = NULL WHERE k > (SELECT avg(k) FROM s)", ()),
    ("UPDATE t SET c = 'one' WHERE d = 700.5", ()),
    ("UPDATE t SET c = 'none' WHERE d < 0", ()),
    ("UPDATE t SET b = b + 1 WHERE d BETWEEN 20 AND 60 AND c LIKE 'x%'", ()),
    ("UPDATE t SET b = b + 1", ()),
    ("UPDATE t SET b = b = 3, d = -b", ()),
    ("UPDATE t SET e = -e WHERE b = 4", ()),  # a key: SQLite writes the rows, once they are thawed
    ("UPDATE t SET a = a + 10000 WHERE d > 900", ()),
    ("UPDATE t SET b = v FROM s WHERE s.k = t.e AND s.n > 'x5'", ()),
    ("DELETE FROM t WHERE b = 4 AND d < 800 RETURNING a", ()),
    ("UPDATE t SET b = 1 WHERE c > 'x1' AND b = 2 RETURNING a, b", ()),
]


@pytest.mark.parametrize(("sql", "parameters"), FOUND)
def test_what_vectors_find_is_what_sqlite3_finds(pair: Found, sql: str, parameters: Any) -> None:
    pair.same(sql, parameters)
    assert pair.found[:1] == [True]
    pair.same("UPDATE t SET c = c || a")  # on what the first left
    pair.same(sql, parameters)
    pair.both(lambda connection: connection.rollback())
    pair.ours.execute("PRAGMA vectorized = off")
    count = len(pair.found)
    pair.same(sql, parameters)
    assert not any(pair.found[count:])


LEFT = [
    ("DELETE FROM t WHERE b = 3 AND abs(random()) >= 0", ()),
    ("UPDATE t SET d = abs(random()) < 0 WHERE b = 3 AND abs(random()) >= 0", ()),
    ("WITH few AS (SELECT k FROM s WHERE v = 2) DELETE FROM t WHERE e IN few", ()),
    ("DELETE FROM t WHERE e = ?", (9,)),
    ("UPDATE t SET b = 3 WHERE e = ?", (9,)),
    ("UPDATE t SET c = CASE WHEN a > 2500 THEN 1 ELSE 'x' END", ()),  # values of several classes
    ("DELETE FROM t WHERE a IN (WITH RECURSIVE n(i) AS (VALUES(3) UNION ALL SELECT i + 5 FROM n WHERE i < 900) "
     "SELECT i FROM n)", ()),
    ("DELETE FROM t WHERE sum(b) > 3", ()),
    ("DELETE FROM t WHERE nothing > ''", ()),
    ("DELETE FROM t WHERE d > ? AND c > ?", (1,)),
]  # fmt: skip


@pytest.mark.parametrize(("sql", "parameters"), LEFT)
def test_what_vectors_do_not_find_is_left_to_sqlite(pair: Found, sql: str, parameters: Any) -> None:
    if len(parameters) == sql.count("?"):
        pair.same(sql, parameters)
    else:
        with pytest.raises(colonnade.ProgrammingError):
            pair.ours.execute(sql, parameters)
    assert not any(pair.found)
    pair.same("DELETE FROM t WHERE d > 100")
    assert pair.found[-1]


def test_a_batch_that_is_not_for_vectors_undoes_those_before(
    pair: Found, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Row groups were written anew by then."""
    from colonnade.sql.select import vector as vectors

    seen: list[int] = []
    convert = vectors.to_column

    def some(vector: Vector) -> Any:
        seen.append(len(vector))
        if len(seen) > 2:
            raise NotVectorizable("as the test has it")
        return convert(vector)

    monkeypatch.setattr(vectors, "to_column", some)
    monkeypatch.setattr("colonnade.sql.select.reading._WORTH_ROWS", 500)
    before = pair.counters.chunks_put
    pair.same("UPDATE t SET b = b + 1 WHERE d > 0")
    assert (len(seen), pair.found) == (3, [False])
    assert pair.counters.chunks_put > before + 30
    stats = pair.ours.execute("PRAGMA vectorized_stats").fetchall()
    assert ("fallen back", "as the test has it", 1) in stats


@pytest.mark.storage_format("auto", "row", reason="counts thawed rows, which would freeze again")
def test_few_rows_are_thawed_and_many_are_not(pair: Found) -> None:
    pair.same("UPDATE t SET c = 'few' WHERE b = 3 AND d < 100")
    assert pair.found == [True]
    assert pair.set_wise == [29]
    assert pair.row_part() == 30  # with the one with the largest rowid
    pair.same("UPDATE t SET c = 'many' WHERE b = 3")
    assert pair.found == [True, True]
    assert pair.row_part() == 30


def test_a_broken_constraint_changes_nothing(pair: Found) -> None:
    pair.same("UPDATE t SET d = 1e7 WHERE b = 3 AND e > 2000")
    pair.same("UPDATE t SET b = nullif(b, 6) WHERE d > 20")
    pair.same("UPDATE s SET k = n WHERE v = 3")
    assert pair.groups() == 30


def test_explain_query_plan_says_so(pair: Found) -> None:
    def said(sql: str) -> list[str]:
        return [row[3] for row in pair.ours.execute(f"EXPLAIN QUERY PLAN {sql}")][:2]

    assert said("DELETE FROM t WHERE d > 5") == ["VECTORISED", "THAW ROWS OF t"]
    assert said("UPDATE t SET b = 4 WHERE d > 5")[0] == "VECTORISED"
    assert said("UPDATE t SET e = 4 WHERE d > 5")[0] == "VECTORISED"
    assert said("DELETE FROM t WHERE random() > 5")[0].startswith("NOT VECTORISED: random")
    for look_up in ("DELETE FROM t", "DELETE FROM t WHERE a < 7", "DELETE FROM t WHERE e = 7"):
        assert said(look_up)[0] == "THAW ROWS OF t"
    assert pair.found == []


def test_an_interrupt_ends_the_transaction(pair: Found, monkeypatch: pytest.MonkeyPatch) -> None:
    pair.ours.commit()
    pair.same("UPDATE t SET c = 'before' WHERE a = 3")
    queries = pair.ours._session.columns.queries
    checkpoint = queries._checkpoint

    def interrupted() -> None:
        pair.ours.interrupt()
        checkpoint()

    for sql in (
        "DELETE FROM t WHERE d > 4",
        "UPDATE t SET b = 0 WHERE d > 4",
        "UPDATE t SET e = -e WHERE d > 4",
    ):
        pair.ours.execute("UPDATE t SET c = 'before' WHERE a = 4")
        monkeypatch.setattr(queries, "_checkpoint", interrupted)
        with pytest.raises(colonnade.OperationalError, match="interrupted"):
            pair.ours.execute(sql)
        monkeypatch.setattr(queries, "_checkpoint", checkpoint)
        assert not pair.ours.in_transaction
    assert pair.ours.execute("SELECT c FROM t WHERE a IN (3, 4)").fetchall() == [("x3",), ("x4",)]


def test_no_scan_is_left_open(pair: Found, monkeypatch: pytest.MonkeyPatch) -> None:
    scans: list[ColumnScan] = []
    start = ColumnScan.__init__

    def noted(scan: ColumnScan, *arguments: Any, **options: Any) -> None:
        scans.append(scan)
        start(scan, *arguments, **options)

    monkeypatch.setattr(ColumnScan, "__init__", noted)
    pair.ours.execute("UPDATE t SET b = 1 WHERE d > 4")
    pair.ours.execute("DELETE FROM t WHERE d > 4 AND c > ''")
    assert len(scans) >= 2
    assert not any(scan._open for scan in scans)
    assert pair.ours.execute("SELECT count(*) FROM t").fetchone() == (ROWS - (ROWS - 8),)
