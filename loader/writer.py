"""Where the rows of one table go in bulk: row groups when they are many, the row part when they are few.

Rows come as batches with affinity applied and checked for themselves. Neither way checks uniqueness
against stored rows or foreign keys; the table is owed a validation afterwards. Few rows are inserted
natively, with SQLite's foreign keys off; should one of them collide there, they go to a row group
after all, so that the validator finds the collision like any other.
"""

from __future__ import annotations

from dataclasses import dataclass

import apsw

from colonnade.loader.append import Appender, Prepared
from colonnade.sql.objects import TableDef
from colonnade.sql.tokens import quote
from colonnade.store.catalog import visible_rowid
from colonnade.store.database import Store
from colonnade.store.errors import IntegrityError, OperationalError
from colonnade.store.hints import makes_group
from colonnade.store.switches import FOREIGN_KEYS, switched
from colonnade.store.values import Column, IntArray, RowBatch, to_python


@dataclass(frozen=True, slots=True)
class Written:
    """Where a batch went.

    group_id    None: the row part (or the row-format table)
    last_rowid  the rowid of the last row, in the order of the batch
    """

    row_count: int
    group_id: int | None
    order: IntArray | None
    last_rowid: int


class TableWriter:
    """Bulk writes to one table; alive for one load or one transaction in bulk mode."""

    def __init__(
        self, store: Store, definition: TableDef, *, column_format: bool, always_groups: bool = False
    ) -> None:
        """column_format: whether the table may, by its definition and the settings, turn to column format;
        always_groups: however few the rows are."""
        self.store = store
        self.definition = definition
        self.column_format = column_format
        self.always_groups = always_groups
        self._appender: Appender | None = None

    @property
    def appender(self) -> Appender:
        """The way into row groups; converts the table to column format at first use."""
        if self._appender is None:
            name, schema = self.definition.name, self.definition.schema
            table = self.store.table(name, schema) or self.store.convert(name, schema)
            self._appender = Appender(table, self.definition)
        return self._appender

    def forget_rowids(self) -> None:
        """Rows were changed by others: ask the table again for its next rowid."""
        if self._appender is not None:
            self._appender.next_rowid = None

    def is_group(self, row_count: int, byte_count: int) -> bool:
        """Whether so many rows, with so many bytes of values, make a row group of their own."""
        if not self.column_format or not row_count:
            return False
        return self.always_groups or makes_group(row_count, byte_count)

    def prepare(self, batch: RowBatch) -> Prepared | None:
        """In any thread: the row group, or None if `write` must decide on the connection's thread."""
        appender = self._appender
        if appender is None or not self.is_group(batch.row_count, batch.byte_count):
            return None
        if not appender.has_rowids(batch):
            return None
        return appender.prepare(batch)

    def open_groups(self, row_count: int, byte_count: int) -> None:
        """Get ready for `prepare` if a batch of so many rows and bytes makes a row group."""
        if self.is_group(row_count, byte_count):
            _ = self.appender

    def prepared(self, group: Prepared) -> bool:
        """Whether `group` was prepared by this writer and can be put."""
        return self._appender is not None and group.by is self._appender

    def write(self, batch: RowBatch, *, checked: bool = False) -> Written:
        """Store one batch, whatever its size (at most the batch size).

        checked  whether its keys are known to hold; else it owes a validation
        """
        small = not self.is_group(batch.row_count, batch.byte_count)
        if small and not self._in_column_format and self._write_rows(batch):
            return Written(batch.row_count, None, None, self.store.db.last_insert_rowid())
        appender = self.appender
        if appender.needs_rowids(batch):  # SQLite would look for the largest rowid in the row part alone
            batch = appender.fill_rowids(batch)
        if small and self._write_rows(batch):
            return Written(batch.row_count, None, None, self.store.db.last_insert_rowid())
        return self.put(appender.prepare(batch), checked=checked)

    @property
    def _in_column_format(self) -> bool:
        return self.store.table(self.definition.name, self.definition.schema) is not None

    def next_rowid(self) -> int:
        """The rowid that SQLite would give to the next row; 2**63 if it has to draw one at random."""
        if self._in_column_format:
            return self.appender.reserve(0)
        db, schema, name = self.store.db, quote(self.definition.schema), self.definition.name
        found = [db.execute(f"SELECT max({rowid_name(self.definition)}) FROM {schema}.{quote(name)}").get]
        if self.definition.autoincrement:
            sql = f"SELECT CAST(seq AS INTEGER) FROM {schema}.sqlite_sequence WHERE name = ? ORDER BY rowid LIMIT 1"
            found.append(db.execute(sql, (name,)).get)
        return max((rowid for rowid in found if isinstance(rowid, int)), default=0) + 1

    def count_none(self) -> None:
        """An INSERT of no row, which AUTOINCREMENT's counter is made by if it is not there."""
        definition = self.definition
        if definition.autoincrement:
            table = self.store.table(definition.name, definition.schema)
            name = table.rows_name if table is not None else definition.name
            rows = f"{quote(definition.schema)}.{quote(name)}({rowid_name(definition)})"
            self.store.db.execute(f"INSERT INTO {rows} SELECT NULL WHERE 0")

    def given_rowid(self, batch: RowBatch) -> int | None:
        """The INTEGER PRIMARY KEY that the only row of `batch` brings; None where SQLite chooses."""
        alias = self.definition.rowid_alias
        names = [column.name for column in self.definition.columns if not column.generated]
        value = to_python(batch.columns[names.index(alias)])[0] if alias is not None else None
        if value is not None and not isinstance(value, int):
            raise IntegrityError("datatype mismatch")
        return value

    def put(self, prepared: Prepared, *, checked: bool = False) -> Written:
        group_id, last_rowid = self.appender.put(prepared, checked=checked)
        self.store.policy.appended(self.definition.schema, self.definition.name, prepared.group.row_count)
        return Written(prepared.group.row_count, group_id, prepared.order, last_rowid)

    def _write_rows(self, batch: RowBatch) -> bool:
        """Insert natively; False if a row collides and nothing was inserted."""
        db, definition = self.store.db, self.definition
        table = self.store.table(definition.name, definition.schema)
        if table is not None and self.appender.alias_position is not None:
            # A rowid that is in the row groups too must be in one that is not checked: then look-ups expect it.
            frozen = table.largest_frozen()
            if frozen is not None and int(self.appender.rowids(batch).min()) <= frozen:
                return False
        columns = [quote(column.name) for column in definition.columns if not column.generated]
        values = [to_python(column) for column in given_columns(definition, batch)]
        if table is not None and self.appender.alias_position is None:
            # SQLite would number these rows after the row part alone; the row groups may hold larger rowids.
            first = self.appender.reserve(batch.row_count)
            columns.append(rowid_name(definition))
            values.append(list(range(first, first + batch.row_count)))
        name = table.rows_name if table is not None else definition.name
        marks = ", ".join("?" * len(columns))
        target = f"{quote(definition.schema)}.{quote(name)} ({', '.join(columns)})"
        span = self.store.spans("append", table=definition.name, rows=batch.row_count)
        try:
            with span, db, switched(db, FOREIGN_KEYS, False):
                db.executemany(f"INSERT INTO {target} VALUES ({marks})", zip(*values, strict=True))
        except apsw.ConstraintError:
            if not self.column_format:
                raise
            self.forget_rowids()
            return False
        if table is not None:
            self.store.policy.appended(definition.schema, definition.name, batch.row_count)
            if self.appender.alias_position is not None:
                self.appender.saw_rowid(int(self.appender.rowids(batch).max()))
        return True


def given_columns(definition: TableDef, batch: RowBatch) -> list[Column]:
    """The columns of a batch that are stored: sources give one for each generated column as well."""
    if len(batch.columns) < len(definition.columns):
        return list(batch.columns)
    pairs = zip(definition.columns, batch.columns, strict=True)
    return [values for column, values in pairs if not column.generated]


def become_writer(store: Store, definition: TableDef) -> None:
    """The connection has the lock that SQLite would take by the first row: what is read now holds until it writes.

    Without foreign keys: SQLite would look at those that concern a DELETE, and say what is wrong with them.
    """
    table = store.table(definition.name, definition.schema)
    rows = definition.name if table is None else table.rows_name
    with switched(store.db, FOREIGN_KEYS, False):
        store.db.execute(f"DELETE FROM {quote(definition.schema)}.{quote(rows)} WHERE 0")


def rowid_name(definition: TableDef) -> str:
    """A name of the rowid that no column of the table hides (sqlite.org/lang_createtable.html#rowid)."""
    name = visible_rowid([column.name for column in definition.columns])
    if name is None:
        raise OperationalError(f"every name of the rowid of {definition.name} is taken by a column")
    return name
