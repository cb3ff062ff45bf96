"""Layout of a text file: its dialect, its header if any, and which column of the table each field is."""

from __future__ import annotations

import difflib
from collections.abc import Sequence
from dataclasses import dataclass

import pyarrow as pa
import pyarrow.csv

from colonnade.loader.options import LoadOptions
from colonnade.loader.sources.base import LoadError, shortened
from colonnade.loader.sources.bytestream import ByteStream
from colonnade.loader.sources.pieces import BOM
from colonnade.loader.sources.records import (
    Dialect,
    UnclosedQuote,
    blank_records,
    check_closed,
    line_ends,
    record_ends,
    whole_records,
)
from colonnade.sql.objects import TableDef, fold
from colonnade.store.values import IntArray

DEFAULT_DIALECTS = {
    "tbl": Dialect("|", ""),
    "dat": Dialect("|", ""),
    "csv": Dialect(",", '"'),
    "tsv": Dialect("\t", '"'),
}
SAMPLE_BYTES = 1 << 18  # at the start of each file, for its layout and the guesses: some ms to parse
_VOTERS = 100  # records that tell whether lines end in a delimiter


@dataclass(frozen=True, slots=True)
class Layout:
    """How the fields of a file map to the columns of a table.

    positions   for each field its column's position in the table
    trailing    every record ends with a delimiter after its last field
    start       bytes before the first record of data
    start_line  its line, from 1
    sample      whole records of data from the start of the file; may be empty
    """

    table: TableDef
    dialect: Dialect
    positions: tuple[int, ...]
    trailing: bool
    start: int
    start_line: int
    sample: bytes

    @property
    def field_names(self) -> list[str]:
        """Names for pyarrow: the positions in the table, and one for what follows a trailing delimiter."""
        return [str(position) for position in self.positions] + (["end"] if self.trailing else [])


def dialect_of(format_name: str, options: LoadOptions) -> Dialect:
    default = DEFAULT_DIALECTS[format_name]
    return Dialect(
        default.delimiter if options.delimiter is None else options.delimiter,
        default.quote if options.quote is None else options.quote,
    )


def read_layout(
    stream: ByteStream, path: str, format_name: str, table: TableDef, options: LoadOptions
) -> Layout:
    """Look at the start of a file; what was read is pushed back. LoadError if its header does not fit."""
    dialect = dialect_of(format_name, options)
    head = _read_head(stream, path, dialect, options.max_record_bytes)
    stream.push(head.whole + head.rest)
    bom = len(BOM) if head.whole.startswith(BOM) else 0
    records = head.whole[bom:]
    expected = [p for p, column in enumerate(table.columns) if not column.generated]
    ends = record_ends(records, dialect)
    first = fields_of(records[: ends[0]], dialect) if len(ends) else []
    if options.header == "no" or not _is_header(first, table, options.header == "yes"):
        return Layout(
            table,
            dialect,
            tuple(expected),
            _is_trailing(records, ends, dialect, len(expected)),
            bom,
            1,
            records,
        )
    start = int(ends[0])
    data, data_ends = records[start:], ends[1:] - start
    trailing = len(first) > 1 and not first[-1]
    positions = match_names(first[:-1] if trailing else first, table, path, line=1)
    trailing = trailing or _is_trailing(data, data_ends, dialect, len(positions))
    lines = len(line_ends(records[:start]))
    return Layout(table, dialect, positions, trailing, bom + start, 1 + lines, data)


@dataclass(frozen=True, slots=True)
class _Head:
    whole: bytes
    rest: bytes


def _read_head(stream: ByteStream, path: str, dialect: Dialect, limit: int) -> _Head:
    size, buffer, end = SAMPLE_BYTES, bytearray(SAMPLE_BYTES), 0
    while True:
        end = stream.fill(buffer, end, size)
        if buffer.startswith((b"\xff\xfe", b"\xfe\xff")):
            raise LoadError("is UTF-16; convert it to UTF-8", path=path)
        bom = len(BOM) if buffer.startswith(BOM) else 0
        if end < size:
            _check_end(bytes(buffer[bom:end]), path, dialect)
            return _Head(bytes(buffer[:end]), b"")
        stop = whole_records(buffer[bom:], end - bom, dialect)
        if stop:
            return _Head(bytes(buffer[: bom + stop]), bytes(buffer[bom + stop : end]))
        if size >= limit:
            raise LoadError(f"a record of more than {limit:,} bytes begins here", path=path, line=1)
        size *= 2
        buffer = buffer + bytes(size - len(buffer))


def _check_end(data: bytes, path: str, dialect: Dialect) -> None:
    try:
        check_closed(data, dialect)
    except UnclosedQuote as error:
        line = 1 + len(line_ends(data[: error.position]))
        raise LoadError("a quote opens here that is not closed", path=path, line=line) from None


