"""JSON lines: one object a line, keys are column names, a missing key is NULL. Blank lines are passed over.

pyarrow.json parses a piece with types taken from what was seen so far. It is used only for columns where its
types leave no doubt about the value; a piece that does not fit is read by Python's json module.
JSON numbers with a fraction or an exponent are REAL, as are integers beyond 64 bits; true and false are 1 and 0.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.json

from colonnade.loader.options import LoadOptions
from colonnade.loader.sources.arrowvalues import Unsuitable, to_column
from colonnade.loader.sources.base import LoadedRows, Reject, SourceFile
from colonnade.loader.sources.bytestream import ByteStream
from colonnade.loader.sources.faults import Fault, error_for, number_faults, others, rejects_for
from colonnade.loader.sources.guesses import NUMBERS
from colonnade.loader.sources.layout import near_name
from colonnade.loader.sources.parts import loaded_rows
from colonnade.loader.sources.pieces import BOM, Buffers, Piece, TextFile, cut, provenance
from colonnade.loader.sources.records import Dialect, line_ends, record_ends
from colonnade.loader.sources.textnumbers import text_numbers
from colonnade.sql.affinity import apply_affinity
from colonnade.sql.objects import TableDef, fold
from colonnade.store.values import (
    EXACT_INT,
    INT64_MAX,
    INT64_MIN,
    Column,
    RowBatch,
    SQLiteValue,
    from_python,
    null_column,
)

_LINES = Dialect(",", "")  # no character quotes: a line end cannot be inside a JSON string
_FIRST_BYTES_PER_ROW = 200.0
_TYPES = {bool: pa.bool_(), int: pa.int64(), float: pa.float64(), str: pa.string()}
_LARGEST_FIRST_PIECE = 1 << 18  # read by Python's json, to learn the keys and types
_ROOM = 0.97  # of a batch, see delimited


class JsonSource:
    """A file of JSON lines."""

    def __init__(self, file: SourceFile, table: TableDef, options: LoadOptions, buffers: Buffers) -> None:
        self.path = file.path
        self._buffers = buffers
        self._stream = ByteStream(file.path)
        self._table = table
        self._options = options
        self._position = {fold(c.name): p for p, c in enumerate(table.columns) if not c.generated}
        self._types: dict[str, set[type]] = {}  # by key as it is spelt, the types of its values so far
        self._bytes_done, self._rows_done = _FIRST_BYTES_PER_ROW, 1

    @property
    def bytes_per_row(self) -> float:
        return self._bytes_done / self._rows_done if self._types else 0.0

    def tasks(self, batch_rows: Callable[[], int]) -> Iterator[JsonTask]:
        head = bytearray(len(BOM))
        stop = self._stream.fill(head, 0, len(BOM))
        start = len(BOM) if head == BOM else 0
        if not start:
            self._stream.push(bytes(head[:stop]))
        text = TextFile(self.path, _LINES, start, 1)

        def wanted_bytes() -> int:
            wanted = int(batch_rows() * _ROOM * self._bytes_done / self._rows_done)
            return wanted if self._types else min(wanted, _LARGEST_FIRST_PIECE)

        limit = self._options.max_record_bytes
        try:
            for piece in cut(self._stream, text, wanted_bytes, limit, self._buffers, keep_blanks=False):
                task = JsonTask(piece, self, max(1, batch_rows()))
                if piece.number == 0:  # what it teaches is for all that follow
                    task.parse()
                yield task
        finally:
            self._stream.close()

    def arrow_schema(self) -> pa.Schema | None:
        """A schema under which pyarrow's values are certain; None if there is none."""
        fields, positions = [], set()
        for key, types in self._types.items():
            position = self._position[fold(key)]
            number = self._table.columns[position].affinity in NUMBERS
            if types == {int, float} and number:
                types = {float}
            if len(types) != 1 or position in positions or (types == {float} and not number):
                return None
            fields.append(pa.field(key, _TYPES[next(iter(types))]))
            positions.add(position)
        return pa.schema(fields) if fields else None

    def saw(self, types: dict[str, set[type]]) -> None:
        """Types of values under each key; any thread."""
        merged = {key: set(seen) for key, seen in self._types.items()}
        for key, seen in types.items():
            if seen:
                merged.setdefault(key, set()).update(seen)
        self._types = merged

    def count(self, size: int, rows: int) -> None:
        self._bytes_done, self._rows_done = self._bytes_done + size, self._rows_done + rows


