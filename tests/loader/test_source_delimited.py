"""Delimited text: the values are those that SQLite holds of the same fields."""

from __future__ import annotations

import bz2
import csv
import gzip
import os
import random
import subprocess
import sys
import threading
from pathlib import Path

import pyarrow as pa
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from colonnade.loader.sources import LoadError, delimited, line_of
from colonnade.store.values import Kind

from .source_helpers import csv_rows, in_sqlite, load, same

MIXED = "CREATE TABLE t(i INTEGER, r REAL, n DECIMAL(15,2), d DATE, x TEXT, b)"

NUMBERS = [
    "1", "-1", "007", "+5", " 12", "12 ", "\t12", "1.0", "-0", "-0.0", "0.0", ".5", "5.", "1e5", "1E+5", "1e999",
    "-1e999", "1e-400", "0x1F", "0X1f", "nan", "NaN", "inf", "-Infinity", "", " ", "1_0", "1d5", "--1", "1e", ".",
    "9007199254740992", "9007199254740993", "-9007199254740993", "9007199254740993.0", "9223372036854775807",
    "9223372036854775808", "-9223372036854775808", "-9223372036854775809", "1e17", "4503599627370497.5",
    "0.1", "88.00", "0.30000000000000004", "123456789012345678901234567890", "-0239978.50787719977963",
    "488760329937.5397644826", "409852573567637696586250.6", "5e-324", "abc", "12abc", "true",
]  # fmt: skip
DATES = [
    "1996-03-13", " 1996-03-13", "1996-03-13 ", "1996-3-13", "1996-02-30", "0000-01-01", "9999-12-31", "1996", "",
    "1996-03-13 01:02:03", "1996-03-13T01:02:03", "1996-03-13 01:02", "1996-03-13 01:02:03.500", "10000-01-01",
    "1996-03-13 01:02:03.123456", "1996-03-13 24:00:00", "-996-03-13", "1996-03-1x", "ÄÖÜÄÖ",
]  # fmt: skip


@pytest.mark.parametrize("odd", NUMBERS)
@pytest.mark.parametrize("usual", ["1", "2.50", "9007199254740995", "x"])
def test_one_odd_number_among_usual_ones_is_what_sqlite_makes_of_it(
    tmp_path: Path, usual: str, odd: str
) -> None:
    rows = [[usual, usual, usual, "1996-03-13", usual, usual]] * 40
    rows[25] = [odd, odd, odd, odd, odd, odd]
    path = tmp_path / "t.tbl"
    path.write_text("".join("|".join(row) + "|\n" for row in rows))
    got, parts = load(path, MIXED)
    same(got, in_sqlite(rows, MIXED))
    table_text = sum(isinstance(row[0], str) for row in got)
    assert parts[0].text_numbers.get("i", 0) == table_text


@pytest.mark.parametrize("odd", NUMBERS + DATES)
def test_a_column_of_one_odd_value_is_what_sqlite_makes_of_it(tmp_path: Path, odd: str) -> None:
    rows = [[odd] * 6] * 5
    path = tmp_path / "t.tbl"
    path.write_text("".join("|".join(row) + "\n" for row in rows))
    same(load(path, MIXED)[0], in_sqlite(rows, MIXED))


@pytest.mark.parametrize("odd", DATES)
@pytest.mark.parametrize("usual", ["1996-03-13", "1996-03-13 01:02:03", "1996-03-13 01:02:03.250"])
def test_dates_and_times_come_back_letter_for_letter(tmp_path: Path, usual: str, odd: str) -> None:
    rows = [["1", "1", "1", usual, usual, usual]] * 40
    rows[25] = ["1", "1", "1", odd, odd, odd]
    path = tmp_path / "t.tbl"
    path.write_text("".join("|".join(row) + "\n" for row in rows))
    same(load(path, MIXED)[0], in_sqlite(rows, MIXED))


