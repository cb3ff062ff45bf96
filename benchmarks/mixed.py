"""Single-row work on a big table in column format and in row format, beside the standard library's sqlite3.

    python benchmarks/mixed.py [--rows 1000000] [--operations 2000] [--only NAME]... [--runs 1]

Each contender is a process with a file of its own. It loads two parents (one of --rows rows and five columns, one of a
tenth of them) and a child (a tenth), Colonnade in bulk mode; then, after one operation that does not count,
every kind of work runs in one transaction, COMMIT included, each under --seed's random keys, and "hot transactions" in
many. Ratios are of throughput, sqlite3's is 1. "overwritten" and "put, freed" (column chunks) and "pages" (written) are
per operation, of PRAGMA pager_stats.
"""

from __future__ import annotations

import argparse
import json
import random
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

CONTENDERS = ("column", "row", "sqlite3")
RANGE_ROWS = 100
TOUCHED_ROWS, HOT_ROWS = 10, 1000
TABLES = {
    "t": "(id INTEGER PRIMARY KEY, a INTEGER, b REAL, c TEXT, d TEXT)",
    "u": "(id INTEGER PRIMARY KEY, name TEXT)",
    "child": "(id INTEGER PRIMARY KEY, t INTEGER REFERENCES t, u INTEGER REFERENCES u, amount REAL)",
}


@dataclass(frozen=True, slots=True)
class Work:
    """Where the work is done.

    db      a connection in autocommit mode, foreign keys on
    rows    of the big table, ids from 1
    count   of operations
    choose  random numbers
    """

    db: Any
    rows: int
    count: int
    choose: random.Random

    def random_keys(self) -> list[int]:
        return [self.choose.randint(1, self.rows) for _ in range(self.count)]


