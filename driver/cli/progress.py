"""Progress of a load: bars on a terminal, plain lines elsewhere, silence where nobody wants to know."""

from __future__ import annotations

import sys
import time
from types import TracebackType
from typing import Protocol


class LoadProgress(Protocol):
    """What the load tells whoever watches it; see loader.load.Observer."""

    def __enter__(self) -> LoadProgress: ...

    def __exit__(
        self,
        kind: type[BaseException] | None,
        value: BaseException | None,
        trace: TracebackType | None,
        /,
    ) -> None: ...

    def table_started(self, table: str, input_bytes: int | None) -> None: ...

    def advanced(self, table: str, rows: int, input_bytes: int) -> None: ...

    def phase(self, table: str, phase: str) -> None: ...

    def table_finished(self, table: str, rows: int) -> None: ...


class LineProgress:
    """One plain line when a table is done, for logs and pipes."""

    def __init__(self) -> None:
        self._started: dict[str, float] = {}

    def __enter__(self) -> LineProgress:
        return self

    def __exit__(self, *exc: object) -> None:
        pass

    def table_started(self, table: str, input_bytes: int | None) -> None:
        self._started[table] = time.perf_counter()

    def advanced(self, table: str, rows: int, input_bytes: int) -> None:
        pass

    def phase(self, table: str, phase: str) -> None:
        pass

    def table_finished(self, table: str, rows: int) -> None:
        seconds = max(time.perf_counter() - self._started[table], 1e-6)
        print(f"{table}: {rows:,} rows in {seconds:.2f} s", file=sys.stderr)


class NoProgress(LineProgress):
    """Silence, for --json and --quiet."""

    def table_finished(self, table: str, rows: int) -> None:
        pass


def progress_for(*, quiet: bool) -> LoadProgress:
    """Bars on a terminal, lines elsewhere, nothing if `quiet`; always on standard error."""
    if quiet:
        return NoProgress()
    if not sys.stderr.isatty():
        return LineProgress()
    # Here, as rich takes a while to import and nothing else of a load needs it.
    from colonnade.cli.bars import BarProgress

    return BarProgress()
