"""Load TPC-H with all its keys: Colonnade beside DuckDB and sqlite3, each a whole process.

    python benchmarks/load.py --scale 1 --peers duckdb,duckdb-nokeys,duckdb-then-sql,sqlite3 --runs 3

Prints seconds, peak resident memory and file size as medians, and ratios to Colonnade; the floor is the
same files only parsed by pyarrow on all cores, results thrown away. Each run is a fresh process on a
fresh database; the runs of the contenders alternate, so that a slow minute of the machine hits all.
"""

from __future__ import annotations

import argparse
import compileall
import json
import os
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from importlib import import_module
from pathlib import Path

from colonnade.loader.tpch import TPCH_DDL, TPCH_TABLES, generate

PEERS = ("duckdb", "duckdb-nokeys", "duckdb-then-sql", "sqlite3")
DEFAULT = ("floor", "colonnade", *PEERS)


def floor(folder: Path, db: Path) -> None:
    """Only parse: typed columns, 8 MB pieces at line ends, one thread a core."""
    from collections import deque
    from concurrent.futures import Future, ThreadPoolExecutor

    import pyarrow as pa
    import pyarrow.csv as pcsv

    integer, real, text, date = pa.int64(), pa.float64(), pa.string(), pa.date32()
    types = {
        "region": [integer, text, text],
        "nation": [integer, text, integer, text],
        "part": [integer, text, text, text, text, integer, text, real, text],
        "supplier": [integer, text, text, integer, text, real, text],
        "partsupp": [integer, integer, integer, real, text],
        "customer": [integer, text, text, integer, text, real, text, text],
        "orders": [integer, integer, text, real, date, text, text, integer, text],
        "lineitem": [*[integer] * 4, *[real] * 4, text, text, date, date, date, text, text, text],
    }

    def parse(piece: bytes, columns: dict[str, pa.DataType]) -> int:
        table = pcsv.read_csv(
            pa.BufferReader(piece),
            pcsv.ReadOptions(use_threads=False, block_size=len(piece) + 1, column_names=[*columns, "end"]),
            pcsv.ParseOptions(delimiter="|", quote_char=False),
            pcsv.ConvertOptions(column_types=columns, include_columns=list(columns), null_values=[]),
        )
        return int(table.num_rows)

    cores = len(os.sched_getaffinity(0))
    with ThreadPoolExecutor(cores) as pool:
        for name in TPCH_TABLES:
            columns = {f"c{i}": kind for i, kind in enumerate(types[name])}
            running: deque[Future[int]] = deque()
            for piece in pieces(folder / f"{name}.tbl"):
                running.append(pool.submit(parse, piece, columns))
                if len(running) > cores + 1:
                    running.popleft().result()
            for parsed in running:
                parsed.result()


def pieces(path: Path, size: int = 8 << 20) -> Iterator[bytes]:
    with path.open("rb", buffering=0) as file:
        rest = b""
        while block := file.read(size):
            cut = block.rfind(b"\n") + 1
            yield rest + block[:cut]
            rest = block[cut:]
        if rest:
            yield rest


def colonnade(folder: Path, db: Path, *more: str) -> None:
    """The command line's own load."""
    from colonnade.cli import run_program

    schema = db.with_suffix(".sql")
    schema.write_text(TPCH_DDL)
    sys.argv = ["colonnade", "load", str(db), "--schema", str(schema), "--json", *more, str(folder)]
    run_program()


def colonnade_checked(folder: Path, db: Path) -> None:
    """The same with bulk load off: keys are looked up piece by piece before rows are stored."""
    colonnade(folder, db, "--no-bulk-load")


def constraint_check(folder: Path, db: Path) -> None:
    """All keys of the loaded database, which lies in `folder`, once more."""
    import colonnade as driver

    connection = driver.connect(str(folder / "colonnade.db"))
    assert connection.execute("PRAGMA constraint_check").fetchall() == []


def rows_of(path: Path) -> Iterator[list[str]]:
    with path.open(encoding="utf-8") as file:
        for line in file:
            yield line.rstrip("\n").split("|")[:-1]


def executemany_load(connect: Callable[[str], object], folder: Path, db: Path, first: list[str]) -> None:
    connection = connect(str(db))
    for statement in first:
        connection.execute(statement)  # type: ignore[attr-defined]
    connection.executescript(TPCH_DDL)  # type: ignore[attr-defined]
    for name in TPCH_TABLES:
        width = len(next(rows_of(folder / f"{name}.tbl")))
        marks = ",".join("?" * width)
        connection.executemany(f"INSERT INTO {name} VALUES ({marks})", rows_of(folder / f"{name}.tbl"))  # type: ignore[attr-defined]
        connection.commit()  # type: ignore[attr-defined]
    connection.close()  # type: ignore[attr-defined]


def colonnade_executemany(folder: Path, db: Path) -> None:
    """The same rows through plain DB-API in bulk mode."""
    import colonnade as driver

    first = ["PRAGMA foreign_keys=on", "PRAGMA bulk_load=on"]
    executemany_load(driver.connect, folder, db, first)


def sqlite3(folder: Path, db: Path) -> None:
    """The standard library: split lines, executemany, one transaction a table, all keys."""
    import sqlite3 as driver

    executemany_load(driver.connect, folder, db, ["PRAGMA foreign_keys=on"])


