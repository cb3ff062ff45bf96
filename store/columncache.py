"""The cache of scans: opened chunks that hold their values, within a byte limit.

What it holds is narrowed, 1 to 4 bytes for most values (see `encodings.narrowed`), of long texts the decoded ones. What
it saves is SQLite's reading, the checksums, the codec and the unpacking. A column comes in when it is asked for again,
as in the 2Q algorithm (Johnson and Shasha 1994): many a program asks once, and memory that is new to a process costs as
much as decoding into it, where what a scan drops serves for its next row group.
"""

from __future__ import annotations

from collections import OrderedDict

from colonnade.store.chunk import ChunkReader

_BYTES_PER_ROW = 16  # a column of more is wide: no other is dropped for it
_Column = tuple[str, int]  # table, column


class ColumnCache:
    """Chunks by table, column and row group. Belongs to the thread of the connection.

    Scans go round and round, and would find nothing in a cache that always drops what was used longest ago: chunks of
    a column are dropped only for columns that were asked for later than it, and never for others of a scan's own. Those
    of wide columns take the room that is left, and go first.

    bytes  that it holds
    """

    def __init__(self) -> None:
        self.bytes = 0
        self._columns: OrderedDict[_Column, dict[int, ChunkReader]] = OrderedDict()
        self._asked: set[_Column] = set()
        self._wide: set[_Column] = set()

    def use(self, key: str, column_ids: list[int], *, again: bool = False) -> set[int]:
        """A scan is going to read these columns of a table; returns those whose chunks it shall put.

        again  another scan will follow soon
        """
        wanted = set()
        for column_id in column_ids:
            name = key, column_id
            if again or name in self._asked:
                wanted.add(column_id)
                self._columns.setdefault(name, {})
                self._columns.move_to_end(name)
            self._asked.add(name)
        return wanted

    def get(self, key: str, group_id: int, column_id: int) -> ChunkReader | None:
        """A chunk that was put."""
        column = self._columns.get((key, column_id))
        return None if column is None else column.get(group_id)

    def put(
        self, key: str, group_id: int, column_id: int, chunk: ChunkReader, limit: int, kept: list[int]
    ) -> None:
        """Keeps a chunk that holds its blocks, if there is room within `limit` bytes, or can be made.

        kept  columns of the same table that are not to be dropped for it
        """
        size = chunk.held_bytes
        if self.get(key, group_id, column_id) is not None:
            return
        if self.bytes + size > limit:
            if size > _BYTES_PER_ROW * chunk.rows:
                return
            protected = {(key, other) for other in (*kept, column_id)} - self._wide
            if not self._make_room(limit - size, protected):
                return
        if size > _BYTES_PER_ROW * chunk.rows:
            self._wide.add((key, column_id))
        self._columns.setdefault((key, column_id), {})[group_id] = chunk
        self.bytes += size

    def _make_room(self, limit: int, protected: set[_Column] | None = None) -> bool:
        for name in sorted(self._columns, key=lambda name: name not in self._wide):
            if self.bytes <= limit:
                break
            if protected is not None and name in protected:
                continue
            chunks = self._columns[name]
            while chunks and self.bytes > limit:
                self.bytes -= chunks.popitem()[1].held_bytes
            if not chunks:
                del self._columns[name]
                self._wide.discard(name)
        return self.bytes <= limit

    def shrink(self, limit: int) -> None:
        """Drops what is beyond so many bytes."""
        self._make_room(limit)

    def forget(self, key: str, group_id: int | None = None) -> int:
        """Drops everything about one table, or about one of its row groups; returns its bytes."""
        before = self.bytes
        if group_id is None:
            self._asked = {name for name in self._asked if name[0] != key}
        for name in [name for name in self._columns if name[0] == key]:
            chunks = self._columns[name]
            for each in [group_id] if group_id is not None else list(chunks):
                chunk = chunks.pop(each, None)
                self.bytes -= 0 if chunk is None else chunk.held_bytes
        return before - self.bytes

    def clear(self) -> None:
        self._columns.clear()
        self._wide.clear()
        self._asked.clear()
        self.bytes = 0
