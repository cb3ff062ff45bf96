"""Terms are evaluated: a vector for the rows at hand, by the rule of each operator and function."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any, Protocol

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from colonnade.sql.select.rules import RULES
from colonnade.sql.select.rules.asked import Ask
from colonnade.sql.select.rules.base import Operands
from colonnade.sql.select.rules.listed import Listed
from colonnade.sql.select.terms import (
    Aggregate,
    Column,
    Constant,
    Op,
    Parameter,
    Subquery,
    Term,
    Window,
    walk,
)
from colonnade.sql.select.vector import (
    NUMBERS,
    BoolArray,
    NotVectorizable,
    Vector,
    constant,
    constant_of,
    spread,
)
from colonnade.store.values import IntArray, Kind


@dataclass(frozen=True, slots=True)
class Values:
    """What a query's execution was given.

    parameters  bound values
    ask         SQLite itself, for functions without a rule
    folded      operations on constants alone, with their values
    listed      INs of constants alone, with these
    """

    parameters: Sequence[Any] | Mapping[str, Any]
    ask: Ask
    folded: dict[Term, Vector] = field(default_factory=dict)
    listed: dict[Op, Listed] = field(default_factory=dict)

    def of(self, parameter: Parameter) -> Vector:
        """A bound value. Raises NotVectorizable where SQLite has to say what is wrong with it."""
        try:
            if isinstance(self.parameters, Mapping):
                if parameter.name is None:
                    raise NotVectorizable("a parameter without a name")
                return constant(self.parameters[parameter.name])
            return constant(self.parameters[parameter.number - 1])
        except (LookupError, TypeError):
            raise NotVectorizable("parameters that do not fit") from None


class Rows(Protocol):
    """The rows that terms are evaluated for.

    count  how many
    known  vectors of terms that were evaluated before
    """

    count: int
    known: dict[Term, Vector]

    def column(self, column: Column) -> Vector: ...
    def take(self, places: IntArray) -> Rows: ...


@dataclass(eq=False, slots=True)
class BatchRows:
    """Rows of one source, as they are read (see Rows)."""

    count: int
    vectors: dict[Column, Vector]
    known: dict[Term, Vector] = field(default_factory=dict)

    def column(self, column: Column) -> Vector:
        found = self.vectors.get(column)
        if found is None:
            raise NotVectorizable("a column out of reach")
        return found

    def slice(self, start: int, count: int) -> BatchRows:
        """Some rows that follow each other."""
        count = min(count, self.count - start)
        return BatchRows(count, {c: vector.slice(start, count) for c, vector in self.vectors.items()})

    def take(self, places: IntArray) -> BatchRows:
        """The rows at these places."""
        arrow = pa.array(places)
        return BatchRows(len(places), {c: vector.take(arrow) for c, vector in self.vectors.items()})

    def filter(self, mask: BoolArray) -> BatchRows:
        arrow = pa.array(mask)
        return BatchRows(int(mask.sum()), {c: vector.filter(arrow) for c, vector in self.vectors.items()})


def evaluate(term: Term, rows: Rows, values: Values) -> Vector:
    """The values of a term, a constant's as one."""
    found = rows.known.get(term)
    if found is not None:
        return found
    if isinstance(term, Op):
        found = values.folded.get(term)
        if found is not None:
            return found
        found = _operation(term, rows, values)
    elif isinstance(term, Column):
        return rows.column(term)
    elif isinstance(term, Constant):
        return constant(term.value)
    elif isinstance(term, Parameter):
        return values.of(term)
    else:
        assert isinstance(term, Aggregate | Subquery | Window)
        raise NotVectorizable("a subquery, aggregate or window function at this place")
    rows.known[term] = found
    return found


def _operation(term: Op, rows: Rows, values: Values) -> Vector:
    listed = listed_in(term, values) if term.name == "in" else None
    parts = term.operands if listed is None else term.operands[:1]
    vectors = [evaluate(part, rows, values) for part in parts]
    rule: Callable[[Operands], Vector] | None = RULES.get(term.name)
    fixed = all(vector.constant for vector in vectors)
    count = 1 if fixed else rows.count
    if fixed:
        vectors = [spread(vector, 1) for vector in vectors]
    operands = Operands(term, vectors, count, values.ask, listed)
    try:
        found = values.ask(operands) if rule is None else rule(operands)
    except pa.ArrowInvalid as error:  # an overflow, which SQLite answers with a REAL or an error
        raise NotVectorizable(str(error)) from None
    found = spread(found, count)
    return constant_of(found) if fixed else found


def listed_in(term: Op, values: Values) -> Listed | None:
    """The operands of an IN behind the first, if all are constants."""
    found = values.listed.get(term)
    if found is None and all(isinstance(part, Constant | Parameter) for part in term.operands[1:]):
        items = [evaluate(part, BatchRows(1, {}), values) for part in term.operands[1:]]
        found = values.listed[term] = Listed(items)
    return found


def is_fixed(term: Term) -> bool:
    """Whether a term has the same value in every row, and needs no query for it."""
    return not any(isinstance(part, Column | Aggregate | Subquery | Window) for part in walk(term))


def fold(term: Term, values: Values) -> None:
    """Evaluates the operations on constants in a term, once for all batches: other threads cannot ask SQLite."""
    if not isinstance(term, Op) or not is_fixed(term):
        for part in term.parts:
            fold(part, values)
    elif term not in values.folded:
        with suppress(NotVectorizable):  # which it is if it is ever evaluated
            values.folded[term] = evaluate(term, BatchRows(1, {}), values)


def full(term: Term, rows: Rows, values: Values) -> Vector:
    """The same with constants spread over all rows."""
    return spread(evaluate(term, rows, values), rows.count)


def passing(term: Term, rows: Rows, values: Values) -> BoolArray | None:
    """The rows for which a condition is true, (n,) bool; None: all."""
    vector = evaluate(term, rows, values)
    if vector.constant:
        kept = vector.kind in NUMBERS and bool(vector.data.as_py())
        if vector.kind not in NUMBERS and vector.kind is not Kind.NULL:
            raise NotVectorizable("a text as a condition")
        return None if kept else np.zeros(rows.count, bool)
    return mask_of(vector)


def mask_of(vector: Vector) -> BoolArray:
    """Where a vector is true, (n,) bool."""
    if vector.kind is Kind.NULL:
        return np.zeros(len(vector), bool)
    if vector.kind not in NUMBERS:
        raise NotVectorizable("a text as a condition")
    data = vector.data if vector.truth else pc.not_equal(vector.data, 0)
    if data.null_count:
        data = data.fill_null(False)
    return np.asarray(data.to_numpy(zero_copy_only=False), bool)
