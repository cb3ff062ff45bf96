"""Rejected rows: out of their tables and into <table>_rejects (loader.rejects), with source, line and reason.

A row whose parent was rejected breaks its foreign key by that: it is rejected as well, and its reason says so; and so
on with the rows that refer to it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import apsw
import numpy as np

from colonnade.loader.foundrows import FoundRows
from colonnade.loader.ledger import Ledger
from colonnade.loader.rejects import RejectTable, Why, stored_names
from colonnade.loader.sources.base import Provenance, Reject
from colonnade.loader.validate import conversion
from colonnade.loader.violations import FOREIGN_KEY, Constraint, ViolationBatch
from colonnade.loader.writer import given_columns, rowid_name
from colonnade.sql.objects import Schema, TableDef, fold
from colonnade.sql.tokens import quote
from colonnade.store.database import Store
from colonnade.store.keycode import COLLATIONS, Mask
from colonnade.store.keyprobe import KeyBatch
from colonnade.store.rawtext import read_rows
from colonnade.store.switches import FOREIGN_KEYS, switched
from colonnade.store.table import ColumnTable
from colonnade.store.values import Column, IntArray, RowBatch, from_python

_SLICE = 4096  # rows of the row part that are in memory at a time


class Quarantine:
    """Takes rejected rows of one load; a sink for violations too, which `clear` then moves out."""

    def __init__(self, store: Store, ledger: Ledger) -> None:
        self.store = store
        self.ledger = ledger
        self._found = FoundRows()
        self._tables: dict[str, RejectTable] = {}

    def add(self, batch: ViolationBatch) -> None:
        """A violation found by a validator: where the rows are is kept until `clear`."""
        self._found.add(batch)

    def add_malformed(self, table: TableDef, rejects: Sequence[Reject]) -> None:
        """Rows that could not be read as columns."""
        if not rejects:
            return
        blanks = (None,) * len(stored_names(table))
        rows = ((r.path, r.line, None, "MALFORMED", None, None, r.reason, r.text, *blanks) for r in rejects)
        self._rejects(table).insert(rows)

    def add_rows(
        self,
        table: TableDef,
        batch: RowBatch,
        whys: Sequence[Why],
        provenance: Provenance,
        positions: IntArray,
    ) -> None:
        """Rows that are not in their table; `batch` holds them alone, parallel to `whys` and to their `positions`
        in the piece that `provenance` speaks of."""
        lines = provenance.lines_of(positions)
        origin = provenance.path, [None] * len(positions) if lines is None else lines.tolist()
        columns = given_columns(table, batch)
        self._rejects(table).insert_columns(origin, [None] * len(whys), whys, columns)

    def _rejects(self, table: TableDef) -> RejectTable:
        key = f"{fold(table.schema)}.{fold(table.name)}"
        found = self._tables.get(key)
        if found is None:
            found = self._tables[key] = RejectTable(self.store, table)
        return found

    def clear(self, tables: Sequence[TableDef], schema: Schema) -> dict[str, int]:
        """Move the rows of all violations added since the last call out of their tables.

        Returns the rows moved by table (folded name). A row that breaks several constraints moves once,
        with all reasons. Memory is that of one row group.
        """
        moved: dict[str, int] = {}
        for definition in tables:
            name = definition.name
            table = self.store.table(name, definition.schema)
            for group_id in self._found.groups(name):
                found = self._found.of(name, group_id)
                if group_id is None:
                    count = self._move_from_rows(definition, table, found, schema)
                else:
                    assert table is not None
                    count = self._move_from_group(definition, table, group_id, found, schema)
                moved[fold(name)] = moved.get(fold(name), 0) + count
        self._found.clear()
        for rejects in self._tables.values():
            rejects.drop_indexes()
        return moved

    def close(self) -> None:
        """Forget what waits; its temporary file is gone."""
        self._found.clear()

    def _move_from_group(
        self,
        definition: TableDef,
        table: ColumnTable,
        group_id: int,
        found: Mapping[Constraint, IntArray],
        schema: Schema,
    ) -> int:
        raw = table.fetch(group_id, [column.column_id for column in table.columns])
        positions = np.unique(np.concatenate(list(found.values())))
        rows = raw.decode().take(np.searchsorted(raw.positions, positions))
        assert rows.rowids is not None
        whys = self._whys(definition, rows.columns, positions, found, schema)
        source, lines = self.ledger.locate(definition.name, group_id, positions) or (None, None)
        known = [None] * len(positions) if lines is None else lines.tolist()
        self._rejects(definition).insert_columns((source, known), rows.rowids.tolist(), whys, rows.columns)
        table.bury({group_id: positions})
        return len(positions)

    def _move_from_rows(
        self,
        definition: TableDef,
        table: ColumnTable | None,
        found: Mapping[Constraint, IntArray],
        schema: Schema,
    ) -> int:
        """Rows of the row part, or of a table in row format, by rowid."""
        name = table.rows_name if table is not None else definition.name
        source, rowid = f"{quote(definition.schema)}.{quote(name)}", rowid_name(definition)
        names = [rowid, *map(quote, stored_names(definition))]
        db, wanted = self.store.db, np.unique(np.concatenate(list(found.values())))
        for start in range(0, len(wanted), _SLICE):
            some = wanted[start : start + _SLICE]
            given = (apsw.carray(some),)
            among = f"FROM {source} WHERE {rowid} IN (SELECT value FROM carray(?1))"
            rowids, *values = zip(*read_rows(db, names, f"{among} ORDER BY 1", given), strict=True)
            columns = [from_python(column) for column in values]
            whys = self._whys(definition, columns, some, found, schema)
            self._rejects(definition).insert_columns((None, [None] * len(some)), rowids, whys, columns)
            with switched(db, FOREIGN_KEYS, False):  # those that refer to them are looked at next
                db.execute(f"DELETE {among}", given)
        return len(wanted)

    def _whys(
        self,
        definition: TableDef,
        columns: Sequence[Column],
        rows: IntArray,
        found: Mapping[Constraint, IntArray],
        schema: Schema,
    ) -> list[Why]:
        """What each row breaks; `rows` are positions or rowids as in `found`, parallel to `columns`."""
        marks: list[Mask] = []
        each: list[Why] = []
        for constraint, bad in found.items():
            broken = np.isin(rows, bad, assume_unique=True)
            why = Why(constraint.kind, constraint.label, constraint.parent, constraint.description)
            if constraint.kind == FOREIGN_KEY:
                lost = np.zeros(len(rows), bool)
                lost[broken] = self._parents_lost(
                    definition, constraint, columns, np.flatnonzero(broken), schema
                )
                marks.append(lost)
                each.append(why._replace(reason=f"{why.reason}: its row of {why.parent} was rejected"))
                broken &= ~lost
            marks.append(broken)
            each.append(why)
        sets, which = np.unique(np.stack(marks, 1), axis=0, return_inverse=True)
        joined = [_joined([why for why, has in zip(each, row, strict=True) if has]) for row in sets.tolist()]
        return [joined[number] for number in which.reshape(-1).tolist()]

    def _parents_lost(
        self,
        definition: TableDef,
        constraint: Constraint,
        columns: Sequence[Column],
        rows: IntArray,
        schema: Schema,
    ) -> Mask:
        """Which of the rows, that have no parent, would have one had it not been rejected."""
        parent = schema.table(constraint.parent or "")
        if not len(rows) or parent is None or not self._rejects(parent).exists():
            return np.zeros(len(rows), bool)
        theirs = [parent.column(name) for name in constraint.parent_columns]
        collations = [column.collation for column in theirs]
        if not all(collation.upper() in COLLATIONS for collation in collations):
            return np.zeros(len(rows), bool)
        names = stored_names(definition)
        parts = []
        for name, their in zip(constraint.columns, theirs, strict=True):
            place = next(i for i, own in enumerate(names) if fold(own) == fold(name))
            convert = conversion(definition.column(name).affinity, their.affinity)
            part = columns[place].take(rows)
            parts.append(part if convert is None else convert(part))
        return self._rejects(parent).holds(constraint.parent_columns, KeyBatch(parts, collations))


def _joined(whys: Sequence[Why]) -> Why:
    """All that one row breaks, as one."""
    texts = ["; ".join(part for part in parts if part is not None) for parts in zip(*whys, strict=True)]
    kind, constraint, parent, reason = texts
    return Why(kind, constraint, parent or None, reason)
