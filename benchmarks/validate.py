"""What the validators cost: a million rows of keys, by type and order of the keys.

    python benchmarks/validate.py [--rows 2000000] [--memory-limit 48MB] [--runs 3]

For each kind of key a parent and a child are loaded, their rows in the order named, and then checked by PRAGMA
constraint_check in a process of its own: the uniqueness of the parent's PRIMARY KEY, and the child's FOREIGN KEY to
it, in another order of the same name. `nearly` is ascending with each key up to 1,000 places from where it belongs.
Seconds and CPU seconds are those of one million rows; memory is the peak of the process less what it held before,
`keys` what the validator held of keys at most; the path is how they were checked (PRAGMA constraint_stats).
"""

from __future__ import annotations

import argparse
import json
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from constraints import forget_peak, resident

KINDS = {"integer": "INT", "composite": "INT, b INT", "text": "TEXT", "blob": "BLOB"}
ORDERS = ("sorted", "nearly", "random")
CHECKS = {"unique": "alone", "foreign": "child"}


def numbers(order: str, rows: int, seed: int) -> Any:
    """0 to rows - 1 in an order."""
    import numpy as np

    rng = np.random.default_rng(seed)
    if order == "random":
        return rng.permutation(rows)
    ascending = np.arange(rows)
    return (
        ascending if order == "sorted" else np.argsort(ascending + rng.uniform(0, 1000, rows), kind="stable")
    )


def keys(kind: str, counted: Any) -> Any:
    """A key for each number, ascending with it and with gaps between the keys, as an Arrow table."""
    import numpy as np
    import pyarrow as pa
    import pyarrow.compute as pc

    if kind == "integer":
        return pa.table({"a": counted * 3})
    if kind == "composite":
        return pa.table({"a": counted // 7 * 3, "b": counted % 7})
    if kind == "text":
        digits = pc.utf8_lpad(pa.array(counted).cast(pa.string()), 10, "0")
        return pa.table({"a": pc.binary_join_element_wise("customer-", digits, "")})
    raw = np.zeros((len(counted), 2), ">u8")
    raw[:, 0], raw[:, 1] = counted * 2**40, np.uint64(11400714819323198485) * counted.astype(np.uint64)
    fixed = pa.FixedSizeBinaryArray.from_buffers(pa.binary(16), len(counted), [None, pa.py_buffer(raw)])
    return pa.table({"a": fixed.cast(pa.binary())})


def make(kind: str, order: str, rows: int, db: Path) -> None:
    """The tables to check: `alone` has the same rows as `parent`, and no child."""
    import colonnade

    names = "a, b" if kind == "composite" else "a"
    script = "".join(
        f"CREATE TABLE {table} (a {KINDS[kind]}, PRIMARY KEY ({names}));" for table in ("alone", "parent")
    )
    script += "CREATE TABLE warm (a INT PRIMARY KEY);"
    script += f"CREATE TABLE child (a {KINDS[kind]}, FOREIGN KEY ({names}) REFERENCES parent ({names}));"
    connection = colonnade.connect(str(db))
    parent, child = keys(kind, numbers(order, rows, 1)), keys(kind, numbers(order, rows, 2))
    report = connection.load(("alone", parent), ("parent", parent), ("child", child), script=script)
    assert report.committed
    connection.close()


def child(check: str, db: Path, limit: str) -> None:
    """One run, in this process; prints its figures."""
    import pyarrow as pa

    import colonnade

    pa.array([1])  # imports pandas, where it is installed
    connection = colonnade.connect(str(db))
    connection.execute(f"PRAGMA memory_limit = '{limit}'")
    connection.execute("PRAGMA constraint_check(warm)").fetchall()  # the modules are imported

    forget_peak()
    before = resident("VmRSS")
    started, cpu = time.perf_counter(), time.process_time()
    found = connection.execute(f"PRAGMA constraint_check({CHECKS[check]})").fetchall()
    seconds, cpu = time.perf_counter() - started, time.process_time() - cpu
    growth = resident("VmHWM") - before
    assert not found
    kind = "FOREIGN KEY" if check == "foreign" else "PRIMARY KEY"
    figures = next(row for row in connection.constraint_stats() if row["kind"] == kind)
    wanted = {name: figures[name] for name in ("path", "cache_peak", "spilled_bytes")}
    print(json.dumps({"seconds": seconds, "cpu": cpu, "growth_mb": growth, **wanted}))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--rows", type=int, default=2_000_000)
    parser.add_argument("--memory-limit", default="48MB")
    parser.add_argument("--kinds", default=",".join(KINDS))
    parser.add_argument("--runs", type=int, default=1)
    parser.add_argument("--child", choices=CHECKS, help=argparse.SUPPRESS)
    parser.add_argument("--db", type=Path, help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.child:
        child(args.child, args.db, args.memory_limit)
        return
    print(f"{args.rows:,} rows, memory limit {args.memory_limit}; a million rows, medians of {args.runs}")
    print(
        f"{'keys':10} {'order':7} {'check':8}{'seconds':>9}{'cpu s':>8}{'grew MB':>9}{'keys MB':>9}"
        f"{'spilled MB':>12}  path"
    )
    for kind in args.kinds.split(","):
        for order in ORDERS:
            with tempfile.TemporaryDirectory() as scratch:
                db = Path(scratch) / "keys.db"
                make(kind, order, args.rows, db)
                for check in CHECKS:
                    command = [sys.executable, __file__, "--child", check, "--db", db]
                    command += ["--memory-limit", args.memory_limit]
                    runs = [
                        json.loads(subprocess.run(command, check=True, capture_output=True).stdout)
                        for _ in range(args.runs)
                    ]
                    show((kind, order, check), args.rows / 1e6, runs)


def show(what: tuple[str, str, str], millions: float, runs: list[dict[str, Any]]) -> None:
    def median(name: str, unit: float = 1.0) -> float:
        return statistics.median(run[name] for run in runs) / unit

    kind, order, check = what
    print(
        f"{kind:10} {order:7} {check:8}{median('seconds', millions):9.3f}{median('cpu', millions):8.3f}"
        f"{median('growth_mb'):9.1f}{median('cache_peak', 1e6):9.1f}{median('spilled_bytes', 1e6):12.1f}"
        f"  {runs[0]['path']}",
        flush=True,
    )


if __name__ == "__main__":
    main()
