"""The 22 queries of TPC-H: Colonnade beside sqlite3 and DuckDB, each in a process of its own.

    python benchmarks/queries.py --scale 1 [--runs 1] [--only q01,q06] [--keep DIR] [--limit 60]

sqlite3 has indexes on every foreign key and ANALYZE; DuckDB its own file, without keys. All hold the same rows, with
the specification's column types. "Hot" is the better of a second and a third execution on one connection; "cold" is
the first one of a fresh process and connection, whose modules are imported already. Nothing is dropped from the
operating system's cache, so that cold means without what a connection remembers, not without what the machine does.
A query that takes sqlite3 longer than the limit counts as the limit: its sums and ratios are lower bounds then. What
takes more than 10 s runs once. The targets are about wall clock; on a machine with other work the CPU line says more.

Beside the queries: texts of one line (`others`), all rows of orders as Python tuples (`fetchall`) and as Arrow
(`fetch_arrow_table`), and a scan with a GROUP BY with `PRAGMA vectorized = off`, that is through the virtual table.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path

from colonnade.loader.tpch import TPCH_DDL, TPCH_TABLES, foreign_key_indexes, generate

QUERIES = {path.stem: path for path in sorted(Path(__file__).parent.glob("tpch/q*.sql"))}
CONTENDERS = ("colonnade", "sqlite3", "duckdb")
SCAN = "SELECT l_returnflag, sum(l_quantity), count(*) FROM lineitem GROUP BY 1"
_NOT_REPEATED = 10.0  # seconds: an execution that took longer is the only one
_LISTED = ", ".join(str(17 * number) for number in range(1000))
OTHERS = {
    "IN of 1,000 part keys": f"SELECT count(*), sum(l_quantity) FROM lineitem WHERE l_partkey IN ({_LISTED})",
    "IN of 1,000 prices": f"SELECT count(*) FROM lineitem WHERE l_extendedprice IN ({_LISTED})",
    "IN of 3 order keys": "SELECT l_quantity FROM lineitem WHERE l_orderkey IN (1920, 3840, 5760)",
    "10 highest prices, all columns": "SELECT * FROM lineitem ORDER BY l_extendedprice DESC LIMIT 10",
    "5 first comments": "SELECT l_orderkey, l_comment FROM lineitem ORDER BY l_comment LIMIT 5",
    "10 rows behind 5 million": "SELECT * FROM lineitem LIMIT 10 OFFSET 5000000",
    "max of a day": "SELECT max(l_shipdate) FROM lineitem",
    "max and min of texts": "SELECT max(l_comment), min(l_comment) FROM lineitem",
}
FETCH = "SELECT o_orderkey, o_totalprice, o_orderdate, o_orderpriority, o_comment FROM orders"


@dataclass(frozen=True, slots=True)
class Target:
    """What a figure is to be: at least or at most so much."""

    what: str
    bound: float
    at_most: bool

    def row(self, found: float | None) -> str:
        words = f"at {'most' if self.at_most else 'least'} {self.bound:g}"
        if found is None:
            return f"| {self.what} | {words} | - | not measured |"
        met = found <= self.bound if self.at_most else found >= self.bound
        return f"| {self.what} | {words} | {found:.2f} | {'met' if met else '**missed**'} |"


@dataclass(frozen=True, slots=True)
class Timed:
    """An execution: seconds of wall clock and of CPU, rows given; `stopped`: at the time limit."""

    seconds: float
    cpu: float
    rows: int
    stopped: bool = False


# --- the contenders' databases -------------------------------------------------------------------------------


def prepare_colonnade(folder: Path, path: Path) -> None:
    import colonnade

    connection = colonnade.connect(path)
    assert connection.load(folder, script=TPCH_DDL).committed
    connection.close()


def prepare_sqlite3(folder: Path, path: Path) -> None:
    import sqlite3

    database = sqlite3.connect(path)
    database.execute("PRAGMA journal_mode = off")
    database.executescript(TPCH_DDL)
    for table in TPCH_TABLES:
        with (folder / f"{table}.tbl").open(encoding="utf-8") as lines:
            marks = ",".join("?" * (next(lines).count("|")))
            lines.seek(0)
            rows = (line.rstrip("\n").split("|")[:-1] for line in lines)
            database.executemany(f"INSERT INTO {table} VALUES ({marks})", rows)
        database.commit()
    for statement in [*foreign_key_indexes(), "ANALYZE"]:
        database.execute(statement)
    database.commit()
    database.close()


def prepare_duckdb(folder: Path, path: Path) -> None:
    import duckdb

    lines = [line for line in TPCH_DDL.splitlines() if not line.strip().startswith(("PRIMARY", "FOREIGN"))]
    database = duckdb.connect(str(path))
    database.execute("\n".join(lines).replace(",\n);", "\n);"))
    for table in TPCH_TABLES:
        database.execute(f"COPY {table} FROM '{folder / table}.tbl' (DELIMITER '|', HEADER false)")
    database.execute("CHECKPOINT")
    database.close()


def prepared(contender: str, folder: Path, keep: Path) -> Path:
    """The contender's database, made unless it is kept from an earlier run."""
    path = keep / f"{contender}.db"
    if not path.exists():
        making = path.with_suffix(".making")
        making.unlink(missing_ok=True)
        {"colonnade": prepare_colonnade, "sqlite3": prepare_sqlite3, "duckdb": prepare_duckdb}[contender](
            folder, making
        )
        making.rename(path)
    return path


