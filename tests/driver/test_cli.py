"""The command line: exit codes and messages, never a traceback, and a database as it was after each failure."""

from __future__ import annotations

import gzip
import json
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.feather
import pyarrow.parquet
import pytest

import colonnade
from colonnade.loader.options import LoadOptions
from tests.driver.shell import C, P, Shell, fails

# --- what goes well -----------------------------------------------------------------------------------------


def test_a_load_says_what_it_did(loaded: Shell) -> None:
    assert "40 rows committed" in loaded.out
    assert "p: 10 rows" in loaded.err
    assert loaded.query("SELECT count(*), sum(p) FROM c") == [(30, 165)]
    assert loaded.query("SELECT * FROM p WHERE id = 3") == [(3, "name 3", 3.5)]


def test_directories_and_tables_by_name(shell: Shell) -> None:
    shell.write("data/c.csv", C)
    shell.write("data/p.csv", P)
    shell.write("data/notes.txt", "not for us")
    assert shell.load("data") == 0
    shell.write("more.txt", "11|eleven|1\n")
    assert shell.load("p=more.txt", "--delimiter", "|", schema=False) == 0, shell.err
    assert shell.query("SELECT count(*) FROM p") == [(11,)]


def test_json_has_exact_counts(shell: Shell) -> None:
    code = shell.load(shell.write("p.csv", P), shell.write("c.csv", C), "--json")
    report = json.loads(shell.out)
    assert code == 0
    assert shell.err == ""
    assert (report["committed"], report["rows"], report["rejected"], report["violation_count"]) == (
        True,
        40,
        0,
        0,
    )
    assert [(t["table"], t["rows"]) for t in report["tables"]] == [("p", 10), ("c", 30)]
    assert report["file_bytes"] == shell.db.stat().st_size
    assert {row["kind"] for row in report["constraints"]} == {"PRIMARY KEY", "UNIQUE", "FOREIGN KEY"}


def test_compressed_and_binary_formats_hold_the_same(shell: Shell) -> None:
    shell.write("p.csv.gz", gzip.compress(P.encode()))
    table = pa.table({"a": list(range(30)), "b": ["x"] * 30, "p": [n % 10 + 1 for n in range(30)]})
    for name, save in {
        "c.parquet": lambda path: pa.parquet.write_table(table, path),
        "c.feather": lambda path: pa.feather.write_feather(table, path),
        "c.jsonl": lambda path: Path(path).write_text(
            "".join(json.dumps(row) + "\n" for row in table.to_pylist())
        ),
        "c.csv.zst": lambda path: Path(path).write_bytes(pa.Codec("zstd").compress(C.encode(), asbytes=True)),
    }.items():
        shell.db.unlink(missing_ok=True)
        save(shell.folder / name)
        assert shell.load("p.csv.gz", name) == 0, shell.err
        assert shell.query("SELECT count(*), sum(p), max(a) FROM c") == [(30, 165, 29)]
        assert shell.query("SELECT typeof(a), typeof(b), typeof(p) FROM c LIMIT 1") == [
            ("integer", "text", "integer")
        ]


def test_null_and_header_and_batch_size(shell: Shell) -> None:
    shell.write("p.tsv", "1\tone\t\\N\n2\ttwo\t2\n3\tid\t3\n")
    code = shell.load(
        "p.tsv", "--null", "\\N", "--header", "no", "--batch-size", "2", "--memory-limit", "16MB"
    )
    assert code == 0, shell.err
    assert shell.query("SELECT * FROM p") == [(1, "one", None), (2, "two", 2.0), (3, "id", 3.0)]


def test_a_header_may_reorder_and_an_empty_field_is_empty_text(shell: Shell) -> None:
    shell.write("c.csv", 'p,b,a\n,"x, ""y""",1\n')
    assert shell.load("c.csv", "--null", "") == 0, shell.err
    assert shell.query("SELECT * FROM c") == [(1, 'x, "y"', None)]


def test_empty_files_load_nothing(shell: Shell) -> None:
    assert shell.load(shell.write("p.csv", ""), shell.write("c.csv", "a,b,p\n")) == 0, shell.err
    assert "0 rows committed" in shell.out
    assert shell.query("SELECT (SELECT count(*) FROM p) + (SELECT count(*) FROM c)") == [(0,)]


