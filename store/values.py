"""Columns of SQLite values in memory: a Kind and an Arrow array, and how they turn into Python values.

Every layer passes rows as RowBatch: some Columns of one length, and the rowids where they are known.
A value is what SQLite would hold *after* affinity was applied (sqlite.org/datatype3.html, section 3):
NULL, INTEGER (int64), REAL (float64, never NaN: SQLite turns NaN into NULL), TEXT or BLOB.
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from enum import IntEnum, IntFlag

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from colonnade.store.memory import pool
from colonnade.store.rawtext import RawText, text_value

SQLiteValue = None | int | float | str | bytes
IntArray = npt.NDArray[np.int64]

INT64_MIN, INT64_MAX = -(2**63), 2**63 - 1
EXACT_INT = 2**53  # every integer up to here is a double and back without loss

MIXED_TYPE = pa.struct([("tag", pa.uint8()), ("num", pa.int64()), ("bytes", pa.binary())])


class StorageClass(IntFlag):
    """SQLite's storage classes as bits, so that a set of them is one integer."""

    INTEGER = 1
    REAL = 2
    TEXT = 4
    BLOB = 8
    NULL = 16


class Kind(IntEnum):
    """What a Column's values are, and the Arrow type that holds them. NULL is allowed in each.

    kind      Arrow type of `data`             the SQLite values it stands for
    NULL      null                             NULL in every row
    INTEGER   int64                            INTEGER
    REAL      float64                          REAL; never NaN
    NUMERIC   float64                          INTEGER where the double is integral and |x| <= 2**53,
                                               REAL elsewhere; never NaN, never -0.0. This is what
                                               NUMERIC affinity makes of decimals (88.00 is 88)
    TEXT      string, or dictionary<int32,     TEXT, valid UTF-8, NUL characters allowed
              string> (dictionary without NULL)
    DATE      date32, years 0000 to 9999       TEXT of the form YYYY-MM-DD
    DATETIME  timestamp s, ms or us, no zone,  TEXT of the form YYYY-MM-DD HH:MM:SS and, for ms and us,
              years 0000 to 9999               a point and exactly 3 or 6 digits
    BLOB      binary                           BLOB
    MIXED     MIXED_TYPE: tag is 0 for NULL,   any; used only where no other kind fits. `num` holds the
              else the StorageClass bit; no    integer, or the bits of the double; `bytes` those of a TEXT,
              struct field is ever null        UTF-8 or not, or the BLOB, empty for the other tags
    """

    NULL = 0
    INTEGER = 1
    REAL = 2
    NUMERIC = 3
    TEXT = 4
    DATE = 5
    DATETIME = 6
    BLOB = 7
    MIXED = 8


@dataclass(frozen=True, slots=True)
class Column:
    """Some values of one column. `data` is one contiguous Arrow array, never a ChunkedArray."""

    kind: Kind
    data: pa.Array

    def __len__(self) -> int:
        return len(self.data)

    def slice(self, start: int, count: int) -> Column:
        """`count` values from `start`, without a copy."""
        return Column(self.kind, self.data.slice(start, count))

    def take(self, positions: IntArray) -> Column:
        """The values at `positions`, (n,) int64, in their order; repeats allowed."""
        return Column(self.kind, pc.take(self.data, pa.array(positions), memory_pool=pool()))

    @property
    def null_count(self) -> int:
        if self.kind is Kind.MIXED:
            return int(pc.sum(pc.equal(self.data.field("tag"), 0)).as_py() or 0)
        return int(self.data.null_count)


