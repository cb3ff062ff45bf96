"""Fixtures of the store's tests: a connection with a store whose invariants are checked at the end."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import apsw
import pytest

from colonnade.store.check import check
from colonnade.store.database import Store

MEMORY_LIMIT = 64 * 1024 * 1024
Open = Callable[..., Store]


@pytest.fixture
def open_store(tmp_path: Path) -> Iterator[Open]:
    """Opens stores on files of the test's folder; whatever they hold at the end must be sound."""
    opened: list[Store] = []

    def open_one(name: str = "test.db") -> Store:
        store = Store(apsw.Connection(str(tmp_path / name)), memory_limit=MEMORY_LIMIT)
        store.db.execute("PRAGMA synchronous=OFF")  # no test pulls the plug
        opened.append(store)
        return store

    yield open_one
    for store in opened:
        if not getattr(store, "expect_damage", False):
            assert [str(finding) for finding in check(store)] == []
        store.db.close()


@pytest.fixture
def store(open_store: Open) -> Store:
    return open_store()
