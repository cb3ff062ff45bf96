"""Malformed text: each fault is named with its file, line, column and value, or kept as a reject."""

from __future__ import annotations

from pathlib import Path

import apsw
import pytest

from colonnade.loader.options import LoadOptions
from colonnade.loader.sources import LoadError, SourceFile, line_of, open_source
from colonnade.sql.schema import read_schema

from .source_helpers import load

DDL = "CREATE TABLE t(i INTEGER, n DECIMAL(15,2), x TEXT)"
GOOD = "{0}|{0}.25|word {0}|\n"


def write(path: Path, bad: dict[int, bytes], count: int = 200, good: str = GOOD) -> Path:
    """A file of `count` lines in which some, by line number, are bad."""
    lines = [bad.get(line, good.format(line).encode()) for line in range(1, count + 1)]
    path.write_bytes(b"".join(lines))
    return path


FAULTS = [
    (b"7|7.25|\n", "expected 3 columns, got 2", None, None),
    (b"7|7.25|a|b|\n", "expected 3 columns, got 4", None, None),
    (b"7|7.25|a|b\n", "expected 3 columns, got 4", None, "b"),
    (b"7|7.25|a\n", "expected 3 columns and a '|' after the last, which is missing", None, None),
    (b"\n", "expected 3 columns, got an empty line", None, None),
    (b"\r\n", "expected 3 columns, got an empty line", None, None),
    (b"7|7.25|a\xffb|\n", "not UTF-8: byte 0xff at offset 1 of the value", "x", "a\\xffb"),
    (b"\xfe|7.25|a|\n", "not UTF-8: byte 0xfe at offset 0 of the value", "i", "\\xfe"),
    (b"7|\xff|\n", "expected 3 columns, got 2", None, None),
]


@pytest.mark.parametrize(("line", "reason", "column", "value"), FAULTS)
@pytest.mark.parametrize("number", [1, 77, 199])
def test_a_malformed_line_is_named(
    tmp_path: Path, line: bytes, reason: str, column: str | None, value: str | None, number: int
) -> None:
    path = write(tmp_path / "t.tbl", {number: line})
    with pytest.raises(LoadError) as caught:
        load(path, DDL)
    error = caught.value
    assert (error.path, error.line, error.column, error.value) == (str(path), number, column, value)
    assert error.reason == reason
    assert str(error).startswith(f"{path}:{number}: ")
    assert str(error).endswith(reason)


def test_every_malformed_line_becomes_a_reject_and_the_rest_is_loaded(tmp_path: Path) -> None:
    numbers = [2, 3, 50, 77, 78, 120, 121, 150, 199]
    bad = {number: line for number, (line, *_) in zip(numbers, FAULTS, strict=True)}
    path = write(tmp_path / "t.tbl", bad)
    got, parts = load(path, DDL, on_violation="quarantine", batch_rows=60)
    good = [line for line in range(1, 201) if line not in bad]
    assert got == [(line, line + 0.25, f"word {line}") for line in good]
    rejects = [reject for part in parts for reject in part.rejects]
    expected = [(n, reason, c, v) for n, (_, reason, c, v) in zip(numbers, FAULTS, strict=True)]
    assert [(r.line, r.reason, r.column, r.value) for r in rejects] == expected
    assert [r.text for r in rejects][:2] == ["7|7.25|", "7|7.25|a|b|"]
    assert {r.path for r in rejects} == {str(path)}
    lines = [line_of(part.provenance, k) for part in parts for k in range(part.batch.row_count)]
    assert lines == good


def test_an_empty_line_in_the_middle_is_found_in_a_table_of_text(tmp_path: Path) -> None:
    path = tmp_path / "t.csv"
    path.write_text("a,b\n,\nc,d\n\ne,f\n")
    with pytest.raises(LoadError, match=r"t\.csv:4: expected 2 columns, got an empty line"):
        load(path, "CREATE TABLE t(x TEXT, y TEXT)")
    path.write_text("a,b\n,\nc,d\n")
    assert load(path, "CREATE TABLE t(x TEXT, y TEXT)")[0] == [("a", "b"), ("", ""), ("c", "d")]


@pytest.mark.parametrize("before", ['1,"two\nlines"\n', "1,a\n"])
def test_an_unclosed_quote_is_named_where_it_opens(tmp_path: Path, before: str) -> None:
    path = tmp_path / "t.csv"
    path.write_text(before * 20 + '2,"open\n3,b\n4,c\n')
    with pytest.raises(LoadError, match="a quote opens here that is not closed") as caught:
        load(path, "CREATE TABLE t(i INTEGER, x TEXT)")
    assert caught.value.line == 20 * before.count("\n") + 1


