"""The two sides of the comparison: plain apsw with what sqlite3 says added to it, and Colonnade."""

from __future__ import annotations

from abc import ABC, abstractmethod
from contextlib import suppress
from itertools import islice
from typing import Any, ClassVar

import apsw

import colonnade
from tests.differential.model import Step

Outcome = dict[str, Any]

_DML = ("INSERT", "UPDATE", "DELETE", "REPLACE")
_LOOPS = 60  # rows of a loop at most: a trigger may add one at each
_UNREADABLE = "Could not decode to UTF-8"
# sqlite3's class for each primary result code of SQLite's; all others are OperationalError.
_CLASSES = {
    **dict.fromkeys((apsw.SQLITE_CONSTRAINT, apsw.SQLITE_MISMATCH), "IntegrityError"),
    **dict.fromkeys((apsw.SQLITE_MISUSE, apsw.SQLITE_RANGE), "InterfaceError"),
    **dict.fromkeys((apsw.SQLITE_INTERNAL, apsw.SQLITE_NOTFOUND), "InternalError"),
    **dict.fromkeys(
        (
            *(apsw.SQLITE_CORRUPT, apsw.SQLITE_AUTH, apsw.SQLITE_NOTADB),
            *(apsw.SQLITE_NOLFS, apsw.SQLITE_FORMAT),
        ),
        "DatabaseError",
    ),
    apsw.SQLITE_TOOBIG: "DataError",
}


class Stale(Exception):
    """What a statement gives depends on whether sqlite3 finds it in its cache."""


class _Side(ABC):
    """What both sides do alike, each with a connection of its own.

    settings   PRAGMAs by name
    attached   whether there is a second database, `aux`
    """

    errors: ClassVar[tuple[type[Exception], ...]]

    def __init__(self, path: str, settings: dict[str, object], *, attached: bool) -> None:
        self.path, self.settings, self.attached = path, settings, attached
        self.opened: Any = None
        self.db: Any = None
        self.connect()

    def connect(self) -> None:
        self.db = self.connection()
        for name, value in self.settings.items():
            self.db.execute(f"PRAGMA {name} = {value}")
        if self.attached:
            self.db.execute(f"ATTACH '{self.attached_path}' AS aux")
        if self.path != ":memory:":
            for schema in ("main", "aux") if self.attached else ("main",):
                self.db.execute(f"PRAGMA {schema}.synchronous = off")

    @property
    def attached_path(self) -> str:
        return self.path if self.path == ":memory:" else f"{self.path}-aux"

    def reopen(self) -> None:
        self.close()
        self.connect()

    def close(self) -> None:
        self.opened = None
        self.db.close()

    @abstractmethod
    def connection(self) -> Any: ...

    @abstractmethod
    def failure(self, error: Any) -> Outcome: ...

    @abstractmethod
    def facts(self) -> Outcome: ...

    @abstractmethod
    def one(self, step: Step) -> Outcome: ...

    @abstractmethod
    def many(self, step: Step) -> Outcome: ...

    def run(self, step: Step) -> Outcome:
        """What can be seen of one statement."""
        try:
            result = self.many(step) if step.how == "many" else self.one(step)
        except self.errors as error:
            result = self.failure(error)
        except Stale:
            result = {"stale": True}
        return result | self.facts()

    def open(self, step: Step) -> Outcome:
        self.opened = None
        try:
            self.opened = self.db.execute(step.sql, step.parameters)
        except self.errors as error:
            return self.failure(error)
        return self.facts()

    def fetch(self, wanted: str) -> Outcome:
        try:
            if self.opened is None:
                return {}
            if wanted == "all":
                rows, self.opened = self.opened.fetchall(), None
            else:
                rows = [row for row in (self.opened.fetchone(),) if row is not None]
        except self.errors as error:
            self.opened = None
            return self.failure(error)
        return {"rows": rows} | self.facts()

    def loop(self, step: Step) -> Outcome:
        rows = []
        try:
            for row in islice(self.db.execute(step.sql), _LOOPS):
                rows.append(row)
                self.db.execute(step.parameters, (row[0],))
        except self.errors as error:
            return {"rows": rows} | self.failure(error) | self.facts()
        return {"rows": rows} | self.facts()

    def attach(self, step: Step) -> Outcome:
        """Detach the second database and attach it again."""
        before = self.run(Step(step.kind, "DETACH aux"))
        return self.run(Step(step.kind, f"ATTACH '{self.attached_path}' AS aux")) | {
            "before": before.get("error")
        }

    def query(self, sql: str) -> list[tuple[Any, ...]]:
        return list(self.db.execute(sql).fetchall())


