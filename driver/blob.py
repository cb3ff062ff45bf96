"""Blob: a BLOB or TEXT value that is read and written piece by piece, as sqlite3's."""

from __future__ import annotations

import os
from operator import index
from types import TracebackType
from typing import TYPE_CHECKING, Any, Literal, NoReturn, Protocol, Self

import apsw

from colonnade.base import Base
from colonnade.buffers import contiguous
from colonnade.callbacks import coded
from colonnade.errors import translate
from colonnade.limits import c_int
from colonnade.sql.statement import parse
from colonnade.sql.tokens import quote
from colonnade.store.errors import OperationalError, ProgrammingError

if TYPE_CHECKING:
    from colonnade.store.table import ColumnTable

CLOSED_BLOB = "Cannot operate on a closed blob."
_INT_MAX = 2**31 - 1
_ORIGINS = (os.SEEK_SET, os.SEEK_CUR, os.SEEK_END)


class Bytes(Protocol):
    """Where a blob's bytes are; all but length() raise apsw's errors."""

    def length(self) -> int: ...

    def read_at(self, offset: int, count: int) -> bytes: ...

    def write_at(self, offset: int, data: memoryview) -> None: ...

    def close(self) -> None: ...


class _InRow:
    """A value in a row of SQLite's, through its incremental I/O."""

    def __init__(self, blob: apsw.Blob) -> None:
        self._blob = blob

    def length(self) -> int:
        return self._blob.length()

    def read_at(self, offset: int, count: int) -> bytes:
        self._blob.seek(offset)
        return self._blob.read(count)

    def write_at(self, offset: int, data: memoryview) -> None:
        self._blob.seek(offset)
        self._blob.write(data)

    def close(self) -> None:
        self._blob.close(True)


class _Snapshot:
    """A value of a table in column format, as it was when the blob was opened."""

    def __init__(self, value: bytes) -> None:
        self._value = value

    def length(self) -> int:
        return len(self._value)

    def read_at(self, offset: int, count: int) -> bytes:
        return self._value[offset : offset + count]

    def write_at(self, offset: int, data: memoryview) -> NoReturn:
        raise coded(OperationalError, "attempt to write a readonly database", apsw.SQLITE_READONLY)

    def close(self) -> None:
        self._value = b""


class Blob:
    """An open value. Its length cannot be changed; len(), indices and slices work as those of a bytearray."""

    __slots__ = ("__weakref__", "_bytes", "_connection", "_offset")

    def __init__(self) -> None:
        raise TypeError(f"cannot create '{type(self).__module__}.{type(self).__qualname__}' instances")

    _bytes: Bytes | None
    _connection: Base
    _offset: int

    def read(self, length: int = -1, /) -> bytes:
        """The next `length` bytes; all that are left if negative or more than there are."""
        source = self._open()
        left = source.length() - self._offset
        wanted = c_int(length)
        count = left if wanted < 0 else min(wanted, left)
        data = _read(source, self._offset, count)
        self._offset += len(data)
        return data

    def write(self, data: Any, /) -> None:
        """Write bytes at the current offset. Raises ValueError beyond the end."""
        view = contiguous(data)
        source = self._open()
        if view.nbytes > source.length() - self._offset:
            self._check_alive(source)
            raise ValueError("data longer than blob length")
        _write(source, self._offset, view)
        self._offset += view.nbytes

    def seek(self, offset: int, origin: int = os.SEEK_SET, /) -> None:
        """Go to an offset from the start, from here (os.SEEK_CUR) or from the end (os.SEEK_END)."""
        offset, origin = c_int(offset), c_int(origin)
        source = self._open()
        if origin not in _ORIGINS:
            raise ValueError("'origin' should be os.SEEK_SET, os.SEEK_CUR, or os.SEEK_END")
        base = {os.SEEK_SET: 0, os.SEEK_CUR: self._offset, os.SEEK_END: source.length()}[origin]
        if base + offset > _INT_MAX:
            raise OverflowError("seek offset results in overflow")
        if not 0 <= base + offset <= source.length():
            raise ValueError("offset out of blob range")
        self._offset = base + offset

    def tell(self) -> int:
        """The current offset."""
        self._open()
        return self._offset

    def close(self) -> None:
        """Give up the value; nothing else can be done with the blob afterwards."""
        self._connection._check_open()
        if self._bytes is not None:
            self._bytes.close()
            self._bytes = None

    def __enter__(self) -> Self:
        self._open()
        return self

    def __exit__(
        self,
        type: type[BaseException] | None,  # noqa: A002 - sqlite3's names
        val: BaseException | None,
        tb: TracebackType | None,
        /,
    ) -> Literal[False]:
        self._open()
        self.close()
        return False

    def __len__(self) -> int:
        return self._open().length()

    def __iter__(self) -> NoReturn:  # indices alone would make it iterable
        raise TypeError(f"'{type(self).__module__}.{type(self).__qualname__}' object is not iterable")

    def __contains__(self, value: object, /) -> NoReturn:
        kind = f"{type(self).__module__}.{type(self).__qualname__}"
        raise TypeError(f"argument of type '{kind}' is not iterable")

    def __getitem__(self, key: int | slice, /) -> Any:
        source = self._open()
        if isinstance(key, slice):
            places = self._range(key, source)
            if not places:
                return b""
            first = min(places[0], places[-1])
            data = _read(source, first, abs(places[-1] - places[0]) + 1)
            return data[:: places.step] if len(places) > 1 else data
        return _read(source, self._position(key, source), 1)[0]

    def __setitem__(self, key: int | slice, value: Any, /) -> None:
        source = self._open()
        if not isinstance(key, slice):
            _write(source, self._position(key, source), memoryview(bytes((_byte(value),))))
            return
        places = self._range(key, source)
        data = contiguous(value)
        if data.nbytes != len(places):
            raise IndexError("Blob slice assignment is wrong size")
        if not places:
            return
        if places.step == 1:
            _write(source, places.start, data)
            return
        first = min(places[0], places[-1])
        old = bytearray(_read(source, first, abs(places[-1] - places[0]) + 1))
        old[:: places.step] = data
        _write(source, first, memoryview(old))

    def __delitem__(self, key: int | slice, /) -> NoReturn:
        self._open()
        kind = "slice" if isinstance(key, slice) else "item"
        raise TypeError(f"Blob doesn't support {kind} deletion")

    def _open(self) -> Bytes:
        self._connection._check_open()
        if self._bytes is None:
            raise ProgrammingError(CLOSED_BLOB)
        return self._bytes

    def _position(self, key: Any, source: Bytes) -> int:
        if not hasattr(type(key), "__index__"):
            raise TypeError("Blob indices must be integers")
        number = index(key)
        if not -(2**63) <= number < 2**63:
            raise IndexError("cannot fit 'int' into an index-sized integer")
        self._check_alive(source)
        length = source.length()
        if number < 0:
            number += length
        if not 0 <= number < length:
            raise IndexError("Blob index out of range")
        return number

    def _range(self, key: slice, source: Bytes) -> range:
        for bound in (key.start, key.stop, key.step):
            if bound is not None and not hasattr(type(bound), "__index__"):
                raise TypeError("slice indices must be integers or None or have an __index__ method")
        return range(*key.indices(source.length()))

    def _check_alive(self, source: Bytes) -> None:
        """The row may be gone; then the length is 0 and nothing else says so."""
        if source.length() == 0:
            _read(source, 0, 0)


