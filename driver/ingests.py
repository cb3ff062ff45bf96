"""What a cursor has of ADBC's DB-API: adbc_ingest, whose work is in `ingest`, imported with Arrow when it is called."""

from __future__ import annotations

from functools import partial
from threading import get_ident
from typing import TYPE_CHECKING, Any, cast

if TYPE_CHECKING:
    from colonnade.cursor import Cursor


class Ingests:
    """A part of Cursor."""

    __slots__ = ()

    def adbc_ingest(
        self, table_name: str, data: Any, mode: str = "create", *, catalog_name: str | None = None,
        db_schema_name: str | None = None, temporary: bool = False,
    ) -> int:  # fmt: skip
        """Insert Arrow data, all rows or none; returns how many. As ADBC's cursors: see colonnade.ingest.

        data            a Table, RecordBatch or RecordBatchReader, a polars or pandas frame, `__arrow_c_stream__`
        mode            append, create, replace or create_append
        db_schema_name  main, temp or an attached database; so is catalog_name
        """
        cursor = cast("Cursor", self)
        connection = cursor.connection
        if get_ident() != connection._thread:
            again = partial(cursor.adbc_ingest, catalog_name=catalog_name, db_schema_name=db_schema_name)
            return connection._elsewhere(partial(again, temporary=temporary), table_name, data, mode)
        cursor._check_open()
        from colonnade.ingest import IngestTarget, ingest

        cursor._rows = cursor._ahead = cursor.description = None
        cursor.rowcount = -1
        try:
            target = IngestTarget(table_name, db_schema_name or catalog_name, mode, temporary)
            cursor.rowcount = ingest(cursor, target, data)
        except Exception as error:
            raise cursor._failed(error) from None
        return cursor.rowcount
