"""The two sides of the comparison: plain apsw with what sqlite3 says added to it, and Colonnade."""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path
from typing import Any

import apsw

import colonnade
from tests.differential.model import Step

Outcome = dict[str, Any]

_DML = ("INSERT", "UPDATE", "DELETE", "REPLACE")
_INTEGRITY = (apsw.SQLITE_CONSTRAINT, apsw.SQLITE_MISMATCH)
_MISUSE = (apsw.SQLITE_MISUSE, apsw.SQLITE_RANGE)
_DATABASE = (apsw.SQLITE_CORRUPT, apsw.SQLITE_AUTH, apsw.SQLITE_NOTADB, apsw.SQLITE_NOLFS, apsw.SQLITE_FORMAT)


def _class_of(code: int) -> str:
    """sqlite3's class for a result code of SQLite's."""
    primary = code & 0xFF
    if primary in _INTEGRITY:
        return "IntegrityError"
    if primary in _MISUSE:
        return "InterfaceError"
    if primary == apsw.SQLITE_TOOBIG:
        return "DataError"
    if primary in (apsw.SQLITE_INTERNAL, apsw.SQLITE_NOTFOUND):
        return "InternalError"
    return "DatabaseError" if primary in _DATABASE else "OperationalError"


class Reference:
    """SQLite through apsw, with sqlite3's rowcount, lastrowid, classes and codes of errors."""

    def __init__(self, path: str, *, foreign_keys: bool) -> None:
        self.path = path
        self.db = apsw.Connection(path)
        self.opened: Any = None
        self.db.execute(f"PRAGMA foreign_keys = {int(foreign_keys)}")
        if path != ":memory:":
            self.db.execute("PRAGMA synchronous = off")

    def run(self, step: Step) -> Outcome:
        """What can be seen of one statement."""
        try:
            result = self._many(step) if step.how == "many" else self._one(step)
        except apsw.Error as error:
            result = self.failure(error)
        return result | self._facts()

    def _facts(self) -> Outcome:
        return {"total changes": self.db.total_changes(), "in transaction": self.db.in_transaction}

    @staticmethod
    def failure(error: apsw.Error) -> Outcome:
        code = getattr(error, "extendedresult", 0)
        return {"error": (_class_of(code), str(error), code), "rowcount": -1, "lastrowid": None}

    def _one(self, step: Step) -> Outcome:
        cursor = self.db.execute(step.sql, step.parameters)
        names: tuple[str, ...] = ()
        with suppress(apsw.ExecutionCompleteError):
            names = tuple(column[0] for column in cursor.getdescription())
        rows = cursor.fetchall()
        rowcount = self.db.changes() if step.sql.startswith(_DML) else -1
        return {"rows": rows, "names": names, "rowcount": rowcount, "lastrowid": self.db.last_insert_rowid()}

    def _many(self, step: Step) -> Outcome:
        count = 0
        if not step.parameters:  # sqlite3 prepares the statement all the same
            self.db.execute(f"EXPLAIN {step.sql}", [None] * step.sql.count("?"), can_cache=False)
        for row in step.parameters:
            self.db.execute(step.sql, row).fetchall()
            count += self.db.changes()
        return {"rows": [], "names": (), "rowcount": count, "lastrowid": None}

    def open(self, step: Step) -> Outcome:
        self.opened = None
        try:
            self.opened = self.db.execute(step.sql, step.parameters)
        except apsw.Error as error:
            return self.failure(error)
        return self._facts()

    def fetch(self, wanted: str) -> Outcome:
        try:
            if self.opened is None:
                return {}
            if wanted == "all":
                rows, self.opened = self.opened.fetchall(), None
            else:
                rows = [row for row in (next(self.opened, None),) if row is not None]
        except apsw.Error as error:
            self.opened = None
            return self.failure(error)
        return {"rows": rows} | self._facts()

    def loop(self, step: Step) -> Outcome:
        rows, rowids = [], []
        try:
            for row in self.db.execute(step.sql):
                rows.append(row)
                rowids.append(row[0])
                self.db.execute(step.parameters, (row[0],))
        except apsw.Error as error:
            return {"rows": rows} | self.failure(error) | self._facts()
        return {"rows": rows} | self._facts()

    def query(self, sql: str) -> list[tuple[Any, ...]]:
        return self.db.execute(sql).fetchall()

    def reopen(self) -> None:
        self.close()
        self.__init__(self.path, foreign_keys=False)  # type: ignore[misc]

    def close(self) -> None:
        self.opened = None
        self.db.close()