def duckdb(folder: Path, db: Path, keys: bool = True) -> object:
    """COPY with the same DDL, with or without its keys."""
    import duckdb as driver

    ddl = TPCH_DDL if keys else without_keys(TPCH_DDL)
    connection = driver.connect(str(db))
    connection.execute(ddl)
    for name in TPCH_TABLES:
        connection.execute(f"COPY {name} FROM '{folder / name}.tbl' (DELIMITER '|', HEADER false)")
    connection.execute("CHECKPOINT")
    return connection


def without_keys(ddl: str) -> str:
    kept = [line for line in ddl.splitlines() if not line.strip().startswith(("PRIMARY", "FOREIGN"))]
    return "\n".join(kept).replace(",\n);", "\n);")


def duckdb_nokeys(folder: Path, db: Path) -> None:
    duckdb(folder, db, keys=False)


def duckdb_then_sql(folder: Path, db: Path) -> None:
    """Without keys, then each key checked by a query."""
    connection = duckdb(folder, db, keys=False)
    for query in key_queries():
        assert connection.execute(query).fetchone()[0] == 0, query  # type: ignore[attr-defined]


def key_queries() -> Iterator[str]:
    import re

    for table, body in re.findall(r"CREATE TABLE (\w+) \((.*?)\n\);", TPCH_DDL, re.DOTALL):
        for key in re.findall(r"PRIMARY KEY \((.*?)\)", body):
            yield f"SELECT count(*) FROM (SELECT {key} FROM {table} GROUP BY {key} HAVING count(*) > 1)"
        for child, parent, parent_key in re.findall(
            r"FOREIGN KEY \((.*?)\) REFERENCES (\w+) \((.*?)\)", body
        ):
            pairs = zip(child.split(", "), parent_key.split(", "), strict=True)
            on = " AND ".join(f"c.{a} = p.{b}" for a, b in pairs)
            yield f"SELECT count(*) FROM {table} c ANTI JOIN {parent} p ON {on}"


CONTENDERS: dict[str, Callable[[Path, Path], object]] = {
    "floor": floor,
    "colonnade": colonnade,
    "colonnade-executemany": colonnade_executemany,
    "colonnade-checked": colonnade_checked,
    "constraint-check": constraint_check,
    "duckdb": duckdb,
    "duckdb-nokeys": duckdb_nokeys,
    "duckdb-then-sql": duckdb_then_sql,
    "sqlite3": sqlite3,
}


def run_one(name: str, folder: Path) -> dict[str, float]:
    """A fresh process: seconds and peak memory of everything it does, interpreter start included."""
    with tempfile.TemporaryDirectory(dir=folder.parent) as scratch:
        db = Path(scratch) / "tpch.db"
        command = [sys.executable, __file__, "--child", name, "--data", str(folder), "--db", str(db)]
        started = time.perf_counter()
        process = subprocess.Popen(command, stdout=subprocess.DEVNULL)
        _, status, usage = os.wait4(process.pid, 0)
        seconds = time.perf_counter() - started
        process.returncode = status
        if status:
            raise SystemExit(f"{name} failed with status {status}")
        size = sum(p.stat().st_size for p in Path(scratch).iterdir() if p.suffix != ".sql")
    cpu = usage.ru_utime + usage.ru_stime
    return {"seconds": seconds, "cpu": cpu, "rss_mb": usage.ru_maxrss / 1024, "file_mb": size / 1e6}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--scale", type=float, default=1)
    parser.add_argument("--data", type=Path, help="folder with the .tbl files (default: generated)")
    parser.add_argument("--peers", default=",".join(PEERS))
    parser.add_argument("--runs", type=int, default=1)
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--child", choices=CONTENDERS, help=argparse.SUPPRESS)
    parser.add_argument("--db", type=Path, help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.child:
        CONTENDERS[args.child](args.data, args.db)
        return
    folder = args.data or Path(__file__).resolve().parents[1] / "data" / f"tpch-{args.scale:g}"
    if not (folder / "lineitem.tbl").exists():
        generate(folder, args.scale)
    # As pip does when it installs; a checkout would compile its modules at each start where Python writes none.
    for module in ("colonnade", "colonnade.loader", "colonnade.sql", "colonnade.store"):
        compileall.compile_dir(Path(import_module(module).__path__[0]), quiet=2)
    names = ["floor", "colonnade", "colonnade-executemany", *filter(None, args.peers.split(","))]
    results: dict[str, list[dict[str, float]]] = {name: [] for name in names}
    for _ in range(args.runs):
        for name in names:
            results[name].append(run_one(name, folder))
    medians = {
        name: {figure: statistics.median(run[figure] for run in runs) for figure in runs[0]}
        for name, runs in results.items()
    }
    if args.json:
        print(json.dumps(medians, indent=1))
        return
    ours = medians["colonnade"]["seconds"]
    print(f"TPC-H scale {args.scale:g}, {len(os.sched_getaffinity(0))} cores, medians of {args.runs}")
    print(f"{'':24}{'seconds':>10}{'cpu s':>10}{'peak MB':>10}{'file MB':>10}{'time / ours':>13}")
    for name, row in medians.items():
        print(
            f"{name:24}{row['seconds']:10.2f}{row['cpu']:10.2f}{row['rss_mb']:10.0f}"
            f"{row['file_mb']:10.0f}{row['seconds'] / ours:13.2f}"
        )


if __name__ == "__main__":
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    main()
