"""The cache of point look-ups: chunks, blocks and keys that are at hand again, within a byte limit."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Mapping
from typing import Any, Protocol

from colonnade.store.chunk import ChunkReader
from colonnade.store.columncache import ColumnCache
from colonnade.store.encodings.base import One
from colonnade.store.values import SCALAR_KINDS, Column, IntArray, SQLiteValue, value_at

_Entry = tuple[str, int, int | str, int]  # table, row group, column, block; block -1 is the whole chunk
_CHUNK = -1
_KEYS = -2  # in the place of a block: the keys of a row group, by signature in the place of the column


class Sized(Protocol):
    """Something whose bytes are known."""

    @property
    def nbytes(self) -> int: ...


class BlockCache:
    """Chunks, blocks and keys, least recently used out first, within a byte limit.

    The one of the connection is for look-ups: a scan, which would only push out what they come back to, has a
    small one of its own for the chunks that it has open.

    A chunk that is kept at hand is read without asking the cache, and says itself what of it is in use: what was used
    since it last stood first to go has a second chance (the clock algorithm).

    dropped  another number once a chunk has been dropped: whoever keeps one at hand has to ask again then
    columns  the chunks of scans, which share the limit and take seven eighths of it at most
    """

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self.columns = ColumnCache()
        self.bytes = self.dropped = 0
        self._entries: OrderedDict[_Entry, tuple[Any, int]] = OrderedDict()

    @property
    def limit(self) -> int:
        """Bytes that it may hold."""
        return self._limit

    @limit.setter
    def limit(self, limit: int) -> None:
        self._limit = limit
        self.shrink(limit)

    def shrink(self, limit: int) -> None:
        """Drops what is beyond so many bytes; it may grow again."""
        self.columns.shrink(limit * 7 // 8)
        self._make_room(limit)

    def keep_columns(
        self, key: str, group_id: int, chunks: Mapping[int, ChunkReader], scanned: list[int]
    ) -> None:
        """Keeps chunks of a row group by column that hold their blocks; no column `scanned` is dropped for them."""
        for column_id, chunk in chunks.items():
            self.columns.put(key, group_id, column_id, chunk, self._limit * 7 // 8, scanned)
        self._make_room(self._limit)

    def chunk(self, key: str, group_id: int, column_id: int) -> CachedChunk | None:
        """A chunk that was put."""
        found: CachedChunk | None = self._get((key, group_id, column_id, _CHUNK))
        return found

    def put_chunk(
        self, key: str, group_id: int, column_id: int, chunk: ChunkReader, size: int
    ) -> CachedChunk:
        """Keeps a chunk of `size` bytes; returns it."""
        cached = CachedChunk(self, (key, group_id, column_id), chunk)
        self._put((key, group_id, column_id, _CHUNK), cached, size)
        return cached

    def block(self, key: str, group_id: int, column_id: int, number: int) -> Column | None:
        found = self._get((key, group_id, column_id, number))
        return found if isinstance(found, Column) else None

    def put_block(self, key: str, group_id: int, column_id: int, number: int, block: Column) -> bool:
        """Keeps a decoded block; whether there is room for it."""
        return self._put((key, group_id, column_id, number), block, block.data.nbytes)

    def put_one(self, key: str, group_id: int, column_id: int, number: int, one: One, size: int) -> bool:
        """Keeps what reads single values of a block, in place of the decoded block; whether there is room."""
        return self._put((key, group_id, column_id, number), one, size)

    def keys(self, key: str, group_id: int, signature: str) -> Any:
        return self._get((key, group_id, signature, _KEYS))

    def put_keys(self, key: str, group_id: int, signature: str, keys: Sized) -> None:
        self._put((key, group_id, signature, _KEYS), keys, keys.nbytes)

    def key_bytes(self, key: str) -> dict[str, int]:
        """The bytes of the keys of one table that are kept, by signature."""
        kept: dict[str, int] = {}
        for (of, _, signature, block), (_, size) in self._entries.items():
            if of == key and block == _KEYS:
                kept[str(signature)] = kept.get(str(signature), 0) + size
        return kept

    def _get(self, entry: _Entry) -> Any:
        found = self._entries.get(entry)
        if found is None:
            return None
        self._entries.move_to_end(entry)
        return found[0]

    def _put(self, entry: _Entry, value: Any, size: int) -> bool:
        old = self._entries.pop(entry, None)
        self.bytes += size - (old[1] if old else 0)
        self._entries[entry] = (value, size)
        self._make_room(self._limit)
        return entry in self._entries

    def _make_room(self, limit: int) -> None:
        entries = self._entries
        while self.bytes + self.columns.bytes > limit and entries:
            entry, (value, size) = entries.popitem(last=False)
            if self._in_use(entry, value):
                entries[entry] = (value, size)
                continue
            self.bytes -= size
            *of, block = entry
            if block == _CHUNK:
                self.dropped += 1
            elif block >= 0:
                chunk = entries.get((*of, _CHUNK))  # type: ignore[arg-type]
                if chunk is not None:
                    chunk[0].forget(block)

    def _in_use(self, entry: _Entry, value: Any) -> bool:
        """Whether an entry was used without the cache since this was last asked."""
        *of, block = entry
        if block == _KEYS:
            return False
        if block == _CHUNK:
            in_use: bool = value.in_use
            value.in_use = False
            return in_use
        chunk = self._entries.get((*of, _CHUNK))  # type: ignore[arg-type]
        if chunk is None or block not in chunk[0].used:
            return False
        chunk[0].used.discard(block)
        return True

    def forget(self, key: str, group_id: int | None = None) -> int:
        """Drops everything about one table, or about one of its row groups; returns its bytes."""
        before = self.bytes
        of = [entry for entry in self._entries if entry[0] == key and group_id in (None, entry[1])]
        for entry in of:
            self.bytes -= self._entries.pop(entry)[1]
        self.dropped += 1
        return before - self.bytes + self.columns.forget(key, group_id)

    def clear(self) -> None:
        self._entries.clear()
        self.columns.clear()
        self.bytes = 0
        self.dropped += 1


class CachedChunk:
    """A chunk whose blocks go through the cache.

    reader  the chunk without the cache
    in_use  whether it was read from since the cache last asked
    used    likewise the blocks that single values were read from
    """

    __slots__ = (
        "_cache",
        "_id",
        "_last",
        "_ones",
        "_shift",
        "block_rows",
        "in_use",
        "reader",
        "rows",
        "used",
    )

    def __init__(self, cache: BlockCache, chunk_id: tuple[str, int, int], chunk: ChunkReader) -> None:
        self._cache, self._id, self.reader = cache, chunk_id, chunk
        self.rows, self.block_rows = chunk.rows, chunk.block_rows
        self._shift, self._last = chunk.block_rows.bit_length() - 1, chunk.block_rows - 1  # a power of two
        self._ones: dict[int, One] = {}
        self.used: set[int] = set()
        self.in_use = False

    def block(self, number: int) -> Column:
        block = self._cache.block(*self._id, number)
        if block is None:
            block = self.reader.block(number)
            self.forget(number)  # its entry is replaced
            self._cache.put_block(*self._id, number, block)
        return block

    def take(self, positions: IntArray) -> Column:
        return self.reader.take(positions)

    def value(self, row: int) -> SQLiteValue:
        """One value: out of the bytes of its block where the encoding can, else of the decoded block."""
        number = row >> self._shift
        one = self._ones.get(number)
        if one is None:
            one = self._open(number)
        else:
            self.used.add(number)
        self.in_use = True
        return one(row & self._last)

    def _open(self, number: int) -> One:
        """Reads single values of a block; what that holds counts as the block in the cache."""
        found = self.reader.one(number)
        if found is None:
            block = self.reader.block(number)
            one = _of_decoded(block)
            kept = self._cache.put_block(*self._id, number, block)
        else:
            one, held = found
            kept = not held or self._cache.put_one(*self._id, number, one, held)
        if kept:
            self._ones[number] = one
        return one

    def forget(self, number: int) -> None:
        """The cache has dropped a block."""
        self._ones.pop(number, None)
        self.used.discard(number)


def _of_decoded(block: Column) -> One:
    """Reads single values of a decoded block."""
    if block.kind not in SCALAR_KINDS:
        return lambda row: value_at(block, row)
    data = block.data
    return lambda row: data[row].as_py()