@dataclass(frozen=True, slots=True)
class RowBatch:
    """Rows of one table: its columns in the table's order and, where known, their rowids.

    rowids   (n,) int64, or None where the store is still to assign them
    columns  one Column of n values each
    """

    row_count: int
    columns: tuple[Column, ...]
    rowids: IntArray | None = None

    def slice(self, start: int, count: int) -> RowBatch:
        """Rows start to start + count, without a copy."""
        rowids = None if self.rowids is None else self.rowids[start : start + count]
        stop = min(self.row_count, start + count)
        return RowBatch(max(0, stop - start), tuple(c.slice(start, count) for c in self.columns), rowids)

    def take(self, positions: IntArray) -> RowBatch:
        """The rows at `positions`, in their order."""
        rowids = None if self.rowids is None else self.rowids[positions]
        return RowBatch(len(positions), tuple(c.take(positions) for c in self.columns), rowids)

    @property
    def byte_count(self) -> int:
        """About the bytes of its values."""
        return sum(column.data.nbytes for column in self.columns)


def sorted_distinct(integers: IntArray) -> IntArray:
    """Each integer once, ascending; `integers`, (n,) int64, is sorted in place.

    numpy 2.4's own unique takes 90 times as long: 11 s for 3 million, and as long where they are sorted.
    """
    if len(integers) < 2:
        return integers
    integers.sort()
    again = integers[1:] == integers[:-1]
    return integers[np.concatenate([[True], ~again])] if again.any() else integers


def null_column(count: int) -> Column:
    """`count` NULLs."""
    return Column(Kind.NULL, pa.nulls(count))


def integer_column(values: IntArray) -> Column:
    """A Column over an int64 array without NULLs, sharing its memory."""
    return Column(Kind.INTEGER, pa.array(values))


def from_python(values: Sequence[SQLiteValue]) -> Column:
    """The Column for Python values as a DB-API program binds them; no affinity is applied.

    int (and bool), float, str, bytes (and bytearray, memoryview), None. NaN becomes NULL. A RawText makes
    the column MIXED.
    Raises OverflowError for an int outside int64, UnicodeEncodeError for a lone surrogate and
    TypeError for any other type: callers adapt values before.
    """
    types = set(map(type, values))
    types.discard(type(None))
    if not types:
        return null_column(len(values))
    classes = {_class_of(each) for each in types}
    if len(classes) > 1 or RawText in types:
        return _mixed_from_python(values)
    storage_class = classes.pop()
    if storage_class is StorageClass.TEXT:
        return Column(Kind.TEXT, _one_array(values, pa.string()))
    if storage_class is StorageClass.BLOB:
        return Column(Kind.BLOB, _one_array(values, pa.binary()))
    if storage_class is StorageClass.REAL:
        return Column(Kind.REAL, pa.array(values, pa.float64(), from_pandas=True))
    if bool in types:
        values = [int(value) if isinstance(value, int) else None for value in values]
    try:
        return Column(Kind.INTEGER, pa.array(values, pa.int64()))
    except (OverflowError, pa.ArrowInvalid):
        raise OverflowError(_TOO_LARGE) from None


_TOO_LARGE = "Python int too large to convert to SQLite INTEGER"
_CLASSES: tuple[tuple[type, StorageClass], ...] = (
    (int, StorageClass.INTEGER),
    (float, StorageClass.REAL),
    (str, StorageClass.TEXT),
    (bytes, StorageClass.BLOB),
    (bytearray, StorageClass.BLOB),
    (memoryview, StorageClass.BLOB),
)


def _class_of(python_type: type) -> StorageClass:
    for base, storage_class in _CLASSES:
        if issubclass(python_type, base):
            return storage_class
    raise TypeError(f"type {python_type.__name__!r} is not a SQLite value")


def _one_array(values: Sequence[SQLiteValue], arrow_type: pa.DataType) -> pa.Array:
    array = pa.array(values, arrow_type)
    if isinstance(array, pa.ChunkedArray):
        raise OverflowError("more than 2 GB of text or blobs in one column of a batch")
    return array


_DOUBLE_BITS = struct.Struct("<d")
_INT_BITS = struct.Struct("<q")