# --- one execution, in the contender's process --------------------------------------------------------------


def duckdb_text(text: str) -> str:
    """The query in DuckDB's dialect: dates are dates there."""
    import re

    text = re.sub(r"date\('([\d-]+)', '([+-]\d+) (\w+)'\)", r"(DATE '\1' + INTERVAL '\2' \3)", text)
    text = re.sub(r"strftime\('%Y', (\w+)\)", r"strftime(\1, '%Y')", text)
    return text.replace("substr(o_orderdate, 1, 4)", "strftime(o_orderdate, '%Y')")


def connected(contender: str, path: Path, limit: float) -> Callable[[str, str], Timed]:
    """Executes a text and fetches its result: "rows" as tuples, "arrow" as an Arrow table."""
    module = __import__(contender)
    if contender == "colonnade":  # leaves out what tables in column format need until there is one
        for name in ("columnside", "finding", "queries", "sql.route", "sql.select", "store.cursor"):
            __import__(f"colonnade.{name}")
        __import__("pyarrow").scalar(0)  # for which pyarrow imports pandas, where that is installed
    database = module.connect(str(path))
    started = [0.0]
    if contender == "sqlite3":
        database.set_progress_handler(lambda: int(time.perf_counter() - started[0] > limit), 100_000)

    def execute(text: str, form: str) -> Timed:
        cpu, started[0] = time.process_time(), time.perf_counter()
        stopped, count = False, 0
        try:
            cursor = database.execute(text)
            if form == "arrow":
                count = (
                    cursor.to_arrow_table() if contender == "duckdb" else cursor.fetch_arrow_table()
                ).num_rows
            else:
                count = len(cursor.fetchall())
        except module.Error as error:
            if "interrupted" not in str(error):
                raise
            stopped = True
        return Timed(time.perf_counter() - started[0], time.process_time() - cpu, count, stopped)

    return execute


def child(options: argparse.Namespace) -> None:
    """Runs one text `--times` times on one connection and prints each as JSON."""
    import gc

    text = sys.stdin.read()
    if options.child == "duckdb":
        text = duckdb_text(text)
    execute = connected(options.child, options.db, options.limit)
    if options.child == "colonnade" and options.virtual_table:
        execute("PRAGMA vectorized = off", "rows")
    runs = []
    for _ in range(options.times):
        runs.append(asdict(execute(text, options.form)))
        gc.collect()
        if runs[-1]["seconds"] > _NOT_REPEATED:
            break
    print(json.dumps(runs))


# --- measuring ------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Bench:
    """The databases by contender, and the limits."""

    paths: dict[str, Path]
    runs: int
    limit: float

    def timed(
        self, contender: str, text: str, times: int = 3, form: str = "rows", *flags: str
    ) -> list[Timed]:
        command = [sys.executable, __file__, "--child", contender, "--db", str(self.paths[contender])]
        command += ["--times", str(times), "--form", form, "--limit", str(self.limit), *flags]
        done = subprocess.run(command, input=text, capture_output=True, text=True, check=False)
        if done.returncode:
            raise SystemExit(f"{contender} failed:\n{text}\n{done.stderr}")
        return [Timed(**run) for run in json.loads(done.stdout)]

    def hot_and_cold(self, contender: str, text: str) -> tuple[Timed, Timed]:
        """The medians over the runs, each a process."""
        hot, cold = [], []
        for _ in range(self.runs):
            found = self.timed(contender, text)
            cold.append(found[0])
            hot.append(min(found[1:] or found, key=lambda run: run.seconds))
            if found[0].stopped:
                break
        return _median(hot), _median(cold)