def test_plain_columns_get_the_kinds_that_encode_well(tmp_path: Path) -> None:
    path = tmp_path / "t.tbl"
    path.write_text(
        "".join(f"{i}|{i / 4}|{i}.25|1996-03-13|{'AIR' if i % 2 else 'MAIL'}|text {i}|\n" for i in range(99))
    )
    _, parts = load(path, MIXED)
    kinds = [column.kind for column in parts[0].batch.columns]
    assert kinds == [Kind.INTEGER, Kind.REAL, Kind.NUMERIC, Kind.DATE, Kind.TEXT, Kind.TEXT]
    assert pa.types.is_dictionary(parts[0].batch.columns[4].data.type)
    assert pa.types.is_string(parts[0].batch.columns[5].data.type)


@pytest.mark.parametrize("odd", ["", "xy", "é", "\\N", " ", "7", "\x00", "\x7f"])
def test_columns_of_single_letters_are_read_as_such_until_something_else_comes(
    tmp_path: Path, odd: str
) -> None:
    path, script = tmp_path / "t.tbl", "CREATE TABLE t(a TEXT, b VARCHAR(1) NOT NULL, c)"
    usual = [["ANR"[n % 3], chr(65 + n % 20), "x"] for n in range(900)]
    rows = [*usual, [odd, "y", odd], *usual]
    path.write_text("".join("|".join(row) + "|\n" for row in rows))
    got, parts = load(path, script, batch_rows=400)
    same(got, in_sqlite(rows, script))
    assert len(parts) > 1
    kinds = [[column.kind for column in part.batch.columns] for part in parts]
    assert kinds == [[Kind.TEXT] * 3] * len(parts)
    assert pa.types.is_dictionary(parts[0].batch.columns[0].data.type)


def test_a_letter_that_is_no_text_is_refused(tmp_path: Path) -> None:
    (tmp_path / "t.tbl").write_bytes(b"A|\n" * 50 + b"\xff|\n")
    with pytest.raises(LoadError, match="not UTF-8"):
        load(tmp_path / "t.tbl", "CREATE TABLE t(a TEXT)")


def test_random_decimals_are_the_doubles_that_sqlite_makes_of_them(tmp_path: Path) -> None:
    random.seed(7)
    rows = []
    for _ in range(3000):
        digits = random.randint(1, 24)
        text = "".join(random.choices("0123456789", k=digits))
        point = random.randint(0, digits)
        text = (
            text[:point] + "." + text[point:] + random.choice(["", "", "", f"e{random.randint(-320, 300)}"])
        )
        rows.append([text, text])
    rows = [row for row in rows if row[0] != "."]
    path = tmp_path / "t.csv"
    path.write_text("".join(f"{a},{b}\n" for a, b in rows))
    ddl = "CREATE TABLE t(r REAL, n NUMERIC)"
    same(load(path, ddl, batch_rows=100)[0], in_sqlite(rows, ddl))


FIELDS = st.text(st.sampled_from('ab,"|\n\r 0x1.5-éĀ\0'), max_size=6)


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    rows=st.lists(st.tuples(FIELDS, FIELDS), min_size=1, max_size=20), ending=st.sampled_from(["\n", "\r\n"])
)
def test_quoted_fields_of_any_text_come_back(
    tmp_path: Path, rows: list[tuple[str, str]], ending: str
) -> None:
    quoted = [",".join('"' + field.replace('"', '""') + '"' for field in row) for row in rows]
    path = tmp_path / "t.csv"
    path.write_bytes(ending.join(quoted).encode())
    ddl = "CREATE TABLE t(a TEXT, b BLOB)"
    got, parts = load(path, ddl, header="no", batch_rows=3)
    same(got, rows)
    line = 1
    positions = [(part, k) for part in parts for k in range(part.batch.row_count)]
    for row, (part, k) in zip(rows, positions, strict=True):
        assert line_of(part.provenance, k) == line
        breaks = sum(field.count("\n") + field.count("\r") - field.count("\r\n") for field in row)
        line += 1 + breaks


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(text=st.text(st.sampled_from('ab,"\n'), min_size=1, max_size=30))
def test_stray_quotes_are_read_as_pythons_csv_reads_them(tmp_path: Path, text: str) -> None:
    path = tmp_path / "t.csv"
    text = "p,q\n" * 20 + text
    path.write_text(text)
    expected = csv_rows(text)
    ddl = "CREATE TABLE t(a TEXT, b TEXT)"
    try:
        got, _ = load(path, ddl, header="no")
    except LoadError as error:
        unclosed = "not closed" in error.reason
        assert unclosed or any(len(row) != 2 for row in expected)
        return
    while expected and not expected[-1]:
        expected.pop()
    same(got, [tuple(row) for row in expected])