def test_a_second_load_appends_and_is_checked_against_the_first(loaded: Shell) -> None:
    loaded.write("c2.csv", "a,b,p\n100,x,10\n")
    assert loaded.load("c=c2.csv", schema=False) == 0, loaded.err
    assert loaded.query("SELECT count(*) FROM c") == [(31,)]
    assert loaded.load("c=c2.csv", schema=False) == 1
    assert "UNIQUE constraint failed: c.a, c.b" in loaded.out
    assert loaded.query("SELECT count(*) FROM c") == [(31,)]


@pytest.mark.parametrize("kind", ["pandas", "polars", "arrow", "reader"])
def test_frames_through_the_connection(loaded: Shell, kind: str) -> None:
    columns = {"id": [20, 21], "name": ["a", "b"], "price": [1.5, None]}
    if kind == "pandas":
        frame: Any = pytest.importorskip("pandas").DataFrame(columns)
    elif kind == "polars":
        frame = pytest.importorskip("polars").DataFrame(columns)
    else:
        frame = pa.table(columns) if kind == "arrow" else pa.table(columns).to_reader()
    connection = colonnade.connect(str(loaded.db))
    report = connection.load(("p", frame))
    assert (report.committed, report.rows) == (True, 2)
    assert connection.execute("SELECT * FROM p WHERE id >= 20").fetchall() == [
        (20, "a", 1.5),
        (21, "b", None),
    ]
    again = connection.load(("p", pa.table(columns)), options=LoadOptions(on_violation="report"))
    assert not again.committed
    assert sorted((v.kind, v.values, v.line) for v in again.violations) == [
        ("PRIMARY KEY", (20,), 1), ("PRIMARY KEY", (21,), 2), ("UNIQUE", ("a",), 1), ("UNIQUE", ("b",), 2),
    ]  # fmt: skip
    connection.close()


# --- input that cannot be read ------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "content", "said"),
    [
        ("p.csv", "1,one\n", ["p.csv:1", "3"]),
        ("p.csv", "1,one,1\n2,two,2,2\n", ["p.csv:2", "3", "4"]),
        ("p.csv", 'id,name,price\n1,one,1\n2,"two,2\n3,three,3\n', ["p.csv:3", "quote"]),
        ("p.csv", b"1,one,1\n2,tw\xff,2\n", ["p.csv:2", "name", "UTF-8"]),
        ("p.csv", "id,name,cost\n1,one,1\n", ["p.csv:1", "cost", "price"]),
        ("p.csv", "id,name\n1,one\n", ["p.csv:1", "price"]),
        ("p.csv", "id,name,price,more\n1,one,1,2\n", ["p.csv:1", "more"]),
        ("p.csv", "id,name,name,price\n1,one,1,2\n", ["p.csv:1", "name"]),
        ("p.csv", "one,one,1\n", ["p.csv:1", "datatype mismatch", "id", "one"]),
        ("p.csv", "1,one,1\n2,two,5000\n", ["p.csv:2", "CHECK constraint failed: price < 1000"]),
        ("p.csv", "id,name,price\n1,one,1\n2,\\N,5\n", ["p.csv:3", "NOT NULL constraint failed: p.name"]),
        ("p.jsonl", '{"id": 1, "name": "x", "price": 1}\n{"id": 2, "name"\n', ["p.jsonl:2"]),
        ("p.jsonl", '{"id": 1, "name": "x", "cost": 1}\n', ["p.jsonl:1", "cost"]),
        ("p.parquet", b"PAR1 nothing of the kind PAR1", ["p.parquet"]),
        ("p.parquet", b"", ["p.parquet"]),
        ("p.arrow", b"rubbish", ["p.arrow"]),
        ("p.csv.gz", b"not gzip", ["p.csv.gz"]),
        ("p.csv.gz", gzip.compress(P.encode())[:-12], ["p.csv.gz"]),
        ("p.csv.zst", b"not zstd", ["p.csv.zst"]),
        ("p.xlsx", b"PK", ["p.xlsx", "unknown format"]),
        ("q.csv", "1,2\n", ["q.csv", "no such table: q"]),
    ],
    ids=range(21),
)
def test_input_that_cannot_be_read(shell: Shell, name: str, content: str | bytes, said: list[str]) -> None:
    fails(shell, shell.load(shell.write(name, content), "--null", "\\N"), *said)


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["absent.csv"], ["absent.csv: no such file"]),
        (["p=absent.csv"], ["absent.csv: no such file"]),
        (["q=schema.sql"], ["no such table: q"]),
        (["empty"], ["empty"]),
        (["schema.sql", "--delimiter", ","], ["no such table: schema"]),
        (["schema.sql"], ["unknown format"]),
        (["p.csv", "--delimiter", "ab"], ["delimiter"]),
        (["p.csv", "--delimiter", ""], ["delimiter"]),
        (["p.csv", "--null", "a\nb"], ["null"]),
        (["p.csv", "--memory-limit", "much"], ["'much' is no size"]),
        (["p.csv", "--memory-limit", "0"], ["memory_limit"]),
        (["p.csv", "--batch-size", "-1"], ["batch_size"]),
        (["p.csv", "--schema", "absent.sql"], ["absent.sql"]),
        (["p.csv", "--schema", "empty"], ["empty"]),
        (["p.csv", "--schema", "latin1.sql"], ["latin1.sql", "UTF-8"]),
        (["p.csv", "--schema", "wrong.sql"], ["wrong.sql:3", "syntax error"]),
        (["p.csv", "--schema", "twice.sql"], ["twice.sql:2", "table p already exists"]),
        (["p.csv", "--schema", "rolls.sql"], ["rolls.sql"]),
        (["p.csv", "--schema", "attach.sql"], ["attach.sql"]),
        (["p.csv", "--schema", "nul.sql"], ["nul.sql"]),
        (["p.csv", "--schema", "unfinished.sql"], ["unfinished.sql:2"]),
    ],
    ids=lambda value: " ".join(value).replace("\n", " ") if isinstance(value, list) else None,
)
def test_arguments_that_are_wrong(shell: Shell, arguments: list[str], said: list[str]) -> None:
    shell.write("p.csv", P)
    (shell.folder / "empty").mkdir()
    shell.write("latin1.sql", b"CREATE TABLE p(id, name, pr\xe9ce)")
    shell.write("wrong.sql", "CREATE TABLE p(id, name, price);\n\nCREATE TABEL x(y);\n")
    shell.write("twice.sql", "CREATE TABLE p(id, name, price);\nCREATE TABLE p(id);\n")
    shell.write("rolls.sql", "CREATE TABLE p(id, name, price);\nROLLBACK;\nCREATE TABLE x(y);")
    shell.write("attach.sql", "CREATE TABLE p(id, name, price);\nATTACH '/absent/x' AS y;")
    shell.write("nul.sql", b"CREATE TABLE p(id, name, price);\0 DROP TABLE p;")
    shell.write("unfinished.sql", "CREATE TABLE p(id, name, price);\nCREATE TABLE x(")
    fails(shell, shell.load(*arguments), *said)


