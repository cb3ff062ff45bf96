"""Column affinity: SQLite's rules for declared types, and its conversion of values on storage.

Source: sqlite.org/datatype3.html, section 3. INTEGER and NUMERIC affinity store the same values; they
differ in CAST alone.
"""

from __future__ import annotations

from enum import Enum

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from colonnade.sql.isotext import narrow_text
from colonnade.sql.numbertext import BoolArray, DoubleArray, TagArray, real_text, text_numbers
from colonnade.store.values import (
    EXACT_INT,
    Column,
    IntArray,
    Kind,
    StorageClass,
    mixed_column,
    null_column,
    to_mixed,
    utf8_rows,
)

__all__ = ["Affinity", "affinity_of", "apply_affinity", "narrow_text", "settle"]


class Affinity(Enum):
    """A column's affinity; BLOB is what older texts call NONE."""

    TEXT = "TEXT"
    NUMERIC = "NUMERIC"
    INTEGER = "INTEGER"
    REAL = "REAL"
    BLOB = "BLOB"


_RULES = (  # in order of precedence: parts of the declared type, affinity
    (("INT",), Affinity.INTEGER),
    (("CHAR", "CLOB", "TEXT"), Affinity.TEXT),
    (("BLOB",), Affinity.BLOB),
    (("REAL", "FLOA", "DOUB"), Affinity.REAL),
)


def affinity_of(decl_type: str) -> Affinity:
    """The affinity of a column declared so, outside of STRICT tables."""
    upper = decl_type.upper()
    for parts, affinity in _RULES:
        if any(part in upper for part in parts):
            return affinity
    return Affinity.NUMERIC if upper else Affinity.BLOB


def apply_affinity(column: Column, affinity: Affinity) -> Column:
    """The values that SQLite stores when these are inserted in a column of that affinity.

    Kinds of the result: INTEGER if all values are, NUMERIC for integers beside doubles, MIXED only
    where text or a BLOB stays beside numbers. Safe in any thread.
    Cost  nothing where no value can change; 5 ns a double, 20 to 40 ns a number in text, 500 ns from 16
          digits on; 3 µs each different text that only SQLite itself can judge (exponents, spaces).
    """
    kind = column.kind
    if affinity is Affinity.BLOB or kind in (Kind.NULL, Kind.DATE, Kind.DATETIME, Kind.BLOB):
        return column
    if kind is Kind.MIXED:
        return _mixed(column, affinity)
    if kind is Kind.TEXT:
        return column if affinity is Affinity.TEXT else _text(column, affinity)
    if affinity is Affinity.TEXT:
        return Column(Kind.TEXT, _number_text(column))
    if affinity is Affinity.REAL:
        return Column(Kind.REAL, _as_reals(column))
    return _integral(column) if kind is Kind.REAL else column


def settle(column: Column) -> Column:
    """The same values in the narrowest kind, if the column is MIXED."""
    if column.kind is not Kind.MIXED:
        return column
    tags = column.data.field("tag").to_numpy()
    nums = column.data.field("num").to_numpy()
    present = [tag for tag, count in enumerate(np.bincount(tags)) if tag and count]
    missing = tags == 0
    if not present:
        return null_column(len(tags))
    if present == [StorageClass.INTEGER]:
        return Column(Kind.INTEGER, pa.array(nums, mask=missing))
    if present == [StorageClass.REAL]:
        return Column(Kind.REAL, pa.array(nums.view(np.float64), mask=missing))
    if present == [StorageClass.TEXT] or present == [StorageClass.BLOB]:
        raws = pc.if_else(pa.array(missing), None, column.data.field("bytes"))
        if present == [StorageClass.BLOB]:
            return Column(Kind.BLOB, raws)
        if utf8_rows(column.data.field("bytes")) is not None:
            return column
        return Column(Kind.TEXT, raws.cast(pa.string()))
    if present == [StorageClass.INTEGER, StorageClass.REAL]:
        return _settle_numbers(column, tags, nums, missing)
    return column


def _settle_numbers(column: Column, tags: TagArray, nums: IntArray, missing: BoolArray) -> Column:
    """NUMERIC if its rule tells the integers from the doubles, else the MIXED column itself."""
    whole = tags == StorageClass.INTEGER
    doubles = np.where(whole, nums.astype(np.float64), nums.view(np.float64))
    doubles[missing] = 0
    ruled = (np.abs(doubles) <= EXACT_INT) & (doubles == np.trunc(doubles))
    inexact = whole & ((nums > EXACT_INT) | (nums < -EXACT_INT))
    if (ruled != whole)[~missing].any() or inexact.any():
        return column
    return Column(Kind.NUMERIC, pa.array(doubles, mask=missing))


# -- numbers


def _as_reals(column: Column) -> pa.Array:
    """Numbers as doubles, rounded to the nearest. SQLite stores no -0.0."""
    if column.kind is Kind.INTEGER:
        return pc.cast(column.data, pa.float64(), safe=False)
    return column.data if column.kind is Kind.NUMERIC else _without_minus_zero(column.data)


def _without_minus_zero(data: pa.Array) -> pa.Array:
    return pc.add(data, 0.0)


