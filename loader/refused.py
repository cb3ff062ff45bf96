"""Rows that SQLite refuses to insert into a table in row format: the others are inserted, and what is wrong is said."""

from __future__ import annotations

from dataclasses import dataclass

import apsw

from colonnade.loader.rejects import Why
from colonnade.loader.violations import PRIMARY_KEY, UNIQUE, Constraint
from colonnade.loader.writer import given_columns
from colonnade.sql.objects import TableDef
from colonnade.sql.tokens import quote
from colonnade.store.database import Store
from colonnade.store.switches import FOREIGN_KEYS, switched
from colonnade.store.values import RowBatch, to_python

_KINDS = {
    apsw.SQLITE_CONSTRAINT_CHECK: "CHECK",
    apsw.SQLITE_CONSTRAINT_NOTNULL: "NOT NULL",
    apsw.SQLITE_CONSTRAINT_TRIGGER: "TRIGGER",
}
_KEYS = (apsw.SQLITE_CONSTRAINT_PRIMARYKEY, apsw.SQLITE_CONSTRAINT_ROWID, apsw.SQLITE_CONSTRAINT_UNIQUE)


@dataclass(frozen=True, slots=True)
class Refused:
    """One row.

    position    in the batch
    constraint  the key that it breaks, if it is one
    """

    position: int
    constraint: Constraint | None
    kind: str
    message: str

    @property
    def why(self) -> Why:
        """For the quarantine."""
        if self.constraint is None:
            return Why(self.kind, None, None, self.message)
        return Why(self.kind, self.constraint.label, None, self.constraint.description)


def insert_each(store: Store, definition: TableDef, batch: RowBatch) -> list[Refused]:
    """Insert the rows of a batch one by one, foreign keys aside; returns those that SQLite refused.

    For a batch that it refused as a whole. Raises what ends the transaction.
    """
    db, refused = store.db, []
    columns = [quote(column.name) for column in definition.columns if not column.generated]
    target = f"{quote(definition.schema)}.{quote(definition.name)} ({', '.join(columns)})"
    sql = f"INSERT INTO {target} VALUES ({', '.join('?' * len(columns))})"
    values = [to_python(column) for column in given_columns(definition, batch)]
    with switched(db, FOREIGN_KEYS, False):
        for position, row in enumerate(zip(*values, strict=True)):
            try:
                db.execute(sql, row)
            except apsw.ConstraintError as error:
                if not db.in_transaction:  # RAISE(ROLLBACK)
                    raise
                refused.append(_refused(definition, position, error))
    return refused


def _refused(definition: TableDef, position: int, error: apsw.ConstraintError) -> Refused:
    message, code = str(error), getattr(error, "extendedresult", 0)
    if code not in _KEYS:
        return Refused(position, None, _KINDS.get(code, "CONSTRAINT"), message)
    named = message.partition(": ")[2]
    for key in definition.keys:
        if named == ", ".join(f"{definition.name}.{column}" for column in key.columns):
            return Refused(
                position, Constraint(definition.name, key.kind, key.columns, key.name), key.kind, message
            )
    primary = code != apsw.SQLITE_CONSTRAINT_UNIQUE
    return Refused(position, None, PRIMARY_KEY if primary else UNIQUE, message)
