"""What a cursor has of ADBC's and DuckDB's Arrow results; the work is in `arrowtables`, imported when it is called."""

from __future__ import annotations

from threading import get_ident
from typing import TYPE_CHECKING, Any, cast

if TYPE_CHECKING:
    import pyarrow as pa

    from colonnade.cursor import Cursor

ROWS_PER_BATCH = 65_536


class ArrowResults:
    """A part of Cursor. Types and errors: see colonnade.arrowtables."""

    __slots__ = ()

    def fetch_arrow_table(self) -> pa.Table:
        """All rows that are left as a pyarrow Table. Raises DataError for a column that has no one type."""
        cursor = cast("Cursor", self)
        if get_ident() != cursor.connection._thread:
            return cursor.connection._elsewhere(cursor.fetch_arrow_table)
        from colonnade.arrowtables import table

        return table(cursor)

    def fetch_record_batch(self, rows_per_batch: int = ROWS_PER_BATCH) -> pa.RecordBatchReader:
        """The same as a pyarrow RecordBatchReader, which reads them as it is read: up to so many rows at a time."""
        cursor = cast("Cursor", self)
        if get_ident() != cursor.connection._thread:
            return cursor.connection._elsewhere(cursor.fetch_record_batch, rows_per_batch)
        from colonnade.arrowtables import reader

        return reader(cursor, rows_per_batch)

    def fetch_df(self) -> Any:
        """The same as a pandas DataFrame; polars takes the cursor itself: `polars.DataFrame(cursor)`."""
        return self.fetch_arrow_table().to_pandas()

    def __arrow_c_stream__(self, requested_schema: object = None) -> object:
        """The Arrow PyCapsule interface: what is left as a stream of record batches."""
        return self.fetch_record_batch().__arrow_c_stream__(requested_schema)
