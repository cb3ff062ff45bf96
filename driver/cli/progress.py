"""Progress of a load on the terminal: rich bars there, plain lines elsewhere."""

from __future__ import annotations

import sys
import time
from types import TracebackType
from typing import Protocol

from rich.console import Console
from rich.progress import (
    BarColumn,
    Progress,
    TaskID,
    TaskProgressColumn,
    TextColumn,
    TimeElapsedColumn,
)


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


class BarProgress:
    """One bar a table with rows/s and MB/s."""

    def __init__(self, console: Console) -> None:
        self._progress = Progress(
            TextColumn("{task.description:<12}", markup=False),
            BarColumn(),
            TaskProgressColumn(),
            TextColumn("{task.fields[figures]}"),
            TimeElapsedColumn(),
            console=console,
            refresh_per_second=4,
        )
        self._tasks: dict[str, TaskID] = {}
        self._rows: dict[str, int] = {}
        self._started: dict[str, float] = {}

    def __enter__(self) -> BarProgress:
        self._progress.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        value: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._progress.stop()

    def table_started(self, table: str, input_bytes: int | None) -> None:
        self._tasks[table] = self._progress.add_task(table, total=input_bytes, figures="")
        self._rows[table], self._started[table] = 0, time.perf_counter()

    def advanced(self, table: str, rows: int, input_bytes: int) -> None:
        self._rows[table] += rows
        task = self._progress.tasks[self._tasks[table]]
        seconds = max(time.perf_counter() - self._started[table], 1e-6)
        megabytes = (task.completed + input_bytes) / 1e6
        figures = (
            f"{self._rows[table]:>11,} rows {self._rows[table] / seconds:>11,.0f} rows/s "
            f"{megabytes / seconds:>5.0f} MB/s"
        )
        self._progress.update(self._tasks[table], advance=input_bytes, figures=figures)

    def phase(self, table: str, phase: str) -> None:
        self._progress.update(self._tasks[table], description=f"{table} ({phase})")

    def table_finished(self, table: str, rows: int) -> None:
        task = self._progress.tasks[self._tasks[table]]
        total = task.total if task.total is not None else 1
        self._progress.update(self._tasks[table], description=table, total=total, completed=total)


class LineProgress:
    """One plain line when a table is done, for logs and pipes."""

    def __init__(self, console: Console) -> None:
        self._console = console
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
        self._console.print(f"{table}: {rows:,} rows in {seconds:.2f} s", highlight=False)


class NoProgress(LineProgress):
    """Silence, for --json and --quiet."""

    def table_finished(self, table: str, rows: int) -> None:
        pass


def progress_for(*, quiet: bool) -> LoadProgress:
    """Bars on a terminal, lines elsewhere, nothing if `quiet`; always on standard error."""
    console = Console(stderr=True, markup=False)
    if quiet:
        return NoProgress(console)
    return BarProgress(console) if sys.stderr.isatty() else LineProgress(console)
