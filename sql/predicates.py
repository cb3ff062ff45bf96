"""Simple CHECK expressions over columns as Arrow arrays, for the shapes where Arrow and SQLite must agree.

Those are comparisons of a column with a literal or with another column, BETWEEN, IN a list of literals,
IS [NOT] NULL, and AND and OR of them. Whether a comparison is exact also depends on the batch: on the
Kind of its columns. Whatever is not provably the same gives None, and SQLite is asked.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pyarrow.compute as pc

from colonnade.sql.affinity import Affinity, apply_affinity
from colonnade.sql.dialect import expression_tree
from colonnade.sql.objects import TableDef, fold
from colonnade.store.values import EXACT_INT, INT64_MAX, Column, Kind, RowBatch, as_text, from_python

if TYPE_CHECKING:
    from sqlglot import exp

Predicate = Callable[[RowBatch], pa.Array]  # true, false or NULL for each row
_COMPARE = {
    "EQ": pc.equal,
    "NEQ": pc.not_equal,
    "LT": pc.less,
    "LTE": pc.less_equal,
    "GT": pc.greater,
    "GTE": pc.greater_equal,
}
_MIRRORED = {"EQ": "EQ", "NEQ": "NEQ", "LT": "GT", "LTE": "GTE", "GT": "LT", "GTE": "LTE"}
_NUMERIC = (Affinity.INTEGER, Affinity.NUMERIC, Affinity.REAL)
_NUMBER_KINDS = (Kind.INTEGER, Kind.REAL, Kind.NUMERIC)
_TEXT_KINDS = (Kind.TEXT, Kind.DATE, Kind.DATETIME)
_DIGITS = re.compile(r"[0-9]{1,19}\Z")
_DECIMAL = re.compile(r"(?:[0-9]+\.?[0-9]*|\.[0-9]+)\Z")
_SURE_DIGITS = 16  # a point and 15 digits: SQLite reads the nearest double


class _NotExactError(Exception):
    """This shape, or this batch, is SQLite's."""


def compile_check(expr: str, table: TableDef) -> Callable[[RowBatch], pa.Array | None] | None:
    """A function for the rows that fail a CHECK: a boolean array without NULL, or None: ask SQLite.

    None at once if the expression has a shape that is not known here.
    """
    if "+" in expr:  # sqlglot drops a unary plus, which means something
        return None
    tree = expression_tree(expr)
    if tree is None:
        return None
    try:
        predicate = _Compiler(table).predicate(tree)
    except _NotExactError:
        return None

    def failing(batch: RowBatch) -> pa.Array | None:
        try:
            return pc.invert(predicate(batch)).fill_null(False)
        except _NotExactError:
            return None

    return failing


@dataclass(frozen=True, slots=True)
class _Compiler:
    """Turns sqlglot's tree into a Predicate. Raises _NotExactError."""

    table: TableDef

    def predicate(self, node: exp.Expr) -> Predicate:
        name = type(node).__name__
        if name == "Paren":
            return self.predicate(node.this)
        if name in ("And", "Or"):
            kernel = pc.and_kleene if name == "And" else pc.or_kleene
            left, right = self.predicate(node.this), self.predicate(node.expression)
            return lambda batch: kernel(left(batch), right(batch))
        if name == "Not" and type(node.this).__name__ in ("In", "Between", "Is"):
            inner = self.predicate(node.this)
            return lambda batch: pc.invert(inner(batch))
        if name in _COMPARE:
            return self.comparison(name, node.this, node.expression)
        if name == "Between" and not node.args.get("symmetric"):
            low = self.comparison("GTE", node.this, node.args["low"])
            high = self.comparison("LTE", node.this, node.args["high"])
            return lambda batch: pc.and_kleene(low(batch), high(batch))
        if name == "In":
            return self.membership(node)
        if name == "Is" and type(node.expression).__name__ == "Null":
            position = self.column(node.this)
            return lambda batch: _is_null(batch.columns[position])
        raise _NotExactError

    def membership(self, node: exp.Expr) -> Predicate:
        options = node.args.get("expressions")
        others = [value for key, value in node.args.items() if key not in ("this", "expressions")]
        if not options or any(others):
            raise _NotExactError
        tests = [self.comparison("EQ", node.this, option) for option in options]

        def any_of(batch: RowBatch) -> pa.Array:
            found = tests[0](batch)
            for test in tests[1:]:
                found = pc.or_kleene(found, test(batch))
            return found

        return any_of

    def comparison(self, name: str, left: exp.Expr, right: exp.Expr) -> Predicate:
        if not _is_column(left):
            left, right, name = right, left, _MIRRORED[name]
        position = self.column(left)
        kernel = _COMPARE[name]
        if _is_column(right):
            return self.two_columns(kernel, position, self.column(right))
        value = _literal(right)
        column = self.table.columns[position]
        if isinstance(value, str):
            return self.with_text(kernel, position, value)
        if column.affinity is Affinity.TEXT:
            raise _NotExactError
        return lambda batch: _compare_number(kernel, batch.columns[position], value)

    def with_text(self, kernel: Callable[..., Any], position: int, value: str) -> Predicate:
        column = self.table.columns[position]
        applied = apply_affinity(from_python([value]), column.affinity)
        if applied.kind is not Kind.TEXT or column.collation != "BINARY":
            raise _NotExactError
        return lambda batch: _compare_text(kernel, batch.columns[position], value)

    def two_columns(self, kernel: Callable[..., Any], one: int, other: int) -> Predicate:
        first, second = self.table.columns[one], self.table.columns[other]
        alike = first.affinity is second.affinity or {first.affinity, second.affinity} <= set(_NUMERIC)
        if not alike or first.collation != "BINARY" or second.collation != "BINARY":
            raise _NotExactError
        return lambda batch: _compare_columns(kernel, batch.columns[one], batch.columns[other])

    def column(self, node: exp.Expr) -> int:
        if not _is_column(node) or set(node.args) - {"this", "table", "join_mark"}:
            raise _NotExactError
        qualifier = node.args.get("table")
        if qualifier is not None and fold(qualifier.name) != fold(self.table.name):
            raise _NotExactError
        try:
            return self.table.column_position(node.name)
        except KeyError:
            raise _NotExactError from None


