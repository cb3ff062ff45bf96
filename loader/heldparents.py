"""Foreign keys looked up while their table is loaded, in parents that are complete by then.

The validator of such a foreign key would read the key columns of the whole table again. As long as its pieces are in
the threads' hands, the same answer costs a probe: once all parents are validated, a thread of its own reads the keys
of each one that zones will not prove into a lookup, and the keys of a piece are looked up where it is encoded. A row
group all of whose keys are there no longer owes that foreign key. Any other stays a candidate: what came before the
lookup was made, and what has a key that is not there. The validator looks these up in the same lookup, and says what is
wrong with them.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field

from colonnade.loader.codes import Codes, IntCoder, int_coder, joint_ranges
from colonnade.loader.keysource import KeyRows, KeySource, Segment
from colonnade.loader.lookup import SORTED_BYTES, BitMap, ByteMap, Lookup, is_dense
from colonnade.loader.presence import MUCH_SMALLER
from colonnade.loader.presence_job import collect
from colonnade.loader.stats import BITMAP, SORTED_MERGE, ConstraintStats, Counters
from colonnade.loader.validate import conversion, foreign_key_of, source_of
from colonnade.loader.violations import Constraint
from colonnade.sql.objects import ForeignKeyDef, Schema, TableDef, fold
from colonnade.store.database import Store
from colonnade.store.values import RowBatch

_FEW_PIECES = 4  # a table of so few is read again in no time
# Of the keys that there can be, where a parent is as good as gap-free, which proves a child unread.
_FULL = 0.99


@dataclass(frozen=True, slots=True)
class Present:
    """What was looked up of one piece: keys without NULL, all of which have a parent, and the seconds it took."""

    keys: int
    seconds: float


@dataclass(slots=True)
class HeldParent:
    """One foreign key's parent as a lookup.

    coder    what makes codes of keys, of the parent's ranges: what it cannot encode has no parent
    lookup   the parent's keys; known once it was made
    decided  ids of the row groups that owe the foreign key no more
    """

    coder: IntCoder
    path: str
    byte_count: int
    places: tuple[int, ...]
    counters: Counters
    lookup: Future[Lookup]
    decided: set[int] = field(default_factory=set)

    def look_up(self, batch: RowBatch) -> Present | None:
        """None if the lookup is not made yet, or some key has no parent. In any thread."""
        if not self.lookup.done() or self.lookup.exception() is not None:
            return None
        started = time.perf_counter()
        codes = self.coder.encode([batch.columns[place] for place in self.places])
        if codes.alien is not None or not self.lookup.result().contains(codes.codes, None).all():
            return None
        return Present(len(codes.codes), time.perf_counter() - started)

    def decide(self, group_id: int, row_count: int, present: Present) -> None:
        self.decided.add(group_id)
        counters = self.counters
        counters.took(self.path)
        counters.rows_checked += row_count
        counters.groups_scanned += 1
        counters.index_probes += present.keys
        counters.hits += present.keys
        counters.seconds += present.seconds


@dataclass(frozen=True, slots=True)
class _Way:
    """One way to hold a parent: what it takes, and the map to mark its keys in; None: they are sorted."""

    byte_count: int
    path: str
    empty: Callable[[], ByteMap | BitMap] | None


@dataclass(frozen=True, slots=True)
class _Plan:
    """How one parent can be held: the quickest way first, that of the fewest bytes last."""

    constraint: Constraint
    source: KeySource
    segments: Sequence[Segment]
    coder: IntCoder
    places: tuple[int, ...]
    ways: tuple[_Way, ...]


class HeldParents:
    """The parents of one table of a load; alive until the table ends.

    held  by constraint, once `begin` was called
    """

    def __init__(
        self,
        store: Store,
        definition: TableDef,
        together: Collection[str],
        stats: ConstraintStats,
        input_bytes: int | None,
    ) -> None:
        """
        together     names of the tables that are loaded at the same time: parents among them are not complete
        input_bytes  of the table's sources; None: unknown
        """
        self.held: dict[Constraint, HeldParent] = {}
        self._store, self._definition, self._stats = store, definition, stats
        self._input_bytes = input_bytes
        later = {fold(name) for name in together}
        self._foreign_keys = [key for key in definition.foreign_keys if fold(key.parent) not in later]
        self._waits = bool(self._foreign_keys)
        self._thread: ThreadPoolExecutor | None = None

    @property
    def byte_count(self) -> int:
        """Of the lookups."""
        return sum(parent.byte_count for parent in self.held.values())

    def begin(self, schema: Callable[[], Schema], rows: int, input_bytes: int, room: int) -> None:
        """All parents are validated: make lookups of those that are worth it. On the connection's thread, once.

        rows, input_bytes  of the first piece
        room               bytes for all lookups together
        """
        if not self._waits or not rows:
            return
        self._waits = False
        child_rows = None
        if self._input_bytes is not None:
            if self._input_bytes < _FEW_PIECES * input_bytes or not input_bytes:
                return
            child_rows = rows * self._input_bytes // input_bytes
        found = schema()
        plans = [self._plan(found, key, child_rows) for key in self._foreign_keys]
        chosen = _that_fit([plan for plan in plans if plan is not None], room)
        if not chosen:
            return
        self._thread = ThreadPoolExecutor(1, "colonnade-parents")
        held = {}
        for plan, way in chosen:
            counters = self._stats.of(plan.constraint)
            keys = [decode for segment in plan.segments for decode in plan.source.read(segment)]
            made = self._thread.submit(_made, plan.coder, keys, way, counters)
            held[plan.constraint] = HeldParent(
                plan.coder, way.path, way.byte_count, plan.places, counters, made
            )
            counters.hold(way.byte_count)
        self.held = held  # all at once: threads go through it

    def _plan(self, schema: Schema, key: ForeignKeyDef, child_rows: int | None) -> _Plan | None:
        parent, child = schema.table(key.parent), schema.table(self._definition.name)
        if parent is None or child is None or key.mismatch is not None:
            return None
        pairs = zip(key.columns, key.parent_columns, strict=True)
        if any(conversion(child.column(a).affinity, parent.column(b).affinity) for a, b in pairs):
            return None
        source = source_of(self._store, parent, key.parent_columns, None)
        segments = [segment for segment in source.segments() if segment.row_count]
        coder = int_coder(joint_ranges(segments, len(key.columns)))
        count = sum(segment.row_count for segment in segments)
        if coder is None or not count or (child_rows is not None and child_rows * MUCH_SMALLER < count):
            return None
        if len(key.columns) == 1 and count >= _FULL * coder.room:
            return None
        names = [fold(column.name) for column in child.columns]
        places = tuple(names.index(fold(column)) for column in key.columns)
        ways = _ways(coder.room, count)
        return _Plan(foreign_key_of(child, key), source, segments, coder, places, ways)

    def look_up(self, batch: RowBatch) -> dict[Constraint, Present]:
        """The foreign keys that a batch of all columns keeps for certain. In any thread."""
        found = {}
        for constraint, parent in self.held.items():
            present = parent.look_up(batch)
            if present is not None:
                found[constraint] = present
        return found

    def decide(self, group_id: int, row_count: int, present: Mapping[Constraint, Present]) -> None:
        """The batch became a row group. On the connection's thread."""
        for constraint, figures in present.items():
            self.held[constraint].decide(group_id, row_count, figures)

    def close(self) -> None:
        """The table ends: nothing is held any more."""
        self._waits = False
        if self._thread is not None:
            self._thread.shutdown(cancel_futures=True)
            self._thread = None
        for parent in self.held.values():
            parent.counters.hold(-parent.byte_count)
        self.held = {}


