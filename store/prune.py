"""Conditions on columns: which row groups and rows certainly cannot satisfy a comparison, by SQLite's rules.

SQLite compares every row again, so the answer "may match" is always allowed and "cannot" must be certain.
What makes it uncertain is that a virtual table learns the value on the right side, not its affinity
(sqlite.org/datatype3.html, section 4.2: the affinity of either side may convert the other):

- a column of numeric affinity is never converted itself; TEXT that looks like a number may be converted;
- a column of TEXT or no affinity may have its TEXT turned to numbers by a right side of numeric affinity,
  and its numbers turned to TEXT by a right side of TEXT affinity.

`certain` says that the value is a constant of the statement, which has no affinity.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable
from dataclasses import dataclass
from enum import Enum
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from colonnade.store.values import (
    EXACT_INT,
    INT64_MAX,
    INT64_MIN,
    Column,
    Kind,
    SQLiteValue,
    StorageClass,
    as_text,
)
from colonnade.store.zonemap import ZoneMap

BoolArray = npt.NDArray[np.bool_]

_NUMBER = StorageClass.INTEGER | StorageClass.REAL
_NUMERIC_TEXT = re.compile(r"[ \t\n\v\f\r]*[+-]?(\d+(\.\d*)?|\.\d+)([eE][+-]?\d+)?[ \t\n\v\f\r]*", re.ASCII)


class Op(Enum):
    """Comparisons with the column on the left."""

    EQ = "="
    LT = "<"
    LE = "<="
    GT = ">"
    GE = ">="
    NULL = "is null"
    NOT_NULL = "not null"


UPWARD = (Op.GT, Op.GE)
DOWNWARD = (Op.LT, Op.LE)


@dataclass(frozen=True, slots=True)
class Compared:
    """A column on the left of a comparison.

    numeric   its affinity is INTEGER, REAL or NUMERIC
    binary    the comparison uses the BINARY collation
    """

    column_id: int
    numeric: bool
    binary: bool


@dataclass(frozen=True, slots=True)
class Test:
    """column op value in SQLite's order of storage classes: numbers, TEXT, BLOB.

    any_text, any_number  TEXT or numbers of the column may match whatever the order says
    """

    op: Op
    value: SQLiteValue = None
    any_text: bool = False
    any_number: bool = False


NEVER: tuple[Test, ...] = ()


@dataclass(frozen=True, slots=True)
class Condition:
    """One of the tests must be true of a row; None: every row may match."""

    column_id: int
    tests: tuple[Test, ...] | None

    @property
    def is_equality(self) -> bool:
        """Whether few rows can be expected to match."""
        return bool(self.tests) and all(test.op is Op.EQ for test in self.tests or ())

    def zone_may_match(self, zone: ZoneMap, row_count: int) -> bool:
        """Whether a chunk with this zone map can have a row that matches."""
        return self.tests is None or any(_zone_may_match(test, zone, row_count) for test in self.tests)

    def rows(self, column: Column) -> BoolArray | None:
        """Which rows may match, (n,) bool; None: all."""
        if self.tests is None:
            return None
        mask = np.zeros(len(column), bool)
        for test in self.tests:
            found = _rows(test, column)
            if found is None:
                return None
            mask |= found
        return mask


def condition(compared: Compared, op: Op, value: SQLiteValue, *, certain: bool) -> Condition:
    """What `column op value` demands of the column."""
    return Condition(compared.column_id, _tests(compared, op, value, certain))


def _tests(compared: Compared, op: Op, value: SQLiteValue, certain: bool) -> tuple[Test, ...] | None:
    if op in (Op.NULL, Op.NOT_NULL):
        return (Test(op),)
    if value is None:
        return NEVER
    if isinstance(value, bytes):
        return (Test(op, value),)
    if isinstance(value, int | float):
        return (Test(op, value, any_text=not compared.numeric),)
    any_text = not compared.binary
    as_stored = Test(op, value, any_text=any_text, any_number=not compared.numeric)
    if not compared.numeric:
        if op in DOWNWARD and not certain:
            # TEXT turned to a number is below any TEXT, wherever it was before; it begins below ':'.
            return (as_stored, Test(Op.LT, ":", any_number=True))
        return (as_stored,)
    number = numeric_text(value)
    if number is None:
        return (as_stored,)
    if op in DOWNWARD and not certain:
        return None
    return (Test(op, number), as_stored) if not certain else (Test(op, number),)


def numeric_text(text: str) -> int | float | None:
    """The number that TEXT becomes under numeric affinity; None if it stays TEXT.

    Source: sqlite.org/datatype3.html section 3: well-formed integer and real literals, spaces around allowed.
    """
    if _NUMERIC_TEXT.fullmatch(text) is None:
        return None
    try:
        number = int(text)
    except ValueError:
        return float(text)
    return number if INT64_MIN <= number <= INT64_MAX else float(text)


def integer_bound(op: Op, value: int | float) -> tuple[int, int] | None:
    """first, last such that an int64 x satisfies `x op value` if and only if it lies between; None: none."""
    if isinstance(value, float) and math.isinf(value):
        upward = op in UPWARD
        return (INT64_MIN, INT64_MAX) if op is not Op.EQ and upward == (value < 0) else None
    low, high = math.floor(value), math.ceil(value)
    first, last = {
        Op.EQ: (high, low),
        Op.LT: (INT64_MIN, high - 1),
        Op.LE: (INT64_MIN, low),
        Op.GT: (low + 1, INT64_MAX),
        Op.GE: (high, INT64_MAX),
    }[op]
    first, last = max(first, INT64_MIN), min(last, INT64_MAX)
    return (first, last) if first <= last else None


def storage_class(value: SQLiteValue) -> StorageClass:
    """The storage class of a value as Python has it."""
    if value is None:
        return StorageClass.NULL
    if isinstance(value, int):
        return StorageClass.INTEGER
    if isinstance(value, float):
        return StorageClass.REAL
    return StorageClass.TEXT if isinstance(value, str) else StorageClass.BLOB


def _rank(value: SQLiteValue) -> int:
    """The place of a value's storage class in SQLite's order; both classes of numbers share one."""
    if isinstance(value, int | float):
        return 0
    return 1 if isinstance(value, str) else 2


def compare_values(left: SQLiteValue, right: SQLiteValue) -> int:
    """Below 0, 0 or above as SQLite orders two values that are not NULL (BINARY collation)."""
    ranks = _rank(left), _rank(right)
    if ranks[0] != ranks[1]:
        return ranks[0] - ranks[1]
    # Python compares int with float exactly, and str by code point, which is the order of UTF-8.
    return int(left > right) - int(left < right)  # type: ignore[operator]


_HOLDS: dict[Op, Callable[[int], bool]] = {
    Op.EQ: lambda order: order == 0,
    Op.LT: lambda order: order < 0,
    Op.LE: lambda order: order <= 0,
    Op.GT: lambda order: order > 0,
    Op.GE: lambda order: order >= 0,
}


def _zone_may_match(test: Test, zone: ZoneMap, row_count: int) -> bool:
    if test.op is Op.NULL:
        return zone.null_count > 0
    if zone.null_count >= row_count:
        return False
    if test.op is Op.NOT_NULL or zone.min is None:
        return True
    if (test.any_text and zone.classes & StorageClass.TEXT) or (test.any_number and zone.classes & _NUMBER):
        return True
    above_min = test.op in UPWARD or compare_values(zone.min, test.value) <= -int(test.op is Op.LT)
    if test.op in DOWNWARD or not above_min:
        return above_min
    return zone.max is None or compare_values(zone.max, test.value) >= int(test.op is Op.GT)


def _rows(test: Test, column: Column) -> BoolArray | None:
    if column.kind is Kind.MIXED:
        return None
    if test.op is Op.NULL:
        return valid(column) ^ True
    if column.kind is Kind.NULL:
        return np.zeros(len(column), bool)
    if test.op is Op.NOT_NULL:
        return valid(column)
    numbers = column.kind in (Kind.INTEGER, Kind.REAL, Kind.NUMERIC)
    text = column.kind in (Kind.TEXT, Kind.DATE, Kind.DATETIME)
    if (numbers and test.any_number) or (text and test.any_text):
        return valid(column)
    rank = 0 if numbers else 1 if text else 2
    if rank != _rank(test.value):
        holds = _HOLDS[test.op](rank - _rank(test.value))
        return valid(column) if holds else np.zeros(len(column), bool)
    if column.kind is Kind.INTEGER:
        return _integer_rows(test, column)
    if numbers:
        return _real_rows(test, column)
    data = as_text(column) if text else column.data
    return _to_mask(_ARROW[test.op](data, pa.scalar(test.value, data.type)))


def valid(column: Column) -> BoolArray:
    """Where a column that is not MIXED has a value, (n,) bool; the caller owns it."""
    if not column.data.null_count:
        return np.ones(len(column), bool)
    return np.array(column.data.is_valid().to_numpy(zero_copy_only=False))


def _integer_rows(test: Test, column: Column) -> BoolArray:
    assert isinstance(test.value, int | float)
    bounds = integer_bound(test.op, test.value)
    if bounds is None:
        return np.zeros(len(column), bool)
    values, first, last = _filled(column), *bounds
    mask = valid(column)
    if first > INT64_MIN:
        mask &= values >= first
    if last < INT64_MAX:
        mask &= values <= last
    return mask


def _real_rows(test: Test, column: Column) -> BoolArray | None:
    assert isinstance(test.value, int | float)
    if isinstance(test.value, int) and abs(test.value) > EXACT_INT:
        return None  # no double for it
    mask: BoolArray = _NUMPY[test.op](_filled(column), float(test.value)) & valid(column)
    return mask


def _filled(column: Column) -> npt.NDArray[Any]:
    data = column.data.fill_null(0) if column.data.null_count else column.data
    values: npt.NDArray[Any] = data.to_numpy()
    return values


_NUMPY = {
    Op.EQ: np.equal,
    Op.LT: np.less,
    Op.LE: np.less_equal,
    Op.GT: np.greater,
    Op.GE: np.greater_equal,
}
_ARROW = {Op.EQ: pc.equal, Op.LT: pc.less, Op.LE: pc.less_equal, Op.GT: pc.greater, Op.GE: pc.greater_equal}


def _to_mask(found: pa.Array) -> BoolArray:
    return np.asarray(found.fill_null(False).to_numpy(zero_copy_only=False), bool)
