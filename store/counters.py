"""Counters of the pager: what was read and written, per table and phase, and what SQLite's own pages did.

`Counters.snapshot()` is cheap; the difference of two snapshots is what happened in between. `Counters.phase` does
so for the work of one phase on one table: convert, append, validate, settle, freeze, merge, thaw, commit.
"""

from __future__ import annotations

import operator
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, fields
from functools import lru_cache

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
        return ChunkCounters(*map(operator.add, _figures(self), _figures(other)))

    def __sub__(self, other: ChunkCounters) -> ChunkCounters:
        return ChunkCounters(*map(operator.sub, _figures(self), _figures(other)))

    def copy(self) -> ChunkCounters:
        return ChunkCounters(*_figures(self))

    @property
    def chunks_fresh(self) -> int:
        return self.chunks_put - self.chunks_overwritten


_figures = operator.attrgetter(*(field.name for field in fields(ChunkCounters)))


@dataclass(frozen=True, slots=True)
class PageCounters:
    """SQLite's page cache of one connection: events since it was opened.

    pages_written    to the file or the WAL, a page as often as it is written
    cache_spills     pages written before COMMIT, to make room in the cache
    pages_added      by which the files have grown (less those by which they have shrunk)
    pages_rewritten  of those written, such as were not new: they were in the file, or were written before. Which
                     of the two a page is SQLite does not tell; new pages are taken to be written first, so that
                     the sum is exact once all are written, as after COMMIT
    """

    cache_hits: int = 0
    cache_misses: int = 0
    pages_written: int = 0
    cache_spills: int = 0
    pages_added: int = 0
    pages_rewritten: int = 0

    def __add__(self, other: PageCounters) -> PageCounters:
        return PageCounters(*map(operator.add, _pages(self), _pages(other)))

    def __sub__(self, other: PageCounters) -> PageCounters:
        return PageCounters(*map(operator.sub, _pages(self), _pages(other)))


_CACHE_EVENTS = (
    apsw.SQLITE_DBSTATUS_CACHE_HIT,
    apsw.SQLITE_DBSTATUS_CACHE_MISS,
    apsw.SQLITE_DBSTATUS_CACHE_WRITE,
    apsw.SQLITE_DBSTATUS_CACHE_SPILL,
)


class PageWatch:
    """Follows SQLite's page counters, and how the files grow."""

    def __init__(self, db: apsw.Connection) -> None:
        self._db = db
        self._known = PageCounters()
        self._file_pages = -1  # of all files; -1: never looked
        self._unwritten = 0  # pages that the files have grown by and that were not written yet

    def read(self) -> PageCounters:
        hits, misses, written, spills = (self._db.status(op)[0] for op in _CACHE_EVENTS)
        known, grown = self._known, self._growth()
        to_write = max(0, self._unwritten + grown)
        new = min(written - known.pages_written, to_write)
        self._unwritten = to_write - new
        again = written - known.pages_written - new
        self._known = PageCounters(
            hits, misses, written, spills, known.pages_added + grown, known.pages_rewritten + again
        )
        return self._known

    def _growth(self) -> int:
        """Pages by which the files have grown since the last look."""
        before = self._file_pages
        try:
            self._file_pages = sum(
                self._db.execute(_page_count(name)).get for name in self._db.db_names() if name != "temp"
            )
        except apsw.Error:  # locked by another connection: the next look sees it
            return 0
        return self._file_pages - before if before >= 0 else 0


@lru_cache(maxsize=64)
def _page_count(schema: str) -> str:
    quoted = '"' + schema.replace('"', '""') + '"'
    return f"PRAGMA {quoted}.page_count"


_pages = operator.attrgetter(*(field.name for field in fields(PageCounters)))


