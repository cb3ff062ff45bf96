"""One execution of a bound query: blocks, operators between them, order and limit."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Sequence

import numpy as np
import pyarrow as pa

from colonnade.sql.objects import TableDef
from colonnade.sql.select.block import BlockRun, Limits
from colonnade.sql.select.express import Values, evaluate, full
from colonnade.sql.select.keys import Groups, grouped
from colonnade.sql.select.order import Keys, keys_in_order, keys_of, sorted_places
from colonnade.sql.select.query import Block, Query, Source, is_settled
from colonnade.sql.select.reading import KeyFilter, Reader, is_column_table, key_filter
from colonnade.sql.select.relation import Frame, Relation
from colonnade.sql.select.subquery import Subqueries
from colonnade.sql.select.terms import Column, Subquery, Term, Window, has
from colonnade.sql.select.top import top_rows
from colonnade.sql.select.vector import NotVectorizable, Vector, concat, spread
from colonnade.sql.tokens import quote
from colonnade.store.database import Store
from colonnade.store.values import IntArray, Kind

# Rows that wait to be joined, sorted or given out may take so many times the memory limit; SQLite needs less.
_KEPT_LIMITS = 4


class Run:
    """What the parts of an execution share.

    checkpoint  to be called now and then; raises to stop the query
    """

    def __init__(
        self, store: Store, values: Values, checkpoint: Callable[[], None], tables: Sequence[TableDef]
    ) -> None:
        """tables: one for each place of the query that reads it"""
        self.store, self.values, self.checkpoint = store, values, checkpoint
        self.subqueries = Subqueries(self)
        self._frames: dict[int, Frame] = {}
        self._counts: dict[str, int] = {}
        self._read = Counter((table.schema, table.name) for table in tables)
        self._room = _KEPT_LIMITS * store.memory_limit

    def charge(self, size: int) -> None:
        """So many bytes of rows are kept. Raises NotVectorizable where that is more than a query may take."""
        self._room -= size
        if self._room < 0:
            raise NotVectorizable("more rows than may be kept in memory")

    def reader(
        self, source: Source, wanted: Sequence[Column], filters: Sequence[Term], keys: Sequence[KeyFilter]
    ) -> Reader:
        """What reads a source that is a table: columns `wanted` of the rows that pass the others."""
        assert source.table is not None
        again = self._read[source.table.schema, source.table.name] > 1
        return Reader(self.store, source, wanted, filters, keys, self.values, self.checkpoint, again)

    # --- what is asked more than once ----------------------------------------------------------------------

    def frame_of(self, query: Query) -> Frame:
        """The rows of a subquery in FROM, or of one by itself; computed once."""
        found = self._frames.get(id(query))
        if found is None:
            vectors = self.query(query)
            count = len(vectors[0])
            found = self._frames[id(query)] = Frame(count, dict(enumerate(vectors)), count)
        return found

    def vectors_of(self, query: Query) -> list[Vector]:
        return list(self.frame_of(query).vectors.values())

    def members(self, term: Subquery) -> KeyFilter | None:
        """What a condition `column IN (a query of its own)` says of the column's values."""
        if not isinstance(term.operand, Column):
            return None
        (inside,) = self.vectors_of(term.query)
        known = term.query.fields[0]
        if (term.operand.collation or known.collation or "BINARY") != "BINARY":
            return None
        return key_filter(term.operand, inside)

    def row_count(self, source: Source) -> int:
        """About how many rows a table has."""
        assert source.table is not None
        name, schema = source.table.name, source.table.schema
        key = f"{schema}.{name}"
        if key not in self._counts:
            table = self.store.table(name, schema)
            if table is not None:
                self._counts[key] = table.estimated_rows()
            elif source.table.without_rowid:
                self._counts[key] = 1000
            else:
                text = f"SELECT max(rowid) FROM {quote(schema)}.{quote(name)}"
                if any(column.name.lower() == "rowid" for column in source.table.columns):
                    text = "SELECT 1000"
                self._counts[key] = max(1, self.store.db.execute(text).get or 0)
        return self._counts[key]

    # --- a whole SELECT ------------------------------------------------------------------------------------

    def straight(self, query: Query) -> Iterator[tuple[Vector, ...]] | None:
        """The rows of `SELECT columns FROM table`, as they are read; None for any other query."""
        block = query.blocks[0]
        if len(query.blocks) > 1 or query.ordering or query.limit is not None or query.offset is not None:
            return None
        if not block.is_plain or block.where or len(block.sources) != 1:
            return None
        items = [item for item in block.items if isinstance(item, Column)]
        if len(items) < len(block.items) or block.sources[0].table is None:
            return None
        columns = list(dict.fromkeys(items))
        rows = self.reader(block.sources[0], columns, (), ()).straight()
        if rows is None:
            return None
        return (tuple(batch.vectors[item] for item in items) for batch in rows)

    def streamed(self, query: Query) -> Iterator[tuple[Vector, ...]] | None:
        """The rows of `SELECT expressions FROM table WHERE …`, as they are read; None for any other query.

        A later batch may raise NotVectorizable. The table is in column format: what is written to it meanwhile is
        not seen.
        """
        block = query.blocks[0]
        if len(query.blocks) > 1 or query.ordering or query.limit is not None or query.offset is not None:
            return None
        if not block.is_plain or not is_column_table(self.store, block.sources):
            return None
        if any(has(item, Subquery) or has(item, Window) for item in block.items):
            return None
        rows = BlockRun(self, block, block.items).streamed()
        if rows is None:
            return None
        return (
            tuple(spread(evaluate(item, batch, self.values), batch.count) for item in block.items)
            for batch in rows
        )

    def query(self, query: Query, *, settled: bool = False) -> list[Vector]:
        """The result columns, in the order of the rows.

        settled  SQLite's order is asked for, whatever it is: NotVectorizable where that is not known
        """
        self.checkpoint()
        if settled and not query.ordering and not is_settled(query):
            raise NotVectorizable("the rows of a join in no order")
        if len(query.blocks) == 1:
            return self._single(query, settled=settled)
        vectors = self._block(query.blocks[0])
        for operator, block in zip(query.operators, query.blocks[1:], strict=True):
            if operator != "UNION ALL":
                _refuse_collations(query)
            vectors = _combined(operator, vectors, self._block(block))
        count = len(vectors[0])
        rows = Relation(count, {}, {})
        for place, known in enumerate(query.fields):
            rows.known[Column(query.number, place, known.affinity, known.collation)] = vectors[place]
        by = [full(order.term, rows, self.values) for order in query.ordering]
        keys = keys_in_order(by, query.ordering)
        places = sorted_places(keys) if keys else None
        if settled and not is_settled(query):
            _refuse_equals(keys, places)
        return self._cut(query, vectors, places, keys)

    def _block(self, block: Block, limits: Limits | None = None) -> list[Vector]:
        if block.rows:
            return self._values_rows(block)
        runner = BlockRun(self, block, block.items, limits)
        rows = runner.groups(block.items) if block.grouped else runner.relation()
        vectors = runner.results(block.items, runner.ordered(block.items, rows))
        if block.distinct:
            vectors = [vector.take(pa.array(_firsts(block, vectors))) for vector in vectors]
        return vectors

    def _values_rows(self, block: Block) -> list[Vector]:
        rows = Relation(1, {})
        cells = [[spread(evaluate(term, rows, self.values), 1) for term in row] for row in block.rows]
        return [concat(list(column)) for column in zip(*cells, strict=True)]

    def _single(self, query: Query, *, settled: bool) -> list[Vector]:
        block = query.blocks[0]
        first, last = self._places(query)
        found = None if last is None else top_rows(self, query, first, last)
        limits = None if found is None else Limits([found])
        if not query.ordering:
            vectors = self._block(block, limits)
            return self._cut(query, vectors, None, []) if limits is None else vectors
        terms = [order.term for order in query.ordering]
        runner = BlockRun(self, block, [*block.items, *terms], limits)
        rows = runner.groups([*block.items, *terms]) if block.grouped else runner.relation()
        rows = runner.ordered([*block.items, *terms], rows)
        vectors, by = runner.results(block.items, rows), runner.results(terms, rows)
        if block.distinct:
            firsts = pa.array(_firsts(block, vectors))
            vectors, by = ([v.take(firsts) for v in some] for some in (vectors, by))
        keys = keys_in_order(by, query.ordering)
        places = sorted_places(keys)
        if settled and not is_settled(query):
            _refuse_equals(keys, places)
        return self._cut(query, vectors, places, keys)

    def _cut(self, query: Query, vectors: list[Vector], places: IntArray | None, keys: Keys) -> list[Vector]:
        """The rows in their order, from OFFSET on, as many as LIMIT lets through."""
        count = len(vectors[0])
        first, end = self._places(query)
        last = count if end is None else min(count, end)
        first = min(first, last)
        if (first > 0 or last < count) and not is_settled(query):
            if places is None:
                raise NotVectorizable("LIMIT of a join without an order")
            for place in (first, last):
                if 0 < place < count and all(key[places[place - 1]] == key[places[place]] for key in keys):
                    raise NotVectorizable("LIMIT between rows that are equal in the order")
        if places is None or (places[1:] > places[:-1]).all():  # then they are where they belong
            return [v.slice(first, last - first) for v in vectors] if (first, last) != (0, count) else vectors
        chosen = pa.array(places[first:last])
        return [vector.take(chosen) for vector in vectors]

    def _places(self, query: Query) -> tuple[int, int | None]:
        """From which place to which LIMIT and OFFSET let rows through; None: to the end."""
        first = max(0, self._integer(query.offset, 0))
        limit = self._integer(query.limit, -1)
        return first, None if limit < 0 else first + limit

    def _integer(self, term: Term | None, default: int) -> int:
        if term is None:
            return default
        vector = evaluate(term, Relation(1, {}), self.values)
        value = vector.value() if vector.constant else None
        if vector.kind is not Kind.INTEGER or not isinstance(value, int):
            raise NotVectorizable("LIMIT that is no integer")
        return value


