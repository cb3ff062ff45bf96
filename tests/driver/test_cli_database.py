"""The command line and databases: that cannot be opened or written, that are full, damaged or empty."""

from __future__ import annotations

import json
import os
import resource
import shutil
import sqlite3
import tempfile
from contextlib import closing
from pathlib import Path

import pytest

import colonnade
from tests.driver.shell import NOBODY, P, Shell, big, program

# --- databases that cannot be written -----------------------------------------------------------------------


@pytest.mark.parametrize("command", ["load", "check", "stats"])
def test_a_file_that_is_no_database(shell: Shell, command: str) -> None:
    shell.write("t.db", b"This is not a database, " * 100)
    shell.write("p.csv", P)
    assert shell.run(command, "t.db", *(["p.csv"] if command == "load" else [])) == 1
    assert shell.err == "colonnade: error: file is not a database\n"
    assert shell.db.read_bytes() == b"This is not a database, " * 100


@pytest.mark.parametrize("database", ["", "absent/t.db", "."])
def test_a_database_that_cannot_be_opened(shell: Shell, database: str) -> None:
    shell.write("p.csv", P)
    path = str(shell.folder / database) if database else "absent/t.db"
    assert shell.run("load", path, "p.csv") == 1
    assert "unable to open database file" in shell.err


@pytest.mark.parametrize("command", ["check", "stats"])
def test_a_command_that_only_looks_makes_no_file(shell: Shell, command: str) -> None:
    assert shell.run(command, "absent.db") == 1
    assert shell.err == "colonnade: error: absent.db: no such file\n"
    assert not (shell.folder / "absent.db").exists()


def test_a_database_that_may_not_be_written(loaded: Shell) -> None:
    loaded.write("p2.csv", "50,fifty,5\n")
    with tempfile.TemporaryDirectory() as open_to_all:  # pytest's own folders are closed to other users
        folder = Path(open_to_all)
        for name in ("t.db", "p2.csv"):
            shutil.copy(loaded.folder / name, folder / name)
            (folder / name).chmod(0o444)
        folder.chmod(0o555)
        loaded.folder = folder
        done = program(
            loaded, "load", folder / "t.db", "p=p2.csv", before=NOBODY if os.geteuid() == 0 else ""
        )
        folder.chmod(0o755)
        assert (done.returncode, done.stderr) == (
            1,
            "colonnade: error: attempt to write a readonly database\n",
        )
        assert loaded.query("SELECT count(*) FROM p") == [(10,)]


def test_a_locked_database(loaded: Shell) -> None:
    other = sqlite3.connect(loaded.db)
    other.execute("BEGIN IMMEDIATE")
    done = program(loaded, "load", loaded.db, "p=p.csv")
    assert (done.returncode, done.stderr) == (1, "colonnade: error: database is locked\n")
    other.close()


def test_a_full_disk_leaves_the_database_as_it_was(loaded: Shell) -> None:
    path, before = big(loaded), loaded.db.stat().st_size
    limit = before + 100_000
    done = program(
        loaded, "load", loaded.db, f"p={path}", "--json",
        preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limit)),
    )  # fmt: skip
    assert done.returncode == 1, done.stderr
    assert "Traceback" not in done.stderr
    assert done.stderr.startswith("colonnade: error: ")
    assert any(text in done.stderr for text in ("disk is full", "disk I/O error"))
    assert loaded.query("SELECT count(*) FROM p") == [(10,)]
    assert loaded.run("check", loaded.db) == 0


def test_a_full_database_leaves_it_as_it_was_and_the_connection_usable(loaded: Shell) -> None:
    path = big(loaded)
    connection = colonnade.connect(str(loaded.db))
    pages = connection.execute("PRAGMA page_count").fetchone()[0]
    connection.execute(f"PRAGMA max_page_count = {pages + 4}")
    with pytest.raises(colonnade.OperationalError, match="database or disk is full"):
        connection.load(f"p={path}")
    assert not connection.in_transaction
    assert connection.execute("SELECT count(*) FROM p").fetchone() == (10,)
    connection.execute("PRAGMA bulk_load = on")
    with pytest.raises(colonnade.OperationalError, match="database or disk is full"):
        connection.executemany(
            "INSERT INTO p VALUES(?, ?, 1)", ((n, f"{n * 7919} {n}") for n in range(100, 90_000))
        )
    connection.rollback()
    assert connection.execute("SELECT count(*) FROM p").fetchone() == (10,)
    connection.execute("PRAGMA max_page_count = 1000000")
    connection.executemany(
        "INSERT INTO p VALUES(?, ?, 1)", ((n, f"{n * 7919} {n}") for n in range(100, 9000))
    )
    connection.commit()
    assert connection.execute("SELECT count(*) FROM p").fetchone() == (8910,)
    connection.close()


