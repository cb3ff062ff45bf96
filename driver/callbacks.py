"""Exceptions in the program's callbacks, which SQLite cannot carry: what becomes of them, as in sqlite3.

SQLite gets an error of its own; the exception is shown if enable_callback_tracebacks(True) was called,
through sys.unraisablehook, and dropped otherwise.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from operator import index
from typing import Any

import apsw

from colonnade.errors import error_name
from colonnade.store.errors import DataError, Error, OperationalError

# The type of sys.unraisablehook's argument, which has no name in any module; the standard hook takes no other.
_Unraisable: Any = next(kind for kind in tuple.__subclasses__() if kind.__name__ == "UnraisableHookArgs")

_INT_MAX = 2**31 - 1
_INT64 = 2**63
_shown = False


def enable_callback_tracebacks(enable: int, /) -> None:
    """Whether exceptions in callbacks go to sys.unraisablehook; of all connections."""
    global _shown
    _shown = bool(index(enable))


def show(error: BaseException, callback: object) -> None:
    """Hand an exception that `callback` raised to sys.unraisablehook, if the program wants to see them."""
    if not _shown:
        return
    trace = error.__traceback__
    here = trace.tb_next if trace is not None else None  # without the driver's own frame
    sys.unraisablehook(_Unraisable((type(error), error, here, None, callback)))


def failed(error: BaseException, callback: object, message: str) -> Exception:
    """What the statement raises after its callback raised `error`, which is shown here."""
    show(error, callback)
    if isinstance(error, MemoryError):
        return MemoryError()
    if isinstance(error, OverflowError):
        return coded(DataError, "string or blob too big", apsw.SQLITE_TOOBIG)
    return coded(OperationalError, message, apsw.SQLITE_ERROR)


def coded(kind: type[Error], message: str, code: int) -> Error:
    """An error with SQLite's code and the code's name."""
    error = kind(message)
    error.sqlite_errorcode = code
    error.sqlite_errorname = error_name(code)
    return error


def result(value: Any) -> Any:
    """What a function returned, as apsw takes it.

    Raises  OverflowError, UnicodeEncodeError, BufferError or TypeError for what is no value of SQLite's
    """
    if value is None or isinstance(value, float):
        return value
    if isinstance(value, int):
        if not -_INT64 <= value < _INT64:
            raise OverflowError("Python int too large to convert to SQLite INTEGER")
        return value
    if isinstance(value, str):
        if (len(value) if value.isascii() else len(value.encode())) > _INT_MAX:
            raise OverflowError("string is longer than INT_MAX bytes")
        return value
    return _blob(value)


def _blob(value: Any) -> Any:
    try:
        view = memoryview(value)
    except TypeError:
        name = type(value).__name__
        raise TypeError(f"User-defined functions cannot return '{name}' values to SQLite") from None
    if not view.c_contiguous:
        raise BufferError("memoryview: underlying buffer is not C-contiguous")
    if view.nbytes > _INT_MAX:
        raise OverflowError("BLOB longer than INT_MAX bytes")
    return value


def checked(callback: Any) -> Callable[..., Any]:
    """`callback`; TypeError for what cannot be called."""
    if not callable(callback):
        raise TypeError("parameter must be callable")
    return callback  # type: ignore[no-any-return]
