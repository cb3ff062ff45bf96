"""Estimates for SQLite's planner, out of zone maps: which share of a table a comparison leaves."""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from dataclasses import dataclass
from typing import TYPE_CHECKING

from colonnade.store.prune import Op
from colonnade.store.values import SQLiteValue
from colonnade.store.zonemap import ZoneMap

if TYPE_CHECKING:
    from colonnade.store.table import ColumnTable

_RANGE_SHARE = 0.25  # what SQLite assumes of one bound
_EQUAL_SHARE = 0.05  # of a column of which only its bounds are known


@dataclass(frozen=True, slots=True)
class Share:
    """groups: share of the rows in row groups that must be read; rows: share of the rows that match."""

    groups: float
    rows: float


def rowid_share(op: Op) -> Share:
    return Share(_RANGE_SHARE, _RANGE_SHARE) if op is not Op.NOT_NULL else Share(1.0, 1.0)


def column_share(table: ColumnTable, column_id: int, op: Op, rows: int) -> Share:
    """What a comparison of a column with a value not known yet leaves of a table with `rows` rows."""
    zones = list(table.zones(column_id).values())
    if op is Op.NOT_NULL or not zones:
        return Share(1.0, 1.0 if op is not Op.EQ else _EQUAL_SHARE)
    if op is Op.NULL:
        nulls = sum(zone.null_count for zone in zones)
        with_nulls = sum(zone.null_count > 0 for zone in zones)
        return Share(with_nulls / len(zones), nulls / max(1, rows))
    if op is not Op.EQ:
        return Share(_RANGE_SHARE, _RANGE_SHARE)
    bounded = [zone for zone in zones if zone.min is not None]
    matching = max(1.0 / max(1, rows), _equal_share(table, column_id, bounded))
    return Share(max(1.0, _depth(bounded)) / len(zones), matching)


def _equal_share(table: ColumnTable, column_id: int, zones: list[ZoneMap]) -> float:
    if any(spec.column_ids == (column_id,) for spec in table.key_specs()):
        return 0.0
    lows = [zone.min for zone in zones if isinstance(zone.min, int)]
    highs = [zone.max for zone in zones if isinstance(zone.max, int)]
    if not lows or len(lows) < len(zones) or len(highs) < len(zones):
        return _EQUAL_SHARE
    return 1.0 / (max(highs) - min(lows) + 1)


def _depth(zones: list[ZoneMap]) -> float:
    """In how many zones a value lies, on average over the smallest values of the zones."""
    if not zones:
        return 0.0
    lows = sorted(_order(zone.min) for zone in zones)
    highs = sorted(_order(zone.max) for zone in zones if zone.max is not None)
    return sum(bisect_right(lows, low) - bisect_left(highs, low) for low in lows) / len(lows)


def _order(value: SQLiteValue) -> tuple[int, float, str, bytes]:
    """A sort key in SQLite's order (numbers rounded to doubles, which an estimate can bear)."""
    if isinstance(value, int | float):
        return 0, float(value), "", b""
    if isinstance(value, str):
        return 1, 0.0, value, b""
    return 2, 0.0, "", value or b""
