"""Add rows to the loaded TPC-H with every key checked at once: Colonnade with bulk load off, sqlite3, DuckDB.

    python benchmarks/constraints.py --scale 1 [--rows 100000] [--peers adbc,duckdb,sqlite3] [--runs 3] [--loads]

The rows are new lines of orders drawn at random, at the next line number, each with parts and suppliers of a pair
drawn at random from partsupp. sqlite3 and Colonnade get them as Python rows by executemany; DuckDB gets an Arrow
table that is there already, and so does Colonnade by adbc_ingest ("adbc"). Each run is a process of its own on a copy
of a database loaded before, with all keys. Seconds and CPU are those of the INSERT and its COMMIT; memory is the peak
of the process less what it held before. Rows read are keys of the four parents that were decoded or fetched, and a
probe is a row's key looked up in one of them.

With --loads whole loads of the command line follow, in turn: files only parsed, bulk load on, bulk load off, and PRAGMA
constraint_check of the loaded database; each a whole process, interpreter start included.
"""

from __future__ import annotations

import argparse
import json
import os
import pickle
import random
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from load import duckdb as load_duckdb
from load import executemany_load
from load import run_one as load_one

from colonnade.loader.tpch import TPCH_DDL, generate

PEERS = ("adbc", "duckdb", "sqlite3")
OF_COLONNADE = ("colonnade", "adbc")  # add to the same database
INSERT = f"INSERT INTO lineitem VALUES ({', '.join('?' * 16)})"


def new_rows(folder: Path, count: int) -> list[tuple[Any, ...]]:
    """The rows to add: new keys, and all else as in the first lines of lineitem."""
    import numpy as np
    import pyarrow.csv as pcsv

    def keys(name: str, columns: list[int]) -> list[Any]:
        width = len((folder / f"{name}.tbl").open().readline().split("|"))
        names = [f"c{i}" for i in range(width)]
        read = pcsv.ReadOptions(column_names=names)
        convert = pcsv.ConvertOptions(include_columns=[f"c{i}" for i in columns])
        parse = pcsv.ParseOptions(delimiter="|", quote_char=False)
        table = pcsv.read_csv(folder / f"{name}.tbl", read, parse, convert)
        return [column.to_numpy() for column in table.columns]

    choose = random.Random(7)
    orders, lines = np.unique(keys("lineitem", [0])[0], return_counts=True)
    open_orders = np.flatnonzero(lines < 7).tolist()
    parts, suppliers = keys("partsupp", [0, 1])
    rows: list[tuple[Any, ...]] = []
    with (folder / "lineitem.tbl").open() as file:
        for at in choose.sample(open_orders, count):
            old = file.readline().split("|")
            pair = choose.randrange(len(parts))
            key = int(orders[at]), int(parts[pair]), int(suppliers[pair]), int(lines[at]) + 1
            rows.append((*key, *map(float, old[4:8]), *old[8:16]))
    return rows


def resident(kind: str) -> float:
    """Megabytes: VmRSS now, VmHWM at most since `forget_peak`."""
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith(kind):
            return int(line.split()[1]) / 1000
    raise LookupError(kind)


def forget_peak() -> None:
    Path("/proc/self/clear_refs").write_text("5")


def add_with(module: Any, db: Path, rows: list[tuple[Any, ...]]) -> Callable[[], Any]:
    """The connection opened and used once; the work still to be done."""
    connection = module.connect(str(db))
    connection.execute("PRAGMA foreign_keys = on")
    connection.execute("SELECT count(*) FROM lineitem WHERE l_orderkey = ?", rows[0][:1]).fetchall()

    def work() -> Any:
        connection.executemany(INSERT, rows)
        connection.commit()
        return connection

    return work


def colonnade(db: Path, rows: list[tuple[Any, ...]]) -> Callable[[], Any]:
    import colonnade as driver

    return add_with(driver, db, rows)


def sqlite3(db: Path, rows: list[tuple[Any, ...]]) -> Callable[[], Any]:
    import sqlite3 as driver

    return add_with(driver, db, rows)


