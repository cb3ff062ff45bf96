"""The timeline of a load: how many rows are stored, and how much memory the process has, as time goes by."""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from threading import Event, Thread
from types import TracebackType
from typing import Self

_FIRST_S = 0.02  # seconds between samples, doubled whenever there are
_MOST = 400  # of them: then every other one is dropped


@dataclass(frozen=True, slots=True)
class Sample:
    """One look: seconds since the start, rows stored until then, bytes in RAM (0: the system does not tell)."""

    seconds: float
    rows: int
    rss_bytes: int


class Timeline:
    """Samples taken by a thread of its own from entering to leaving; a few µs each, a few hundred at most."""

    def __init__(self, rows: Callable[[], int]) -> None:
        """rows: how many are stored; asked in the thread"""
        self.samples: list[Sample] = []
        self._rows, self._started, self._every_s = rows, time.perf_counter(), _FIRST_S
        self._over = Event()
        self._thread = Thread(target=self._run, name="colonnade-timeline", daemon=True)

    def __enter__(self) -> Self:
        self._sample()
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._over.set()
        self._thread.join()
        self._sample()

    def _run(self) -> None:
        while not self._over.wait(self._every_s):
            self._sample()
            if len(self.samples) >= _MOST:
                del self.samples[1::2]
                self._every_s *= 2

    def _sample(self) -> None:
        self.samples.append(Sample(time.perf_counter() - self._started, self._rows(), rss_bytes()))


def rss_bytes() -> int:
    """The memory that this process has in RAM now; 0 where the system does not tell."""
    with suppress(OSError, ValueError, IndexError), open("/proc/self/statm", "rb") as file:
        return int(file.read().split()[1]) * os.sysconf("SC_PAGE_SIZE")
    return 0