def _refuse_equals(keys: Keys, places: IntArray | None) -> None:
    """Of rows that are equal in the order nobody knows which comes first."""
    if places is not None and len(places) > 1:
        same = np.ones(len(places) - 1, bool)
        for key in keys:
            same &= key[places[1:]] == key[places[:-1]]
        if same.any():
            raise NotVectorizable("the rows of a join that are equal in the order")


def _firsts(block: Block, vectors: Sequence[Vector]) -> IntArray:
    if any((item.collation or "BINARY") != "BINARY" for item in block.items):
        raise NotVectorizable("DISTINCT with a collation")
    return np.sort(grouped(vectors, len(vectors[0])).firsts)


def _refuse_collations(query: Query) -> None:
    for block in query.blocks:
        for item in (*block.items, *(cell for row in block.rows for cell in row)):
            if (item.collation or "BINARY") != "BINARY":
                raise NotVectorizable("a compound SELECT with a collation")


def _refuse_twins(vectors: Sequence[Vector], groups: Groups) -> None:
    """Of equal numbers that are not the same, 1 and 1.0 or 0.0 and -0.0, SQLite shows now the first, now the last."""
    for vector in vectors:
        if vector.kind not in (Kind.REAL, Kind.NUMERIC):
            continue
        data = vector.data.fill_null(0.0).to_numpy()
        marks = [np.signbit(data)]
        if not vector.stored and vector.kind is Kind.NUMERIC:
            marks.append(vector.whole.to_numpy(zero_copy_only=False))
        if any(map(groups.mixed, marks)):
            raise NotVectorizable("equal numbers of several classes in a compound SELECT")


def _combined(operator: str, left: list[Vector], right: list[Vector]) -> list[Vector]:
    both = [concat([one, other]) for one, other in zip(left, right, strict=True)]
    if operator == "UNION ALL":
        return both
    count, mine = len(both[0]), len(left[0])
    groups = grouped(both, count)
    _refuse_twins(both, groups)
    if operator == "UNION":
        chosen = groups.firsts
    else:
        in_right = np.zeros(groups.count, bool)
        in_right[groups.numbers[mine:]] = True
        in_left = np.zeros(groups.count, bool)
        in_left[groups.numbers[:mine]] = True
        wanted = in_left & (in_right if operator == "INTERSECT" else ~in_right)
        chosen = groups.firsts[wanted]
    found = [vector.take(pa.array(chosen)) for vector in both]
    keys: Keys = [key for vector in found for key in keys_of(vector, "BINARY", False, True)]
    places = pa.array(sorted_places(keys))
    return [vector.take(places) for vector in found]
