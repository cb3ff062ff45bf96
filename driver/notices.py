"""Warnings that point at the line of the program, whatever of the driver lies between."""

from __future__ import annotations

import sys
import warnings
from collections.abc import Callable
from functools import wraps
from pathlib import Path
from typing import ParamSpec

_Parameters = ParamSpec("_Parameters")
_PACKAGE = str(Path(__file__).parent)


def deprecated(message: str) -> None:
    """A DeprecationWarning at the innermost line that is not the driver's own."""
    level, frame = 2, sys._getframe(1)
    while frame.f_back is not None and frame.f_code.co_filename.startswith(_PACKAGE):
        level, frame = level + 1, frame.f_back
    warnings.warn(message, DeprecationWarning, stacklevel=level)


def warns_of_positional(init: Callable[_Parameters, None]) -> Callable[_Parameters, None]:
    """Decorates Connection.__init__, whose arguments are deprecated by position from 3.13 on."""
    if sys.version_info < (3, 13):
        return init

    @wraps(init)
    def warn_and_init(*arguments: _Parameters.args, **options: _Parameters.kwargs) -> None:
        positional(len(arguments) - 1, "_sqlite3.Connection")
        init(*arguments, **options)

    return warn_and_init


def positional(count: int, function: str) -> None:
    """For `count` arguments of connect() or Connection() that were not named: from 3.13 on only one should be."""
    if count > 1 and sys.version_info >= (3, 13):
        deprecated(
            f"Passing more than 1 positional argument to {function}() is deprecated. Parameters 'timeout', "
            "'detect_types', 'isolation_level', 'check_same_thread', 'factory', 'cached_statements' and 'uri' "
            "will become keyword-only parameters in Python 3.15."
        )
