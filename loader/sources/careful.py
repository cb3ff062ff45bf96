"""The second parse of a piece of delimited text: every value as text, and every malformed row found.

Slower than the first parse, and used only for pieces that pyarrow's types do not fit. What is wrong with
a row becomes a LoadError, or a Reject where the options keep rejects.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv

from colonnade.loader.options import LoadOptions
from colonnade.loader.sources.base import Reject
from colonnade.loader.sources.faults import Fault, error_for, number_faults, others, rejects_for
from colonnade.loader.sources.guesses import Guesses, convert_text, settle_as_text
from colonnade.loader.sources.layout import Layout, parse_options
from colonnade.loader.sources.pieces import BOM, Piece
from colonnade.loader.sources.records import Bytes, blank_records, record_ends
from colonnade.store.values import Column, IntArray, null_column


@dataclass(frozen=True, slots=True)
class CarefulRows:
    """The good rows of a piece.

    columns  of the whole table, in its order
    texts    by position in the table, the same rows' text before affinity
    skipped  ordinals of the records that are not among them, ascending
    """

    columns: list[Column]
    texts: dict[int, pa.Array]
    skipped: tuple[int, ...]
    rejects: tuple[Reject, ...]


def convert_options(options: LoadOptions, types: Mapping[str, pa.DataType]) -> pa.csv.ConvertOptions:
    """pyarrow's options for reading fields as `types`, by field name; only those are read."""
    null = options.null
    return pa.csv.ConvertOptions(
        column_types=types,
        include_columns=list(types),
        null_values=[] if null is None else [null],
        strings_can_be_null=null is not None,
        quoted_strings_can_be_null=False,
    )


def read_table(
    data: Bytes,
    layout: Layout,
    convert: pa.csv.ConvertOptions,
    *,
    quoted: bool,
    block_bytes: int | None = None,
) -> pa.Table:
    """pyarrow.csv over records that begin with data. Releases the GIL. Raises ArrowInvalid.

    block_bytes  what the parser takes at once, and a column has a chunk of; None: all. Raises ArrowInvalid where a
                 record is longer
    """
    if bytes(data[: len(BOM)]) == BOM:  # pyarrow drops it, and here it is data
        data = BOM + bytes(data)
    if len(data) and np.frombuffer(data, np.int8).min() >= 0:  # ASCII needs no check, 6% of the parse
        convert.check_utf8 = False
    return pa.csv.read_csv(
        pa.BufferReader(pa.py_buffer(data)),
        pa.csv.ReadOptions(
            use_threads=False, block_size=block_bytes or len(data) + 1, column_names=layout.field_names
        ),
        parse_options(layout.dialect, quoted=quoted),
        convert,
    )


def one_chunk(column: pa.ChunkedArray) -> pa.Array:
    """The column as one array."""
    return column.chunk(0) if column.num_chunks == 1 else column.combine_chunks()


def full_columns(layout: Layout, read: Mapping[int, Column], row_count: int) -> list[Column]:
    """Every column of the table: those read, and NULL for those that cannot be written (generated)."""
    return [
        read[position] if position in read else null_column(row_count)
        for position in range(len(layout.table.columns))
    ]


