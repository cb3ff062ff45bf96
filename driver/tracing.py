"""Spans of a connection: who is told of them, and those of the program's statements and of their rows."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from time import perf_counter_ns
from typing import TYPE_CHECKING, Any

from colonnade.base import Base
from colonnade.store.spans import Span, Spans

if TYPE_CHECKING:
    from colonnade.cursor import Cursor
    from colonnade.loader.trace import TraceFile

_TEXT = 2000  # characters of a statement that are shown


def spans() -> Spans:
    """The spans of a new connection: OpenTelemetry's, if the program has given it a provider of tracers."""
    made = Spans()
    if "opentelemetry.trace" in sys.modules:
        from colonnade.loader.trace import telemetry

        sink = telemetry()
        if sink is not None:
            made.add(sink)
    return made


class Tracing(Base):
    """The mixin of Connection for traces."""

    def trace_to(self, path: str | os.PathLike[str]) -> TraceFile:
        """Write what the connection does from now on, and how long, to a file that Perfetto and speedscope open.

        The trace ends with the `with` block that the result opens, at its `close()`, or with the connection. The file
        has the texts of statements, shortened, and no values of their parameters.
        Raises OSError for a file that cannot be written
        """
        from colonnade.loader.trace import TraceFile

        self._check_open()
        trace = TraceFile(path, self._session.spans, self._session.hear_anew)
        self._session.hear_anew()
        return trace

    def _end_traces(self) -> None:
        for sink in self._session.spans.sinks:
            end = getattr(sink, "close", None)
            if end is not None:
                end()


@contextmanager
def statement(spans: Spans, cursor: Cursor, text: str) -> Iterator[None]:
    """A span for a statement, and one for the reading of its rows."""
    with spans("query", text=text[:_TEXT]) as span:
        yield
        if cursor._batches is not None:
            span.note(path="vectorised")
        if cursor.rowcount >= 0:
            span.note(rows=cursor.rowcount)
    if cursor._rows is not None and not isinstance(cursor._rows, Fetched):
        cursor._rows = Fetched(cursor._rows, spans("fetch", text=text[:_TEXT]))


class Fetched:
    """The rows of a statement with a span from the first to the last, or until nobody wants more of them.

    The span's `seconds` are those in which rows were made; the rest is the program's own.
    """

    __slots__ = ("_busy_ns", "_count", "_rows", "_span")

    def __init__(self, rows: Iterator[Any], span: Span) -> None:
        self._rows, self._count, self._busy_ns = rows, 0, 0
        self._span: Span | None = span.__enter__()

    def __iter__(self) -> Fetched:
        return self

    def __next__(self) -> Any:
        started = perf_counter_ns()
        try:
            row = next(self._rows)
        except BaseException as error:
            self._busy_ns += perf_counter_ns() - started
            self._end(None if isinstance(error, StopIteration) else error)
            raise
        self._busy_ns += perf_counter_ns() - started
        self._count += 1
        return row

    def _end(self, error: BaseException | None = None) -> None:
        span, self._span = self._span, None
        if span is not None:
            span.note(rows=self._count, seconds=self._busy_ns / 1e9)
            span.__exit__(None if error is None else type(error), error, None)

    def __del__(self) -> None:
        self._end()
