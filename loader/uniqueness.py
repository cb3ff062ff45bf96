"""Uniqueness of a PRIMARY KEY or UNIQUE constraint: proven from key zones, else scanned once.

1. Segments whose zones overlap no other and that are unique inside are proven; nothing is read.
2. The rest (suspects), and the checked segments whose zones they overlap (companions), become codes.
   Suspects are sorted, companions are looked up in them; beyond the memory limit both are spilled.
3. Only if a code occurred twice are the same segments read again, in row order: the first row of a key
   is its owner, each later one a violation. Where codes are hashes, key bytes decide here.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import accumulate

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from colonnade.loader.checking import Check
from colonnade.loader.codes import Coder, HashCoder, int_coder, joint_ranges
from colonnade.loader.keysource import KeyRows, KeySource, Segment
from colonnade.loader.lookup import SORTED_BYTES, SortedCodes
from colonnade.loader.spill import Partitions, partition_count
from colonnade.loader.stats import HASH, PROVEN, SORTED_MERGE
from colonnade.store.keycode import Mask
from colonnade.store.keyindex import KeyZone
from colonnade.store.values import IntArray, sorted_distinct

_ANYWHERE = KeyZone(b"", b"\xff", False)  # sorts before and after every canonical key
_MAX_LEVEL = 2  # of cutting partitions again; 64 * 64 * 64 partitions in all


@dataclass(frozen=True, slots=True)
class Scan:
    """What has to be read: the segments under suspicion, and checked ones they may collide with."""

    suspects: tuple[Segment, ...]
    companions: tuple[Segment, ...]


def check_unique(check: Check, source: KeySource, collations: Sequence[str]) -> None:
    """Find every row whose key occurred before; see Segment and KeySource.segments for the order."""
    segments = source.segments()
    owing = [segment for segment in segments if check.owes(segment)]
    scan = plan_scan(segments, owing)
    counters = check.counters
    counters.groups_proven += len(owing) - len(scan.suspects)
    counters.rows_checked += sum(segment.row_count for segment in owing)
    if len(owing) > len(scan.suspects):
        counters.took(PROVEN)
    if not scan.suspects:
        return
    read = set(scan.suspects) | set(scan.companions)
    counters.groups_scanned += len(read)
    in_order = [segment for segment in segments if segment in read]
    coder = int_coder(joint_ranges(in_order, len(collations))) or HashCoder(tuple(collations))
    counters.took(SORTED_MERGE if coder.exact else HASH)
    room = check.limits.working_bytes
    suspect_rows = sum(segment.row_count for segment in scan.suspects)
    if suspect_rows * (SORTED_BYTES if scan.companions else 9) <= room:
        found: Iterator[IntArray] = iter([_repeated_in_memory(check, source, scan, coder)])
    else:
        found = _repeated_spilled(check, source, in_order, coder)
    for repeated in _gathered(found, max(8, room // 32)):
        with counters.holding(repeated.nbytes):
            _report(check, source, in_order, coder, repeated)


def plan_scan(segments: Sequence[Segment], owing: Sequence[Segment]) -> Scan:
    """Which segments cannot be decided from their zones."""
    zones = [(segment.zone or _ANYWHERE, segment) for segment in segments if segment.row_count]
    keyed = sorted(
        ((zone.lo, zone.hi, zone.unique, segment) for zone, segment in zones if zone.lo is not None),
        key=lambda item: item[0] or b"",
    )
    if not keyed:
        return Scan((), ())
    lows = [low or b"" for low, _, _, _ in keyed]
    highs = [high or b"" for _, high, _, _ in keyed]
    reach = list(accumulate(highs, max))
    debtors = set(owing)
    suspects: list[tuple[bytes, bytes, Segment]] = []
    others: list[tuple[bytes, bytes, Segment]] = []
    for place, (_, _, unique, segment) in enumerate(keyed):
        low, high = lows[place], highs[place]
        overlaps = place > 0 and reach[place - 1] >= low
        overlaps = overlaps or (place + 1 < len(keyed) and lows[place + 1] <= high)
        if segment not in debtors:
            others.append((low, high, segment))
        elif overlaps or not unique:
            suspects.append((low, high, segment))
    suspect_lows = [low for low, _, _ in suspects]
    suspect_reach = list(accumulate((high for _, high, _ in suspects), max))
    companions = []
    for low, high, segment in others:
        before = bisect_right(suspect_lows, high)
        if before and suspect_reach[before - 1] >= low:
            companions.append(segment)
    return Scan(tuple(segment for _, _, segment in suspects), tuple(companions))


def _repeated_in_memory(check: Check, source: KeySource, scan: Scan, coder: Coder) -> IntArray:
    """The codes that occur twice among suspects, or in a suspect and a companion; ascending, each once."""
    capacity = sum(segment.row_count for segment in scan.suspects)
    with check.counters.holding(capacity * (SORTED_BYTES if scan.companions else 9)):
        codes = np.empty(capacity, np.int64)
        filled = 0
        for part in _codes(check, source, scan.suspects, coder):
            codes[filled : filled + len(part)] = part
            filled += len(part)
        codes = codes[:filled]
        codes.sort()
        found = [codes[1:][codes[1:] == codes[:-1]]]
        if scan.companions:
            lookup = SortedCodes(codes)

            def hits(segment: Segment, rows: KeyRows) -> tuple[int, IntArray]:
                part = coder.encode(rows.columns).codes
                return len(part), part[lookup.contains(part, None)]

            for probes, hit in check.workers.scan(source, scan.companions, hits):
                check.counters.index_probes += probes
                check.counters.hits += len(hit)
                found.append(hit)
        return sorted_distinct(np.concatenate(found))


def _codes(check: Check, source: KeySource, segments: Sequence[Segment], coder: Coder) -> Iterator[IntArray]:
    return check.workers.scan(source, segments, lambda _, rows: coder.encode(rows.columns).codes)


def _repeated_spilled(
    check: Check, source: KeySource, segments: Sequence[Segment], coder: Coder
) -> Iterator[IntArray]:
    """The codes that occur twice, partition by partition."""
    part_bytes = check.limits.partition_bytes
    total = 8 * sum(segment.row_count for segment in segments)
    directory = check.limits.spill_directory
    with Partitions(partition_count(total, part_bytes), 0, keys=False, directory=directory) as parts:
        for codes in _codes(check, source, segments, coder):
            parts.add(codes, None)
        check.counters.spilled_bytes += parts.bytes_written
        for number in range(parts.count):
            yield from _repeated_in(check, parts, number)


def _repeated_in(check: Check, parts: Partitions, number: int) -> Iterator[IntArray]:
    part_bytes = check.limits.partition_bytes
    if parts.bytes[number] <= part_bytes or parts.level >= _MAX_LEVEL:
        with check.counters.holding(2 * min(part_bytes, parts.bytes[number])):
            yield _merge(parts, number)
        return
    cuts = partition_count(parts.bytes[number], part_bytes)
    directory = check.limits.spill_directory
    with Partitions(cuts, parts.level + 1, keys=False, directory=directory) as smaller:
        for rows in parts.read(number):
            smaller.add(rows.codes, None)
        check.counters.spilled_bytes += smaller.bytes_written
        for part in range(cuts):
            yield from _repeated_in(check, smaller, part)


def _merge(parts: Partitions, number: int) -> IntArray:
    """The repeated codes of one partition. Holds each code twice at most, however often it occurs."""
    once = twice = np.zeros(0, np.int64)
    waiting: list[IntArray] = []
    waiting_rows = 0

    def merge() -> None:
        nonlocal once, twice
        codes = np.concatenate([once, *waiting])
        codes.sort()
        again = codes[1:][codes[1:] == codes[:-1]]
        twice = sorted_distinct(np.concatenate([twice, again])) if len(again) else twice
        once = sorted_distinct(codes)
        waiting.clear()

    for rows in parts.read(number):
        waiting.append(rows.codes)
        waiting_rows += len(rows.codes)
        if waiting_rows > max(65536, len(once)):
            merge()
            waiting_rows = 0
    merge()
    return twice


def _gathered(found: Iterator[IntArray], most: int) -> Iterator[IntArray]:
    """Disjoint arrays of codes joined and cut to at most `most` codes, ascending, none empty."""
    waiting: list[IntArray] = []
    count = 0
    for codes in found:
        for start in range(0, len(codes), most):
            waiting.append(codes[start : start + most])
            count += len(waiting[-1])
            if count >= most:
                yield np.sort(np.concatenate(waiting))
                waiting, count = [], 0
    if count:
        yield np.sort(np.concatenate(waiting))


def _report(
    check: Check, source: KeySource, segments: Sequence[Segment], coder: Coder, repeated: IntArray
) -> None:
    """Read `segments` again, in row order, and report every row but the first of each repeated key."""

    def hits(segment: Segment, rows: KeyRows) -> tuple[Segment, IntArray, pa.Array | None, KeyRows]:
        codes = coder.encode(rows.columns)
        places = np.minimum(np.searchsorted(repeated, codes.codes), len(repeated) - 1)
        hit = np.flatnonzero(repeated[places] == codes.codes)
        keys = None if codes.keys is None else codes.keys.take(pa.array(hit))
        return segment, places[hit], keys, rows.take(codes.positions(hit))

    owners = _Owners(len(repeated))
    for segment, places, keys, rows in check.workers.scan(source, segments, hits):
        if len(rows):
            check.report(source, segment, rows.take(np.flatnonzero(owners.later(places, keys))))


class _Owners:
    """Which keys were met before, while rows pass in row order."""

    def __init__(self, count: int) -> None:
        self._met = np.zeros(count, bool)
        self._keys = pa.array([], pa.binary())

    def later(self, places: IntArray, keys: pa.Array | None) -> Mask:
        """(n,) bool: the row's key was met before; then it counts as met."""
        if keys is None:
            distinct, firsts = np.unique(places, return_index=True)
            met = self._met[distinct]
            self._met[distinct] = True
        else:
            encoded = keys.dictionary_encode()
            distinct, firsts = np.unique(encoded.indices.to_numpy(), return_index=True)
            met = pc.is_in(encoded.dictionary, value_set=self._keys).to_numpy(zero_copy_only=False)
            fresh = encoded.dictionary.filter(pa.array(~met))
            self._keys = pa.concat_arrays([self._keys, fresh])
        later = np.ones(len(places), bool)
        later[firsts[~met]] = False
        return later
