"""The advisor: each advice is given where following it helps, as following it shows, and nowhere else."""

from __future__ import annotations

import json
import random
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

import colonnade
from colonnade.cli import main
from colonnade.loader.advice import Advice, advise
from colonnade.loader.options import LoadOptions
from colonnade.loader.report import LoadReport
from colonnade.loader.stats import ConstraintStats
from colonnade.sql.schema import read_schema

pytestmark = pytest.mark.storage_format("auto", "column", reason="what is advised is about row groups")
ROWS = 20_000
TWO = "CREATE TABLE p(id INTEGER PRIMARY KEY, v TEXT); CREATE TABLE c(n INTEGER, p INTEGER REFERENCES p)"

Load = Callable[..., tuple[LoadReport, list[Advice]]]


def shuffled(values: Iterable[Any], seed: int = 1) -> list[Any]:
    listed = list(values)
    random.Random(seed).shuffle(listed)
    return listed


@pytest.fixture
def load(tmp_path: Path) -> Load:
    """Loads tables given as lists of columns; returns the report, and what is advised of the file by itself."""

    def load(
        script: str, batch_size: int = 3000, **tables: dict[str, list[Any]]
    ) -> tuple[LoadReport, list[Advice]]:
        path = tmp_path / "t.db"
        path.unlink(missing_ok=True)
        connection = colonnade.connect(str(path))
        frames = [(name, pa.table(columns)) for name, columns in tables.items()]
        report = connection.load(*frames, script=script, options=LoadOptions(batch_size=batch_size))
        assert report.committed
        connection.close()
        return report, of_file(path)

    return load


def of_file(path: Path) -> list[Advice]:
    connection = colonnade.connect(str(path))
    found = advise(connection.store, read_schema(connection.store.db), ConstraintStats())
    connection.close()
    return found


def about(advice: list[Advice], word: str) -> list[tuple[str, str]]:
    return [(found.table, found.action) for found in advice if word in found.reason]


def paths(report: LoadReport) -> dict[tuple[str, str], str]:
    return {(row["table"], row["columns"]): row["path"] for row in report.constraints}


CHILDREN = {"n": list(range(4 * ROWS)), "p": [n * 7919 % ROWS for n in range(4 * ROWS)]}


def test_an_order_that_proves_a_key_and_those_that_refer_to_it(load: Load) -> None:
    texts = [f"row {n}" for n in range(ROWS)]
    report, advice = load(TWO, p={"id": shuffled(range(ROWS)), "v": texts}, c=CHILDREN)
    expected = [("p", "with its rows in order of (id) zones prove p (id) and c (p)")]
    assert about(advice, "overlap") == about(report.advice, "overlap") == expected
    assert "sorted merge" in paths(report)["p", "id"]
    assert paths(report)["c", "p"] != "proven"
    # Followed, it is true:
    report, advice = load(TWO, p={"id": list(range(ROWS)), "v": texts}, c=CHILDREN)
    assert paths(report) == {("p", "id"): "proven", ("c", "p"): "proven"}
    assert about(advice, "overlap") == about(report.advice, "overlap") == []


def test_keys_with_gaps_prove_no_foreign_key_in_any_order(load: Load) -> None:
    ids, texts = [2 * n for n in range(ROWS)], ["x"] * ROWS
    children = {"n": CHILDREN["n"], "p": [2 * n for n in CHILDREN["p"]]}
    _, advice = load(TWO, p={"id": shuffled(ids), "v": texts}, c=children)
    assert about(advice, "overlap") == [("p", "with its rows in order of (id) zones prove p (id)")]
    report, advice = load(TWO, p={"id": ids, "v": texts}, c=children)
    assert paths(report)["c", "p"] != "proven"
    assert about(advice, "overlap") == []


def test_a_child_that_is_small_beside_its_parent_is_not_promised_a_proof(load: Load) -> None:
    few = {"n": list(range(2000)), "p": shuffled(range(ROWS))[:2000]}
    _, advice = load(TWO, p={"id": shuffled(range(ROWS)), "v": ["x"] * ROWS}, c=few)
    assert about(advice, "overlap") == [("p", "with its rows in order of (id) zones prove p (id)")]


def test_no_order_is_advised_that_would_lose_another_key(load: Load) -> None:
    script = "CREATE TABLE t(a INTEGER UNIQUE, b TEXT UNIQUE)"
    names = shuffled((f"name {n:06}" for n in range(ROWS)), 2)
    report, advice = load(script, t={"a": list(range(ROWS)), "b": names})
    assert "proven" not in paths(report)["t", "b"]
    assert about(advice, "overlap") == about(report.advice, "overlap") == []
    _, advice = load(script, t={"a": shuffled(range(ROWS)), "b": names})
    assert [table for table, _ in about(advice, "overlap")] == ["t"]


