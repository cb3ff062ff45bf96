"""What a load keeps for a constraint is gone when its table ends: by the counters, and by what is really allocated."""

from __future__ import annotations

import gc
import os
import tempfile
import tracemalloc
from pathlib import Path

import pandas  # noqa: F401 - here, as tracing makes imports slow
import pyarrow as pa
import pytest

import colonnade
from colonnade.loader.load import load_files
from colonnade.loader.options import LoadOptions
from colonnade.loader.stats import ConstraintStats
from colonnade.loader.tpch import TPCH_DDL, TPCH_TABLES

OWNERS = (
    "heldparents",
    "uniqueness",
    "presence",
    "presence_job",
    "presence_spill",
    "lookup",
    "codes",
    "spill",
    "gapfree",
)


def allocated() -> int:
    """Bytes of Python's objects and numpy's arrays that the validators have made and that are still there."""
    gc.collect()
    wanted = [tracemalloc.Filter(True, f"*/loader/{name}.py") for name in OWNERS]
    traces = tracemalloc.take_snapshot().filter_traces(wanted).statistics("filename")
    return sum(trace.size for trace in traces)


class Watch:
    """An Observer that looks at what is held when a table ends."""

    def __init__(self, stats: ConstraintStats, spill: Path) -> None:
        self.stats, self.spill = stats, spill
        self.ended: dict[str, tuple[dict[str, int], int, list[str]]] = {}

    def table_started(self, table: str, input_bytes: int | None) -> None: ...

    def advanced(self, table: str, rows: int, input_bytes: int) -> None: ...

    def phase(self, table: str, phase: str) -> None: ...

    def table_finished(self, table: str, rows: int) -> None:
        held = {row["constraint"]: row["cache_bytes"] for row in self.stats.rows() if row["table"] == table}
        self.ended[table] = held, allocated(), os.listdir(self.spill)


@pytest.mark.parametrize("limit", [100_000, 64 << 20])
def test_bytes_of_each_constraint_fall_to_zero_when_its_table_ends(
    tpch_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, limit: int
) -> None:
    spill = tmp_path / "spill"
    spill.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(spill))
    connection = colonnade.connect(str(tmp_path / "t.db"))
    stats = ConstraintStats()
    watch = Watch(stats, spill)
    options = LoadOptions(batch_size=3000, memory_limit=limit)
    tracemalloc.start()
    try:
        report = load_files(
            connection.store, [str(tpch_folder)], options, script=TPCH_DDL, observer=watch, stats=stats
        )
    finally:
        tracemalloc.stop()
    assert report.committed
    assert set(watch.ended) == set(TPCH_TABLES)
    for table, (held, real, files) in watch.ended.items():
        assert set(held.values()) == {0}, table
        assert real < 100_000, table
        assert files == [], table
    peaks = {row["columns"]: row["cache_peak"] for row in report.constraints if row["table"] == "lineitem"}
    assert max(peaks.values()) > 10_000
    assert max(row["cache_peak"] for row in report.constraints) <= limit
    spilled = sum(row["spilled_bytes"] for row in report.constraints)
    assert (spilled > 0) == (limit < 1 << 20)
    connection.close()


def test_arrow_gives_back_what_a_load_took(tpch_folder: Path, tmp_path: Path) -> None:
    connection = colonnade.connect(str(tmp_path / "t.db"))
    before = pa.total_allocated_bytes()
    connection.load(str(tpch_folder), script=TPCH_DDL)
    gc.collect()
    assert pa.total_allocated_bytes() - before < 1_000_000
    assert all(row["cache_bytes"] == 0 for row in connection.constraint_stats())
    connection.close()
