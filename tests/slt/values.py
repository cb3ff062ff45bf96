"""How sqllogictest writes values, sorts them and hashes them: in types I, R and T, one value a line.

Source: https://www.sqlite.org/sqllogictest/doc/trunk/about.wiki. A value of another class than the type's is
converted as sqlite3_column_int, _double and _text do, which is what CAST does: SQLite itself is asked.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Sequence
from itertools import chain
from typing import Any

import apsw

Row = tuple[Any, ...]

_CASTS = {"I": "INTEGER", "R": "REAL", "T": "TEXT"}
_CLASSES = {"I": int, "R": float, "T": str}
_scratch = apsw.Connection(":memory:")


def rendered(value: Any, kind: str) -> str:
    """One value as the type I, R or T writes it."""
    if value is None:
        return "NULL"
    if type(value) is not _CLASSES[kind]:
        value = _scratch.execute(f"SELECT CAST(? AS {_CASTS[kind]})", (value,)).get
    if kind == "I":
        return str((value + 0x8000_0000) % 0x1_0000_0000 - 0x8000_0000)  # %d of the low 32 bits
    if kind == "R":
        # SQLite's own format, which keeps 16 digits, only differs in large numbers; asking it takes longer.
        return (
            f"{value:.3f}"
            if abs(value) < 1e12
            else _scratch.execute("SELECT printf('%.3f', ?)", (value,)).get
        )
    if not value:
        return "(empty)"
    return "".join(chr(byte) if 0x20 <= byte <= 0x7E else "@" for byte in value.encode())


def lines(rows: Iterable[Row], types: str, sort: str) -> list[str]:
    """The values of all rows in the order of the sort mode. Raises ValueError: another number of columns."""
    found = [tuple(map(rendered, row, types)) for row in rows if _fits(row, types)]
    if sort == "rowsort":
        found.sort()
    flat = list(chain.from_iterable(found))
    if sort == "valuesort":
        flat.sort()
    return flat


def _fits(row: Row, types: str) -> bool:
    if len(row) != len(types):
        raise ValueError(f"{len(row)} columns for the types {types}")
    return True


def digest(values: Sequence[str]) -> str:
    """MD5 of the values, each with a line feed behind it."""
    return hashlib.md5("".join(f"{value}\n" for value in values).encode()).hexdigest()


def shown(values: Sequence[str], threshold: int) -> tuple[str, ...]:
    """The lines of a result as a file with this hash-threshold holds them."""
    if 0 < threshold < len(values):
        return (f"{len(values)} values hashing to {digest(values)}",)
    return tuple(values)
