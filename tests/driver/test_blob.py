"""Blobs: values read and written piece by piece, in tables of either format."""

from __future__ import annotations

import array
from collections.abc import Callable
from typing import Any

import pytest

import colonnade
from tests.driver.twins import connect, outcome, same

DATA = bytes(range(50))
Hook = Callable[..., Any]


def opened(module: Any, storage: str = "row") -> Any:
    db = connect(module, ":memory:")
    if module is colonnade:
        db.execute(f"PRAGMA storage_format = {storage}")
    db.execute("CREATE TABLE t(b BLOB, n)")
    rows = [(DATA, 1), ("t\u20acxt", 2), (None, 3), (1, 4), (1.5, 5), (b"", 6), (b"last", 7)]
    db.executemany("INSERT INTO t VALUES (?, ?)", rows)
    db.commit()
    if module is colonnade:
        assert (db.store.table("t") is not None) == (storage == "column")
    return db


CALLS: dict[str, Hook] = {
    "read": lambda b: (b.read(3), b.read(0), b.tell(), b.read(-1), b.read(5), b.tell()),
    "seek": lambda b: (b.seek(10), b.seek(5, 1), b.tell(), b.seek(-1, 2), b.read(), b.seek(0, 2), b.read()),
    "seek too far": lambda b: b.seek(51),
    "seek before": lambda b: b.seek(-1),
    "seek origin": lambda b: b.seek(0, 7),
    "seek overflow": lambda b: (b.seek(1), b.seek(2**31 - 1, 1)),
    "seek long": lambda b: b.seek(2**40),
    "len": len,
    "index": lambda b: (b[0], b[-1], b[49]),
    "index after": lambda b: b[50],
    "index before": lambda b: b[-51],
    "index float": lambda b: b[1.5],
    "index str": lambda b: b["a"],
    "index long": lambda b: b[2**70],
    "slice": lambda b: (b[5:9], b[:], b[-5:], b[5:5], b[9:5], b[0:10:3], b[100:]),
    "slice step 0": lambda b: b[0:5:0],
    "slice float": lambda b: b[0:1.5],
    "set": lambda b: (b.__setitem__(0, 255), b.__setitem__(-1, True), b[:]),
    "set after": lambda b: b.__setitem__(50, 1),
    "set 256": lambda b: b.__setitem__(0, 256),
    "set -1": lambda b: b.__setitem__(0, -1),
    "set bytes": lambda b: b.__setitem__(0, b"a"),
    "set slice": lambda b: (b.__setitem__(slice(0, 5), b"12345"), b[:]),
    "set array": lambda b: (b.__setitem__(slice(0, 8), array.array("i", [1, 2])), b[:]),
    "set stride": lambda b: (b.__setitem__(slice(0, 10, 2), b"12345"), b[:]),
    "set empty": lambda b: (b.__setitem__(slice(3, 3), b""), b[:]),
    "set slice size": lambda b: b.__setitem__(slice(0, 5), b"1"),
    "set slice gaps": lambda b: b.__setitem__(slice(0, 2), memoryview(b"abcd")[::2]),
    "del": lambda b: b.__delitem__(0),
    "del slice": lambda b: b.__delitem__(slice(0, 5)),
    "write": lambda b: (b.seek(45), b.write(b"abc"), b.tell(), b.write(memoryview(b"de")), b[40:]),
    "write too much": lambda b: (b.seek(45), b.write(b"123456")),
    "write str": lambda b: b.write("a"),
    "closed": lambda b: (b.close(), b.close(), b.read()),
    "with": lambda b: (b.__enter__() is b, b.__exit__(None, None, None), b.tell()),
    "iter": list,
    "in": lambda b: 1 in b,
}


@pytest.mark.parametrize("storage", ["row", "column"])
@pytest.mark.parametrize("readonly", [False, True], ids=["writable", "readonly"])
@pytest.mark.parametrize("name", CALLS)
def test_each_operation_does_what_sqlite3_does(name: str, readonly: bool, storage: str) -> None:
    def program(module: Any) -> Any:
        db = opened(module, storage)
        blob = db.blobopen("t", "b", 1, readonly=readonly)
        done = outcome(lambda: CALLS[name](blob))
        if isinstance(done, tuple) and name in ("iter", "in"):
            done = done[0], done[1].replace("colonnade.blob.", "sqlite3.")
        if blob is not None:
            blob.close()
        return done, db.execute("SELECT * FROM t").fetchall()

    same(program)


@pytest.mark.parametrize("storage", ["row", "column"])
@pytest.mark.parametrize("readonly", [False, True])
def test_what_cannot_be_opened(storage: str, readonly: bool) -> None:
    places = [
        *(("t", "b", row) for row in (1, 2, 3, 4, 5, 6, 7, 99, -1)),
        *(("t", "none", 1), ("none", "b", 1), ("T", "B", 1), ("t", "n", 1)),
    ]

    def program(module: Any) -> Any:
        db = opened(module, storage)
        db.execute("CREATE VIEW v AS SELECT * FROM t")
        found = []
        for place in [*places, ("v", "b", 1)]:

            def read(place: Any = place, **where: Any) -> Any:
                with db.blobopen(*place, readonly=readonly, **where) as blob:
                    return blob.read()

            found.append(outcome(read))
        found.append(outcome(lambda: db.blobopen("t", "b", 1, name="none")))
        found.append(outcome(lambda: db.blobopen("t", "b", 2**70)))
        return found

    same(program)


def test_a_changed_row_ends_its_blob() -> None:
    def program(module: Any) -> Any:
        db = opened(module)
        blob = db.blobopen("t", "b", 1)
        db.execute("UPDATE t SET b = 'aaaa' WHERE rowid = 1")
        calls: list[Hook] = [lambda: blob.read(), lambda: blob.write(b"a"), lambda: blob[0]]
        found = [outcome(call) for call in calls]
        blob.close()
        return found

    assert same(program)[0][2] == "SQLITE_ABORT"


def test_a_closed_connection_ends_its_blobs() -> None:
    def program(module: Any) -> Any:
        db = opened(module)
        blob = db.blobopen("t", "b", 1)
        db.close()
        return [outcome(call) for call in (blob.read, blob.close, blob.tell)]

    assert same(program)[0][1] == "Cannot operate on a closed database."


def test_reading_leaves_a_table_in_column_format_and_writing_does_not() -> None:
    db = opened(colonnade, "column")
    with db.blobopen("t", "b", 1, readonly=True) as blob:
        assert blob.read() == DATA
    assert db.store.table("t") is not None
    with db.blobopen("t", "b", 1) as blob:
        blob.write(b"new")
    assert db.store.table("t") is None
    assert db.execute("SELECT b FROM t WHERE n = 1").fetchall() == [(b"new" + DATA[3:],)]


def test_rows_that_bulk_load_still_holds_can_be_opened() -> None:
    db = connect(colonnade, ":memory:", bulk_load=True)
    db.execute("CREATE TABLE t(b)")
    db.executemany("INSERT INTO t VALUES (?)", [(b"one",), (b"two",)])
    with db.blobopen("t", "b", 2, readonly=True) as blob:
        assert blob.read() == b"two"


def test_a_blob_is_made_by_blobopen_only() -> None:
    with pytest.raises(TypeError, match="cannot create"):
        colonnade.Blob()
