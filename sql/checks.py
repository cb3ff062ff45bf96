"""What SQLite checks of each row by itself, for whole batches: types, NOT NULL, STRICT and CHECK.

The constraints that need other rows (keys, foreign keys) are the loader's. Messages are SQLite's own.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache, partial

import apsw
import numpy as np
import numpy.typing as npt
import pyarrow as pa

from colonnade.sql.batchtable import batch_table
from colonnade.sql.objects import CheckDef, ColumnDef, TableDef, fold
from colonnade.sql.predicates import compile_check
from colonnade.sql.tokens import Kind as TokenKind
from colonnade.sql.tokens import Token, quote, tokens, unquote
from colonnade.store.errors import IntegrityError, as_sqlite
from colonnade.store.values import (
    EXACT_INT,
    Column,
    IntArray,
    Kind,
    RowBatch,
    StorageClass,
    integer_column,
)

BoolArray = npt.NDArray[np.bool_]

MISMATCH, NOT_NULL, STRICT_TYPE, CHECK = "datatype", "NOT NULL", "STRICT", "CHECK"
_CODES = {
    MISMATCH: "SQLITE_MISMATCH",
    NOT_NULL: "SQLITE_CONSTRAINT_NOTNULL",
    STRICT_TYPE: "SQLITE_CONSTRAINT_DATATYPE",
    CHECK: "SQLITE_CONSTRAINT_CHECK",
}


@dataclass(frozen=True, slots=True)
class RowProblem:
    """Rows of a batch that break one constraint.

    kind        MISMATCH, NOT_NULL, STRICT_TYPE or CHECK
    constraint  the column's name; for a CHECK what SQLite calls it
    message     what SQLite says about such a row
    rows        (n,) int64, their positions in the batch, ascending; never empty
    columns     the columns whose values break it
    """

    kind: str
    constraint: str
    message: str
    rows: IntArray
    columns: tuple[str, ...]

    @property
    def row(self) -> int:
        """The first of the rows."""
        return int(self.rows[0])

    def error(self) -> IntegrityError:
        """What SQLite would raise."""
        return as_sqlite(IntegrityError(self.message), _CODES[self.kind])


def check_batch(db: apsw.Connection, table: TableDef, batch: RowBatch) -> RowProblem | None:
    """What SQLite would raise if it inserted the rows one by one; None if all of them are fine.

    See row_problems; the problem's `rows` has every row that breaks the same constraint.
    """
    problems = row_problems(db, table, batch)
    return min(problems, key=lambda problem: problem.row, default=None)  # the first of equals wins


def row_problems(db: apsw.Connection, table: TableDef, batch: RowBatch) -> list[RowProblem]:
    """Every problem of every row, in the order in which SQLite looks at one row.

    db     for CHECKs, which may call functions and collations of this connection; its own thread only
    batch  one column for each of the table's, affinity applied; rowids set if a CHECK may read an INTEGER
           PRIMARY KEY whose value is still NULL
    Cost   some ns a value for types, NOT NULL and CHECKs of simple shape, 1 µs a row for any other CHECK.
    """
    if len(batch.columns) != len(table.columns):
        raise ValueError(f"{len(batch.columns)} columns for the {len(table.columns)} of {table.name}")
    if not batch.row_count:
        return []
    problems = [*_rowid_mismatch(table, batch), *_not_null(table, batch)]
    if table.strict:
        problems += _strict_types(table, batch)
    if table.checks:
        problems += _checks(db, table, batch)
    return problems


def _problem(
    kind: str,
    constraint: str,
    message: str,
    rows: BoolArray,
    columns: Callable[[], tuple[str, ...]] | None = None,
) -> list[RowProblem]:
    """columns: asked where there are such rows; None: the constraint is a column's."""
    found = np.flatnonzero(rows)
    if not len(found):
        return []
    names = (constraint,) if columns is None else columns()
    return [RowProblem(kind, constraint, message, found.astype(np.int64), names)]


def _rowid_mismatch(table: TableDef, batch: RowBatch) -> list[RowProblem]:
    """An INTEGER PRIMARY KEY takes integers, and NULL for the next rowid."""
    if table.rowid_alias is None:
        return []
    column = batch.columns[table.column_position(table.rowid_alias)]
    wrong = np.zeros(len(column), bool)
    for _, rows in _of_other_classes(column, StorageClass.INTEGER):
        wrong |= rows
    return _problem(MISMATCH, table.rowid_alias, "datatype mismatch", wrong)