def _mixed_from_python(values: Sequence[SQLiteValue]) -> Column:
    tags, nums, raws = bytearray(len(values)), [0] * len(values), [b""] * len(values)
    for row, value in enumerate(values):
        if value is None:
            continue
        if isinstance(value, int):
            if not INT64_MIN <= value <= INT64_MAX:
                raise OverflowError(_TOO_LARGE)
            tags[row], nums[row] = StorageClass.INTEGER, int(value)
        elif isinstance(value, float):
            if value == value:
                tags[row] = StorageClass.REAL
                nums[row] = _INT_BITS.unpack(_DOUBLE_BITS.pack(value))[0]
        elif isinstance(value, str):
            tags[row], raws[row] = StorageClass.TEXT, value.encode()
        else:
            tags[row], raws[row] = StorageClass.BLOB, bytes(value)
    return mixed_column(
        np.frombuffer(bytes(tags), np.uint8), np.array(nums, np.int64), _one_array(raws, pa.binary())
    )


def mixed_column(tags: npt.NDArray[np.uint8], nums: IntArray, raws: pa.Array) -> Column:
    """A MIXED Column from its three parts, each of n values (see Kind)."""
    parts = [pa.array(tags), pa.array(nums), raws]
    return Column(Kind.MIXED, pa.StructArray.from_arrays(parts, fields=list(MIXED_TYPE)))


def to_python(column: Column) -> list[SQLiteValue]:
    """The values as SQLite takes them from Python: None, int, float, str (RawText where not UTF-8) or bytes."""
    return _TO_PYTHON[column.kind](column.data)


def value_at(column: Column, row: int) -> SQLiteValue:
    """The value of one row, as to_python gives it."""
    if column.kind in SCALAR_KINDS:
        value: SQLiteValue = column.data[row].as_py()
        return value
    return to_python(column.slice(row, 1))[0]


SCALAR_KINDS = frozenset({Kind.INTEGER, Kind.REAL, Kind.TEXT, Kind.BLOB})


def _numbers_to_python(data: pa.Array) -> list[SQLiteValue]:
    values: list[SQLiteValue] = data.to_pylist() if data.null_count else data.to_numpy().tolist()
    return values


def _numeric_to_python(data: pa.Array) -> list[SQLiteValue]:
    doubles = data.fill_null(0.5).to_numpy() if data.null_count else data.to_numpy()
    integers = is_integer(doubles)
    if integers.all():
        whole: list[SQLiteValue] = doubles.astype(np.int64).tolist()
        return whole
    values = _numbers_to_python(data)
    rows = np.flatnonzero(integers)
    for row, value in zip(rows.tolist(), doubles[rows].astype(np.int64).tolist(), strict=True):
        values[row] = value
    return values


def is_integer(doubles: npt.NDArray[np.float64]) -> npt.NDArray[np.bool_]:
    """Which values of a NUMERIC column are INTEGER (see Kind); the others are REAL."""
    integral: npt.NDArray[np.bool_] = (np.abs(doubles) <= EXACT_INT) & (doubles == np.rint(doubles))
    return integral


def _text_to_python(data: pa.Array) -> list[SQLiteValue]:
    if pa.types.is_dictionary(data.type):
        words = np.array([*data.dictionary.to_pylist(), None], object)
        taken: list[SQLiteValue] = words[data.indices.fill_null(len(words) - 1).to_numpy()].tolist()
        return taken
    result: list[SQLiteValue] = data.to_pylist()
    return result


def _iso_to_python(data: pa.Array) -> list[SQLiteValue]:
    result: list[SQLiteValue] = iso_text(data).to_pylist()
    return result


def iso_text(data: pa.Array) -> pa.Array:
    """The string array that a DATE or DATETIME array stands for."""
    if data.type == pa.date32() and not data.null_count and len(data) >= _MANY_DATES:
        days = data.view(pa.int32()).to_numpy()
        first, last = int(days.min()), int(days.max())
        if last - first < len(days):
            return _copied_dates(days, first, last)
    return data.cast(pa.string())  # Arrow writes 0, 3 or 6 decimals, as the unit has them


_MANY_DATES = 1024
_DATE_BYTES = 10  # in years 0000 to 9999


