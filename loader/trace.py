"""Who hears of spans: a trace file in Chrome's format, which Perfetto and speedscope open, and OpenTelemetry.

A trace file is a JSON array of events, one a line, as "Trace Event Format" describes them: `X` for a span with its
start and length in microseconds, `M` for the name of a thread. Events are written as spans end, so that the memory
taken is that of the open ones, and a file whose program was killed still opens: the `]` may be missing.
"""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Callable
from contextlib import suppress
from threading import Lock, current_thread, get_native_id
from time import perf_counter_ns
from types import TracebackType
from typing import Any, Self

from colonnade.store.spans import ASIDE, Figures, Spans

_ASIDE_TID = 1 << 30  # of no thread: spans that stand beside those of their thread have tracks of their own
_API = "opentelemetry.trace"


class TraceFile:
    """Writes the spans of one connection to a file, until it is closed. Any thread may finish a span."""

    def __init__(self, path: str | os.PathLike[str], spans: Spans, closed: Callable[[], None]) -> None:
        """Begins at once; `closed` is called at the end. Raises OSError for a file that cannot be written."""
        self.path, self._closed = os.fspath(path), closed
        self._spans, self._lock, self._pid = spans, Lock(), os.getpid()
        self._named: set[int] = set()
        self._aside: list[bool] = []  # which of the tracks aside is taken
        self._zero = perf_counter_ns()
        self._file = open(self.path, "w", encoding="utf-8")  # noqa: SIM115 - closed by `close`
        self._file.write("[")
        self._event({"name": "process_name", "ph": "M", "tid": 0, "args": {"name": "colonnade"}}, first=True)
        spans.add(self)

    def close(self) -> None:
        """The file is complete; spans that are still open are not in it."""
        self._spans.remove(self)
        with self._lock:
            if not self._file.closed:
                with suppress(OSError):
                    self._file.write("\n]\n")
                    self._file.close()
                self._closed()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def start(self, name: str, figures: Figures) -> tuple[int, int]:
        """The track of the span, and when it starts."""
        return self._take_track() if name in ASIDE else get_native_id(), perf_counter_ns()

    def finish(
        self, token: tuple[int, int], name: str, figures: Figures, error: BaseException | None
    ) -> None:
        tid, started = token
        ended = perf_counter_ns()
        shown = figures if error is None else figures | {"error": f"{type(error).__name__}: {error}"}
        event = {
            "name": name,
            "ph": "X",
            "ts": (started - self._zero) / 1000,
            "dur": (ended - started) / 1000,
            "tid": tid,
            "args": shown,
        }
        with self._lock:
            if self._file.closed:
                return
            if tid not in self._named:
                self._named.add(tid)
                self._event({"name": "thread_name", "ph": "M", "tid": tid, "args": {"name": _track(tid)}})
            self._event(event)
            if tid >= _ASIDE_TID:
                self._aside[tid - _ASIDE_TID] = False

    def _take_track(self) -> int:
        with self._lock:
            if False not in self._aside:
                self._aside.append(False)
            at = self._aside.index(False)
            self._aside[at] = True
            return _ASIDE_TID + at

    def _event(self, event: dict[str, Any], *, first: bool = False) -> None:
        with suppress(OSError):  # a full disk ends no load; the file opens up to there
            self._file.write(
                ("\n" if first else ",\n") + json.dumps({"pid": self._pid, **event}, default=str)
            )


def _track(tid: int) -> str:
    """The name of a track; of a thread, that of the one that runs."""
    if tid >= _ASIDE_TID:
        return f"open statement {tid - _ASIDE_TID + 1}"
    return current_thread().name


class Telemetry:
    """Hands spans to the tracer that the program has given to OpenTelemetry."""

    def __init__(self, api: Any) -> None:
        self._api = api
        self._tracer = api.get_tracer("colonnade")
        import opentelemetry.context

        self._context: Any = opentelemetry.context

    def start(self, name: str, figures: Figures) -> tuple[Any, Any]:
        kind = self._api.SpanKind.CLIENT if name == "query" else self._api.SpanKind.INTERNAL
        span = self._tracer.start_span(f"colonnade.{name}", kind=kind)
        if name in ASIDE:
            return span, None
        return span, self._context.attach(self._api.set_span_in_context(span))

    def finish(
        self, token: tuple[Any, Any], name: str, figures: Figures, error: BaseException | None
    ) -> None:
        span, attached = token
        if attached is not None:
            self._context.detach(attached)
        if span.is_recording():
            if name == "query":
                span.set_attribute("db.system.name", "sqlite")
                span.set_attribute("db.query.text", figures.get("text", ""))
            for figure, value in figures.items():
                if value is not None and figure != "text":
                    span.set_attribute(f"colonnade.{figure}", value)
            if error is not None:
                span.record_exception(error)
                span.set_status(self._api.Status(self._api.StatusCode.ERROR, str(error)))
        span.end()


def telemetry() -> Telemetry | None:
    """OpenTelemetry, if the program uses it: it has imported the API and named a provider of tracers. Else None.

    A program that has not cannot be listening, so that the API is never imported here.
    """
    api = sys.modules.get(_API)
    if api is None or isinstance(
        api.get_tracer_provider(), (api.ProxyTracerProvider, api.NoOpTracerProvider)
    ):
        return None
    return Telemetry(api)
