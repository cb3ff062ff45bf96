"""The 22 queries of TPC-H, vectorised, give what the standard library's sqlite3 gives, under both schemas."""

from __future__ import annotations

import re
import sqlite3
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

import colonnade
from colonnade.loader.options import LoadOptions
from colonnade.loader.tpch import TPCH_DDL, TPCH_PLAIN_DDL, TPCH_TABLES, foreign_key_indexes, generate
from colonnade.store import cores
from tests.conftest import load_with_sqlite3, tbl_rows
from tests.differential.likeness import SUMMED, Row, in_order, in_ranks, ranks, same_value
from tests.differential.taken import stats

QUERIES = sorted(Path(__file__).parents[2].glob("benchmarks/tpch/q*.sql"))
DDL = {"specified": TPCH_DDL, "plain": TPCH_PLAIN_DDL}


@dataclass
class Loaded:
    ours: colonnade.Connection
    oracle: sqlite3.Connection


def _loaded(path: Path, folder: Path, schema: str) -> Iterator[Loaded]:
    """Both databases with the rows of `folder`: loaded from files, or by executemany in bulk mode."""
    oracle = load_with_sqlite3(folder, DDL[schema])
    for statement in [*foreign_key_indexes(), "ANALYZE"]:
        oracle.execute(statement)
    ours = colonnade.connect(path)
    if schema == "specified":
        report = ours.load(folder, options=LoadOptions(batch_size=5000), script=DDL[schema])
        assert report.committed
    else:
        ours.executescript(f"{DDL[schema]}; PRAGMA foreign_keys = on; PRAGMA bulk_load = on;")
        for table in TPCH_TABLES:
            rows = list(tbl_rows(folder / f"{table}.tbl"))
            ours.executemany(f"INSERT INTO {table} VALUES ({','.join('?' * len(rows[0]))})", rows)
        ours.commit()
        ours.execute("PRAGMA bulk_load = off")
    stored = ours.store.table("lineitem", "main")
    assert stored is not None
    assert stored.groups()
    yield Loaded(ours, oracle)
    ours.close()
    oracle.close()


@pytest.fixture(scope="module", params=DDL)
def loaded(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory, tpch_folder: Path
) -> Iterator[Loaded]:
    yield from _loaded(tmp_path_factory.mktemp("queries") / "tpch.db", tpch_folder, request.param)


@pytest.fixture(scope="module", params=DDL)
def loaded_tenfold(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Loaded]:
    """At scale 0.1."""
    folder = tmp_path_factory.mktemp("tenfold")
    generate(folder / "data", 0.1)
    yield from _loaded(folder / "tpch.db", folder / "data", request.param)


def _compare(loaded: Loaded, path: Path) -> None:
    text = path.read_text(encoding="utf-8")
    theirs = loaded.oracle.execute(text)
    names, expected = [column[0] for column in theirs.description], theirs.fetchall()
    taken, fallen = stats(loaded.ours)
    cursor = loaded.ours.execute(text)
    got = cursor.fetchall()
    assert stats(loaded.ours) == (taken + 1, fallen)
    assert [column[0] for column in cursor.description] == names
    leeways = [SUMMED] * len(names)
    keys = _order(text, names)

    def tied(one: Row, other: Row) -> bool:
        return all(same_value(one[key], other[key], SUMMED) for key in keys)

    if keys:
        assert in_ranks(ranks(expected, tied), got, leeways), (expected, got)
        assert len(got) == len(expected)
    else:
        assert len(expected) == 1
        assert in_order(expected, got, leeways), (expected, got)


def _order(text: str, names: list[str]) -> list[int]:
    """The columns that the last ORDER BY of a query names."""
    found = re.search(r"\nORDER BY ([^()]*?)(?:\nLIMIT \d+)?;", text)
    terms = found[1].split(", ") if found else []
    return [names.index(term.split()[0]) for term in terms]


@pytest.mark.storage_format("auto", reason="the load makes the row groups that it claims")
@pytest.mark.parametrize("processors", [1, 6])
@pytest.mark.parametrize("path", QUERIES, ids=lambda path: path.stem)
def test_a_query_gives_what_sqlite3_gives(
    loaded: Loaded, path: Path, processors: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """In one thread, and in several."""
    monkeypatch.setattr(cores, "cores", lambda: processors)
    _compare(loaded, path)


@pytest.mark.slow
@pytest.mark.storage_format("auto", reason="the load makes the row groups that it claims")
@pytest.mark.parametrize("path", QUERIES, ids=lambda path: path.stem)
def test_a_query_gives_what_sqlite3_gives_at_scale_tenth(loaded_tenfold: Loaded, path: Path) -> None:
    _compare(loaded_tenfold, path)


def test_there_are_22_queries_of_one_statement_each_that_name_their_section() -> None:
    assert [path.stem for path in QUERIES] == [f"q{number:02}" for number in range(1, 23)]
    for number, path in enumerate(QUERIES, 1):
        text = path.read_text(encoding="utf-8")
        assert f"section 2.4.{number}:" in text.splitlines()[0]
        assert text.count(";") == 1
        assert text.endswith(";\n")


def test_the_plain_schema_has_no_column_of_numeric_affinity() -> None:
    types: dict[str, set[Any]] = {}
    for name, ddl in DDL.items():
        database = sqlite3.connect(":memory:")
        database.executescript(ddl)
        tables = database.execute(
            "SELECT c.type FROM sqlite_master m, pragma_table_info(m.name) c WHERE m.type = 'table'"
        )
        types[name] = {kind for (kind,) in tables}
        database.close()
    assert types["plain"] == {"INTEGER", "REAL", "TEXT"}
    assert {"INTEGER", "DECIMAL(15,2)", "DATE", "CHAR(1)", "VARCHAR(44)"} < types["specified"]
