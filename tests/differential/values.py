"""The values that random rows are made of: few of them, so that keys collide, and nasty ones now and then."""

from __future__ import annotations

import math
from random import Random
from typing import Any

Value = int | float | str | bytes | None

# A column's domain says which values it mostly gets. Keys and what refers to them share one.
KEYS: dict[str, list[Value]] = {
    "int": list(range(1, 9)),
    "text": ["a", "A", "b", "B", "a ", "b  ", "c", "ab", "AB", "1", "é", "É"],
    "real": [0.5, 1.0, 2.0, 2.5, -1.5, 3.0, 1e3],
    "any": [1, 1.0, "1", "a", "A", b"a", 2, 2.5, "2.5", b""],
}

NASTY: list[Value] = [
    *(None, 0, -1, 2**63 - 1, -(2**63), 2**53, 2**53 + 1, 2**31, -(2**31) - 1, 255, 256),
    *(-0.0, 0.0, 1e300, -1e-300, 5e-324, math.inf, -math.inf, 9007199254740993.0, 9223372036854775807.0, 0.1),
    *(
        "",
        " ",
        "1",
        "01",
        "1.0",
        " 1",
        "1 ",
        "1e2",
        "-0",
        "0x10",
        "1abc",
        "9223372036854775808",
        "1.50",
        "inf",
    ),
    *(
        "A",
        "a\t",
        "a\0b",
        "\0",
        "ß",
        "🦋",
        "日本",
        "2024-02-29",
        "12:30",
        "2024-02-29 12:30:00",
        "nan",
        "%",
        "_",
    ),
    *(b"", b"\0", b"a", b"1", b"\xc3\xa9", b"a" * 40, "x" * 60, 1.5, "1.5", 100, 1e15, 1e16, 123456.75),
]
STRICT: dict[str, type | tuple[type, ...]] = {"int": int, "real": (int, float), "text": str, "blob": bytes}
# With the largest rowid taken SQLite chooses rowids at random.
ROWIDS: list[Value] = [0, -1, -5, 10, 100, 2**31, 2**40, -(2**63), 2**62]


def value_of(r: Random, domain: str, nasty: float = 0.12) -> Value:
    """A value for a column of a domain; one out of all with the probability `nasty`."""
    if domain == "rowid":
        if r.random() < nasty:
            return r.choice([*ROWIDS, None, None, "1", 2.0, "x", b"1", 1.5])
        return r.randint(1, 12)
    if domain.startswith("strict "):
        return _strict(r, domain.removeprefix("strict "), nasty)
    if r.random() < nasty:
        return r.choice(NASTY)
    return r.choice(KEYS[domain])


def _strict(r: Random, kind: str, nasty: float) -> Value:
    if kind == "any" or r.random() < nasty / 3:
        return r.choice(NASTY)
    fitting = [value for value in NASTY if isinstance(value, STRICT[kind])]
    return r.choice(fitting + KEYS[kind] * 3 if kind in KEYS else fitting)


def literal(value: Any) -> str:
    """The value as SQL writes it. NUL in a text has no literal; such a text is given as CAST of a blob."""
    if value is None:
        return "NULL"
    if isinstance(value, str):
        if "\0" in value:
            return f"CAST({literal(value.encode())} AS TEXT)"
        return "'" + value.replace("'", "''") + "'"
    if isinstance(value, bytes):
        return f"x'{value.hex()}'"
    if isinstance(value, float) and math.isinf(value):
        return "9e999" if value > 0 else "-9e999"
    return repr(value)


def quote(name: str) -> str:
    """A name as SQL can always read it; plain ones stay plain."""
    if name.isascii() and name.isidentifier() and name.lower() not in ("select", "order", "group", "index"):
        return name
    return '"' + name.replace('"', '""') + '"'
