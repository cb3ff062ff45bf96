"""JSON lines: the values that Python's json module and SQLite's affinity make of them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import apsw
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from colonnade.loader.options import LoadOptions
from colonnade.loader.sources import LoadError, SourceFile, line_of, open_source
from colonnade.sql.schema import read_schema

from .source_helpers import in_sqlite, load, rows_of, same

DDL = "CREATE TABLE t(i INTEGER, r REAL, n NUMERIC, x TEXT, b)"
COLUMNS = "irnxb"


def write(path: Path, rows: list[dict[str, Any]]) -> Path:
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return path


@pytest.fixture
def small_pieces(monkeypatch: pytest.MonkeyPatch) -> None:
    """Only the first few lines are read by Python's json module."""
    monkeypatch.setattr("colonnade.loader.sources.pieces.SMALLEST_PIECE", 64)
    monkeypatch.setattr("colonnade.loader.sources.jsonl._LARGEST_FIRST_PIECE", 64)


VALUES = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-(2**63), 2**63 - 1),
    st.floats(allow_nan=False, allow_infinity=False),
    st.sampled_from(
        [1, 1.0, 0.5, "1", "1.0", "x", "2024-01-01", "2024-01-01T00:00:00", 2**53 + 1, 1e300, "0x1F"]
    ),
    st.text(st.characters(exclude_categories=["Cs"]), max_size=4),
)


@settings(max_examples=100, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    rows=st.lists(st.fixed_dictionaries({}, optional=dict.fromkeys(COLUMNS, VALUES)), min_size=1, max_size=30)
)
@pytest.mark.usefixtures("small_pieces")
def test_any_values_come_back(tmp_path: Path, rows: list[dict[str, Any]]) -> None:
    path = write(tmp_path / "t.jsonl", rows)
    same(
        load(path, DDL, batch_rows=2)[0],
        in_sqlite([[row.get(name) for name in COLUMNS] for row in rows], DDL),
    )


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(kinds=st.tuples(*[st.sampled_from([int, float, str, bool])] * 5), odd=VALUES, place=st.integers(0, 59))
@pytest.mark.usefixtures("small_pieces")
def test_an_odd_value_in_a_later_piece_comes_back(
    tmp_path: Path, kinds: tuple[type, ...], odd: Any, place: int
) -> None:
    rows = [dict(zip(COLUMNS, (kind(k % 2) for kind in kinds), strict=True)) for k in range(60)]
    rows[place] = dict.fromkeys(COLUMNS, odd)
    path = write(tmp_path / "t.jsonl", rows)
    got, _ = load(path, DDL, batch_rows=3)
    same(got, in_sqlite([[row.get(name) for name in COLUMNS] for row in rows], DDL))


@pytest.mark.usefixtures("small_pieces")
def test_lines_after_the_first_ones_are_parsed_by_pyarrow(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object) -> None:
        raise AssertionError("read line by line")

    rows = [{"i": k, "r": k / 2, "n": k / 4, "x": f"2024-01-{k % 28 + 1:02}", "b": "ä\n"} for k in range(200)]
    path = write(tmp_path / "t.jsonl", rows)
    db = apsw.Connection(":memory:")
    db.execute(DDL)
    table = read_schema(db).tables["t"]
    tasks = open_source(SourceFile(str(path), "jsonl", "t"), table, LoadOptions()).tasks(lambda: 10)
    parts = next(tasks).run()
    monkeypatch.setattr("colonnade.loader.sources.jsonl.JsonTask._parse_lines", fail)
    for task in tasks:
        parts += task.run()
    same(rows_of(parts), in_sqlite([tuple(row.values()) for row in rows], DDL))


def test_keys_match_columns_in_any_case_and_missing_ones_are_null(tmp_path: Path) -> None:
    path = tmp_path / "t.jsonl"
    path.write_text('\ufeff{"I": 1}\n\n{"X": "a", "i": null}\r\n{}\n  \n{"i": 2}', encoding="utf-8")
    got, parts = load(path, "CREATE TABLE t(i INTEGER, x TEXT)")
    assert got == [(1, None), (None, "a"), (None, None), (2, None)]
    assert [line_of(parts[0].provenance, k) for k in range(4)] == [1, 3, 4, 6]


FAULTS = [
    ('{"i": 1, "z": 2}', "table t has no column 'z'", None),
    ('{"i": 1', "not JSON: ", None),
    ("[1]", "not a JSON object", None),
    ('{"i": [1, 2]}', "an array or object has no SQLite value", "i"),
    ('{"i": NaN}', "not JSON: NaN is not JSON", None),
    ('{"x": "\\ud800"}', "half of a surrogate pair is no character", "x"),
    ('{"i": 1} {"i": 2}', "not JSON: ", None),
]


@pytest.mark.parametrize(("line", "reason", "column"), FAULTS)
@pytest.mark.parametrize("number", [1, 2500])
def test_a_malformed_line_is_named_or_rejected(
    tmp_path: Path, line: str, reason: str, column: str | None, number: int
) -> None:
    path = tmp_path / "t.jsonl"
    lines = [json.dumps({"i": k, "x": "a"}) for k in range(3000)]
    lines[number - 1] = line
    path.write_text("\n".join(lines))
    ddl = "CREATE TABLE t(i INTEGER, x TEXT)"
    with pytest.raises(LoadError) as caught:
        load(path, ddl)
    error = caught.value
    assert (error.path, error.line, error.column) == (str(path), number, column)
    assert error.reason.startswith(reason)
    got, parts = load(path, ddl, on_violation="quarantine")
    assert len(got) == 2999
    (reject,) = [reject for part in parts for reject in part.rejects]
    assert (reject.line, reject.column, reject.text) == (number, column, line)


def test_bytes_that_are_not_utf8_are_named(tmp_path: Path) -> None:
    path = tmp_path / "t.jsonl"
    path.write_bytes(b'{"i": 1}\n{"x": "a\xff"}\n')
    with pytest.raises(LoadError, match=r"t\.jsonl:2: not UTF-8: byte 0xff at offset 8 of the line"):
        load(path, "CREATE TABLE t(i INTEGER, x TEXT)")


def test_strict_types_refuse_text_in_number_columns(tmp_path: Path) -> None:
    path = tmp_path / "t.jsonl"
    path.write_text('{"i": 1}\n{"i": "2"}\n{"i": "x"}\n')
    ddl = "CREATE TABLE t(i INTEGER)"
    with pytest.raises(LoadError, match=r"t\.jsonl:3: column i: value 'x': no number"):
        load(path, ddl, types="strict")
    assert load(path, ddl, types="strict", on_violation="quarantine")[0] == [(1,), (2,)]
