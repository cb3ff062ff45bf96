"""Sources: one module a format, each turning input into the rows of a table with affinity applied.

The way of a row:
1. `find_sources` finds the files, their formats and their tables; `open_source` opens one, and
   `open_arrow` anything that speaks the Arrow C stream protocol.
2. `Source.tasks` runs on the reading thread and gives one Task for each piece of input.
3. `Task.run` runs in any thread and gives LoadedRows: a RowBatch, and the Provenance that finds lines again.

Text is cut at record ends (`records`, `pieces`), parsed with guessed types (`delimited`, `guesses`) and,
where those do not fit, as text (`careful`).
"""

from __future__ import annotations

from typing import Any

from colonnade.loader.options import LoadOptions
from colonnade.loader.sources.base import (
    LoadedRows,
    LoadError,
    Provenance,
    Reject,
    Source,
    SourceFile,
    Task,
    line_of,
)
from colonnade.loader.sources.delimited import DelimitedSource
from colonnade.loader.sources.find import find_sources
from colonnade.loader.sources.pieces import Buffers
from colonnade.sql.objects import TableDef

__all__ = [
    "Buffers",
    "LoadError",
    "LoadedRows",
    "Provenance",
    "Reject",
    "Source",
    "SourceFile",
    "Task",
    "find_sources",
    "line_of",
    "open_arrow",
    "open_source",
]


def open_source(
    file: SourceFile, table: TableDef, options: LoadOptions, buffers: Buffers | None = None
) -> Source:
    """Open a file for reading. LoadError if it cannot be read, or if its columns do not fit the table.

    buffers  what text is read into, to be used by other files too
    """
    # What reads a format is imported with its first file: most loads are of one.
    if file.format in ("parquet", "arrow"):
        from colonnade.loader.sources.tabular import open_arrow_file, open_parquet

        opened = open_parquet if file.format == "parquet" else open_arrow_file
        return opened(file, table, options)
    if file.format == "jsonl":
        from colonnade.loader.sources.jsonl import JsonSource

        return JsonSource(file, table, options, buffers or Buffers())
    return DelimitedSource(file, table, options, buffers or Buffers())


def open_arrow(data: Any, table: TableDef, options: LoadOptions) -> Source:
    """Open anything that speaks the Arrow C stream protocol. See tabular.open_arrow."""
    from colonnade.loader.sources import tabular

    return tabular.open_arrow(data, table, options)
