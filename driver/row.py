"""Row: a row_factory whose rows are also found by column name, as sqlite3's."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, NoReturn, Self

from colonnade.cursor import Cursor
from colonnade.plan import Description


class Row:
    """A row as a tuple, and by column names in any case."""

    __slots__ = ("_names", "_values")

    _names: Description | tuple[()]
    _values: tuple[Any, ...]

    def __new__(cls, cursor: Cursor, values: tuple[Any, ...], /) -> Self:
        if not issubclass(type(cursor), Cursor):  # isinstance() can be lied to
            raise TypeError(f"Row() argument 1 must be sqlite3.Cursor, not {type(cursor).__name__}")
        if not isinstance(values, tuple):
            raise TypeError(f"Row() argument 2 must be tuple, not {type(values).__name__}")
        self = object.__new__(cls)
        self._values = values
        self._names = cursor.description or ()
        return self

    def keys(self) -> list[str]:
        """The column names."""
        return [column[0] for column in self._names]

    def __getitem__(self, key: Any, /) -> Any:
        if isinstance(key, int | slice):
            return self._values[key]
        if not isinstance(key, str):
            raise IndexError("Index must be int or string")
        folded = key.lower() if key.isascii() else key  # sqlite3 folds ASCII letters only
        for place, column in enumerate(self._names):
            name = column[0]
            if name == key or (name.lower() == folded and name.isascii()):
                return self._values[place]
        raise IndexError("No item with that key")

    def __iter__(self) -> Iterator[Any]:
        return iter(self._values)

    def __len__(self) -> int:
        return len(self._values)

    def __hash__(self) -> int:
        return hash(self._names) ^ hash(self._values)

    def __reduce__(self) -> NoReturn:
        raise TypeError(f"cannot pickle '{type(self).__module__}.{type(self).__qualname__}' object")

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Row):
            return NotImplemented
        return self._names == other._names and self._values == other._values


Sequence.register(Row)
