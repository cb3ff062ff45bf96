"""Settling what bulk writes owe: validate their tables, then make them ordinary tables again."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from colonnade.loader.checking import ValidateLimits
from colonnade.loader.stats import ConstraintStats
from colonnade.loader.validate import validate
from colonnade.loader.violations import (
    FOREIGN_KEY,
    PRIMARY_KEY,
    UNIQUE,
    CountedViolations,
    Violation,
    ViolationBatch,
    ViolationSink,
)
from colonnade.sql.objects import Schema
from colonnade.store.database import Store
from colonnade.store.errors import IntegrityError, as_sqlite
from colonnade.store.table import ColumnTable

if TYPE_CHECKING:
    from colonnade.loader.heldparents import HeldParents

TableKey = tuple[str, str]  # (schema, table), both folded


@dataclass(slots=True)
class Debt:
    """Tables whose rows are not validated yet. It may name too many, never too few.

    tables   took rows
    recheck  lost rows, or had some changed: their children owe a check of every row
    """

    tables: set[TableKey] = field(default_factory=set)
    recheck: set[TableKey] = field(default_factory=set)

    def __bool__(self) -> bool:
        return bool(self.tables) or bool(self.recheck)

    def schemas(self) -> list[str]:
        return sorted({schema for schema, _ in self.tables | self.recheck})


def validate_debt(
    store: Store,
    schema_of: Callable[[str], Schema],
    debt: Debt,
    stats: ConstraintStats,
    sink: ViolationSink,
    *,
    foreign_keys: bool,
    held: Sequence[HeldParents] = (),
) -> int:
    """Check what is owed; violations go to `sink`. Returns how many there are, 0 if all is well.

    held  parents of the tables of `debt` of which lookups are at hand; not where it says `recheck`
    """
    parents = {constraint: parent for each in held for constraint, parent in each.held.items()}
    counted = _Counted(sink)
    for schema in debt.schemas():
        validate(
            store,
            schema_of(schema),
            [table for of, table in debt.tables if of == schema],
            ValidateLimits(store.working_memory() - sum(each.byte_count for each in held)),
            stats,
            foreign_keys=foreign_keys,
            sink=counted,
            held=parents,
            recheck=[table for of, table in debt.recheck if of == schema],
        )
    return counted.total


@dataclass(slots=True)
class _Counted:
    sink: ViolationSink
    total: int = 0

    def add(self, batch: ViolationBatch) -> None:
        self.total += len(batch)
        self.sink.add(batch)


def finish(
    store: Store, tables: Iterable[TableKey], *, shrink: bool = False, returning: Collection[TableKey] = ()
) -> None:
    """Make validated tables ordinary: row groups checked, the largest rowid in the row part.

    shrink     a table that turned to column format for a handful of rows returns to row format
    returning  tables that return to row format
    """
    for schema, name in tables:
        table = store.table(name, schema)
        if table is None:
            continue
        with store.pager.counters.phase(table.names.key, "settle"):
            _finish_one(store, table, shrink=shrink, returns=(schema, name) in returning)


def _finish_one(store: Store, table: ColumnTable, *, shrink: bool, returns: bool) -> None:
    if returns or (shrink and table.row_count() < table.hints().least_rows.value):
        store.restore(table.name, table.schema)
        return
    table.mark_checked()
    table.settle_last()


_CODES = {
    PRIMARY_KEY: "SQLITE_CONSTRAINT_PRIMARYKEY",
    UNIQUE: "SQLITE_CONSTRAINT_UNIQUE",
    FOREIGN_KEY: "SQLITE_CONSTRAINT_FOREIGNKEY",
}


class KeyViolation(IntegrityError):
    """Rows appended in bulk break a key: fix or delete the rows in `violations`, or roll back.

    violations  the first of them, each with its table, constraint, rowid, source, key and parent
    counts      how many rows break each constraint: exact, by the constraint's label
    """

    def __init__(self, found: CountedViolations, advice: str = "") -> None:
        """advice: what to add to the message"""
        first = found.kept[0]
        super().__init__(f"{first.message} ({describe_counts(found)}{advice})")
        as_sqlite(self, _CODES[first.kind])
        self.violations: list[Violation] = list(found.kept)
        self.counts = {f"{of.table}: {of.label}": count for of, count in found.counts.items()}


def describe_counts(found: CountedViolations) -> str:
    """Such as "3 rows break 2 constraints; first: orders.o_custkey = 7 has no parent in customer"."""
    constraints = len(found.counts)
    rows = "1 row breaks" if found.total == 1 else f"{found.total} rows break"
    what = "a constraint" if constraints == 1 else f"{constraints} constraints"
    return f"{rows} {what}; first: {found.kept[0].describe()}"
