"""The table <table>_rejects: rows that a load did not take, where they came from, and why.

    reject_source      TEXT     the file, as the user gave it; NULL for rows that were not loaded from one, and for
                                those that were stored in row format before they were found to break a key
    reject_line        INTEGER  its line (or row, for formats without lines)
    reject_rowid       INTEGER  the rowid that the row would have had, where it had got that far
    reject_kind        TEXT     "FOREIGN KEY", "UNIQUE", "NOT NULL", ...
    reject_constraint  TEXT     the constraint by its name, or what it says
    reject_parent      TEXT     the table that a foreign key refers to
    reject_reason      TEXT     all of it in words
    reject_text        TEXT     the row as it stands in the source, where it could not be read as columns
    ...                         then the table's own columns, without types or constraints
A row that breaks several constraints has all of them, with "; " between.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import NamedTuple

from colonnade.loader.ordinary import held_by_rows
from colonnade.sql.objects import TableDef
from colonnade.sql.tokens import quote
from colonnade.store.database import Store
from colonnade.store.keycode import Mask
from colonnade.store.keyprobe import Effort, KeyBatch
from colonnade.store.values import Column, SQLiteValue, to_python

_TYPES = {"reject_line": "INTEGER", "reject_rowid": "INTEGER"}
_OWN = ("source", "line", "rowid", "kind", "constraint", "parent", "reason", "text")
_SLICE = 4096  # rows that are Python objects at a time


class Why(NamedTuple):
    """What a row breaks."""

    kind: str | None
    constraint: str | None
    parent: str | None
    reason: str


class RejectTable:
    """The rejects of one table; made when the first row is rejected."""

    def __init__(self, store: Store, definition: TableDef) -> None:
        self._store, self._definition = store, definition
        self._name = f"{definition.name}_rejects"
        self._target = f"{quote(definition.schema)}.{quote(self._name)}"
        self._columns = [*(f"reject_{name}" for name in _OWN), *stored_names(definition)]
        self._ready = False
        self._indexed: list[str] = []

    def exists(self) -> bool:
        """Whether any row of the table was rejected, by this load or an earlier one."""
        schema = quote(self._definition.schema)
        query = f"SELECT 1 FROM {schema}.sqlite_schema WHERE type = 'table' AND name = ? COLLATE NOCASE"
        return self._store.db.execute(query, (self._name,)).get is not None

    def _prepare(self) -> None:
        db = self._store.db
        if self.exists():
            self._in_row_format()
            info = db.execute(f"PRAGMA {quote(self._definition.schema)}.table_info({quote(self._name)})")
            there = {str(row[1]).lower() for row in info}
            for column in self._columns:  # the table had other columns when it was made
                if column.lower() not in there:
                    db.execute(f"ALTER TABLE {self._target} ADD COLUMN {quote(column)}")
        else:
            own = [f"reject_{name} {_TYPES.get(f'reject_{name}', 'TEXT')}" for name in _OWN]
            columns = ", ".join([*own, *map(quote, stored_names(self._definition))])
            db.execute(f"CREATE TABLE {self._target} ({columns})")
        self._ready = True

    def _in_row_format(self) -> None:
        if self._store.table(self._name, self._definition.schema) is not None:
            self._store.restore(self._name, self._definition.schema)

    def insert(self, rows: Iterable[tuple[SQLiteValue, ...]]) -> None:
        """Rows with a value for each column above, in that order."""
        if not self._ready:
            self._prepare()
        columns, marks = ", ".join(map(quote, self._columns)), ", ".join("?" * len(self._columns))
        self._store.db.executemany(f"INSERT INTO {self._target} ({columns}) VALUES ({marks})", rows)

    def insert_columns(
        self,
        origin: tuple[str | None, Sequence[int | None]],
        rowids: Sequence[int | None],
        whys: Sequence[Why],
        columns: Sequence[Column],
    ) -> None:
        """Rows whose values are columns: the source and the lines, and the rest, parallel to them."""
        source, lines = origin

        def rows() -> Iterator[tuple[SQLiteValue, ...]]:
            for start in range(0, len(whys), _SLICE):
                part = slice(start, start + _SLICE)
                count = len(whys[part])
                values = zip(*(to_python(column.slice(start, count)) for column in columns), strict=True)
                for line, rowid, why, row in zip(lines[part], rowids[part], whys[part], values, strict=True):
                    yield (source, line, rowid, *why, None, *row)

        self.insert(rows())

    def holds(self, columns: Sequence[str], keys: KeyBatch) -> Mask:
        """Which of the keys a rejected row has in these columns, (n,) bool."""
        if not self._ready:
            self._prepare()
        db, schema = self._store.db, quote(self._definition.schema)
        pairs = zip(columns, keys.collations, strict=True)
        parts = ", ".join(f"{quote(column)} COLLATE {collation}" for column, collation in pairs)
        index = quote(f"{self._name}_{'_'.join(columns)}_{'_'.join(keys.collations)}")
        if index not in self._indexed:
            db.execute(f"CREATE INDEX IF NOT EXISTS {schema}.{index} ON {quote(self._name)}({parts})")
            self._indexed.append(index)
        return held_by_rows(db, self._target, [quote(column) for column in columns], keys, Effort())

    def drop_indexes(self) -> None:
        """They served `holds`, and would cost every row that is rejected from now on."""
        for index in self._indexed:
            self._store.db.execute(f"DROP INDEX {quote(self._definition.schema)}.{index}")
        self._indexed.clear()


def stored_names(definition: TableDef) -> list[str]:
    """The columns that hold values, in order."""
    return [column.name for column in definition.columns if not column.generated]
