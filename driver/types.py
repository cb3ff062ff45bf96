"""PEP 249's type objects and constructors, and the adapters that make SQLite values of Python objects."""

from __future__ import annotations

import datetime
import sys
import time
from collections.abc import Callable
from contextlib import suppress
from typing import Any

from colonnade.notices import deprecated
from colonnade.store.errors import ProgrammingError

__all__ = [
    "BINARY",
    "DATETIME",
    "NUMBER",
    "ROWID",
    "STRING",
    "Binary",
    "Date",
    "DateFromTicks",
    "PrepareProtocol",
    "Time",
    "TimeFromTicks",
    "Timestamp",
    "TimestampFromTicks",
    "adapt",
    "adapters",
    "register_adapter",
]

Date = datetime.date
Time = datetime.time
Timestamp = datetime.datetime
Binary = memoryview


def DateFromTicks(ticks: float) -> datetime.date:  # noqa: N802 - PEP 249's name
    """The local date at `ticks` seconds since the epoch."""
    return Date(*time.localtime(ticks)[:3])


def TimeFromTicks(ticks: float) -> datetime.time:  # noqa: N802 - PEP 249's name
    """The local time of day at `ticks` seconds since the epoch."""
    return Time(*time.localtime(ticks)[3:6])


def TimestampFromTicks(ticks: float) -> datetime.datetime:  # noqa: N802 - PEP 249's name
    """The local date and time at `ticks` seconds since the epoch."""
    return Timestamp(*time.localtime(ticks)[:6])


class TypeObject:
    """A PEP 249 type object: equal to each declared type that SQLite's affinity rules put in its class."""

    def __init__(self, *parts: str) -> None:
        self._parts = parts

    def __eq__(self, other: object) -> bool:
        if isinstance(other, str):
            return any(part in other.upper() for part in self._parts)
        return self is other

    def __hash__(self) -> int:
        return hash(self._parts)


STRING = TypeObject("CHAR", "CLOB", "TEXT")
BINARY = TypeObject("BLOB", "BINARY")
NUMBER = TypeObject("INT", "REAL", "FLOA", "DOUB", "DEC", "NUM", "BOOL")
DATETIME = TypeObject("DATE", "TIME")
ROWID = TypeObject("INTEGER")


class PrepareProtocol:
    """What __conform__ is asked for when an object is bound to a parameter."""


Adapter = Callable[[Any], Any]
adapters: dict[tuple[type, type], Adapter] = {}

# Types that are bound as they are, whatever adapters say of their base classes.
EXACT = frozenset({int, float, str, bytearray})
# The types of parameters that go to apsw as they are: none, once an adapter wants to see each value.
READY = {tuple, dict}
NATIVE = (int, float, str, bytes, bytearray, memoryview, type(None))


def register_adapter(kind: type, adapter: Adapter, /) -> None:
    """Objects of exactly this type are bound as what `adapter` makes of them."""
    if issubclass(kind, NATIVE):
        READY.clear()
    adapters[kind, PrepareProtocol] = adapter


_MISSING = object()


def adapt(value: Any, protocol: type = PrepareProtocol, alternative: Any = _MISSING, /) -> Any:
    """What an adapter or the object's own __conform__ makes of `value`; ProgrammingError if nothing does."""
    adapter = adapters.get((type(value), protocol))
    if adapter is not None:
        return adapter(value)
    for conform, argument in ((getattr(protocol, "__adapt__", None), value), (_conform(value), protocol)):
        if conform is None:
            continue
        with suppress(TypeError):  # as if there were none
            adapted = conform(argument)
            if adapted is not None:
                return adapted
    if alternative is _MISSING:
        raise ProgrammingError("can't adapt")
    return alternative


def _conform(value: Any) -> Callable[[Any], Any] | None:
    conform: Callable[[Any], Any] | None = getattr(value, "__conform__", None)
    return conform


def convert_binding(cursor: object, number: int, value: Any) -> Any:
    """apsw's hook for an object that is no SQLite value, bound to parameter `number` (from 1)."""
    adapted = adapt(value, PrepareProtocol, value)
    if adapted is None or isinstance(adapted, NATIVE):
        return adapted
    try:
        return memoryview(adapted)
    except TypeError as error:
        name = str(error).partition("'")[2].rstrip("'")  # the name of the C type, as sqlite3 prints it
        raise ProgrammingError(f"Error binding parameter {number}: type '{name}' is not supported") from None


def adapted(value: Any) -> Any:
    """`value` as adapters want it bound, for types that SQLite would also take as they are."""
    return value if type(value) in EXACT and not _exact_adapted() else adapt(value, PrepareProtocol, value)


def _exact_adapted() -> bool:
    return any((kind, PrepareProtocol) in adapters for kind in EXACT)


def _default_adapter_used(kind: str) -> None:
    if sys.version_info >= (3, 12):
        deprecated(
            f"The default {kind} adapter is deprecated as of Python 3.12; "
            "see the sqlite3 documentation for suggested replacement recipes"
        )


def _adapt_date(value: datetime.date) -> str:
    _default_adapter_used("date")
    return value.isoformat()


def _adapt_datetime(value: datetime.datetime) -> str:
    _default_adapter_used("datetime")
    return value.isoformat(" ")


register_adapter(Date, _adapt_date)
register_adapter(Timestamp, _adapt_datetime)
