"""Validation: which constraints of which tables are checked, in which order, and on which sources.

How a check goes: `validate` makes a Check for each constraint (checking), binds its tables as key sources
(tablesource), and runs `check_unique` (uniqueness) or `check_presence` (presence). Both decide what they
can from zones, read the rest once as integer codes (codes, lookup), spill beyond the memory limit (spill,
presence_spill), and hand violations to the sink (violations) and figures to the registry (stats).
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING

from colonnade.loader.checking import Check, ValidateLimits
from colonnade.loader.keysource import KeySource, Workers
from colonnade.loader.presence import check_presence
from colonnade.loader.presence_job import ForeignKey
from colonnade.loader.presence_native import check_natively
from colonnade.loader.stats import ConstraintStats
from colonnade.loader.tablesource import ColumnSource, EmptySource, RowSource
from colonnade.loader.uniqueness import check_unique
from colonnade.loader.violations import FOREIGN_KEY, Constraint, ViolationSink
from colonnade.sql.affinity import Affinity, apply_affinity
from colonnade.sql.objects import ForeignKeyDef, KeyDef, Schema, TableDef, fold
from colonnade.store.database import Store
from colonnade.store.errors import OperationalError
from colonnade.store.keycode import COLLATIONS, KeySpec
from colonnade.store.values import Column

if TYPE_CHECKING:
    from colonnade.loader.heldparents import HeldParent

__all__ = [
    "ValidateLimits",
    "check_foreign_key",
    "check_key",
    "conversion",
    "foreign_key_of",
    "source_of",
    "validate",
]

_NUMERIC = (Affinity.NUMERIC, Affinity.INTEGER, Affinity.REAL)


def validate(
    store: Store,
    schema: Schema,
    tables: Collection[str],
    limits: ValidateLimits,
    stats: ConstraintStats,
    *,
    foreign_keys: bool,
    sink: ViolationSink,
    full: bool = False,
    recheck: Collection[str] = (),
    held: Mapping[Constraint, HeldParent] | None = None,
) -> None:
    """Hand every violation among the rows of `tables` that owe a check to `sink`.

    tables        whose keys and foreign keys are checked: unchecked row groups, the row part and tables in
                  row format; with `full` all rows, and the foreign keys of other tables that refer to them
    foreign_keys  False: only PRIMARY KEY and UNIQUE
    recheck       parents that lost rows or keys: the foreign keys that refer to them are checked for all
                  rows of their children
    held          parents of which lookups are at hand, and what was decided by these; not beside `full`, `recheck`
    Raises OperationalError, as SQLite does, for a foreign key whose parent has no such key ("foreign key
    mismatch") or, unless `full`, does not exist, if rows owe that check. Nothing is marked as checked.
    Memory: `limits.memory_limit`, for one constraint at a time; all of it is dropped when that is done.
    """
    run = _Run(store, schema, limits, stats, sink, Workers(limits.threads), held or {})
    named = {fold(name) for name in tables}
    reread = {fold(name) for name in recheck}
    with run.workers:
        for key, definition in schema.tables.items():
            if key in named and store.table(definition.name, schema.name) is not None:
                for unique in _distinct_keys(definition):
                    run.unique(definition, unique, full=full)
            if not foreign_keys:
                continue
            for foreign in definition.foreign_keys:
                parent = fold(foreign.parent)
                whole = parent in reread or (full and parent in named)
                if key in named or whole:
                    run.foreign_key(definition, foreign, full=full, whole=whole)


def check_foreign_key(
    store: Store,
    schema: Schema,
    child: TableDef,
    foreign: ForeignKeyDef,
    limits: ValidateLimits,
    sink: ViolationSink,
) -> None:
    """Hand every row of a table whose parent row is missing to `sink`, whatever is owed. See `validate`."""
    run = _Run(store, schema, limits, ConstraintStats(), sink, Workers(limits.threads))
    with run.workers:
        run.foreign_key(child, foreign, full=True, whole=True)


def check_key(
    store: Store,
    schema: Schema,
    definition: TableDef,
    key: KeyDef,
    limits: ValidateLimits,
    sink: ViolationSink,
) -> None:
    """Hand every row of a table that has a key again to `sink`, whatever is owed. See `validate`."""
    run = _Run(store, schema, limits, ConstraintStats(), sink, Workers(limits.threads))
    with run.workers:
        run.unique(definition, key, full=True)


def _distinct_keys(definition: TableDef) -> Iterator[KeyDef]:
    """Its keys, leaving out one that repeats another (a UNIQUE index beside a UNIQUE constraint)."""
    met: set[tuple[tuple[str, ...], tuple[str, ...]]] = set()
    for key in definition.keys:
        same = tuple(map(fold, key.columns)), tuple(map(fold, key.collations))
        if same not in met:
            met.add(same)
            yield key


@dataclass(frozen=True, slots=True)
class _Run:
    """One call of `validate`."""

    store: Store
    schema: Schema
    limits: ValidateLimits
    stats: ConstraintStats
    sink: ViolationSink
    workers: Workers
    held: Mapping[Constraint, HeldParent] = field(default_factory=dict)

    @contextmanager
    def check(self, constraint: Constraint, *, full: bool) -> Iterator[Check]:
        counters = self.stats.of(constraint)
        span = self.store.spans("validate", table=constraint.table, constraint=constraint.label)
        key = f"{self.schema.name}.{constraint.table}".lower()
        with span, self.store.pager.counters.phase(key, "validate"), counters.timed():
            held = self.held.get(constraint)
            decided = () if held is None else held.decided
            yield Check(constraint, counters, self.sink, self.workers, self.limits, full, decided)
            span.note(path=counters.path)

    def unique(self, definition: TableDef, key: KeyDef, *, full: bool) -> None:
        constraint = Constraint(definition.name, key.kind, key.columns, key.name)
        source = self.source(definition, key.columns, key.collations)
        with self.check(constraint, full=full) as check:
            check_unique(check, source, key.collations)

    def foreign_key(self, definition: TableDef, foreign: ForeignKeyDef, *, full: bool, whole: bool) -> None:
        constraint = foreign_key_of(definition, foreign)
        child = self.source(definition, foreign.columns, None)
        parent = self.schema.table(foreign.parent)
        with self.check(constraint, full=full or whole) as check:
            if (foreign.mismatch or (parent is None and not full)) and any(map(check.owes, child.segments())):
                raise OperationalError(
                    foreign.mismatch or f"no such table: {self.schema.name}.{foreign.parent}"
                )
            if parent is None:
                nothing = ForeignKey(child, EmptySource(), (None,) * len(foreign.columns), ())
                check_presence(check, nothing)
                return
            ends = [
                (definition.column(mine), parent.column(theirs))
                for mine, theirs in zip(foreign.columns, foreign.parent_columns, strict=True)
            ]
            collations = tuple(theirs.collation for _, theirs in ends)
            if not all(collation.upper() in COLLATIONS for collation in collations):
                check_natively(check, child, self.store.db, parent, foreign.parent_columns)
                return
            convert = tuple(conversion(mine.affinity, theirs.affinity) for mine, theirs in ends)
            other = self.source(parent, foreign.parent_columns, collations)
            check_presence(check, ForeignKey(child, other, convert, collations), self.held.get(constraint))

    def source(
        self, definition: TableDef, columns: tuple[str, ...], collations: tuple[str, ...] | None
    ) -> KeySource:
        return source_of(self.store, definition, columns, collations)


def foreign_key_of(child: TableDef, foreign: ForeignKeyDef) -> Constraint:
    """A foreign key as the constraint that counters and violations are about."""
    return Constraint(
        child.name, FOREIGN_KEY, foreign.columns, foreign.name, foreign.parent, foreign.parent_columns
    )


def source_of(
    store: Store, definition: TableDef, columns: tuple[str, ...], collations: tuple[str, ...] | None
) -> KeySource:
    """The key columns of a table. `collations` None: they are no key, and have no zones."""
    table = store.table(definition.name, definition.schema)
    if table is None:
        return RowSource(store.db, definition, columns, collations=collations)
    ids = {fold(column.name): column.column_id for column in table.columns}
    folds = tuple(map(str.upper, collations or ("BINARY",) * len(columns)))
    spec = KeySpec(tuple(ids[fold(name)] for name in columns), folds)
    rows = RowSource(store.db, definition, columns, stored_name=table.rows_name, collations=collations)
    return ColumnSource(table, rows, spec)


def conversion(child: Affinity, parent: Affinity) -> Callable[[Column], Column] | None:
    """How child values change under the parent's affinity; None if values of such a child stay as they are.

    SQLite compares keys under the affinity of the parent's index, which knows no INTEGER or REAL: both
    count as NUMERIC there, so that 2**53 + 1 does not turn into the REAL 2**53.
    """
    if parent is Affinity.BLOB or parent is child or (parent in _NUMERIC and child in _NUMERIC):
        return None
    return partial(apply_affinity, affinity=Affinity.NUMERIC if parent in _NUMERIC else parent)
