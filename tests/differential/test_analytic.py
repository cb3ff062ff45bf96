"""Random analytic queries give what SQLite gives, vectorised and not.

A failing query is reduced and shown; `python -m tests.differential.analytic --seed N --count 50` asks it again.
"""

from __future__ import annotations

from dataclasses import replace

import pytest

from tests.differential.analytic.counts import Counts
from tests.differential.analytic.queries import Ask, Query
from tests.differential.analytic.reduce import inlined, reduced, show
from tests.differential.analytic.trial import QUERIES, Trial, made, tried

_BATCH = 5  # worlds
_FEW = range(8)  # batches of `make test`: 2,000 queries
_MANY = range(8, 204)  # with those above 51,000 queries

# What must have been asked in a batch without being an error.
_ESSENTIAL = (
    "projection",
    "aggregate",
    "GROUP BY",
    "ORDER BY",
    "LIMIT",
    "DISTINCT",
    "WHERE",
    "parameter",
    "window",
)


def _run(batch: int) -> Counts:
    counts = Counts()
    for seed in range(batch * _BATCH, (batch + 1) * _BATCH):
        mine, differences = tried(seed)
        counts.add(mine)
        if differences:
            pytest.fail(f"-- seed {seed}\n{show(*reduced(*differences[0]))}", pytrace=False)
    return counts


def _assert_not_hollow(counts: Counts) -> None:
    report = counts.report()
    assert counts.total == _BATCH * QUERIES, report
    assert counts.valid > counts.total * 0.9, report
    for kind in _ESSENTIAL:
        assert counts.asked[kind] - counts.failed[kind] >= 3, f"{kind}\n{report}"
    assert counts.share() > 0.6, report


@pytest.mark.storage_format("auto", reason="the worlds say which rows are in row groups")
@pytest.mark.parametrize("batch", _FEW)
def test_each_query_gives_what_sqlite_gives(batch: int) -> None:
    _assert_not_hollow(_run(batch))


@pytest.mark.slow
@pytest.mark.storage_format("auto", reason="the worlds say which rows are in row groups")
@pytest.mark.parametrize("batch", _MANY)
def test_each_of_50000_queries_gives_what_sqlite_gives(batch: int) -> None:
    _assert_not_hollow(_run(batch))


def test_a_seed_makes_the_same_world_and_queries_each_time() -> None:
    assert made(7) == made(7)
    assert made(7) != made(8)


@pytest.mark.storage_format("auto", reason="the worlds say which rows are in row groups")
def test_worlds_have_rows_in_row_groups_in_the_row_part_and_as_tombstones() -> None:
    places = set()
    for seed in range(6):
        world, _ = made(seed)
        with Trial(world) as trial:
            for table in world.tables:
                stored = trial.ours.db._session.store.table(table.name, "main")
                if stored is None:
                    places.add("row format")
                    continue
                groups = sum(group.row_count for group in stored.groups())
                rows = trial.theirs.db.execute(f"SELECT count(*) FROM {table.name}").get
                part = trial.ours.db._db.execute(f"SELECT count(*) FROM {stored.info.names.rows}").get
                places |= {"row groups"} if len(stored.groups()) > 1 else set()
                places |= {"row part"} if part > 1 else set()
                places |= {"tombstones"} if groups + part > rows else set()
    assert places == {"row format", "row groups", "row part", "tombstones"}


_ASKED = Query(Ask("SELECT id, ref FROM t1"), frozenset(), (), "exact")


@pytest.mark.parametrize(
    ("sql", "what"),
    [
        ("SELECT id, CAST(ref AS REAL) FROM t1", "rows"),
        ("SELECT id, ref FROM t1 WHERE id <> 1", "rows"),
        ("SELECT id, ref FROM t1 ORDER BY id DESC", "rows"),
        ("SELECT id, ref FROM t", "error"),
        ("SELECT id AS n, ref FROM t1", "names"),
    ],
)
def test_a_wrong_answer_is_a_difference(monkeypatch: pytest.MonkeyPatch, sql: str, what: str) -> None:
    """Colonnade is made to run another text."""
    world, _ = made(1)
    with Trial(world) as trial:
        assert trial.ask(_ASKED) is None
        run = trial.ours.run
        monkeypatch.setattr(trial.ours, "run", lambda step: run(replace(step, sql=sql)))
        found = trial.ask(_ASKED)
    assert found is not None
    assert found.what == what
    assert found.vectorized == "on"


def test_a_case_is_reduced_to_the_rows_and_words_that_show_it(monkeypatch: pytest.MonkeyPatch) -> None:
    """Colonnade is made to lose -5."""
    world, _ = made(1)
    run = Trial.ask

    def ask(self: Trial, query: Query, counts: Counts | None = None) -> object:
        self.ours.db.create_function("lost", 1, lambda value: None if value == 7 else value)
        mine = self.ours.run
        self.ours.run = lambda step: mine(replace(step, sql=step.sql.replace("(ref)", "(lost(ref))")))  # type: ignore[method-assign]
        return run(self, query, counts)

    monkeypatch.setattr(Trial, "ask", ask)
    query = Query(
        Ask("SELECT max(id), count(*), sum((ref)) FROM t1 WHERE id > ?", (0,)), frozenset(), (), "exact"
    )
    with Trial(world) as trial:
        found = trial.ask(query)
    assert found is not None
    small_world, small, small_found = reduced(world, query, found, 10)
    assert small_found.what == "rows"
    assert len(small.ask.sql) < len(query.ask.sql)
    assert sum(len(step.parameters) for step in small_world.steps if step.how == "many") == 1
    assert "(ref)" in show(small_world, small, small_found)


def test_literals_stand_for_parameters_of_each_form() -> None:
    assert inlined(Ask("a ? b ?", (1, "x"))) == Ask("a 1 b 'x'")
    assert inlined(Ask("a ?2 b ?1 ?2", (1, None))) == Ask("a NULL b 1 NULL")
    for sign in ":@$":
        assert inlined(Ask(f"a {sign}p1 b {sign}p10", {"p1": 1, "p10": 2.0})) == Ask("a 1 b 2.0")
