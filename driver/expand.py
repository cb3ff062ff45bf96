"""The text of a statement with its parameters filled in, where SQLite cannot do that itself."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import apsw

from colonnade.sql.tokens import Kind, tokens, whole_number
from colonnade.types import PrepareProtocol, adapt

_PREFIX = 1  # of ?5, :name, @name and $name


def expanded(text: str, parameters: Any) -> str:
    """As sqlite3_expanded_sql(): a literal for each parameter, NULL where none is given."""
    numbers: dict[str, int] = {}
    parts, at, largest = [], 0, 0
    for token in tokens(text):
        if token.kind is not Kind.VARIABLE:
            continue
        name = token.text[_PREFIX:]
        if token.text[0] == "?":
            number = whole_number(name) if name else largest + 1
        else:
            number = numbers.setdefault(token.text, largest + 1)
        largest = max(largest, number)
        parts += [text[at : token.start], _literal(_value(parameters, name, number))]
        at = token.stop
    return "".join(parts) + text[at:]


def _value(parameters: Any, name: str, number: int) -> Any:
    if isinstance(parameters, Mapping):
        return parameters.get(name)
    return parameters[number - 1] if parameters is not None and number <= len(parameters) else None


def _literal(value: Any) -> str:
    value = adapt(value, PrepareProtocol, value)
    if isinstance(value, bytearray | memoryview):
        value = bytes(value)
    return f"x'{value.hex()}'" if isinstance(value, bytes) else apsw.format_sql_value(value)