def _read(source: Bytes, offset: int, count: int) -> bytes:
    try:
        return source.read_at(offset, count)
    except apsw.Error as error:
        raise translate(error) from None


def _write(source: Bytes, offset: int, data: memoryview) -> None:
    try:
        source.write_at(offset, data)
    except apsw.Error as error:
        raise translate(error) from None


def _byte(value: Any) -> int:
    if not hasattr(type(value), "__index__"):
        raise TypeError(f"'{type(value).__name__}' object cannot be interpreted as an integer")
    number = index(value)
    if not 0 <= number <= 255:
        raise ValueError("byte must be in range(0, 256)")
    return number


class Blobs(Base):
    """The mixin of Connection for blobs."""

    def blobopen(
        self, table: str, column: str, row: int, /, *, readonly: bool = False, name: str = "main"
    ) -> Blob:
        """Open one value of the row with this rowid.

        name  of the database: "main", "temp" or that of ATTACH
        A table in column format returns to row format when a value is opened for writing.
        """
        self._check_open()
        number = index(row)
        if not -(2**63) <= number < 2**63:
            raise OverflowError("Python int too large to convert to SQLite INTEGER")
        try:
            blob = Blob.__new__(Blob)
            blob._bytes = self._bytes_of(table, column, number, bool(readonly), name)
        except apsw.Error as error:
            raise translate(error) from None
        blob._connection = self
        blob._offset = 0
        return blob

    def _bytes_of(self, table: str, column: str, row: int, readonly: bool, name: str) -> Bytes:
        session = self._session
        session.refresh()
        session.bulk.flush()
        schema = next((known for known in self._db.db_names() if known.lower() == name.lower()), None)
        stored = None
        if schema is not None and session.has_column_tables():
            stored = session.store.table(table, schema)
        if stored is not None and readonly:
            return _Snapshot(self._value(stored, column, row))
        if stored is not None:
            session.bulk.validate()
            target = f"{quote(stored.schema)}.{quote(stored.name)}"
            session.to_row_format(parse(f"UPDATE {target} SET {quote(column)} = NULL"))
        return _InRow(self._db.blob_open(name, table, column, row, not readonly))

    def _value(self, table: ColumnTable, column: str, row: int) -> bytes:
        """The bytes of a value, with the errors that SQLite has for the like."""
        if not any(known.name.lower() == column.lower() for known in table.columns):
            raise coded(OperationalError, f'no such column: "{column}"', apsw.SQLITE_ERROR)
        found = self._db.execute(
            f"SELECT {quote(column)} FROM {quote(table.schema)}.{quote(table.name)}"
            f" WHERE {table.info.rowid_name} = ?",
            (row,),
        ).fetchall()
        if not found:
            raise coded(OperationalError, f"no such rowid: {row}", apsw.SQLITE_ERROR)
        value: Any = found[0][0]
        if isinstance(value, str):
            return value.encode()
        if not isinstance(value, bytes):
            kind = {int: "integer", float: "real"}.get(type(value), "null")
            raise coded(OperationalError, f"cannot open value of type {kind}", apsw.SQLITE_ERROR)
        return value