def test_an_unclosed_quote_far_from_the_start_is_named_too(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("colonnade.loader.sources.layout.SAMPLE_BYTES", 1000)
    path = tmp_path / "t.csv"
    path.write_text('1,"a\nb"\n' * 9000 + '2,"open\n' + "3,b\n" * 9000)
    with pytest.raises(LoadError, match="a quote opens here that is not closed") as caught:
        load(path, "CREATE TABLE t(i INTEGER, x TEXT)")
    assert caught.value.line == 18001


def test_a_record_that_does_not_end_is_not_read_into_memory(tmp_path: Path) -> None:
    path = tmp_path / "t.csv"
    path.write_text("1,a\n" * 100000 + '2,"open\n' + "3,b\n" * 200000)
    with pytest.raises(
        LoadError, match=r"a record of more than 100,000 bytes begins here; is a quote"
    ) as caught:
        load(path, "CREATE TABLE t(i INTEGER, x TEXT)", max_record_bytes=100000)
    assert caught.value.line == 100001


def test_lines_are_exact_after_fields_that_span_lines(tmp_path: Path) -> None:
    path = tmp_path / "t.csv"
    path.write_bytes(b'1,"a\nb\r\nc"\n' * 30 + b"2\n")
    with pytest.raises(LoadError, match="expected 2 columns, got 1") as caught:
        load(path, "CREATE TABLE t(i INTEGER, x TEXT)", header="no")
    assert caught.value.line == 91


def test_a_fault_in_a_late_piece_has_its_line(tmp_path: Path) -> None:
    path = write(tmp_path / "t.tbl", {29000: b"1|2|\n"}, 30000)
    with pytest.raises(LoadError) as caught:
        load(path, DDL, batch_rows=500)
    assert caught.value.line == 29000


def test_text_in_number_columns_is_refused_when_types_are_strict(tmp_path: Path) -> None:
    path = write(tmp_path / "t.tbl", {90: b"x|1.5|a|\n", 120: b"1||a|\n", 130: b"1.5|1|b|\n"})
    with pytest.raises(LoadError) as caught:
        load(path, DDL, types="strict")
    assert str(caught.value) == (
        f"{path}:90: column i: value 'x': no number, in a column declared INTEGER (types: strict)"
    )
    got, parts = load(path, DDL, types="strict", on_violation="quarantine")
    rejects = [reject for part in parts for reject in part.rejects]
    assert [(r.line, r.column, r.value) for r in rejects] == [(90, "i", "x"), (120, "n", "")]
    assert len(got) == 198
    _, parts = load(path, DDL)
    assert [part.text_numbers for part in parts] == [{"i": 1, "n": 1}]


def test_strict_types_let_dates_and_words_be(tmp_path: Path) -> None:
    path = tmp_path / "t.csv"
    path.write_text("2024-01-01,yes\n")
    ddl = "CREATE TABLE t(d DATE, b BOOLEAN)"
    assert load(path, ddl, types="strict")[0] == [("2024-01-01", "yes")]


def test_a_wrong_number_of_columns_throughout_is_reported_on_line_1(tmp_path: Path) -> None:
    path = tmp_path / "t.csv"
    path.write_text("1,a\n2,b\n")
    with pytest.raises(LoadError, match=r"t\.csv:1: expected 3 columns, got 2"):
        load(path, DDL)


def test_utf16_is_named(tmp_path: Path) -> None:
    path = tmp_path / "t.csv"
    path.write_text("1,a\n", encoding="utf-16")
    with pytest.raises(LoadError, match="is UTF-16"):
        load(path, "CREATE TABLE t(i INTEGER, x TEXT)")


def test_one_bad_value_does_not_spoil_the_pieces_after_it(tmp_path: Path) -> None:
    path = write(tmp_path / "t.tbl", {5: b"odd|5.25|word 5|\n"}, 30000)
    got, parts = load(path, DDL, batch_rows=3000)
    assert got[4] == ("odd", 5.25, "word 5")
    assert [part.batch.columns[0].kind.name for part in parts][1:] == ["INTEGER"] * (len(parts) - 1)


def test_lines_are_known_before_earlier_pieces_were_parsed(tmp_path: Path) -> None:
    path = write(tmp_path / "t.tbl", {29000: b"1|2|\n"}, 30000)
    db = apsw.Connection(":memory:")
    db.execute(DDL)
    source = open_source(SourceFile(str(path), "tbl", "t"), read_schema(db).tables["t"], LoadOptions())
    tasks = list(source.tasks(lambda: 500))
    (part,) = tasks[4].run()[:1]
    line = line_of(part.provenance, 0)
    assert line == part.batch.columns[0].data[0].as_py()
    late = next(task for task in tasks if b"\n1|2|\n" in bytes(task.piece.data))  # type: ignore[attr-defined]
    with pytest.raises(LoadError) as caught:
        late.run()
    assert caught.value.line == 29000
