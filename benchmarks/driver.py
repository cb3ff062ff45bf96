"""The driver beside the standard library's sqlite3: throughput of ours divided by sqlite3's.

    python benchmarks/driver.py [--runs 5] [--only NAME]... [--rows-scale 1.0]

Every measurement is a fresh process; ours and sqlite3's alternate, and the ratio is that of the medians.
"""

from __future__ import annotations

import argparse
import random
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Any

TABLE = "CREATE TABLE t (id INTEGER PRIMARY KEY, a INTEGER, b REAL, c TEXT, d TEXT)"
INSERT = "INSERT INTO t VALUES (?, ?, ?, ?, ?)"


@dataclass(frozen=True, slots=True)
class Setting:
    """What a measurement is given.

    driver  "colonnade" or "sqlite3"
    rows    how many rows, queries or connections
    folder  for files, empty
    """

    driver: str
    rows: int
    folder: Path

    @property
    def module(self) -> ModuleType:
        return __import__(self.driver)

    @property
    def file(self) -> Path:
        return self.folder / "bench.db"


def row(i: int) -> tuple[int, int, float, str, str]:
    return i, i * 7 % 1000, i / 3, f"name {i % 5000}", "a short text"


def seconds(work: Callable[[], object]) -> float:
    start = time.perf_counter()
    work()
    return time.perf_counter() - start


def insert(setting: Setting) -> float:
    """One execute a row, inside one transaction."""
    db = setting.module.connect(setting.file)
    db.execute(TABLE)
    rows = [row(i) for i in range(setting.rows)]

    def work() -> None:
        execute = db.cursor().execute
        for values in rows:
            execute(INSERT, values)
        db.commit()

    return seconds(work)


def select(setting: Setting) -> float:
    """One row by its primary key, execute and fetchone."""
    db = setting.module.connect(setting.file)
    db.execute(TABLE)
    db.executemany(INSERT, map(row, range(100_000)))
    db.commit()
    keys = random.Random(1).choices(range(100_000), k=setting.rows)

    def work() -> None:
        cursor = db.cursor()
        for key in keys:
            cursor.execute("SELECT * FROM t WHERE id = ?", (key,)).fetchone()

    return seconds(work)


def executemany(setting: Setting) -> float:
    """One executemany into a table in row format, and COMMIT."""
    db = setting.module.connect(setting.file)
    db.execute(TABLE)
    rows = [row(i) for i in range(setting.rows)]

    def work() -> None:
        db.executemany(INSERT, rows)
        db.commit()

    return seconds(work)


def fetchall(setting: Setting) -> float:
    """SELECT of 5 columns and fetchall, from a table in row format."""
    db = setting.module.connect(setting.file)
    db.execute(TABLE)
    db.executemany(INSERT, map(row, range(setting.rows)))
    db.commit()
    return seconds(lambda: db.execute("SELECT * FROM t").fetchall())


def script(setting: Setting, *, bulk: bool = False) -> float:
    """executescript of as many INSERT statements, between BEGIN and COMMIT."""
    rows = map(row, range(setting.rows))
    text = "\n".join(f"INSERT INTO t VALUES ({i}, {a}, {b:.3f}, '{c}', '{d}');" for i, a, b, c, d in rows)
    db = setting.module.connect(setting.file)
    db.execute(TABLE)
    if bulk and setting.driver == "colonnade":
        db.execute("PRAGMA bulk_load = on")
    return seconds(lambda: db.executescript(f"BEGIN;\n{text}\nCOMMIT;"))


def script_bulk(setting: Setting) -> float:
    """The same script, ours with PRAGMA bulk_load = on."""
    return script(setting, bulk=True)


def connect(setting: Setting) -> float:
    """Connect to a file, the first query, close; the module is imported already."""
    module = setting.module
    db = module.connect(setting.file)
    db.execute(TABLE)
    db.close()

    def work() -> None:
        for _ in range(setting.rows):
            db = module.connect(setting.file)
            db.execute("SELECT count(*) FROM t").fetchone()
            db.close()

    return seconds(work)


def _engine(setting: Setting) -> Any:
    import sqlalchemy

    dialect = "colonnade" if setting.driver == "colonnade" else "sqlite"
    return sqlalchemy.create_engine(f"{dialect}:///{setting.file}")


