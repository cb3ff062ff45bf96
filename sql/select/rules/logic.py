"""AND, OR, NOT over true, false and NULL (sqlite.org/lang_expr.html, section 14: numbers are true if not 0)."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from colonnade.sql.select.rules.base import Operands
from colonnade.sql.select.vector import NUMBERS, NotVectorizable, Vector, truth
from colonnade.store.values import Kind


def boolean(vector: Vector) -> Any:
    """The truth of each value: a boolean array, or a scalar of a constant."""
    if vector.kind is Kind.NULL:
        if vector.constant:
            return pa.scalar(None, pa.bool_())
        return pa.nulls(len(vector), pa.bool_())
    if vector.kind not in NUMBERS:
        raise NotVectorizable("a text as a condition")
    return vector.data if vector.truth else pc.not_equal(vector.data, pa.scalar(0, vector.data.type))


def _and(operands: Operands) -> Vector:
    left, right = map(boolean, operands.vectors)
    return truth(pc.and_kleene(left, right))


def _or(operands: Operands) -> Vector:
    left, right = map(boolean, operands.vectors)
    return truth(pc.or_kleene(left, right))


def _not(operands: Operands) -> Vector:
    return truth(pc.invert(boolean(operands.vectors[0])))


RULES: dict[str, Callable[[Operands], Vector]] = {"and": _and, "or": _or, "not": _not}
