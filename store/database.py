"""The store of one connection: its tables in column format, and the way from one format to the other."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from functools import lru_cache

import apsw

from colonnade.store import convert as formats
from colonnade.store import freeze
from colonnade.store.atomic import Atomic
from colonnade.store.cache import BlockCache
from colonnade.store.catalog import (
    ShadowNames,
    describe,
    exact_name,
    fetch_one,
    quote,
    read_infos,
)
from colonnade.store.eligible import why_row_format
from colonnade.store.errors import OperationalError
from colonnade.store.hints import WriteHints, clamp_batch, declared_bytes, sampled_bytes, write_hints
from colonnade.store.pager import Pager, SqlitePager
from colonnade.store.policy import Policy
from colonnade.store.presence import column_table_names, register, unregister
from colonnade.store.spans import Spans
from colonnade.store.state import GroupIds, Stamps
from colonnade.store.steady import Steady
from colonnade.store.switches import unnoticed
from colonnade.store.table import ColumnTable

# Of the memory limit, the share that chunks and blocks for look-ups may take: the rest is a scan's (store.reads).
# Text that is compressed is decoded for each read once its blocks do not fit: 70 microseconds in place of 12.
_CACHE_SHARE = 3 / 4
_LENT_SHARE = 1 / 4  # what they keep when others need the memory
_SQLITE_PAGE_BYTES, _LOAD_PAGE_BYTES = 4096, 16_384  # by default, and for a file that begins with a load


@lru_cache(maxsize=64)
def _version_of(schema: str) -> str:
    return f"PRAGMA {quote(schema)}.schema_version"


class Store:
    """Column-format tables of one apsw connection. All methods belong to the thread that uses the connection.

    batch_size    rows in a batch as the user wishes; 0 leaves it to the write hints
    atomic        a block of the store's own statements that is undone as a whole
    varying       xBestIndex lets xFilter compare with values that only the run of a statement knows
    constants_only  it does not do so any more: one was a text that is not UTF-8, which no Python code can be given
    explains      words for a plan of the virtual table, while a statement is explained and not run
    registered    whether the connection knows the module of virtual tables already (`presence`)
    spans         what the connection's work is told by; its own unless they are given
    """

    def __init__(
        self,
        db: apsw.Connection,
        *,
        memory_limit: int,
        registered: bool = False,
        spans: Spans | None = None,
    ) -> None:
        self.db = db
        self.spans = Spans() if spans is None else spans
        self.pager: Pager = SqlitePager(db)
        self.batch_size = 0
        self.stamps, self.group_ids = Stamps(), GroupIds()
        self.cache = BlockCache(int(memory_limit * _CACHE_SHARE))
        self.policy = Policy(self)
        self.steady = Steady(db)
        self.atomic = Atomic(db, self._undone)
        self._memory_limit = memory_limit
        self._schemas: dict[str, tuple[int | None, dict[str, ColumnTable]]] = {}
        self.epoch = 0  # another one each time the tables are looked at anew
        self.varying = self.constants_only = False
        self.explains: Callable[[ColumnTable, str], str] | None = None
        self._warned: set[str] = set()
        self._names_moved = False  # see `renamed`
        db.set_rollback_hook(self.invalidate, id=self)
        if not registered:
            register(db, lambda: self)

    @property
    def memory_limit(self) -> int:
        return self._memory_limit

    @memory_limit.setter
    def memory_limit(self, limit: int) -> None:
        self._memory_limit = limit
        self.cache.limit = int(limit * _CACHE_SHARE)

    def working_memory(self) -> int:
        """The memory limit, for a check or a load that is about to begin: the cache of look-ups makes room for it."""
        self.cache.shrink(int(self._memory_limit * _LENT_SHARE))
        return self._memory_limit

    def close(self) -> None:
        """Lets go of the connection, which stays open; it can read no column-format table from then on."""
        self.db.set_rollback_hook(None, id=self)
        self.steady.close()
        unregister(self.db)
        self.cache.clear()
        self._schemas.clear()

    def invalidate(self) -> None:
        """Forgets which tables are in column format. To be called after ROLLBACK TO a savepoint, ATTACH and
        DETACH, which can bring back a schema version that meant something else; ROLLBACK is noticed.
        """
        self.epoch += 1
        self.steady.end()
        for schema, (_, tables) in self._schemas.items():
            self._schemas[schema] = (None, tables)
        if self._names_moved:
            self.cache.clear()
            self._schemas.clear()

    def _undone(self) -> None:
        for _, tables in self._schemas.values():
            for table in tables.values():
                table.undone()
        self.invalidate()

    def renamed(self) -> None:
        """A table in column format has another name: what is remembered under names may be about others, now and
        after each rollback that may bring the old names back."""
        self._names_moved = True
        self.invalidate()

    def version(self, schema: str) -> int:
        """Another number once the schema has changed, by any connection."""
        known = self.steady.versions.get(schema)
        if known is None:
            known = fetch_one(self.db, _version_of(schema))
            if self.steady.number:
                self.steady.versions[schema] = known
        return known

    def versions(self) -> tuple[int, ...]:
        """Those of all schemas."""
        known = self.steady.all
        if known is None:
            known = tuple(map(self.version, self.db.db_names()))
            if self.steady.number:
                self.steady.all = known
        return known

    # --- which tables ----------------------------------------------------------------------------------

    def tables(self, schema: str = "main") -> list[ColumnTable]:
        """The tables of a schema that are in column format."""
        return list(self._tables(schema).values())

    def table(self, name: str, schema: str = "main") -> ColumnTable | None:
        """A table in column format; None if there is none of this name, in any case of letters."""
        return self._tables(schema).get(name.lower())

    def has_column_tables(self) -> bool:
        """Whether any schema of the connection has a table in column format."""
        known = self.steady.stored
        if known is None:
            known = any(self._tables(schema) for schema in self.db.db_names() if schema != "temp")
            if self.steady.number:
                self.steady.stored = known
        return known

    def _tables(self, schema: str) -> dict[str, ColumnTable]:
        version, known = self.version(schema), self._schemas.get(schema)
        if known is None or known[0] != version:
            before, found = known[1] if known else {}, {}
            for info in read_infos(self.db, schema, column_table_names(self.db, schema)):
                name = info.names.name
                table = before.get(name.lower())
                # The same object as long as it is the same table: cursors count themselves in it.
                same = table is not None and table.info == info
                found[name.lower()] = table if table is not None and same else ColumnTable(self, info)
            known = self._schemas[schema] = (version, found)
            self.epoch += 1  # last: to read about a table SQLite may connect it, which asks for it
        return known[1]

    def _known(self, name: str, schema: str) -> ColumnTable:
        table = self.table(name, schema)
        if table is None:
            raise OperationalError(f"table {name} is not in column format")
        return table

    # --- from one format to the other ------------------------------------------------------------------

    def ineligible(self, name: str, schema: str = "main") -> str | None:
        """Why a table must stay in row format, as a short phrase; None if it may turn to column format."""
        return why_row_format(self.db, schema, name)

    def convert(self, name: str, schema: str = "main", ddl: str | None = None) -> ColumnTable:
        """Turns a table to column format, in the transaction that is open or in one of its own.

        Its rows stay in the row part until they are frozen.
        ddl     the user's CREATE TABLE text, where the schema does not have it
        Raises  OperationalError with the reason for a table that is not eligible
        """
        found = self.table(name, schema)
        if found is not None:
            return found
        reason = self.ineligible(name, schema)
        if reason is not None:
            raise OperationalError(f"table {name} cannot turn to column format: {reason}")
        names = ShadowNames(schema, exact_name(self.db, schema, name))
        with self.pager.counters.phase(names.key, "convert"), unnoticed(self.db):
            formats.to_column_format(self.db, names, ddl)
        self.invalidate()
        return self._known(name, schema)

    def pin_rowids(self) -> None:
        """VACUUM may come: see `convert.pin_rowids`. Files of earlier versions have tables without it."""
        for schema in self.db.db_names():
            for table in self.tables(schema) if schema != "temp" else ():
                formats.pin_rowids(self.db, table.names)

    def restore(self, name: str, schema: str = "main") -> None:
        """Turns a table back to row format, with all its rows and the user's own DDL text."""
        table = self._known(name, schema)
        counted = self.pager.counters.phase(table.names.key, "thaw")
        with self.spans("thaw", table=table.name) as span, counted, unnoticed(self.db), self.db:
            # Of rows that a bulk load appended AUTOINCREMENT has not heard yet; rows that froze it has counted.
            used = max((group.last_rowid for group in table.groups() if not group.checked), default=None)
            span.note(rows=freeze.thaw_all(table))
            if used is not None:
                table.row_part.keep_sequence(used)
            formats.to_row_format(self.db, table.names)
        self.cache.forget(table.names.key)
        self.invalidate()

    def choose_page_size(self) -> None:
        """Larger pages for a database that has none yet and will begin with a load, unless another size than
        SQLite's default was asked for.

        Column chunks are BLOBs of many pages, each of which SQLite writes by a call of its own. At 16 KiB a load of
        TPC-H takes 7 % less time than at SQLite's 4 KiB, at 32 and 64 KiB no less, and the file is 1 % longer.
        """
        is_new = self.db.execute("PRAGMA main.page_count").get == 0
        if is_new and self.db.execute("PRAGMA main.page_size").get == _SQLITE_PAGE_BYTES:
            self.db.execute(f"PRAGMA main.page_size = {_LOAD_PAGE_BYTES}")

    # --- batch sizes -----------------------------------------------------------------------------------

    def hints(self, name: str, schema: str = "main", seen: float = 0) -> WriteHints:
        """The write hints of a table in either format.

        seen  bytes of a row in the input that is about to come; 0: not looked at
        """
        table = self.table(name, schema)
        if table is not None and (table.is_measured() or not seen):
            return table.hints()
        columns = describe(self.db, schema, name) if table is None else table.columns
        return write_hints(declared_bytes(columns), None, sampled_bytes(columns, seen) if seen else None)

    def batch_rows(self, name: str, schema: str = "main", seen: float = 0) -> int:
        """Rows in a batch written to a table. The only source of batch sizes. `seen`: see `hints`"""
        rows, warning = clamp_batch(self.batch_size, self.hints(name, schema, seen))
        if warning is not None and warning not in self._warned:
            self._warned.add(warning)
            warnings.warn(warning, RuntimeWarning, stacklevel=2)
        return rows
