"""Rows of the PRAGMAs that report: storage, constraint checks, and the counters of both."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from dataclasses import fields
from typing import Any

import apsw

from colonnade.loader.advice import advise
from colonnade.loader.checking import ValidateLimits
from colonnade.loader.stats import ConstraintStats
from colonnade.loader.stats import Counters as ConstraintCounters
from colonnade.loader.validate import validate
from colonnade.loader.violationlog import ViolationLog
from colonnade.loader.violations import CountedViolations, Violation
from colonnade.sql.checks import bulk_reason
from colonnade.sql.objects import Schema, TableDef
from colonnade.sql.tokens import quote
from colonnade.store.counters import ChunkCounters, FilePages, Usage
from colonnade.store.database import Store
from colonnade.store.table import ColumnTable

Row = tuple[Any, ...]

STORAGE = ("table", "format", "rows", "row_groups", "row_part_rows", "bytes", "dead_bytes", "reason")
CHECK = ("table", "rowid", "constraint", "kind", "columns", "key", "parent", "message")
CONSTRAINTS = (
    *("table", "constraint", "kind", "columns", "parent"),
    *(field.name for field in fields(ConstraintCounters)),
)
ADVICE = ("table", "rows", "reason", "action")
PAGER = ("table", "phase", "figure", "value")


def storage(store: Store, schema: Schema, only: str | None) -> list[Row]:
    """One row a table: its format, rows, bytes of all its pages, and why it must stay in row format if so."""
    sizes = _bytes_by_table(store, schema.name)
    wanted = schema.tables.values() if only is None else filter(None, [schema.table(only)])
    return [_storage_row(store, table, sizes) for table in wanted]


def _storage_row(store: Store, table: TableDef, sizes: dict[str, int]) -> Row:
    stored = store.table(table.name, table.schema)
    if stored is None:
        count = store.db.execute(f"SELECT count(*) FROM {quote(table.schema)}.{quote(table.name)}").get
        reason = store.ineligible(table.name, table.schema) or bulk_reason(table)
        return table.name, "row", count, 0, count, sizes.get(table.name.lower(), 0), 0, reason
    groups = stored.groups()
    in_groups = sum(group.live_count for group in groups)
    rows = stored.row_count()
    size = sum(sizes.get(name.lower(), 0) for name in _shadow_names(stored))
    return table.name, "column", rows, len(groups), rows - in_groups, size, stored.usage().dead_bytes, None


def _bytes_by_table(store: Store, schema: str) -> dict[str, int]:
    """Bytes of the pages of each table and its indexes, by its name in lower case."""
    rows: Any = store.db.execute(
        f"SELECT lower(m.tbl_name), sum(p.pgsize) FROM dbstat({_text(schema)}, 1) AS p"
        f" JOIN {quote(schema)}.sqlite_schema AS m ON m.name = p.name GROUP BY 1"
    )
    return dict(rows.fetchall())


def _shadow_names(table: ColumnTable) -> list[str]:
    stem = table.rows_name.removesuffix("rows")
    listed = table.store.db.execute(
        f"SELECT name FROM {quote(table.schema)}.sqlite_schema WHERE type = 'table' AND name GLOB ? || '*'",
        (stem,),
    )
    return [name for (name,) in listed]


def check(store: Store, schema: Schema, only: Collection[str], stats: ConstraintStats) -> Iterable[Row]:
    """Every violation of every key of the tables (none named: of all), found by reading all their rows.

    There may be any number of them: beyond the first they wait in a temporary file.
    """
    found = CountedViolations(keep=None, kept=ViolationLog())
    limits = ValidateLimits(store.working_memory())
    with store.db:
        names = only or list(schema.tables)
        validate(store, schema, names, limits, stats, foreign_keys=True, sink=found, full=True)
    return map(_violation_row, found.kept)


def _violation_row(violation: Violation) -> Row:
    key = ", ".join(map(apsw.format_sql_value, violation.values))
    return (
        violation.table,
        violation.rowid,
        violation.constraint,
        violation.kind,
        ", ".join(violation.columns),
        key,
        violation.parent,
        violation.message,
    )


def advice(store: Store, schema: Schema, stats: ConstraintStats) -> list[Row]:
    """What to do so that keys are checked with less reading, most rows first."""
    return [(found.table, found.rows, found.reason, found.action) for found in advise(store, schema, stats)]


def pager(store: Store) -> list[Row]:
    """Counters of the connection: of each table, of all (table NULL), and of each table and phase what was written.

    With those of all are the figures of SQLite's pages and of the main file as it is. `live_bytes` and `dead_bytes`
    are of the column chunks that are stored now.
    """
    snapshot, usage = store.pager.counters.snapshot(), {}
    for name in store.db.db_names():
        if name != "temp":
            usage.update({table.names.key: table.usage() for table in store.tables(name)})
    rows: list[Row] = []
    nothing = Usage(0, 0)
    for key in dict.fromkeys((*snapshot.tables, *usage)):
        counters = snapshot.tables.get(key, ChunkCounters())
        rows += [(key, None, *figure) for figure in _chunk_figures(counters, usage.get(key, nothing))]
    whole = _chunk_figures(snapshot.total, sum(usage.values(), nothing))
    for source in (snapshot.pages, FilePages.read(store.db)):
        whole += [(field.name, getattr(source, field.name)) for field in fields(source)]
    rows += [(None, None, *figure) for figure in whole]
    for (phase_of, phase), written in snapshot.phases.items():
        rows += [(phase_of, phase, name, value) for name, value in written.figures().items()]
    return rows


def _chunk_figures(counters: ChunkCounters, usage: Usage) -> list[tuple[str, Any]]:
    figures = [(field.name, getattr(counters, field.name)) for field in fields(counters)]
    figures += [
        ("chunks_fresh", counters.chunks_fresh),
        ("live_bytes", usage.live_bytes),
        ("dead_bytes", usage.dead_bytes),
    ]
    if usage.live_bytes:
        figures.append(("write_amplification", round(usage.write_amplification(counters), 3)))
    return figures


def _text(value: str) -> str:
    return "'" + value.replace("'", "''") + "'"


__all__ = ["ADVICE", "CHECK", "CONSTRAINTS", "PAGER", "STORAGE", "advice", "check", "pager", "storage"]
