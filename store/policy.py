"""The freeze policy: when cold rows of a row part freeze, which rows are cold, and when row groups are merged.

Asked before each COMMIT, and only about tables that were written: the answer is nearly always "nothing to do",
and costs a few comparisons. It is worked out from counts in memory, which begin anew with each connection.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from itertools import islice
from typing import TYPE_CHECKING

import apsw
import numpy as np

from colonnade.store import merge
from colonnade.store.freeze import freeze_cold
from colonnade.store.values import IntArray

if TYPE_CHECKING:
    from colonnade.store.database import Store
    from colonnade.store.table import ColumnTable

_REMEMBERED = 16_384  # rows of a table whose thaws are remembered, about 150 bytes each
_POINT_ROWS = 1024  # a statement that thaws more rows is no sign that these will be wanted again
_LONGEST_STAY = 64  # freezes
_COLD = (0, 0)
_STEPS = 8  # of the hints' rows: so many changes at least between two looks at a table


class Heat:
    """Rows that were thawed one by one, and for how many freezes each stays in the row part.

    One the first time, and each time that it comes back soon after, twice as many: a hot row is frozen and thawed
    again as often as the logarithm of the number of freezes.
    """

    def __init__(self) -> None:
        self._rows: dict[int, tuple[int, int]] = {}  # rowid: (freezes that it stays, how many are left)

    def thawed(self, rowids: Sequence[int]) -> None:
        if len(rowids) > _POINT_ROWS:
            return
        for rowid in rowids:
            self.thawed_one(rowid)

    def thawed_one(self, rowid: int) -> None:
        rows = self._rows
        stay = min(2 * rows.pop(rowid, _COLD)[0], _LONGEST_STAY) or 1
        rows[rowid] = (stay, stay)
        if (
            len(rows) > _REMEMBERED
        ):  # not one by one: to find the first of a dict means to pass those that were
            for oldest in list(islice(rows, _REMEMBERED // 8)):
                del rows[oldest]

    def asked_for(self, rowids: Sequence[int]) -> None:
        """Rows of the row part are in use: of those that were thawed the stay begins anew."""
        if len(rowids) > _POINT_ROWS:
            return
        rows = self._rows
        for rowid in rowids:
            stay = rows.pop(rowid, None)
            if stay is not None:
                rows[rowid] = (stay[0], stay[0])

    def hot(self, limit: int) -> IntArray:
        """The rowids of rows that shall stay, ascending; of more than `limit` those that were thawed last."""
        rowids = [rowid for rowid, (_, left) in self._rows.items() if left]
        return np.sort(np.array(rowids[-limit:] if limit else [], np.int64))

    def froze(self) -> None:
        """Cold rows were frozen."""
        self._rows = {rowid: (stay, max(0, left - 1)) for rowid, (stay, left) in self._rows.items()}


@dataclass(slots=True)
class Wear:
    """What a connection remembers of one table between its commits.

    changed  rows changed since the last look, of any table
    buried   tombstones set since then
    enough   how many of either are worth a look
    """

    changed: int = 0
    buried: int = 0
    enough: int = 0
    heat: Heat = field(default_factory=Heat)

    @property
    def due(self) -> bool:
        return self.changed >= self.enough or self.buried >= self.enough


class Policy:
    """What the tables of one connection are due for."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._wear: dict[tuple[str, str], Wear] = {}
        self._by_key: dict[str, Wear] = {}  # the same by folded names
        self._written: dict[tuple[str, str], Wear] = {}
        self._changes = store.db.total_changes()

    def _of(self, schema: str, name: str) -> Wear:
        place = schema, name
        found = self._wear.get(place)
        if found is None:
            folded = f"{schema}.{name}".lower()
            found = self._wear[place] = self._by_key.setdefault(folded, Wear())
        return found

    def wrote(self, schema: str, name: str) -> None:
        """Rows of a table may have been added to its row part."""
        place = schema, name
        if place not in self._written:
            self._written[place] = self._of(schema, name)

    def appended(self, schema: str, name: str, count: int) -> None:
        """So many rows were appended in bulk: in the row part, or in row groups that may be small, they gather."""
        self._of(schema, name).changed += count
        self.wrote(schema, name)

    def thawed(self, table: ColumnTable, rowids: Sequence[int], moved: int) -> None:
        """A statement asked for these rows, of which so many were frozen until then."""
        heat = self._of(table.schema, table.name).heat
        if moved:
            heat.thawed(rowids)
        else:
            heat.asked_for(rowids)
        self.wrote(table.schema, table.name)

    def thawed_one(self, table: ColumnTable, rowid: int) -> None:
        """Of a row group's rows one was asked for, which is gone from there."""
        place = table.schema, table.name
        wear = self._wear.get(place) or self._of(*place)
        wear.heat.thawed_one(rowid)
        wear.buried += 1
        self._written.setdefault(place, wear)

    def buried(self, table: ColumnTable, count: int) -> None:
        """So many rows of row groups are gone."""
        self._of(table.schema, table.name).buried += count
        self.wrote(table.schema, table.name)

    @property
    def waiting(self) -> bool:
        """Whether any table was written since the last COMMIT, or is still due."""
        return bool(self._written)

    def settle(self, busy: Callable[[], bool]) -> None:
        """Freezes and merges what is due. To be called in the transaction that is about to end.

        busy  whether a statement of the connection is still being read: then all waits for a later COMMIT
        """
        changes = self._store.db.total_changes()
        changed, self._changes = changes - self._changes, changes
        for place, wear in list(self._written.items()):
            wear.changed += changed
            if wear.due:
                table = self._store.table(place[1], place[0])
                if table is not None and (table.open_scans or busy()):
                    continue
                try:
                    if table is not None:
                        look(table, wear)
                except (apsw.LockedError, apsw.BusyError):
                    continue  # a later COMMIT tries again
                self._changes = self._store.db.total_changes()
            del self._written[place]


def look(table: ColumnTable, wear: Wear) -> None:
    """Freezes the cold rows of a table's row part if they fill row groups, and merges row groups."""
    wanted = table.store.batch_rows(table.name, table.schema)
    rows = _rows(table, 2 * wanted)
    if rows > wanted:
        hot = wear.heat.hot(wanted // 2)
        if rows - len(hot) > wanted and freeze_cold(table, hot, wanted):
            wear.heat.froze()
            rows = _rows(table, 2 * wanted)
    merge.compact(table, wanted)
    wear.changed = wear.buried = 0
    wear.enough = max(1, wanted // _STEPS, wanted - rows)


def _rows(table: ColumnTable, limit: int) -> int:
    """Rows in the row part, at most `limit`; where the rowids leave no room for so many, how many they do."""
    span = table.row_part.min_max()
    if span is None:
        return 0
    room = span[1] - span[0] + 1
    return room if room < limit // 2 else table.row_part.count(limit=limit)
