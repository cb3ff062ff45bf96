"""Rows between SQLite and the program: text factories, converters, and text that is not UTF-8.

A program that asks for neither gets apsw's tuples as they are.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterator
from typing import Any, NoReturn

import apsw

from colonnade.converters import Converter
from colonnade.errors import RECURSIVE
from colonnade.store.errors import ProgrammingError

Converters = tuple[Converter | None, ...]
TextFactory = Callable[[bytes], Any]


class _Busy:
    """Stands in for a cursor's statement and rows while a callback of the program runs."""

    def __getattr__(self, name: str) -> NoReturn:
        raise ProgrammingError(RECURSIVE)

    def __iter__(self) -> Iterator[Any]:
        return self

    def __next__(self) -> NoReturn:
        raise ProgrammingError(RECURSIVE)


BUSY: Any = _Busy()


class Unreadable:
    """Rows from one on that cannot be given: sqlite3 gives the same error at each try."""

    def __init__(self, error: Exception) -> None:
        self._error = error

    def __iter__(self) -> Iterator[Any]:
        return self

    def __next__(self) -> NoReturn:
        raise self._error


class Undecoded(bytes):
    """The bytes of a TEXT value that is not UTF-8."""


class Rereading:
    """The rows of a query; from one on that a text which is not UTF-8 is in the way of, those of another run.

    apsw decodes every text and gives no row that has one which is not UTF-8, but text_factory and converters want
    the bytes; and none whose virtual table should have been given one.
    """

    def __init__(self, rows: Iterator[Any], reread: Callable[[], Iterator[Any] | None]) -> None:
        """`reread` gives the same rows in the same order, or None where that does not help."""
        self._rows = rows
        self._reread: Callable[[], Iterator[Any] | None] | None = reread
        self._given = 0

    def __iter__(self) -> Iterator[Any]:
        return self

    def __next__(self) -> Any:
        try:
            row = next(self._rows)
        except UnicodeDecodeError:
            again = self._reread() if self._reread is not None else None
            if again is None:
                raise
            self._reread = None
            self._rows = again
            for _ in range(self._given):
                next(again)
            row = next(again)
        self._given += 1
        return row

    def close(self) -> None:
        """Ends the statement that is run again, if one is, for whom no row of it can be read any more."""
        rows, self._rows, self._reread = self._rows, iter(()), None
        if isinstance(rows, apsw.Cursor):
            rows.close(True)
        elif isinstance(rows, Rereading | Generator):
            rows.close()


def in_filter(error: BaseException | None) -> bool:
    """Whether it is about a text that is not UTF-8 which SQLite had for a virtual table to compare with."""
    trace = error.__traceback__ if isinstance(error, UnicodeDecodeError) else None
    while trace is not None:
        if trace.tb_frame.f_code.co_name == "VirtualTable.xFilter":
            return True
        trace = trace.tb_next
    return False


def bytes_of_texts(query: str, width: int) -> str:
    """A query of twice the width: the columns of `query` with texts as BLOBs, then which of them were texts."""
    names = [f"c{number}" for number in range(width)]
    blobs = [f"CASE typeof({name}) WHEN 'text' THEN CAST({name} AS BLOB) ELSE {name} END" for name in names]
    flags = [f"typeof({name}) = 'text'" for name in names]
    columns = ", ".join(blobs + flags)
    return f"WITH q({', '.join(names)}) AS MATERIALIZED ({query}\n) SELECT {columns} FROM q"


def with_texts(rows: Iterator[tuple[Any, ...]], width: int) -> Iterator[tuple[Any, ...]]:
    """The rows of `bytes_of_texts` as the query itself would give them, undecodable texts as Undecoded."""
    for row in rows:
        yield tuple(
            _text(value) if is_text else value
            for value, is_text in zip(row[:width], row[width:], strict=True)
        )


def _text(value: bytes) -> str | Undecoded:
    try:
        return value.decode()
    except UnicodeDecodeError:
        return Undecoded(value)


def shape(
    db: apsw.Connection, row: tuple[Any, ...], converters: Converters | None, text_factory: Any
) -> tuple[Any, ...]:
    """A row as converters and text_factory want it."""
    if converters is None:
        return tuple([_made(value, text_factory) for value in row])
    return tuple(
        [
            _made(value, text_factory) if converter is None else _converted(db, value, converter)
            for value, converter in zip(row, converters, strict=True)
        ]
    )


def _made(value: Any, text_factory: Any) -> Any:
    """A value without a converter."""
    if type(value) is str:
        return value if text_factory is str else text_factory(value.encode())
    if type(value) is Undecoded:
        return bytes(value).decode() if text_factory is str else text_factory(bytes(value))
    return value


def _converted(db: apsw.Connection, value: Any, converter: Converter) -> Any:
    """What a converter makes of the value as bytes; NULL, and what has no bytes, is None."""
    if value is None:
        return None
    if isinstance(value, str):
        value = value.encode()
    elif not isinstance(value, bytes):
        value = str(db.execute("SELECT CAST(? AS TEXT)", (value,)).get).encode()
    return converter(bytes(value)) if value else None
