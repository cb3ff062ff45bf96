"""Row groups by ranges of integers: each key is offered exactly the row groups whose range holds it."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from colonnade.store import keyranges
from colonnade.store.keyindex import EMPTY_ZONE, KeyZone
from colonnade.store.keyranges import group_ranges
from colonnade.store.pager import RowGroupInfo
from colonnade.store.values import StorageClass
from colonnade.store.zonemap import ZoneMap

INTEGER, TEXT = int(StorageClass.INTEGER), int(StorageClass.TEXT)
UNIQUE = KeyZone(b"", b"\xff", True)


def group(number: int, rows: int, dead: int = 0) -> RowGroupInfo:
    return RowGroupInfo(number, rows, dead, 0, 0, True, 0)


@given(
    st.lists(st.tuples(st.integers(-60, 60), st.integers(0, 12)), max_size=12),
    st.lists(st.integers(-80, 80), min_size=1, max_size=40),
    st.sampled_from([0, 3, 100]),
)
@settings(deadline=None)
def test_each_key_is_offered_the_row_groups_whose_range_holds_it(
    spans: list[tuple[int, int]], keys: list[int], few: int
) -> None:
    groups = [group(number, 20) for number in range(len(spans))]
    zones = {n: ZoneMap(0, INTEGER, low, low + size) for n, (low, size) in enumerate(spans)}
    ranges = group_ranges(groups, [zones], dict.fromkeys(zones, UNIQUE))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(keyranges, "_FEW_GROUPS", few)
        offered = [
            (int(ranges.groups[place]), row)
            for place, rows in ranges.candidates(np.array(keys, np.int64))
            for row in rows.tolist()
        ]
    expected = [
        (n, row)
        for n, (low, size) in enumerate(spans)
        for row, key in enumerate(keys)
        if low <= key <= low + size
    ]
    assert sorted(offered) == sorted(expected)


def test_only_row_groups_without_gap_null_repetition_or_dead_row_are_sure() -> None:
    full = ZoneMap(0, INTEGER, 10, 19)
    groups = [group(n, 10, dead=n == 4) for n in range(8)]
    zones = {
        0: full,
        1: ZoneMap(0, INTEGER, 10, 20),
        2: ZoneMap(1, INTEGER | int(StorageClass.NULL), 10, 19),
        3: full,
        4: full,
        5: ZoneMap(0, TEXT, "a", "b"),
        6: full,
    }
    keys = {**dict.fromkeys(range(8), UNIQUE), 3: KeyZone(b"", b"\xff", False), 6: EMPTY_ZONE}
    ranges = group_ranges(groups, [zones], keys)
    by_group = dict(zip(ranges.groups.tolist(), ranges.sure.tolist(), strict=True))
    assert by_group == {0: True, 1: False, 2: False, 3: False, 4: False}
    assert dict(zip(ranges.groups.tolist(), ranges.full.tolist(), strict=True))[4]
    assert list(ranges.others) == [5, 7]
    pair = group_ranges(groups, [zones, zones], keys)
    assert not pair.full.any()