def _integral(column: Column) -> Column:
    """Doubles under NUMERIC affinity: those that are integers within int64 become INTEGER."""
    data = _without_minus_zero(column.data)
    doubles = (data.fill_null(0.0) if data.null_count else data).to_numpy()
    if not len(doubles):
        return Column(Kind.NUMERIC, data)
    size = np.abs(doubles)
    if ((size > EXACT_INT) & (size < 2.0**63)).any():  # integers that NUMERIC cannot tell from doubles
        return _mixed(to_mixed(column), Affinity.NUMERIC)
    if _all_whole(doubles, size):
        return Column(Kind.INTEGER, pc.cast(data, pa.int64()))
    return Column(Kind.NUMERIC, data)


def _all_whole(doubles: DoubleArray, size: DoubleArray) -> bool:
    for part in (slice(0, 64), slice(None)):  # most columns of decimals say no at once
        if not (doubles[part] == np.trunc(doubles[part])).all() or (size[part] > EXACT_INT).any():
            return False
    return True


def _number_text(column: Column) -> pa.Array:
    """Numbers under TEXT affinity: SQLite's own rendering."""
    if column.kind is Kind.INTEGER:
        return pc.cast(column.data, pa.string())
    if column.kind is Kind.NUMERIC:
        return apply_affinity(to_mixed(column), Affinity.TEXT).data
    return real_text(column.data)


# -- text and mixtures


def _text(column: Column, affinity: Affinity) -> Column:
    data = column.data
    if pa.types.is_dictionary(data.type):
        words = _text(Column(Kind.TEXT, data.dictionary), affinity)
        return column if words.kind is Kind.TEXT else _take_codes(words, data.indices)
    if isinstance(found := text_numbers(data), pa.Array):
        kind = Kind.INTEGER if pa.types.is_integer(found.type) else Kind.REAL
        return apply_affinity(Column(kind, found), affinity)
    tags, nums = found
    if not ((tags == StorageClass.INTEGER) | (tags == StorageClass.REAL)).any():
        return column
    raws = pc.if_else(pa.array(tags == StorageClass.TEXT), data.cast(pa.binary()), b"")
    return _mixed(mixed_column(tags, nums, raws), affinity, with_text=False)


def _take_codes(words: Column, codes: pa.Array) -> Column:
    """The column of words[code], NULL for a NULL code."""
    if words.kind is not Kind.MIXED:
        return Column(words.kind, words.data.take(codes))
    # take() would turn a NULL code into a NULL struct, which MIXED does not have.
    null_row = to_mixed(null_column(1)).data
    filled = pa.concat_arrays([words.data, null_row])
    return settle(Column(Kind.MIXED, filled.take(codes.fill_null(len(words)))))


def _mixed(column: Column, affinity: Affinity, *, with_text: bool = True) -> Column:
    tags = column.data.field("tag").to_numpy().copy()
    nums = column.data.field("num").to_numpy().copy()
    raws = column.data.field("bytes")
    if affinity is Affinity.TEXT:
        return _mixed_to_text(tags, nums, raws)
    text = np.flatnonzero(tags == StorageClass.TEXT)
    readable = utf8_rows(raws.take(pa.array(text))) if with_text else None
    if readable is not None:  # text that is not UTF-8 is no number
        text = text[readable]
    if with_text and len(text):
        found = text_numbers(raws.take(pa.array(text)).cast(pa.string()))
        tags[text], nums[text] = _parts(found)
        raws = pc.if_else(pa.array((tags & (StorageClass.TEXT | StorageClass.BLOB)) != 0), raws, b"")
    real = np.flatnonzero(tags == StorageClass.REAL)
    doubles = nums[real].view(np.float64)
    whole = (doubles == np.trunc(doubles)) & (np.abs(doubles) < 2.0**63)
    nums[real[whole]] = doubles[whole].astype(np.int64)
    tags[real[whole]] = StorageClass.INTEGER
    if affinity is Affinity.REAL:
        integers = np.flatnonzero(tags == StorageClass.INTEGER)
        nums[integers] = nums[integers].astype(np.float64).view(np.int64)
        tags[integers] = StorageClass.REAL
    return settle(mixed_column(tags, nums, raws))


def _parts(found: pa.Array | tuple[TagArray, IntArray]) -> tuple[TagArray, IntArray]:
    """Tags and numbers of what text_numbers() found, which has no NULL here."""
    if isinstance(found, tuple):
        return found
    values = found.to_numpy()
    whole = values.dtype == np.int64
    tag = StorageClass.INTEGER if whole else StorageClass.REAL
    return np.full(len(values), tag, np.uint8), np.ascontiguousarray(values).view(np.int64)


def _mixed_to_text(tags: TagArray, nums: IntArray, raws: pa.Array) -> Column:
    for tag in (StorageClass.INTEGER, StorageClass.REAL):
        mask = tags == tag
        if mask.any():
            numbers = nums[mask] if tag is StorageClass.INTEGER else nums[mask].view(np.float64)
            kind = Kind.INTEGER if tag is StorageClass.INTEGER else Kind.REAL
            text = _number_text(Column(kind, pa.array(numbers))).cast(pa.binary())
            raws = pc.replace_with_mask(raws, pa.array(mask), text)
            tags[mask], nums[mask] = StorageClass.TEXT, 0
    return settle(mixed_column(tags, nums, raws))