def adbc(db: Path, rows: list[tuple[Any, ...]]) -> Callable[[], Any]:
    import colonnade as driver

    connection = driver.connect(str(db))
    connection.execute("PRAGMA foreign_keys = on")
    cursor = connection.execute("SELECT * FROM lineitem WHERE l_orderkey = ?", rows[0][:1])
    fresh = arrow_table(rows, [column[0] for column in cursor.description])
    cursor.fetchall()

    def work() -> Any:
        cursor.adbc_ingest("lineitem", fresh, "append")
        connection.commit()
        return connection

    return work


def arrow_table(rows: list[tuple[Any, ...]], names: list[str]) -> Any:
    import pyarrow as pa

    return pa.table([pa.array(column) for column in zip(*rows, strict=True)], names=names)


def duckdb(db: Path, rows: list[tuple[Any, ...]]) -> Callable[[], Any]:
    import duckdb as driver

    connection = driver.connect(str(db))
    connection.register("fresh", arrow_table(rows, [f"c{i}" for i in range(len(rows[0]))]))
    connection.execute("SELECT count(*) FROM lineitem WHERE l_orderkey = ?", rows[0][:1]).fetchall()
    return lambda: connection.execute("INSERT INTO lineitem SELECT * FROM fresh")


CONTENDERS = {"colonnade": colonnade, "adbc": adbc, "duckdb": duckdb, "sqlite3": sqlite3}


def load(name: str, folder: Path, db: Path) -> None:
    """The database of one contender, with all keys."""
    if name == "duckdb":
        load_duckdb(folder, db)
    elif name == "sqlite3":
        import sqlite3 as driver

        executemany_load(driver.connect, folder, db, ["PRAGMA foreign_keys=on"])
    else:
        schema = db.with_suffix(".sql")
        schema.write_text(TPCH_DDL)
        program = [sys.executable, "-c", "from colonnade.cli import run_program; run_program()"]
        command = [*program, "load", db, "--schema", schema, "--json", folder]
        subprocess.run(command, check=True, stdout=subprocess.DEVNULL)


def child(name: str, db: Path, rows_file: Path) -> None:
    """One run, in this process; prints its figures."""
    rows = pickle.loads(rows_file.read_bytes())
    work = CONTENDERS[name](db, rows)
    forget_peak()
    before = resident("VmRSS")
    started, cpu = time.perf_counter(), time.process_time()
    connection = work()
    seconds, cpu = time.perf_counter() - started, time.process_time() - cpu
    figures = {"seconds": seconds, "cpu": cpu, "growth_mb": resident("VmHWM") - before}
    figures["kept_mb"] = resident("VmRSS") - before
    if name in OF_COLONNADE:
        cursor = connection.execute("PRAGMA constraint_stats")
        names = [column[0] for column in cursor.description]
        stats = [dict(zip(names, row, strict=True)) for row in cursor]
        for figure in ("parent_rows_read", "index_probes"):
            figures[figure] = sum(row[figure] for row in stats if row["parent"] is not None)
    print(json.dumps(figures))


def run_one(name: str, source: Path, rows_file: Path, scratch: Path) -> dict[str, float]:
    db = scratch / f"{name}-run.db"
    shutil.copy(source, db)
    command = [sys.executable, __file__, "--child", name, "--db", db, "--rows-file", rows_file]
    done = subprocess.run(command, check=True, capture_output=True, text=True)
    for left in scratch.glob(f"{name}-run.db*"):
        left.unlink()
    figures: dict[str, float] = json.loads(done.stdout)
    return figures


LOADS = ("floor", "colonnade", "colonnade-checked", "constraint-check")


def whole_loads(runs: int, folder: Path, kept: Path) -> dict[str, dict[str, float]]:
    """Medians of whole processes, by name."""
    results: dict[str, list[dict[str, float]]] = {name: [] for name in LOADS}
    for _ in range(runs):
        for name in LOADS:
            results[name].append(load_one(name, kept if name == "constraint-check" else folder))
    return {
        name: {figure: statistics.median(run[figure] for run in runs) for figure in ("seconds", "cpu")}
        for name, runs in results.items()
    }


