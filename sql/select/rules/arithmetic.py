"""Arithmetic (sqlite.org/lang_expr.html, section 2; vdbe.c, OP_Add to OP_Remainder).

Two INTEGERs give an INTEGER, or a REAL where that overflows: then SQLite computes the query. Any other two numbers
give a REAL; x/0 and x%0 are NULL; a REAL that is not a number is NULL. Of NUMERIC columns each value is INTEGER or
REAL by itself, and so is each result.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from colonnade.sql.select.rules.base import Operands
from colonnade.sql.select.vector import (
    NUMBERS,
    Both,
    NotVectorizable,
    Vector,
    both,
    check_exact,
    constant,
    doubles,
    ints,
    nulls,
    whole_of,
)
from colonnade.store.values import INT64_MIN, Kind

Kernel = Callable[[Any, Any], Any]


def _numbers(operands: Operands) -> tuple[Vector, Vector] | None:
    """Both operands; None where one is NULL in every row."""
    left, right = operands.vectors
    for vector in (left, right):
        if vector.kind not in NUMBERS and vector.kind is not Kind.NULL:
            raise NotVectorizable(f"arithmetic on {vector.kind.name}")
    return None if Kind.NULL in (left.kind, right.kind) else (left, right)


def _rule(checked: Kernel, real: Kernel) -> Callable[[Operands], Vector]:
    def compute(operands: Operands) -> Vector:
        numbers = _numbers(operands)
        return nulls(operands.count) if numbers is None else combine(*numbers, checked, real)

    return compute


def combine(left: Vector, right: Vector, checked: Kernel, real: Kernel) -> Vector:
    """One of + - * on numbers."""
    if left.kind is Kind.INTEGER and right.kind is Kind.INTEGER:
        return Vector(Kind.INTEGER, checked(ints(left), ints(right)))
    if Kind.REAL in (left.kind, right.kind):
        data = real(doubles(left, exact=False), doubles(right, exact=False))
        return Vector(Kind.REAL, numbers_only(data))
    data = real(doubles(left, exact=True), doubles(right, exact=True))
    check_exact(data)
    return Vector(Kind.NUMERIC, data, Both(left, right))


def numbers_only(data: Any) -> Any:
    """NULL for what is not a number."""
    if isinstance(data, pa.Scalar):
        raise AssertionError("constants are computed as one row")
    total = pc.sum(data).as_py()
    if total is None or np.isfinite(total):
        return data
    return pc.if_else(pc.is_nan(data), pa.scalar(None, pa.float64()), data)


def _divide(operands: Operands) -> Vector:
    numbers = _numbers(operands)
    if numbers is None:
        return nulls(operands.count)
    left, right = numbers
    if left.kind is Kind.INTEGER and right.kind is Kind.INTEGER:
        data = pc.divide_checked(ints(left), _but_zero(ints(right)))
        return Vector(Kind.INTEGER, data)
    if Kind.REAL in (left.kind, right.kind):
        data = pc.divide(doubles(left, exact=False), _but_zero(doubles(right, exact=False)))
        return Vector(Kind.REAL, numbers_only(data))
    data = pc.divide(doubles(left, exact=True), _but_zero(doubles(right, exact=True)))
    check_exact(data)
    whole = both(whole_of(left), whole_of(right))
    if whole is True:
        data = pc.add(pc.trunc(data), 0.0)
    elif whole is not False:
        data = pc.if_else(whole, pc.add(pc.trunc(data), 0.0), data)  # + 0.0: -0.0 is no INTEGER
    return Vector(Kind.NUMERIC, data, lambda: whole)


def _but_zero(divisor: Any) -> Any:
    if isinstance(divisor, pa.Scalar):
        return divisor if divisor.as_py() else pa.scalar(None, divisor.type)
    zero = pc.equal(divisor, pa.scalar(0, divisor.type))
    return pc.if_else(zero, pa.scalar(None, divisor.type), divisor)


def _remainder(operands: Operands) -> Vector:
    """Only of INTEGERs: of other numbers the integer parts count, and the result is a REAL."""
    numbers = _numbers(operands)
    if numbers is None:
        return nulls(operands.count)
    left, right = numbers
    if left.kind is not Kind.INTEGER or right.kind is not Kind.INTEGER:
        return operands.ask(operands)
    one, other = ints(left), _but_zero(ints(right))
    valid = pc.and_(pc.is_valid(one), pc.is_valid(other))
    dividend = _filled(one, 0, operands.count)
    divisor = _filled(other, 1, operands.count)
    divisor = np.where(divisor == -1, 1, divisor)  # the remainder is 0, without an overflow
    data = pa.array(np.fmod(dividend, divisor))
    return Vector(Kind.INTEGER, pc.if_else(valid, data, pa.scalar(None, pa.int64())))


def _filled(data: Any, value: int, count: int) -> Any:
    if isinstance(data, pa.Scalar):
        return np.full(count, value if data.as_py() is None else data.as_py(), np.int64)
    return data.fill_null(value).to_numpy(zero_copy_only=False)


def _negate(operands: Operands) -> Vector:
    """0 - x, so that -(0.0) is 0.0 (expr.c, TK_UMINUS)."""
    (operand,) = operands.vectors
    return _rule(pc.subtract_checked, pc.subtract)(
        Operands(operands.term, [constant(0), operand], operands.count, operands.ask)
    )


def _plus(operands: Operands) -> Vector:
    """Nothing but that the affinity is gone."""
    return operands.vectors[0]


def _abs(operands: Operands) -> Vector:
    (operand,) = operands.vectors
    if operand.kind is Kind.NULL:
        return operand
    if operand.kind not in NUMBERS:
        return operands.ask(operands)
    if operand.kind is Kind.INTEGER:
        data = ints(operand)
        least = pc.min(data).as_py()
        if least == INT64_MIN:
            raise NotVectorizable("abs() of the least integer")
        return Vector(Kind.INTEGER, pc.abs(data))
    whole = None if operand.stored else lambda: operand.whole
    # -0.0, which is not below 0, stays as it is (sqlite.org/lang_corefunc.html; func.c, absFunc).
    below = pc.less(operand.data, 0.0)
    return Vector(operand.kind, pc.if_else(below, pc.negate(operand.data), operand.data), whole)


RULES: dict[str, Callable[[Operands], Vector]] = {
    "+": _rule(pc.add_checked, pc.add),
    "-": _rule(pc.subtract_checked, pc.subtract),
    "*": _rule(pc.multiply_checked, pc.multiply),
    "/": _divide,
    "%": _remainder,
    "negate": _negate,
    "plus": _plus,
    "collate": _plus,
    "abs()": _abs,
}
