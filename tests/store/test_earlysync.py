"""Syncs while a transaction writes: they happen, end with it, and their failure is not lost."""

from __future__ import annotations

import ctypes
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import apsw
import pytest

from colonnade.store import earlysync
from colonnade.store.earlysync import EarlySync

pytestmark = pytest.mark.storage_format("auto", reason="about one file")


@pytest.fixture
def db(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[apsw.Connection]:
    monkeypatch.setattr(earlysync, "_LEAST_REST_S", 0.001)
    connection = apsw.Connection(str(tmp_path / "t.db"))
    connection.execute("CREATE TABLE t(a)")
    yield connection
    connection.close()


def comes(happened: Callable[[], bool]) -> bool:
    """Whether it happens within half a minute."""
    deadline = time.monotonic() + 30
    while not happened() and time.monotonic() < deadline:
        time.sleep(0.001)
    return happened()


def test_a_file_is_synced_while_a_transaction_writes_it(db: apsw.Connection) -> None:
    db.execute("PRAGMA cache_size = 5; BEGIN")
    with EarlySync(db) as sync:
        db.execute(
            "WITH n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 2000)"
            " INSERT INTO t SELECT randomblob(900) FROM n"
        )
        assert comes(lambda: sync.syncs >= 2)
    done: int = sync.syncs
    db.execute("COMMIT")
    time.sleep(0.02)
    assert sync.syncs == done
    assert db.execute("SELECT count(*) FROM t").get == 2000
    assert db.execute("PRAGMA integrity_check").get == "ok"


def test_a_sync_that_failed_is_told_once_the_block_ends(
    db: apsw.Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    calls: list[int] = []

    @ctypes.CFUNCTYPE(ctypes.c_int, ctypes.c_void_p, ctypes.c_int)
    def fails(_: int, flags: int) -> int:
        calls.append(flags)
        return int(apsw.SQLITE_IOERR_FSYNC)

    methods = earlysync._IoMethods(1, None, None, None, None, fails)
    file = ctypes.pointer(methods)
    monkeypatch.setattr(earlysync, "_file", lambda _: ctypes.addressof(file))
    with pytest.raises(apsw.IOError), EarlySync(db):
        comes(lambda: bool(calls))
    assert calls == [apsw.SQLITE_SYNC_NORMAL | apsw.SQLITE_SYNC_DATAONLY]


def test_an_error_of_the_block_is_the_one_that_is_raised(db: apsw.Connection) -> None:
    with pytest.raises(KeyError), EarlySync(db):
        raise KeyError
    db.execute("INSERT INTO t VALUES(1)")


@pytest.mark.parametrize("settings", ["PRAGMA journal_mode = wal", "PRAGMA synchronous = off"])
def test_where_commit_does_not_wait_for_the_file_nothing_is_synced(
    db: apsw.Connection, settings: str
) -> None:
    db.execute(settings)
    with EarlySync(db) as sync:
        time.sleep(0.02)
    assert sync.syncs == 0


def test_a_database_in_memory_has_nothing_to_sync() -> None:
    db = apsw.Connection(":memory:")
    with EarlySync(db) as sync:
        time.sleep(0.02)
    assert sync.syncs == 0
