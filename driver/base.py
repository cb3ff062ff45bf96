"""What every part of a connection stands on: the apsw connection behind it, and who may use it now."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager
from threading import RLock, get_ident
from typing import TYPE_CHECKING, Any, NoReturn, TypeVar

import apsw

from colonnade.errors import CLOSED_DATABASE
from colonnade.store.errors import ProgrammingError

if TYPE_CHECKING:
    from colonnade.session import Session

_Result = TypeVar("_Result")

NOT_INITIALISED = "Base Connection.__init__ not called."


class Base:
    """The state that the mixins of Connection share.

    _db       the apsw connection
    _session  what it has beyond SQLite
    _owner    the thread that opened it
    _thread   the thread whose calls need no lock and no check; -1: none, also before __init__
    _lock     held while another thread uses a connection that is not bound to its own
    """

    _db: apsw.Connection
    _session: Session
    _owner: int
    _thread = -1
    _lock: AbstractContextManager[Any] | None = None
    _initialised = False
    _closed = True

    def _own(self, *, check_same_thread: bool) -> None:
        """The calling thread becomes the owner."""
        self._owner = get_ident()
        self._thread = self._owner if check_same_thread else -1
        self._lock = None if check_same_thread else RLock()

    def _elsewhere(self, call: Callable[..., _Result], *arguments: Any) -> _Result:
        """A call from another thread than `_thread`: refused, or done under a shared connection's lock."""
        if self._lock is None:
            self._check_thread()
        assert self._lock is not None
        with self._lock:
            before, self._thread = self._thread, get_ident()
            try:
                return call(*arguments)
            finally:
                self._thread = before

    def _check_initialised(self) -> None:
        if not self._initialised:
            raise ProgrammingError(NOT_INITIALISED)

    def _check_thread(self) -> None:
        self._check_initialised()
        if self._lock is None and get_ident() != self._owner:
            raise ProgrammingError(
                "SQLite objects created in a thread can only be used in that same thread. "
                f"The object was created in thread id {self._owner} and this is thread id {get_ident()}."
            )

    def _check_closed(self) -> None:
        if self._closed:
            self._check_initialised()
            raise ProgrammingError(CLOSED_DATABASE)

    def _check_open(self) -> None:
        self._check_thread()
        self._check_closed()


class NoConnection:
    """What a cursor has before Cursor.__init__ was called."""

    _thread = -1

    def _elsewhere(self, *_: object) -> NoReturn:
        raise ProgrammingError("Base Cursor.__init__ not called.")