# --- check and stats ----------------------------------------------------------------------------------------


@pytest.mark.storage_format("auto", "column", reason="about what a load in column format leaves")
def test_check_finds_a_flipped_byte_in_a_chunk(shell: Shell) -> None:
    assert shell.load(f"p={big(shell)}") == 0, shell.err
    assert shell.run("check", shell.db) == 0
    assert "ok" in shell.out
    plain = sqlite3.connect(shell.db)
    rowid, data = plain.execute(
        "SELECT rowid, data FROM p_cln_chunks WHERE length(data) > 5000 ORDER BY rowid LIMIT 1"
    ).fetchone()
    changed = bytearray(data)
    changed[len(changed) // 2] ^= 0x40
    plain.execute("UPDATE p_cln_chunks SET data = ? WHERE rowid = ?", (bytes(changed), rowid))
    plain.commit()
    plain.close()
    assert shell.run("check", shell.db) == 1
    assert "p" in shell.out
    assert shell.err == ""
    assert shell.run("check", shell.db, "--json") == 1
    assert json.loads(shell.out)["store"]


def test_check_finds_keys_that_another_program_broke(loaded: Shell) -> None:
    plain = sqlite3.connect(loaded.db)
    plain.execute("DELETE FROM p WHERE id = 5")  # sqlite3 does not enforce foreign keys by default
    plain.commit()
    plain.close()
    assert loaded.run("check", loaded.db) == 1
    assert "FOREIGN KEY" in loaded.out
    assert loaded.run("check", loaded.db, "--json") == 1
    assert {v["rowid"] for v in json.loads(loaded.out)["keys"]} == {5, 15, 25}


@pytest.mark.storage_format("auto", "column", reason="about what a load in column format leaves")
def test_stats_shows_tables_hints_and_pages(shell: Shell) -> None:
    assert shell.load(f"p={big(shell)}") == 0
    assert shell.run("stats", shell.db) == 0
    for text in ("p", "column", "60,000", "recommended_rows", "page_count"):
        assert text in shell.out
    assert shell.run("stats", shell.db, "--json") == 0
    report = json.loads(shell.out)
    assert {row["table"]: row["rows"] for row in report["tables"]} == {"p": 60_000, "c": 0}
    assert report["pages"]["page_count"] * report["pages"]["page_bytes"] == shell.db.stat().st_size


@pytest.mark.parametrize("command", ["check", "stats"])
def test_an_empty_database(shell: Shell, command: str) -> None:
    shell.write("t.db", b"")
    assert shell.run(command, "t.db") == 0
    assert shell.run(command, "t.db", "--json") == 0
    json.loads(shell.out)


def test_a_load_keeps_tables_in_row_format_if_the_storage_format_is_row(tmp_path: Path) -> None:
    rows = 20_000
    (tmp_path / "t.csv").write_text("a,b\n" + "".join(f"{n},x{n}\n" for n in range(rows)))
    (tmp_path / "again").mkdir()
    (tmp_path / "again" / "t.csv").write_text("a,b\n7,y\n")
    with closing(colonnade.connect(tmp_path / "t.db")) as connection:
        connection.execute("PRAGMA storage_format = row")
        connection.execute("CREATE TABLE t(a INTEGER PRIMARY KEY, b TEXT)")
        report = connection.load(tmp_path / "t.csv")
        assert report.tables[0].format == "row"
        again = connection.load(tmp_path / "again")
        assert (again.committed, again.violation_counts) == (False, {"t: PRIMARY KEY (a)": 1})
    with closing(sqlite3.connect(tmp_path / "t.db")) as plain:
        assert plain.execute("SELECT count(*), max(b) FROM t").fetchall() == [(rows, "x9999")]