def _copied_dates(days: npt.NDArray[np.int32], first: int, last: int) -> pa.Array:
    """The text of dates that lie close together: each is written once, which takes a fifth of the time."""
    written = pa.array(np.arange(first, last + 1, dtype=np.int32)).view(pa.date32()).cast(pa.string())
    words = np.frombuffer(written.buffers()[2], np.dtype((np.void, _DATE_BYTES)), last - first + 1)
    offsets = np.arange(0, _DATE_BYTES * (len(days) + 1), _DATE_BYTES, dtype=np.int32)
    copied = pa.allocate_buffer(
        _DATE_BYTES * len(days)
    )  # in Arrow's pool, for the reason in encodings.base.empty
    words.take(days - first, out=np.frombuffer(copied, words.dtype), mode="clip")
    buffers = [None, pa.py_buffer(offsets), copied]
    return pa.Array.from_buffers(pa.string(), len(days), buffers)


def as_text(column: Column) -> pa.Array:
    """The plain string array of a TEXT, DATE or DATETIME Column (dictionaries are unpacked)."""
    if column.kind is Kind.TEXT:
        data = column.data
        return data.dictionary_decode() if pa.types.is_dictionary(data.type) else data
    return iso_text(column.data)


def _mixed_to_python(data: pa.Array) -> list[SQLiteValue]:
    tags = data.field("tag").to_numpy()
    ints = data.field("num").to_numpy()
    doubles = ints.view(np.float64).tolist()
    raws = data.field("bytes").to_pylist()
    out: list[SQLiteValue] = [None] * len(tags)
    for row, tag in enumerate(tags.tolist()):
        if tag == StorageClass.INTEGER:
            out[row] = int(ints[row])
        elif tag == StorageClass.REAL:
            out[row] = doubles[row]
        elif tag == StorageClass.TEXT:
            out[row] = text_value(raws[row])
        elif tag == StorageClass.BLOB:
            out[row] = raws[row]
    return out


def utf8_rows(raws: pa.Array) -> npt.NDArray[np.bool_] | None:
    """Which values of a binary array without nulls are UTF-8, (n,) bool; None for all of them."""
    try:
        raws.cast(pa.string())
    except pa.ArrowInvalid:
        return np.array([type(text_value(raw)) is str for raw in raws.to_pylist()], bool)
    return None


_TO_PYTHON: dict[Kind, Callable[[pa.Array], list[SQLiteValue]]] = {
    Kind.NULL: lambda data: [None] * len(data),
    Kind.INTEGER: _numbers_to_python,
    Kind.REAL: _numbers_to_python,
    Kind.NUMERIC: _numeric_to_python,
    Kind.TEXT: _text_to_python,
    Kind.DATE: _iso_to_python,
    Kind.DATETIME: _iso_to_python,
    Kind.BLOB: lambda data: data.to_pylist(),
    Kind.MIXED: _mixed_to_python,
}


def to_mixed(column: Column) -> Column:
    """The same values as a MIXED Column; the way to join columns of different kinds."""
    if column.kind is Kind.MIXED:
        return column
    if column.kind in (Kind.INTEGER, Kind.REAL, Kind.NUMERIC):
        return _numbers_to_mixed(column)
    count = len(column)
    if column.kind is Kind.NULL:
        tags, raws = np.zeros(count, np.uint8), _empty_blobs(count)
    else:
        blob = column.kind is Kind.BLOB
        data = column.data if blob else as_text(column).cast(pa.binary())
        tag = StorageClass.BLOB if blob else StorageClass.TEXT
        tags = np.where(data.is_valid().to_numpy(zero_copy_only=False), tag, 0).astype(np.uint8)
        raws = data.fill_null(b"") if data.null_count else data
    return mixed_column(tags, np.zeros(count, np.int64), raws)