def _ways(room: int, count: int) -> tuple[_Way, ...]:
    """How `count` codes from 0 to `room` - 1 can be held."""
    bytes_each = _Way(room, BITMAP, lambda: ByteMap(room))
    bits = _Way(room // 8 + 1, BITMAP, lambda: BitMap(room))
    in_order = _Way(SORTED_BYTES * count, SORTED_MERGE, None)
    least = bits if bits.byte_count <= in_order.byte_count else in_order
    return (bytes_each, least) if is_dense(room, count) else (least,)


def _that_fit(plans: Sequence[_Plan], room: int) -> list[tuple[_Plan, _Way]]:
    """The plans that there is room for, those of fewer bytes first: in the quickest ways if all have room then."""
    chosen: list[tuple[_Plan, _Way]] = []
    for quickest in (0, -1):
        chosen, left = [], room
        for plan in sorted(plans, key=lambda plan: plan.ways[-1].byte_count):
            way = plan.ways[quickest]
            if way.byte_count <= left:
                chosen.append((plan, way))
                left -= way.byte_count
        if len(chosen) == len(plans):
            break
    return chosen


def _made(coder: IntCoder, parts: list[Callable[[], KeyRows]], way: _Way, counters: Counters) -> Lookup:
    """The lookup of the keys of a parent; `parts` is emptied on the way."""
    started = time.perf_counter()

    def batches() -> Iterator[Codes]:
        parts.reverse()
        while parts:
            codes = coder.encode(parts.pop()().columns)
            counters.parent_rows_read += len(codes.codes)
            yield codes

    lookup: Lookup
    if way.empty is None:
        found = collect(batches(), way.byte_count)
        assert found is not None  # SORTED_BYTES is what collect counts
        lookup = found
    else:
        lookup = marks = way.empty()
        for codes in batches():
            marks.add(codes.codes)
    counters.seconds += time.perf_counter() - started
    return lookup