@dataclass(slots=True)
class JsonTask:
    """Some lines of a file of JSON lines."""

    piece: Piece
    source: JsonSource
    most_rows: int
    input_bytes: int = field(init=False)
    _parsed: _Parsed | None = field(init=False, default=None)

    def __post_init__(self) -> None:
        self.input_bytes = self.piece.size

    def parse(self) -> None:
        """Parse now, what `run` would do later."""
        columns = self._parse_fast()
        self._parsed = self._parse_lines() if columns is None else _Parsed(columns, (), ())

    def run(self) -> list[LoadedRows]:
        if self._parsed is None:
            self.parse()
        assert self._parsed is not None
        parsed, table, piece = self._parsed, self.source._table, self.piece
        batch = RowBatch(len(parsed.columns[0]), tuple(parsed.columns))
        where = partial(provenance, piece, skipped=parsed.skipped)
        parts = loaded_rows(table, batch, self.most_rows, where, parsed.rejects)
        self.source.count(piece.size, batch.row_count)
        if not piece.file.counts_early:
            piece.file.set_lines(piece.number, len(line_ends(piece.data)))
        self._parsed = None
        piece.release()
        return parts

    def _parse_fast(self) -> list[Column] | None:
        schema, table = self.source.arrow_schema(), self.source._table
        if schema is None:
            return None
        data = self.piece.data
        try:
            rows = pa.json.read_json(
                pa.BufferReader(pa.py_buffer(data)),
                pa.json.ReadOptions(use_threads=False, block_size=len(data) + 1),
                pa.json.ParseOptions(explicit_schema=schema, unexpected_field_behavior="error"),
            )
            if rows.num_rows != len(record_ends(data, _LINES)):
                return None
            columns = [null_column(rows.num_rows)] * len(table.columns)
            for key in schema.names:
                position = self.source._position[fold(key)]
                values = rows.column(key)
                if pa.types.is_floating(values.type) and not _all_small(values):
                    return None
                columns[position] = to_column(values, table.columns[position].affinity)
        except (pa.ArrowException, Unsuitable):
            return None
        if self.source._options.strict and text_numbers(table, columns):
            return None
        return columns

    def _parse_lines(self) -> _Parsed:
        """The lines one by one; LoadError for the first malformed one, unless rejects are kept."""
        source, piece = self.source, self.piece
        table = source._table
        values: list[list[SQLiteValue]] = [[] for _ in table.columns]
        types: dict[str, set[type]] = {}
        faults: dict[int, Fault] = {}
        ordinals, blank = [], []
        start = 0
        for ordinal, end in enumerate(record_ends(piece.data, _LINES).tolist()):
            line = bytes(piece.data[start:end])
            start = end
            if not line.strip():
                blank.append(ordinal)
                continue
            row = _Line(source._position, table, types).read(line)
            if isinstance(row, Fault):
                faults[ordinal] = row
                continue
            ordinals.append(ordinal)
            for column, value in zip(values, row, strict=True):
                column.append(value)
        columns = [
            apply_affinity(from_python(column), definition.affinity)
            for column, definition in zip(values, table.columns, strict=True)
        ]
        if source._options.strict:
            bad = number_faults(zip(table.columns, columns, strict=True))
            if bad:
                good = others(bad, len(ordinals))
                columns = [column.take(good) for column in columns]
                faults.update({ordinals[row]: fault for row, fault in bad.items()})
        if faults and not source._options.keeps_rejects:
            raise error_for(piece, faults)
        source.saw(types)
        return _Parsed(columns, tuple(sorted([*faults, *blank])), rejects_for(piece, faults))


@dataclass(frozen=True, slots=True)
class _Parsed:
    columns: list[Column]
    skipped: tuple[int, ...]
    rejects: tuple[Reject, ...]


@dataclass(slots=True)
class _Line:
    """Reads one line. `types` collects what was seen."""

    position: dict[str, int]
    table: TableDef
    types: dict[str, set[type]]

    def read(self, line: bytes) -> list[SQLiteValue] | Fault:
        try:
            content = json.loads(line.decode(), parse_constant=_no_constant)
        except UnicodeDecodeError as error:
            return Fault(f"not UTF-8: byte 0x{line[error.start]:02x} at offset {error.start} of the line")
        except (ValueError, RecursionError) as error:
            return Fault(f"not JSON: {error}")
        if not isinstance(content, dict):
            return Fault("not a JSON object")
        row: list[SQLiteValue] = [None] * len(self.table.columns)
        for key, value in content.items():
            position = self.position.get(fold(key))
            if position is None:
                near = near_name(key, [column.name for column in self.table.columns])
                return Fault(f"table {self.table.name} has no column {key!r}{near}")
            name = self.table.columns[position].name
            if isinstance(value, list | dict):
                return Fault("an array or object has no SQLite value", name, json.dumps(value))
            if isinstance(value, str) and not _encodes(value):
                return Fault("half of a surrogate pair is no character", name, ascii(value))
            if type(value) is int and not INT64_MIN <= value <= INT64_MAX:
                value = float(value)
            if value is not None:
                self.types.setdefault(key, set()).add(type(value))
            row[position] = value
        return row


def _all_small(values: pa.ChunkedArray) -> bool:
    """Whether all are below 2**53, and so the same whether JSON wrote them as integers or not."""
    bounds = pc.min_max(values).as_py()
    return bounds["min"] is None or bool(bounds["min"] > -EXACT_INT and bounds["max"] < EXACT_INT)


def _encodes(text: str) -> bool:
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


def _no_constant(name: str) -> Any:
    raise ValueError(f"{name} is not JSON")