def show_loads(loads: dict[str, dict[str, float]]) -> None:
    print(f"{'':20}{'seconds':>10}{'cpu s':>10}")
    for name, row in loads.items():
        print(f"{name:20}{row['seconds']:10.2f}{row['cpu']:10.2f}")
    pairs = (("colonnade", "floor"), ("colonnade-checked", "colonnade"), ("constraint-check", "colonnade"))
    for name, base in pairs:
        ratios = (loads[name][figure] / loads[base][figure] for figure in ("seconds", "cpu"))
        print(f"{name} / {base}: {next(ratios):.2f}, of CPU time {next(ratios):.2f}")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--scale", type=float, default=1)
    parser.add_argument("--rows", type=int, default=100_000)
    parser.add_argument("--data", type=Path, help="folder with the .tbl files (default: generated)")
    parser.add_argument("--peers", default=",".join(PEERS))
    parser.add_argument("--runs", type=int, default=1)
    parser.add_argument(
        "--keep", type=Path, help="folder for the loaded databases (default: a temporary one)"
    )
    parser.add_argument("--loads", action="store_true", help="compare whole loads too")
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--child", choices=CONTENDERS, help=argparse.SUPPRESS)
    parser.add_argument("--db", type=Path, help=argparse.SUPPRESS)
    parser.add_argument("--rows-file", type=Path, help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.child:
        child(args.child, args.db, args.rows_file)
        return
    folder = args.data or Path(__file__).resolve().parents[1] / "data" / f"tpch-{args.scale:g}"
    if not (folder / "lineitem.tbl").exists():
        generate(folder, args.scale)
    names = ["colonnade", *filter(None, args.peers.split(","))]
    results: dict[str, list[dict[str, float]]] = {name: [] for name in names}
    with tempfile.TemporaryDirectory() as temporary:
        scratch = Path(temporary)
        kept = args.keep or scratch
        kept.mkdir(parents=True, exist_ok=True)
        rows_file = scratch / "rows.pickle"
        rows_file.write_bytes(pickle.dumps(new_rows(folder, args.rows)))
        stored = {name: kept / f"{'colonnade' if name in OF_COLONNADE else name}.db" for name in names}
        for name, database in stored.items():
            if not database.exists():
                load(name, folder, database)
        for _ in range(args.runs):
            for name in names:
                results[name].append(run_one(name, stored[name], rows_file, scratch))
        loads = whole_loads(args.runs, folder, kept) if args.loads else {}
    medians = {
        name: {figure: statistics.median(run[figure] for run in runs) for figure in runs[0]}
        for name, runs in results.items()
    }
    if args.json:
        print(json.dumps(medians | loads, indent=1))
        return
    show(args, medians)
    if args.loads:
        show_loads(loads)


def show(args: argparse.Namespace, medians: dict[str, dict[str, float]]) -> None:
    ours = medians["colonnade"]
    cores = len(os.sched_getaffinity(0))
    print(f"{args.rows} rows into lineitem at scale {args.scale:g}, {cores} cores, medians of {args.runs}")
    print(
        f"{'':12}{'seconds':>10}{'cpu s':>10}{'grew MB':>10}{'kept MB':>10}{'time / ours':>13}{'cpu / ours':>12}"
    )
    for name, row in medians.items():
        print(
            f"{name:12}{row['seconds']:10.2f}{row['cpu']:10.2f}{row['growth_mb']:10.1f}{row['kept_mb']:10.1f}"
            f"{row['seconds'] / ours['seconds']:13.2f}{row['cpu'] / ours['cpu']:12.2f}"
        )
    print(f"Colonnade: {ours['index_probes']:,.0f} probes, {ours['parent_rows_read']:,.0f} parent rows read")


if __name__ == "__main__":
    main()
