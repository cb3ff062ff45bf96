"""Counters of the pager: what was read and written, per table, and what SQLite's own pages did.

`Counters.snapshot()` is cheap; the difference of two snapshots is what happened in between, which is how
the phases of a load are told apart.
"""

from __future__ import annotations

from dataclasses import dataclass, field, fields

import apsw


@dataclass(slots=True)
class ChunkCounters:
    """What happened to the column chunks of one table, or of all. Bytes are those of the BLOBs."""

    chunks_put: int = 0  # all of them, those that replaced a chunk included
    chunks_overwritten: int = 0
    chunks_freed: int = 0
    chunks_read: int = 0
    bytes_put: int = 0
    bytes_overwritten: int = 0
    bytes_freed: int = 0
    bytes_read: int = 0
    groups_put: int = 0
    groups_freed: int = 0
    groups_skipped: int = 0  # row groups that zone maps, rowid ranges or key zones ruled out of a scan
    blocks_decoded: int = 0

    def __add__(self, other: ChunkCounters) -> ChunkCounters:
        return ChunkCounters(*(getattr(self, f.name) + getattr(other, f.name) for f in fields(self)))

    def __sub__(self, other: ChunkCounters) -> ChunkCounters:
        return ChunkCounters(*(getattr(self, f.name) - getattr(other, f.name) for f in fields(self)))

    def copy(self) -> ChunkCounters:
        return self + ChunkCounters()

    @property
    def chunks_fresh(self) -> int:
        return self.chunks_put - self.chunks_overwritten


@dataclass(frozen=True, slots=True)
class PageCounters:
    """SQLite's page cache of one connection: events since it was opened."""

    cache_hits: int = 0
    cache_misses: int = 0
    pages_written: int = 0
    cache_spills: int = 0

    def __sub__(self, other: PageCounters) -> PageCounters:
        return PageCounters(*(getattr(self, f.name) - getattr(other, f.name) for f in fields(self)))

    @classmethod
    def read(cls, db: apsw.Connection) -> PageCounters:
        return cls(*(db.status(op)[0] for op in _CACHE_EVENTS))


_CACHE_EVENTS = (
    apsw.SQLITE_DBSTATUS_CACHE_HIT,
    apsw.SQLITE_DBSTATUS_CACHE_MISS,
    apsw.SQLITE_DBSTATUS_CACHE_WRITE,
    apsw.SQLITE_DBSTATUS_CACHE_SPILL,
)


@dataclass(frozen=True, slots=True)
class Snapshot:
    """All counters at one moment, or (a difference) between two. Keys are "schema.table", lower case."""

    tables: dict[str, ChunkCounters]
    pages: PageCounters

    @property
    def total(self) -> ChunkCounters:
        return sum(self.tables.values(), ChunkCounters())

    def __sub__(self, other: Snapshot) -> Snapshot:
        none = ChunkCounters()
        tables = {key: now - other.tables.get(key, none) for key, now in self.tables.items()}
        return Snapshot(tables, self.pages - other.pages)


@dataclass(slots=True)
class Counters:
    """The live counters of one connection."""

    db: apsw.Connection
    tables: dict[str, ChunkCounters] = field(default_factory=dict)

    def of(self, key: str) -> ChunkCounters:
        """The counters of one table, made on first use."""
        found = self.tables.get(key)
        if found is None:
            found = self.tables[key] = ChunkCounters()
        return found

    def snapshot(self) -> Snapshot:
        copied = {key: counters.copy() for key, counters in self.tables.items()}
        return Snapshot(copied, PageCounters.read(self.db))


@dataclass(frozen=True, slots=True)
class Usage:
    """Bytes of column chunks stored for a table, and the share of them that tombstones have made useless."""

    stored_bytes: int
    dead_bytes: int

    def write_amplification(self, counters: ChunkCounters) -> float:
        """Bytes written per byte live, over what the counters saw; 0 while nothing is live."""
        live = self.stored_bytes - self.dead_bytes
        return counters.bytes_put / live if live else 0.0


@dataclass(frozen=True, slots=True)
class FilePages:
    """The pages of one database file."""

    page_bytes: int
    page_count: int
    free_pages: int

    @classmethod
    def read(cls, db: apsw.Connection, schema: str = "main") -> FilePages:
        quoted = '"' + schema.replace('"', '""') + '"'
        names = ("page_size", "page_count", "freelist_count")
        return cls(*(db.execute(f"PRAGMA {quoted}.{name}").get for name in names))