def test_texts_that_zones_cut_are_not_promised_a_proof(load: Load) -> None:
    script = "CREATE TABLE t(a TEXT UNIQUE)"
    same = "x" * 300
    _, advice = load(script, t={"a": shuffled(f"{same}{n:06}" for n in range(ROWS))})
    assert about(advice, "overlap") == []
    report, _ = load(script, t={"a": sorted(f"{same}{n:06}" for n in range(ROWS))})
    assert "proven" not in paths(report)["t", "a"]


WORDS = "CREATE TABLE w(name TEXT PRIMARY KEY); CREATE TABLE c(n INTEGER, w TEXT REFERENCES w)"


def test_a_parent_for_whose_keys_no_index_answers(load: Load, tmp_path: Path) -> None:
    words = {"name": sorted(f"word {n}" for n in range(ROWS))}
    children = {"n": list(range(5000)), "w": [f"word {n * 31 % ROWS}" for n in range(5000)]}
    report, advice = load(WORDS, w=words, c=children)
    (found,) = [each for each in advice if "no index" in each.reason]
    assert (found.table, found.rows) == ("w", ROWS - 1)
    assert about(report.advice, "no index") == []  # a validator reads the parent once, whatever it has
    connection = colonnade.connect(str(tmp_path / "t.db"))
    connection.execute("PRAGMA foreign_keys = on")
    for start in (0, 2000):
        rows = [(n, f"word {n * 37 % ROWS}") for n in range(start, start + 2000)]
        connection.executemany("INSERT INTO c VALUES (?, ?)", rows)
    counted = [row for row in connection.execute("PRAGMA advise") if "no index" in row[2]]
    assert [row[0] for row in counted] == ["w"]
    assert counted[0][1] == connection.constraint_stats()[0]["unindexed_rows"] >= 2 * (ROWS - 1)
    assert f"{counted[0][1]:,} rows so far" in counted[0][2]
    connection.commit()
    # In row format SQLite's own index is asked:
    connection.store.restore("w")
    connection.commit()
    before = connection.constraint_stats()[0]["unindexed_rows"]
    connection.executemany("INSERT INTO c VALUES (?, ?)", [(n, f"word {n}") for n in range(2000)])
    assert connection.constraint_stats()[0]["unindexed_rows"] == before
    assert [row for row in connection.execute("PRAGMA advise") if "no index" in row[2]] == []
    connection.close()


def test_integers_without_an_index_are_told_why_they_have_none(tmp_path: Path) -> None:
    ids = [*range(0, 2 * ROWS, 2), 8]
    children = pa.table({"n": [1, 2], "p": [0, 2]})
    options = LoadOptions(on_violation="quarantine")
    connection = colonnade.connect(str(tmp_path / "t.db"))
    parents = ("p", pa.table({"id": ids, "v": ["x"] * len(ids)}))
    assert connection.load(parents, ("c", children), script=TWO, options=options).committed
    (found,) = [row for row in connection.execute("PRAGMA advise") if "no index" in row[2]]
    assert found[3].startswith("these rows had a key twice when they were stored")
    # Loaded anew they have one:
    rows = connection.execute("SELECT * FROM p").fetch_arrow_table()
    assert connection.load(("q", rows), script=TWO.split(";")[0].replace("p(", "q(")).committed
    connection.execute("DROP TABLE c")
    connection.execute("DROP TABLE p")
    connection.execute("CREATE TABLE c(n INTEGER, p INTEGER REFERENCES q)")
    assert [row for row in connection.execute("PRAGMA advise") if "no index" in row[2]] == []
    connection.close()


def test_a_table_whose_own_keys_have_no_index_is_told_of_once_batches_have_read_them(
    load: Load, tmp_path: Path
) -> None:
    script = "CREATE TABLE w(name TEXT PRIMARY KEY)"
    _, advice = load(script, w={"name": sorted(f"word {2 * n:06}" for n in range(ROWS))})
    assert about(advice, "no index") == []
    connection = colonnade.connect(str(tmp_path / "t.db"))
    connection.executemany("INSERT INTO w VALUES (?)", [(f"xord {n}",) for n in range(500)])
    assert [row for row in connection.execute("PRAGMA advise") if "no index" in row[2]] == []
    rows = [(f"word {2 * n + 1:06}",) for n in range(0, ROWS, 40)]
    connection.executemany("INSERT INTO w VALUES (?)", rows)
    (told,) = [row for row in connection.execute("PRAGMA advise") if "no index" in row[2]]
    assert told[:2] == ("w", ROWS - 1)
    assert "batches of w " in told[2]
    connection.close()


