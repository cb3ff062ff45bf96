"""The program's hooks on its connection: authorizer, progress handler, trace callback, and extensions."""

from __future__ import annotations

import sys
from operator import index
from typing import TYPE_CHECKING, cast
from weakref import proxy

import apsw

from colonnade.base import Base
from colonnade.errors import translate
from colonnade.keywords import keywords_deprecated
from colonnade.store.errors import OperationalError
from colonnade.watch import Authorizer, Progress, Trace, Update, Watch

if TYPE_CHECKING:
    from colonnade.connection import Connection


class Hooks(Base):
    """The mixin of Connection for hooks.

    _watch  what tells the program's statements from Colonnade's own; None until a hook is set
    """

    _watch: Watch | None = None

    def _watching(self) -> Watch:
        self._check_open()
        if self._watch is None:
            self._watch = Watch(cast("Connection", proxy(self)), self._db)
        return self._watch

    @keywords_deprecated("set_authorizer", "authorizer_callback")
    def set_authorizer(self, authorizer_callback: Authorizer | None) -> None:
        """Ask `authorizer_callback` about each access of each statement when it is prepared; None: no more.

        It gets the action and up to four names and returns SQLITE_OK, SQLITE_IGNORE or SQLITE_DENY; all that
        is no integer, and an exception, denies.
        """
        self._watching().authorize(authorizer_callback)

    @keywords_deprecated("set_progress_handler", "progress_handler")
    def set_progress_handler(self, progress_handler: Progress | None, n: int) -> None:
        """Call `progress_handler` after every `n` steps of SQLite's virtual machine; None: no more.

        Something true, or an exception, ends the statement with OperationalError.
        """
        self._watching().progress(progress_handler, index(n))

    @keywords_deprecated("set_trace_callback", "trace_callback")
    def set_trace_callback(self, trace_callback: Trace | None) -> None:
        """Call `trace_callback` with each statement that is run, its parameters filled in; None: no more."""
        self._watching().trace(trace_callback)

    def set_update_hook(self, update_callback: Update | None) -> None:
        """Call `update_callback` for each row that a statement inserts, updates or deletes; None: no more.

        Not in sqlite3. It gets SQLITE_INSERT, SQLITE_UPDATE or SQLITE_DELETE, the names of the database and of the
        table, and the rowid, and must not use the connection (sqlite.org/c3ref/update_hook.html). Rows that only move
        between the parts of a table are none of these. Bulk load, and DELETE of all rows of a table, call nothing.
        """
        self._watching().update(update_callback)

    def interrupt(self) -> None:
        """Make the statement that is running fail soon; from any thread."""
        self._check_closed()
        self._db.interrupt()

    def enable_load_extension(self, enable: bool, /) -> None:
        """Whether load_extension() and SQL's function of this name may be used."""
        self._check_open()
        sys.audit("sqlite3.enable_load_extension", self, enable)
        self._db.enable_load_extension(bool(enable))

    def load_extension(self, name: str, /, *, entrypoint: str | None = None) -> None:
        """Load a shared library with an extension of SQLite.

        entrypoint  the function in it to call; None: SQLite derives its name
        """
        self._check_open()
        sys.audit("sqlite3.load_extension", self, name)
        try:
            self._db.load_extension(name, entrypoint)
        except apsw.ExtensionLoadingError as error:
            raise OperationalError(str(error)) from None
        except apsw.Error as error:
            raise translate(error) from None
