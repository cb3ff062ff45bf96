"""Write hints follow the data, and less is written because of it."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet
import pytest

import colonnade
from colonnade.store import hints
from colonnade.store.pager import SqlitePager

pytestmark = pytest.mark.storage_format("auto", reason="is about when rows become row groups by themselves")


def hint(connection: colonnade.Connection, table: str = "t") -> dict[str, tuple[Any, str]]:
    return {row[0]: (row[1], row[2]) for row in connection.execute(f"PRAGMA write_hints({table})")}


def group_rows(connection: colonnade.Connection) -> list[int]:
    table = connection.store.table("t")
    return [] if table is None else [group.row_count for group in table.groups()]


@pytest.fixture
def small(monkeypatch: pytest.MonkeyPatch) -> None:
    """Row groups of 64 KB in place of 11 MiB, and all else as much smaller."""
    for name, value in (("TARGET_GROUP_BYTES", 1 << 16), ("MIN_ROWS", 64), ("MAX_RECOMMENDED_ROWS", 2048)):
        monkeypatch.setattr(hints, name, value)


def append_often(
    path: Path, *, bulk_load: str
) -> tuple[dict[str, tuple[Any, str]], dict[str, Any], list[int]]:
    """80 transactions of 70 rows whose text is longer than declared; hints, pager figures and row groups then."""
    connection = colonnade.connect(path)
    connection.execute("PRAGMA synchronous = off")
    connection.execute("CREATE TABLE t(a INTEGER PRIMARY KEY, b TEXT)")
    connection.execute("PRAGMA bulk_load = on")
    for number in range(80):
        rows = ((n, f"{n * 7919 % 10007:05}" * 100) for n in range(number * 70, number * 70 + 70))
        connection.executemany("INSERT INTO t VALUES(?, ?)", rows)
        connection.commit()
        if number == 0:
            connection.execute(f"PRAGMA bulk_load = {bulk_load}")
    figures = {row[2]: row[3] for row in connection.execute("PRAGMA pager_stats") if row[:2] == (None, None)}
    assert connection.execute("SELECT count(*), max(length(b)), min(length(b)) FROM t").fetchone() == (
        5600,
        500,
        500,
    )
    found = hint(connection), figures, group_rows(connection)
    connection.close()
    return found


@pytest.mark.parametrize("bulk_load", ["on", "off"])
def test_hints_that_follow_the_data_spare_merges(
    small: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, bulk_load: str
) -> None:
    """Batches that are good row groups by what was measured are small ones by the declared types, which are merged
    again and again."""
    following, churn, groups = append_often(tmp_path / "following.db", bulk_load=bulk_load)
    monkeypatch.setattr(SqlitePager, "measure", lambda self, table: None)
    guessing, guessed_churn, guessed_groups = append_often(tmp_path / "guessing.db", bulk_load=bulk_load)
    assert guessing["recommended_rows"] == (2048, "target bytes / bytes per row")
    assert guessing["bytes_per_row"] == (32, "declared types")
    assert following["bytes_per_row"][1].endswith("rows in row groups")
    assert 500 <= following["bytes_per_row"][0] < 520
    assert following["recommended_rows"][0] == (1 << 16) // following["bytes_per_row"][0]
    assert min(groups) >= 60
    assert max(guessed_groups) > 1000  # of 500 KB and more, where 64 KB were wanted
    assert churn["bytes_freed"] == 0 < guessed_churn["bytes_freed"]
    assert churn["write_amplification"] < 1.1 < 2 < guessed_churn["write_amplification"]
    assert churn["pages_written"] < guessed_churn["pages_written"]


def test_row_groups_that_are_small_by_the_hints_are_merged_however_they_came(small: None) -> None:
    for bulk_load in ("on", "off"):
        connection = colonnade.connect(":memory:")
        connection.execute("CREATE TABLE t(a INTEGER PRIMARY KEY, b TEXT)")
        connection.execute("PRAGMA bulk_load = on")
        for number in range(60):
            connection.executemany(
                "INSERT INTO t VALUES(?, ?)", ((number * 20 + n, "x" * 500) for n in range(20))
            )
            connection.commit()
            connection.execute(f"PRAGMA bulk_load = {bulk_load}")
        wanted = hint(connection)["recommended_rows"][0]
        assert sum(2 * count < wanted for count in group_rows(connection)) < 10
        assert len(group_rows(connection)) < 25
        connection.close()


def test_long_rows_make_a_row_group_where_as_many_short_ones_wait_in_the_row_part() -> None:
    """The declared types say nothing of either."""
    for length, groups in ((2000, 1), (20, 0)):
        connection = colonnade.connect(":memory:")
        connection.execute("CREATE TABLE t(a INTEGER PRIMARY KEY, b TEXT)")
        connection.execute("PRAGMA bulk_load = on")
        connection.executemany("INSERT INTO t VALUES(?, ?)", ((n, "y" * length) for n in range(400)))
        connection.commit()
        assert len(group_rows(connection)) == groups
        connection.close()
    assert hints.makes_group(400, 400 * 2008)
    assert not hints.makes_group(400, 400 * 28)
    assert not hints.makes_group(0, 0)
    assert hints.makes_group(4, 4_000_000)
    assert not hints.makes_group(3, 3_000_000)


def as_csv(path: Path, rows: list[tuple[int, str]]) -> None:
    path.write_text("".join(f"{a},{b}\n" for a, b in rows))


def as_jsonl(path: Path, rows: list[tuple[int, str]]) -> None:
    path.write_text("".join(json.dumps({"a": a, "b": b}) + "\n" for a, b in rows))


def as_parquet(path: Path, rows: list[tuple[int, str]]) -> None:
    pa.parquet.write_table(pa.table({"a": [a for a, _ in rows], "b": [b for _, b in rows]}), path)


@pytest.mark.parametrize("write", [as_csv, as_jsonl, as_parquet], ids=lambda write: write.__name__)
def test_the_first_row_groups_of_a_load_have_the_size_that_the_input_shows(
    tmp_path: Path, write: Callable[[Path, list[tuple[int, str]]], None]
) -> None:
    """By the declared types they would have 131,072 rows, or 11,431."""
    name = f"t.{write.__name__.removeprefix('as_')}"
    write(tmp_path / name, [(n, f"{n:010}" * 100) for n in range(40_000)])
    connection = colonnade.connect(":memory:")
    connection.execute("CREATE TABLE t(a INTEGER PRIMARY KEY, b TEXT)")
    connection.load(tmp_path / name)
    assert max(group_rows(connection)) < 16_500
    assert hint(connection)["bytes_per_row"][0] in range(1000, 1100)
    connection.execute("DROP TABLE t")
    write(tmp_path / name, [(n, "v") for n in range(60_000)])
    connection.execute("CREATE TABLE t(a INTEGER PRIMARY KEY, b VARCHAR(2000))")
    assert hint(connection)["recommended_rows"][0] == 11_431
    connection.load(tmp_path / name)
    assert max(group_rows(connection)) > 40_000
    connection.close()


def test_a_batch_size_of_the_users_own_is_clamped_by_the_rows_that_the_input_shows(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(hints, "MAX_GROUP_BYTES", 1 << 20)
    as_csv(tmp_path / "t.csv", [(n, "x" * 2000) for n in range(2000)])
    connection = colonnade.connect(":memory:", batch_size=50_000)
    connection.execute("CREATE TABLE t(a INTEGER PRIMARY KEY, b TEXT)")
    with pytest.warns(RuntimeWarning, match="batch_size 50000 is above the maximum"):
        connection.load(tmp_path / "t.csv")
    assert 400 < max(group_rows(connection)) < 525
    connection.close()


def test_hints_change_with_the_newest_rows(tmp_path: Path) -> None:
    connection = colonnade.connect(":memory:")
    connection.execute("CREATE TABLE t(a INTEGER PRIMARY KEY, b TEXT)")
    seen = [hint(connection)["recommended_rows"][0]]
    for length in (4, 400, 4):
        start = sum(group_rows(connection))
        for _ in range(5):
            rows = [(start + n, "z" * length) for n in range(5000)]
            as_csv(tmp_path / "t.csv", rows)
            connection.load(tmp_path / "t.csv")
            start += 5000
        seen.append(hint(connection)["recommended_rows"][0])
    assert seen == [131_072, 131_072, hints.TARGET_GROUP_BYTES // 408, 131_072]
    connection.close()


def test_arrow_data_that_is_ingested_comes_in_row_groups_by_its_own_bytes() -> None:
    for length, groups in ((2000, 1), (20, 0)):
        connection = colonnade.connect(":memory:")
        connection.execute("CREATE TABLE t(a INTEGER PRIMARY KEY, b TEXT)")
        rows = pa.table({"a": range(400), "b": ["y" * length] * 400})
        assert connection.cursor().adbc_ingest("t", rows, mode="append") == 400
        connection.commit()
        assert len(group_rows(connection)) == groups
        connection.close()
    connection = colonnade.connect(":memory:")
    connection.execute("CREATE TABLE t(a INTEGER PRIMARY KEY, b TEXT)")
    batches = pa.table({"a": range(20_000), "b": ["y" * 1000] * 20_000}).to_reader(2000)
    assert connection.cursor().adbc_ingest("t", batches, mode="append") == 20_000
    connection.commit()
    assert max(group_rows(connection)) < 13_750
    connection.close()