@dataclass(frozen=True, slots=True)
class PhaseCounters:
    """What one phase of the work on a table did: to its chunks, and to pages of whatever is in the files."""

    chunks: ChunkCounters
    pages: PageCounters

    def __add__(self, other: PhaseCounters) -> PhaseCounters:
        return PhaseCounters(self.chunks + other.chunks, self.pages + other.pages)

    def __sub__(self, other: PhaseCounters) -> PhaseCounters:
        return PhaseCounters(self.chunks - other.chunks, self.pages - other.pages)

    def figures(self) -> dict[str, int]:
        """The figures of what was written, by name; those of chunks first."""
        chunks = {name: getattr(self.chunks, name) for name in WRITTEN}
        return chunks | {name: getattr(self.pages, name) for name in _PAGES_WRITTEN}


WRITTEN = (
    *("chunks_put", "chunks_fresh", "chunks_overwritten", "chunks_freed"),
    *("bytes_put", "bytes_overwritten", "bytes_freed", "groups_put", "groups_freed"),
)
_PAGES_WRITTEN = ("pages_written", "pages_rewritten", "pages_added", "cache_spills")

Phase = tuple[str | None, str]  # the key of a table, None for work on all, and the name of the phase


@dataclass(frozen=True, slots=True)
class Snapshot:
    """All counters at one moment, or (a difference) between two. Keys are "schema.table", lower case."""

    tables: dict[str, ChunkCounters]
    pages: PageCounters
    phases: dict[Phase, PhaseCounters]

    @property
    def total(self) -> ChunkCounters:
        return sum(self.tables.values(), ChunkCounters())

    def __sub__(self, other: Snapshot) -> Snapshot:
        none = ChunkCounters()
        tables = {key: now - other.tables.get(key, none) for key, now in self.tables.items()}
        nothing = PhaseCounters(none, PageCounters())
        phases = {phase: now - other.phases.get(phase, nothing) for phase, now in self.phases.items()}
        changed = {phase: counters for phase, counters in phases.items() if counters != nothing}
        return Snapshot(tables, self.pages - other.pages, changed)


class Counters:
    """The live counters of one connection."""

    def __init__(self, db: apsw.Connection) -> None:
        self.tables: dict[str, ChunkCounters] = {}
        self.phases: dict[Phase, PhaseCounters] = {}
        self._pages = PageWatch(db)
        self._in_phase = False

    def of(self, key: str) -> ChunkCounters:
        """The counters of one table, made on first use."""
        found = self.tables.get(key)
        if found is None:
            found = self.tables[key] = ChunkCounters()
        return found

    def snapshot(self) -> Snapshot:
        copied = {key: counters.copy() for key, counters in self.tables.items()}
        return Snapshot(copied, self._pages.read(), dict(self.phases))

    def total(self) -> ChunkCounters:
        return sum(self.tables.values(), ChunkCounters())

    @contextmanager
    def phase(self, key: str | None, name: str) -> Iterator[None]:
        """Count what the block does for a phase of the work on a table (None: on all). Of phases within one another
        the outermost is meant."""
        if self._in_phase:
            yield
            return
        self._in_phase = True
        before = self._now(key)
        try:
            yield
        finally:
            self._in_phase = False
            done, known = self._now(key) - before, self.phases.get((key, name))
            self.phases[key, name] = done if known is None else known + done

    def _now(self, key: str | None) -> PhaseCounters:
        chunks = self.total() if key is None else self.of(key).copy()
        return PhaseCounters(chunks, self._pages.read())


@dataclass(frozen=True, slots=True)
class Usage:
    """Bytes of column chunks stored for a table, and the share of them that tombstones have made useless."""

    stored_bytes: int
    dead_bytes: int

    @property
    def live_bytes(self) -> int:
        return self.stored_bytes - self.dead_bytes

    def write_amplification(self, counters: ChunkCounters) -> float:
        """Bytes written per byte live, over what the counters saw; 0 while nothing is live."""
        return counters.bytes_put / self.live_bytes if self.live_bytes else 0.0

    def __add__(self, other: Usage) -> Usage:
        return Usage(self.stored_bytes + other.stored_bytes, self.dead_bytes + other.dead_bytes)


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
