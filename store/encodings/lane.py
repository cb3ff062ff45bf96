"""Lanes: how numbers, DATE and DATETIME become integers for the encodings of integers, and come back.

The first parameter byte of SEQUENCE, NARROW and DELTA, `digits`, says what the integers stand for:

    kind            digits     the integer is
    INTEGER         0          the value
    DATE            0          days since 1970-01-01
    DATETIME        0, 3, 6    seconds, milliseconds, microseconds since 1970-01-01 00:00:00
    REAL, NUMERIC   0 to 9     value * 10**digits, exactly: dividing gives the double back, bit for bit
    REAL, NUMERIC   255        the bits of the double

A NULL has any integer that occurs among the others.
"""

from __future__ import annotations

import math
import struct
from collections.abc import Callable
from dataclasses import dataclass
from datetime import date

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from colonnade.store.encodings.base import Numbers, One, empty, require
from colonnade.store.values import EXACT_INT, IntArray, Kind, SQLiteValue

FloatArray = npt.NDArray[np.float64]

MAX_DIGITS, DOUBLE_BITS = 9, 255
_UNIT = {0: "s", 3: "ms", 6: "us"}
_DIGITS = {unit: digits for digits, unit in _UNIT.items()}
_FIRST_DAY, _YEAR_1, _LAST_DAY = -719528, -719162, 2932896  # 0000-01-01, 0001-01-01, 9999-12-31
_SAMPLE = 1024
_INT64, _DOUBLE = struct.Struct("<q"), struct.Struct("<d")

LANE_KINDS = frozenset({Kind.INTEGER, Kind.REAL, Kind.NUMERIC, Kind.DATE, Kind.DATETIME})


@dataclass(frozen=True, slots=True)
class Lane:
    """Integers from low to high, with what they stand for.

    values         (n,) int64 or int32
    least, greatest  the smallest and largest value as Arrow or numpy has it: int, or float
    """

    values: Numbers
    low: int
    high: int
    digits: int
    least: int | float
    greatest: int | float


def to_lane(kind: Kind, data: pa.Array) -> Lane:
    """The lane of an array of one of LANE_KINDS in which at least one value is not NULL."""
    digits = 0
    if kind is Kind.DATE:
        data = data.view(pa.int32())
    elif kind is Kind.DATETIME:
        digits = _DIGITS[data.type.unit]
        data = data.view(pa.int64())
    if data.null_count:
        data = data.fill_null(pc.min(data))
    if kind in (Kind.REAL, Kind.NUMERIC):
        return _double_lane(data.to_numpy())
    values = data.to_numpy()
    low, high = int(values.min()), int(values.max())
    return Lane(values, low, high, digits, low, high)


def _double_lane(doubles: FloatArray) -> Lane:
    least, greatest = float(doubles.min()), float(doubles.max())
    if math.isnan(least):
        raise ValueError("NaN is not a SQLite value")
    scaled = _scale(doubles, least, greatest)
    if scaled is None:
        bits = np.ascontiguousarray(doubles).view(np.int64)
        return Lane(bits, int(bits.min()), int(bits.max()), DOUBLE_BITS, least, greatest)
    mantissas, digits = scaled
    low, high = (int(np.rint(bound * 10.0**digits)) for bound in (least, greatest))
    return Lane(mantissas, low, high, digits, least, greatest)


