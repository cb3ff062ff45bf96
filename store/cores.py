"""How many threads work at a time, from the processors that this process may use."""

from __future__ import annotations

import os


def cores() -> int:
    """Processors that this process may use: for work that seldom holds the GIL."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def query_threads() -> int:
    """Threads for the parts of a query, which hold the GIL for a third of their time: half of the processors.

    The 22 queries of TPC-H on two processors, seconds cold and hot: two threads that decode and two that group 4.43 and
    1.57, with 5.63 and 1.96 of CPU; none of either 3.68 and 1.33.
    """
    return max(1, cores() // 2)