@pytest.mark.parametrize("case", ["integers", "gap-free", "small", "no child"])
def test_a_parent_with_an_index_or_that_is_small_is_left_alone(load: Load, case: str) -> None:
    script, step, rows = TWO, 1 if case == "gap-free" else 3, ROWS
    if case in ("small", "no child"):
        script = WORDS if case == "small" else "CREATE TABLE w(name TEXT PRIMARY KEY)"
        rows = 3000 if case == "small" else ROWS
        _, advice = load(script, w={"name": sorted(f"word {n}" for n in range(rows))})
    else:
        _, advice = load(script, p={"id": [step * n for n in range(rows)], "v": ["x"] * rows})
    assert about(advice, "no index") == []


def test_a_foreign_key_whose_parent_has_no_such_key(tmp_path: Path) -> None:
    path = tmp_path / "t.db"
    connection = colonnade.connect(str(path))
    connection.executescript(
        "CREATE TABLE p(a INTEGER, b TEXT); CREATE TABLE c(x INTEGER REFERENCES p(a), y REFERENCES p(absent));"
        "CREATE TABLE sound(id INTEGER PRIMARY KEY REFERENCES c2); CREATE TABLE c2(id INTEGER PRIMARY KEY);"
        "INSERT INTO c VALUES (1, NULL), (2, NULL);"
    )
    connection.commit()
    found = of_file(path)
    assert [(each.table, each.rows, each.action) for each in found] == [
        ("c", 2, 'CREATE UNIQUE INDEX on "p" ("a")'),
        ("c", 2, "refer to columns that the parent has"),
    ]
    connection.execute("CREATE UNIQUE INDEX p_a ON p(a)")
    connection.commit()
    assert [each.action for each in of_file(path)] == ["refer to columns that the parent has"]
    connection.close()


def test_row_groups_of_another_size_than_the_hints_say(load: Load, tmp_path: Path) -> None:
    rows = {"id": list(range(ROWS)), "v": ["some text of some length"] * ROWS}
    report, advice = load(TWO, batch_size=1000, p=rows)
    connection = colonnade.connect(str(tmp_path / "t.db"))
    best = connection.store.hints("p").recommended_rows.value
    connection.close()
    (found,) = [each for each in advice if "row groups of" in each.reason]
    assert "1,000 rows on average" in found.reason
    assert found.action == f"load it with PRAGMA batch_size = 0, or --batch-size {best}"
    assert report.advice == [found]
    many = {"id": list(range(10 * ROWS)), "v": rows["v"] * 10}
    _, advice = load(TWO, batch_size=best // 3 * 2, p=many)
    assert advice == []


def test_nothing_is_advised_of_a_plain_load_in_order(load: Load) -> None:
    report, advice = load(TWO, 0, p={"id": list(range(ROWS)), "v": ["x"] * ROWS}, c=CHILDREN)
    assert report.advice == advice == []


def test_most_rows_come_first(load: Load) -> None:
    script = "CREATE TABLE a(id INTEGER PRIMARY KEY); CREATE TABLE b(id INTEGER PRIMARY KEY)"
    _, advice = load(script, a={"id": shuffled(range(ROWS))}, b={"id": shuffled(range(2 * ROWS))})
    ranked = [each for each in advice if "overlap" in each.reason]
    assert [(each.table, each.rows) for each in ranked] == [("b", 2 * ROWS - 1), ("a", ROWS - 1)]


def test_the_command_line_shows_it(load: Load, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    load(TWO, p={"id": shuffled(range(ROWS)), "v": ["x"] * ROWS}, c=CHILDREN)
    path = str(tmp_path / "t.db")
    assert main(["stats", path, "--advise"]) == 0
    assert "1. p: row groups overlap in (id)" in capsys.readouterr().out
    assert main(["stats", path, "--advise", "--json"]) == 0
    (first, *_) = json.loads(capsys.readouterr().out)["advice"]
    assert (first["table"], first["rows"]) == ("p", 5 * ROWS - 2)
    assert main(["stats", path]) == 0
    assert "advice" not in capsys.readouterr().out
    lines = "".join(f"{n},x\n" for n in shuffled(range(ROWS)))
    (tmp_path / "p.csv").write_text(f"id,v\n{lines}")
    (tmp_path / "two.sql").write_text(TWO)
    command = ["load", str(tmp_path / "u.db"), str(tmp_path / "p.csv"), "--schema", str(tmp_path / "two.sql")]
    assert main([*command, "--batch-size", "3000", "--quiet"]) == 0
    assert "advice: p: row groups overlap in (id)" in capsys.readouterr().out