@pytest.mark.parametrize(
    "arguments",
    [
        [],
        ["load"],
        ["load", "t.db"],
        ["nonsense"],
        ["load", "t.db", "x", "--batch-size", "many"],
        ["load", "t.db", "x", "--on-violation", "ignore"],
        ["tpch", "t.db", "--scale", "x"],
    ],
    ids=" ".join,
)
def test_wrong_usage_is_exit_code_2(shell: Shell, arguments: list[str]) -> None:
    assert shell.run(*arguments) == 2
    assert "usage: colonnade" in shell.err


def test_tables_that_exist_already(loaded: Shell) -> None:
    code = loaded.load("p.csv")
    assert code == 1
    assert "schema.sql:2" in loaded.err
    assert "table p already exists" in loaded.err
    assert loaded.query("SELECT count(*) FROM p") == [(10,)]


# --- violations ---------------------------------------------------------------------------------------------

DIRTY = "a,b,p\n1,x,1\n2,x,99\n1,x,2\n3,x,88\n4,x,\n"


def dirty(shell: Shell, mode: str, *more: str) -> int:
    return shell.load(
        shell.write("p.csv", P), shell.write("c.csv", DIRTY), "--null", "", "--on-violation", mode, *more
    )


@pytest.mark.parametrize("mode", ["abort", "report"])
def test_violations_roll_back(shell: Shell, mode: str) -> None:
    assert dirty(shell, mode) == 1
    assert "3 violations" in shell.out
    assert "c.csv:4: " in shell.out
    assert "UNIQUE constraint failed: c.a, c.b" in shell.out
    assert "c.csv:3: " in shell.out
    assert "rows rolled back" in shell.out
    assert shell.query("SELECT name FROM sqlite_master") == []


def test_violations_as_json(shell: Shell) -> None:
    assert dirty(shell, "report", "--json") == 1
    report = json.loads(shell.out)
    assert report["violation_count"] == 3
    found = sorted((v["table"], v["kind"], v["line"], v["values"], v["parent"]) for v in report["violations"])
    assert found == [
        ("c", "FOREIGN KEY", 3, [99], "p"), ("c", "FOREIGN KEY", 5, [88], "p"), ("c", "PRIMARY KEY", 4, [1, "x"], None),
    ]  # fmt: skip


