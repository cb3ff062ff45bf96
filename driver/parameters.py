"""Parameters of a statement, as programs give them, in a form that apsw binds the way sqlite3 would."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from colonnade.store.errors import ProgrammingError
from colonnade.types import NATIVE, READY, adapted, convert_binding


def bindable(parameters: Any) -> Any:
    """A list or a mapping with the values of `parameters`; ProgrammingError for what is neither."""
    if not isinstance(parameters, tuple | list | Mapping):
        if not hasattr(type(parameters), "__getitem__"):
            raise ProgrammingError("parameters are of unsupported type")
        parameters = [parameters[position] for position in range(len(parameters))]
    return parameters if READY else _adapted(parameters)


def bindable_rows(rows: Iterable[Any]) -> Iterable[Any]:
    """For executemany: apsw takes what sqlite3 takes, so rows are touched only where adapters ask for it."""
    return rows if READY else map(bindable, rows)


def _adapted(parameters: Any) -> Any:
    if isinstance(parameters, Mapping):
        return {name: adapted(value) for name, value in parameters.items()}
    return [adapted(value) for value in parameters]


def values(parameters: Iterable[Any]) -> Iterator[Any]:
    """The values of one row for a path that does not go through apsw: other types adapted or refused."""
    for number, value in enumerate(parameters, 1):
        yield value if isinstance(value, NATIVE) else convert_binding(None, number, value)
