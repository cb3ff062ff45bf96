"""The pool of scans is jemalloc's where that is there and the program has not chosen another."""

from __future__ import annotations

import os
import subprocess
import sys
from contextlib import suppress

import pyarrow as pa
import pytest

SHOW = "from colonnade.store.memory import pool; print(pool().backend_name)"


def backends() -> set[str]:
    found = set()
    for name in ("jemalloc", "mimalloc", "system"):
        with suppress(NotImplementedError):
            found.add(getattr(pa, f"{name}_memory_pool")().backend_name)
    return found


def shown(code: str, **environment: str) -> str:
    kept = {name: value for name, value in os.environ.items() if name != "ARROW_DEFAULT_MEMORY_POOL"}
    command = [sys.executable, "-c", code]
    return subprocess.run(
        command, env=kept | environment, capture_output=True, check=True, text=True
    ).stdout.strip()


@pytest.mark.skipif(
    not {"jemalloc", "mimalloc"} <= backends(), reason="pyarrow is built without one of the pools"
)
@pytest.mark.parametrize(
    ("before", "environment", "expected"),
    [
        ("", {}, "jemalloc"),
        ("", {"ARROW_DEFAULT_MEMORY_POOL": "mimalloc"}, "mimalloc"),
        ("", {"ARROW_DEFAULT_MEMORY_POOL": "system"}, "system"),
        ("import pyarrow as pa; pa.set_memory_pool(pa.system_memory_pool()); ", {}, "system"),
    ],
)
def test_the_pool_is_the_programs_choice_or_jemalloc(
    before: str, environment: dict[str, str], expected: str
) -> None:
    assert shown(before + SHOW, **environment) == expected
