"""Bound expressions: what a query's terms mean, with affinities and collations (sqlite.org/datatype3.html)."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from colonnade.sql.affinity import Affinity

if TYPE_CHECKING:
    from colonnade.sql.select.query import Query

ROWID = -1  # the position of a rowid that has no column


class Term:
    """An expression whose names are bound. Equal terms have equal values.

    Terms are looked up all the time, and may be deep: each works its hash out once.
    """

    __slots__ = ("_hash",)
    __match_args__: tuple[str, ...] = ()
    _hash: int

    def __hash__(self) -> int:
        try:
            return self._hash
        except AttributeError:
            found = hash((type(self), *(getattr(self, name) for name in self.__match_args__)))
            object.__setattr__(self, "_hash", found)
            return found

    @property
    def affinity(self) -> Affinity | None:
        """That of a column or CAST; None for every other expression."""
        return None

    @property
    def collation(self) -> str | None:
        """That of a column, or given by COLLATE; None: none."""
        return None

    @property
    def collated(self) -> bool:
        """Whether COLLATE gave the collation."""
        return False

    @property
    def parts(self) -> tuple[Term, ...]:
        """The terms that it is made of."""
        return ()


@dataclass(frozen=True, slots=True)
class Column(Term):
    """A column of a source. Sources have numbers of their own all over a query."""

    __hash__ = Term.__hash__

    source: int
    position: int
    given: Affinity | None
    order: str | None

    @property
    def affinity(self) -> Affinity | None:
        return self.given

    @property
    def collation(self) -> str | None:
        return self.order


@dataclass(frozen=True, slots=True)
class Constant(Term):
    """A value; `kind` is its type's name, as 1 and 1.0 are equal in Python."""

    __hash__ = Term.__hash__

    value: Any
    kind: str


@dataclass(frozen=True, slots=True)
class Parameter(Term):
    """A bound value, by its place among those of the execution."""

    __hash__ = Term.__hash__

    number: int
    name: str | None


@dataclass(frozen=True, slots=True)
class Op(Term):
    """An operator or function of the rule table, with what else it needs to know."""

    __hash__ = Term.__hash__

    name: str
    operands: tuple[Term, ...]
    given: Affinity | None = None
    order: str | None = None
    explicit: bool = False
    extra: Any = None

    @property
    def affinity(self) -> Affinity | None:
        return self.given

    @property
    def collation(self) -> str | None:
        return self.order

    @property
    def collated(self) -> bool:
        return self.explicit

    @property
    def parts(self) -> tuple[Term, ...]:
        return self.operands


@dataclass(frozen=True, slots=True)
class Aggregate(Term):
    """An aggregate function of the rows of a group. `condition`: FILTER; `ordering`: ORDER BY among its operands."""

    __hash__ = Term.__hash__

    name: str
    operands: tuple[Term, ...]
    distinct: bool = False
    condition: Term | None = None
    ordering: tuple[tuple[Term, bool, bool], ...] = ()

    @property
    def parts(self) -> tuple[Term, ...]:
        by = tuple(term for term, *_ in self.ordering)
        return (*self.operands, *by) if self.condition is None else (*self.operands, *by, self.condition)


@dataclass(frozen=True, slots=True)
class Window(Term):
    """A window function.

    partition, ordering  what its rows are divided and sorted by; of each term of the order: descending, NULLs first
    frame                (kind, start, end) as in tree.Frame; None: that of the order, or all rows without one
    """

    __hash__ = Term.__hash__

    name: str
    operands: tuple[Term, ...]
    partition: tuple[Term, ...]
    ordering: tuple[tuple[Term, bool, bool], ...]
    frame: tuple[str, int | None, int | None] | None
    condition: Term | None = None

    @property
    def parts(self) -> tuple[Term, ...]:
        by = tuple(term for term, *_ in self.ordering)
        condition = () if self.condition is None else (self.condition,)
        return (*self.operands, *self.partition, *by, *condition)


@dataclass(frozen=True, slots=True)
class Subquery(Term):
    """A query within an expression.

    kind     "exists", "in" (operand IN query), "scalar"
    operand  of IN; the comparison's affinity and collation follow from it and the query's column
    """

    __hash__ = Term.__hash__

    kind: str
    query: Query
    operand: Term | None = None
    given: Affinity | None = None
    order: str | None = None

    @property
    def affinity(self) -> Affinity | None:
        return self.given

    @property
    def collation(self) -> str | None:
        return self.order

    @property
    def parts(self) -> tuple[Term, ...]:
        return () if self.operand is None else (self.operand,)


def walk(term: Term) -> Iterator[Term]:
    """The term and all that it is made of; queries within are not entered."""
    yield term
    for part in term.parts:
        yield from walk(part)


def columns_of(term: Term) -> set[Column]:
    """The columns that a term needs, those that queries within take from outside included."""
    found: set[Column] = set()
    for part in walk(term):
        if isinstance(part, Column):
            found.add(part)
        elif isinstance(part, Subquery):
            found |= part.query.outer
    return found


def sources_of(term: Term) -> frozenset[int]:
    """The sources that a term needs."""
    return frozenset(column.source for column in columns_of(term))


def has(term: Term, kind: type[Term]) -> bool:
    """Whether there is such a term in it."""
    return any(isinstance(part, kind) for part in walk(term))


def conjuncts(term: Term | None) -> list[Term]:
    """The terms that AND joins; none where there is no term."""
    if term is None:
        return []
    if isinstance(term, Op) and term.name == "and":
        return [part for operand in term.operands for part in conjuncts(operand)]
    return [term]
