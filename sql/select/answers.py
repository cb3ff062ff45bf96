"""The way into vectorised SELECT: a text and its parameters in, columns out."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from colonnade.sql.objects import Schema
from colonnade.sql.select.vector import NotVectorizable, Vector
from colonnade.store.database import Store

__all__ = ["Answer", "Context", "NotVectorizable", "answer"]


@dataclass(frozen=True, slots=True)
class Context:
    """What a query is answered in.

    store     of the connection
    schemas   the tables of each schema by its name, in the order in which SQLite looks names up (temp, main, …)
    checkpoint  called at least every 50 ms from the connection's thread; raises to stop the query
    """

    store: Store
    schemas: Mapping[str, Schema]
    checkpoint: Any


@dataclass(frozen=True, slots=True)
class Answer:
    """The rows of a query.

    width    how many columns each row has
    batches  in order, each with `width` vectors of one length. What is read from them is the table as it was when
             `answer` returned. The first batch may raise NotVectorizable; no later one does
    """

    width: int
    batches: Iterator[tuple[Vector, ...]]


def answer(context: Context, text: str, parameters: Sequence[Any] | Mapping[str, Any]) -> Answer:
    """Answers a SELECT (or WITH … SELECT, VALUES) over tables of which at least one is in column format.

    Names and declared types of the columns are not told: SQLite knows them from preparing the text.
    Raises NotVectorizable: SQLite has to answer it. Nothing was changed.
    """
    raise NotVectorizable("not built yet")
