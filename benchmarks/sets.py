"""Statements that change most rows of a table: Colonnade in column format, beside sqlite3, on the loaded TPC-H.

    python benchmarks/sets.py --scale 1 [--runs 3] [--only NAME]...

Each run is a process of its own on a copy of a database loaded before, with all keys, which are enforced. What a case
needs to be so beforehand is not measured. Seconds and CPU are those of the statement and its COMMIT; memory is the
peak of the process less what it held before, to be compared with PRAGMA memory_limit (128 MB). "chunks" are column
chunks put and freed; "row part" is how many rows of the table are in the row part afterwards: none should be.
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
from dataclasses import dataclass
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
    """

    table: str
    statement: str
    before: str | None = None
    fails: bool = False


CASES = {
    "DELETE, 90% of lineitem": Case("lineitem", "DELETE FROM lineitem WHERE l_quantity > 5"),
    "UPDATE, one column of lineitem": Case("lineitem", "UPDATE lineitem SET l_tax = l_tax + 0.01"),
    "DELETE FROM lineitem": Case("lineitem", "DELETE FROM lineitem"),
    "DELETE, 90% of orders, the others have children": Case(
        "orders",
        "DELETE FROM orders WHERE o_orderkey % 10",
        "DELETE FROM lineitem WHERE l_orderkey % 10",
    ),
    "DELETE, 90% of orders, refused for their children": Case(
        "orders", "DELETE FROM orders WHERE o_orderkey % 10", fails=True
    ),
}


def child(contender: str, db: Path, case: Case) -> dict[str, float]:
    """One run, in this process."""
    module = __import__(contender)
    connection = module.connect(str(db), isolation_level=None)
    connection.execute("PRAGMA foreign_keys = on")
    if case.before is not None:
        connection.execute(case.before)
    connection.execute(f"SELECT * FROM {case.table} LIMIT 1").fetchall()
    rows = connection.execute(f"SELECT count(*) FROM {case.table}").fetchone()[0]
    put = chunks(connection, contender)
    forget_peak()
    resting = resident("VmRSS")
    started, cpu = time.perf_counter(), time.process_time()
    changed = run(module, connection, case)
    seconds, cpu = time.perf_counter() - started, time.process_time() - cpu
    figures = {"seconds": seconds, "cpu": cpu, "growth_mb": resident("VmHWM") - resting, "changed": changed}
    left = connection.execute(f"SELECT count(*) FROM {case.table}").fetchone()[0]
    deleted = 0 if case.statement.startswith("UPDATE") else changed
    if left != rows - deleted or bool(changed) == case.fails:
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


def in_own_process(contender: str, name: str, source: Path, scratch: Path) -> dict[str, float]:
    db = scratch / f"{contender}-run.db"
    shutil.copy(source, db)
    command = [sys.executable, __file__, "--one", contender, "--only", name, "--db", db]
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
    print(f"TPC-H scale {options.scale:g}, {len(os.sched_getaffinity(0))} cores, medians of {options.runs}\n")
    print("| | rows changed | s | CPU s | grew by, MB | chunks | row part | sqlite3 s | CPU s | CPU / ours |")
    print("| --- " * 10 + "|")
    for name in options.only or CASES:
        found: dict[str, list[dict[str, float]]] = {contender: [] for contender in CONTENDERS}
        for _ in range(options.runs):
            for contender in CONTENDERS:
                found[contender].append(in_own_process(contender, name, kept / f"{contender}.db", scratch))
        ours, theirs = (
            {figure: statistics.median(run[figure] for run in runs) for figure in runs[0]}
            for runs in found.values()
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
    parser.add_argument("--runs", type=int, default=1, help="measurements, of which the median counts")
    parser.add_argument("--only", action="append", choices=list(CASES), help="may be given several times")
    parser.add_argument("--one", choices=CONTENDERS, help=argparse.SUPPRESS)
    parser.add_argument("--db", type=Path, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.one:
        print(json.dumps(child(options.one, options.db, CASES[options.only[0]])))
        return
    if options.data is None:
        options.data = Path(__file__).resolve().parents[1] / "data" / f"tpch-{options.scale:g}"
    if not (options.data / "lineitem.tbl").exists():
        generate(options.data, options.scale)
    with tempfile.TemporaryDirectory() as scratch:
        compare(options, Path(scratch))


if __name__ == "__main__":
    main()
