"""Subqueries in expressions: as semi-joins, anti-joins and look-ups by the columns that they take from outside.

A query without columns from outside is run once. One with such columns is run once too, without the equalities
that tie it to a row outside, and then its rows are found by these keys:

    EXISTS, IN      the rows outside whose key is among the keys inside
    a lone aggregate  the rows inside grouped by their keys, the group of each row outside looked up

Anything else is SQLite's.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from colonnade.sql.select.aggregate import empty_value
from colonnade.sql.select.bindterm import comparison_collation, conversions
from colonnade.sql.select.block import BlockRun, Limits
from colonnade.sql.select.express import evaluate, full, passing
from colonnade.sql.select.keys import found_among, matches
from colonnade.sql.select.query import Block
from colonnade.sql.select.reading import key_filter
from colonnade.sql.select.relation import Relation, gathered
from colonnade.sql.select.rules.compare import compare
from colonnade.sql.select.rules.conditional import choose
from colonnade.sql.select.terms import (
    Aggregate,
    Column,
    Op,
    Subquery,
    Term,
    columns_of,
    has,
    sources_of,
    walk,
)
from colonnade.sql.select.vector import BoolArray, NotVectorizable, Vector, constant, constant_of, truth
from colonnade.store.values import Kind

if TYPE_CHECKING:
    from colonnade.sql.select.run import Run


@dataclass(frozen=True, slots=True)
class Tied:
    """A block without what ties it to rows outside.

    inner  the block that can be run by itself
    ties   (term inside, term outside) that are equal, with the collation
    rest   other conditions on both
    """

    inner: Block
    ties: list[tuple[Term, Term, str]]
    rest: list[Term]


class Subqueries:
    """Those of one execution."""

    def __init__(self, run: Run) -> None:
        self._run, self._values = run, run.values

    # --- conditions ----------------------------------------------------------------------------------------

    def condition(self, term: Term, relation: Relation) -> Relation:
        """The rows of a relation for which a condition is true."""
        negated, inner = _negation(term)
        mask: BoolArray | None
        if isinstance(inner, Subquery) and inner.kind in ("exists", "in"):
            mask = self._membership(inner, relation, negated)
        else:
            self.prepare(term, relation)
            mask = passing(term, relation, self._values)
        if mask is None:
            return relation
        return relation.filter(mask)

    def prepare(self, term: Term, relation: Relation) -> None:
        """Evaluates the subqueries in a term, so that it can be evaluated for the relation."""
        for part in walk(term):
            if not isinstance(part, Subquery) or part in relation.known:
                continue
            if part.kind == "scalar":
                relation.known[part] = self._scalar(part, relation)
            elif part.kind == "exists":
                relation.known[part] = truth(pa.array(self._exists(part, relation)))
            else:
                relation.known[part] = self._in_value(part, relation)

    def _membership(self, term: Subquery, relation: Relation, negated: bool) -> BoolArray:
        if term.kind == "exists":
            found = self._exists(term, relation)
            return ~found if negated else found
        if not negated and term.query.outer:
            return self._exists(self._in_as_exists(term), relation)
        value = self._in_value(term, relation)
        data = pc.invert(value.data) if negated else value.data
        return np.asarray(data.fill_null(False).to_numpy(zero_copy_only=False), bool)

    @staticmethod
    def _in_as_exists(term: Subquery) -> Subquery:
        """x IN (SELECT y …) is true where EXISTS (SELECT … AND x = y) is."""
        assert term.operand is not None
        block = _lone_block(term)
        if block.grouped or term.query.limit is not None:
            raise NotVectorizable("IN of groups with columns from outside")
        item = block.items[0]
        rule = (*conversions(term.operand.affinity, item.affinity), comparison_collation(term.operand, item))
        tie = Op("=", (term.operand, item), extra=rule)
        query = replace(term.query, blocks=[replace(block, where=[*block.where, tie])])
        query.outer = term.query.outer | columns_of(term.operand)
        return Subquery("exists", query)

    def _in_value(self, term: Subquery, relation: Relation) -> Vector:
        """x IN (SELECT y …): NULL where x is, or where a y is NULL and none equal; false of no rows."""
        if term.query.outer:
            raise NotVectorizable("IN with columns from outside")
        assert term.operand is not None
        (inside,) = self._run.vectors_of(term.query)
        outside = full(term.operand, relation, self._values)
        known = term.query.fields[0]
        collation = term.operand.collation or known.collation or "BINARY"
        if not len(inside):
            return truth(pa.array(np.zeros(relation.count, bool)))
        rules = conversions(term.operand.affinity, known.affinity)
        compare(
            "=", outside.slice(0, 0), inside.slice(0, 0), (*rules, "BINARY"), 0
        )  # no values are converted
        found = pa.array(found_among([outside], [inside], [collation]))
        unknown = outside.kind is Kind.NULL or inside.kind is Kind.NULL or bool(inside.data.null_count)
        if unknown:
            return truth(pc.if_else(found, True, pa.scalar(None, pa.bool_())))
        if outside.data.null_count:
            return truth(pc.if_else(outside.data.is_valid(), found, pa.scalar(None, pa.bool_())))
        return truth(found)

    # --- EXISTS --------------------------------------------------------------------------------------------

    def _exists(self, term: Subquery, relation: Relation) -> BoolArray:
        if not term.query.outer:
            rows = self._run.vectors_of(term.query)
            return np.full(relation.count, bool(len(rows[0])))
        block = _lone_block(term)
        if block.grouped or term.query.limit is not None or term.query.offset is not None:
            raise NotVectorizable("EXISTS of groups, or with LIMIT")
        tied = self._tied(block, relation)
        wanted = [*(tie[0] for tie in tied.ties), *tied.rest]
        inside = BlockRun(self._run, tied.inner, wanted, self._limits(tied, relation)).relation()
        if not tied.rest:
            return found_among(*self._keys(tied, relation, inside))
        mine, theirs = matches(*self._keys(tied, relation, inside)).pairs()
        for condition in tied.rest:
            pairs = relation.joined(inside, mine, theirs)
            mask = passing(condition, pairs, self._values)
            if mask is not None:
                mine, theirs = mine[mask], theirs[mask]
        mask = np.zeros(relation.count, bool)
        mask[mine] = True
        return mask

    def _tied(self, block: Block, relation: Relation) -> Tied:
        numbers = {source.number for source in block.sources}
        tied = Tied(replace(block, where=[]), [], [])
        for source in block.sources:
            if any(not sources_of(term) <= numbers for term in source.on):
                raise NotVectorizable("ON with columns from outside")
        for term in block.where:
            sources = sources_of(term)
            if sources <= numbers:
                tied.inner.where.append(term)
                continue
            if has(term, Subquery) or not sources - numbers <= set(relation.parts):
                raise NotVectorizable("a subquery in a condition on columns from outside")
            tie = _tie(term, numbers)
            if tie is not None:
                tied.ties.append(tie)
            else:
                tied.rest.append(term)
        if not tied.ties:
            raise NotVectorizable("a subquery tied by no equality")
        return tied

    def _limits(self, tied: Tied, relation: Relation) -> Limits:
        """The keys that rows outside have: rows inside with others are of no use."""
        limits = Limits()
        for inside, outside, collation in tied.ties:
            if isinstance(inside, Column) and collation == "BINARY":
                found = key_filter(inside, full(outside, relation, self._values))
                if found is not None:
                    limits.keys.append(found)
        return limits

    def _keys(
        self, tied: Tied, relation: Relation, inside: Relation
    ) -> tuple[list[Vector], list[Vector], list[str]]:
        """The keys of rows outside and inside, and their collations."""
        lefts = [full(outer, relation, self._values) for _, outer, _ in tied.ties]
        rights = [full(inner, inside, self._values) for inner, _, _ in tied.ties]
        return lefts, rights, [collation for *_, collation in tied.ties]

    # --- values --------------------------------------------------------------------------------------------

    def _scalar(self, term: Subquery, relation: Relation) -> Vector:
        if not term.query.outer:
            (vector,) = self._run.vectors_of(term.query)
            if len(vector) > 1 and term.query.limit is None:
                raise NotVectorizable("a subquery of several rows as a value")
            return constant_of(vector.slice(0, 1)) if len(vector) else constant(None)
        block = _lone_block(term)
        plain = not block.groups and not block.having and not block.distinct
        if not block.grouped or not plain or term.query.limit is not None or term.query.ordering:
            raise NotVectorizable("a subquery that is no lone aggregate, with columns from outside")
        item = block.items[0]
        numbers = {source.number for source in block.sources}
        if not sources_of(item) <= numbers:
            raise NotVectorizable("a subquery whose value needs columns from outside")
        tied = self._tied(block, relation)
        if tied.rest:
            raise NotVectorizable("an aggregate over rows that no equality finds")
        keys = [inner for inner, *_ in tied.ties]
        by_key = replace(tied.inner, groups=keys)
        groups = BlockRun(self._run, by_key, [item, *keys], self._limits(tied, relation)).groups([item])
        value = full(item, groups, self._values)
        found = matches(*self._keys(tied, relation, groups))
        places = np.where(found.found, found.starts, -1)
        known = gathered(value, places)
        if found.found.all():
            return known
        return choose(pa.array(found.found), known, self._of_nothing(item), relation.count)

    def _of_nothing(self, item: Term) -> Vector:
        """The value of an aggregate's expression over no rows."""
        aggregates = [part for part in walk(item) if isinstance(part, Aggregate)]
        nothing = Relation(1, {}, {aggregate: empty_value(aggregate) for aggregate in aggregates})
        return constant_of(evaluate(item, nothing, self._values))


def _negation(term: Term) -> tuple[bool, Term]:
    negated = False
    while isinstance(term, Op) and term.name == "not":
        negated, term = not negated, term.operands[0]
    return negated, term


def _lone_block(term: Subquery) -> Block:
    if len(term.query.blocks) != 1 or term.query.blocks[0].rows:
        raise NotVectorizable("a compound SELECT with columns from outside")
    return term.query.blocks[0]


def _tie(term: Term, numbers: set[int]) -> tuple[Term, Term, str] | None:
    """(inside, outside, collation) of an equality of one with the other."""
    if not isinstance(term, Op) or term.name != "=":
        return None
    for inside, outside in (term.operands, tuple(reversed(term.operands))):
        if sources_of(inside) and sources_of(inside) <= numbers and not sources_of(outside) & numbers:
            return inside, outside, term.extra[2]
    return None
