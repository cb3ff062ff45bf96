"""Spans: where the time of a connection goes, told to whoever listens; with nobody listening, next to nothing is done.

    with spans("append", table="orders") as span:
        ...
        span.note(rows=1000)

What a span is for is decided above: a sink is given each span as it starts and as it ends, and writes it to a file
or hands it to OpenTelemetry (loader.trace). The names are those of phases: query and fetch (a statement, and
the reading of its rows), load, read, parse, encode, append, probe, validate, freeze, merge, thaw, commit.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from types import TracebackType
from typing import Any, Protocol, TypeVar

Item = TypeVar("Item")
Figures = dict[str, Any]  # str, int, float or bool each
ASIDE = frozenset({"fetch"})  # spans that may overlap those of the thread that they are of


class Sink(Protocol):
    """Hears of spans, in the thread that each is of. None of it may raise."""

    def start(self, name: str, figures: Figures) -> Any:
        """A span starts; returns what `finish` needs."""
        ...

    def finish(self, token: Any, name: str, figures: Figures, error: BaseException | None) -> None:
        """It ends, by `error` if that is one. `figures` has grown by what became known within."""
        ...


class Span:
    """One span, open while its block runs."""

    __slots__ = ("_figures", "_name", "_open", "_sinks")

    def __init__(self, sinks: tuple[Sink, ...], name: str, figures: Figures) -> None:
        self._sinks, self._name, self._figures = sinks, name, figures
        self._open: list[tuple[Sink, Any]] = []

    def note(self, **figures: Any) -> None:
        """What is known of it by now."""
        self._figures.update(figures)

    def __enter__(self) -> Span:
        self._open = [(sink, sink.start(self._name, self._figures)) for sink in self._sinks]
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for sink, token in reversed(self._open):
            sink.finish(token, self._name, self._figures, error)


class _Nobody(Span):
    """Stands for every span that nobody hears of."""

    __slots__ = ()

    def note(self, **figures: Any) -> None:
        pass

    def __enter__(self) -> Span:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        pass


_NOBODY = _Nobody((), "", {})


class Spans:
    """The spans of one connection, from whatever thread works for it."""

    __slots__ = ("sinks",)

    def __init__(self) -> None:
        self.sinks: tuple[Sink, ...] = ()

    @property
    def heard(self) -> bool:
        """Whether anybody listens: for places where even a span that nobody hears of would cost too much."""
        return bool(self.sinks)

    def __call__(self, name: str, **figures: Any) -> Span:
        """A span to be opened by `with`; figures should cost nothing to name."""
        return Span(self.sinks, name, figures) if self.sinks else _NOBODY

    def add(self, sink: Sink) -> None:
        self.sinks = (*self.sinks, sink)

    def remove(self, sink: Sink) -> None:
        """Spans that are open go on to it."""
        self.sinks = tuple(other for other in self.sinks if other is not sink)

    def each(self, name: str, items: Iterable[Item], **figures: Any) -> Iterator[Item]:
        """`items`, with a span around the making of each; the last is that of finding that there are no more."""
        source = iter(items)
        while True:
            with self(name, **figures):
                try:
                    item = next(source)
                except StopIteration:
                    return
            yield item
