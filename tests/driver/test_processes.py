"""Several connections and processes on one file: formats that change, snapshots, locks, and a process that dies."""

from __future__ import annotations

import sqlite3
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

import pytest

import colonnade
from colonnade.store.check import check

ROWS = 400
COUNT = "SELECT count(*), sum(id), sum(a) FROM t"


@pytest.fixture(params=["wal", "delete"])
def journal(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "shared.db"


def connect(file: Path, **options: Any) -> colonnade.Connection:
    db = colonnade.connect(file, **{"timeout": 0.05, **options})
    db.execute("PRAGMA synchronous=OFF")  # processes die here, machines do not
    return db


def make(file: Path, journal: str) -> None:
    """A table of 400 rows in row format."""
    with closing(connect(file)) as db:
        db.execute(f"PRAGMA journal_mode={journal}")
        db.execute("CREATE TABLE t(id INTEGER PRIMARY KEY, a INT, b TEXT UNIQUE)")
        db.executemany("INSERT INTO t VALUES(?, ?, ?)", [(i, i, f"b{i}") for i in range(1, ROWS + 1)])
        db.commit()


def freeze(db: colonnade.Connection, batch_size: int = 50) -> None:
    """All rows but the last into row groups of `batch_size` rows."""
    db.execute(f"PRAGMA batch_size={batch_size}")
    db.execute("PRAGMA storage_format=column")
    db.execute("UPDATE t SET a = a WHERE id = 1")
    db.commit()
    db.execute("PRAGMA storage_format=auto")
    assert len(groups(db)) > 1


def groups(db: colonnade.Connection) -> list[Any]:
    table = db._session.store.table("t")
    return [] if table is None else table.groups()


def sound(file: Path) -> bool:
    with closing(connect(file)) as db:
        return db.execute("PRAGMA integrity_check").fetchall() == [("ok",)] and not list(
            check(db._session.store)
        )


@contextmanager
def another(file: Path, body: str) -> Iterator[subprocess.Popen[str]]:
    """Another process, with `db` connected to the file; killed at the end."""
    script = (
        "import sys, colonnade\n"
        "db = colonnade.connect(sys.argv[1], timeout=0.05)\n"
        "db.execute('PRAGMA synchronous=OFF')\n"
        "def tell(what):\n    print(what, flush=True)\n    sys.stdin.readline()\n" + body
    )
    arguments = [sys.executable, "-c", script, str(file)]
    process = subprocess.Popen(arguments, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    try:
        yield process
    finally:
        process.kill()
        process.communicate()


def heard(process: subprocess.Popen[str]) -> str:
    assert process.stdout is not None
    return process.stdout.readline().strip()


def go_on(process: subprocess.Popen[str]) -> None:
    assert process.stdin is not None
    process.stdin.write("\n")
    process.stdin.flush()


FREEZES = """
db.execute("PRAGMA batch_size=50")
db.execute("PRAGMA storage_format=column")
db.execute("UPDATE t SET a = a WHERE id = 1")
db.commit()
tell("frozen")
"""


def test_a_table_turns_to_column_format_under_the_prepared_statements_of_another_process(
    file: Path, journal: str
) -> None:
    make(file, journal)
    with closing(connect(file)) as db:
        prepared: list[tuple[str, tuple[object, ...]]] = [
            (COUNT, ()),
            ("SELECT a FROM t WHERE id = ?", (7,)),
            ("SELECT id FROM t WHERE b = ?", ("b9",)),
        ]
        before = [db.execute(*query).fetchall() for query in prepared]
        db.execute("UPDATE t SET a = a + ? WHERE id = ?", (0, 9))
        db.commit()
        with another(file, FREEZES) as process:
            assert heard(process) == "frozen"
        assert [db.execute(*query).fetchall() for query in prepared] == before
        assert len(groups(db)) > 1
        assert db.execute("UPDATE t SET a = a + ? WHERE id = ?", (1, 9)).rowcount == 1
        with pytest.raises(colonnade.IntegrityError, match=r"UNIQUE constraint failed: t\.b"):
            db.execute("INSERT INTO t VALUES(1000, 1, 'b3')")
        db.commit()
        assert db.execute("SELECT a FROM t WHERE id = 9").fetchall() == [(10,)]
    assert sound(file)


@pytest.mark.storage_format("auto", reason="about when the freeze policy moves rows")
def test_a_reader_keeps_its_snapshot_while_another_connection_freezes_and_merges(file: Path) -> None:
    make(file, "wal")
    with closing(connect(file)) as reader, closing(connect(file)) as writer:
        freeze(writer)
        reader.execute("BEGIN")
        before = reader.execute(COUNT).fetchall()
        half = reader.execute("SELECT id FROM t")
        assert half.fetchmany(60)[-1] == (60,)
        point = ("SELECT a FROM t WHERE id = ?", (60,))
        assert reader.execute(*point).fetchall() == [(60,)]
        writer.executemany("DELETE FROM t WHERE id = ?", [(i,) for i in range(51, 90)])
        writer.executemany("INSERT INTO t VALUES(?, 0, NULL)", [(i,) for i in range(1000, 1120)])
        writer.commit()
        freed = writer._session.store.pager.counters.snapshot().total.groups_freed
        assert freed > 0
        assert reader.execute(COUNT).fetchall() == before
        assert reader.execute(*point).fetchall() == [(60,)]
        assert len(half.fetchall()) == ROWS - 60
        reader.rollback()
        assert reader.execute(COUNT).fetchall() == writer.execute(COUNT).fetchall() != before
        assert reader.execute(*point).fetchall() == []
    assert sound(file)


def test_in_rollback_mode_a_freeze_waits_for_readers_and_can_be_tried_again(file: Path) -> None:
    make(file, "delete")
    with closing(connect(file)) as reader, closing(connect(file)) as writer:
        freeze(writer)
        reader.execute("BEGIN")
        before = reader.execute(COUNT).fetchall()
        writer.executemany("INSERT INTO t VALUES(?, 0, NULL)", [(i,) for i in range(1000, 1120)])
        for _ in range(2):
            with pytest.raises(colonnade.OperationalError, match="^database is locked$"):
                writer.commit()
        assert reader.execute(COUNT).fetchall() == before
        reader.rollback()
        writer.commit()
        assert reader.execute(COUNT).fetchall() == writer.execute(COUNT).fetchall() != before
    assert sound(file)


def locked(connect: Callable[[], Any], error: type[Exception], sql: str) -> str:
    with closing(connect()) as db, pytest.raises(error) as raised:
        db.execute(sql)
    return str(raised.value)


@pytest.mark.parametrize(
    "sql", ["UPDATE t SET a = 0 WHERE id = 20", "DELETE FROM t", "INSERT INTO t VALUES(20, 1, 'x')"]
)
def test_of_two_writers_the_second_hears_that_the_database_is_locked(
    file: Path, journal: str, sql: str
) -> None:
    make(file, journal)
    with another(
        file, FREEZES + 'db.execute("UPDATE t SET a = 5 WHERE id = 20")\ntell("wrote")\n'
    ) as process:
        assert heard(process) == "frozen"
        go_on(process)
        assert heard(process) == "wrote"
        mine = locked(lambda: connect(file), colonnade.OperationalError, sql)
        # The same of a table in row format, as SQLite itself cannot read one in column format.
        plain = locked(
            lambda: sqlite3.connect(file, timeout=0.05), sqlite3.OperationalError, "CREATE TABLE u(a)"
        )
        assert mine == plain == "database is locked"
    with closing(connect(file)) as db:
        assert db.execute("SELECT a FROM t WHERE id = 20").fetchall() == [(20,)]
    assert sound(file)


def test_a_thaw_that_comes_after_the_commit_of_another_is_refused_and_can_be_tried_again(file: Path) -> None:
    make(file, "wal")
    with closing(connect(file, isolation_level=None)) as one, closing(connect(file)) as other:
        freeze(other)
        one.execute("BEGIN")
        one.execute(COUNT).fetchall()
        other.execute("UPDATE t SET a = 1000 WHERE id = 5")
        other.commit()
        with pytest.raises(colonnade.OperationalError, match="^database is locked$") as raised:
            one.execute("UPDATE t SET a = a + 1 WHERE id = 5")
        assert raised.value.sqlite_errorname == "SQLITE_BUSY_SNAPSHOT"
        assert one.execute("SELECT a FROM t WHERE id = 5").fetchall() == [(5,)]
        one.execute("ROLLBACK")
        one.execute("BEGIN")
        one.execute("UPDATE t SET a = a + 1 WHERE id = 5")
        one.execute("COMMIT")
        assert other.execute("SELECT a FROM t WHERE id = 5").fetchall() == [(1001,)]
    assert sound(file)


DIES = """
db.execute("PRAGMA cache_size=1")  # pages reach the file before COMMIT
db.execute("PRAGMA batch_size=50")
db.executemany("UPDATE t SET a = -1 WHERE id = ?", [(i,) for i in range(1, 300)])
tell("thawed")
db.executemany("INSERT INTO t VALUES(?, 0, ?)", [(i, str(i) * 50) for i in range(1000, 1400)])
db._session.settle()
tell("frozen")
"""


@pytest.mark.parametrize("steps", [1, 2])
def test_a_process_killed_in_a_thaw_a_freeze_or_a_merge_leaves_the_database_as_it_was(
    file: Path, journal: str, steps: int
) -> None:
    make(file, journal)
    with closing(connect(file)) as db:
        freeze(db)
        before, stored = db.execute("SELECT * FROM t").fetchall(), groups(db)
    with another(file, DIES) as process:
        assert heard(process) == "thawed"
        if steps == 2:
            go_on(process)
            assert heard(process) == "frozen"
    with closing(connect(file)) as db:
        assert db.execute("SELECT * FROM t").fetchall() == before
        assert groups(db) == stored
    assert sound(file)


@pytest.mark.storage_format("auto", reason="about when the freeze policy moves rows")
def test_commits_freeze_what_programs_insert_and_a_table_in_row_format_stays_so(file: Path) -> None:
    make(file, "wal")
    with closing(connect(file)) as db:
        db.execute("PRAGMA batch_size=50")
        db.executemany("INSERT INTO t VALUES(?, 1, NULL)", [(i,) for i in range(1000, 1200)])
        db.commit()
        assert groups(db) == []
        freeze(db)
        count, total = len(groups(db)), db.total_changes
        for i in range(2000, 2120):
            cursor = db.execute("INSERT INTO t VALUES(?, 1, NULL)", (i,))
            db.commit()
            assert (cursor.lastrowid, cursor.rowcount) == (i, 1)
        assert len(groups(db)) == count + 2
        assert db.total_changes - total == 120
        assert db.execute("SELECT last_insert_rowid(), changes()").fetchall() == [(2119, 1)]
        db.isolation_level = None
        for i in range(3000, 3060):
            db.execute("INSERT INTO t VALUES(?, 1, NULL)", (i,))
        db.execute("SAVEPOINT s")
        db.executemany("INSERT INTO t VALUES(?, 1, NULL)", [(i,) for i in range(4000, 4060)])
        db.execute("RELEASE s")
        db.executescript(
            "BEGIN;" + "".join(f"INSERT INTO t VALUES({i}, 1, NULL);" for i in range(5000, 5060)) + "COMMIT;"
        )
        assert len(groups(db)) >= count + 5
        assert db.execute("SELECT count(*) FROM t").fetchall() == [(ROWS + 200 + 120 + 180,)]
        db.execute("PRAGMA storage_format=row")
        db.executemany("INSERT INTO t VALUES(?, 1, NULL)", [(i,) for i in range(6000, 6200)])
        assert len(groups(db)) <= count + 6
    assert sound(file)