def _scale(doubles: FloatArray, least: float, greatest: float) -> tuple[Numbers, int] | None:
    """The doubles as integers and the power of ten that makes them so, if there is one up to MAX_DIGITS."""
    largest = max(-least, greatest)
    step = max(1, len(doubles) // _SAMPLE)
    sample = np.ascontiguousarray(doubles[::step])
    for digits in range(MAX_DIGITS + 1):
        if not largest * 10.0**digits < EXACT_INT:
            return None
        if _mantissas(sample, digits, largest) is not None:
            mantissas = _mantissas(doubles, digits, largest)
            if mantissas is not None:
                return mantissas, digits
    return None


def _mantissas(doubles: FloatArray, digits: int, largest: float) -> Numbers | None:
    power = 10.0**digits
    scaled = doubles * power
    np.rint(scaled, out=scaled)
    mantissas = scaled.astype(np.int32 if largest * power < 2**31 - 1 else np.int64)
    # From the integers and by bits, so that -0.0 does not pass for 0.
    np.divide(mantissas, power, out=scaled)
    return mantissas if np.array_equal(scaled.view(np.int64), doubles.view(np.int64)) else None


def check_digits(kind: Kind, digits: int) -> None:
    """Raises Corrupt unless `digits` may stand beside `kind`."""
    if kind in (Kind.REAL, Kind.NUMERIC):
        known = digits <= MAX_DIGITS or digits == DOUBLE_BITS
    elif kind is Kind.DATETIME:
        known = digits in _UNIT
    else:
        known = digits == 0
    require(known, f"digits {digits} for kind {kind.name}")


def arrow_type(kind: Kind, digits: int) -> pa.DataType:
    """The Arrow type of a chunk of `kind`, one of LANE_KINDS."""
    if kind is Kind.DATE:
        return pa.date32()
    if kind is Kind.DATETIME:
        return pa.timestamp(_UNIT[digits])
    return pa.int64() if kind is Kind.INTEGER else pa.float64()


def lane_dtype(kind: Kind) -> type[np.int32] | type[np.int64]:
    """The integer type in which a lane of `kind` is best decoded."""
    return np.int32 if kind is Kind.DATE else np.int64


def divisor_of(kind: Kind, digits: int) -> float | None:
    """What integers of a lane are divided by to give the doubles they stand for; None if they do not."""
    if kind not in (Kind.REAL, Kind.NUMERIC) or digits == DOUBLE_BITS:
        return None
    return float(10.0**digits)


def from_lane(kind: Kind, digits: int, values: Numbers, validity: pa.Buffer | None) -> pa.Array:
    """The array that a decoded lane stands for. Raises Corrupt for what the kind cannot hold."""
    if kind in (Kind.DATE, Kind.DATETIME):
        check_years(kind, digits, int(values.min()), int(values.max()))
    elif kind is not Kind.INTEGER:
        values = _to_doubles(values, digits)
    buffers = [validity, pa.py_buffer(values)]
    return pa.Array.from_buffers(arrow_type(kind, digits), len(values), buffers)


def one_of_lane(kind: Kind, digits: int, integer_at: Callable[[int], int]) -> One | None:
    """Reads the single values that the integers of a lane stand for; None for DATETIME."""
    if kind is Kind.INTEGER:
        return integer_at
    if kind is Kind.DATE:
        return lambda row: _iso_date(integer_at(row))
    if kind is Kind.DATETIME:
        return None
    scale = 10.0 ** (0 if digits == DOUBLE_BITS else digits)

    def double_at(row: int) -> float:
        if digits != DOUBLE_BITS:
            return float(integer_at(row)) / scale
        double: float = _DOUBLE.unpack(_INT64.pack(integer_at(row)))[0]
        require(double == double, "NaN")
        return double

    def number_at(row: int) -> SQLiteValue:
        double = double_at(row)
        return int(double) if abs(double) <= EXACT_INT and double.is_integer() else double

    return double_at if kind is Kind.REAL else number_at


def _iso_date(day: int) -> str:
    """YYYY-MM-DD of a day number. Raises Corrupt for one outside years 0000 to 9999."""
    require(_FIRST_DAY <= day <= _LAST_DAY, "DATE outside years 0000 to 9999")
    if day >= _YEAR_1:
        return date.fromordinal(day - _YEAR_1 + 1).isoformat()
    # Python's dates begin with year 1; year 0 has the days of year 4.
    return "0000" + date.fromordinal(date(4, 1, 1).toordinal() + day - _FIRST_DAY).isoformat()[4:]


def check_years(kind: Kind, digits: int, low: int, high: int) -> None:
    """Raises Corrupt unless integers from low to high stand for dates that SQLite knows."""
    per_day = 1 if kind is Kind.DATE else 86_400 * 10**digits
    inside = _FIRST_DAY * per_day <= low and high < (_LAST_DAY + 1) * per_day
    require(inside, f"{kind.name} outside years 0000 to 9999")


def _to_doubles(values: IntArray, digits: int) -> FloatArray:
    if digits == DOUBLE_BITS:
        doubles = values.view(np.float64)
        require(not np.isnan(doubles.min()), "NaN")
        return doubles
    doubles = empty(len(values), np.float64)
    np.divide(values, 10.0**digits, out=doubles)
    return doubles