class Ours:
    """Colonnade, in a storage format."""

    def __init__(self, path: str, *, foreign_keys: bool, storage_format: str, batch_size: int) -> None:
        self.path = path
        self.options = storage_format, batch_size
        self.db = colonnade.connect(path, isolation_level=None)
        self.opened: Any = None
        self.db.execute(f"PRAGMA foreign_keys = {int(foreign_keys)}")
        self.db.execute(f"PRAGMA storage_format = {storage_format}")
        self.db.execute(f"PRAGMA batch_size = {batch_size}")
        if path != ":memory:":
            self.db.execute("PRAGMA synchronous = off")

    def in_column_format(self, names: tuple[str, ...]) -> bool:
        """Whether any of these tables has rows in row groups."""
        store = self.db._session.store
        if not store.has_column_tables():
            return False
        tables = [store.table(name) for name in names]
        return any(table is not None and table.groups() for table in tables)

    def run(self, step: Step) -> Outcome:
        try:
            result = self._many(step) if step.how == "many" else self._one(step)
        except colonnade.Error as error:
            result = self.failure(error)
        return result | self._facts()

    def _facts(self) -> Outcome:
        return {"total changes": self.db.total_changes, "in transaction": self.db.in_transaction}

    @staticmethod
    def failure(error: Any) -> Outcome:
        code = getattr(error, "sqlite_errorcode", None)
        return {"error": (type(error).__name__, str(error), code), "rowcount": -1, "lastrowid": None}

    def _one(self, step: Step) -> Outcome:
        cursor = self.db.execute(step.sql, step.parameters)
        names = tuple(column[0] for column in cursor.description or ())
        rows = cursor.fetchall()
        return {"rows": rows, "names": names, "rowcount": cursor.rowcount, "lastrowid": cursor.lastrowid}

    def _many(self, step: Step) -> Outcome:
        cursor = self.db.executemany(step.sql, step.parameters)
        return {"rows": [], "names": (), "rowcount": cursor.rowcount, "lastrowid": cursor.lastrowid}

    def open(self, step: Step) -> Outcome:
        self.opened = None
        try:
            self.opened = self.db.execute(step.sql, step.parameters)
        except colonnade.Error as error:
            return self.failure(error)
        return self._facts()

    def fetch(self, wanted: str) -> Outcome:
        try:
            if self.opened is None:
                return {}
            if wanted == "all":
                rows, self.opened = self.opened.fetchall(), None
            else:
                rows = [row for row in (self.opened.fetchone(),) if row is not None]
        except colonnade.Error as error:
            self.opened = None
            return self.failure(error)
        return {"rows": rows} | self._facts()

    def loop(self, step: Step) -> Outcome:
        rows = []
        try:
            for row in self.db.execute(step.sql):
                rows.append(row)
                self.db.execute(step.parameters, (row[0],))
        except colonnade.Error as error:
            return {"rows": rows} | self.failure(error) | self._facts()
        return {"rows": rows} | self._facts()

    def freeze(self, name: str) -> bool:
        """Turn a table to column format, or freeze its row part; False where it must stay as it is."""
        session = self.db._session
        if session.router._violations_counted() or self.opened is not None:
            return False
        with session.changes.kept():
            table = session.store.table(name)
            if table is None:
                if session.store.ineligible(name) is not None:
                    return False
                table = session.store.convert(name)
            table.freeze()
        session.refresh()
        return True

    def query(self, sql: str) -> list[tuple[Any, ...]]:
        return list(self.db.execute(sql).fetchall())

    def reopen(self) -> None:
        self.close()
        storage_format, batch_size = self.options
        self.__init__(  # type: ignore[misc]
            self.path, foreign_keys=False, storage_format=storage_format, batch_size=batch_size
        )

    def close(self) -> None:
        self.opened = None
        self.db.close()


def remove(*paths: Path) -> None:
    """Database files and what SQLite leaves beside them."""
    for path in paths:
        for suffix in ("", "-journal", "-wal", "-shm"):
            Path(f"{path}{suffix}").unlink(missing_ok=True)