class Reference(_Side):
    """SQLite through apsw, with sqlite3's rowcount, lastrowid, classes and codes of errors."""

    errors = (apsw.Error, UnicodeDecodeError)

    def connection(self) -> apsw.Connection:
        return apsw.Connection(self.path)

    def failure(self, error: Any) -> Outcome:
        code = getattr(error, "extendedresult", None)
        name, message = _CLASSES.get((code or 0) & 0xFF, "OperationalError"), str(error)
        if isinstance(error, UnicodeDecodeError):
            message = _UNREADABLE
        return {"error": (name, message, code), "rowcount": -1, "lastrowid": None}

    def facts(self) -> Outcome:
        return {"total changes": self.db.total_changes(), "in transaction": self.db.in_transaction}

    def one(self, step: Step) -> Outcome:
        # Not from the cache: SQLite does not look whether a name has come to stand for another schema's table.
        cursor = self.db.execute(step.sql, step.parameters, can_cache=False)
        names: tuple[str, ...] = ()
        with suppress(apsw.ExecutionCompleteError):
            names = tuple(column[0] for column in cursor.getdescription())
        rows = cursor.fetchall()
        rowcount = self.db.changes() if step.sql.startswith(_DML) else -1
        return {"rows": rows, "names": names, "rowcount": rowcount, "lastrowid": self.db.last_insert_rowid()}

    def many(self, step: Step) -> Outcome:
        count = 0
        if not step.parameters:
            self._prepare(step.sql)
        for row in step.parameters:
            # What is in the cache may have been prepared while PRAGMA defer_foreign_keys was on, and goes by it.
            self.db.execute(step.sql, row, can_cache=False).fetchall()
            count += self.db.changes()
        return {"rows": [], "names": (), "rowcount": count, "lastrowid": None}

    def _prepare(self, sql: str) -> None:
        """What sqlite3 does for an executemany without rows, for which any error is one that comes of preparing.

        A statement that it finds in its cache is not prepared again, whatever has changed since: where that makes
        a difference, neither is compared.
        """
        outcomes = []
        for can_cache in (True, False):
            cursor = self.db.cursor()
            cursor.exec_trace = lambda *_: False
            try:
                cursor.execute(sql, [None] * sql.count("?"), can_cache=can_cache)
            except apsw.ExecTraceAbort:
                outcomes.append(None)
            except apsw.Error as error:
                outcomes.append(error)
        cached, fresh = outcomes
        if cached is None and fresh is not None:
            raise Stale
        if fresh is not None:
            raise fresh

    def forget_rowid(self) -> None:
        self.db.set_last_insert_rowid(0)


class Ours(_Side):
    """Colonnade, in a storage format."""

    errors = (colonnade.Error,)

    def connection(self) -> colonnade.Connection:
        return colonnade.connect(self.path, isolation_level=None)

    def failure(self, error: Any) -> Outcome:
        message = str(error)
        if message.startswith(_UNREADABLE):
            message = _UNREADABLE
        code = getattr(error, "sqlite_errorcode", None)
        return {"error": (type(error).__name__, message, code), "rowcount": -1, "lastrowid": None}

    def facts(self) -> Outcome:
        return {"total changes": self.db.total_changes, "in transaction": self.db.in_transaction}

    def one(self, step: Step) -> Outcome:
        cursor = self.db.execute(step.sql, step.parameters)
        names = tuple(column[0] for column in cursor.description or ())
        rows = cursor.fetchall()
        return {"rows": rows, "names": names, "rowcount": cursor.rowcount, "lastrowid": cursor.lastrowid}

    def many(self, step: Step) -> Outcome:
        cursor = self.db.executemany(step.sql, step.parameters)
        return {"rows": [], "names": (), "rowcount": cursor.rowcount, "lastrowid": cursor.lastrowid}

    def forget_rowid(self) -> None:
        self.db._db.set_last_insert_rowid(0)

    def in_column_format(self, names: tuple[str, ...]) -> bool:
        """Whether any of these tables has rows in row groups."""
        store = self.db._session.store
        if not store.has_column_tables():
            return False
        schemas = ("main", "aux") if "aux" in self.db._db.db_names() else ("main",)
        tables = [store.table(name, schema) for name in names for schema in schemas]
        return any(table is not None and table.groups() for table in tables)

    def freeze(self, name: str, schema: str) -> bool:
        """Turn a table to column format, or freeze its row part; False where it must stay as it is."""
        session = self.db._session
        if session.router._violations_counted() or self.opened is not None:
            return False
        if schema not in self.db._db.db_names():
            return False
        with session.changes.kept():
            table = session.store.table(name, schema)
            if table is None:
                if session.store.ineligible(name, schema) is not None:
                    return False
                table = session.store.convert(name, schema)
            table.freeze()
        session.refresh()
        return True
