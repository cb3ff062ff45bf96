"""Progress of a load on a terminal: one bar a table."""

from __future__ import annotations

import time
from types import TracebackType

from rich.console import Console
from rich.progress import BarColumn, Progress, TaskID, TaskProgressColumn, TextColumn, TimeElapsedColumn


class BarProgress:
    """One bar a table with rows/s and MB/s."""

    def __init__(self) -> None:
        self._progress = Progress(
            TextColumn("{task.description:<12}", markup=False),
            BarColumn(),
            TaskProgressColumn(),
            TextColumn("{task.fields[figures]}"),
            TimeElapsedColumn(),
            console=Console(stderr=True, markup=False),
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