def _numbers_to_mixed(column: Column) -> Column:
    data = column.data
    valid = data.is_valid().to_numpy(zero_copy_only=False)
    filled = data.fill_null(0) if data.null_count else data
    values = filled.to_numpy()
    if column.kind is Kind.INTEGER:
        tags = np.where(valid, StorageClass.INTEGER, 0).astype(np.uint8)
        nums = np.ascontiguousarray(values)
    else:
        integral = np.zeros(len(values), bool)
        if column.kind is Kind.NUMERIC:
            integral = is_integer(values)
        tags = np.where(integral, StorageClass.INTEGER, StorageClass.REAL)
        tags = np.where(valid, tags, 0).astype(np.uint8)
        whole = np.where(integral, values, 0.0).astype(np.int64)
        nums = np.where(integral, whole, np.ascontiguousarray(values).view(np.int64))
        nums = np.where(valid, nums, 0)
    return mixed_column(tags, nums, _empty_blobs(len(values)))


def _empty_blobs(count: int) -> pa.Array:
    offsets = pa.py_buffer(np.zeros(count + 1, np.int32))
    return pa.Array.from_buffers(pa.binary(), count, [None, offsets, pa.py_buffer(b"")])


TEXT_KINDS = frozenset({Kind.TEXT, Kind.DATE, Kind.DATETIME})


def concat_columns(columns: Sequence[Column]) -> Column:
    """One Column of all the values, in order.

    Kinds of text that differ meet in TEXT, others in MIXED, and NULL fits any kind. Dictionaries are merged.
    Raises OverflowError where text or blobs would need more than 2 GB.
    """
    if len(columns) == 1:
        return columns[0]
    types = {(c.kind, c.data.type) for c in columns if c.kind is not Kind.NULL}
    kinds = {kind for kind, _ in types}
    if not kinds:
        return null_column(sum(map(len, columns)))
    if len(types) == 1 and (Kind.MIXED not in kinds or all(c.kind is Kind.MIXED for c in columns)):
        kind, arrow_type = types.pop()
        return Column(kind, _concat([_nulls_as(c, arrow_type) for c in columns]))
    if kinds <= TEXT_KINDS:
        texts = [_nulls_as(c, pa.string()) if c.kind is Kind.NULL else as_text(c) for c in columns]
        return Column(Kind.TEXT, _concat(texts))
    return Column(Kind.MIXED, _concat([to_mixed(c).data for c in columns]))


def _nulls_as(column: Column, arrow_type: pa.DataType) -> pa.Array:
    return pa.nulls(len(column), arrow_type) if column.kind is Kind.NULL else column.data


def _concat(arrays: list[pa.Array]) -> pa.Array:
    if pa.types.is_dictionary(arrays[0].type):
        arrays = pa.chunked_array(arrays).unify_dictionaries().chunks
    try:
        return pa.concat_arrays(arrays)
    except pa.ArrowInvalid as error:
        raise OverflowError(f"more than 2 GB of text or blobs in one column: {error}") from None


def concat_batches(batches: Sequence[RowBatch]) -> RowBatch:
    """One batch of all the rows, in order; rowids only if every batch has them."""
    if len(batches) == 1:
        return batches[0]
    columns = tuple(concat_columns(parts) for parts in zip(*(b.columns for b in batches), strict=True))
    parts = [b.rowids for b in batches if b.rowids is not None]
    rowids = np.concatenate(parts) if len(parts) == len(batches) else None
    return RowBatch(sum(b.row_count for b in batches), columns, rowids)


def in_sizes(batches: Iterator[RowBatch], size: int) -> Iterator[RowBatch]:
    """The same rows in batches of `size` rows, the last of what is left."""
    parts: list[RowBatch] = []
    held = 0
    for batch in batches:
        parts.append(batch)
        held += batch.row_count
        if held < size:
            continue
        whole = concat_batches(parts)
        stop = held - held % size
        for start in range(0, stop, size):
            yield whole.slice(start, size)
        held -= stop
        parts = [whole.slice(stop, held)] if held else []
    if held:
        yield concat_batches(parts)
