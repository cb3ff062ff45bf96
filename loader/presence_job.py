"""The passes over child and parent that every way of checking a foreign key is made of."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass

import numpy as np
import pyarrow as pa

from colonnade.loader.checking import Check
from colonnade.loader.codes import Coder, Codes
from colonnade.loader.keysource import KeyRows, KeySource, Segment
from colonnade.loader.lookup import SORTED_BYTES, Lookup, SortedCodes, sorted_codes
from colonnade.store.values import Column, IntArray

_MOST_KEY_BYTES = 1 << 30  # in one Arrow array, whose offsets are 32 bits wide


@dataclass(frozen=True, slots=True)
class ForeignKey:
    """The two sides of one foreign key, columns in the order of its declaration.

    convert     per column: the parent column's affinity applied to child values; None: as they are
    collations  of the parent's columns
    """

    child: KeySource
    parent: KeySource
    convert: tuple[Callable[[Column], Column] | None, ...]
    collations: tuple[str, ...]


@dataclass(slots=True)
class Tally:
    """What passed: keys that have a code, and alien ones, which have no parent for certain."""

    keys: int = 0
    aliens: int = 0


@dataclass(frozen=True, slots=True)
class Job:
    """One check of a foreign key that was not decided from zones."""

    check: Check
    key: ForeignKey
    children: list[Segment]
    parents: list[Segment]
    coder: Coder

    def _child_codes(self, rows: KeyRows) -> Codes:
        pairs = zip(rows.columns, self.key.convert, strict=True)
        return self.coder.encode([c if convert is None else convert(c) for c, convert in pairs])

    def child_codes(self, tally: Tally) -> Iterator[Codes]:
        """The child's keys, batch by batch; each call reads them once."""
        for codes in self.check.workers.scan(
            self.key.child, self.children, lambda _, rows: self._child_codes(rows)
        ):
            tally.keys += len(codes.codes)
            tally.aliens += 0 if codes.alien is None else len(codes.alien)
            yield codes

    def parent_codes(self) -> Iterator[Codes]:
        """The parent's keys, batch by batch; each call reads them once."""
        for codes in self.check.workers.scan(
            self.key.parent, self.parents, lambda _, rows: self.coder.encode(rows.columns)
        ):
            self.check.counters.parent_rows_read += len(codes.codes)
            yield codes

    def parent_places(self, children: SortedCodes) -> Iterator[IntArray]:
        """Where the parent's keys stand among the child's, batch by batch; only those that do."""

        def work(_: Segment, rows: KeyRows) -> tuple[int, IntArray]:
            codes = self.coder.encode(rows.columns)
            places = children.locate(codes.codes, codes.keys)
            return len(places), places[places >= 0]

        for count, places in self.check.workers.scan(self.key.parent, self.parents, work):
            self.check.counters.parent_rows_read += count
            yield places

    def probe(self, parents: Lookup) -> None:
        """Stream the child past the whole parent, reporting what it does not hold."""
        counters = self.check.counters

        def work(segment: Segment, rows: KeyRows) -> tuple[int, int, Segment, KeyRows]:
            codes = self._child_codes(rows)
            absent = np.flatnonzero(~parents.contains(codes.codes, codes.keys))
            return len(codes.codes), len(absent), segment, _bad_rows(rows, codes, absent, aliens=True)

        for probes, absent, segment, bad in self.check.workers.scan(self.key.child, self.children, work):
            counters.index_probes += probes
            counters.hits += probes - absent
            self.check.report(self.key.child, segment, bad)

    def report_missing(self, missing: SortedCodes, *, aliens: bool) -> None:
        """Stream the child again, reporting rows whose key is in `missing`, and the alien ones if asked."""

        def work(segment: Segment, rows: KeyRows) -> tuple[Segment, KeyRows]:
            codes = self._child_codes(rows)
            absent = np.flatnonzero(missing.contains(codes.codes, codes.keys))
            return segment, _bad_rows(rows, codes, absent, aliens=aliens)

        for segment, bad in self.check.workers.scan(self.key.child, self.children, work):
            self.check.report(self.key.child, segment, bad)


def _bad_rows(rows: KeyRows, codes: Codes, absent: IntArray, *, aliens: bool) -> KeyRows:
    bad = codes.positions(absent)
    if aliens and codes.alien is not None:
        bad = np.sort(np.concatenate([bad, codes.alien]))
    return rows.take(bad)


def collect(batches: Iterable[Codes], room: int) -> SortedCodes | None:
    """All keys in one lookup, each once; None, and no more read, if they take more than `room` bytes."""
    codes: list[IntArray] = [np.zeros(0, np.int64)]
    keys: list[pa.Array] = []
    held = 0
    for batch in batches:
        codes.append(batch.codes)
        held += SORTED_BYTES * len(batch.codes)
        if batch.keys is not None:
            keys.append(batch.keys)
            held += 2 * batch.keys.nbytes  # sorting makes a copy
        if held > min(room, _MOST_KEY_BYTES if keys else room):
            return None
    joined = np.concatenate(codes)
    codes.clear()
    return sorted_codes(joined, pa.concat_arrays(keys) if keys else None)
