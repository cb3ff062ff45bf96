"""The way into vectorised SELECT: a text and its parameters in, columns out."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from colonnade.sql.objects import Schema, fold
from colonnade.sql.select import tree
from colonnade.sql.select.bind import Binder
from colonnade.sql.select.express import Values
from colonnade.sql.select.loops import Loops, order_by_loops
from colonnade.sql.select.parse import parse_select
from colonnade.sql.select.query import Query
from colonnade.sql.select.rules.asked import Ask
from colonnade.sql.select.run import Run
from colonnade.sql.select.vector import NotVectorizable, Vector
from colonnade.sql.tokens import Kind, quote, tokens
from colonnade.store.database import Store

__all__ = ["Answer", "Context", "NotVectorizable", "answer", "answer_to_write"]

_BATCH_ROWS = 65_536
_OWN_FUNCTIONS = frozenset({"changes", "total_changes"})


@dataclass(frozen=True, slots=True)
class Context:
    """What a query is answered in.

    store     of the connection
    schemas   the tables of each schema by its name, in the order in which SQLite looks names up (temp, main, …)
    checkpoint  called at least every 50 ms from the connection's thread; raises to stop the query
    """

    store: Store
    schemas: Mapping[str, Schema]
    checkpoint: Callable[[], None]


@dataclass(frozen=True, slots=True)
class Answer:
    """The rows of a query.

    width    how many columns each row has
    batches  in order, each with `width` vectors of one length. What is read from them is the table as it was when
             `answer` returned. The first batch may raise NotVectorizable; no later one does
    """

    width: int
    batches: Iterator[tuple[Vector, ...]]

    def close(self) -> None:
        """No more batches are wanted: scans end, and hold no table any more."""
        close = getattr(self.batches, "close", None)
        if close is not None:
            close()


def answer(context: Context, text: str, parameters: Sequence[Any] | Mapping[str, Any]) -> Answer:
    """Answers a SELECT (or WITH … SELECT, VALUES) over tables of which at least one is in column format.

    Names and declared types of the columns are not told: SQLite knows them from preparing the text.
    Raises NotVectorizable: SQLite has to answer it. Nothing was changed.
    """
    with _not_too_deep():
        run, query = _bound(context, text, parameters)
        straight = run.straight(query)
        if straight is not None:
            return Answer(len(query.blocks[0].items), straight)
        vectors = run.query(query)
        return Answer(len(vectors), _batches(vectors))


def answer_to_write(
    context: Context, text: str, parameters: Sequence[Any] | Mapping[str, Any], loops: Loops | None
) -> Answer:
    """The same for a statement that writes what the query gives, and can be undone: any batch may raise
    NotVectorizable.

    loops  where the rows are to come in the order in which SQLite gives them: what it does for a join; None: in any
    """
    with _not_too_deep():
        run, query = _bound(context, text, parameters)
        streamed = run.straight(query) or run.streamed(query)
        if streamed is not None:
            return Answer(len(query.blocks[0].items), _each(streamed))
        if loops is not None:
            order_by_loops(query, loops)
        vectors = run.query(query, settled=loops is not None)
        return Answer(len(vectors), _batches(vectors))


@contextmanager
def _not_too_deep() -> Iterator[None]:
    """SQLite takes expressions 1,000 operators deep, of which Python has too many calls for each."""
    try:
        yield
    except RecursionError:
        raise NotVectorizable("an expression of that depth") from None


def _each(batches: Iterator[tuple[Vector, ...]]) -> Iterator[tuple[Vector, ...]]:
    with _not_too_deep():
        yield from batches


def _bound(context: Context, text: str, parameters: Sequence[Any] | Mapping[str, Any]) -> tuple[Run, Query]:
    """A query with its names bound, ready to be run. Raises NotVectorizable."""
    db = context.store.db
    binder = Binder(context.schemas, lambda schema, name: _view(db, schema, name))
    query = binder.query(parsed(text))
    if not any(table.is_column for table in binder.tables):
        raise NotVectorizable("no table in column format")
    if binder.functions:
        own = {name for (name,) in db.execute("SELECT name FROM pragma_function_list WHERE NOT builtin")}
        if own & (binder.functions - _OWN_FUNCTIONS):
            raise NotVectorizable("a function of the program's own")
    return Run(context.store, Values(parameters, Ask(db)), context.checkpoint, binder.tables), query


@lru_cache(maxsize=512)
def parsed(text: str) -> tree.Select:
    """The tree of a text. Raises NotVectorizable."""
    with _not_too_deep():
        return parse_select(text)


def _batches(vectors: Sequence[Vector]) -> Iterator[tuple[Vector, ...]]:
    count = len(vectors[0])
    for start in range(0, count, _BATCH_ROWS):
        yield tuple(vector.slice(start, min(_BATCH_ROWS, count - start)) for vector in vectors)


def _view(db: Any, schema: str, name: str) -> tuple[tuple[str, ...], tree.Select] | None:
    """The column names that a view gives, and its SELECT."""
    found = db.execute(
        f"SELECT sql FROM {quote(schema)}.sqlite_schema WHERE type = 'view' AND lower(name) = ?",
        (fold(name),),
    ).get
    if not isinstance(found, str):
        return None
    names: list[str] = []
    seen = list(tokens(found))
    place = next(n for n, token in enumerate(seen) if token.key == "VIEW")
    start = next((n for n in range(place, len(seen)) if seen[n].key in ("AS", "(")), None)
    if start is None:
        return None
    if seen[start].key == "(":
        stop = next(n for n in range(start, len(seen)) if seen[n].key == ")")
        names = [token.name for token in seen[start:stop] if token.is_name]
        start = stop + 1
    if seen[start].key != "AS" or seen[start + 1].kind is Kind.END:
        return None
    return tuple(names), parsed(found[seen[start].stop :])