def sqlalchemy_core(setting: Setting) -> float:
    """insertmanyvalues: INSERT … RETURNING of many rows."""
    import sqlalchemy as sa

    engine = _engine(setting)
    table = sa.Table(
        "t",
        sa.MetaData(),
        sa.Column("id", sa.Integer, primary_key=True),
        sa.Column("a", sa.Integer),
        sa.Column("b", sa.Float),
        sa.Column("c", sa.Text),
    )
    table.create(engine)
    rows = [dict(zip(("a", "b", "c"), row(i)[1:4], strict=True)) for i in range(setting.rows)]

    def work() -> None:
        with engine.begin() as connection:
            assert len(connection.execute(table.insert().returning(table.c.id), rows).all()) == len(rows)

    return seconds(work)


def sqlalchemy_orm(setting: Setting) -> float:
    """add_all and COMMIT; the database makes the keys."""
    import sqlalchemy as sa
    from sqlalchemy.orm import Session, declarative_base, mapped_column

    base: Any = declarative_base()

    class Thing(base):
        __tablename__ = "t"
        id = mapped_column(sa.Integer, primary_key=True)
        a = mapped_column(sa.Integer)
        b = mapped_column(sa.Float)
        c = mapped_column(sa.Text)

    engine = _engine(setting)
    base.metadata.create_all(engine)
    things = [Thing(a=values[1], b=values[2], c=values[3]) for values in map(row, range(setting.rows))]

    def work() -> None:
        with Session(engine) as session:
            session.add_all(things)
            session.commit()

    return seconds(work)


@dataclass(frozen=True, slots=True)
class Benchmark:
    """What is measured, on how many rows, and the ratio to reach."""

    measure: Callable[[Setting], float]
    rows: int
    target: float


BENCHMARKS = {
    "insert": Benchmark(insert, 200_000, 0.8),
    "select": Benchmark(select, 200_000, 0.8),
    "executemany": Benchmark(executemany, 100_000, 1.3),
    "fetchall": Benchmark(fetchall, 1_000_000, 1.5),
    "script": Benchmark(script, 1_000_000, 1.0),
    "script-bulk": Benchmark(script_bulk, 1_000_000, 2.0),
    "connect": Benchmark(connect, 500, 0.3),
    "sqlalchemy-core": Benchmark(sqlalchemy_core, 100_000, 1.0),
    "sqlalchemy-orm": Benchmark(sqlalchemy_orm, 100_000, 1.0),
}


def measured(name: str, driver: str, rows: int) -> float:
    """Seconds, measured in a process of its own."""
    command = [sys.executable, __file__, "--one", name, "--driver", driver, "--rows", str(rows)]
    run = subprocess.run(command, capture_output=True, text=True)
    if run.returncode:
        raise SystemExit(f"{name} on {driver} failed:\n{run.stderr}")
    return float(run.stdout)


def compare(name: str, rows: int, runs: int) -> None:
    ours, theirs = [], []
    for _ in range(runs):
        ours.append(measured(name, "colonnade", rows))
        theirs.append(measured(name, "sqlite3", rows))
    us, them = statistics.median(ours), statistics.median(theirs)
    target = BENCHMARKS[name].target
    met = "met" if them / us >= target else "missed"
    print(f"| {name} | {rows:,} | {us:.3f} | {them:.3f} | {them / us:.2f} | {target} | {met} |", flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        "--runs", type=int, default=3, help="measurements of each, of which the median counts"
    )
    parser.add_argument(
        "--only", action="append", choices=list(BENCHMARKS), help="may be given several times"
    )
    parser.add_argument("--rows-scale", type=float, default=1.0, help="factor for the numbers of rows")
    parser.add_argument("--one", choices=list(BENCHMARKS), help=argparse.SUPPRESS)
    parser.add_argument("--driver", help=argparse.SUPPRESS)
    parser.add_argument("--rows", type=int, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.one:
        with tempfile.TemporaryDirectory() as folder:
            setting = Setting(options.driver, options.rows, Path(folder))
            print(BENCHMARKS[options.one].measure(setting))
        return
    print("| what | rows | colonnade s | sqlite3 s | ratio of throughput | target | |")
    print("| --- | --- | --- | --- | --- | --- | --- |")
    for name in options.only or BENCHMARKS:
        compare(name, max(1, int(BENCHMARKS[name].rows * options.rows_scale)), options.runs)


if __name__ == "__main__":
    main()