def _is_column(node: exp.Expr) -> bool:
    return type(node).__name__ == "Column"


def _literal(node: exp.Expr) -> int | float | str:
    negative = type(node).__name__ == "Neg"
    if negative:
        node = node.this
    if type(node).__name__ != "Literal":
        raise _NotExactError
    text = str(node.this)
    if node.args["is_string"]:
        if negative:
            raise _NotExactError
        return text
    if _DIGITS.match(text) and int(text) <= INT64_MAX:
        return -int(text) if negative else int(text)
    if _DECIMAL.match(text) and len(text) <= _SURE_DIGITS:
        return -float(text) if negative else float(text)
    raise _NotExactError


def _is_null(column: Column) -> pa.Array:
    if column.kind is Kind.MIXED:
        return pc.equal(column.data.field("tag"), 0)
    return column.data.is_null()


def _compare_number(kernel: Callable[..., Any], column: Column, value: float) -> pa.Array:
    data = column.data
    if column.kind is Kind.NULL:
        return pa.nulls(len(data), pa.bool_())
    if column.kind not in _NUMBER_KINDS:
        raise _NotExactError
    if column.kind is Kind.INTEGER:
        if isinstance(value, float):
            if not value.is_integer():
                return kernel(_exact_doubles(data), value)
            value = int(value)
        return kernel(data, pa.scalar(value, pa.int64()))
    if isinstance(value, int) and abs(value) > EXACT_INT:
        raise _NotExactError
    return kernel(data, float(value))


def _exact_doubles(data: pa.Array) -> pa.Array:
    try:
        return pc.cast(data, pa.float64())
    except pa.ArrowInvalid:  # an integer beyond 2**53
        raise _NotExactError from None


def _compare_text(kernel: Callable[..., Any], column: Column, value: str) -> pa.Array:
    if column.kind is Kind.NULL:
        return pa.nulls(len(column), pa.bool_())
    if column.kind not in _TEXT_KINDS:
        raise _NotExactError
    data = column.data
    if pa.types.is_dictionary(data.type):
        return kernel(data.dictionary, value).take(data.indices)
    return kernel(as_text(column), value)


def _compare_columns(kernel: Callable[..., Any], one: Column, other: Column) -> pa.Array:
    if Kind.NULL in (one.kind, other.kind):
        return pa.nulls(len(one), pa.bool_())
    doubles = (Kind.REAL, Kind.NUMERIC)
    if one.kind in doubles and other.kind in doubles:
        return kernel(one.data, other.data)
    if one.kind is not other.kind or one.kind in (Kind.MIXED, Kind.DATETIME):
        raise _NotExactError
    if one.kind is Kind.TEXT:
        return kernel(as_text(one), as_text(other))
    return kernel(one.data, other.data)  # INTEGER, BLOB, and DATE whose text sorts as its days do
