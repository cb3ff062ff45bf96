"""The conditions of a block by what becomes of them: scans, joins, and what waits."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from colonnade.sql.select.query import Block
from colonnade.sql.select.terms import Op, Subquery, Term, conjuncts, has, sources_of, walk
from colonnade.sql.select.vector import NotVectorizable


@dataclass(frozen=True, slots=True)
class Edge:
    """left = right, of one source each."""

    left: Term
    right: Term
    left_source: int
    right_source: int
    collation: str

    def other(self, number: int) -> int | None:
        """The source at the other end; None if this one is at neither."""
        if number == self.left_source:
            return self.right_source
        return self.left_source if number == self.right_source else None

    def side(self, number: int) -> Term:
        return self.left if number == self.left_source else self.right

    def side_but(self, number: int) -> Term:
        return self.right if number == self.left_source else self.left


@dataclass(eq=False, slots=True)
class Conditions:
    """inner        sources that are joined first
    single       by source: conditions on it alone
    edges        equalities between inner sources
    constants    conditions without a column
    memberships  by source: column IN (a query of its own), which rules out rows of the scan; also in `subqueries`
    waiting      conditions on several sources
    subqueries   conditions with subqueries
    late         conditions wait until all sources are joined: a RIGHT or FULL JOIN
    left         of each source of an outer join: its own conditions, equalities with those before it, the others
    """

    inner: list[int] = field(default_factory=list)
    single: dict[int, list[Term]] = field(default_factory=dict)
    edges: list[Edge] = field(default_factory=list)
    constants: list[Term] = field(default_factory=list)
    memberships: dict[int, list[Subquery]] = field(default_factory=dict)
    waiting: list[Term] = field(default_factory=list)
    subqueries: list[Term] = field(default_factory=list)
    late: bool = False
    left: dict[int, tuple[list[Term], list[Edge], list[Term]]] = field(default_factory=dict)

    def later(self) -> list[Term]:
        """What is looked at after the sources were read: not the conditions that their scans apply."""
        edges = [*self.edges, *(edge for _, joining, _ in self.left.values() for edge in joining)]
        rest = [term for _, _, others in self.left.values() for term in others]
        return [
            *(side for edge in edges for side in (edge.left, edge.right)),
            *self.waiting,
            *self.subqueries,
            *rest,
        ]


def sort_conditions(block: Block) -> Conditions:
    """Raises NotVectorizable for joins that are not known here."""
    found = Conditions()
    everything = {source.number for source in block.sources}
    lefts = {source.number for source in block.sources if source.kind != "inner"}
    found.inner = [number for number in (s.number for s in block.sources) if number not in lefts]
    if any(source.kind in ("right", "full") for source in block.sources):
        found.late = True
        lefts = everything  # rows of either side may have no partner: conditions wait until they are joined
    for term in _with_implied(block.where):
        sources = sources_of(term) & everything
        if has(term, Subquery):
            found.subqueries.append(term)
            _note_membership(term, found, lefts)
        elif not sources:
            found.constants.append(term)
        elif sources & lefts:
            found.waiting.append(term)
        elif len(sources) == 1:
            found.single.setdefault(next(iter(sources)), []).append(term)
        elif (edge := edge_of(term)) is not None:
            found.edges.append(edge)
        else:
            found.waiting.append(term)
    _sort_outer_joins(block, found)
    return found


def _sort_outer_joins(block: Block, found: Conditions) -> None:
    before: set[int] = set()
    lefts = {source.number for source in block.sources if source.kind != "inner"}
    for source in block.sources:
        if source.number not in lefts:
            if before & lefts:
                _refuse_dependent(block, source.number, lefts)
            before.add(source.number)
            continue
        own: list[Term] = []
        edges: list[Edge] = []
        rest: list[Term] = []
        for term in source.on:
            sources = sources_of(term)
            if has(term, Subquery) or not sources <= before | {source.number}:
                raise NotVectorizable("ON with a subquery, or with sources that come later")
            edge = edge_of(term)
            if sources == {source.number} and source.kind == "left":
                own.append(term)
            elif edge is not None and source.number in (edge.left_source, edge.right_source):
                edges.append(edge)
            else:
                rest.append(term)
        found.left[source.number] = own, edges, rest
        before.add(source.number)


def _refuse_dependent(block: Block, number: int, lefts: set[int]) -> None:
    """An inner source behind a LEFT JOIN is joined before it: only if nothing joins the two."""
    for term in block.where:
        sources = sources_of(term)
        if number in sources and sources & lefts:
            raise NotVectorizable("a join with the result of a LEFT JOIN")


def edge_of(term: Term) -> Edge | None:
    """The term as an equality between two sources."""
    if not isinstance(term, Op) or term.name != "=":
        return None
    left, right = term.operands
    one, other = sources_of(left), sources_of(right)
    if len(one) != 1 or len(other) != 1 or one == other or has(term, Subquery):
        return None
    return Edge(left, right, next(iter(one)), next(iter(other)), term.extra[2])


def _note_membership(term: Term, found: Conditions, lefts: set[int]) -> None:
    if not isinstance(term, Subquery) or term.kind != "in" or term.query.outer:
        return
    assert term.operand is not None
    sources = sources_of(term.operand)
    if len(sources) == 1 and not sources & lefts and not has(term.operand, Subquery):
        found.memberships.setdefault(next(iter(sources)), []).append(term)


# --- what OR implies -------------------------------------------------------------------------------------------


def _with_implied(terms: Sequence[Term]) -> list[Term]:
    """The conditions, and those that follow from the branches of an OR.

    From (a AND b) OR (a AND c) follows a; and from conditions on one source in every branch follows that one of them
    holds. What follows rules out rows early; the OR itself stays.
    """
    found = list(terms)
    for term in terms:
        branches = _branches(term)
        if len(branches) < 2 or has(term, Subquery):
            continue
        parts = [conjuncts(branch) for branch in branches]
        common = [part for part in parts[0] if all(part in others for others in parts[1:])]
        found += [part for part in common if part not in found]
        if len(sources_of(term)) > 1:
            found += _implied(parts, common)
    return found


def _branches(term: Term) -> list[Term]:
    if isinstance(term, Op) and term.name == "or":
        return [branch for operand in term.operands for branch in _branches(operand)]
    return [term]


def _implied(parts: Sequence[Sequence[Term]], common: Sequence[Term]) -> Iterable[Term]:
    sources = {number for branch in parts for part in branch for number in sources_of(part)}
    for number in sorted(sources):
        own = [[p for p in branch if sources_of(p) == {number} and p not in common] for branch in parts]
        if all(own):
            yield _any_of([_all_of(branch) for branch in own])


def _all_of(terms: Sequence[Term]) -> Term:
    found = terms[0]
    for term in terms[1:]:
        found = Op("and", (found, term))
    return found


def _any_of(terms: Sequence[Term]) -> Term:
    found = terms[0]
    for term in terms[1:]:
        found = Op("or", (found, term))
    return found


def replaced(term: Term, found: Term, by: Term) -> Term:
    """The term with `by` in the place of `found`."""
    if term == found:
        return by
    if isinstance(term, Op) and any(part == found for part in walk(term)):
        operands = tuple(replaced(part, found, by) for part in term.operands)
        return Op(term.name, operands, term.given, term.order, term.explicit, term.extra)
    return term
