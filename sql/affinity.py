"""Column affinity: SQLite's rules for declared types, and its conversion of values on storage.

Source: sqlite.org/datatype3.html, section 3.
"""

from __future__ import annotations

from enum import Enum


class Affinity(Enum):
    """A column's affinity; BLOB is what older texts call NONE."""

    TEXT = "TEXT"
    NUMERIC = "NUMERIC"
    INTEGER = "INTEGER"
    REAL = "REAL"
    BLOB = "BLOB"


_RULES = (  # in order of precedence: part of the declared type, affinity
    (("INT",), Affinity.INTEGER),
    (("CHAR", "CLOB", "TEXT"), Affinity.TEXT),
    (("BLOB",), Affinity.BLOB),
    (("REAL", "FLOA", "DOUB"), Affinity.REAL),
)


def affinity_of(decl_type: str) -> Affinity:
    """The affinity of a column declared so, outside of STRICT tables."""
    upper = decl_type.upper()
    for parts, affinity in _RULES:
        if any(part in upper for part in parts):
            return affinity
    return Affinity.NUMERIC if upper else Affinity.BLOB
