"""Delimited text (tbl, dat, csv, tsv): pieces parsed by pyarrow.csv in any thread, values exactly SQLite's.

A piece is parsed with the types guessed for its columns. Where that fails, or where a guess cannot be proven
to give SQLite's values, this one piece is parsed again as text (sources.careful), which also finds out what
is wrong with malformed rows.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from functools import partial

import pyarrow as pa
import pyarrow.compute as pc

from colonnade.loader.options import LoadOptions
from colonnade.loader.sources.base import LoadedRows, Reject, SourceFile
from colonnade.loader.sources.bytestream import ByteStream, can_be_read_again
from colonnade.loader.sources.careful import (
    CarefulParse,
    convert_options,
    full_columns,
    one_chunk,
    read_table,
)
from colonnade.loader.sources.guesses import ARROW_TYPES, Guess, Guesses, has_hex, settle
from colonnade.loader.sources.layout import Layout, read_layout
from colonnade.loader.sources.parts import loaded_rows
from colonnade.loader.sources.pieces import Buffers, Piece, TextFile, cut, provenance
from colonnade.loader.sources.records import blank_records, line_ends
from colonnade.loader.sources.textnumbers import text_numbers
from colonnade.sql.objects import TableDef
from colonnade.store.values import Column, Kind, RowBatch

_ROOM = 0.97  # of a batch: pieces are cut by bytes, and one row too many would halve the row groups
# What the parser takes at once: it keeps a copy of these bytes and 4 for each field, in a core's cache and not for all
# of a piece, which took 10 MB more of memory in each thread.
_BLOCK_BYTES = 1 << 20
_LONG_RECORD = "straddl"  # in pyarrow's message: a record is longer than a block
_FAILED_COLUMN = re.compile(r"In CSV column #(\d+)")


@dataclass(slots=True)
class Parser:
    """How one file is parsed: shared by its tasks."""

    layout: Layout
    options: LoadOptions
    guesses: Guesses
    bytes_done: int = 0
    rows_done: int = 0

    @property
    def bytes_per_row(self) -> float:
        return self.bytes_done / max(1, self.rows_done)


class DelimitedSource:
    """A file of delimited text."""

    def __init__(self, file: SourceFile, table: TableDef, options: LoadOptions, buffers: Buffers) -> None:
        self.path = file.path
        self.options = options
        self._buffers = buffers
        stream = ByteStream(file.path)
        try:
            self._layout = read_layout(stream, file.path, file.format, table, options)
            self._parser = _parser(self._layout, options)
        except BaseException:
            stream.close()
            raise
        self._stream: ByteStream | None = stream
        if can_be_read_again(file.path):  # when its turn comes: many sources may wait for theirs
            self._stream = None
            stream.close()

    @property
    def bytes_per_row(self) -> float:
        return self._parser.bytes_per_row

    def tasks(self, batch_rows: Callable[[], int]) -> Iterator[DelimitedTask]:
        layout, parser = self._layout, self._parser
        stream = self._stream or ByteStream(self.path)
        try:
            stream.skip(layout.start)
            text = TextFile(self.path, layout.dialect, layout.start, layout.start_line)
            pieces = cut(
                stream,
                text,
                lambda: int(batch_rows() * parser.bytes_per_row * _ROOM),
                self.options.max_record_bytes,
                self._buffers,
                keep_blanks=len(layout.positions) == 1,
            )
            for piece in pieces:
                yield DelimitedTask(piece, parser, max(1, batch_rows()))
        finally:
            stream.close()


def _parser(layout: Layout, options: LoadOptions) -> Parser:
    """The parser of a file, as the sample at its start suggests."""
    parser = Parser(layout, options, Guesses([c.affinity for c in layout.table.columns]))
    CarefulParse(layout, options).sample(parser.guesses)
    sampled = len(line_ends(layout.sample))
    parser.bytes_done, parser.rows_done = len(layout.sample) or 100, max(1, sampled)
    return parser


@dataclass(slots=True)
class DelimitedTask:
    """One piece of delimited text."""

    piece: Piece
    parser: Parser
    most_rows: int
    input_bytes: int = field(init=False)
    _failed: tuple[int, Guess] | None = field(init=False, default=None)

    def __post_init__(self) -> None:
        self.input_bytes = self.piece.size

    def run(self) -> list[LoadedRows]:
        columns = self._parse_fast()
        skipped: tuple[int, ...] = ()
        rejects: tuple[Reject, ...] = ()
        if columns is None:
            guesses = self.parser.guesses
            parsed = CarefulParse(self.parser.layout, self.parser.options).parse(self.piece, guesses)
            if self._failed is not None:
                position, failed = self._failed
                guesses.strike(position, failed, parsed.texts[position])
            columns, skipped, rejects = parsed.columns, parsed.skipped, parsed.rejects
        batch = RowBatch(len(columns[0]), tuple(columns))
        self._count(batch.row_count + len(skipped))
        where = partial(provenance, self.piece, skipped=skipped)
        table = self.parser.layout.table
        result = loaded_rows(table, batch, self.most_rows, where, rejects)
        self.piece.release()
        return result

    def _parse_fast(self) -> list[Column] | None:
        """The columns, if pyarrow's types fit and give SQLite's values; else None."""
        layout, options, piece = self.parser.layout, self.parser.options, self.piece
        asked = list(self.parser.guesses.current)
        if Guess.LARGE in asked and has_hex(piece.buffer, piece.size):
            asked = [Guess.TEXT if g is Guess.LARGE else g for g in asked]
        types = {str(p): ARROW_TYPES[asked[p]] for p in layout.positions}
        if layout.trailing:
            types["end"] = pa.binary(0)  # whatever follows the last delimiter is an error
        try:
            table = self._read(types)
        except pa.ArrowInvalid as error:
            match = _FAILED_COLUMN.search(str(error))
            if match and int(match[1]) < len(layout.positions):
                position = layout.positions[int(match[1])]
                self._failed = position, asked[position]
            return None
        read, row_count = {}, table.num_rows
        chunked = dict(zip(types, table.columns, strict=True))
        del table  # a column's chunks are freed once they are one array
        for position in layout.positions:
            data = one_chunk(chunked.pop(str(position)))
            column = settle(asked[position], layout.table.columns[position].affinity, data)
            if column is None:
                self._failed = position, asked[position]
                return None
            self.parser.guesses.saw(position, column)
            read[position] = column
        columns = full_columns(layout, read, row_count)
        if options.strict and text_numbers(layout.table, columns):
            return None
        if len(read) > 1 and self._has_blank_lines(list(read.values())):
            return None
        return columns

    def _read(self, types: dict[str, pa.DataType]) -> pa.Table:
        """The fields as `types`, by field name. Raises ArrowInvalid."""
        piece, layout = self.piece, self.parser.layout
        convert = convert_options(self.parser.options, types)
        try:
            return read_table(piece.data, layout, convert, quoted=piece.quoted, block_bytes=_BLOCK_BYTES)
        except pa.ArrowInvalid as error:
            if _LONG_RECORD not in str(error):
                raise
        return read_table(piece.data, layout, convert, quoted=piece.quoted)

    def _has_blank_lines(self, columns: list[Column]) -> bool:
        """Whether an empty line is among the records: pyarrow takes it for a row of empty fields."""
        if any(_has_no_empty_field(column) for column in columns):
            return False
        return len(blank_records(self.piece.data, self.parser.layout.dialect)) > 0

    def _count(self, records: int) -> None:
        piece, parser = self.piece, self.parser
        parser.bytes_done += piece.size
        parser.rows_done += records
        if not piece.file.counts_early:
            piece.file.set_lines(piece.number, len(line_ends(piece.data)) if piece.quoted else records)


def _has_no_empty_field(column: Column) -> bool:
    """Whether no value of a column can have come from an empty field."""
    if column.data.null_count:
        return False
    if column.kind is not Kind.TEXT:
        return column.kind is not Kind.MIXED and column.kind is not Kind.NULL
    data = column.data.dictionary if pa.types.is_dictionary(column.data.type) else column.data
    shortest = pc.min(pc.binary_length(data)).as_py()
    return shortest is not None and shortest > 0
