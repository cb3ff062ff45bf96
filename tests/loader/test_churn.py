"""What a load wrote, by table and phase: the figures add up, and agree with the file."""

from __future__ import annotations

from pathlib import Path

import pytest

import colonnade
from colonnade.loader.tpch import TPCH_DDL


@pytest.mark.storage_format("auto", "column", reason="counts column chunks")
def test_the_phases_of_a_load_add_up_to_what_it_wrote(tpch_folder: Path, tmp_path: Path) -> None:
    connection = colonnade.connect(tmp_path / "t.db")
    connection.execute(
        "PRAGMA page_size = 8192"
    )  # of so small a file a root page of 16 KiB is too large a part
    connection.execute("PRAGMA cache_size = 50")
    report = connection.load(tpch_folder, script=TPCH_DDL)
    pager, churn = report.pager, report.churn
    for name in ("chunks_put", "chunks_fresh", "chunks_freed", "bytes_put", "bytes_freed", "groups_put"):
        assert sum(row[name] for row in churn) == pager[name]
    assert (pager["chunks_overwritten"], pager["bytes_overwritten"]) == (0, 0)
    # What is in no phase is the schema: some pages.
    assert 0 <= pager["cache_spills"] - sum(row["cache_spills"] for row in churn) < 20 < pager["cache_spills"]
    assert pager["page_count"] == (tmp_path / "t.db").stat().st_size / pager["page_bytes"]
    assert pager["page_count"] - 1 <= pager["pages_written"] - pager["pages_rewritten"] <= pager["page_count"]
    assert 1 <= pager["page_write_amplification"] < 1.2
    named = list(dict.fromkeys(row["table"] for row in churn))
    assert named == [*(table.table for table in report.tables), None]
    put = {row["table"]: row["bytes_put"] for row in churn if row["phase"] == "append"}
    for table in report.tables:
        if table.format == "column":
            assert put[table.table] == table.stored_bytes
    stored = sum(table.stored_bytes for table in report.tables)
    dead = sum(table.dead_bytes for table in report.tables)
    assert pager["live_bytes"] + pager["dead_bytes"] == stored
    assert pager["dead_bytes"] == dead
    assert pager["write_amplification"] == pytest.approx(pager["bytes_put"] / pager["live_bytes"], abs=0.001)
    connection.execute("DELETE FROM lineitem WHERE l_orderkey % 4 = 0")
    connection.execute("DELETE FROM partsupp")
    connection.commit()
    figures = {tuple(row[:3]): row[3] for row in connection.execute("PRAGMA pager_stats")}
    assert figures[None, None, "free_pages"] > 0
    assert figures["main.lineitem", None, "dead_bytes"] > 0.2 * put["lineitem"]
    assert figures["main.lineitem", "append", "bytes_put"] == put["lineitem"]
    connection.close()


@pytest.mark.storage_format("auto", "column", reason="figures of column chunks")
def test_a_second_load_is_measured_against_what_was_there(tmp_path: Path) -> None:
    connection = colonnade.connect(tmp_path / "t.db")
    connection.execute("CREATE TABLE t(a INTEGER PRIMARY KEY, b TEXT)")
    for start in (0, 50_000):
        (tmp_path / "t.csv").write_text(
            "".join(f"{n},{n * 7919 % 1009}\n" for n in range(start, start + 50_000))
        )
        report = connection.load(tmp_path / "t.csv")
        assert report.pager["write_amplification"] == pytest.approx(1.0, abs=0.001)
        assert {row["table"] for row in report.churn} == {"t", None}
    connection.close()
