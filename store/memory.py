"""The memory that values are decoded into."""

from __future__ import annotations

import os
from functools import cache

import pyarrow as pa

_ARROWS_OWN = "mimalloc"  # the default that nobody chose


@cache
def pool() -> pa.MemoryPool:
    """Arrow's pool for what scans decode and gather: jemalloc's, unless there is none or the program has chosen one.

    Arrow's default, mimalloc, asks for huge pages, which are cleared whole before the first byte is used, and which a
    virtual machine has to get back from its host: 100 MB, 64 KB at a time, took 254 to 278 ms, jemalloc's 50 to 70.
    """
    chosen = pa.default_memory_pool()
    if "ARROW_DEFAULT_MEMORY_POOL" not in os.environ and chosen.backend_name == _ARROWS_OWN:
        try:
            return pa.jemalloc_memory_pool()
        except NotImplementedError:  # not in every build of pyarrow
            pass
    return chosen
