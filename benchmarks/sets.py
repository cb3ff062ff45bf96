"""Statements that write very many rows: Colonnade in column format, beside sqlite3, on the loaded TPC-H.

    python benchmarks/sets.py --scale 1 [--runs 3] [--only NAME]...

Each run is a process of its own on a copy of a database loaded before, with all keys, which are enforced. What a case
needs to be so beforehand is not measured. Seconds and CPU are those of the statement and its COMMIT; memory is the
peak of the process less what it held before, to be compared with PRAGMA memory_limit (128 MB). "chunks" are column
chunks put and freed; "row part" is how many rows of the table are in the row part afterwards: none should be. A case
whose rows vectors do not find, or bring, is an error.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from constraints import forget_peak, load, resident

from colonnade.loader.tpch import generate

CONTENDERS = ("colonnade", "sqlite3")


@dataclass(frozen=True, slots=True)
class Case:
    """What is measured.

    table   that the statement changes
    before  run and committed beforehand
    fails   the statement breaks a key
    made    it makes the table
    query   a vectorised query has to find the rows, or bring them
    """

    table: str
    statement: str
    before: str | None = None
    fails: bool = False
    made: bool = False
    query: bool = True


_COPY = "CREATE TABLE copy AS SELECT * FROM lineitem WHERE 0"
_GROUPS = """SELECT l_partkey, count(*) AS lines, sum(l_quantity) AS quantity, avg(l_extendedprice) AS price,
    max(l_shipdate) AS latest FROM lineitem GROUP BY l_partkey"""
CASES = {
    "INSERT … SELECT, a sixth of lineitem": Case(
        "copy", "INSERT INTO copy SELECT * FROM lineitem WHERE l_orderkey <= 1000000 * :scale", _COPY
    ),
    "INSERT … SELECT, all of lineitem": Case("copy", "INSERT INTO copy SELECT * FROM lineitem", _COPY),
    "INSERT … SELECT, the same with all keys": Case(
        "copy", "INSERT INTO copy SELECT * FROM lineitem", "keys"
    ),
    "CREATE TABLE AS, lineitem by part": Case("made", f"CREATE TABLE made AS {_GROUPS}", made=True),
    "CREATE TABLE AS, computed from lines": Case(
        "made",
        "CREATE TABLE made AS SELECT l_orderkey, l_extendedprice * (1 - l_discount) AS price, upper(l_shipmode) AS mode"
        " FROM lineitem WHERE l_quantity > 10",
        made=True,
    ),
    "CREATE TABLE AS, lines with order and customer": Case(
        "made",
        "CREATE TABLE made AS SELECT l_orderkey, l_linenumber, l_extendedprice, o_orderdate, c_name, c_mktsegment"
        " FROM lineitem JOIN orders ON o_orderkey = l_orderkey JOIN customer ON c_custkey = o_custkey"
        " WHERE l_quantity > 40",
        made=True,
    ),
    "DELETE, lines of large orders": Case(
        "lineitem",
        "DELETE FROM lineitem WHERE l_orderkey IN"
        " (SELECT l_orderkey FROM lineitem GROUP BY l_orderkey HAVING sum(l_quantity) > 150)",
    ),
    "UPDATE, two columns of some lines": Case(
        "lineitem",
        "UPDATE lineitem SET l_comment = upper(l_comment), l_discount = l_discount / 2 WHERE l_quantity > 25"
        " AND l_partkey IN (SELECT p_partkey FROM part WHERE p_size < 10)",
    ),
    "DELETE, 90% of lineitem": Case("lineitem", "DELETE FROM lineitem WHERE l_quantity > 5"),
    "UPDATE, one column of lineitem": Case("lineitem", "UPDATE lineitem SET l_tax = l_tax + 0.01"),
    "DELETE FROM lineitem": Case("lineitem", "DELETE FROM lineitem", query=False),
    "DELETE, 90% of orders, the others have children": Case(
        "orders",
        "DELETE FROM orders WHERE o_orderkey % 10",
        "DELETE FROM lineitem WHERE l_orderkey % 10",
    ),
    "DELETE, 90% of orders, refused for their children": Case(
        "orders", "DELETE FROM orders WHERE o_orderkey % 10", fails=True
    ),
}


def prepare(connection: Any, case: Case) -> int:
    """What comes before; gives how many rows the table has."""
    if case.before == "keys":
        ddl = connection.execute("SELECT sql FROM sqlite_master WHERE name = 'lineitem'").fetchone()[0]
        connection.execute("CREATE TABLE copy" + ddl[ddl.index("(") :])
    elif case.before is not None:
        connection.execute(case.before)
    connection.execute("SELECT * FROM lineitem LIMIT 1").fetchall()
    rows = 0 if case.made else connection.execute(f"SELECT count(*) FROM {case.table}").fetchone()[0]
    return int(rows)


def vectorised(connection: Any) -> int:
    """How many queries were vectorised so far."""
    return int(connection.execute("PRAGMA vectorized_stats").fetchone()[2])


def child(contender: str, db: Path, case: Case) -> dict[str, float]:
    """One run, in this process."""
    module = __import__(contender)
    connection = module.connect(str(db), isolation_level=None)
    connection.execute("PRAGMA foreign_keys = on")
    rows = prepare(connection, case)
    before = vectorised(connection) if contender == "colonnade" else 0
    put = chunks(connection, contender)
    forget_peak()
    resting = resident("VmRSS")
    started, cpu = time.perf_counter(), time.process_time()
    changed = run(module, connection, case)
    seconds, cpu = time.perf_counter() - started, time.process_time() - cpu
    figures = {"seconds": seconds, "cpu": cpu, "growth_mb": resident("VmHWM") - resting, "changed": changed}
    if contender == "colonnade" and case.query and not case.fails and vectorised(connection) == before:
        raise SystemExit(f"not vectorised: {connection.execute('PRAGMA vectorized_stats').fetchall()}")
    left = connection.execute(f"SELECT count(*) FROM {case.table}").fetchone()[0]
    if case.made:
        changed = figures["changed"] = left
    added = {"U": 0, "D": -changed}.get(case.statement[0], changed)
    if left != rows + added or bool(changed) == case.fails:
        raise SystemExit(f"{contender}: {changed} rows changed of {rows}, {left} are left")
    figures["chunks"] = chunks(connection, contender) - put
    if contender == "colonnade":
        report = connection.execute(f"PRAGMA storage_report({case.table})")
        names = [column[0] for column in report.description]
        figures["row_part"] = dict(zip(names, report.fetchone(), strict=True))["row_part_rows"]
    return figures


def run(module: Any, connection: Any, case: Case) -> int:
    """The statement and its COMMIT; gives how many rows it changed."""
    connection.execute("BEGIN")
    try:
        changed = int(connection.execute(case.statement).rowcount)
    except module.IntegrityError:
        changed = 0
    connection.execute("COMMIT")
    return changed


def chunks(connection: Any, contender: str) -> int:
    """Column chunks put and freed so far."""
    if contender == "sqlite3":
        return 0
    total = {
        figure: value
        for table, phase, figure, value in connection.execute("PRAGMA pager_stats")
        if table is None and phase is None
    }
    return int(total["chunks_put"] + total["chunks_freed"])


def in_own_process(contender: str, name: str, source: Path, scratch: Path, scale: float) -> dict[str, float]:
    db = scratch / f"{contender}-run.db"
    shutil.copy(source, db)
    command = [
        sys.executable,
        __file__,
        "--one",
        contender,
        "--only",
        name,
        "--db",
        db,
        "--scale",
        f"{scale:g}",
    ]
    done = subprocess.run(command, capture_output=True, text=True)
    for left in scratch.glob(f"{contender}-run.db*"):
        left.unlink()
    if done.returncode:
        raise SystemExit(f"{contender}, {name}:\n{done.stderr}")
    figures: dict[str, float] = json.loads(done.stdout)
    return figures


def compare(options: argparse.Namespace, scratch: Path) -> None:
    kept = options.keep or scratch
    kept.mkdir(parents=True, exist_ok=True)
    for contender in CONTENDERS:
        if not (kept / f"{contender}.db").exists():
            load(contender, options.data, kept / f"{contender}.db")
    print(
        f"TPC-H scale {options.scale:g}, {len(os.sched_getaffinity(0))} cores, {options.taken} of {options.runs}\n"
    )
    print("| | rows changed | s | CPU s | grew by, MB | chunks | row part | sqlite3 s | CPU s | CPU / ours |")
    print("| --- " * 10 + "|")
    taken = {"medians": statistics.median, "best": min}[options.taken]
    for name in options.only or CASES:
        found: dict[str, list[dict[str, float]]] = {contender: [] for contender in CONTENDERS}
        for _ in range(options.runs):
            for contender in CONTENDERS:
                found[contender].append(
                    in_own_process(contender, name, kept / f"{contender}.db", scratch, options.scale)
                )
        ours, theirs = (
            {figure: taken(run[figure] for run in runs) for figure in runs[0]} for runs in found.values()
        )
        print(
            f"| {name} | {ours['changed']:,.0f} | {ours['seconds']:.2f} | {ours['cpu']:.2f} |"
            f" {ours['growth_mb']:.0f} | {ours['chunks']:.0f} | {ours['row_part']:.0f} |"
            f" {theirs['seconds']:.2f} | {theirs['cpu']:.2f} | {theirs['cpu'] / ours['cpu']:.1f} |",
            flush=True,
        )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--scale", type=float, default=1)
    parser.add_argument("--data", type=Path, help="folder with the .tbl files (default: generated)")
    parser.add_argument(
        "--keep", type=Path, help="folder for the loaded databases (default: a temporary one)"
    )
    parser.add_argument("--runs", type=int, default=1, help="measurements")
    parser.add_argument("--taken", choices=("medians", "best"), default="medians", help="what counts of them")
    parser.add_argument("--only", action="append", choices=list(CASES), help="may be given several times")
    parser.add_argument("--one", choices=CONTENDERS, help=argparse.SUPPRESS)
    parser.add_argument("--db", type=Path, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.one:
        case = CASES[options.only[0]]
        case = replace(case, statement=case.statement.replace(":scale", f"{options.scale:g}"))
        print(json.dumps(child(options.one, options.db, case)))
        return
    if options.data is None:
        options.data = Path(__file__).resolve().parents[1] / "data" / f"tpch-{options.scale:g}"
    if not (options.data / "lineitem.tbl").exists():
        generate(options.data, options.scale)
    with tempfile.TemporaryDirectory() as scratch:
        compare(options, Path(scratch))


if __name__ == "__main__":
    main()
