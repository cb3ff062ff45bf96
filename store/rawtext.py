"""TEXT that is not UTF-8, which SQLite holds as it was given: a Python value for it, and a way to read it.

SQLite never looks at the bytes of a TEXT (sqlite.org/invalidutf.html), but apsw gives TEXT to Python, and
takes it, only as str. What apsw hands to SQLite is the UTF-8 that CPython keeps for the str; a str that
claims to be ASCII is its own UTF-8, whatever bytes are in it. RawText is such a str. It goes to SQLite and to
nobody else: programs read their rows from SQLite, and get for it what sqlite3 would give them.
"""

from __future__ import annotations

import ctypes
from collections.abc import Generator, Sequence
from itertools import islice
from typing import Any

import apsw

from colonnade.store.errors import OperationalError

_ASCII = 127
# Of the characters of an ASCII str from its start: all of the empty one but the NUL at its end.
_CHARACTERS = "".__sizeof__() - 1
_new_str = ctypes.pythonapi.PyUnicode_New
_new_str.argtypes = (ctypes.c_ssize_t, ctypes.c_uint32)
_new_str.restype = ctypes.py_object


class RawText(str):
    """A TEXT value that is not UTF-8. `encode()` gives its bytes, and so does the UTF-8 that apsw asks for.

    Its characters mean nothing: do not compare it with other text, or put it into an Arrow string array.
    """

    __slots__ = ()

    def __repr__(self) -> str:
        return f"RawText({self.encode()!r})"

    def __str__(self) -> str:
        return self.encode().decode("utf-8", "backslashreplace")

    def __format__(self, spec: str) -> str:
        return format(str(self), spec)


def text_value(raw: bytes) -> str:
    """The Python value of a TEXT with these bytes: a RawText if they are not UTF-8."""
    try:
        return raw.decode()
    except UnicodeDecodeError:
        return RawText(_ascii_str(raw))


def _ascii_str(raw: bytes) -> str:
    """A new str, all ASCII as far as CPython knows, with these bytes for characters.

    Raises SystemError where a str is laid out otherwise than CPython 3.11 to 3.14 do it, before any change.
    """
    made: str = _new_str(len(raw), _ASCII)
    at = id(made) + _CHARACTERS
    if made.__sizeof__() != _CHARACTERS + len(raw) + 1 or not _LAYOUT_IS_KNOWN:
        raise SystemError("text that is not UTF-8 cannot be given to SQLite by this Python")
    ctypes.memmove(at, raw, len(raw))
    return made


def _layout_is_known() -> bool:
    sample = "".join(map(chr, range(32, _ASCII)))
    return ctypes.string_at(id(sample) + _CHARACTERS, len(sample) + 1) == sample.encode() + b"\0"


_LAYOUT_IS_KNOWN = _layout_is_known()


def read_rows(
    db: apsw.Connection, names: Sequence[str], clauses: str, values: Sequence[Any] = ()
) -> Generator[tuple[Any, ...], None, None]:
    """The rows of SELECT `names` `clauses`, TEXT that is not UTF-8 as RawText. The SELECT must give the same
    rows in the same order when it is run again: it is, once such a text was met.

    names   SQL expressions
    Raises  OperationalError for such a text in a database that is not stored as UTF-8
    """
    given, cursor = 0, db.cursor()
    try:
        try:
            for row in cursor.execute(f"SELECT {', '.join(names)} {clauses}", values):
                yield row
                given += 1
            return
        except UnicodeDecodeError as error:
            if db.execute("PRAGMA encoding").get != "UTF-8":
                raise OperationalError(f"Could not decode to UTF-8 text {bytes(error.object)!r}") from None
        again = cursor.execute(f"SELECT {_raw_columns(names)} {clauses}", values)
        yield from map(_raw_row, islice(again, given, None))
    finally:
        cursor.close(True)


def _raw_columns(names: Sequence[str]) -> str:
    return ", ".join(
        f"CASE typeof({name}) WHEN 'text' THEN CAST({name} AS BLOB) ELSE {name} END, typeof({name}) = 'text'"
        for name in names
    )


def _raw_row(row: Sequence[Any]) -> tuple[Any, ...]:
    pairs = zip(row[::2], row[1::2], strict=True)
    return tuple(text_value(value) if is_text else value for value, is_text in pairs)
