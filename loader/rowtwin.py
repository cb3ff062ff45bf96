"""A table's twin: an empty copy without keys, in memory, that says of one row what SQLite would say of it.

For rows given one by one: types, NOT NULL, STRICT and CHECK of a row cost one INSERT there, a few microseconds,
and the error is SQLite's own. The twin is another connection's: a CHECK that needs functions or collations
of the program's has none.
"""

from __future__ import annotations

from collections.abc import Sequence

import apsw

from colonnade.loader.rows import RowShape, literal_default
from colonnade.sql.objects import ColumnDef, TableDef, fold
from colonnade.sql.tokens import quote, tokens
from colonnade.store.values import SQLiteValue

_KEYS = (apsw.SQLITE_CONSTRAINT_PRIMARYKEY, apsw.SQLITE_CONSTRAINT_ROWID)
_MOST_ROWS = 256  # that a twin holds before it is emptied


class RowTwin:
    """The twin of one table."""

    def __init__(self, definition: TableDef, db: apsw.Connection) -> None:
        """Raises apsw.Error if SQLite alone cannot make such a table, or evaluate its CHECKs."""
        self._db = apsw.Connection(":memory:")
        self._db.config(apsw.SQLITE_DBCONFIG_DQS_DDL, 1)
        self._name = quote(definition.name)
        self._db.execute(f"PRAGMA encoding = '{db.pragma('encoding')}'")
        self._db.execute(_ddl(definition))
        self._db.execute(f"EXPLAIN INSERT INTO {self._name} DEFAULT VALUES")
        ignored = db.pragma("ignore_check_constraints")
        self._db.execute(f"PRAGMA ignore_check_constraints = {ignored}")
        self._db.execute("BEGIN")
        self._held = 0

    def insert_text(self, shape: RowShape) -> str:
        """The INSERT for rows of this shape."""
        names = ", ".join(quote(name) for name in shape.waiting_names)
        marks = ", ".join("?" * shape.waiting_width)
        return f"INSERT INTO {self._name} ({names}) VALUES ({marks})"

    def check(self, insert_text: str, row: Sequence[SQLiteValue]) -> int:
        """The rowid that the row brings, if it brings one. Raises what SQLite would."""
        if self._held >= _MOST_ROWS:
            self._empty()
        try:
            self._db.execute(insert_text, row)
        except apsw.ConstraintError as error:
            if getattr(error, "extendedresult", None) not in _KEYS:
                raise
            self._empty()
            self._db.execute(insert_text, row)
        self._held += 1
        return self._db.last_insert_rowid()

    def _empty(self) -> None:
        self._db.execute(f"DELETE FROM {self._name}")
        self._held = 0


def make_twin(definition: TableDef, db: apsw.Connection) -> RowTwin | None:
    """The twin of a table of `db`, as its settings and functions are now; None if it can have none."""
    if definition.checks and _uses_own_functions(definition, db):
        return None
    try:
        return RowTwin(definition, db)
    except apsw.Error:
        return None


def _uses_own_functions(definition: TableDef, db: apsw.Connection) -> bool:
    """Whether a CHECK has a word that is a function of the program's; LIKE and GLOB are such words too."""
    own = db.execute("SELECT DISTINCT name FROM pragma_function_list WHERE NOT builtin")
    names = {fold(name) for (name,) in own}
    return any(fold(token.name) in names for check in definition.checks for token in tokens(check.expr))


def _ddl(definition: TableDef) -> str:
    parts = [_column(column, definition) for column in definition.columns if not column.generated]
    parts += [f"CONSTRAINT {quote(check.label)} CHECK ({check.expr}\n)" for check in definition.checks]
    return f"CREATE TABLE {quote(definition.name)} ({', '.join(parts)}){' STRICT' * definition.strict}"


def _column(column: ColumnDef, definition: TableDef) -> str:
    text = f"{quote(column.name)} {column.decl_type} COLLATE {quote(column.collation)}"
    if column.name == definition.rowid_alias:
        return text + " PRIMARY KEY"
    if column.not_null:
        text += " NOT NULL"
    literal = None if column.default is None else literal_default(column.default)
    return text if literal is None else f"{text} DEFAULT {apsw.format_sql_value(literal[0])}"
