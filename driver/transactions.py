"""Transactions of a connection: who begins them, sqlite3's two ways, and how they end.

The one is PEP 249's `autocommit` attribute (of Python 3.12, here on every version): False means that there
always is a transaction, True that the program says BEGIN itself. The other, LEGACY_TRANSACTION_CONTROL and
the default, is `isolation_level`: INSERT, UPDATE, DELETE and REPLACE begin what commit() ends.
"""

from __future__ import annotations

from threading import get_ident
from types import TracebackType
from typing import Any, Literal

import apsw

from colonnade.base import Base
from colonnade.errors import translate
from colonnade.statements import Statements
from colonnade.watch import run_seen

LEGACY_TRANSACTION_CONTROL = -1

_LEVELS = ("", "DEFERRED", "IMMEDIATE", "EXCLUSIVE")
_READ_LOCK = 1  # SQLITE_TXN_READ: the transaction has written nothing


class Transactions(Statements, Base):
    """The mixin of Connection for transactions.

    _begin       what DML says before it outside a transaction; None: nothing
    _unverified  tables may have changed their format since Colonnade looked
    """

    _begin: str | None
    _level: str | None
    _autocommit: bool | int
    _unverified: bool

    def _start_transactions(self, level: str | None, autocommit: bool | int) -> None:
        self._level = level
        self._set_autocommit(autocommit)

    def commit(self) -> None:
        """End the transaction, if there is one. In bulk load the keys of all new rows are checked first."""
        if get_ident() != self._thread:
            return self._elsewhere(self.commit)
        self._check_closed()
        if self._autocommit is True or (self._autocommit is not False and not self._db.in_transaction):
            return None
        try:
            self._session.commit()
            if self._autocommit is False:
                self._begin_now()
        except Exception as error:
            raise translate(error) from None
        return None

    def rollback(self) -> None:
        """Undo the transaction, if there is one."""
        if get_ident() != self._thread:
            return self._elsewhere(self.rollback)
        self._check_closed()
        if self._autocommit is True or (self._autocommit is not False and not self._db.in_transaction):
            return None
        try:
            self._session.rollback()
            if self._autocommit is False:
                self._begin_now()
        except Exception as error:
            raise translate(error) from None
        return None

    def _begin_now(self) -> None:
        run_seen(self._db, "BEGIN")
        self._unverified = True

    @property
    def in_transaction(self) -> bool:
        """Whether a transaction is open."""
        self._check_closed()
        return self._db.in_transaction

    @property
    def autocommit(self) -> bool | int:
        """True, False or LEGACY_TRANSACTION_CONTROL. Setting True commits, setting False begins."""
        self._check_open()
        return self._autocommit

    @autocommit.setter
    def autocommit(self, value: bool | int) -> None:
        self._check_open()
        value = checked_autocommit(value)
        try:
            if value is True and self._db.in_transaction:
                self._session.commit()
            self._set_autocommit(value)
        except Exception as error:
            raise translate(error) from None

    def _set_autocommit(self, value: bool | int) -> None:
        self._autocommit = value
        self._begin = self._begin_text()
        if value is False and not self._db.in_transaction:
            self._begin_now()

    def _begin_text(self) -> str | None:
        legacy = self._autocommit is not True and self._autocommit is not False
        return f"BEGIN {self._level}" if legacy and self._level is not None else None

    @property
    def isolation_level(self) -> str | None:
        """ "", "DEFERRED", "IMMEDIATE" or "EXCLUSIVE": the kind of transaction that DML begins; None: none."""
        self._check_closed()
        return self._level

    @isolation_level.setter
    def isolation_level(self, level: str | None) -> None:
        self._check_closed()
        level = checked_level(level)
        if level is None:
            self.commit()
        self._level = level
        self._begin = self._begin_text()

    @isolation_level.deleter
    def isolation_level(self) -> None:
        raise AttributeError("cannot delete attribute")

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> Literal[False]:
        """Commit, or roll back if the block raised or the commit fails; nothing if autocommit is True."""
        self._check_open()
        if kind is not None:
            self.rollback()
            return False
        try:
            self.commit()
        except BaseException:
            self.rollback()
            raise
        return False

    # For the cursors

    def _before_script(self) -> None:
        """What comes before a script: under sqlite3's own transaction control, COMMIT."""
        if self._autocommit is not False:
            self.commit()

    def _begin_writing(self) -> bool:
        """What comes before a statement that writes: BEGIN, and a look whether tables changed their format.

        Returns whether a transaction was begun.
        """
        began = self._begin is not None and not self._db.in_transaction
        if self._begin is not None and began:
            self._session.defer_again()
            run_seen(self._db, self._begin)
        if self._unverified or not self._private:
            try:
                self._session.refresh()
            except BaseException:
                if began and self._db.in_transaction:
                    self._db.execute("ROLLBACK")
                raise
        return began

    def _take_back_begin(self, sql: str, error: Exception) -> None:
        """Undo the BEGIN for a statement that could not even be prepared.

        For one that found the database locked the transaction stays, but not the lock under which the
        connection looked at the schema: it would keep the other from committing.
        """
        if not self._db.in_transaction:
            return
        try:
            self._prepare(sql)
        except Exception:
            self._session.rollback()
            return
        if isinstance(error, apsw.BusyError) and self._begin and self._db.txn_state() == _READ_LOCK:
            self._session.rollback()
            run_seen(self._db, self._begin)


def checked_level(level: Any) -> str | None:
    """An isolation level in upper case, or None; TypeError or ValueError for what is none."""
    if level is None:
        return None
    if not isinstance(level, str):
        raise TypeError("isolation_level must be str or None")
    upper = str.upper(level)
    if upper not in _LEVELS:
        raise ValueError("isolation_level string must be '', 'DEFERRED', 'IMMEDIATE', or 'EXCLUSIVE'")
    return upper


def checked_autocommit(value: Any) -> bool | int:
    """True, False or LEGACY_TRANSACTION_CONTROL; ValueError for all else, 0 and 1 too."""
    if value is True or value is False or (type(value) is int and value == LEGACY_TRANSACTION_CONTROL):
        return value
    raise ValueError("autocommit must be True, False, or sqlite3.LEGACY_TRANSACTION_CONTROL")
