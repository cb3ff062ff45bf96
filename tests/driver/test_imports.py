"""What programs import that never use the column store: nothing that is slow to import."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = pytest.mark.storage_format(
    "auto", "row", reason="about processes without tables in column format"
)
HEAVY = ("numpy", "pyarrow", "sqlglot", "rich", "argparse", "apsw.ext", "dataclasses", "inspect")

PLAIN = """
import sys

at_start = set(sys.modules)
import colonnade

def heavy():
    return sorted(set({heavy!r}).intersection(sys.modules) - at_start)

def session(file):
    db = colonnade.connect(file)
    db.executescript("CREATE TABLE t (a INTEGER PRIMARY KEY, b TEXT); CREATE TABLE u (a REFERENCES t);")
    db.execute("INSERT INTO t VALUES (1, 'one')")
    db.executemany("INSERT INTO t VALUES (?, ?)", [(n, str(n)) for n in range(2, 1000)])
    db.commit()
    db.row_factory = colonnade.Row
    assert [row["b"] for row in db.execute("SELECT b FROM t WHERE a < 3").fetchall()] == ["one", "2"]
    assert db.execute("PRAGMA table_info(t)").fetchone()["name"] == "a"
    try:
        db.execute("INSERT INTO t VALUES (1, 'again')")
    except colonnade.IntegrityError as error:
        assert str(error) == "UNIQUE constraint failed: t.a"
    db.executescript("SAVEPOINT s; DELETE FROM t; ROLLBACK TO s; RELEASE s")
    db.rollback()
    assert len(list(db.iterdump())) > 1000
    with db.blobopen("t", "b", 1, readonly=True) as blob:
        assert blob.read() == b"one"
    db.backup(colonnade.connect(":memory:"))
    return db
"""


def run(script: str, *arguments: object) -> str:
    code = PLAIN.format(heavy=HEAVY) + script
    command = [sys.executable, "-c", code, *map(str, arguments)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_a_session_without_column_format_imports_no_numpy_and_a_table_in_it_does(tmp_path: Path) -> None:
    script = """
db = session(sys.argv[1])
print(heavy())
db.execute("PRAGMA storage_format = column")
db.execute("INSERT INTO t VALUES (5000, 'last')")
db.commit()
print(db.store.table("t") is not None, db.execute("SELECT count(*), max(b) FROM t").fetchone()[:])
print("numpy" in heavy())
"""
    assert run(script, tmp_path / "a.db").splitlines() == ["[]", "True (1000, 'one')", "True"]


def test_a_connection_meets_a_table_in_column_format_that_another_made_or_attached(tmp_path: Path) -> None:
    script = """
db = session(sys.argv[1])
print(heavy())
other = colonnade.connect(sys.argv[1])
other.execute("PRAGMA storage_format = column")
other.execute("UPDATE t SET b = 'two' WHERE a = 2")
other.commit()
print(db.execute("SELECT count(*), max(b) FROM t").fetchone()[:])
db.execute("UPDATE t SET b = 'zwei' WHERE a = 2")
db.commit()
memory = colonnade.connect(":memory:")
memory.executescript(f"ATTACH '{sys.argv[1]}' AS x; CREATE TABLE c AS SELECT * FROM x.t;")
print(memory.execute("SELECT max(b) FROM c").fetchone())
"""
    assert run(script, tmp_path / "a.db").splitlines() == ["[]", "(999, 'two')", "('zwei',)"]


def test_a_file_with_tables_in_column_format_is_opened_without_numpy_but_not_read(tmp_path: Path) -> None:
    make = """
db = session(sys.argv[1])
db.execute("PRAGMA storage_format = column")
db.execute("DELETE FROM t WHERE a = 999")
db.commit()
"""
    run(make, tmp_path / "a.db")
    read = """
db = colonnade.connect(sys.argv[1])
before = heavy()
print(before, db.execute("SELECT count(*) FROM t").fetchone(), "numpy" in heavy())
"""
    assert run(read, tmp_path / "a.db") == "[] (998,) True\n"


def test_the_sqlalchemy_dialect_imports_no_numpy_of_its_own(tmp_path: Path) -> None:
    script = """
import sqlalchemy as sa

theirs = set(heavy())
assert "numpy" not in theirs
engine = sa.create_engine(f"colonnade:///{sys.argv[1]}")
with engine.begin() as connection:
    connection.exec_driver_sql("CREATE TABLE t (a INTEGER PRIMARY KEY, b TEXT)")
    table = sa.Table("t", sa.MetaData(), autoload_with=connection)
    connection.execute(table.insert(), [{"b": str(n)} for n in range(100)])
    assert connection.execute(sa.select(sa.func.count()).select_from(table)).scalar_one() == 100
print(sorted(set(heavy()) - theirs))
"""
    assert run(script, tmp_path / "a.db") == "[]\n"


def test_what_another_database_under_the_same_name_holds_is_looked_at_anew(tmp_path: Path) -> None:
    """It can have the same schema version, and the same numbers of row groups, and yet other rows."""
    script = """
def make(name, format):
    db = colonnade.connect(sys.argv[1] + name)
    db.execute(f"PRAGMA storage_format = {format}")
    db.execute("CREATE TABLE t (a INTEGER PRIMARY KEY, b TEXT)")
    db.executemany("INSERT INTO t VALUES (?, ?)", [(n, name) for n in range(10)])
    db.commit()
    return db

make("one", "column").close()
version = make("two", "column").execute("PRAGMA schema_version").fetchone()[0]
make("plain", "row").execute(f"PRAGMA schema_version = {version}")
db = colonnade.connect(":memory:")
for name in ("plain", "one", "two", "plain", "two", "one"):
    db.execute(f"ATTACH '{sys.argv[1]}{name}' AS x")
    assert db.execute("PRAGMA x.schema_version").fetchone() == (version,)
    found = db.execute("SELECT b, count(*) FROM x.t WHERE a < 5 GROUP BY b").fetchall()
    print(found == [(name, 5)], db.execute("SELECT count(*) FROM x.sqlite_master").fetchone()[0])
    db.execute("DETACH x")
"""
    assert run(script, tmp_path / "a").splitlines() == ["True 1"] * 6
