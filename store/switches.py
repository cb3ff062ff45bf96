"""Connection switches the store turns for its own statements, and turns back whatever happens.

Rows that move between the two parts of a table are no change to it: no trigger may fire, no foreign key
may be checked, and the program's last_insert_rowid() must not move. sqlite3_db_config changes these
inside a transaction too, where PRAGMA foreign_keys is ignored. A changed switch makes SQLite prepare all
statements again, and stops one that is being read when it next opens a table (a correlated subquery does),
so a switch that already stands right, or guards nothing, is left alone.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass

import apsw

FOREIGN_KEYS = apsw.SQLITE_DBCONFIG_ENABLE_FKEY
TRIGGERS = apsw.SQLITE_DBCONFIG_ENABLE_TRIGGER
LEGACY_ALTER = apsw.SQLITE_DBCONFIG_LEGACY_ALTER_TABLE
WRITABLE_SCHEMA = apsw.SQLITE_DBCONFIG_WRITABLE_SCHEMA
DEFENSIVE = apsw.SQLITE_DBCONFIG_DEFENSIVE


@contextmanager
def switched(db: apsw.Connection, switch: int, value: bool) -> Iterator[None]:
    """One sqlite3_db_config switch at `value` for the block."""
    before = db.config(switch, -1)
    if before == value:
        yield
        return
    db.config(switch, int(value))
    try:
        yield
    finally:
        db.config(switch, before)


@contextmanager
def checks_ignored(db: apsw.Connection) -> Iterator[None]:
    """CHECK constraints are not evaluated: the rows passed them, or were let through, when they came."""
    before = bool(db.execute("PRAGMA ignore_check_constraints").get)
    if before:
        yield
        return
    db.execute("PRAGMA ignore_check_constraints=1")
    try:
        yield
    finally:
        db.execute("PRAGMA ignore_check_constraints=0")


@contextmanager
def unnoticed(db: apsw.Connection) -> Iterator[None]:
    """last_insert_rowid() stays what the program's own INSERT made it."""
    before = db.last_insert_rowid()
    try:
        yield
    finally:
        db.set_last_insert_rowid(before)


@dataclass(frozen=True, slots=True)
class Guards:
    """What would notice rows that move into or out of a row part: only that has to be switched off.

    foreign_keys  the table is in some foreign key, as child or as parent
    child         as child
    """

    foreign_keys: bool
    child: bool
    triggers: bool
    checks: bool

    @property
    def any(self) -> bool:
        """Whether anything would notice."""
        return self.foreign_keys or self.triggers or self.checks


@contextmanager
def moving_rows(db: apsw.Connection, guards: Guards) -> Iterator[None]:
    """For rows on their way from one part of a table to the other."""
    with ExitStack() as stack:
        stack.enter_context(unnoticed(db))
        if guards.foreign_keys:
            stack.enter_context(switched(db, FOREIGN_KEYS, False))
        if guards.triggers:
            stack.enter_context(switched(db, TRIGGERS, False))
        if guards.checks:
            stack.enter_context(checks_ignored(db))
        yield
