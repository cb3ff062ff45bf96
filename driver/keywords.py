"""Parameters of Connection's methods that may still be named, but should be given by position."""

from __future__ import annotations

import sys
from collections.abc import Callable
from functools import wraps
from typing import ParamSpec, TypeVar

from colonnade.notices import deprecated

_Parameters = ParamSpec("_Parameters")
_Result = TypeVar("_Result")


def keywords_deprecated(
    method: str, *names: str
) -> Callable[[Callable[_Parameters, _Result]], Callable[_Parameters, _Result]]:
    """Decorates a method of Connection: from 3.13 on, naming these parameters in a call is deprecated."""
    *front, last = (f"'{name}'" for name in names)
    quoted = f"{', '.join(front)} and {last}" if front else last
    s = "s" if front else ""
    message = (
        f"Passing keyword argument{s} {quoted} to _sqlite3.Connection.{method}() is deprecated. "
        f"Parameter{s} {quoted} will become positional-only in Python 3.15."
    )

    def decorate(function: Callable[_Parameters, _Result]) -> Callable[_Parameters, _Result]:
        if sys.version_info < (3, 13):
            return function

        @wraps(function)
        def warn_and_call(*arguments: _Parameters.args, **named: _Parameters.kwargs) -> _Result:
            if not named.keys().isdisjoint(names):
                deprecated(message)
            return function(*arguments, **named)

        return warn_and_call

    return decorate
