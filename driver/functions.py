"""The program's functions, aggregates, window functions and collations in SQL."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import apsw

from colonnade.base import Base
from colonnade.callbacks import checked, failed, result, show
from colonnade.errors import translate
from colonnade.keywords import keywords_deprecated
from colonnade.store.errors import OperationalError, ProgrammingError

_RAISED = "user-defined function raised exception"
_AGGREGATE = "user-defined aggregate's '{}' method {}"


class Functions(Base):
    """The mixin of Connection for what the program adds to SQL."""

    @keywords_deprecated("create_function", "name", "narg", "func")
    def create_function(
        self, name: str, narg: int, func: Callable[..., Any] | None, *, deterministic: bool = False
    ) -> None:
        """Make `func` a function of SQL; None takes it away.

        narg           how many arguments it takes, -1: any number
        deterministic  whether equal arguments always give equal results: SQLite may call it less often
        """
        self._check_open()
        call = None if func is None else _scalar(func)
        try:
            self._db.create_scalar_function(name, call, narg, deterministic=bool(deterministic))
        except apsw.Error as error:
            raise _creation("function", error) from None

    @keywords_deprecated("create_aggregate", "name", "n_arg", "aggregate_class")
    def create_aggregate(self, name: str, n_arg: int, aggregate_class: Callable[[], Any] | None) -> None:
        """Make a class with the methods step(*arguments) and finalize() an aggregate of SQL.

        None takes it away; n_arg is -1 for any number of arguments.
        """
        self._check_open()
        make = None if aggregate_class is None else lambda: _Aggregate(aggregate_class)
        try:
            self._db.create_aggregate_function(name, make, n_arg)
        except apsw.Error as error:
            raise _creation("aggregate", error) from None

    def create_window_function(
        self, name: str, num_params: int, aggregate_class: Callable[[], Any] | None, /
    ) -> None:
        """As create_aggregate; with the methods inverse(*arguments) and value() it may be used with OVER."""
        self._check_open()
        make = None if aggregate_class is None else lambda: _Aggregate(aggregate_class)
        try:
            self._db.create_window_function(name, make, num_params)
        except apsw.MisuseError:
            raise ProgrammingError("bad parameter or other API misuse") from None
        except apsw.Error as error:
            raise translate(error) from None

    def create_collation(self, name: str, callback: Callable[[str, str], int] | None, /) -> None:
        """Make `callback`, which compares two texts, a collation of SQL; None takes it away."""
        if "\0" in name:
            raise ValueError("embedded null character")
        self._check_open()
        compare = None if callback is None else _comparison(checked(callback))
        try:
            self._db.create_collation(str.__str__(name), compare)
        except apsw.Error as error:
            raise translate(error) from None


def _creation(kind: str, error: apsw.Error) -> Exception:
    """sqlite3 says no more than this, except for a closed connection."""
    if isinstance(error, apsw.ConnectionClosedError):
        return translate(error)
    return OperationalError(f"Error creating {kind}")


def _scalar(func: Callable[..., Any]) -> Callable[..., Any]:
    def call(*arguments: Any) -> Any:
        try:
            return result(func(*arguments))
        except BaseException as error:
            raise failed(error, func, _RAISED) from None

    return call


def _comparison(callback: Callable[[str, str], Any]) -> Callable[[str, str], int]:
    """What is no integer compares as equal; an exception stops the statement, and is what it raises."""

    def compare(left: str, right: str) -> int:
        order = callback(left, right)
        if not isinstance(order, int):
            return 0
        return (order > 0) - (order < 0)

    return compare


class _Aggregate:
    """One group, or one window, of an aggregate: the program's object, made when the first row comes.

    SQLite calls final() for a group without rows too, which has no object and is NULL.
    """

    __slots__ = ("_class", "_in_window", "_instance", "_over")

    def __init__(self, aggregate_class: Callable[[], Any]) -> None:
        self._class = aggregate_class
        self._instance: Any = None
        self._over = False
        self._in_window = False

    def step(self, *arguments: Any) -> None:
        if self._instance is None:
            try:
                self._instance = self._class()
            except BaseException as error:
                self._over = True
                raise self._failed(error, "__init__") from None
        self._call("step", arguments)

    def inverse(self, *arguments: Any) -> None:
        self._in_window = True
        self._call("inverse", arguments)

    def value(self) -> Any:
        self._in_window = True
        return None if self._instance is None else self._result("value")

    def final(self) -> Any:
        if self._instance is None or self._over:
            return None
        self._over = True
        if not self._in_window:
            return self._result("finalize")
        self._finalize_unheard()
        return None

    def _call(self, name: str, arguments: tuple[Any, ...]) -> None:
        try:
            method = getattr(self._instance, name)
        except BaseException as error:
            raise self._stopped(error, name, "not defined") from None
        try:
            method(*arguments)
        except BaseException as error:
            raise self._stopped(error, name) from None

    def _result(self, name: str) -> Any:
        try:
            return result(getattr(self._instance, name)())
        except BaseException as error:
            verdict = "not defined" if isinstance(error, AttributeError) else "raised error"
            raise (self._failed if self._over else self._stopped)(error, name, verdict) from None

    def _stopped(self, error: BaseException, name: str, verdict: str = "raised error") -> Exception:
        """The error of the statement, which ends here: the program's object is told so, as by sqlite3."""
        failure = self._failed(error, name, verdict)
        if not self._over:
            self._over = True
            self._finalize_unheard()
        return failure

    def _finalize_unheard(self) -> None:
        """Call finalize() where SQLite has no use for its result, nor for its exception."""
        try:
            self._instance.finalize()
        except BaseException as error:
            show(error, self._class)

    def _failed(self, error: BaseException, name: str, verdict: str = "raised error") -> Exception:
        return failed(error, self._class, _AGGREGATE.format(name, verdict))
