"""Converters: Python objects of SQLite values, by the declared type or the name of a column.

A connection asks for them with detect_types; all others never come here.
"""

from __future__ import annotations

import datetime
import sys
from collections.abc import Callable, Sequence

from colonnade.notices import deprecated
from colonnade.plan import Column

PARSE_DECLTYPES = 1
PARSE_COLNAMES = 2

Converter = Callable[[bytes], object]

converters: dict[str, Converter] = {}


def register_converter(typename: str, converter: Converter, /) -> None:
    """Values of columns of this type, in any case, become what `converter` makes of their bytes."""
    converters[typename.upper()] = converter


def for_columns(columns: Sequence[Column], detect_types: int) -> tuple[Converter | None, ...] | None:
    """The converter of each column; None if no column has one."""
    found = tuple(_for_column(name, declared, detect_types) for name, declared in columns)
    return found if any(found) else None


def _for_column(name: str, declared: str | None, detect_types: int) -> Converter | None:
    found = None
    if detect_types & PARSE_COLNAMES:
        _, opened, rest = name.partition("[")
        kind, closed, _ = rest.partition("]")
        found = converters.get(kind.upper()) if opened and closed else None
    if found is None and declared is not None and detect_types & PARSE_DECLTYPES:
        found = converters.get(declared.partition(" ")[0].partition("(")[0].upper())
    return found


def shown_name(name: str) -> str:
    """A column's name under PARSE_COLNAMES: without the type in brackets and the blank before it."""
    at = name.find("[")
    if at < 0:
        return name
    return name[: at - 1] if at and name[at - 1] == " " else name[:at]


def _default_used(kind: str) -> None:
    if sys.version_info >= (3, 12):
        deprecated(
            f"The default {kind} converter is deprecated as of Python 3.12; "
            "see the sqlite3 documentation for suggested replacement recipes"
        )


def _date(value: bytes) -> datetime.date:
    """ISO 8601: YYYY-MM-DD."""
    _default_used("date")
    return datetime.date(*map(int, value.split(b"-")))


def _timestamp(value: bytes) -> datetime.datetime:
    """ISO 8601 with a blank between date and time, and up to six digits of a fraction."""
    _default_used("timestamp")
    day, time = value.split(b" ")
    clock, _, fraction = time.partition(b".")
    year, month, number = map(int, day.split(b"-"))
    hours, minutes, seconds = map(int, clock.split(b":"))
    microseconds = int(fraction[:6].ljust(6, b"0")) if fraction else 0
    return datetime.datetime(year, month, number, hours, minutes, seconds, microseconds)


register_converter("date", _date)
register_converter("timestamp", _timestamp)
