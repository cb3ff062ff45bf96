"""Bound queries: sources, conditions, groups and results of each SELECT, ready to be planned."""

from __future__ import annotations

from dataclasses import dataclass, field

from colonnade.sql.affinity import Affinity
from colonnade.sql.objects import TableDef
from colonnade.sql.select.terms import Column, Term


@dataclass(frozen=True, slots=True)
class Field:
    """A column that a source has."""

    name: str
    affinity: Affinity | None
    collation: str | None


@dataclass(eq=False, slots=True)
class Source:
    """A table or subquery in FROM.

    number  its own all over the query
    alias   by which columns are qualified
    fields  its columns
    table   what it reads; else `query`
    kind    how it is joined to the sources before it: "inner", "left", and of two sources also "right" or "full"
    on      what joins it; of an inner join these count as conditions of the block
    hidden  positions that * and unqualified names leave out, as USING joined them
    """

    number: int
    alias: str
    fields: list[Field]
    table: TableDef | None = None
    query: Query | None = None
    kind: str = "inner"
    on: list[Term] = field(default_factory=list)
    hidden: set[int] = field(default_factory=set)


@dataclass(frozen=True, slots=True)
class Order:
    """A term of ORDER BY, bound."""

    term: Term
    descending: bool
    nulls_first: bool


@dataclass(eq=False, slots=True)
class Block:
    """One SELECT … FROM … WHERE … GROUP BY … HAVING, or VALUES: then `rows`.

    grouped  there are groups, or aggregates over all rows
    """

    sources: list[Source] = field(default_factory=list)
    where: list[Term] = field(default_factory=list)
    grouped: bool = False
    groups: list[Term] = field(default_factory=list)
    having: list[Term] = field(default_factory=list)
    items: list[Term] = field(default_factory=list)
    names: list[str] = field(default_factory=list)
    distinct: bool = False
    rows: list[list[Term]] = field(default_factory=list)

    @property
    def is_plain(self) -> bool:
        """Whether each of its results is made of one row of FROM and WHERE."""
        return not (self.rows or self.grouped or self.distinct)


@dataclass(eq=False, slots=True)
class Query:
    """A SELECT: blocks joined by operators.

    ordering  terms over the sources of the one block, or, of several blocks, columns of source `number`
    outer     columns of enclosing queries that it needs
    number    the source number that stands for its own results
    """

    number: int
    blocks: list[Block] = field(default_factory=list)
    operators: tuple[str, ...] = ()
    ordering: list[Order] = field(default_factory=list)
    limit: Term | None = None
    offset: Term | None = None
    outer: set[Column] = field(default_factory=set)

    @property
    def fields(self) -> list[Field]:
        """Its result columns."""
        first = self.blocks[0]
        terms = first.items or (first.rows[0] if first.rows else [])
        return [
            Field(name, term.affinity, term.collation) for name, term in zip(first.names, terms, strict=True)
        ]


def is_settled(query: Query) -> bool:
    """Whether the order in which SQLite gives the rows is known, those included that are equal in ORDER BY.

    It is that of the only table, of the groups or of the result of UNION, INTERSECT or EXCEPT; that of a join depends
    on which loop SQLite makes the outer one.
    """
    sorts = any(operator != "UNION ALL" for operator in query.operators[-1:])
    return sorts or all(map(block_is_settled, query.blocks))


def block_is_settled(block: Block) -> bool:
    """The same of the results of a block."""
    return block.grouped or rows_are_settled(block)


def rows_are_settled(block: Block) -> bool:
    """The same of its rows before they are grouped."""
    if not block.sources:
        return True
    inner = block.sources[0].query
    return len(block.sources) == 1 and (inner is None or is_settled(inner))
