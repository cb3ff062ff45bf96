"""Parameters of a statement, as programs give them, in a form that apsw binds the way sqlite3 would."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from colonnade.notices import deprecated
from colonnade.plan import Plan
from colonnade.store.errors import ProgrammingError
from colonnade.types import NATIVE, READY, adapted, convert_binding

if TYPE_CHECKING:
    from colonnade.statements import Statements

_PLAIN = frozenset({int, float, str, bytes, type(None)})


def bindable(parameters: Any) -> Any:
    """A list or a mapping with the values of `parameters`; ProgrammingError for what is neither."""
    if type(parameters) is list and READY:
        return _steady(parameters)
    if not isinstance(parameters, tuple | list | Mapping):
        if not hasattr(type(parameters), "__getitem__"):
            raise ProgrammingError("parameters are of unsupported type")
        parameters = [parameters[position] for position in range(len(parameters))]
    return parameters if READY else _adapted(parameters)


def bindable_rows(rows: Iterable[Any]) -> Iterable[Any]:
    """For executemany: apsw takes what sqlite3 takes, so rows are touched only where adapters ask for it."""
    return rows if READY else map(bindable, rows)


def _steady(parameters: list[Any]) -> Sequence[Any]:
    """The values of a list, which callbacks of the program may change; IndexError if one makes it shorter."""
    if _PLAIN.issuperset(map(type, parameters)):
        return tuple(parameters)
    places = range(len(parameters))
    return [_bound(place + 1, parameters[place]) for place in places]


def _bound(number: int, value: Any) -> Any:
    return value if isinstance(value, NATIVE) else convert_binding(None, number, value)


def warn_of_names(connection: Statements, plan: Plan, parameters: Any) -> None:
    """For parameters with names that are given by position, which later versions of Python refuse.

    connection  asked for the names once for each plan
    """
    if isinstance(parameters, Mapping):
        return
    names = connection._parameter_names(plan.text)
    named = [(number, name) for number, name in enumerate(names, 1) if name and not name.isdecimal()]
    plan.named = bool(named)
    for number, name in named:
        at = plan.text.find(name)
        while at > 0 and plan.text[at - 1] not in ":@$":
            at = plan.text.find(name, at + 1)
        deprecated(
            f"Binding {number} ('{plan.text[at - 1 : at]}{name}') is a named parameter, but you supplied a "
            "sequence which requires nameless (qmark) placeholders. Starting with Python 3.14 an "
            "sqlite3.ProgrammingError will be raised."
        )


def _adapted(parameters: Any) -> Any:
    if isinstance(parameters, Mapping):
        return {name: adapted(value) for name, value in parameters.items()}
    return [adapted(value) for value in parameters]


def values(parameters: Iterable[Any]) -> Iterator[Any]:
    """The values of one row for a path that does not go through apsw: other types adapted or refused."""
    for number, value in enumerate(parameters, 1):
        yield _bound(number, value)


class AdaptedNames(Mapping[str, Any]):
    """Named values, each adapted when it is asked for: a mapping may make them up.

    given  the mapping
    """

    def __init__(self, given: Mapping[str, Any]) -> None:
        self.given = given

    def __getitem__(self, name: str) -> Any:
        value = self.given[name]
        return value if isinstance(value, NATIVE) else convert_binding(None, 1, value)

    def __iter__(self) -> Iterator[str]:
        return iter(self.given)

    def __len__(self) -> int:
        return len(self.given)


def stored_values(parameters: Any) -> Any:
    """What SQLite stores for the parameters of one statement: a tuple, or a dict by name, of int, float, str, bytes
    and None; None instead for a mapping that is no dict, and may have no values but those it is asked for."""
    if type(parameters) is AdaptedNames:
        parameters = parameters.given
    if type(parameters) is dict:
        return {name: _stored(_bound(1, value)) for name, value in parameters.items()}
    if isinstance(parameters, Mapping):
        return None
    return tuple([_stored(_bound(place, value)) for place, value in enumerate(parameters, 1)])


def _stored(value: Any) -> Any:
    kind = type(value)
    if kind in _PLAIN:
        return value
    for plain in (int, float, str):
        if isinstance(value, plain):
            return plain(value)
    return bytes(value)
