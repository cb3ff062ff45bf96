"""Keys of a batch of new rows against the rows that are stored: PRIMARY KEY, UNIQUE and FOREIGN KEY, set by set.

What comes out is how many rows from the first on are certain to keep every key once they are inserted one after
another. Of the row behind them SQLite itself says what is wrong, if anything is.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from colonnade.loader.ordinary import held_by_rows
from colonnade.loader.stats import INDEX, PROVEN, SCAN, ConstraintStats, Counters
from colonnade.loader.violations import FOREIGN_KEY, Constraint
from colonnade.sql.objects import ForeignKeyDef, KeyDef, Schema, TableDef, fold
from colonnade.sql.tokens import quote
from colonnade.sql.writeplan import NotThawable, check_comparison
from colonnade.store.database import Store
from colonnade.store.keycode import COLLATIONS, KeySpec, Mask, key_bytes
from colonnade.store.keyprobe import Effort, KeyBatch, KeyRuns, held_by_groups, with_all_parts
from colonnade.store.spans import Span
from colonnade.store.values import Column, IntArray, RowBatch


def provable(table: TableDef, schema: Schema, *, foreign_keys: bool) -> bool:
    """Whether a BatchKeys can tell that rows keep the keys of a table.

    foreign_keys  whether the connection enforces them
    """
    for key in table.keys:
        if not all(collation.upper() in COLLATIONS for collation in key.collations):
            return False
    if not foreign_keys:
        return True
    if any(key.mismatch is not None for _, key in schema.children_of(table.name)):
        return False  # an error for SQLite in a statement of several rows, but not of one
    for foreign in table.foreign_keys:
        parent = schema.table(foreign.parent)
        if parent is None or foreign.mismatch is not None:
            return False
        try:
            check_comparison(table, foreign, parent)
        except NotThawable:
            return False
    return True


class BatchKeys:
    """The keys of one table that is `provable`; alive for one statement."""

    def __init__(
        self,
        store: Store,
        schema: Schema,
        table: TableDef,
        stats: ConstraintStats,
        *,
        foreign_keys: bool,
        runs: KeyRuns | None = None,
    ) -> None:
        """
        stats  where what the checks cost is counted
        runs   keeps key runs, where there will be many batches
        """
        self._runs = KeyRuns(0) if runs is None else runs
        self._holders: list[tuple[Counters, int]] = []
        self._store, self._schema, self._table, self._stats = store, schema, table, stats
        self._foreign_keys = table.foreign_keys if foreign_keys else ()
        stored = [column for column in table.columns if not column.generated]
        self._places = {fold(column.name): place for place, column in enumerate(stored)}

    def sound_rows(self, batch: RowBatch) -> int:
        """How many rows from the first on keep every key.

        batch  columns of the table, affinity applied, each INTEGER PRIMARY KEY there if the table is in
               column format. A table in row format has its own keys checked by SQLite when it gets the rows.
        """
        good = batch.row_count
        # Asked anew for each batch: the one before may have turned the table to column format.
        in_columns = self._store.table(self._table.name, self._schema.name) is not None
        for key in _distinct(self._table.keys) if in_columns else ():
            if good:
                good = min(good, self._unique(batch.slice(0, good), key))
        for foreign in self._foreign_keys:
            if good:
                good = min(good, self._present(batch.slice(0, good), foreign))
        return good

    def forget(self) -> None:
        """Let go of the key runs that were kept."""
        self._runs.clear()
        for counters, size in self._holders:
            counters.hold(-size)
        self._holders.clear()

    def _unique(self, batch: RowBatch, key: KeyDef) -> int:
        """The first row whose key a stored row or one before it has; all rows if there is none."""
        constraint = Constraint(self._table.name, key.kind, key.columns, key.name)
        counters = self._stats.of(constraint)
        with self._span(constraint, batch), counters.timed():
            columns, rows = with_all_parts(self._columns(batch, key.columns))
            counters.rows_checked += batch.row_count
            if not len(columns[0]):
                return batch.row_count
            keys = KeyBatch(columns, key.collations)
            taken = self._held(self._table, key.columns, keys, counters)
            taken |= keys.firsts() != np.arange(len(keys))
            counters.hits += int(taken.sum())
            return _first(taken, rows, batch.row_count)

    def _present(self, batch: RowBatch, foreign: ForeignKeyDef) -> int:
        """The first row whose parent is neither stored nor in a row up to it; all rows if there is none."""
        table, parent = self._table, self._schema.table(foreign.parent)
        assert parent is not None
        constraint = Constraint(
            table.name, FOREIGN_KEY, foreign.columns, foreign.name, foreign.parent, foreign.parent_columns
        )
        counters = self._stats.of(constraint)
        with self._span(constraint, batch), counters.timed():
            columns, rows = with_all_parts(self._columns(batch, foreign.columns))
            counters.rows_checked += batch.row_count
            if not len(columns[0]):
                return batch.row_count
            collations = tuple(parent.column(name).collation for name in foreign.parent_columns)
            keys = KeyBatch(columns, collations)
            missing = ~self._held(parent, foreign.parent_columns, keys, counters)
            if parent is table and missing.any():
                self._forgive_own(batch, foreign, keys, missing, rows)
            counters.hits += len(keys) - int(missing.sum())
            return _first(missing, rows, batch.row_count)

    def _span(self, constraint: Constraint, batch: RowBatch) -> Span:
        return self._store.spans(
            "probe", table=constraint.table, constraint=constraint.label, rows=batch.row_count
        )

    def _forgive_own(
        self, batch: RowBatch, foreign: ForeignKeyDef, keys: KeyBatch, missing: Mask, rows: IntArray | None
    ) -> None:
        """Unmark what has its parent in the batch: in a row before it, or in the row itself."""
        columns, own_rows = with_all_parts(self._columns(batch, foreign.parent_columns))
        if not len(columns[0]):
            return
        own = KeyBatch(columns, keys.collations)
        wanted = np.flatnonzero(missing)
        found = pc.index_in(keys.codes.take(pa.array(wanted)), value_set=pc.unique(own.codes))
        places = found.fill_null(-1).to_numpy()
        firsts = np.unique(own.firsts())  # of each distinct key, in the order of pc.unique
        at = firsts[places]
        parents = at if own_rows is None else own_rows[at]
        children = wanted if rows is None else rows[wanted]
        before = parents < children
        # With itself SQLite compares a row as if all collations were BINARY.
        itself = np.flatnonzero((places >= 0) & (parents == children))
        if len(itself):
            plain = ("BINARY",) * len(columns)
            mine = key_bytes(keys.take(wanted[itself]).columns, plain)
            theirs = key_bytes(own.take(at[itself]).columns, plain)
            before[itself] = pc.equal(mine, theirs).to_numpy(zero_copy_only=False)
        missing[wanted[(places >= 0) & before]] = False

    def _held(self, table: TableDef, names: Sequence[str], keys: KeyBatch, counters: Counters) -> Mask:
        """Which keys a stored row of a table has."""
        effort = Effort()
        column_table = self._store.table(table.name, self._schema.name)
        held = np.zeros(len(keys), bool)
        stored_name = table.name
        if column_table is not None:
            stored_name = column_table.rows_name
            ids = {fold(column.name): column.column_id for column in column_table.columns}
            folds = tuple(map(str.upper, keys.collations))
            spec = KeySpec(tuple(ids[fold(name)] for name in names), folds)
            kept = self._runs.nbytes
            held |= held_by_groups(column_table, spec, keys, effort, self._runs)
            if self._runs.nbytes > kept:
                self._holders.append((counters, self._runs.nbytes - kept))
                counters.hold(self._runs.nbytes - kept)
        rest = np.flatnonzero(~held)
        if len(rest):
            source = f"{quote(self._schema.name)}.{quote(stored_name)}"
            some = keys if len(rest) == len(keys) else keys.take(rest)
            held[rest] = held_by_rows(self._store.db, source, [quote(name) for name in names], some, effort)
        counters.index_probes += len(keys)
        counters.parent_rows_read += effort.rows_read
        counters.groups_proven += effort.groups_proven
        counters.groups_scanned += effort.groups_read
        counters.unindexed_rows += effort.rows_scanned
        counters.cache_peak = max(counters.cache_peak, counters.cache_bytes + keys.nbytes + effort.most_bytes)
        read = effort.groups_read or effort.indexes
        ways = (
            (PROVEN, effort.groups_proven or not read),
            (INDEX, effort.indexes),
            (SCAN, effort.rows_scanned),
        )
        for path, taken in ways:
            if taken:
                counters.took(path)
        return held

    def _columns(self, batch: RowBatch, names: Sequence[str]) -> list[Column]:
        return [batch.columns[self._places[fold(name)]] for name in names]


def _distinct(keys: Sequence[KeyDef]) -> Iterator[KeyDef]:
    """The keys, leaving out one that repeats another (a UNIQUE index beside a UNIQUE constraint)."""
    met: set[tuple[tuple[str, ...], tuple[str, ...]]] = set()
    for key in keys:
        same = tuple(map(fold, key.columns)), tuple(map(fold, key.collations))
        if same not in met:
            met.add(same)
            yield key


def _first(bad: Mask, rows: IntArray | None, count: int) -> int:
    """The first row that is marked; `rows` says which rows the marks are of."""
    if not bad.any():
        return count
    first = int(bad.argmax())
    return first if rows is None else int(rows[first])