def _not_null(table: TableDef, batch: RowBatch) -> list[RowProblem]:
    problems = []
    for definition, column in zip(table.columns, batch.columns, strict=True):
        if definition.not_null and definition.name != table.rowid_alias and column.null_count:
            message = f"NOT NULL constraint failed: {table.name}.{definition.name}"
            problems += _problem(NOT_NULL, definition.name, message, _nulls(column))
    return problems


def _nulls(column: Column) -> BoolArray:
    if column.kind is Kind.MIXED:
        missing: BoolArray = column.data.field("tag").to_numpy() == 0
    else:
        missing = column.data.is_null().to_numpy(zero_copy_only=False)
    return missing


# -- STRICT

_NUMBERS = StorageClass.INTEGER | StorageClass.REAL
_STRICT_CLASSES = {
    "INT": StorageClass.INTEGER,
    "INTEGER": StorageClass.INTEGER,
    "REAL": _NUMBERS,  # an INTEGER becomes REAL by affinity
    "TEXT": StorageClass.TEXT,
    "BLOB": StorageClass.BLOB,
    "ANY": _NUMBERS | StorageClass.TEXT | StorageClass.BLOB,
}
_CLASSES = (StorageClass.INTEGER, StorageClass.REAL, StorageClass.TEXT, StorageClass.BLOB)


def _strict_types(table: TableDef, batch: RowBatch) -> list[RowProblem]:
    problems = []
    for definition, column in zip(table.columns, batch.columns, strict=True):
        if definition.name == table.rowid_alias:
            continue
        allowed = _STRICT_CLASSES[definition.decl_type.upper()]
        for storage_class, rows in _of_other_classes(column, allowed):
            problems += _problem(
                STRICT_TYPE, definition.name, _strict_message(table, definition, storage_class), rows
            )
    return problems


def _strict_message(table: TableDef, column: ColumnDef, storage_class: StorageClass) -> str:
    found = "INT" if storage_class is StorageClass.INTEGER else storage_class.name
    return f"cannot store {found} value in {column.decl_type.upper()} column {table.name}.{column.name}"


_CLASS_OF_KIND = {
    Kind.INTEGER: StorageClass.INTEGER,
    Kind.REAL: StorageClass.REAL,
    Kind.TEXT: StorageClass.TEXT,
    Kind.DATE: StorageClass.TEXT,
    Kind.DATETIME: StorageClass.TEXT,
    Kind.BLOB: StorageClass.BLOB,
}


def _of_other_classes(column: Column, allowed: StorageClass) -> list[tuple[StorageClass, BoolArray]]:
    """Which rows hold values of storage classes that are not allowed, class by class."""
    if column.kind is Kind.NULL:
        return []
    if column.kind is Kind.MIXED:
        tags = column.data.field("tag").to_numpy()
        return [(each, tags == each) for each in _CLASSES if not each & allowed]
    if column.kind is Kind.NUMERIC:
        return _numeric_of_other_classes(column.data, allowed)
    only = _CLASS_OF_KIND[column.kind]
    return [] if only & allowed else [(only, ~_nulls(column))]


def _numeric_of_other_classes(data: pa.Array, allowed: StorageClass) -> list[tuple[StorageClass, BoolArray]]:
    if allowed & _NUMBERS == _NUMBERS:
        return []
    present = data.is_valid().to_numpy(zero_copy_only=False)
    doubles = (data.fill_null(0.0) if data.null_count else data).to_numpy()
    whole = (doubles == np.trunc(doubles)) & (np.abs(doubles) <= EXACT_INT)
    masks = ((StorageClass.INTEGER, present & whole), (StorageClass.REAL, present & ~whole))
    return [(each, rows) for each, rows in masks if not each & allowed]


# -- CHECK


def _checks(db: apsw.Connection, table: TableDef, batch: RowBatch) -> list[RowProblem]:
    if db.pragma("ignore_check_constraints"):
        return []
    batch = _with_rowids(table, batch)
    problems = []
    for check in table.checks:
        compiled = _compiled(check.expr, table)
        failing = None if compiled is None else compiled(batch)
        known = None if failing is None else failing.to_numpy(zero_copy_only=False)
        rows = _ask_sqlite(db, table, batch, check.expr) if known is None else known
        message = f"CHECK constraint failed: {check.label}"
        problems += _problem(CHECK, check.label, message, rows, partial(_named_in, check, table))
    return problems


