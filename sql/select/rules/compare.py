"""Comparisons and IN (sqlite.org/datatype3.html, section 4): by storage class, number, text or bytes.

Numbers are below texts, texts below BLOBs. What affinity applies to either side is known from binding; conversions
of whole columns are left to SQLite, those of constants are made here.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import date
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from colonnade.sql.select.rules.base import Operands
from colonnade.sql.select.rules.listed import Listed, Wanted
from colonnade.sql.select.vector import (
    NUMBERS,
    TEXTS,
    NotVectorizable,
    Vector,
    constant,
    doubles,
    ints,
    text_data,
    truth,
)
from colonnade.store.prune import numeric_text
from colonnade.store.values import EXACT_INT, Kind

_KERNELS = {
    "=": pc.equal,
    "<>": pc.not_equal,
    "<": pc.less,
    "<=": pc.less_equal,
    ">": pc.greater,
    ">=": pc.greater_equal,
}
MIRRORED = {"=": "=", "<>": "<>", "<": ">", "<=": ">=", ">": "<", ">=": "<="}
_HOLDS: dict[str, Callable[[int], bool]] = {
    "=": lambda order: order == 0,
    "<>": lambda order: order != 0,
    "<": lambda order: order < 0,
    "<=": lambda order: order <= 0,
    ">": lambda order: order > 0,
    ">=": lambda order: order >= 0,
}
_DAY = re.compile(r"\d{4}-\d\d-\d\d")


Rule = tuple[str | None, str | None, str]


def compare(op: str, left: Vector, right: Vector, rule: Rule, count: int) -> Any:
    """left op right as a boolean array, NULL where either is NULL.

    rule  what affinity is applied to either side ("numeric", "text", None), and the collation
    """
    to_left, to_right, collation = rule
    left, right = _applied(left, right, to_left), _applied(right, left, to_right)
    if left.constant and not right.constant:
        left, right, op = right, left, MIRRORED[op]
    if Kind.NULL in (left.kind, right.kind):
        return pa.nulls(count, pa.bool_())
    if left.kind in NUMBERS and right.kind in NUMBERS:
        return _compare_numbers(op, left, right)
    if left.kind in TEXTS and right.kind in TEXTS:
        return _compare_texts(op, left, right, collation)
    if left.kind is Kind.BLOB and right.kind is Kind.BLOB:
        return _KERNELS[op](left.data, right.data)
    holds = _HOLDS[op](_rank(left) - _rank(right))
    return _where_valid(holds, left, right, count)


def _rank(vector: Vector) -> int:
    return 0 if vector.kind in NUMBERS else 1 if vector.kind in TEXTS else 2


def _where_valid(holds: bool, left: Vector, right: Vector, count: int) -> Any:
    """The same truth in every row but those with a NULL."""
    valid = pa.array(np.ones(count, bool))
    for vector in (left, right):
        if not vector.constant and vector.data.null_count:
            valid = pc.and_(valid, vector.data.is_valid())
    return pc.if_else(valid, pa.scalar(holds), pa.scalar(None, pa.bool_()))


def _applied(vector: Vector, other: Vector, affinity: str | None) -> Vector:
    """A side of a comparison after the comparison's affinity was applied to it."""
    if affinity == "numeric" and vector.kind in TEXTS:
        if not vector.constant:
            if other.kind is Kind.NULL:
                return vector
            raise NotVectorizable("text compared with numbers")
        number = numeric_text(str(vector.value()))
        return vector if number is None else constant(number)
    if affinity == "text" and vector.kind in NUMBERS:
        if not vector.constant or vector.kind is not Kind.INTEGER:
            raise NotVectorizable("numbers compared with text")
        return constant(str(vector.value()))
    return vector


def _compare_numbers(op: str, left: Vector, right: Vector) -> Any:
    kernel = _KERNELS[op]
    if left.kind is Kind.INTEGER and right.kind is Kind.INTEGER:
        if left.truth and right.truth:
            return kernel(ints(left), ints(right))
        return kernel(ints(left), ints(right))
    if right.constant:
        return _compare_constant(op, left, right)
    return kernel(doubles(left, exact=True), doubles(right, exact=True))


