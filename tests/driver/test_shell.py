"""`colonnade shell`: scripts from standard input, commands from arguments, dot commands with the user's view."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

import colonnade
from tests.driver.shell import Shell, program

DUMP = """PRAGMA foreign_keys=OFF;
BEGIN TRANSACTION;
CREATE TABLE t(a INTEGER PRIMARY KEY, b TEXT);
INSERT INTO t VALUES(1,'x; y
.tables');
INSERT INTO t VALUES(2,replace('a\\nb','\\n',char(10)));
CREATE VIEW v AS SELECT b FROM t;
CREATE TRIGGER tr AFTER INSERT ON t BEGIN SELECT 1; SELECT 2; END;
COMMIT;
"""


def columnar(shell: Shell) -> None:
    """A database with a table in column format, a table in row format, an index and a view."""
    with closing(colonnade.connect(str(shell.db))) as db:
        db.executescript(
            "CREATE TABLE big(id INTEGER PRIMARY KEY, v TEXT, x REAL, y BLOB); CREATE TABLE small(a);"
            "CREATE INDEX by_v ON big(v); CREATE VIEW seen AS SELECT v FROM big; INSERT INTO small VALUES(7);"
        )
        db.execute("PRAGMA bulk_load = on")
        rows = [(n, f"it's\n{n}", n / 8, bytes([n % 256])) for n in range(500)]
        db.execute("PRAGMA storage_format = column")
        db.executemany("INSERT INTO big VALUES(?,?,?,?)", rows)
        db.commit()
        assert ("big", "column") in [row[:2] for row in db.execute("PRAGMA storage_report")]


def test_a_script_from_standard_input_runs_with_rows_and_dot_commands(shell: Shell) -> None:
    script = (
        DUMP
        + ".mode csv\nSELECT a, b FROM t WHERE a = 2;\n-- end\n.tables\nINSERT INTO t VALUES(9,'z') RETURNING a+1;"
    )
    done = program(shell, "shell", shell.db, input=script)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.split("\n") == ['2,"a', 'b"', "t", "v", "10", ""]
    assert shell.query("SELECT a, b FROM t") == [(1, "x; y\n.tables"), (2, "a\nb"), (9, "z")]


@pytest.mark.parametrize(
    ("script", "message"),
    [
        (DUMP + "INSERT INTO t VALUES\n(1,'again');\nSELECT 1;", "line 10: UNIQUE constraint failed: t.a"),
        ("SELECT 1;\n\n  SELEC 2;", 'line 3: near "SELEC": syntax error'),
        ("CREATE TABLE a(b);\n.nothing\n", 'line 2: Unknown command "nothing".  Enter ".help" for help'),
        (".read missing.sql", "line 1: [Errno 2] No such file or directory: 'missing.sql'"),
        ("SELECT\n1", None),
        ("SELECT (1", "line 1: incomplete input"),
    ],
)
def test_a_script_ends_at_its_first_error_with_the_line_of_the_statement(
    shell: Shell, script: str, message: str | None
) -> None:
    done = program(shell, "shell", shell.db, input=script)
    assert (done.returncode, done.stderr) == ((0, "") if message is None else (1, message + "\n"))


def test_text_that_is_not_utf8_is_an_error_with_a_line(shell: Shell) -> None:
    path = shell.write("bad.sql", b"SELECT 1;\nSELECT '\xff';\n")
    assert shell.run("shell", shell.db, f".read {path}") == 1
    assert shell.err == f"{path}:2: not valid UTF-8\n"


@pytest.mark.parametrize("setting", ["PRAGMA bulk_load = on", "PRAGMA storage_format = row"])
def test_read_runs_a_file_and_names_it_in_errors(shell: Shell, setting: str) -> None:
    path = shell.write("dump.sql", DUMP)
    assert shell.run("shell", shell.db, setting, f".read {path}", "SELECT count(*) FROM t;") == 0
    assert shell.out == "2\n"
    assert shell.run("shell", shell.db, f".read {path}") == 1
    assert shell.err == f"{path}:3: table t already exists\n"


def test_dot_commands_show_the_tables_of_the_user(shell: Shell) -> None:
    columnar(shell)
    assert shell.run("shell", shell.db, ".tables") == 0
    assert shell.out == "big\nseen\nsmall\n"
    assert shell.run("shell", shell.db, ".schema", ".indexes") == 0
    assert "CREATE TABLE big(id INTEGER PRIMARY KEY, v TEXT, x REAL, y BLOB);" in shell.out
    assert "cln" not in shell.out
    assert shell.out.endswith("by_v\n")
    assert shell.run("shell", shell.db, '.find "it\'s%499"', "SELECT max(x) FROM big") == 0
    assert "Table big" in shell.out
    assert shell.out.endswith("62.375\n")


def test_a_dump_replays_in_sqlite3_to_equal_data(shell: Shell) -> None:
    columnar(shell)
    assert shell.run("shell", shell.db, ".dump") == 0
    with closing(sqlite3.connect(":memory:")) as plain:
        plain.executescript(shell.out)
        for query in ("SELECT * FROM big", "SELECT * FROM small", "SELECT v FROM seen"):
            assert sorted(plain.execute(query).fetchall()) == sorted(shell.query(query))
        names = "SELECT type, name FROM sqlite_master ORDER BY 1, 2"
        assert plain.execute(names).fetchall() == shell.query(names)


def test_import_and_backup_work_on_tables_in_column_format(shell: Shell) -> None:
    columnar(shell)
    shell.write("more.csv", "900,x,1.5,z\n901,y,2,z\n")
    copy = shell.folder / "copy.db"
    done = program(
        shell,
        "shell",
        shell.db,
        ".separator ,",
        ".import more.csv big",
        f".backup {copy}",
        "SELECT count(*) FROM big",
    )
    assert (done.returncode, done.stdout, done.stderr) == (0, "502\n", "")
    with closing(colonnade.connect(str(copy))) as copied:
        assert copied.execute("SELECT count(*), max(x) FROM big").fetchone() == (502, 62.375)


@pytest.mark.storage_format("auto", "column", reason="bulk load appends to row groups")
def test_a_commit_that_breaks_a_key_fails_and_leaves_the_file_as_it_was(shell: Shell) -> None:
    rows = "".join(f"INSERT INTO t VALUES({n % 30},'v');\n" for n in range(40))
    script = f"PRAGMA bulk_load = on;\nCREATE TABLE t(a INTEGER PRIMARY KEY, b);\nBEGIN;\n{rows}COMMIT;\n"
    done = program(shell, "shell", shell.db, input=script)
    assert done.returncode == 1
    assert done.stderr.startswith("line 44: UNIQUE constraint failed: t.a")
    assert shell.query("SELECT count(*) FROM t") == [(0,)]


def test_modes_headers_and_exit(shell: Shell, tmp_path: Path) -> None:
    assert shell.run("shell", "--mode", "json", ":memory:", "SELECT 1 AS a, 'x' AS b") == 0
    assert shell.out.split() == ["[", '{"a":', "1,", '"b":', '"x"}', "]"] or '"a": 1' in shell.out
    assert shell.run("shell", "--header", ":memory:", "SELECT 1 AS a", "EXPLAIN QUERY PLAN SELECT 1") == 0
    assert shell.out.startswith("a\n1\n")
    assert program(shell, "shell", input=".exit 3\nSELECT 1;").returncode == 3
