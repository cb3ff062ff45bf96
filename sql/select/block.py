"""One SELECT is executed: sources are read and joined, then grouped, computed, ordered and cut.

1. Conditions on one source go down to its scan, equalities between two become joins, all others wait (`conditions`).
2. Small sources are read first; the keys that they have left rule out rows of the sources that they are joined with.
3. Sources are joined by equal keys, from the largest on, so that each row of it is matched with the others.
4. Conditions that wait are applied as soon as their sources are there; subqueries come last.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np

from colonnade.sql.select.aggregate import Grouping, Partial, bare_columns
from colonnade.sql.select.bindterm import CONCATENATIONS
from colonnade.sql.select.conditions import Conditions, Edge, sort_conditions
from colonnade.sql.select.express import BatchRows, evaluate, fold, full, passing
from colonnade.sql.select.keys import Matches, matches
from colonnade.sql.select.outer import outer_join
from colonnade.sql.select.pool import in_order
from colonnade.sql.select.query import Block, Source, block_is_settled, rows_are_settled
from colonnade.sql.select.reading import KeyFilter, gathered_up, key_filter
from colonnade.sql.select.relation import Frame, Relation
from colonnade.sql.select.rules.asked import AskedElsewhere
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
from colonnade.sql.select.vector import NotVectorizable, Vector, nulls, spread
from colonnade.sql.select.window import windowed
from colonnade.store.values import IntArray

if TYPE_CHECKING:
    from colonnade.sql.select.run import Run

_MOST_PAIRS = 20_000_000  # rows of a product without a key
_WORTH = 0.9  # of its rows a source must have lost for its keys to rule out others
_PARTIALS = 1 << 18  # groups of batches that wait to be merged


@dataclass(eq=False, slots=True)
class Limits:
    """What an enclosing query knows of the rows that it can use: keys of columns."""

    keys: list[KeyFilter] = field(default_factory=list)


class BlockRun:
    """The execution of one block. `outer`: conditions of a subquery that need columns from outside are not in it."""

    def __init__(self, run: Run, block: Block, wanted: Sequence[Term], limits: Limits | None = None) -> None:
        self._run, self._block, self._values = run, block, run.values
        self._limits = limits or Limits()
        self._sources = {source.number: source for source in block.sources}
        terms = [
            *block.where,
            *(t for s in block.sources for t in s.on),
            *block.groups,
            *block.having,
            *wanted,
        ]
        for term in terms:
            fold(term, self._values)
        self._conditions: Conditions = sort_conditions(block)
        self._needed: dict[int, list[Column]] = {number: [] for number in self._sources}
        later = [*self._conditions.later(), *block.groups, *block.having, *wanted]
        for column in dict.fromkeys(c for term in later for c in sorted(columns_of(term), key=str)):
            if column.source in self._needed:
                self._needed[column.source].append(column)

    # --- rows before groups --------------------------------------------------------------------------------

    def relation(self) -> Relation:
        """The rows of FROM and WHERE."""
        if not self._block.sources:
            return self._where(Relation(1, {}), [])
        if not self._constants_hold():
            return self._nothing()
        relation, waiting = self._join_inner(self._read_inner())
        for source in self._block.sources:
            if source.kind != "inner":
                relation, waiting = self._join_outer(relation, source, waiting)
        return self._where(relation, waiting)

    def _constants_hold(self) -> bool:
        rows = Relation(1, {})
        for term in self._conditions.constants:
            mask = passing(term, rows, self._values)
            if mask is not None and not mask.all():
                return False
        return True

    def _nothing(self) -> Relation:
        relation = Relation(0, {})
        for number, columns in self._needed.items():
            vectors = {column.position: nulls(0) for column in columns}
            relation.parts[number] = Relation.of(number, Frame(0, vectors, 0)).parts[number]
        return relation

    def _read_inner(self) -> dict[int, Frame]:
        frames: dict[int, Frame] = {}
        left = list(self._conditions.inner)
        while left:
            number = min(left, key=lambda each: self._estimate(each, frames))
            left.remove(number)
            frames[number] = self._read(number, frames)
        return frames

    def _estimate(self, number: int, frames: dict[int, Frame]) -> float:
        """About how many rows a source will give: after its own conditions and the keys of those that were read."""
        source = self._sources[number]
        if source.query is not None:
            return 0.0
        rows = float(self._run.row_count(source))
        for term in self._conditions.single.get(number, ()):
            rows *= 0.1 if isinstance(term, Op) and term.name in ("=", "in", "like") else 0.4
        for edge in self._conditions.edges:
            other = edge.other(number)
            if other is not None and other in frames:
                rows *= frames[other].count / max(1, frames[other].whole)
        return rows

    def _read(self, number: int, frames: dict[int, Frame]) -> Frame:
        """A source, without the rows that keys of other sources rule out."""
        source, filters = self._sources[number], self._conditions.single.get(number, [])
        keys = [limit for limit in self._limits.keys if limit.column.source == number]
        for edge in self._conditions.edges:
            found = self._keys_along(edge, number, frames)
            if found is not None:
                keys.append(found)
        for subquery in self._conditions.memberships.get(number, []):
            found = self._run.members(subquery)
            if found is not None:
                keys.append(found)
        self._run.checkpoint()
        return self._frame(source, filters, keys)

    def _keys_along(self, edge: Edge, number: int, frames: dict[int, Frame]) -> KeyFilter | None:
        other = edge.other(number)
        if other is None or other not in frames or edge.collation != "BINARY":
            return None
        mine, theirs = edge.side(number), edge.side(other)
        frame = frames[other]
        if not isinstance(mine, Column) or frame.count >= _WORTH * frame.whole:
            return None
        return key_filter(mine, full(theirs, Relation.of(other, frame), self._values))

    def _frame(self, source: Source, filters: Sequence[Term], keys: Sequence[KeyFilter]) -> Frame:
        needed = self._needed[source.number]
        if source.query is None:
            reader = self._run.reader(source, needed, filters, keys)
            return reader.frame(self._run.row_count(source), self._run.charge)
        frame = self._run.frame_of(source.query)
        relation = Relation.of(source.number, frame)
        mask = np.ones(frame.count, bool)
        for term in filters:
            found = passing(term, relation, self._values)
            mask = mask if found is None else mask & found
        return frame if mask.all() else frame.filter(mask)

    # --- joins ---------------------------------------------------------------------------------------------

    def _join_inner(self, frames: dict[int, Frame]) -> tuple[Relation, list[Term]]:
        waiting = list(self._conditions.waiting)
        left = dict(frames)
        first = max(left, key=lambda number: left[number].count)
        relation = Relation.of(first, left.pop(first))
        joined, edges = {first}, list(self._conditions.edges)
        while left:
            number = self._next(relation, left, edges)
            here = [edge for edge in edges if edge.other(number) in joined]
            edges = [edge for edge in edges if edge not in here]
            relation = self._join(relation, number, left.pop(number), here)
            joined.add(number)
            relation, waiting = self._apply(relation, joined, waiting)
            self._run.checkpoint()
        return (relation, waiting) if self._conditions.late else self._apply(relation, joined, waiting)

    def _next(self, relation: Relation, left: dict[int, Frame], edges: Sequence[Edge]) -> int:
        """The source to join next: one that matches each row once, else the one with the fewest pairs."""
        near = {n: [e for e in edges if e.other(n) in relation.parts] for n in left}
        once = [n for n, here in near.items() if here and self._is_unique(n, here)]
        if once:
            return min(once, key=lambda number: left[number].count)
        tied = [n for n, here in near.items() if here]
        if len(tied) > 1:
            return min(tied, key=lambda n: self._pairs(relation, n, left[n], near[n]))
        return tied[0] if tied else min(left, key=lambda number: left[number].count)

    def _is_unique(self, number: int, edges: Sequence[Edge]) -> bool:
        """Whether equality with these edges finds one row of the source at most."""
        table = self._sources[number].table
        columns = {term.position for edge in edges if isinstance(term := edge.side(number), Column)}
        keys = () if table is None else table.keys
        return any({table.column_position(name) for name in key.columns} <= columns for key in keys if table)

    def _pairs(self, relation: Relation, number: int, frame: Frame, edges: Sequence[Edge]) -> int:
        return int(self._matches(relation, Relation.of(number, frame), number, edges).counts.sum())

    def _join(self, relation: Relation, number: int, frame: Frame, edges: Sequence[Edge]) -> Relation:
        other = Relation.of(number, frame)
        if not edges:
            if relation.count * frame.count > _MOST_PAIRS:
                raise NotVectorizable("a product of so many rows")
            mine = np.repeat(np.arange(relation.count), frame.count)
            return relation.joined(other, mine, np.tile(np.arange(frame.count), relation.count))
        found = self._matches(relation, other, number, edges)
        if int(found.counts.sum()) > 10 * _MOST_PAIRS:
            raise NotVectorizable("a join of so many rows")
        if found.unique and found.counts.all():
            return relation.widened(other, found.starts)
        return relation.joined(other, *found.pairs())

    def _matches(self, relation: Relation, other: Relation, number: int, edges: Sequence[Edge]) -> Matches:
        lefts = [full(edge.side_but(number), relation, self._values) for edge in edges]
        rights = [full(edge.side(number), other, self._values) for edge in edges]
        return matches(lefts, rights, [edge.collation for edge in edges])

    def _apply(
        self, relation: Relation, joined: set[int], waiting: list[Term]
    ) -> tuple[Relation, list[Term]]:
        """Conditions whose sources are all there, but for those with subqueries."""
        later = []
        for term in waiting:
            if has(term, Subquery) or not sources_of(term) <= joined:
                later.append(term)
                continue
            mask = passing(term, relation, self._values)
            if mask is not None:
                relation = relation.filter(mask)
        return relation, later

    def _join_outer(
        self, relation: Relation, source: Source, waiting: list[Term]
    ) -> tuple[Relation, list[Term]]:
        """LEFT, RIGHT or FULL JOIN of a source with those before it."""
        own, edges, rest = self._conditions.left[source.number]
        keys = []
        for edge in edges:
            mine, theirs = edge.side(source.number), edge.side_but(source.number)
            if isinstance(mine, Column) and edge.collation == "BINARY" and source.kind == "left":
                found = key_filter(mine, full(theirs, relation, self._values))
                if found is not None:
                    keys.append(found)
        other = Relation.of(source.number, self._frame(source, own, keys))

        def pairs() -> tuple[IntArray, IntArray]:
            if edges:
                return self._matches(relation, other, source.number, edges).pairs()
            if relation.count * other.count > _MOST_PAIRS:
                raise NotVectorizable("a product of so many rows")
            mine = np.repeat(np.arange(relation.count), other.count)
            return mine, np.tile(np.arange(other.count), relation.count)

        joined = outer_join(relation, other, source.kind, pairs, rest, self._values)
        return self._apply(joined, set(joined.parts), waiting)

    def _where(self, relation: Relation, waiting: Sequence[Term]) -> Relation:
        """The conditions that are left: those with subqueries."""
        for term in (*waiting, *self._conditions.subqueries):
            relation = self._run.subqueries.condition(term, relation)
        return relation

    # --- groups --------------------------------------------------------------------------------------------

    def groups(self, results: Sequence[Term]) -> Relation:
        """The groups, and what their terms need."""
        block = self._block
        terms = [*results, *block.having]
        aggregates = list(dict.fromkeys(p for t in terms for p in walk(t) if isinstance(p, Aggregate)))
        extra = self._determined(bare_columns(terms, block.groups))
        for term in block.groups:
            if (term.collation or "BINARY") != "BINARY":
                raise NotVectorizable("GROUP BY with a collation")
            if has(term, Subquery):
                raise NotVectorizable("GROUP BY a subquery")
        if not rows_are_settled(block) and any(a.name in CONCATENATIONS for a in aggregates):
            raise NotVectorizable("the texts of a join in its order")
        grouping = Grouping(block.groups, aggregates, extra, self._followers())
        relation = grouping.result(self._partials(grouping))
        for term in block.having:
            relation = self._run.subqueries.condition(term, relation)
        return relation

    def _partials(self, grouping: Grouping) -> list[Partial]:
        if grouping.streams and self._reads_one_table():
            try:
                return self._merged(grouping, in_order)
            except AskedElsewhere:
                return self._merged(grouping, map)
        relation = self.relation()
        return [grouping.partial(relation, self._values)] if relation.count else []

    def _merged(self, grouping: Grouping, mapped: Callable[..., Iterable[Partial]]) -> list[Partial]:
        """The groups of a lone table, batch by batch."""
        merged: list[Partial] = []
        waiting: list[Partial] = []
        count = 0
        rows = gathered_up(self._streamed())
        for partial in mapped(lambda batch: grouping.partial(batch, self._values), rows):
            waiting.append(partial)
            count += partial.count
            # As many new groups as old ones each time: so each is merged a logarithm of times.
            if count > max(_PARTIALS, sum(part.count for part in merged)):
                merged = [grouping.merged([*merged, *waiting])]
                waiting, count = [], 0
        return [*merged, *waiting]

    def _reads_one_table(self) -> bool:
        """Whether the rows are those that one table gives, and nothing more is to be done with them."""
        conditions = self._conditions
        if len(self._block.sources) != 1 or self._block.sources[0].query is not None:
            return False
        return not (conditions.waiting or conditions.subqueries) and self._constants_hold()

    def streamed(self) -> Generator[BatchRows, None, None] | None:
        """The rows of FROM and WHERE as they are read, if they are those of one table; else None."""
        return gathered_up(self._streamed()) if self._reads_one_table() else None

    def _streamed(self) -> Iterator[BatchRows]:
        """The rows of a lone table as they are read."""
        conditions, number = self._conditions, self._block.sources[0].number
        keys = [limit for limit in self._limits.keys if limit.column.source == number]
        filters = conditions.single.get(number, [])
        return self._run.reader(self._block.sources[0], self._needed[number], filters, keys).batches()

    def _determined(self, columns: set[Column]) -> list[Column]:
        """Columns without an aggregate that have one value in each group. Raises NotVectorizable for others."""
        for column in columns:
            source = self._sources.get(column.source)
            if source is None:
                continue  # from outside
            table = source.table
            alias = None if table is None else table.rowid_alias
            if table is None or alias is None:
                raise NotVectorizable("a column that is no group's")
            position = table.column_position(alias)
            if not any(
                isinstance(g, Column) and (g.source, g.position) == (column.source, position)
                for g in self._block.groups
            ):
                raise NotVectorizable("a column that is no group's")
        return [column for column in columns if column.source in self._sources]

    def _followers(self) -> set[Term]:
        """Columns among the groups that are the same in rows in which a key of their source is, itself a group."""
        columns = [term for term in self._block.groups if isinstance(term, Column)]
        found: set[Term] = set()
        for number in {column.source for column in columns} & self._sources.keys():
            table = self._sources[number].table
            own = {column.position: column for column in columns if column.source == number}
            if table is None:
                continue
            for key in table.keys:
                places = [table.column_position(name) for name in key.columns]
                certain = key.is_rowid or all(table.columns[place].not_null for place in places)
                if certain and own.keys() >= set(places):
                    found |= {column for place, column in own.items() if place not in places}
                    break
        return found

    def ordered(self, terms: Sequence[Term], rows: Relation) -> Relation:
        """The rows in the order of the window that terms are computed over, if there is one."""
        return windowed(terms, rows, self._values, settled=block_is_settled(self._block))

    def results(self, terms: Sequence[Term], rows: Relation) -> list[Vector]:
        """The values of result terms for all rows."""
        for term in terms:
            if has(term, Subquery):
                self._run.subqueries.prepare(term, rows)
        return [spread(evaluate(term, rows, self._values), rows.count) for term in terms]