class CarefulParse:
    """Parses pieces of one file as text."""

    def __init__(self, layout: Layout, options: LoadOptions) -> None:
        self.layout = layout
        self.options = options
        self._width = len(layout.positions)

    def sample(self, guesses: Guesses) -> None:
        """Guess each column's type from the sample at the start of the file; malformed rows are left out."""
        if not self.layout.sample:
            return
        faults: dict[int, Fault] = {}
        table, _ = self._read(self.layout.sample, faults)
        for position in self.layout.positions:
            data = one_chunk(table.column(str(position)))
            try:
                guesses.sample(position, data.cast(pa.string()))
            except pa.ArrowInvalid:  # not UTF-8: the rows' own parse will say so
                continue

    def parse(self, piece: Piece, guesses: Guesses) -> CarefulRows:
        """The rows of a piece. LoadError for the first malformed one, unless rejects are kept."""
        faults: dict[int, Fault] = {}
        table, ordinals = self._read(piece.data, faults)
        arrays = {p: one_chunk(table.column(str(p))) for p in self.layout.positions}
        bad = self._not_utf8(arrays)
        if bad:
            good = others(bad, len(ordinals))
            faults.update({int(ordinals[row]): fault for row, fault in bad.items()})
            arrays, ordinals = {p: a.take(pa.array(good)) for p, a in arrays.items()}, ordinals[good]
        texts = {p: array.cast(pa.string()) for p, array in arrays.items()}
        read = {p: self._convert(text, p, guesses) for p, text in texts.items()}
        if self.options.strict:
            bad = number_faults((self.layout.table.columns[p], column) for p, column in read.items())
            if bad:
                good = others(bad, len(ordinals))
                faults.update({int(ordinals[row]): fault for row, fault in bad.items()})
                read = {p: column.take(good) for p, column in read.items()}
                texts, ordinals = {p: text.take(pa.array(good)) for p, text in texts.items()}, ordinals[good]
        if faults and not self.options.keeps_rejects:
            raise error_for(piece, faults)
        columns = full_columns(self.layout, read, len(ordinals))
        return CarefulRows(columns, texts, tuple(sorted(faults)), rejects_for(piece, faults))

    def _read(self, data: Bytes, faults: dict[int, Fault]) -> tuple[pa.Table, IntArray]:
        """The well-formed records with every field as binary, and their ordinals; adds the others' faults."""
        layout = self.layout
        ends = record_ends(data, layout.dialect)
        self._find_misshapen(data, ends, faults)
        ordinals = np.arange(len(ends))
        if faults:
            ordinals = others(faults, len(ends))
            data = _joined(data, ends, ordinals)
        names = [str(position) for position in layout.positions]
        convert = convert_options(self.options, dict.fromkeys(names, pa.binary()))
        if not data:
            return pa.table({name: pa.array([], pa.binary()) for name in names}), ordinals
        return read_table(data, layout, convert, quoted=bool(layout.dialect.quote)), ordinals

    def _find_misshapen(self, data: Bytes, ends: IntArray, faults: dict[int, Fault]) -> None:
        """Records with too few or too many fields, and empty lines."""
        layout, width = self.layout, self._width
        expected = f"expected {width} column{'s' if width > 1 else ''}"
        if width > 1:
            for ordinal in blank_records(data, layout.dialect):
                faults[int(ordinal)] = Fault(f"{expected}, got an empty line")
        fields = width + layout.trailing
        delimiter = layout.dialect.delimiter
        for ordinal, got in _wrong_counts(data, layout, fields):
            closed = layout.trailing and _ends_with(data, ends[ordinal], delimiter)
            if layout.trailing and got == width and not closed:
                reason = f"{expected} and a {delimiter!r} after the last, which is missing"
            else:
                reason = f"{expected}, got {got - closed}"
            faults[ordinal] = Fault(reason)
        if layout.trailing:
            for ordinal, value in _after_the_end(data, layout, fields, faults):
                faults[ordinal] = Fault(f"{expected}, got {width + 1}", None, value)

    def _not_utf8(self, arrays: dict[int, pa.Array]) -> dict[int, Fault]:
        """By position, the rows that are not UTF-8."""
        bad: dict[int, Fault] = {}
        for position, array in arrays.items():
            if _is_utf8(array):
                continue
            for row, value in enumerate(array.to_pylist()):
                reason = _why_not_utf8(value) if value is not None else None
                if reason is not None:
                    name = self.layout.table.columns[position].name
                    bad.setdefault(row, Fault(reason, name, value.decode("utf-8", "backslashreplace")))
        return bad

    def _convert(self, texts: pa.Array, position: int, guesses: Guesses) -> Column:
        affinity = self.layout.table.columns[position].affinity
        settled = settle_as_text(guesses.current[position], texts)
        return settled if settled is not None else convert_text(texts, affinity)


def _wrong_counts(data: Bytes, layout: Layout, fields: int) -> list[tuple[int, int]]:
    """(ordinal, number of fields) of the records with another number of fields than `fields`."""
    bad: list[tuple[int, int]] = []

    def note(row: Any) -> str:
        bad.append((row.number - 1, row.actual_columns))
        return "skip"

    # Latin-1 gives every byte a character: pyarrow hands the handler the row's text, and fails if it cannot.
    text = bytes(data).decode("latin-1").encode()
    names = layout.field_names
    if text:
        pa.csv.read_csv(
            pa.BufferReader(text),
            pa.csv.ReadOptions(use_threads=False, block_size=len(text) + 1, column_names=names),
            parse_options(layout.dialect, quoted=bool(layout.dialect.quote), on_bad_row=note),
            pa.csv.ConvertOptions(include_columns=names[:1], column_types={names[0]: pa.binary()}),
        )
    return bad


def _after_the_end(
    data: Bytes, layout: Layout, fields: int, faults: Mapping[int, Fault]
) -> list[tuple[int, str]]:
    """(ordinal, text) of what follows a trailing delimiter, where something does."""
    ends = record_ends(data, layout.dialect)
    ordinals = others(faults, len(ends))
    good = _joined(data, ends, ordinals)
    if not good:
        return []
    convert = pa.csv.ConvertOptions(include_columns=["end"], column_types={"end": pa.binary()})
    column = one_chunk(read_table(good, layout, convert, quoted=bool(layout.dialect.quote)).column("end"))
    rows = np.flatnonzero(pc.binary_length(column).to_numpy())
    return [(int(ordinals[r]), column[int(r)].as_py().decode("utf-8", "backslashreplace")) for r in rows]


def _joined(data: Bytes, ends: IntArray, ordinals: IntArray) -> Bytes:
    """The records of these ordinals."""
    if len(ordinals) == len(ends):
        return data
    starts = np.concatenate([[0], ends[:-1]])
    return b"".join(bytes(data[starts[r] : ends[r]]) for r in ordinals)


def _ends_with(data: Bytes, end: int, delimiter: str) -> bool:
    return bytes(data[max(0, end - 3) : end]).rstrip(b"\r\n").endswith(delimiter.encode())


def _is_utf8(array: pa.Array) -> bool:
    try:
        array.cast(pa.string())
    except pa.ArrowInvalid:
        return False
    return True


def _why_not_utf8(value: bytes) -> str | None:
    """What keeps bytes from being UTF-8, or None."""
    try:
        value.decode()
    except UnicodeDecodeError as error:
        return f"not UTF-8: byte 0x{value[error.start]:02x} at offset {error.start} of the value"
    return None