def test_pieces_are_cut_right_however_small_they_are(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("colonnade.loader.sources.pieces.SMALLEST_PIECE", 16)
    monkeypatch.setattr("colonnade.loader.sources.layout.SAMPLE_BYTES", 64)
    random.seed(3)
    words = ['a"b', "x,y", "line\nbreak", '"', "", "plain", "ü" * 40, "\r"]
    rows = [(str(k), random.choice(words), random.choice(words)) for k in range(300)]
    path = tmp_path / "t.csv"
    text = "".join(",".join('"' + f.replace('"', '""') + '"' for f in row) + "\n" for row in rows)
    path.write_bytes(text.encode())
    got, parts = load(path, "CREATE TABLE t(i INTEGER, a TEXT, b TEXT)", batch_rows=2)
    same(got, [(int(i), a, b) for i, a, b in rows])
    assert all(part.batch.row_count <= 2 for part in parts)
    last = parts[-1]
    breaks = text.count("\n") + text.count("\r")
    assert line_of(last.provenance, last.batch.row_count - 1) == breaks - sum(
        field.count("\n") + field.count("\r") for field in rows[-1]
    )


@pytest.mark.parametrize("quoted", [False, True])
def test_what_the_parser_takes_at_once_does_not_show(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, quoted: bool
) -> None:
    """Blocks have dictionaries of their own, and a record may be longer than one."""
    monkeypatch.setattr(delimited, "_BLOCK_BYTES", 400)
    words = ("ROAD", "RAIL", "SHIP")
    rows = [
        [str(n), f"{n}.25", f"{n % 7}.5", f"1996-03-{n % 28 + 1:02}", words[n // 40 % 3], "NY"[n % 2]]
        for n in range(1000)
    ]
    rows[700][0], rows[800][4] = "007x", ""
    for longest in (4, 300, 5000):
        rows[600][4] = "y" * longest
        if quoted:
            rows[601][4] = "two\nlines" + "z" * longest
        path = tmp_path / ("t.csv" if quoted else "t.tbl")
        with path.open("w", newline="") as file:
            if quoted:
                file.write("i,r,n,d,x,b\n")
                csv.writer(file, lineterminator="\n").writerows(rows)
            else:
                file.writelines("|".join(row) + "|\n" for row in rows)
        got, _ = load(path, MIXED, batch_rows=300)
        same(got, in_sqlite(rows, MIXED))


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("crlf", b"1,a\r\n2,b\r\n"),
        ("cr", b"1,a\r2,b\r"),
        ("no final newline", b"1,a\n2,b"),
        ("empty last line", b"1,a\n2,b\n\n"),
        ("byte order mark", b"\xef\xbb\xbf1,a\n2,b\n"),
        ("header", b"i,x\n1,a\n2,b\n"),
        ("header in other case and order", b'"X", I \na,1\nb,2\n'),
        ("byte order mark and header", b"\xef\xbb\xbfi,x\r\n1,a\r\n2,b\r\n"),
        ("trailing delimiter", b"1,a,\n2,b,\n"),
        ("header and trailing delimiter", b"i,x,\n1,a,\n2,b,\n"),
    ],
)
def test_the_shape_of_the_file_does_not_matter(tmp_path: Path, name: str, content: bytes) -> None:
    path = tmp_path / "t.csv"
    path.write_bytes(content)
    got, parts = load(path, "CREATE TABLE t(i INTEGER, x TEXT)")
    assert got == [(1, "a"), (2, "b")]
    assert [line_of(parts[0].provenance, k) for k in (0, 1)] == ([2, 3] if "header" in name else [1, 2])


def test_an_empty_file_has_no_rows(tmp_path: Path) -> None:
    for content in (b"", b"\n", b"i,x\n", b"\xef\xbb\xbf"):
        path = tmp_path / "t.csv"
        path.write_bytes(content)
        assert load(path, "CREATE TABLE t(i INTEGER, x TEXT)")[0] == []


@pytest.mark.parametrize("lines", [("a", "", "b", ""), ("a", "", ""), ("", "", "a"), ("", "", "")])
def test_an_empty_line_is_a_value_of_a_table_with_one_column(tmp_path: Path, lines: tuple[str, ...]) -> None:
    """And no sign that each record ends with a delimiter."""
    path = tmp_path / "t.csv"
    path.write_text("".join(f"{line}\n" for line in lines))
    assert load(path, "CREATE TABLE t(x TEXT)", header="no")[0] == [(line,) for line in lines]


def test_header_no_makes_a_row_of_the_first_line(tmp_path: Path) -> None:
    path = tmp_path / "t.csv"
    path.write_text("i,x\n1,a\n")
    assert load(path, "CREATE TABLE t(i INTEGER, x TEXT)", header="no")[0] == [("i", "x"), (1, "a")]


@pytest.mark.parametrize(
    ("header", "message"),
    [
        ("i,x,y", "table t has no column 'y'"),
        ("i,xx", "table t has no column 'xx' (did you mean x?); column x is missing"),
        ("i", "column x is missing"),
        ("i,x,X", "column x is there twice"),
    ],
)
def test_a_header_that_does_not_fit_names_the_columns(tmp_path: Path, header: str, message: str) -> None:
    path = tmp_path / "t.csv"
    path.write_text(f"{header}\n1,a\n")
    with pytest.raises(LoadError) as caught:
        load(path, "CREATE TABLE t(i INTEGER, x TEXT)")
    assert str(caught.value) == f"{path}:1: {message}"


def test_nothing_means_null_unless_it_is_said(tmp_path: Path) -> None:
    path = tmp_path / "t.csv"
    path.write_text('1,a\n,\nNULL,NULL\n"NULL",""\n')
    ddl = "CREATE TABLE t(i INTEGER, x TEXT)"
    assert load(path, ddl)[0] == [(1, "a"), ("", ""), ("NULL", "NULL"), ("NULL", "")]
    assert load(path, ddl, null="NULL")[0] == [(1, "a"), ("", ""), (None, None), ("NULL", "")]
    assert load(path, ddl, null="")[0] == [(1, "a"), (None, None), ("NULL", "NULL"), ("NULL", "")]


def test_null_works_for_every_type_of_column_and_without_quotes(tmp_path: Path) -> None:
    ddl = "CREATE TABLE t(i INTEGER, r REAL, n DECIMAL(15,2), d DATE, s TEXT, w TEXT, x TEXT)"
    path = tmp_path / "t.tbl"
    usual = "1|1.5|2.25|1996-03-13|1996-03-13 01:02:03|w|{}|\n"
    path.write_text("".join(usual.format(k) for k in range(50)) + r"\N|\N|\N|\N|\N|\N|\N|" + "\n")
    got, parts = load(path, ddl, null=r"\N")
    assert got[-1] == (None,) * 7
    assert got[3] == (1, 1.5, 2.25, "1996-03-13", "1996-03-13 01:02:03", "w", "3")
    assert [column.kind.name for column in parts[0].batch.columns][:5] == [
        "INTEGER", "REAL", "NUMERIC", "DATE", "DATETIME",
    ]  # fmt: skip


@pytest.mark.parametrize("ending", [".gz", ".bz2", ".zst", ".lz4"])
def test_compressed_text_is_read(tmp_path: Path, ending: str) -> None:
    text = "".join(f"{k}|word {k}|\n" for k in range(5000)).encode()
    path = tmp_path / f"t.tbl{ending}"
    if ending == ".gz":
        path.write_bytes(gzip.compress(text[:20000]) + gzip.compress(text[20000:]))  # two members
    elif ending == ".bz2":
        path.write_bytes(bz2.compress(text))
    else:
        with pa.output_stream(path, compression={".zst": "zstd", ".lz4": "lz4"}[ending]) as out:
            out.write(text)
    got, parts = load(path, "CREATE TABLE t(i INTEGER, x TEXT)")
    assert got == [(k, f"word {k}") for k in range(5000)]
    assert line_of(parts[-1].provenance, parts[-1].batch.row_count - 1) == 5000


def test_a_damaged_compressed_file_is_an_error(tmp_path: Path) -> None:
    path = tmp_path / "t.csv.gz"
    path.write_bytes(gzip.compress(b"1,a\n" * 100000)[:-30])
    with pytest.raises(LoadError, match=r"t\.csv\.gz: cannot be read"):
        load(path, "CREATE TABLE t(i INTEGER, x TEXT)")


def test_any_delimiter_and_quote(tmp_path: Path) -> None:
    path = tmp_path / "t.csv"
    path.write_text("1;'a;b'\n2;c\n")
    assert load(path, "CREATE TABLE t(i INTEGER, x TEXT)", delimiter=";", quote="'")[0] == [
        (1, "a;b"),
        (2, "c"),
    ]
    tabs = tmp_path / "t.tsv"
    tabs.write_text('1\t"a\tb"\n2\tc\n')
    assert load(tabs, "CREATE TABLE t(i INTEGER, x TEXT)")[0] == [(1, "a\tb"), (2, "c")]


def test_batches_follow_the_rows_asked_for(tmp_path: Path) -> None:
    path = tmp_path / "t.tbl"
    path.write_text("".join(f"{k}|{'x' * (k % 50)}|\n" for k in range(40000)))
    _, parts = load(path, "CREATE TABLE t(i INTEGER, x TEXT)", batch_rows=7000)
    sizes = [part.batch.row_count for part in parts]
    assert sum(sizes) == 40000
    assert max(sizes) <= 7000
    assert len(sizes) <= 8


def test_a_byte_order_mark_inside_of_the_file_is_text(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("colonnade.loader.sources.pieces.SMALLEST_PIECE", 8)
    path = tmp_path / "t.csv"
    path.write_text("a,1\n\ufeffb,2\n\ufeffc,3\n")
    got, _ = load(path, "CREATE TABLE t(x TEXT, i INTEGER)", batch_rows=1)
    assert got == [("a", 1), ("\ufeffb", 2), ("\ufeffc", 3)]


def test_hexadecimal_stays_text_beside_large_integers(tmp_path: Path) -> None:
    rows = [["9007199254740993"]] * 20 + [["0x10"]] * 2
    path = tmp_path / "t.csv"
    path.write_text("".join(f"{row[0]}\n" for row in rows))
    same(load(path, "CREATE TABLE t(i INTEGER)")[0], in_sqlite(rows, "CREATE TABLE t(i INTEGER)"))


def test_a_pipe_is_read_once_and_its_lines_are_known(tmp_path: Path) -> None:
    path = tmp_path / "t.csv"
    os.mkfifo(path)
    content = "".join(f'{k},"two\nlines"\n' for k in range(30000)) + "x\n"
    writer = threading.Thread(target=path.write_text, args=(content,))
    writer.start()
    got, parts = load(path, "CREATE TABLE t(i INTEGER, x TEXT)", on_violation="quarantine", batch_rows=5000)
    writer.join()
    assert got == [(k, "two\nlines") for k in range(30000)]
    (reject,) = parts[-1].rejects
    assert (reject.line, reject.text) == (60001, "x")


def test_standard_input_is_a_source() -> None:
    program = """if True:
        import sys
        sys.path.insert(0, sys.argv[1])
        from tests.loader.source_helpers import load
        print(load("-", "CREATE TABLE t(i INTEGER, x TEXT)", format="csv")[0])
    """
    root = str(Path(__file__).resolve().parents[2])
    done = subprocess.run([sys.executable, "-c", program, root], input=b"i,x\n1,a\n", capture_output=True)
    assert done.stdout == b"[(1, 'a')]\n", done.stderr


def test_generated_columns_are_not_read(tmp_path: Path) -> None:
    path = tmp_path / "t.csv"
    path.write_text("1,2\n")
    assert load(path, "CREATE TABLE t(a INTEGER, g AS (a + 1), b INTEGER)")[0] == [(1, None, 2)]