def _compare_constant(op: str, left: Vector, right: Vector) -> Any:
    value = right.value()
    assert isinstance(value, int | float)
    if left.kind is Kind.INTEGER:
        if isinstance(value, float) and value.is_integer() and abs(value) <= EXACT_INT:
            return _KERNELS[op](ints(left), pa.scalar(int(value), pa.int64()))
        return _KERNELS[op](doubles(left, exact=True), pa.scalar(float(value)))
    if isinstance(value, int) and abs(value) > EXACT_INT:
        raise NotVectorizable("an integer beyond 2**53 with a real number")
    return _KERNELS[op](left.data, pa.scalar(float(value)))


def _compare_texts(op: str, left: Vector, right: Vector, collation: str) -> Any:
    kernel = _KERNELS[op]
    if collation != "BINARY":
        return kernel(collated(text_data(left), collation), collated(text_data(right), collation))
    if left.kind is Kind.DATE:
        days = _days(right)
        if days is not None:
            return kernel(left.data, days)
    if right.constant and pa.types.is_dictionary(left.data.type):
        return kernel(left.data.dictionary, right.data).take(left.data.indices)
    if right.constant and left.kind in (Kind.DATE, Kind.DATETIME):
        words = left.data.dictionary_encode()
        return kernel(words.dictionary.cast(pa.string()), right.data).take(words.indices)
    return kernel(text_data(left), text_data(right))


def _days(vector: Vector) -> Any:
    """Dates as day numbers, whose order is that of their texts; None where they are something else."""
    if vector.kind is Kind.DATE:
        return vector.data
    if not vector.constant:
        return None
    day = day_of(str(vector.value()))
    return None if day is None else pa.scalar(day, pa.date32())


def day_of(text: str) -> date | None:
    """The day that a text YYYY-MM-DD names; None for any other text."""
    if not _DAY.fullmatch(text):
        return None
    try:
        return date.fromisoformat(text)
    except ValueError:
        return None


def collated(data: Any, collation: str) -> Any:
    """Texts whose bytes are in the order of a collation."""
    if collation == "NOCASE":
        return pc.ascii_lower(data)
    if collation == "RTRIM":
        return pc.ascii_rtrim(data, " ")
    return data


def _comparison(op: str) -> Callable[[Operands], Vector]:
    def rule(operands: Operands) -> Vector:
        left, right = operands.vectors
        return truth(compare(op, left, right, operands.term.extra, operands.count))

    return rule


def _is(operands: Operands) -> Vector:
    """Equality for which NULL is a value like others."""
    left, right = operands.vectors
    if right.kind is Kind.NULL:
        return truth(_null(left, operands.count))
    if left.kind is Kind.NULL:
        return truth(_null(right, operands.count))
    equal = compare("=", left, right, operands.term.extra, operands.count)
    if not equal.null_count:
        return truth(equal)
    both = pc.and_(_null(left, operands.count), _null(right, operands.count))
    return truth(pc.or_(pc.fill_null(equal, False), both))


def _null(vector: Vector, count: int) -> Any:
    if vector.kind is Kind.NULL or vector.constant:
        return pa.array(np.full(count, vector.kind is Kind.NULL or not vector.data.is_valid))
    return vector.data.is_null()


def _is_not(operands: Operands) -> Vector:
    return truth(pc.invert(_is(operands).data))


def _in(operands: Operands) -> Vector:
    """Any of the equalities; NULL where none is true and a NULL is among the values."""
    operand, *items = operands.vectors
    count, rule, listed = operands.count, operands.term.extra, operands.listed
    if operand.kind is Kind.NULL:
        return truth(pa.nulls(count, pa.bool_()))
    wanted = None if listed is None else _wanted(operand, listed, rule)
    if wanted is not None:
        return truth(wanted.among(operand))
    found = pa.array(np.zeros(count, bool))
    for item in items if listed is None else listed.items:
        found = pc.or_kleene(found, compare("=", operand, item, rule, count))
    return truth(found)


def _wanted(operand: Vector, listed: Listed, rule: Rule) -> Wanted | None:
    """What to look for in a column; None where items must be compared, or where it would have to be converted."""
    to_left, to_right, collation = rule
    is_text = operand.kind in TEXTS
    if (
        operand.constant
        or to_left == ("numeric" if is_text else "text")
        or (is_text and collation != "BINARY")
    ):
        return None
    return listed.wanted(operand.kind, lambda item: _applied(item, operand, to_right))


RULES: dict[str, Callable[[Operands], Vector]] = {
    **{op: _comparison(op) for op in _KERNELS},
    "IS": _is,
    "IS NOT": _is_not,
    "in": _in,
}
