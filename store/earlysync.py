"""Writing to the medium what a long transaction has written to its file, before COMMIT has to wait for it."""

from __future__ import annotations

import ctypes
import time
from threading import Event, Thread
from types import TracebackType
from typing import Self

import apsw

_FLAGS = apsw.SQLITE_SYNC_NORMAL | apsw.SQLITE_SYNC_DATAONLY
_REST = 4  # times as long as a sync took, nothing is asked of the medium
_LEAST_REST_S = 0.05


class _IoMethods(ctypes.Structure):
    """The beginning of sqlite3_io_methods (sqlite.org/c3ref/io_methods.html)."""

    _fields_ = (
        ("iVersion", ctypes.c_int),
        ("xClose", ctypes.c_void_p),
        ("xRead", ctypes.c_void_p),
        ("xWrite", ctypes.c_void_p),
        ("xTruncate", ctypes.c_void_p),
        ("xSync", ctypes.CFUNCTYPE(ctypes.c_int, ctypes.c_void_p, ctypes.c_int)),
    )


class EarlySync:
    """From entering to leaving, a thread syncs the database file again and again, beside the writing.

    For a transaction that writes each page once, like a load: COMMIT, which syncs as ever, then waits for the last
    pages only. Order is not at stake: SQLite has synced the journal before it writes a page that was there before.
    The thread calls the file's own xSync, which for files of the operating system is one call of its kernel: a
    descriptor of our own would, when closed, drop SQLite's locks (sqlite.org/howtocorrupt.html, section 2.2).

    Leaving raises apsw.IOError where a sync failed: the kernel tells that once, and COMMIT would not hear of it.
    Nothing is done for a database in memory or in WAL mode, with PRAGMA synchronous=off, or with a VFS of others.
    """

    def __init__(self, db: apsw.Connection) -> None:
        self._over, self._failed = Event(), 0
        self.syncs = 0
        self._thread: Thread | None = None
        self._db = db

    def __enter__(self) -> Self:
        if _may_be_synced(self._db):
            self._thread = Thread(
                target=self._run, args=(_file(self._db),), name="colonnade-sync", daemon=True
            )
            self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._thread is not None:
            self._over.set()
            self._thread.join()
            self._thread = None
        if self._failed and error is None:
            raise apsw.exception_for(self._failed)

    def _run(self, file: int) -> None:
        methods = ctypes.cast(file, ctypes.POINTER(ctypes.POINTER(_IoMethods))).contents.contents
        rest = _LEAST_REST_S
        while not self._over.wait(rest):
            started = time.perf_counter()
            self._failed = methods.xSync(file, _FLAGS)
            if self._failed:
                return
            self.syncs += 1
            rest = max(_LEAST_REST_S, _REST * (time.perf_counter() - started))


def _may_be_synced(db: apsw.Connection) -> bool:
    return (
        db.open_vfs.startswith("unix")
        and bool(db.filename)
        and db.execute("PRAGMA main.synchronous").get != 0
        and db.execute("PRAGMA main.journal_mode").get != "wal"
    )


def _file(db: apsw.Connection) -> int:
    """The address of the main database's sqlite3_file (sqlite.org/c3ref/c_fcntl_begin_atomic_write.html)."""
    pointer = ctypes.c_void_p()
    db.file_control("main", apsw.SQLITE_FCNTL_FILE_POINTER, ctypes.addressof(pointer))
    assert pointer.value is not None
    return pointer.value
