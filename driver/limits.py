"""Limits and switches of a connection."""

from __future__ import annotations

import sys
from operator import index
from typing import Any

from colonnade.base import Base
from colonnade.constants import SWITCHES
from colonnade.store.errors import OperationalError, ProgrammingError

_INT = range(-(2**31), 2**31)


def c_int(value: Any) -> int:
    """`value` as a C int; TypeError or OverflowError if it is none."""
    number = index(value)
    if number not in _INT:
        raise OverflowError("Python int too large to convert to C int")
    return number


class Limits(Base):
    """The mixin of Connection for what may be set on it."""

    def getlimit(self, category: int, /) -> int:
        """The limit of this category, one of SQLITE_LIMIT_*."""
        return self.setlimit(category, -1)

    def setlimit(self, category: int, limit: int, /) -> int:
        """Set a limit, cut to what SQLite was built for; nothing if negative. Returns the limit before."""
        self._check_open()
        before = self._db.limit(c_int(category), c_int(limit))
        if before < 0:
            raise ProgrammingError("'category' is out of bounds")
        return before

    if sys.version_info >= (3, 12):

        def getconfig(self, op: int, /) -> bool:
            """Whether a switch, one of SQLITE_DBCONFIG_*, is on."""
            self._check_open()
            return bool(self._db.config(_switch(op), -1))

        def setconfig(self, op: int, enable: bool = True, /) -> None:
            """Turn a switch on or off."""
            self._check_open()
            wanted = bool(enable)
            if bool(self._db.config(_switch(op), int(wanted))) != wanted:
                raise OperationalError("Unable to set config")


def _switch(op: int) -> int:
    code = c_int(op)
    if code not in SWITCHES.values():
        raise ValueError(f"unknown config 'op': {code}")
    return code
