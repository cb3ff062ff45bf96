"""DELETE without a thaw: tombstones for the rows of row groups that match, be they one or very many.

SQLite has to see a row that goes only where something looks at it: RETURNING, a trigger, an update hook, or the foreign
key of a row that refers to it. Of the first three `sql.sets` knows from the text; the last is looked for here, among
all children at once: without such a row no foreign key, whatever its action, has anything to do.
Memory: a bit a row of the row groups; with children, the keys of one row group at a time.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from itertools import islice
from typing import TYPE_CHECKING, Any

import apsw
import numpy as np
import numpy.typing as npt

from colonnade.sql.objects import ForeignKeyDef, Schema, TableDef, fold
from colonnade.sql.thaw import Settings, Thaw, column_id_of
from colonnade.sql.tokens import quote
from colonnade.sql.writeplan import NotThawable, check_comparison
from colonnade.store.keyfind import WantedKeys
from colonnade.store.values import Column, IntArray, from_python, integer_column

if TYPE_CHECKING:
    from colonnade.store.database import Store
    from colonnade.store.pager import RowGroupInfo
    from colonnade.store.table import ColumnTable

_NO_ACTIONS = frozenset({"NO ACTION", "RESTRICT"})
_READ_ROWS = 16_384  # rows that are Python objects at a time
Child = tuple[TableDef, ForeignKeyDef]


class Gone:
    """Rows of a table that go: their places in row groups, and the rowids of the others.

    Positions in a row group are kept as they come the first time, then as a bit a row.

    frozen  how many are in row groups
    hot     rowids of those that are not
    """

    def __init__(self, table: ColumnTable) -> None:
        self._table, self._groups = table, table.groups()
        self._first: dict[int, IntArray] = {}
        self._bits: dict[int, npt.NDArray[np.uint8]] = {}
        self.hot: list[IntArray] = []
        self.frozen = 0

    def add(self, rowids: IntArray) -> None:
        """Rowids, each once; `rowids`, (n,) int64, is sorted in place."""
        rowids.sort()
        frozen = np.zeros(len(rowids), bool)
        for group in self._groups:
            if group.live_count and group.last_rowid >= rowids[0] and group.first_rowid <= rowids[-1]:
                positions, which = self._table.look_up(group).positions(rowids)
                if len(which):
                    self._mark(group, positions)
                    frozen[which] = True
                    self.frozen += len(which)
        if not frozen.all():
            self.hot.append(rowids[~frozen])

    def add_span(self, first: int, last: int) -> None:
        """All rows of row groups with rowids in a range."""
        for group in self._groups:
            if group.live_count and group.last_rowid >= first and group.first_rowid <= last:
                positions = self._table.look_up(group).positions_between(first, last)
                if len(positions):
                    self._mark(group, positions)
                    self.frozen += len(positions)

    def _mark(self, group: RowGroupInfo, positions: IntArray) -> None:
        group_id = group.group_id
        if group_id not in self._bits and group_id not in self._first:
            self._first[group_id] = positions
            return
        bits = np.zeros(group.row_count, np.uint8)
        bits[self._of(group_id)] = 1
        bits[positions] = 1
        self._first.pop(group_id, None)
        self._bits[group_id] = np.packbits(bits)

    def _of(self, group_id: int) -> IntArray:
        packed = self._bits.get(group_id)
        return self._first[group_id] if packed is None else np.flatnonzero(np.unpackbits(packed))

    def places(self) -> Iterable[tuple[int, IntArray]]:
        """Row group ids with the positions in each, ascending."""
        return ((group_id, self._of(group_id)) for group_id in (*self._first, *self._bits))


class Delete:
    """A DELETE from one table in column format.

    children  enforced foreign keys that refer to it
    """

    def __init__(self, store: Store, schema: Schema, target: TableDef, children: Sequence[Child]) -> None:
        table = store.table(target.name, schema.name)
        if table is None:
            raise NotThawable("a table in row format")
        self._store, self._db, self._table, self._target = store, store.db, table, target
        self._children = children
        self._thaw = Thaw(store, schema, Settings(foreign_keys=bool(children), counted=False))
        self._rows = f"{quote(schema.name)}.{quote(table.rows_name)}"
        self._rowid = self._thaw.rowid(target)

    def may_take_all(self) -> bool:
        """Whether all rows may go without a look at any: no child has a row, or only the table itself is one, of
        whose rows none will be left to refer to another."""
        return all(
            (self._is_own(child) and key.on_delete.upper() == "NO ACTION") or self._is_empty(child)
            for child, key in self._children
        )

    def _is_own(self, child: TableDef) -> bool:
        return fold(child.name) == fold(self._target.name)

    def _is_empty(self, child: TableDef) -> bool:
        return (
            self._db.execute(f"SELECT 1 FROM {quote(child.schema)}.{quote(child.name)} LIMIT 1").get is None
        )

    def all(self) -> int:
        """Deletes every row; no row group is read. Gives how many there were."""
        table = self._table
        count = table.row_count()
        if table.open_scans:
            raise NotThawable("a scan that has not ended")
        for group in table.groups():
            self._store.pager.free_group(table.names, group.group_id)
        table.changed()
        self._db.execute(f"DELETE FROM {self._rows}")
        return count

    def span(self, first: int, last: int) -> int:
        """Deletes the rows with rowids from `first` to `last`. Gives how many there were."""
        if first > last:
            return 0
        gone = Gone(self._table)
        gone.add_span(first, last)
        where = f"{self._rowid} BETWEEN ? AND ?"
        hot = self._db.execute(
            f"SELECT {self._rowid} FROM {self._rows} WHERE {where}", (first, last)
        ).fetchall()
        if hot:
            gone.hot.append(np.array(hot, np.int64)[:, 0])
        return self._delete(gone)

    def rows(self, found: Iterable[IntArray]) -> int:
        """Deletes the rows with these rowids, each given once. Gives how many there were.

        Raises  apsw.ConstraintError as SQLite does; NotThawable where SQLite has to do it row by row
        """
        gone = Gone(self._table)
        for rowids in found:
            if len(rowids):
                gone.add(rowids)
        return self._delete(gone)

    def _delete(self, gone: Gone) -> int:
        for child, key in self._children:
            if not self._is_empty(child):
                self._look_for(child, key, gone)
        self._table.bury(dict(gone.places()))
        return gone.frozen + sum(map(self._natively, gone.hot))

    def _natively(self, rowids: IntArray) -> int:
        """Has SQLite delete rows of the row part; gives how many there were."""
        where = f"{self._rowid} IN carray(?)"
        self._db.execute(f"DELETE FROM {self._rows} WHERE {where}", (apsw.carray(rowids),))
        return self._db.changes()

    # --- children --------------------------------------------------------------------------------------------

    def _look_for(self, child: TableDef, key: ForeignKeyDef, gone: Gone) -> None:
        """Raises what comes of it if a row of the child refers to one that goes."""
        collations = check_comparison(child, key, self._target)
        for columns in self._keys(key.parent_columns, gone):
            wanted = WantedKeys(columns, collations)
            if not len(wanted):
                continue
            found = self._thaw.find(child, key.columns, collations, columns)
            if len(found):
                self._refuse(child, key, self._thaw.values(child, found[:1], key.columns), found[:1])
            hot = self._hot_reference(child, key, collations, wanted)
            if hot is not None:
                self._refuse(child, key, [from_python([value]) for value in hot], None)

    def _keys(self, names: Sequence[str], gone: Gone) -> Iterable[list[Column]]:
        """The values of a parent key in the rows that go: those of a row group at a time, then the hot ones'."""
        table = self._table
        ids = [column_id_of(table, name) for name in names]
        for group_id, positions in gone.places():
            reader = table.reader(table.group(group_id))
            yield [
                integer_column(reader.rowids_at(positions))
                if i in (0, table.rowid_column)
                else reader.take(i, positions)
                for i in ids
            ]
        for rowids in gone.hot:
            yield self._thaw.values(self._target, rowids, names)

    def _hot_reference(
        self, child: TableDef, key: ForeignKeyDef, collations: Sequence[str], wanted: WantedKeys
    ) -> Sequence[Any] | None:
        """The foreign key of a row of the child's row part, or of a child in row format, that has one of the keys."""
        listed, names = wanted.first_parts(), ", ".join(map(quote, key.columns))
        values: tuple[Any, ...] = ()
        sql = f"SELECT {names} FROM {self._thaw.ordinary(child)}"
        if listed is not None:  # then an index of the child's can be used
            sql += f" WHERE {quote(key.columns[0])} COLLATE {collations[0]} IN carray(?)"
            values = (apsw.carray(listed),)
        cursor = self._db.execute(sql, values)
        rows: list[Sequence[Any]]
        while rows := list(islice(cursor, _READ_ROWS)):
            parts = [from_python(part) for part in zip(*rows, strict=True)]
            at = wanted.first_of(parts)
            if at is not None:
                cursor.close(True)
                return rows[at]
        return None

    def _refuse(
        self, child: TableDef, key: ForeignKeyDef, values: Sequence[Column], frozen: IntArray | None
    ) -> None:
        """A row of the child refers to one that goes, by these values. Has SQLite say so where that is certain, by
        deleting that one row.

        frozen  the rowid of the child's row, if it is in a row group
        """
        actions = {other.on_delete.upper() for _, other in self._children}
        certain = actions == {"RESTRICT"} or (actions == {"NO ACTION"} and not key.deferred)
        if self._is_own(child) or not certain or self._db.execute("PRAGMA defer_foreign_keys").get:
            raise NotThawable("rows that others refer to")
        collations = check_comparison(child, key, self._target)
        parent = self._thaw.find(self._target, key.parent_columns, collations, values)
        hot = self._thaw.hot(self._target, key.parent_columns, collations, values)
        self._table.thaw(parent)
        child_table = self._store.table(child.name, child.schema)
        if child_table is not None and frozen is not None:
            child_table.thaw(frozen)
        self._natively(np.concatenate([parent, hot]))
        raise NotThawable("rows that others refer to, for all that was found")
