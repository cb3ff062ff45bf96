"""Counters of phases and pages, against what a VFS sees SQLite write."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import apsw
import numpy as np
import pytest

from colonnade.store.counters import PhaseCounters
from colonnade.store.database import Store

NUMBERS = "WITH RECURSIVE n(value) AS (SELECT 1 UNION ALL SELECT value + 1 FROM n LIMIT {})"
PAGE = 4096


class WatchedFile(apsw.VFSFile):
    def __init__(self, name: Any, flags: list[int], pages: list[int]) -> None:
        super().__init__("", name, flags)
        self._pages = pages if flags[0] & apsw.SQLITE_OPEN_MAIN_DB else []

    def xWrite(self, data: bytes, offset: int) -> None:  # noqa: N802 - SQLite's name
        self._pages.extend(range(offset // PAGE, (offset + len(data)) // PAGE))
        super().xWrite(data, offset)


class WatchedDisk(apsw.VFS):
    """Remembers the number of each page that is written to a database file, in order."""

    def __init__(self) -> None:
        self.written: list[int] = []
        super().__init__("watched", "")

    def xOpen(self, name: Any, flags: list[int]) -> WatchedFile:  # noqa: N802 - SQLite's name
        return WatchedFile(name, flags, self.written)


@pytest.fixture
def disk() -> Iterator[WatchedDisk]:
    disk = WatchedDisk()
    yield disk
    disk.unregister()


def test_pages_written_added_and_rewritten_are_those_that_reach_the_file(
    disk: WatchedDisk, tmp_path: Path
) -> None:
    db = apsw.Connection(str(tmp_path / "t.db"), vfs="watched")
    db.execute(f"PRAGMA page_size = {PAGE}; CREATE TABLE t(a INTEGER PRIMARY KEY, b); PRAGMA cache_size = 30")
    store = Store(db, memory_limit=1 << 20)
    before, file_pages = store.pager.counters.snapshot(), db.execute("PRAGMA page_count").get
    disk.written.clear()
    with db:
        with store.pager.counters.phase("main.t", "append"):
            db.execute(
                NUMBERS.format(3000) + "INSERT INTO t SELECT value * 7919 % 3001, zeroblob(600) FROM n"
            )
        with store.pager.counters.phase("main.t", "settle"):
            db.execute("UPDATE t SET b = zeroblob(500) WHERE a % 10 = 0")
    with store.pager.counters.phase(None, "commit"):
        db.execute("DELETE FROM t WHERE a < 50")
    delta = store.pager.counters.snapshot() - before
    new = {page for page in disk.written if page >= file_pages}
    assert delta.pages.pages_written == len(disk.written) > 500
    assert delta.pages.pages_added == len(new) == db.execute("PRAGMA page_count").get - file_pages
    assert delta.pages.pages_rewritten == len(disk.written) - len(new) > 100
    assert delta.pages.cache_spills > 100
    phases = {phase: counters.pages for (_, phase), counters in delta.phases.items()}
    assert phases["settle"].pages_rewritten > 0
    assert phases["settle"].pages_added == 0 < phases["append"].pages_added
    outside = delta.pages.pages_written - sum(pages.pages_written for pages in phases.values())
    assert outside >= 0  # COMMIT of the first transaction is in no phase
    db.close()


def test_of_phases_within_one_another_the_outermost_counts_and_errors_end_them(store: Store) -> None:
    store.db.execute("CREATE TABLE t(a);" + NUMBERS.format(101) + "INSERT INTO t SELECT value FROM n")
    table, counters = store.convert("t"), store.pager.counters
    with suppress(ZeroDivisionError), counters.phase("main.t", "validate"):
        table.freeze()
        raise ZeroDivisionError
    assert set(counters.phases) == {("main.t", "convert"), ("main.t", "validate")}
    assert counters.phases["main.t", "validate"].figures()["chunks_fresh"] == 2
    table.thaw(np.arange(1, 101))
    table.freeze()
    assert counters.phases["main.t", "freeze"].chunks.groups_put == 1
    store.restore("t")
    assert counters.phases["main.t", "thaw"].chunks.groups_freed == 1
    assert (
        sum(written.chunks.chunks_put for written in counters.phases.values())
        == counters.total().chunks_put
        == 4
    )


def test_a_snapshots_phases_are_those_in_which_something_happened_since(store: Store) -> None:
    store.db.execute("CREATE TABLE t(a);" + NUMBERS.format(101) + "INSERT INTO t SELECT value FROM n")
    table, counters = store.convert("t"), store.pager.counters
    table.freeze()
    before = counters.snapshot()
    table.delete(np.array([5]))
    assert (counters.snapshot() - before).phases == {}
    store.restore("t")
    ((phase, written),) = (counters.snapshot() - before).phases.items()
    assert phase == ("main.t", "thaw")
    assert isinstance(written, PhaseCounters)
    assert written.figures()["chunks_freed"] == 2


def test_dead_bytes_are_the_share_of_rows_that_are_gone(store: Store) -> None:
    store.db.execute("CREATE TABLE t(a);" + NUMBERS.format(1001) + "INSERT INTO t SELECT value FROM n")
    table = store.convert("t")
    table.freeze()
    table.delete(np.arange(1, 251))
    usage = table.usage()
    assert usage.dead_bytes == usage.stored_bytes // 4
    assert usage.live_bytes == usage.stored_bytes - usage.dead_bytes
    assert (usage + usage).live_bytes == 2 * usage.live_bytes