def small(rows: int) -> int:
    """The rows of the second parent and of the child."""
    return max(1, rows // 10)


def point_reads(work: Work) -> None:
    """SELECT * by INTEGER PRIMARY KEY."""
    cursor = work.db.cursor()
    for key in work.random_keys():
        assert cursor.execute("SELECT * FROM t WHERE id = ?", (key,)).fetchone()[0] == key


def point_updates(work: Work) -> None:
    """UPDATE of one column that is no key, by INTEGER PRIMARY KEY."""
    cursor = work.db.cursor()
    for key in work.random_keys():
        assert cursor.execute("UPDATE t SET a = a + 1 WHERE id = ?", (key,)).rowcount == 1


def child_inserts(work: Work) -> None:
    """INSERT of one row with two parents."""
    cursor = work.db.cursor()
    for key in work.random_keys():
        values = (key, work.choose.randint(1, small(work.rows)), 1.5)
        cursor.execute("INSERT INTO child(t, u, amount) VALUES (?, ?, ?)", values)


def range_deletes(work: Work) -> None:
    """DELETE of RANGE_ROWS neighbouring rows of the child by INTEGER PRIMARY KEY."""
    cursor, last = work.db.cursor(), max(1, small(work.rows) - RANGE_ROWS)
    for _ in range(work.count):
        first = work.choose.randint(1, last)
        cursor.execute("DELETE FROM child WHERE id >= ? AND id < ?", (first, first + RANGE_ROWS))


def hot_transactions(work: Work) -> None:
    """Transactions, each with TOUCHED_ROWS new rows and as many UPDATEs of hot rows and of rows at random; COMMIT
    does not wait for the disk."""
    cursor, choose = work.db.cursor(), work.choose
    cursor.execute("PRAGMA synchronous = off")
    for _ in range(work.count):
        cursor.execute("BEGIN")
        for _ in range(TOUCHED_ROWS):
            cursor.execute("INSERT INTO t(a, b, c, d) VALUES (?, ?, ?, ?)", (1, 1.5, "new", "a short text"))
            for key in (choose.randint(1, min(HOT_ROWS, work.rows)), choose.randint(1, work.rows)):
                cursor.execute("UPDATE t SET a = a + 1 WHERE id = ?", (key,))
        cursor.execute("COMMIT")


@dataclass(frozen=True, slots=True)
class Kind:
    """What is measured, the share of --operations, and the ratio that column format is to reach.

    group_rows  PRAGMA batch_size meanwhile: so many cold rows freeze at a COMMIT, and the work ends with one itself;
                0: all of it is one transaction
    """

    run: Callable[[Work], None]
    share: float
    target: float | None
    group_rows: int = 0


KINDS = {
    "point reads": Kind(point_reads, 1.0, 0.2),
    "point updates": Kind(point_updates, 1.0, 0.1),
    "child inserts": Kind(child_inserts, 1.0, 0.1),
    "range deletes": Kind(range_deletes, 0.1, None),
    "hot transactions": Kind(hot_transactions, 0.5, None, group_rows=2000),
}


def big_row(i: int) -> tuple[int, int, float, str, str]:
    return i, i * 7919 % 100_003, i / 4, f"name {i * 31 % 50_021}", "a short text"


def load(db: Any, rows: int) -> None:
    """All three tables, in one transaction."""
    few = small(rows)
    data: dict[str, Iterator[tuple[Any, ...]]] = {
        "t": map(big_row, range(1, rows + 1)),
        "u": ((i, f"u{i}") for i in range(1, few + 1)),
        "child": ((i, i * 31 % rows + 1, i * 7 % few + 1, i / 2) for i in range(1, few + 1)),
    }
    db.execute("BEGIN")
    for name, columns in TABLES.items():
        db.execute(f"CREATE TABLE {name} {columns}")
    for name, columns in TABLES.items():
        marks = ", ".join("?" * (columns.count(",") + 1))
        db.executemany(f"INSERT INTO {name} VALUES ({marks})", data[name])
    db.execute("COMMIT")


def opened(contender: str, file: Path, rows: int) -> Any:
    """A new connection to a file that is loaded."""
    module = __import__("sqlite3" if contender == "sqlite3" else "colonnade")

    def connect() -> Any:
        db = module.connect(file, isolation_level=None)
        if contender == "row":
            db.execute("PRAGMA storage_format = row")
        return db

    db = connect()
    if contender == "column":
        db.execute("PRAGMA bulk_load = on")
    load(db, rows)
    db.close()
    db = connect()
    if contender != "sqlite3":
        formats = {row[0]: row[1] for row in db.execute("PRAGMA storage_report")}
        if formats != dict.fromkeys(TABLES, contender):
            raise SystemExit(f"the tables are not in {contender} format: {formats}")
    db.execute("PRAGMA foreign_keys = on")
    return db


def figures(db: Any, contender: str) -> tuple[int, int, int]:
    """Column chunks overwritten, all that were put or freed, and pages written so far."""
    if contender == "sqlite3":
        return 0, 0, 0
    stats = db.execute("PRAGMA pager_stats")
    total = {figure: value for table, phase, figure, value in stats if table is None and phase is None}
    return total["chunks_overwritten"], total["chunks_put"] + total["chunks_freed"], total["pages_written"]


def measure(options: argparse.Namespace) -> dict[str, list[float]]:
    """Of one contender, by kind: operations a second, and the `figures` per operation."""
    results = {}
    with tempfile.TemporaryDirectory() as folder:
        db = opened(options.one, Path(folder, "mixed.db"), options.rows)
        for name in options.only or KINDS:
            kind, choose = KINDS[name], random.Random(options.seed)
            count = max(1, int(options.operations * kind.share))
            if options.one != "sqlite3":
                db.execute(f"PRAGMA batch_size = {kind.group_rows}")
            kind.run(
                Work(db, options.rows, 1, random.Random(options.seed + 1))
            )  # what is imported on first use
            before = figures(db, options.one)
            start = time.perf_counter()
            if not kind.group_rows:
                db.execute("BEGIN")
            kind.run(Work(db, options.rows, count, choose))
            if not kind.group_rows:
                db.execute("COMMIT")
            seconds = time.perf_counter() - start
            spent = [now - then for now, then in zip(figures(db, options.one), before, strict=True)]
            results[name] = [count / seconds, *(figure / count for figure in spent)]
        db.close()
    return results


def in_own_process(contender: str, options: argparse.Namespace) -> dict[str, list[float]]:
    command = [sys.executable, __file__, "--one", contender, "--rows", str(options.rows)]
    command += ["--operations", str(options.operations), "--seed", str(options.seed)]
    for name in options.only or ():
        command += ["--only", name]
    run = subprocess.run(command, capture_output=True, text=True)
    if run.returncode:
        raise SystemExit(f"{contender} failed:\n{run.stderr}")
    results: dict[str, list[float]] = json.loads(run.stdout)
    return results


def compare(options: argparse.Namespace) -> None:
    found: dict[str, list[dict[str, list[float]]]] = {contender: [] for contender in CONTENDERS}
    for _ in range(options.runs):
        for contender in CONTENDERS:
            found[contender].append(in_own_process(contender, options))
    print(
        f"| {options.rows:,} rows | column/s | row/s | sqlite3/s | row ratio | column ratio | target | |",
        end="",
    )
    print(" overwritten | put, freed | pages |")
    print("| --- " * 11 + "|")
    for name in options.only or KINDS:
        middle = {c: statistics.median(run[name][0] for run in found[c]) for c in CONTENDERS}
        ratio, target = middle["column"] / middle["sqlite3"], KINDS[name].target
        met = "" if target is None else "met" if ratio >= target else "missed"
        rates = " | ".join(f"{middle[c]:,.0f}" for c in CONTENDERS)
        overwritten, moved, pages = found["column"][-1][name][1:]
        print(
            f"| {name} | {rates} | {middle['row'] / middle['sqlite3']:.2f} | {ratio:.3f} | {target or ''} | {met} |"
            f" {overwritten:.2f} | {moved:.3f} | {pages:.2f} |"
        )


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--rows", type=int, default=1_000_000, help="of the big table")
    parser.add_argument("--operations", type=int, default=2000, help="single-row operations of a kind")
    parser.add_argument("--runs", type=int, default=1, help="measurements, of which the median counts")
    parser.add_argument("--only", action="append", choices=list(KINDS), help="may be given several times")
    parser.add_argument("--seed", type=int, default=1, help="of the random keys")
    parser.add_argument("--one", choices=CONTENDERS, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.one:
        print(json.dumps(measure(options)))
    else:
        compare(options)


if __name__ == "__main__":
    main()