def fields_of(record: bytes, dialect: Dialect) -> list[str]:
    """The fields of one record, bytes that are not UTF-8 replaced."""
    if not record.strip(b"\r\n"):
        return []
    if not record.endswith((b"\r", b"\n")):
        record += b"\n"  # without it pyarrow does not count the fields
    most = record.count(dialect.delimiter.encode()) + 1
    table = pa.csv.read_csv(
        pa.BufferReader(record),
        pa.csv.ReadOptions(use_threads=False, block_size=len(record) + 1, autogenerate_column_names=True),
        parse_options(dialect, quoted=bool(dialect.quote)),
        pa.csv.ConvertOptions(
            column_types={f"f{field}": pa.binary() for field in range(most)}, null_values=[]
        ),
    )
    return [str(column[0].as_py(), "utf-8", "replace") for column in table.columns]


def parse_options(dialect: Dialect, *, quoted: bool, on_bad_row: object = None) -> pa.csv.ParseOptions:
    """pyarrow's options for a dialect; `quoted`: a quote character may occur in the text."""
    return pa.csv.ParseOptions(
        delimiter=dialect.delimiter,
        quote_char=dialect.quote or False,
        double_quote=bool(dialect.quote),
        newlines_in_values=quoted,
        ignore_empty_lines=False,
        invalid_row_handler=on_bad_row,
    )


def _is_header(fields: Sequence[str], table: TableDef, forced: bool) -> bool:
    """Whether the first record holds column names: at least half of its fields are names of columns.

    Half, so that a misspelt or superfluous name is reported as such and not loaded as a row.
    """
    if forced:
        return True
    names = {fold(column.name) for column in table.columns}
    named = [fold(field.strip()) for field in fields]
    found = {name for name in named if name in names}
    return bool(found) and 2 * len(found) >= len(named) - (not named[-1])


def match_names(header: Sequence[str], table: TableDef, path: str, *, line: int | None) -> tuple[int, ...]:
    """The column of each name; LoadError that names those too many, twice there and missing."""
    by_name = {fold(column.name): position for position, column in enumerate(table.columns)}
    names = [name.strip() for name in header]
    problems = []
    extra = [name for name in names if fold(name) not in by_name]
    if extra:
        problems.append(f"table {table.name} has no column {_listed(extra, [c.name for c in table.columns])}")
    folded = [fold(name) for name in names]
    twice = sorted({name for name in folded if folded.count(name) > 1})
    if twice:
        problems.append(f"column {', '.join(twice)} is there twice")
    generated = [n for n in folded if n in by_name and table.columns[by_name[n]].generated]
    if generated:
        problems.append(f"column {', '.join(generated)} is generated")
    missing = [c.name for c in table.columns if fold(c.name) not in folded and not c.generated]
    if missing:
        problems.append(f"column {', '.join(missing)} is missing")
    if problems:
        raise LoadError("; ".join(problems), path=path, line=line)
    return tuple(by_name[name] for name in folded)


def _listed(names: Sequence[str], known: Sequence[str]) -> str:
    return ", ".join(f"{shortened(name)!r}{near_name(name, known)}" for name in names)


def near_name(name: str, known: Sequence[str]) -> str:
    """A hint at the known name that is nearest to one that is not known, if any is near."""
    by_fold = {fold(other): other for other in known}
    near = difflib.get_close_matches(fold(name), by_fold, 1)
    return f" (did you mean {by_fold[near[0]]}?)" if near else ""


def _is_trailing(records: bytes, ends: IntArray, dialect: Dialect, count: int) -> bool:
    """Whether most of the first records have one field more than columns, and nothing in it."""
    if len(ends) == 0:
        return False
    voters = records[: ends[min(len(ends), _VOTERS) - 1]]
    names = [str(field) for field in range(count + 1)]
    bad = []

    def skip(row: object) -> str:
        bad.append(row)
        return "skip"

    # Latin-1 gives every byte a character: pyarrow decodes the rows that it hands to the handler.
    voters = voters.decode("latin-1").encode()
    table = pa.csv.read_csv(
        pa.BufferReader(voters),
        pa.csv.ReadOptions(use_threads=False, block_size=len(voters) + 1, column_names=names),
        parse_options(dialect, quoted=bool(dialect.quote), on_bad_row=skip),
        pa.csv.ConvertOptions(column_types=dict.fromkeys(names, pa.binary()), null_values=[]),
    )
    blank = len(
        blank_records(voters, dialect)
    )  # which pyarrow takes for a record of as many empty fields as are asked for
    empty = table.column(count).to_pylist().count(b"") - blank
    return bool(empty * 2 > table.num_rows + len(bad) - blank)
