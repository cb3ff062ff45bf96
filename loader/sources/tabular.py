"""Arrow data from files and from memory: parquet, Arrow IPC (feather), and the Arrow C stream protocol.

All of them are streams of record batches with named columns, cut and joined to batches of the wanted size
on the reading thread, and converted to SQLite values by the tasks.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

import pyarrow as pa
import pyarrow.ipc

from colonnade.loader.options import LoadOptions
from colonnade.loader.sources.arrowvalues import Unsuitable, is_supported, to_column
from colonnade.loader.sources.base import (
    LoadedRows,
    LoadError,
    Reject,
    RowProvenance,
    SourceFile,
    line_of,
)
from colonnade.loader.sources.faults import number_faults, others
from colonnade.loader.sources.layout import match_names
from colonnade.loader.sources.parts import loaded_rows
from colonnade.sql.objects import TableDef
from colonnade.store.values import Column, RowBatch, null_column, to_python

MEMORY = "<arrow stream>"
_READ_ROWS = 1 << 16  # rows that parquet decodes at a time; batches are cut from them


@dataclass(frozen=True, slots=True)
class Opened:
    """A stream of record batches. `close` ends it; bytes_per_row is for progress only."""

    schema: pa.Schema
    batches: Callable[[], Iterator[pa.RecordBatch]]
    bytes_per_row: float
    close: Callable[[], None]


class TabularSource:
    """A source of record batches with named columns."""

    def __init__(self, path: str, opened: Opened, table: TableDef, options: LoadOptions) -> None:
        self.path = path
        self.bytes_per_row = 0.0  # as they are in Arrow, once some were read
        self._opened = opened
        self._table = table
        self._options = options
        names = opened.schema.names
        positions = match_names(names, table, path, line=None)
        self._fields = dict(zip(positions, range(len(names)), strict=True))
        for name, arrow_type in zip(names, opened.schema.types, strict=True):
            if not is_supported(arrow_type):
                opened.close()
                reason = f"values of type {arrow_type} have no SQLite value"
                raise LoadError(reason, path=path, column=name)

    def _batches(self) -> Iterator[pa.RecordBatch]:
        for batch in self._opened.batches():
            if batch.num_rows:
                self.bytes_per_row = batch.nbytes / batch.num_rows
            yield batch

    def tasks(self, batch_rows: Callable[[], int]) -> Iterator[TabularTask]:
        first_row = 1
        try:
            for rows in rebatched(self._batches(), self._opened.schema, batch_rows):
                size = int(rows.num_rows * self._opened.bytes_per_row) or rows.nbytes
                yield TabularTask(
                    rows,
                    self._fields,
                    self._table,
                    self._options,
                    RowProvenance(self.path, first_row),
                    max(1, batch_rows()),
                    size,
                )
                first_row += rows.num_rows
        except (pa.ArrowException, OSError, ValueError) as error:
            raise LoadError(f"cannot be read: {error}", path=self.path) from None
        finally:
            self._opened.close()


@dataclass(slots=True)
class TabularTask:
    """Some rows of an Arrow stream. `fields`: position in the table -> number of the field."""

    rows: pa.Table
    fields: dict[int, int]
    table: TableDef
    options: LoadOptions
    where: RowProvenance
    most_rows: int
    input_bytes: int
    _rejects: tuple[Reject, ...] = field(init=False, default=())

    def run(self) -> list[LoadedRows]:
        rows, self.rows = self.rows, None
        columns = [self._column(rows, position) for position in range(len(self.table.columns))]
        batch = RowBatch(rows.num_rows, tuple(columns))
        skipped: tuple[int, ...] = ()
        if self.options.strict:
            batch, skipped = self._without_text(batch)
        run = self.where
        return loaded_rows(
            self.table,
            batch,
            self.most_rows,
            lambda start: RowProvenance(run.path, run.first_row, skipped, start),
            self._rejects,
        )

    def _column(self, rows: pa.Table, position: int) -> Column:
        definition = self.table.columns[position]
        if position not in self.fields:  # a generated column
            return null_column(rows.num_rows)
        data = rows.column(self.fields[position])
        try:
            return to_column(data, definition.affinity)
        except Unsuitable as error:
            raise self._locate(data, position, str(error)) from None

    def _locate(self, data: pa.ChunkedArray, position: int, reason: str) -> LoadError:
        """The error for the first value that cannot be converted, found by halving."""
        definition = self.table.columns[position]
        low, high = 0, len(data)
        while high - low > 1:
            middle = (low + high) // 2
            try:
                to_column(data.slice(low, middle - low), definition.affinity)
            except Unsuitable as error:
                high, reason = middle, str(error)
            else:
                low = middle
        line = line_of(self.where, low)
        return LoadError(reason, path=self.where.path, line=line, column=definition.name)

    def _without_text(self, batch: RowBatch) -> tuple[RowBatch, tuple[int, ...]]:
        """The rows without text in a number column, and the numbers of the others, which become rejects."""
        faults = number_faults(zip(self.table.columns, batch.columns, strict=True))
        if not faults:
            return batch, ()
        if not self.options.keeps_rejects:
            row = min(faults)
            fault, line = faults[row], line_of(self.where, row)
            raise LoadError(
                fault.reason, path=self.where.path, line=line, column=fault.column, value=fault.value
            )
        self._rejects = tuple(
            Reject(self.where, row, fault.reason, _row_text(batch, row), fault.column, fault.value)
            for row, fault in sorted(faults.items())
        )
        skipped = tuple(self.where.first_row + row for row in sorted(faults))
        return batch.take(others(faults, batch.row_count)), skipped


def _row_text(batch: RowBatch, row: int) -> str:
    """A row's values as one line, for the quarantine."""
    return repr(tuple(to_python(column)[0] for column in batch.slice(row, 1).columns))


