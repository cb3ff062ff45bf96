"""Parquet, Arrow files and Arrow streams: every Arrow type as SQLite values."""

from __future__ import annotations

import datetime as dt
import decimal
from pathlib import Path
from typing import Any

import pandas as pd
import polars as pl
import pyarrow as pa
import pyarrow.feather
import pyarrow.parquet
import pytest

from colonnade.loader.sources import LoadError, line_of

from .source_helpers import in_sqlite, load, load_arrow, same

D = decimal.Decimal
TIME = dt.datetime(2024, 2, 29, 23, 59, 58)
UTC = dt.UTC

VALUES: list[tuple[pa.DataType, list[Any], list[Any]]] = [
    (pa.int8(), [1, None, -128], [1, None, -128]),
    (pa.uint64(), [2**63 - 1, None], [2**63 - 1, None]),
    (pa.bool_(), [True, False, None], [1, 0, None]),
    (pa.float32(), [0.5, None], [0.5, None]),
    (pa.float64(), [float("nan"), 1.5, float("inf")], [None, 1.5, float("inf")]),
    (pa.decimal128(15, 2), [D("88.00"), None, D("-0.10"), D("0.07")], [88, None, -0.1, 0.07]),
    (pa.decimal128(18, 0), [D(10**17), D(-5)], [10**17, -5]),
    (pa.decimal256(40, 2), [D("12345678901234567890.12")], [1.2345678901234567e19]),
    (pa.string(), ["a", None, "ü\0"], ["a", None, "ü\0"]),
    (pa.large_string(), ["a", None], ["a", None]),
    (pa.string_view(), ["a", None], ["a", None]),
    (pa.dictionary(pa.int8(), pa.string()), ["a", "b", None, "a"], ["a", "b", None, "a"]),
    (pa.dictionary(pa.int8(), pa.int64()), [5, 6, None], [5, 6, None]),
    (pa.binary(), [b"a\0", None], [b"a\0", None]),
    (pa.binary(2), [b"ab", None], [b"ab", None]),
    (pa.large_binary(), [b"a"], [b"a"]),
    (pa.date32(), [dt.date(2024, 2, 29), None], ["2024-02-29", None]),
    (pa.date64(), [dt.date(1, 1, 1)], ["0001-01-01"]),
    (pa.timestamp("s"), [TIME, None], ["2024-02-29 23:59:58", None]),
    (pa.timestamp("ms"), [TIME, None], ["2024-02-29 23:59:58", None]),
    (pa.timestamp("us"), [TIME.replace(microsecond=5), TIME], ["2024-02-29 23:59:58.000005", "2024-02-29 23:59:58"]),
    (pa.timestamp("ms"), [TIME.replace(microsecond=250000)], ["2024-02-29 23:59:58.250000"]),
    (pa.timestamp("ns"), [TIME, None], ["2024-02-29 23:59:58", None]),
    (pa.timestamp("us", "Europe/Berlin"), [TIME.replace(tzinfo=UTC)], ["2024-02-29 23:59:58"]),
    (pa.timestamp("s"), [dt.datetime(1, 1, 1)], ["0001-01-01 00:00:00"]),
    (pa.time32("s"), [dt.time(1, 2, 3), None], ["01:02:03", None]),
    (pa.time64("us"), [dt.time(1, 2, 3, 4), dt.time(5)], ["01:02:03.000004", "05:00:00"]),
    (pa.null(), [None, None], [None, None]),
]  # fmt: skip


@pytest.mark.parametrize(("arrow_type", "values", "expected"), VALUES, ids=lambda v: str(v)[:20])
def test_every_arrow_type_has_its_sqlite_value(
    arrow_type: pa.DataType, values: list[Any], expected: list[Any]
) -> None:
    data = pa.table({"x": pa.array(values, arrow_type)})
    same(load_arrow(data, "CREATE TABLE t(x)"), [(value,) for value in expected])
    chunks = pa.table({"x": pa.chunked_array([pa.array(values, arrow_type)] * 2)})
    same(load_arrow(chunks, "CREATE TABLE t(x)"), [(value,) for value in expected * 2])


def test_nanoseconds_keep_nine_digits() -> None:
    data = pa.table({"x": pa.array([1, 1_000_000_000, 2_000], pa.timestamp("ns"))})
    expected = ["1970-01-01 00:00:00.000000001", "1970-01-01 00:00:01", "1970-01-01 00:00:00.000002"]
    assert load_arrow(data, "CREATE TABLE t(x)") == [(text,) for text in expected]


def test_times_before_1970_are_right() -> None:
    moment = dt.datetime(1969, 12, 31, 23, 59, 59, 750000)
    data = pa.table({"x": pa.array([moment, dt.datetime(1900, 1, 1)], pa.timestamp("us"))})
    expected = [moment.isoformat(" "), "1900-01-01 00:00:00"]
    assert load_arrow(data, "CREATE TABLE t(x)") == [(text,) for text in expected]


def test_affinity_is_applied_as_sqlite_applies_it() -> None:
    ddl = "CREATE TABLE t(i INTEGER, r REAL, n NUMERIC, x TEXT, b)"
    values = [["1", "2.50", "x", "0x1F"], [1, 2, 3, 4], [1.0, 2.5, 1e300, -0.0]]
    for column in values:
        data = pa.table(dict.fromkeys("irnxb", pa.array(column)))
        same(load_arrow(data, ddl), in_sqlite([[value] * 5 for value in column], ddl))


