"""The advisor: what to do so that keys are checked with less reading, from what the file says and what was counted.

`advise` looks at each table for
1. foreign keys whose parent has no such key: nothing can be checked by it;
2. parents in row groups for whose keys no index answers: each batch that refers to them decodes their keys;
3. an order of rows in which zones alone would prove a key of the table, or the foreign keys that refer to it;
4. row groups of another size than the write hints would choose now.
Each advice is something that was proven from zone maps and key zones, not a rule of thumb; what cannot be proven to
help is not said. Nothing but these small facts is read.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass

from colonnade.loader.gapfree import MUCH_LESS, is_inside, known_runs
from colonnade.loader.keysource import NO_INTS, Segment
from colonnade.loader.stats import ConstraintStats
from colonnade.loader.tablesource import int_range
from colonnade.loader.uniqueness import plan_scan
from colonnade.sql.objects import ForeignKeyDef, KeyDef, Schema, TableDef, fold
from colonnade.sql.tokens import quote
from colonnade.store.database import Store
from colonnade.store.keycode import COLLATIONS, KeySpec
from colonnade.store.keyindex import BOUND_BYTES
from colonnade.store.keyprobe import unindexed_groups
from colonnade.store.pager import RowGroupInfo
from colonnade.store.table import ColumnTable

_WORTH_ROWS = 10_000  # what reads less is not worth a word
_LEAST_GROUPS = 4  # of another size than the hints say, before one is told
_FAR = 2  # times as many rows, or as few, as the write hints recommend


@dataclass(frozen=True, slots=True)
class Advice:
    """One thing to do.

    rows    that were read for want of it, where that was counted; else those that a check of all keys, or each batch
            of a child, reads
    reason  what is the matter
    action  what to do
    """

    table: str
    rows: int
    reason: str
    action: str

    def describe(self) -> str:
        return f"{self.table}: {self.reason}; {self.action}"


def advise(
    store: Store, schema: Schema, stats: ConstraintStats, only: Collection[str] | None = None
) -> list[Advice]:
    """What to do, that which saves most rows first.

    stats  what was counted
    only   tables to speak of, and of them only what checks that were counted have met; None: all that there is to say
    """
    wanted = None if only is None else {fold(name) for name in only}
    found: list[Advice] = []
    for key, definition in schema.tables.items():
        if wanted is not None and key not in wanted:
            continue
        look = _Look(store, schema, stats, definition, foresees=wanted is None)
        found += look.missing_keys()
        if look.table is not None:
            found += [*look.unindexed(), *look.order(), *look.sizes()]
    return sorted(found, key=lambda advice: -advice.rows)


class _Look:
    """One table, and what is known of its row groups."""

    def __init__(
        self, store: Store, schema: Schema, stats: ConstraintStats, definition: TableDef, *, foresees: bool
    ) -> None:
        """foresees: speak of checks to come as well."""
        self._store, self._schema, self._stats = store, schema, stats
        self._definition, self._foresees = definition, foresees
        self.table = store.table(definition.name, schema.name)

    # --- keys that are not there -----------------------------------------------------------------------

    def missing_keys(self) -> Iterator[Advice]:
        """Of the foreign keys of the table."""
        for foreign in self._definition.foreign_keys:
            parent = self._schema.table(foreign.parent)
            if foreign.mismatch is None or parent is None:
                continue
            named = ", ".join(map(quote, foreign.parent_columns))
            columns = {fold(column.name) for column in parent.columns}
            action = "refer to columns that the parent has"
            if foreign.parent_columns and columns.issuperset(map(fold, foreign.parent_columns)):
                action = f"CREATE UNIQUE INDEX on {quote(parent.name)} ({named})"
            yield Advice(
                self._definition.name,
                self._rows(self._definition, whole=True),
                f"FOREIGN KEY ({', '.join(foreign.columns)}) refers to {parent.name}"
                f" ({', '.join(foreign.parent_columns)}), which is no key of it, and cannot be checked",
                action,
            )

    def unindexed(self) -> Iterator[Advice]:
        """Of the keys of the table that others refer to, and of its own that batches have read."""
        assert self.table is not None
        by_columns = dict(self._referred())
        for key in self._definition.keys:
            by_columns.setdefault(key.columns, [])
        for columns, children in by_columns.items():
            spec = self._spec(columns, self._collations(columns))
            if spec is None:
                continue
            groups = unindexed_groups(self.table, spec)
            rows = sum(group.live_count for group in groups)
            counted = sum(
                self._counted(child, foreign.columns, "unindexed_rows", foreign.parent)
                for child, foreign in children
            )
            own = self._counted(self._definition, columns, "unindexed_rows")
            counted += own
            if max(rows, counted) < _WORTH_ROWS or not rows or not (counted or (children and self._foresees)):
                continue
            batches = [child.name for child, _ in children] + [self.table.name] * (own > 0)
            names = ", ".join(dict.fromkeys(batches))
            so_far = f", {counted:,} rows so far" if counted else ""
            yield Advice(
                self.table.name,
                counted or rows,
                f"no index answers for {rows:,} keys ({', '.join(columns)}) in row groups: batches of {names} whose"
                f" keys may be among them read them{so_far}",
                self._how_to_index(groups, spec),
            )

    def _how_to_index(self, groups: Sequence[RowGroupInfo], spec: KeySpec) -> str:
        assert self.table is not None
        every, ranges = self.table.groups(), self.table.group_ranges(spec)
        others = {every[position].group_id for position in ranges.others}
        if not others.intersection(group.group_id for group in groups):
            return "these rows had a key twice when they were stored: loaded anew without those rejected they have one"
        return (
            "a key of integers would have one; loaded into row format (PRAGMA storage_format = row first) SQLite's own"
            " is asked"
        )

    # --- the order of rows -----------------------------------------------------------------------------

    def order(self) -> Iterator[Advice]:
        """One order of the whole table that proves more than the present one, and loses nothing."""
        proven, open_keys = self._keys_by_proof()
        if proven:
            return  # in another order its zones would overlap
        best: Advice | None = None
        for key, rows in open_keys:
            gains = []
            if self._foresees or self._counted(self._definition, key.columns, "groups_scanned"):
                gains.append(_named(self._definition, key.columns))
            else:
                rows = 0
            for child, foreign in self._proven_by_order(key):
                if self._foresees or self._counted(child, foreign.columns, "groups_scanned", foreign.parent):
                    gains.append(_named(child, foreign.columns))
                    rows += self._rows(child)
            if rows >= _WORTH_ROWS and (best is None or rows > best.rows):
                best = Advice(
                    self._definition.name,
                    rows,
                    f"row groups overlap in ({', '.join(key.columns)}), so that {rows:,} rows are read to check keys",
                    f"with its rows in order of ({', '.join(key.columns)}) zones prove {' and '.join(gains)}",
                )
        if best is not None:
            yield best

    def _keys_by_proof(self) -> tuple[list[KeyDef], list[tuple[KeyDef, int]]]:
        """Keys that zones prove as rows are now, and those that they would prove in order, with the rows read."""
        proven: list[KeyDef] = []
        open_keys: list[tuple[KeyDef, int]] = []
        for key in self._definition.keys:
            segments = self._segments(key)
            if segments is None or len(segments) < 2:
                continue
            suspects = plan_scan(segments, segments).suspects
            if not suspects:
                proven.append(key)
            elif all(_is_exact(segment) for segment in segments):
                open_keys.append((key, sum(segment.row_count for segment in suspects)))
        return proven, open_keys

    def _segments(self, key: KeyDef) -> list[Segment] | None:
        """The row groups as sources of a key that holds; None where zones do not tell, or it is not validated."""
        assert self.table is not None
        spec = self._spec(key.columns, key.collations)
        groups = [group for group in self.table.groups() if group.live_count]
        if spec is None or not all(group.checked for group in groups):
            return None
        zones = self.table.key_zones(spec.signature)
        maps = [self.table.zones(column_id) for column_id in spec.column_ids]
        segments = []
        for group in groups:
            found = [known.get(group.group_id) for known in maps]
            whole = group.dead_count == 0 and all(m is not None and m.null_count == 0 for m in found)
            ranges = tuple(int_range(m) for m in found)
            zone = zones.get(group.group_id)
            segments.append(Segment(group.group_id, group.live_count, True, zone, ranges, whole))
        return None if any(segment.zone is None for segment in segments) else segments

    def _proven_by_order(self, key: KeyDef) -> Iterator[tuple[TableDef, ForeignKeyDef]]:
        """The foreign keys that refer to a key without gaps, and that no zones prove while its rows are in disorder."""
        segments = self._segments(key)
        if segments is None or len(key.columns) != 1:
            return
        ranges = [segment.ranges[0] for segment in segments]
        known = [found for found in ranges if found is not None and found != NO_INTS]
        if len(known) < len(ranges):
            return
        low, high = min(found[0] for found in known), max(found[1] for found in known)
        if (
            sum(segment.row_count for segment in segments) + self._in_row_part(key, low, high)
            != high - low + 1
        ):
            return
        runs, largest = known_runs(segments), max(segment.row_count for segment in segments)
        for columns, children in self._referred():
            if list(map(fold, columns)) != list(map(fold, key.columns)):
                continue
            for child, foreign in children:
                held = self._child_ranges(child, foreign)
                inside = [found for found in held or () if found != NO_INTS]
                if all(is_inside(runs, found) for found in inside):
                    continue
                # The last row group, of which a row is in the row part, is read if that is little beside the child.
                if self._rows(child) >= MUCH_LESS * largest and all(
                    is_inside([(low, high)], f) for f in inside
                ):
                    yield child, foreign

    def _in_row_part(self, key: KeyDef, low: int, high: int) -> int:
        """How many rows of the row part have a key of the range."""
        assert self.table is not None
        table = f"{quote(self.table.schema)}.{quote(self.table.rows_name)}"
        query = f"SELECT count(*) FROM {table} WHERE {quote(key.columns[0])} BETWEEN ? AND ?"
        count = self._store.db.execute(query, (low, high)).get
        assert isinstance(count, int)
        return count

    def _child_ranges(self, child: TableDef, foreign: ForeignKeyDef) -> list[tuple[int, int]] | None:
        """The ranges of the integers in the row groups of a child; None where it holds anything else."""
        table = self._store.table(child.name, self._schema.name)
        if table is None:
            return None
        column_id = next(c.column_id for c in table.columns if fold(c.name) == fold(foreign.columns[0]))
        zones = table.zones(column_id)
        found = [int_range(zones.get(group.group_id)) for group in table.groups() if group.live_count]
        known = [each for each in found if each is not None]
        return known if len(known) == len(found) else None

    # --- the size of row groups ------------------------------------------------------------------------

    def sizes(self) -> Iterator[Advice]:
        """Row groups that are much smaller, or larger, than the hints would make them; the last may be short."""
        assert self.table is not None
        groups = self.table.groups()[:-1]
        if len(groups) < _LEAST_GROUPS - 1:
            return
        mean = sum(group.row_count for group in groups) // len(groups)
        hints = self.table.hints()
        best = hints.recommended_rows.value
        if mean * _FAR > best and mean < best * _FAR:
            return
        yield Advice(
            self.table.name,
            0,
            f"{len(groups) + 1} row groups of {mean:,} rows on average, where the write hints would now choose"
            f" {best:,} ({hints.bytes_per_row.value} bytes a row: {hints.bytes_per_row.source})",
            f"load it with PRAGMA batch_size = 0, or --batch-size {best}",
        )

    # --- small questions -------------------------------------------------------------------------------

    def _referred(self) -> list[tuple[tuple[str, ...], list[tuple[TableDef, ForeignKeyDef]]]]:
        """The column lists of the table that foreign keys refer to, and these."""
        by_columns: dict[tuple[str, ...], list[tuple[TableDef, ForeignKeyDef]]] = {}
        for child, foreign in self._schema.children_of(self._definition.name):
            if foreign.mismatch is None:
                by_columns.setdefault(foreign.parent_columns, []).append((child, foreign))
        return list(by_columns.items())

    def _collations(self, columns: Sequence[str]) -> tuple[str, ...]:
        return tuple(self._definition.column(name).collation for name in columns)

    def _spec(self, columns: Sequence[str], collations: Sequence[str]) -> KeySpec | None:
        """The key as the row groups know it; None under a collation that only SQLite knows."""
        assert self.table is not None
        if not all(collation.upper() in COLLATIONS for collation in collations):
            return None
        ids = {fold(column.name): column.column_id for column in self.table.columns}
        return KeySpec(tuple(ids[fold(name)] for name in columns), tuple(map(str.upper, collations)))

    def _counted(
        self, definition: TableDef, columns: Sequence[str], figure: str, parent: str | None = None
    ) -> int:
        """A figure of the key on these columns, or of the foreign key to `parent`."""
        wanted = fold(definition.name), tuple(columns), parent and fold(parent)
        return sum(
            int(getattr(counters, figure))
            for of, counters in self._stats.counters.items()
            if (fold(of.table), of.columns, of.parent and fold(of.parent)) == wanted
        )

    def _rows(self, definition: TableDef, *, whole: bool = False) -> int:
        """Rows of a table in row format, or of row groups; `whole`: and of the row part beside them."""
        table: ColumnTable | None = self._store.table(definition.name, self._schema.name)
        if table is not None:
            return sum(group.live_count for group in table.groups()) + (
                table.row_part.count() if whole else 0
            )
        name = f"{quote(self._schema.name)}.{quote(definition.name)}"
        count = self._store.db.execute(f"SELECT count(*) FROM {name}").get
        assert isinstance(count, int)
        return count


def _named(definition: TableDef, columns: Sequence[str]) -> str:
    return f"{definition.name} ({', '.join(columns)})"


def _is_exact(segment: Segment) -> bool:
    """Whether the bounds of its zone are keys, not cut: in order, the zones of two row groups then never meet."""
    zone = segment.zone
    return zone is not None and all(len(bound or b"") < BOUND_BYTES for bound in (zone.lo, zone.hi))