def rebatched(
    batches: Iterator[pa.RecordBatch], schema: pa.Schema, batch_rows: Callable[[], int]
) -> Iterator[pa.Table]:
    """The same rows in tables of batch_rows() rows, the last one shorter. Nothing is copied."""
    waiting: list[pa.RecordBatch] = []
    count = 0
    for batch in batches:
        waiting.append(batch)
        count += batch.num_rows
        while count >= (wanted := max(1, batch_rows())):
            joined = pa.Table.from_batches(waiting, schema)
            yield joined.slice(0, wanted)
            rest = joined.slice(wanted)
            waiting, count = rest.to_batches(), rest.num_rows
    if count:
        yield pa.Table.from_batches(waiting, schema)


def open_parquet(file: SourceFile, table: TableDef, options: LoadOptions) -> TabularSource:
    """A parquet file; decoded by pyarrow a few columns chunks at a time."""
    # Here, as it brings Arrow's filesystems and TLS with it, which no other source needs.
    from pyarrow.parquet import ParquetFile

    try:
        reader = ParquetFile(file.path, pre_buffer=False)
    except (pa.ArrowException, OSError) as error:
        raise LoadError(f"is no parquet file that can be read: {error}", path=file.path) from None
    rows = max(1, reader.metadata.num_rows)
    opened = Opened(
        reader.schema_arrow,
        lambda: reader.iter_batches(batch_size=_READ_ROWS),
        (file.byte_count or 0) / rows,
        reader.close,
    )
    return TabularSource(file.path, opened, table, options)


def open_arrow_file(file: SourceFile, table: TableDef, options: LoadOptions) -> TabularSource:
    """An Arrow IPC file (feather version 2) or stream."""
    try:
        handle = pa.OSFile(file.path)
        if handle.read(6) == b"ARROW1":
            reader: Any = pa.ipc.open_file(handle)
            batches = lambda: (reader.get_batch(n) for n in range(reader.num_record_batches))  # noqa: E731
        else:
            handle.seek(0)
            reader = pa.ipc.open_stream(handle)
            batches = lambda: iter(reader)  # noqa: E731
    except (pa.ArrowException, OSError) as error:
        raise LoadError(f"is no Arrow file that can be read: {error}", path=file.path) from None
    return TabularSource(file.path, Opened(reader.schema, batches, 0.0, handle.close), table, options)


def open_arrow(data: Any, table: TableDef, options: LoadOptions) -> TabularSource:
    """Anything with `__arrow_c_stream__`: a pyarrow Table or RecordBatchReader, polars and pandas frames.

    Frames of pandas without the protocol are converted by pyarrow; their index is left out.
    """
    reader = pa.RecordBatchReader.from_stream(streamable(data))
    return TabularSource(
        MEMORY, Opened(reader.schema, lambda: iter(reader), 0.0, reader.close), table, options
    )


def streamable(data: Any) -> Any:
    """What RecordBatchReader.from_stream takes, of a frame or of record batches. LoadError"""
    if type(data).__module__.partition(".")[0] == "pandas":  # its own protocol would add the index
        return pa.Table.from_pandas(data, preserve_index=False)
    if not hasattr(data, "__arrow_c_stream__") and hasattr(data, "__arrow_c_array__"):
        return pa.Table.from_batches([pa.record_batch(data)])
    if not hasattr(data, "__arrow_c_stream__"):
        raise LoadError(f"a {type(data).__name__} has no __arrow_c_stream__", path=MEMORY)
    return data
