"""WHERE clauses that are no more than a range of rowids, whose rows are known from the values of its parameters."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from colonnade.sql.tokens import Kind, Reader, whole_number
from colonnade.store.values import INT64_MAX, INT64_MIN

Key = int | str  # place or name of a parameter
_OPERATORS = {"=": "=", "==": "=", "<": "<", "<=": "<=", ">": ">", ">=": ">="}
_SAFE_DIGITS = 18  # as many fit in 64 bits whatever they are


@dataclass(frozen=True, slots=True)
class Bound:
    """One comparison of the rowid: with a parameter, or with a number."""

    operator: str
    parameter: Key | None
    number: int = 0


def rowid_bounds(where: str, alias: str, is_rowid: Callable[[str], bool]) -> tuple[Bound, ...]:
    """The comparisons, all of which have to hold, if a WHERE clause is nothing else; else none.

    where     with the word; its parameters numbered, or named
    alias     of the table, folded
    is_rowid  whether a column of the table by this name is its rowid
    """
    reader, at, bounds = Reader(where), 1, []
    while True:
        if reader[at].is_name and reader[at].name.lower() == alias and reader[at + 1].key == ".":
            at += 2
        if not (reader[at].is_name and is_rowid(reader[at].name)):
            return ()
        sign, operands = reader[at + 1].key, [at + 2]
        if sign == "BETWEEN" and reader[at + 3].key == "AND":
            operators, operands = [">=", "<="], [at + 2, at + 4]
        elif sign in _OPERATORS:
            operators = [_OPERATORS[sign]]
        else:
            return ()
        for operator, place in zip(operators, operands, strict=True):
            bound = _bound(operator, reader, place)
            if bound is None:
                return ()
            bounds.append(bound)
        at = operands[-1] + 1
        if reader[at].kind is Kind.END:
            return tuple(bounds)
        if reader[at].key != "AND":
            return ()
        at += 1


def _bound(operator: str, reader: Reader, place: int) -> Bound | None:
    token = reader[place]
    text = reader.text[token.start : token.stop]
    if token.kind is Kind.NUMBER and text.isascii() and text.isdigit() and len(text) <= _SAFE_DIGITS:
        return Bound(operator, None, int(text))
    if token.kind is not Kind.VARIABLE:
        return None
    if text[0] != "?":
        return Bound(operator, text[1:])
    return Bound(operator, whole_number(text[1:]) - 1) if text[1:].isdigit() else None


def rowid_range(bounds: Sequence[Bound], params: Sequence[Any] | Mapping[str, Any]) -> tuple[int, int] | None:
    """The first and the last rowid that the bounds let through, first > last for none; None where it is for SQLite
    to say what a value means."""
    first, last = INT64_MIN, INT64_MAX
    for bound in bounds:
        value = bound.number
        if bound.parameter is not None:
            try:
                value = params[bound.parameter]  # type: ignore[index]
            except LookupError:
                return None
            if type(value) is not int or not INT64_MIN <= value <= INT64_MAX:
                return None
        if bound.operator in ("=", ">=", ">"):
            first = max(first, value + (bound.operator == ">"))
        if bound.operator in ("=", "<=", "<"):
            last = min(last, value - (bound.operator == "<"))
    return first, last