def _median(runs: list[Timed]) -> Timed:
    return sorted(runs, key=lambda run: run.seconds)[(len(runs) - 1) // 2]


def _shown(run: Timed) -> str:
    return f">{run.seconds:.0f}" if run.stopped else f"{run.seconds:.3f}"


def queries(bench: Bench, names: list[str]) -> dict[str, float]:
    """A row a query, sums of seconds and of CPU seconds; returns the figures that have targets."""
    print(
        "| query | rows | colonnade hot s | cold s | sqlite3 s | DuckDB hot s | cold s | sqlite3 / hot |"
        " hot / DuckDB | cold / DuckDB |"
    )
    print("| --- " * 10 + "|")
    everything: list[tuple[Timed, ...]] = []
    for name in names:
        text = QUERIES[name].read_text(encoding="utf-8")
        found = {contender: bench.hot_and_cold(contender, text) for contender in bench.paths}
        rows = {runs[0].rows for runs in found.values() if not runs[0].stopped}
        if len(rows) != 1:
            raise SystemExit(f"{name}: the contenders give different numbers of rows: {found}")
        (ours, ours_cold), (theirs, _), (duck, duck_cold) = (found[contender] for contender in CONTENDERS)
        everything.append((ours, ours_cold, theirs, duck, duck_cold))
        print(_line(name, f"{rows.pop():,}", *everything[-1]), flush=True)
    total = [_sum(runs) for runs in zip(*everything, strict=True)]
    print(_line(f"sum of {len(names)}", "", *total))
    cpu = [Timed(run.cpu, run.cpu, 0) for run in total]
    print(_line("sum of CPU seconds", "", *cpu), end="\n\n")
    ours, ours_cold, theirs, duck, duck_cold = total
    return {
        "sqlite3's sum / ours, hot": theirs.seconds / ours.seconds,
        "our sum / DuckDB's, hot": ours.seconds / duck.seconds,
        "our sum / DuckDB's, cold": ours_cold.seconds / duck_cold.seconds,
        "queries slower than sqlite3": sum(runs[0].seconds > runs[2].seconds for runs in everything),
    }


def _sum(runs: tuple[Timed, ...]) -> Timed:
    return Timed(sum(run.seconds for run in runs), sum(run.cpu for run in runs), 0)


def _line(
    what: str, rows: str, ours: Timed, cold: Timed, theirs: Timed, duck: Timed, duck_cold: Timed
) -> str:
    shown = " | ".join(map(_shown, (ours, cold, theirs, duck, duck_cold)))
    return (
        f"| {what} | {rows} | {shown} | {theirs.seconds / ours.seconds:.1f} |"
        f" {ours.seconds / duck.seconds:.2f} | {cold.seconds / duck_cold.seconds:.2f} |"
    )


def reads(bench: Bench) -> dict[str, float]:
    """All rows as tuples and as Arrow, and the scan through the virtual table."""
    print("| what | colonnade s | CPU s | sqlite3 s | CPU s | DuckDB s | sqlite3 / colonnade |")
    print("| --- " * 7 + "|")

    def line(what: str, ours: Timed, theirs: Timed, duck: Timed | None = None) -> None:
        print(
            f"| {what} | {ours.seconds:.3f} | {ours.cpu:.3f} | {theirs.seconds:.3f} | {theirs.cpu:.3f} |"
            f" {'' if duck is None else _shown(duck)} | {theirs.seconds / ours.seconds:.2f} |",
            flush=True,
        )

    best = {contender: bench.hot_and_cold(contender, FETCH)[0] for contender in bench.paths}
    line(f"fetchall, {best['sqlite3'].rows:,} rows of 5 columns", *(best[name] for name in CONTENDERS))
    figures = {"sqlite3's fetchall / ours": best["sqlite3"].seconds / best["colonnade"].seconds}
    if _has_arrow():
        arrow = min(bench.timed("colonnade", FETCH, 3, "arrow")[1:], key=lambda run: run.seconds)
        duck = min(bench.timed("duckdb", FETCH, 3, "arrow")[1:], key=lambda run: run.seconds)
        line("the same as Arrow (sqlite3: fetchall)", arrow, best["sqlite3"], duck)
        figures["our fetchall / our fetch_arrow_table"] = best["colonnade"].seconds / arrow.seconds
    ours = [_median(bench.timed("colonnade", SCAN, 3, "rows", "--virtual-table")) for _ in range(bench.runs)]
    theirs = [_median(bench.timed("sqlite3", SCAN)) for _ in range(bench.runs)]
    line("GROUP BY through the virtual table", _median(ours), _median(theirs))
    figures["virtual table / sqlite3"] = statistics.median(
        a.seconds / b.seconds for a, b in zip(ours, theirs, strict=True)
    )
    print()
    return figures


def others(bench: Bench) -> None:
    """Texts of one line, that of the better of a second and a third execution."""
    print("| what | rows | colonnade s | sqlite3 s | DuckDB s | sqlite3 / colonnade |")
    print("| --- " * 6 + "|")
    for what, text in OTHERS.items():
        ours, theirs, duck = (bench.hot_and_cold(contender, text)[0] for contender in CONTENDERS)
        if ours.rows != theirs.rows and not theirs.stopped:
            raise SystemExit(f"{what}: {ours.rows} rows and {theirs.rows}")
        shown = " | ".join(map(_shown, (ours, theirs, duck)))
        print(f"| {what} | {ours.rows} | {shown} | {theirs.seconds / ours.seconds:.1f} |", flush=True)
    print()


def _has_arrow() -> bool:
    import colonnade

    return hasattr(colonnade.Cursor, "fetch_arrow_table")


TARGETS = (
    Target("sqlite3's sum / ours, hot", 30, at_most=False),
    Target("our sum / DuckDB's, hot", 2.5, at_most=True),
    Target("our sum / DuckDB's, cold", 3, at_most=True),
    Target("queries slower than sqlite3", 2, at_most=True),
    Target("sqlite3's fetchall / ours", 1, at_most=False),
    Target("our fetchall / our fetch_arrow_table", 10, at_most=False),
    Target("virtual table / sqlite3", 4, at_most=True),
)


def options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--scale", type=float, default=1)
    parser.add_argument("--data", type=Path, help="folder with the .tbl files (default: generated)")
    parser.add_argument("--keep", type=Path, help="folder for the databases, which later runs find there")
    parser.add_argument(
        "--runs", type=int, default=1, help="processes a query and contender: the median counts"
    )
    parser.add_argument("--only", default="", help="queries, with commas; none of them: `reads`, `others`")
    parser.add_argument("--limit", type=float, default=60, help="seconds that sqlite3 has for an execution")
    parser.add_argument("--child", choices=CONTENDERS, help=argparse.SUPPRESS)
    parser.add_argument("--db", type=Path, help=argparse.SUPPRESS)
    parser.add_argument("--times", type=int, help=argparse.SUPPRESS)
    parser.add_argument("--form", help=argparse.SUPPRESS)
    parser.add_argument("--virtual-table", action="store_true", help=argparse.SUPPRESS)
    return parser.parse_args()


def measure(args: argparse.Namespace, keep: Path) -> None:
    folder: Path = args.data or Path(__file__).resolve().parents[1] / "data" / f"tpch-{args.scale:g}"
    if not (folder / "lineitem.tbl").exists():
        generate(folder, args.scale)
    paths = {contender: prepared(contender, folder, keep) for contender in CONTENDERS}
    bench = Bench(paths, args.runs, args.limit)
    only = args.only.split(",") if args.only else [*QUERIES, "reads", "others"]
    names = [name for name in only if name not in ("reads", "others")]
    cores = len(os.sched_getaffinity(0))
    print(
        f"TPC-H scale {args.scale:g}, {cores} cores, medians of {args.runs}, sqlite3 limited to {args.limit:g} s\n"
    )
    figures = queries(bench, names) if names else {}
    if "reads" in only:
        figures |= reads(bench)
    if "others" in only:
        others(bench)
    print("| figure | target | found | |\n| --- | --- | --- | --- |")
    for target in TARGETS:
        print(target.row(figures.get(target.what)))


def main() -> None:
    args = options()
    if args.child:
        child(args)
    elif args.keep:
        args.keep.mkdir(parents=True, exist_ok=True)
        measure(args, args.keep)
    else:
        with tempfile.TemporaryDirectory() as keep:
            measure(args, Path(keep))


if __name__ == "__main__":
    main()
