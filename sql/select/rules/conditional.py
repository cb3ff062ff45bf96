"""CASE, COALESCE, NULLIF and the scalar min and max: a value of one operand for each row."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from colonnade.sql.select.rules.base import Operands
from colonnade.sql.select.rules.compare import compare
from colonnade.sql.select.rules.logic import boolean
from colonnade.sql.select.vector import (
    NUMBERS,
    NotVectorizable,
    Vector,
    aligned,
    nulls,
    spread,
    whole_of,
)
from colonnade.store.values import Kind


def choose(condition: Any, one: Vector, other: Vector, count: int) -> Vector:
    """`one` where the condition is true, else `other`."""
    if isinstance(condition, pa.Scalar):
        return spread(one if condition.as_py() else other, count)
    if condition.null_count:
        condition = condition.fill_null(False)
    first, second = aligned([spread(one, count), spread(other, count)])
    if first.kind is Kind.NULL and second.kind is Kind.NULL:
        return nulls(count)
    kept = second if first.kind is Kind.NULL else first
    parts = [pa.scalar(None, kept.data.type) if v.kind is Kind.NULL else v.data for v in (first, second)]
    if pa.types.is_dictionary(kept.data.type):
        parts = [p if isinstance(p, pa.Scalar) else p.dictionary_decode() for p in parts]
        parts = [pa.scalar(None, pa.string()) if isinstance(p, pa.Scalar) else p for p in parts]
    data = pc.if_else(condition, *parts)
    whole = None
    if kept.kind is Kind.NUMERIC and not all(v.kind is Kind.NULL or v.stored for v in (first, second)):
        masks = [pa.scalar(False) if v.kind is Kind.NULL else _scalar(whole_of(v)) for v in (first, second)]
        whole = pc.if_else(condition, *masks)
    return Vector(kept.kind, data, whole, truth=kept.truth)


def _scalar(whole: Any) -> Any:
    return pa.scalar(whole) if isinstance(whole, bool) else whole


def _case(operands: Operands) -> Vector:
    *branches, found = operands.vectors
    found = spread(found, operands.count)
    for place in range(len(branches) - 2, -1, -2):
        found = choose(boolean(branches[place]), branches[place + 1], found, operands.count)
    return found


def _coalesce(operands: Operands) -> Vector:
    found = spread(operands.vectors[-1], operands.count)
    for vector in reversed(operands.vectors[:-1]):
        whole = spread(vector, operands.count)
        if whole.kind is not Kind.NULL and not whole.data.null_count:
            found = whole
        elif whole.kind is not Kind.NULL:
            found = choose(whole.data.is_valid(), whole, found, operands.count)
    return found


def _nullif(operands: Operands) -> Vector:
    one, other = operands.vectors
    equal = compare("=", one, other, operands.term.extra, operands.count)
    return choose(equal, nulls(operands.count), one, operands.count)


def _extreme(op: str) -> Callable[[Operands], Vector]:
    """The scalar min() and max(): NULL if any operand is. Of equal ones, 1 and 1.0 say, min() takes the last."""

    def rule(operands: Operands) -> Vector:
        if any(vector.kind is Kind.NULL for vector in operands.vectors):
            return nulls(operands.count)
        if not all(vector.kind in NUMBERS for vector in operands.vectors):
            return operands.ask(operands)
        found, *rest = operands.vectors
        for vector in rest:
            replaced = compare(op, vector, found, operands.term.extra, operands.count)
            chosen = choose(replaced, vector, found, operands.count)
            missing = replaced.is_null()
            found = choose(missing, nulls(operands.count), chosen, operands.count)
            if found.kind is Kind.NULL:
                raise NotVectorizable("an extreme that is always NULL")
        return found

    return rule


RULES: dict[str, Callable[[Operands], Vector]] = {
    "case": _case,
    "coalesce": _coalesce,
    "nullif()": _nullif,
    "min()": _extreme("<="),
    "max()": _extreme(">"),
}