def _named_in(check: CheckDef, table: TableDef) -> tuple[str, ...]:
    """The columns whose names are in a CHECK, in the order of the table."""
    names = {fold(token.name) for token in tokens(check.expr) if token.is_name}
    return tuple(column.name for column in table.columns if fold(column.name) in names)


def _with_rowids(table: TableDef, batch: RowBatch) -> RowBatch:
    """The batch with its rowids in the INTEGER PRIMARY KEY: a CHECK sees the number that NULL stands for."""
    if table.rowid_alias is None or batch.rowids is None:
        return batch
    at = table.column_position(table.rowid_alias)
    columns = (*batch.columns[:at], integer_column(batch.rowids), *batch.columns[at + 1 :])
    return RowBatch(batch.row_count, columns, batch.rowids)


_compiled = lru_cache(maxsize=256)(compile_check)


def _ask_sqlite(db: apsw.Connection, table: TableDef, batch: RowBatch, expr: str) -> BoolArray:
    """Which rows fail an expression, by SQLite."""
    rows = np.zeros(batch.row_count, bool)
    with batch_table(db, table, batch) as (name, position), _double_quoted_text(db, expr):
        found = db.cursor().execute(  # the line end closes a comment at the expression's end
            f"SELECT {quote(position)} FROM {name} AS {quote(table.name)} WHERE NOT ({expr}\n)"
        )
        rows[[row[0] for row in found]] = True
    return rows


class _double_quoted_text:  # noqa: N801 - reads as a function
    """Lets "x" be text where no column has that name, as it is in a CREATE TABLE."""

    def __init__(self, db: apsw.Connection, expr: str) -> None:
        self.db = db
        self.quoted = '"' in expr
        self.changed = False

    def __enter__(self) -> None:
        if self.quoted and not self.db.config(apsw.SQLITE_DBCONFIG_DQS_DML, -1):
            self.db.config(apsw.SQLITE_DBCONFIG_DQS_DML, 1)
            self.changed = True

    def __exit__(self, *_: object) -> None:
        if self.changed:
            self.db.config(apsw.SQLITE_DBCONFIG_DQS_DML, 0)


# -- what cannot be appended in bulk


def bulk_reason(table: TableDef) -> str | None:
    """Why rows cannot be appended to a table in bulk; None if they can."""
    if not table.exact:
        return "its CREATE TABLE text could not be read with certainty"
    if table.without_rowid:
        return "WITHOUT ROWID"
    for column in table.columns:
        if column.generated:
            return f"generated column {column.name}"
        if column.not_null_conflict not in (None, "ABORT"):
            return f"NOT NULL ON CONFLICT {column.not_null_conflict} on {column.name}"
    for key in table.keys:
        if key.on_conflict not in (None, "ABORT"):
            return f"{key.kind} ({', '.join(key.columns)}) ON CONFLICT {key.on_conflict}"
    if table.odd_keys:
        return f"index {table.odd_keys[0]} is UNIQUE on an expression or on some rows only"
    for check in table.checks:
        reason = _check_reason(check)
        if reason is not None:
            return f"CHECK ({check.expr}) {reason}"
    return None


_TIMES = frozenset(["DATE", "TIME", "DATETIME", "JULIANDAY", "UNIXEPOCH", "STRFTIME"])
_CURRENT = frozenset(["CURRENT_DATE", "CURRENT_TIME", "CURRENT_TIMESTAMP"])


def _check_reason(check: CheckDef) -> str | None:
    """SQLite refuses to evaluate a CHECK that asks for the time; a query could not know that."""
    seen: list[Token] = []
    for token in tokens(check.expr):
        seen.append(token)
        now = token.kind is TokenKind.STRING and unquote(token.text).lower() == "now"
        call = [each.key for each in seen[-3:]]
        if now or token.key in _CURRENT or (call[1:] == ["(", ")"] and call[0] in _TIMES):
            return "asks for the time"
        if token.key == "." and call[0] == ".":
            return "names its schema"
    return None
