"""The values that random rows are made of: few of them, so that keys collide, and nasty ones now and then."""

from __future__ import annotations

import math
from random import Random
from typing import Any

Value = int | float | str | bytes | None


class Dice(Random):
    """The random numbers of one sequence, and what the sequence as a whole goes in for.

    raw_text   texts that are not UTF-8 occur; they stand in a str as lone surrogates, as Python writes such bytes
    """

    raw_text = False


# A column's domain says which values it mostly gets. Keys and what refers to them share one.
KEYS: dict[str, list[Value]] = {
    "int": list(range(1, 9)),
    "text": ["a", "A", "b", "B", "a ", "b  ", "c", "ab", "AB", "1", "é", "É"],
    "real": [0.5, 1.0, 2.0, 2.5, -1.5, 3.0, 1e3],
    "any": [1, 1.0, "1", "a", "A", b"a", 2, 2.5, "2.5", b""],
    # For keys of several columns, which would hardly ever be the same otherwise.
    "few": [1, 2, 3],
    "word": ["a", "A", "b", "a "],
}
NAN = math.nan  # stored as NULL; always the same object, so that a sequence is equal to itself

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
    *(NAN, bytes(3000), "y" * 3000, b"\xff\xfe"),
]
RAW_TEXTS = [text.decode("utf-8", "surrogateescape") for text in (b"\xff", b"a\x80", b"\xc3", b"\xfe\xff\0a")]
STRICT: dict[str, type | tuple[type, ...]] = {
    "int": int,
    "few": int,
    "real": (int, float),
    "text": str,
    "word": str,
    "blob": bytes,
}
ROWIDS: list[Value] = [0, -1, -5, 10, 100, 2**31, 2**40, -(2**63), 2**62]
# With the largest rowid taken SQLite chooses rowids at random, where it has to choose.
LARGEST = 2**63 - 1


def value_of(r: Random, domain: str, nasty: float = 0.12) -> Value:
    """A value for a column of a domain; one out of all with the probability `nasty`."""
    if domain.endswith("rowid"):
        return _rowid(r, domain, nasty)
    if r.random() < 0.03:
        return None
    if domain.startswith("strict "):
        return _strict(r, domain.removeprefix("strict "), nasty)
    if r.random() < nasty:
        raw = isinstance(r, Dice) and r.raw_text and r.random() < 0.15
        return r.choice(RAW_TEXTS if raw else NASTY)
    return r.choice(KEYS[domain])


def _rowid(r: Random, domain: str, nasty: float) -> Value:
    """For "given rowid" never one that SQLite has to choose; "counted rowid" is AUTOINCREMENT's."""
    if r.random() >= nasty:
        return r.randint(1, 12)
    if domain == "given rowid":
        return r.choice([*ROWIDS, LARGEST, LARGEST, LARGEST - 1, "2", 3.0, "x"])
    large = [LARGEST, LARGEST - 1] if domain == "counted rowid" else []
    return r.choice([*ROWIDS, *large, None, None, "1", 2.0, "x", b"1", 1.5])


def _strict(r: Random, kind: str, nasty: float) -> Value:
    if kind == "any" or r.random() < nasty / 3:
        return r.choice(NASTY)
    fitting = [value for value in NASTY if isinstance(value, STRICT[kind])]
    return r.choice(fitting + KEYS[kind] * 3 if kind in KEYS else fitting)


def literal(value: Any) -> str:
    """The value as SQL writes it. A text with NUL, or not UTF-8, has no literal: it is CAST from a blob."""
    if value is None or value is NAN:
        return "NULL"
    if isinstance(value, str):
        if "\0" in value or not bindable(value):
            return f"CAST({literal(value.encode('utf-8', 'surrogateescape'))} AS TEXT)"
        return "'" + value.replace("'", "''") + "'"
    if isinstance(value, bytes):
        return f"x'{value.hex()}'"
    if isinstance(value, float) and math.isinf(value):
        return "9e999" if value > 0 else "-9e999"
    return repr(value)


def bindable(value: Value) -> bool:
    """Whether Python can give the value as a parameter: all but text that is not UTF-8."""
    return not isinstance(value, str) or not any("\ud800" <= char <= "\udfff" for char in value)


def quote(name: str) -> str:
    """A name as SQL can always read it; plain ones stay plain."""
    if name.isascii() and name.isidentifier() and name.lower() not in ("select", "order", "group", "index"):
        return name
    return '"' + name.replace('"', '""') + '"'
