"""A load is all or nothing, also for other processes and after a kill."""

from __future__ import annotations

import signal
import sqlite3
import subprocess
import sys
import time
from pathlib import Path

import pytest

import colonnade
from colonnade.loader.load import load_files
from colonnade.loader.options import LoadOptions
from colonnade.loader.tpch import TPCH_DDL

LOADER = """
import sys, colonnade
from colonnade.loader.load import load_files
from colonnade.loader.options import LoadOptions

class Halt:
    def table_started(self, table, input_bytes):
        if table == sys.argv[3]:
            print("halted", flush=True)
            sys.stdin.readline()
    def advanced(self, table, rows, input_bytes): pass
    def phase(self, table, phase): pass
    def table_finished(self, table, rows): pass

connection = colonnade.connect(sys.argv[1])
load_files(connection.store, [sys.argv[2]], LoadOptions(batch_size=2000), observer=Halt())
connection.close()
print("done", flush=True)
"""


def prepare(path: Path, journal_mode: str) -> None:
    connection = colonnade.connect(str(path))
    connection.execute(f"PRAGMA journal_mode={journal_mode}")
    connection.executescript(TPCH_DDL)
    connection.execute("INSERT INTO region VALUES (100, 'ATLANTIS', 'below')")
    connection.commit()
    connection.close()


def start_load(path: Path, folder: Path, halt_at: str) -> subprocess.Popen[str]:
    process = subprocess.Popen(
        [sys.executable, "-c", LOADER, str(path), str(folder), halt_at],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert process.stdout is not None
    assert process.stdout.readline() == "halted\n"
    return process


@pytest.mark.storage_format("auto", "row", reason="plain SQLite reads the table of before")
@pytest.mark.parametrize("journal_mode", ["delete", "wal"])
def test_a_kill_in_mid_load_leaves_the_database_as_before(
    tmp_path: Path, tpch_folder: Path, journal_mode: str
) -> None:
    path = tmp_path / "t.db"
    prepare(path, journal_mode)
    process = start_load(path, tpch_folder, "lineitem")
    process.send_signal(signal.SIGKILL)
    process.communicate()
    with sqlite3.connect(path) as plain:  # no virtual table is left: plain SQLite reads it
        assert plain.execute("SELECT * FROM region").fetchall() == [(100, "ATLANTIS", "below")]
        assert plain.execute("SELECT count(*) FROM orders").fetchone() == (0,)
        assert plain.execute("PRAGMA integrity_check").fetchone() == ("ok",)
        assert plain.execute("SELECT count(*) FROM sqlite_master WHERE name LIKE '%cln%'").fetchone() == (0,)
    plain.close()
    connection = colonnade.connect(str(path))
    assert load_files(connection.store, [str(tpch_folder)], LoadOptions()).committed
    connection.close()


def test_a_second_process_reads_the_old_state_until_commit_in_wal_mode(
    tmp_path: Path, tpch_folder: Path
) -> None:
    path = tmp_path / "t.db"
    prepare(path, "wal")
    reader = colonnade.connect(str(path))
    counts = "SELECT (SELECT count(*) FROM region), (SELECT count(*) FROM orders)"
    process = start_load(path, tpch_folder, "lineitem")
    assert reader.execute(counts).fetchone() == (1, 0)
    time.sleep(0.05)
    assert reader.execute(counts).fetchone() == (1, 0)
    out, _ = process.communicate("go\n", timeout=60)
    assert out == "done\n"
    assert process.returncode == 0
    assert reader.execute(counts).fetchone() == (6, 15_000)
    reader.close()


def test_an_interrupted_load_rolls_back(tmp_path: Path, tpch_folder: Path) -> None:
    class Stop:
        def table_started(self, table: str, input_bytes: int | None) -> None:
            pass

        def advanced(self, table: str, rows: int, input_bytes: int) -> None:
            if table == "lineitem":
                raise KeyboardInterrupt

        def phase(self, table: str, phase: str) -> None:
            pass

        def table_finished(self, table: str, rows: int) -> None:
            pass

    connection = colonnade.connect(str(tmp_path / "t.db"))
    with pytest.raises(KeyboardInterrupt):
        load_files(connection.store, [str(tpch_folder)], LoadOptions(), script=TPCH_DDL, observer=Stop())
    assert connection.execute("SELECT count(*) FROM sqlite_master").fetchone() == (0,)
    connection.close()