def test_quarantine_commits_the_rest(shell: Shell) -> None:
    assert dirty(shell, "quarantine") == 0
    assert shell.query("SELECT * FROM c") == [(1, "x", 1), (4, "x", None)]
    lines = shell.query("SELECT reject_line, a, b, p FROM c_rejects ORDER BY reject_line")
    assert lines == [(3, 2, "x", 99), (4, 1, "x", 2), (5, 3, "x", 88)]
    assert shell.run("check", shell.db) == 0


def test_quarantine_takes_malformed_rows_as_they_stand(shell: Shell) -> None:
    shell.write(
        "p.csv", "id,name,price\n1,one,1\n2,two\n3,three,3,3\n4,,4\n5,five,5000\nx,six,6\n7,seven,7\n"
    )
    assert shell.load("p.csv", "--null", "", "--on-violation", "quarantine", "--json") == 0, shell.err
    report = json.loads(shell.out)
    assert (report["rows"], report["rejected"], report["violation_count"]) == (2, 5, 5)
    assert shell.query("SELECT id FROM p") == [(1,), (7,)]
    rejects = shell.query("SELECT reject_line, reject_text, id, name FROM p_rejects ORDER BY reject_line")
    assert rejects == [
        (3, "2,two", None, None), (4, "3,three,3,3", None, None), (5, None, 4, None), (6, None, 5, "five"),
        (7, None, "x", "six"),
    ]  # fmt: skip


def test_strict_types_refuse_text_in_numeric_columns(shell: Shell) -> None:
    shell.write("p.csv", P)
    shell.write("c.csv", "a,b,p\n1,x,1\nmany,x,1\n")
    fails(shell, shell.load("p.csv", "c.csv", "--types", "strict"), "c.csv:3", "column a", "'many'")
    assert shell.load("p.csv", "c.csv") == 0
    assert "c.a: 1 values are text" in shell.out


def test_values_that_look_like_markup_are_printed_as_they_are(shell: Shell) -> None:
    shell.write("schema.sql", 'CREATE TABLE "[b]t"("[b]" TEXT UNIQUE)')
    shell.write("x.csv", "[/red]\n[bold]\n[/red]\n[/t]\n")
    assert shell.load("[b]t=x.csv") == 1
    assert "[/red]" in shell.out, shell.err
    shell.write("y.csv", "[/red]\n[bold]\n")
    assert shell.load("[b]t=y.csv") == 0, shell.err
    assert "[b]t" in shell.out
    assert "[b]t" in shell.err
    assert shell.run("stats", shell.db) == 0
    assert shell.run("check", shell.db) == 0


def test_infinite_keys_give_strict_json(shell: Shell) -> None:
    shell.write("schema.sql", "CREATE TABLE r(x REAL UNIQUE)")
    shell.write("r.csv", "x\n1e999\n1e999\n")
    assert shell.load("r.csv", "--json") == 1
    json.loads(shell.out, parse_constant=lambda name: pytest.fail(f"{name} is no JSON"))


# --- the page -----------------------------------------------------------------------------------------------


def test_a_page_of_the_report_is_written_also_of_a_load_that_was_rolled_back(shell: Shell) -> None:
    shell.write("p.csv", P)
    assert shell.load("p.csv", shell.write("c.csv", C + "99,x,99\n"), "--report", "r.html") == 1
    page = (shell.folder / "r.html").read_text()
    assert "rolled back" in page
    assert "FOREIGN KEY constraint failed" in page
    shell.write("c.csv", C)
    assert shell.load("p.csv", "c.csv", "--report", "r.html") == 0, shell.err
    page = (shell.folder / "r.html").read_text()
    assert "committed" in page
    assert page.startswith("<!doctype html>")
    assert page.rstrip().endswith("</html>")


def test_a_page_that_cannot_be_written_is_told_before_the_load_and_input_that_cannot_be_read_leaves_none(
    shell: Shell,
) -> None:
    shell.write("p.csv", P)
    fails(shell, shell.load("p.csv", "--report", "absent/r.html"), "absent/r.html")
    shell.write("p.csv", "not,a,number\n")
    fails(shell, shell.load("p.csv", "--report", "r.html"), "p.csv:1")
    assert not (shell.folder / "r.html").exists()
    shell.write("r.html", "an older one")
    fails(shell, shell.load("p.csv", "--report", "r.html"), "p.csv:1")
    assert (shell.folder / "r.html").read_text() == "an older one"
