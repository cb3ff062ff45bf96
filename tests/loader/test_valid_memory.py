"""The validators on key sources in memory, against brute force, within any memory limit."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from colonnade.loader import codes as codes_module
from colonnade.loader.checking import Check, ValidateLimits
from colonnade.loader.codes import HashCoder
from colonnade.loader.gapfree import is_inside, known_runs
from colonnade.loader.keysource import NO_INTS, KeyRows, Segment, Workers
from colonnade.loader.lookup import BitMap, ByteMap, SortedCodes, sorted_codes
from colonnade.loader.presence import check_presence
from colonnade.loader.presence_job import ForeignKey
from colonnade.loader.spill import Partitions
from colonnade.loader.stats import Counters
from colonnade.loader.uniqueness import check_unique
from colonnade.loader.violations import Constraint, CountedViolations
from colonnade.store.errors import OperationalError
from colonnade.store.keycode import KeySpec, key_bytes
from colonnade.store.keyhash import hash_bytes
from colonnade.store.keyindex import key_zone
from colonnade.store.values import Column, IntArray, SQLiteValue, from_python, to_python

Key = tuple[SQLiteValue, ...]


@dataclass
class MemorySource:
    """`groups` of keys; group 0 stands for the row part. `reads` counts how often each was fetched."""

    groups: Sequence[Sequence[Key]]
    collations: tuple[str, ...]
    checked: frozenset[int] = frozenset()
    reads: list[int] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.reads = [0] * len(self.groups)
        self._columns = [
            tuple(from_python([key[i] for key in group]) for i in range(len(self.collations)))
            for group in self.groups
        ]
        spec = KeySpec(tuple(range(1, len(self.collations) + 1)), self.collations)
        made = [
            Segment(
                number or None,
                len(group),
                number in self.checked,
                key_zone(columns, spec),
                tuple(map(int_range, columns)),
                whole=all(None not in key for key in group),
            )
            for number, (group, columns) in enumerate(zip(self.groups, self._columns, strict=True))
        ]
        self._segments = sorted(made, key=lambda s: 0 if s.checked else 1 if s.group_id is None else 2)

    def segments(self) -> Sequence[Segment]:
        return self._segments

    def read(self, segment: Segment) -> Iterator[Callable[[], KeyRows]]:
        number = segment.group_id or 0
        self.reads[number] += 1
        first = sum(len(group) for group in self.groups[:number])
        count = len(self.groups[number])
        half = -(-count // 2)
        for start in range(0, count, max(1, half)):
            stop = min(count, start + half)
            positions = np.arange(start, stop)
            columns = tuple(column.slice(start, stop - start) for column in self._columns[number])
            rows = KeyRows(columns, positions, None if number % 2 else positions + first)
            yield lambda rows=rows: rows  # type: ignore[misc]

    def rowids(self, segment: Segment, positions: IntArray) -> IntArray | None:
        return positions + self.rowid(segment.group_id or 0, 0)

    def rowid(self, number: int, position: int) -> int:
        return sum(len(group) for group in self.groups[:number]) + position

    def in_order(self) -> Iterator[tuple[int, bytes | None, bool]]:
        """Rowid, canonical key and whether it owes a check, in the order that decides who came first."""
        for segment in self._segments:
            number = segment.group_id or 0
            keys = key_bytes(self._columns[number], self.collations).to_pylist()
            for position, key in enumerate(keys):
                yield self.rowid(number, position), key, not segment.checked

    def repeated(self) -> set[int]:
        """By brute force: the rowids of all rows whose key occurred before."""
        met: set[bytes] = set()
        found: set[int] = set()
        for rowid, key, _ in self.in_order():
            if key in met:
                found.add(rowid)
            if key is not None:
                met.add(key)
        return found

    def orphans(self, parent: MemorySource) -> set[int]:
        """By brute force: the rowids of owing rows without a parent; no affinity is applied."""
        held = {key for _, key, _ in parent.in_order()}
        return {rowid for rowid, key, owes in self.in_order() if owes and key is not None and key not in held}


def int_range(column: Column) -> tuple[int, int] | None:
    values = [value for value in to_python(column) if value is not None]
    if not values:
        return NO_INTS
    ints = [value for value in values if isinstance(value, int)]
    return (min(ints), max(ints)) if len(ints) == len(values) else None


def run(
    work: Callable[[Check], None], *, memory_limit: int = 1 << 30, threads: int = 1, full: bool = False
) -> tuple[CountedViolations, Counters]:
    """`work` with a Check of its own; asserts that nothing is held afterwards."""
    sink, counters = CountedViolations(keep=None), Counters()
    constraint = Constraint("t", "UNIQUE", ("a",))
    with Workers(threads) as workers:
        work(Check(constraint, counters, sink, workers, ValidateLimits(memory_limit, threads), full))
    assert counters.cache_bytes == 0
    assert counters.violations == sink.total
    return sink, counters


def rowids(sink: CountedViolations) -> list[int]:
    """Of all violations found; a row reported twice appears twice."""
    return sorted(violation.rowid for violation in sink.kept if violation.rowid is not None)


TINY = 4096

small = st.integers(-3, 12)
values = st.one_of(
    st.none(),
    small,
    small.map(float),
    st.sampled_from([0.5, 2**53, 2.0**53, 2**53 + 1, -(2**63), 2**63 - 1, 1e300]),
    st.sampled_from(["a", "A", "a ", "", "1", "a\0b", "a\0c", "x" * 80]),
    st.sampled_from([b"", b"a", b"\0"]),
)
collations = st.sampled_from(["BINARY", "NOCASE", "RTRIM"])


@st.composite
def sources(
    draw: st.DrawFn, width: int, *, ints: bool | None = None, folds: tuple[str, ...] = ()
) -> MemorySource:
    """Some groups of keys, the checked ones free of duplicates as they are in life."""
    ints = draw(st.booleans()) if ints is None else ints
    folds = folds or tuple(draw(collations) for _ in range(width))
    part = st.one_of(st.none(), small) if ints else values
    groups: list[list[Key]] = draw(
        st.lists(st.lists(st.tuples(*[part] * width), max_size=8), min_size=1, max_size=5)
    )
    if draw(st.booleans()):
        groups = [sorted(group, key=repr) for group in groups]
    checked = draw(st.sets(st.integers(1, len(groups)))) & set(range(len(groups)))
    spare = MemorySource(groups, folds, frozenset(range(len(groups))))
    repeated = spare.repeated()
    kept = [
        [
            key
            for position, key in enumerate(group)
            if number not in checked | {0} or spare.rowid(number, position) not in repeated
        ]
        for number, group in enumerate(groups)
    ]
    return MemorySource(kept, folds, frozenset(checked))


@given(st.integers(1, 3).flatmap(sources), st.sampled_from([TINY, 1 << 30]), st.sampled_from([1, 2]))
@settings(max_examples=100, deadline=None)
def test_uniqueness_finds_what_brute_force_finds(source: MemorySource, limit: int, threads: int) -> None:
    sink, counters = run(
        lambda check: check_unique(check, source, source.collations), memory_limit=limit, threads=threads
    )
    assert rowids(sink) == sorted(source.repeated())
    if counters.path == "proven":
        assert not any(source.reads)


@given(st.integers(1, 2).flatmap(sources))
@settings(max_examples=60, deadline=None)
def test_a_full_check_finds_duplicates_among_checked_groups_too(source: MemorySource) -> None:
    everything = MemorySource(source.groups, source.collations, frozenset(range(1, len(source.groups))))
    sink, _ = run(lambda check: check_unique(check, everything, everything.collations), full=True)
    assert rowids(sink) == sorted(everything.repeated())


@st.composite
def foreign_keys(draw: st.DrawFn) -> tuple[MemorySource, MemorySource]:
    width = draw(st.integers(1, 2))
    ints = draw(st.sampled_from([True, True, False, None]))
    parent = draw(sources(width, ints=ints))
    return draw(sources(width, ints=ints, folds=parent.collations)), parent


@given(foreign_keys(), st.sampled_from([TINY, 1 << 30]), st.sampled_from([1, 2]))
@settings(max_examples=100, deadline=None)
def test_presence_finds_what_brute_force_finds(
    pair: tuple[MemorySource, MemorySource], limit: int, threads: int
) -> None:
    child, parent = pair
    key = ForeignKey(child, parent, (None,) * len(parent.collations), parent.collations)
    sink, counters = run(lambda check: check_presence(check, key), memory_limit=limit, threads=threads)
    assert rowids(sink) == sorted(child.orphans(parent))
    if counters.path == "proven":
        assert not any(child.reads)


def cut(keys: list[Key], size: int) -> list[list[Key]]:
    return [[], *(keys[start : start + size] for start in range(0, len(keys), size))]


def int_keys(kind: str, count: int, seed: int) -> list[Key]:
    rng = np.random.default_rng(seed)
    if kind == "one key":
        return [(7,)] * count
    drawn = rng.integers(-(2**62), 2**62, count) if kind == "wide" else rng.permutation(count * 3)[:count]
    repeats = rng.integers(0, count, count // 1000)
    drawn[repeats] = drawn[(repeats + 1) % count]
    if kind == "text":
        return [(f"key {value}",) for value in drawn.tolist()]
    if kind == "pairs":
        return [(value // 7, value % 7) for value in drawn.tolist()]
    return [(value,) for value in drawn.tolist()]


@pytest.mark.parametrize(
    ("kind", "count"),
    [("dense", 60_000), ("wide", 60_000), ("pairs", 60_000), ("text", 60_000), ("one key", 60_000)],
)
def test_uniqueness_is_the_same_within_a_small_memory_limit(kind: str, count: int) -> None:
    keys = int_keys(kind, count, 1)
    source = MemorySource(cut(keys, 20_000), ("BINARY",) * len(keys[0]))
    expected = sorted(source.repeated())
    assert expected
    for limit in (300_000, 1 << 30):
        sink, counters = run(lambda check: check_unique(check, source, source.collations), memory_limit=limit)
        assert rowids(sink) == expected
        assert (counters.spilled_bytes > 0) == (limit < 1 << 30)
        assert counters.cache_peak <= limit


@pytest.mark.parametrize("kind", ["dense", "wide", "pairs", "text"])
@pytest.mark.parametrize("fewer_children", [False, True])
def test_presence_is_the_same_within_a_small_memory_limit(kind: str, fewer_children: bool) -> None:
    parents = int_keys(kind, 40_000, 1)
    children = int_keys(kind, 50_000, 2)[: 8_000 if fewer_children else 50_000]
    folds = ("BINARY",) * len(parents[0])
    parent, child = MemorySource(cut(parents, 20_000), folds), MemorySource(cut(children, 20_000), folds)
    expected = sorted(child.orphans(parent))
    assert expected
    key = ForeignKey(child, parent, (None,) * len(folds), folds)
    ways = set()
    for limit in (200_000, 1 << 30):
        sink, counters = run(lambda check: check_presence(check, key), memory_limit=limit)
        assert rowids(sink) == expected
        assert counters.cache_peak <= limit
        assert counters.path in ("bitmap", "sorted merge", "hash")
        ways.add((counters.path, counters.spilled_bytes > 0))
    assert len(ways) > 1 or kind in ("dense", "pairs") or fewer_children


def test_temporary_files_are_gone_afterwards_even_after_an_error(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    source = MemorySource(cut(int_keys("wide", 60_000, 3), 20_000), ("BINARY",))
    run(lambda check: check_unique(check, source, source.collations), memory_limit=100_000)
    assert not list(tmp_path.iterdir())

    class StopError(Exception):
        pass

    class Failing(MemorySource):
        def read(self, segment: Segment) -> Iterator[Callable[[], KeyRows]]:
            yield from super().read(segment)
            if segment.group_id == 3:
                assert list(tmp_path.iterdir())
                raise StopError

    failing = Failing(source.groups, source.collations)
    for threads in (1, 2):
        with pytest.raises(StopError):
            run(
                lambda check: check_unique(check, failing, failing.collations),
                memory_limit=100_000,
                threads=threads,
            )
    assert not list(tmp_path.iterdir())


def test_a_directory_that_takes_no_files_is_an_operational_error(tmp_path: Path) -> None:
    source = MemorySource(cut(int_keys("wide", 20_000, 3), 20_000), ("BINARY",))
    limits = ValidateLimits(100_000, 1, str(tmp_path / "missing"))
    with pytest.raises(OperationalError, match="cannot write temporary files in .*missing"):
        run(lambda check: check_unique(replace(check, limits=limits), source, source.collations))


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="needs a device that is always full")
def test_a_full_disk_is_an_operational_error(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Partitions, "_path", lambda self, number: "/dev/full")
    source = MemorySource(cut(int_keys("wide", 20_000, 3), 20_000), ("BINARY",))
    with pytest.raises(OperationalError, match="cannot write temporary files in .*: No space left"):
        run(lambda check: check_unique(check, source, source.collations), memory_limit=100_000)


def test_colliding_hashes_are_told_apart_by_their_bytes(monkeypatch: pytest.MonkeyPatch) -> None:
    def poor(keys: object) -> IntArray:
        return hash_bytes(keys) % 5

    monkeypatch.setattr(codes_module, "hash_bytes", poor)
    parents: list[Key] = [(f"p{i}",) for i in range(300)]
    children: list[Key] = [(f"p{i}",) for i in range(250, 350)]
    parent, child = MemorySource(cut(parents, 100), ("BINARY",)), MemorySource(cut(children, 40), ("BINARY",))
    key = ForeignKey(child, parent, (None,), ("BINARY",))
    twice = MemorySource(cut([*parents, ("p7",), ("p8",), ("p7",)], 100), ("BINARY",))
    for limit in (TINY, 1 << 30):
        sink, _ = run(lambda check: check_presence(check, key), memory_limit=limit)
        assert rowids(sink) == list(range(50, 100))
        sink, _ = run(lambda check: check_unique(check, twice, ("BINARY",)), memory_limit=limit)
        assert rowids(sink) == [300, 301, 302]


def test_keys_in_order_are_proven_without_reading() -> None:
    source = MemorySource(cut([(i,) for i in range(1000)], 100), ("BINARY",))
    sink, counters = run(lambda check: check_unique(check, source, ("BINARY",)))
    assert (sink.total, counters.groups_proven, counters.groups_scanned) == (0, 10, 0)
    assert not any(source.reads)


def test_a_gap_free_parent_proves_children_without_reading() -> None:
    parent = MemorySource(cut([(i,) for i in range(1, 1001)], 100), ("BINARY",))
    child = MemorySource(cut([(i % 1000 + 1,) for i in range(5000)], 500), ("BINARY",))
    sink, counters = run(lambda check: check_presence(check, ForeignKey(child, parent, (None,), ("BINARY",))))
    assert (sink.total, counters.groups_proven, counters.groups_scanned) == (0, 10, 0)
    assert not any(parent.reads + child.reads)


def test_only_the_parent_groups_that_can_matter_are_read() -> None:
    parent = MemorySource(cut([(i * 2,) for i in range(1000)], 100), ("BINARY",))
    child = MemorySource([[], [(500,), (502,), (503,)]], ("BINARY",))
    sink, _ = run(lambda check: check_presence(check, ForeignKey(child, parent, (None,), ("BINARY",))))
    assert rowids(sink) == [2]
    assert sum(parent.reads) == 1


def test_checked_groups_far_from_the_new_one_are_not_read() -> None:
    keys: list[Key] = [(i,) for i in range(1000)]
    source = MemorySource([[], *cut(keys, 100)[1:], [(250,), (251,)]], ("BINARY",), frozenset(range(1, 11)))
    sink, counters = run(lambda check: check_unique(check, source, ("BINARY",)))
    assert rowids(sink) == [1000, 1001]
    assert [number for number, reads in enumerate(source.reads) if reads] == [3, 11]
    assert counters.groups_scanned == 2


def test_a_parent_group_with_nulls_deletions_or_doubt_is_not_gap_free() -> None:
    source = MemorySource([[(1,), (2,), (3,)], [(5,), (None,), (7,)], [(8,), (10,)]], ("BINARY",))
    assert known_runs(source.segments()) == [(1, 3)]
    first = source.segments()[0]
    deleted = Segment(None, 3, False, first.zone, ((1, 3),), whole=False)
    assert known_runs([deleted]) == []
    runs = [(1, 3), (5, 9)]
    asked: list[tuple[int, int] | None] = [(1, 3), (0, 1), (2, 5), (4, 4), (6, 6), (9, 10), None]
    assert [is_inside(runs, child) for child in asked] == [True, False, False, False, True, False, False]


@given(st.lists(st.integers(0, 500), max_size=60), st.lists(st.integers(0, 500), max_size=60))
@settings(max_examples=60, deadline=None)
def test_every_lookup_gives_the_same_answer(held: list[int], asked: list[int]) -> None:
    expected = [code in set(held) for code in asked]
    probes = np.array(asked, np.int64)
    for lookup in (ByteMap(501), BitMap(501)):
        for start in range(0, len(held), 7):
            lookup.add(np.array(held[start : start + 7], np.int64))
        assert lookup.contains(probes, None).tolist() == expected
    assert SortedCodes(np.sort(np.array(held, np.int64))).contains(probes, None).tolist() == expected
    assert sorted_codes(np.array(held, np.int64), None).contains(probes, None).tolist() == expected


def test_sorted_codes_span_all_of_int64() -> None:
    ends = np.array([-(2**63), -(2**63), -1, 0, 2**63 - 1], np.int64)
    probes = np.array([-(2**63), -(2**63) + 1, -1, 0, 1, 2**63 - 1], np.int64)
    assert SortedCodes(ends).contains(probes, None).tolist() == [True, False, True, True, False, True]


def test_hashes_differ_in_every_byte_and_length() -> None:
    keys = [b"", *(b"x" * n for n in range(1, 140)), *(b"x" * n + b"\0" for n in range(140))]
    keys += [b"x" * at + b"y" + b"x" * (100 - at) for at in range(101)]
    columns = [from_python(keys)]
    codes = HashCoder(("BINARY",)).encode(columns)
    assert len(set(codes.codes.tolist())) == len(set(keys))
    assert (hash_bytes(key_bytes(columns, ["BINARY"]).slice(50)) == codes.codes[50:]).all()