@pytest.mark.parametrize(
    ("values", "message"),
    [
        (pa.array([1, 2**63], pa.uint64()), "<arrow stream>:2: column x: 9223372036854775808 is too large"),
        (pa.array([[1]]), "<arrow stream>: column x: values of type list"),
        (pa.array([{"a": 1}]), "<arrow stream>: column x: values of type struct"),
        (pa.array([dt.timedelta(1)]), "<arrow stream>: column x: values of type duration"),
        (
            pa.array([0, 2**40], pa.int64()).cast(pa.timestamp("s")),
            "<arrow stream>:2: column x: a time outside",
        ),
        (pa.array([0, 2**30], pa.int32()).cast(pa.date32()), "<arrow stream>:2: column x: a date outside"),
    ],
)
def test_what_sqlite_cannot_hold_is_named(values: pa.Array, message: str) -> None:
    with pytest.raises(LoadError) as caught:
        load_arrow(pa.table({"x": values}), "CREATE TABLE t(x)")
    assert str(caught.value).startswith(message)


def test_text_that_is_not_utf8_is_named() -> None:
    broken = pa.StringArray.from_buffers(2, pa.array(["a", "b"]).buffers()[1], pa.py_buffer(b"a\xff"))
    with pytest.raises(LoadError, match=r"<arrow stream>:2: column x: text that is not UTF-8"):
        load_arrow(pa.table({"x": broken}), "CREATE TABLE t(x)")


ROWS = 5000
TABLE = pa.table(
    {
        "name": [f"n{k % 7}" for k in range(ROWS)],
        "ID": list(range(ROWS)),
        "price": pa.array([D(k) / 4 for k in range(ROWS)], pa.decimal128(15, 2)),
    }
)
DDL = "CREATE TABLE t(id INTEGER PRIMARY KEY, name TEXT, price DECIMAL(15,2))"
EXPECTED = [(k, f"n{k % 7}", k // 4 if k % 4 == 0 else k / 4) for k in range(ROWS)]


@pytest.mark.parametrize("name", ["t.parquet", "t.arrow", "t.arrows", "t.feather"])
def test_files_are_read_by_column_name_in_batches(tmp_path: Path, name: str) -> None:
    path = tmp_path / name
    if name == "t.parquet":
        pa.parquet.write_table(TABLE, path, row_group_size=1300)
    elif name == "t.feather":
        pa.feather.write_feather(TABLE, path, compression="zstd", chunksize=999)
    else:
        new = pa.ipc.new_file if name == "t.arrow" else pa.ipc.new_stream
        with new(path, TABLE.schema) as writer:
            writer.write_table(TABLE, max_chunksize=700)
    got, parts = load(path, DDL, batch_rows=1000)
    assert got == EXPECTED
    assert [part.batch.row_count for part in parts] == [1000] * 5
    assert [line_of(part.provenance, 0) for part in parts] == [1, 1001, 2001, 3001, 4001]
    assert parts[0].provenance.path == str(path)


@pytest.mark.parametrize("name", ["t.parquet", "t.arrow"])
def test_a_damaged_file_is_named(tmp_path: Path, name: str) -> None:
    path = tmp_path / name
    path.write_bytes(b"ARROW1\0\0 nonsense" * 10)
    with pytest.raises(LoadError) as caught:
        load(path, DDL)
    assert str(caught.value).startswith(f"{path}: ")


def test_columns_that_do_not_fit_are_named(tmp_path: Path) -> None:
    path = tmp_path / "t.parquet"
    pa.parquet.write_table(TABLE.rename_columns(["nam", "ID", "price"]), path)
    with pytest.raises(LoadError) as caught:
        load(path, DDL)
    assert str(caught.value) == (
        f"{path}: table t has no column 'nam' (did you mean name?); column name is missing"
    )


def test_frames_and_readers_are_streamed_from_memory() -> None:
    frame = TABLE.to_pandas()
    frame.index = frame.index + 7
    batches = pa.RecordBatchReader.from_batches(TABLE.schema, TABLE.to_batches(max_chunksize=300))
    for data in (TABLE, batches, pl.from_arrow(TABLE), frame):
        assert load_arrow(data, DDL) == EXPECTED
    assert isinstance(frame, pd.DataFrame)
    with pytest.raises(LoadError, match="a list has no __arrow_c_stream__"):
        load_arrow([1], DDL)


def test_strict_types_refuse_text_in_number_columns() -> None:
    data = pa.table({"id": ["1", "x", "3"], "name": ["a"] * 3, "price": [1.5] * 3})
    with pytest.raises(LoadError, match=r"<arrow stream>:2: column id: value 'x': no number"):
        load_arrow(data, DDL, types="strict")
    assert load_arrow(data, DDL, types="strict", on_violation="quarantine") == [(1, "a", 1.5), (3, "a", 1.5)]


def test_datetimes_are_the_text_that_sqlite3s_adapter_stores() -> None:
    moments = [dt.datetime(2024, 1, 2, 3, 4, 5), dt.datetime(2024, 1, 2, 3, 4, 5, 60)]
    data = pa.table({"x": pa.array(moments)})
    stored = [moment.isoformat(" ") for moment in moments]
    assert load_arrow(data, "CREATE TABLE t(x)") == [(text,) for text in stored]
