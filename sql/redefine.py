"""ALTER TABLE, and CREATE TABLE that refers to others, on tables in column format, which stay so.

SQLite runs the user's own text while the row parts stand under the tables' own names (`store.redefine`), so that
it checks and rewrites every text of the schema as ever. What it tests of the rows that are there is tested here
of those in row groups.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from itertools import pairwise

from colonnade.sql.checks import CHECK, row_problems
from colonnade.sql.objects import TableDef, fold
from colonnade.sql.schema import read_schema
from colonnade.sql.statement import Statement
from colonnade.sql.tokens import Reader, tokens
from colonnade.store.database import Store
from colonnade.store.errors import OperationalError, as_sqlite
from colonnade.store.keycode import COLLATIONS
from colonnade.store.redefine import NotCoverable, uncovered
from colonnade.store.table import ColumnTable

__all__ = ["NotCoverable", "moves_references", "redefined", "renames", "stays_covered"]

_ROWID_NAMES = frozenset({"rowid", "oid", "_rowid_"})


def stays_covered(statement: Statement) -> bool:
    """Whether the tables that a statement redefines or refers to can be in column format after it, as far as
    its text tells. Of ALTER TABLE that are ADD COLUMN, RENAME TO, RENAME COLUMN and DROP COLUMN.
    """
    if statement.subject != "TABLE" or statement.target is None:
        return False
    if statement.verb == "CREATE":
        return not statement.mentions("as")  # a SELECT would miss the row groups
    if statement.verb != "ALTER":
        return False
    first, second = _action(statement)
    if first == "RENAME":
        return True
    if first == "DROP":
        return second not in ("CONSTRAINT", "CHECK")
    if first != "ADD" or second in ("CONSTRAINT", "CHECK", "FOREIGN", "UNIQUE", "PRIMARY"):
        return False
    return not statement.mentions("as", "generated") and _collations(statement) <= frozenset(COLLATIONS)


def moves_references(statement: Statement) -> bool:
    """Whether REFERENCES clauses in the table's own text may go, or be those of a table with another name."""
    action = _action(statement)
    return statement.verb == "ALTER" and (action[0] == "DROP" or action == ("RENAME", "TO"))


def renames(statement: Statement) -> bool:
    """Whether it is ALTER TABLE … RENAME TO or RENAME COLUMN, which change the texts of other tables."""
    return statement.verb == "ALTER" and _action(statement)[0] == "RENAME"


def _action(statement: Statement) -> tuple[str, str]:
    """The first two words behind the table's name."""
    if statement.target is None:
        return "", ""
    reader = Reader(statement.text, statement.target.stop)
    return reader[0].key, reader[1].key


def _collations(statement: Statement) -> frozenset[str]:
    run = list(tokens(statement.text[: statement.stop]))
    return frozenset(b.name.upper() for a, b in pairwise(run) if a.key == "COLLATE")


@contextmanager
def redefined(store: Store, tables: Sequence[ColumnTable], statement: Statement) -> Iterator[None]:
    """For SQLite to run the statement within. Raises NotCoverable, and what SQLite raises for rows that break a
    CHECK; then nothing has changed.
    """
    with store.db:
        with uncovered(store, tables):
            yield
        if statement.verb == "ALTER" and _action(statement)[0] == "ADD":
            for table in tables:
                _test_checks(store, table)


def _test_checks(store: Store, before: ColumnTable) -> None:
    """ADD COLUMN fails if a row that is there breaks any CHECK of the table (sqlite.org/lang_altertable.html, 4)."""
    table = store.table(before.name, before.schema)
    if table is None or table.columns == before.columns or not table.groups():
        return
    definition = read_schema(store.db, table.schema).table(table.name)
    if definition is None or not definition.exact:
        raise NotCoverable("its CREATE TABLE text could not be read with certainty")
    if not definition.checks:
        return
    definition, ids = _checked_columns(table, definition)
    for group in table.groups():
        for batch in table.reader(group).batches(ids):
            if any(problem.kind == CHECK for problem in row_problems(store.db, definition, batch)):
                raise as_sqlite(OperationalError("CHECK constraint failed"), "SQLITE_ERROR")


def _checked_columns(table: ColumnTable, definition: TableDef) -> tuple[TableDef, list[int]]:
    """The table with no more columns than its CHECKs name, and their ids."""
    named = {fold(token.name) for check in definition.checks for token in tokens(check.expr) if token.is_name}
    if named & _ROWID_NAMES:
        return definition, list(table.column_ids)
    ids = {fold(column.name): column.column_id for column in table.columns}
    columns = tuple(column for column in definition.columns if fold(column.name) in named)
    columns = columns or definition.columns[:1]
    alias = definition.rowid_alias if any(c.name == definition.rowid_alias for c in columns) else None
    cut = replace(definition, columns=columns, rowid_alias=alias, strict=False)
    return cut, [ids[fold(column.name)] for column in columns]
