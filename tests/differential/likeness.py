"""Whether two answers to a query are the same: types, values to the bit, and the order as far as it is decided."""

from __future__ import annotations

import math
import struct
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import Any

Row = tuple[Any, ...]


@dataclass(frozen=True, slots=True)
class Leeway:
    """How far two floating-point numbers may be apart; nothing else may differ at all. Nothing: not by a bit."""

    relative: float = 0.0
    absolute: float = 0.0


EXACT = Leeway()
# The order of additions is not SQLite's: the last digits of sums and averages of reals.
SUMMED = Leeway(1e-9, 1e-9)


def same_value(theirs: Any, ours: Any, leeway: Leeway = EXACT) -> bool:
    """Of one type and equal; -0.0 is not 0.0."""
    if type(theirs) is not type(ours):
        return False
    if not isinstance(theirs, float):
        return bool(theirs == ours)
    if struct.pack("<d", theirs) == struct.pack("<d", ours):
        return True
    return leeway != EXACT and math.isclose(theirs, ours, rel_tol=leeway.relative, abs_tol=leeway.absolute)


def same_row(theirs: Row, ours: Row, leeways: Sequence[Leeway]) -> bool:
    """`leeways`: of each column; those that are not named have none."""
    given = [*leeways, *[EXACT] * (len(theirs) - len(leeways))]
    return len(theirs) == len(ours) and all(map(same_value, theirs, ours, given))


def in_order(theirs: list[Row], ours: list[Row], leeways: Sequence[Leeway] = ()) -> bool:
    return len(theirs) == len(ours) and all(
        same_row(a, b, leeways) for a, b in zip(theirs, ours, strict=True)
    )


def as_bags(theirs: list[Row], ours: list[Row], leeways: Sequence[Leeway] = ()) -> bool:
    """The same rows in any order."""
    return len(theirs) == len(ours) and contained(ours, theirs, leeways)


def contained(part: list[Row], whole: list[Row], leeways: Sequence[Leeway] = ()) -> bool:
    """Each row of `part` is a row of `whole`, and no row is used twice.

    Rows are paired by what is exact in them, then by their floats in ascending order where all are needed, else
    greedily: floats that far apart from each other as those of these tests cannot pair up wrongly.
    """

    def exact(row: Row) -> str:
        return repr(
            [
                value if not isinstance(value, float) or leeway == EXACT else "float"
                for value, leeway in zip(row, [*leeways, *[EXACT] * (len(row) - len(leeways))], strict=True)
            ]
        )

    left: dict[str, list[Row]] = {}
    for row in sorted(whole, key=_floats):
        left.setdefault(exact(row), []).append(row)
    for row in sorted(part, key=_floats):
        candidates = left.get(exact(row), [])
        found = next((n for n, other in enumerate(candidates) if same_row(other, row, leeways)), None)
        if found is None:
            return False
        del candidates[found]
    return True


def _floats(row: Row) -> list[float]:
    return [value for value in row if isinstance(value, float)]


def in_ranks(
    ranked: list[tuple[Any, Row]], ours: list[Row], leeways: Sequence[Leeway] = (), offset: int = 0
) -> bool:
    """Rows in the order of their ranks; those of one rank in any order.

    ranked  all rows of SQLite's answer, each with its rank, in order, as they are before LIMIT and OFFSET
    ours    the rows from `offset` on; of a rank that LIMIT or OFFSET cuts, any rows
    """
    start, seen = 0, 0
    for _, group in groupby(ranked, key=lambda pair: pair[0]):
        rows = [row for _, row in group]
        first, last = max(start, offset), min(start + len(rows), offset + len(ours))
        start += len(rows)
        if first < last:
            mine = ours[first - offset : last - offset]
            seen += len(mine)
            if not contained(mine, rows, leeways):
                return False
    return seen == len(ours)


def ranks(rows: list[Row], same: Callable[[Row, Row], bool]) -> list[tuple[int, Row]]:
    """Rows in order with the number of the run of equal ones that each is in."""
    numbered: list[tuple[int, Row]] = []
    for row in rows:
        tied = bool(numbered) and same(numbered[-1][1], row)
        number = numbered[-1][0] + (not tied) if numbered else 0
        numbered.append((number, row))
    return numbered
