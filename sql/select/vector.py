"""Vectors: the values of one expression for the rows of a batch, and their storage classes."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from colonnade.sql.isotext import narrow_text
from colonnade.store.encodings.base import empty
from colonnade.store.memory import pool
from colonnade.store.values import (
    EXACT_INT,
    INT64_MAX,
    INT64_MIN,
    Column,
    IntArray,
    Kind,
    SQLiteValue,
    StorageClass,
    as_text,
    is_integer,
    mixed_column,
    null_column,
)

BoolArray = npt.NDArray[np.bool_]
NUMBERS = frozenset({Kind.INTEGER, Kind.REAL, Kind.NUMERIC})
TEXTS = frozenset({Kind.TEXT, Kind.DATE, Kind.DATETIME})
SAMPLE_ROWS = 4096
_FEW_STRINGS = 8  # fewer than one in so many
Whole = Any  # which numbers are INTEGER: True for all, False for none, or a boolean array (of a constant, a scalar)


class NotVectorizable(Exception):
    """SQLite must run this query; says which construct. Raised and caught in sql.select."""


class Vector:
    """Values of an expression.

    kind   as in store.values, never MIXED. In TEXT, `data` is string or dictionary<int32, string>
    data   one contiguous Arrow array of n values; of a constant, its scalar
    truth  the data are booleans, that is INTEGER 1 and 0
    """

    __slots__ = ("_whole", "data", "kind", "truth")

    def __init__(
        self,
        kind: Kind,
        data: Any,
        whole: pa.Array | Callable[[], Whole] | None = None,
        *,
        truth: bool = False,
    ) -> None:
        self.kind, self.data, self.truth, self._whole = kind, data, truth, whole

    def __len__(self) -> int:
        return len(self.data)

    @property
    def constant(self) -> bool:
        """Whether it is one value for any number of rows."""
        return isinstance(self.data, pa.Scalar)

    @property
    def stored(self) -> bool:
        """Of a NUMERIC: whether the values themselves say which are INTEGER (see Kind.NUMERIC)."""
        return self._whole is None

    @property
    def whole(self) -> Any:
        """Of a NUMERIC that was computed: which values are INTEGER, the others being REAL, (n,) bool array without
        NULL; None: those that a stored column would have as INTEGER.
        """
        if callable(self._whole):
            found = self._whole()
            if isinstance(found, bool):
                found = pa.array(np.full(len(self.data), found))
            self._whole = found
        return self._whole

    def value(self) -> SQLiteValue:
        """Of a constant: the value as Python has it."""
        found: SQLiteValue = self.data.as_py()
        if isinstance(found, bool):
            return int(found)
        if self.kind is Kind.NUMERIC and found is not None:
            whole = self._whole() if callable(self._whole) else _stored_as_integer(float(found))
            if isinstance(whole, bool | np.bool_):
                return int(found) if whole else found
            return int(found) if whole.as_py() else found
        return found

    def take(self, places: pa.Array) -> Vector:
        """The values at these places; NULL for a NULL place."""
        if self.constant:
            raise AssertionError("a constant has no places")
        whole = None
        if self._whole is not None:
            whole = partial(_taken, self, places)
        return Vector(self.kind, _picked(self.data, places), whole, truth=self.truth)

    def filter(self, mask: pa.Array) -> Vector:
        """The values where the mask is true."""
        whole = None if self._whole is None else (lambda: self.whole.filter(mask))
        return Vector(self.kind, self.data.filter(mask), whole, truth=self.truth)

    def slice(self, start: int, count: int) -> Vector:
        whole = None
        if isinstance(self._whole, Both):
            whole = Both(*(v if v.constant else v.slice(start, count) for v in self._whole.operands))
        elif self._whole is not None:
            whole = self.whole.slice(start, count)
        return Vector(self.kind, self.data.slice(start, count), whole, truth=self.truth)

    def valid(self) -> BoolArray:
        """Where it is not NULL, (n,) bool."""
        if not self.data.null_count:
            return np.ones(len(self.data), bool)
        return np.asarray(self.data.is_valid().to_numpy(zero_copy_only=False), bool)


_PLAIN = {pa.int64(): np.int64, pa.float64(): np.float64, pa.int32(): np.int32, pa.date32(): np.int32}


def _picked(data: pa.Array, places: pa.Array) -> pa.Array:
    """data.take(places), of numbers without NULL in half of the time, of which some become NULL in a third."""
    dtype = _PLAIN.get(data.type)
    if dtype is None or data.null_count or places.offset or not len(data):
        return pc.take(data, places, memory_pool=pool())
    validity = None
    if places.null_count:
        validity, places = places.buffers()[0], places.fill_null(0)
    values = np.frombuffer(data.buffers()[1], dtype)[data.offset : data.offset + len(data)]
    picked = empty(len(places), dtype)
    values.take(places.to_numpy(), out=picked, mode="clip")
    return pa.Array.from_buffers(data.type, len(picked), [validity, pa.py_buffer(picked)])


def _taken(vector: Vector, places: pa.Array) -> pa.Array:
    return pc.fill_null(vector.whole.take(places), False)


class Both:
    """What is INTEGER of a result: where all operands are. Worked out when it is asked for."""

    __slots__ = ("operands",)

    def __init__(self, *operands: Vector) -> None:
        self.operands = operands

    def __call__(self) -> Whole:
        one, other = self.operands
        return both(whole_of(one), whole_of(other))


def constant(value: SQLiteValue) -> Vector:
    """A value of the query's text or parameters."""
    if value is None:
        return Vector(Kind.NULL, pa.scalar(None))
    if isinstance(value, bool | int):
        if not INT64_MIN <= value <= INT64_MAX:
            raise NotVectorizable("an integer beyond 64 bits")
        return Vector(Kind.INTEGER, pa.scalar(int(value), pa.int64()))
    if isinstance(value, float):
        if value != value:
            return Vector(Kind.NULL, pa.scalar(None))
        return Vector(Kind.REAL, pa.scalar(value, pa.float64()))
    if type(value) is str:
        return Vector(Kind.TEXT, pa.scalar(value, pa.string()))
    if isinstance(value, bytes | bytearray | memoryview):
        return Vector(Kind.BLOB, pa.scalar(bytes(value), pa.binary()))
    raise NotVectorizable(f"a value of type {type(value).__name__}")


def constant_of(vector: Vector) -> Vector:
    """A single row as a constant."""
    if vector.constant:
        return vector
    if vector.kind is Kind.NULL:
        return constant(None)
    whole = None if vector.stored else vector.whole[0]
    return Vector(vector.kind, vector.data[0], None if whole is None else (lambda: whole), truth=vector.truth)


def spread(vector: Vector, count: int) -> Vector:
    """A constant as so many equal values; anything else as it is."""
    if not vector.constant:
        return vector
    if vector.kind is Kind.NULL:
        return Vector(Kind.NULL, pa.nulls(count))
    if vector.kind is Kind.NUMERIC:
        return spread(constant(vector.value()), count)
    return Vector(vector.kind, pa.repeat(vector.data, count), truth=vector.truth)


def of_column(column: Column) -> Vector:
    """A stored column. Raises NotVectorizable for classes that are mixed."""
    if column.kind is not Kind.MIXED:
        return Vector(column.kind, column.data)
    tags = column.data.field("tag").to_numpy()
    number = (tags == StorageClass.INTEGER) | (tags == StorageClass.REAL)
    if not (number | (tags == 0)).all():
        raise NotVectorizable("a column of several storage classes")
    numbers, whole = column.data.field("num").to_numpy(), tags == StorageClass.INTEGER
    exact = numbers[whole]
    if len(exact) and int(np.abs(exact).max()) > EXACT_INT:
        raise NotVectorizable("an integer beyond 2**53 in a column of decimals")
    data = np.where(whole, numbers.astype(np.float64), numbers.view(np.float64))
    kept = None if np.array_equal(is_integer(data) & number, whole) else pa.array(whole)
    return Vector(Kind.NUMERIC, pa.array(data, mask=~number), kept)


def to_column(vector: Vector) -> Column:
    """The values as a column may hold them; no affinity is applied."""
    if vector.data.null_count == len(vector):
        return null_column(len(vector))
    if vector.truth:
        return Column(Kind.INTEGER, vector.data.cast(pa.int64()))
    whole = vector.whole
    if whole is None:
        return Column(vector.kind, vector.data)
    data, integer = vector.data, np.asarray(whole.to_numpy(zero_copy_only=False), bool)
    null = ~vector.valid()
    if (integer | null).all():
        return Column(Kind.INTEGER, data.cast(pa.int64()))
    if not (integer & ~null).any():
        return Column(Kind.REAL, data)
    numbers = data.fill_null(0.0).to_numpy()
    tags = np.where(integer, StorageClass.INTEGER, StorageClass.REAL).astype(np.uint8)
    tags[null] = 0
    nums = np.where(integer, np.where(integer, numbers, 0.0).astype(np.int64), numbers.view(np.int64))
    return mixed_column(tags, nums, pa.repeat(pa.scalar(b"", pa.binary()), len(numbers)))


def integers(values: IntArray) -> Vector:
    """INTEGER without NULL."""
    return Vector(Kind.INTEGER, pa.array(values))


def nulls(count: int) -> Vector:
    return Vector(Kind.NULL, pa.nulls(count))


def truth(data: Any) -> Vector:
    """Truth values: a boolean array or scalar."""
    return Vector(Kind.INTEGER, data, truth=True)


# --- numbers -------------------------------------------------------------------------------------------------


def ints(vector: Vector) -> Any:
    """The int64 data of an INTEGER."""
    return pc.cast(vector.data, pa.int64()) if vector.truth else vector.data


def doubles(vector: Vector, *, exact: bool) -> Any:
    """The data of a number as doubles.

    exact   NotVectorizable where an integer is not a double; else it is rounded, as SQLite rounds it
    """
    if vector.kind is not Kind.INTEGER:
        return vector.data
    data = ints(vector)
    if not exact:
        return pc.cast(data, pa.float64(), safe=False)
    try:
        return pc.cast(data, pa.float64())
    except pa.ArrowInvalid:
        raise NotVectorizable("an integer beyond 2**53 with a real number") from None


def whole_of(vector: Vector) -> Whole:
    """Which values of a number are INTEGER."""
    if vector.kind is not Kind.NUMERIC:
        return vector.kind is Kind.INTEGER
    if not vector.stored:
        return vector.whole
    if vector.constant:
        found = vector.data.as_py()
        return found is not None and _stored_as_integer(found)
    data = vector.data.fill_null(0.5) if vector.data.null_count else vector.data
    return pa.array(is_integer(data.to_numpy()))


def _stored_as_integer(value: float) -> bool:
    return bool(is_integer(np.array(value)))


def both(one: Whole, other: Whole) -> Whole:
    """Where both are true."""
    for first, second in ((one, other), (other, one)):
        if isinstance(first, bool):
            return second if first else False
    return pc.and_(one, other)


def check_exact(data: Any) -> None:
    """Raises NotVectorizable for doubles beyond those that stand for one integer each."""
    if isinstance(data, pa.Scalar):
        data = pa.array([data.as_py()], pa.float64())
    values = (data.fill_null(0.0) if data.null_count else data).to_numpy()
    # numpy's extremes take a tenth of the time of Arrow's.
    if len(values) and not -EXACT_INT <= values.min() <= values.max() <= EXACT_INT:
        raise NotVectorizable("an integer beyond 2**53 in a column of decimals")


# --- one vector of several -------------------------------------------------------------------------------------


def text_data(vector: Vector) -> Any:
    """The string data of a text; dictionaries and dates are unpacked."""
    if vector.constant:
        return vector.data
    return as_text(Column(vector.kind, vector.data))


def plain(vector: Vector) -> Vector:
    """A text as strings; anything else as it is."""
    return Vector(Kind.TEXT, text_data(vector)) if vector.kind in TEXTS else vector


def concat(vectors: Sequence[Vector]) -> Vector:
    """All the values, in order. Raises NotVectorizable where their classes have no kind in common."""
    if len(vectors) == 1:
        return vectors[0]
    parts = aligned(vectors)
    kind = next((part.kind for part in parts if part.kind is not Kind.NULL), Kind.NULL)
    arrow = next((part.data.type for part in parts if part.kind is not Kind.NULL), pa.null())
    arrays = [pa.nulls(len(part), arrow) if part.kind is Kind.NULL else part.data for part in parts]
    whole = None
    if any(part.kind is Kind.NUMERIC and not part.stored for part in parts):
        whole = pa.concat_arrays(
            [
                pa.array(np.zeros(len(part), bool))
                if part.kind is Kind.NULL
                else _mask(whole_of(part), len(part))
                for part in parts
            ]
        )
    chunked = pa.chunked_array(arrays)
    if pa.types.is_dictionary(chunked.type):
        chunked = chunked.unify_dictionaries()
    return Vector(kind, _one(chunked), whole, truth=any(part.truth for part in parts))


def _one(chunked: pa.ChunkedArray) -> pa.Array:
    found = chunked.combine_chunks(memory_pool=pool())
    if isinstance(found, pa.ChunkedArray):
        if found.num_chunks > 1:
            raise NotVectorizable("more than 2 GB of text in one column")
        found = found.chunk(0) if found.num_chunks else pa.array([], chunked.type)
    return found


def _mask(whole: Whole, count: int) -> pa.Array:
    return pa.array(np.full(count, whole)) if isinstance(whole, bool) else whole


def aligned(vectors: Sequence[Vector]) -> list[Vector]:
    """The same values in vectors of one kind and Arrow type, or NULL. Raises NotVectorizable."""
    kinds = {vector.kind for vector in vectors} - {Kind.NULL}
    if not kinds:
        return list(vectors)
    if kinds <= NUMBERS:
        return _aligned_numbers(vectors, kinds)
    if kinds <= TEXTS:
        return _aligned_texts(vectors)
    if len(kinds) == 1:
        return list(vectors)
    raise NotVectorizable("values of several storage classes in one column")


def _aligned_texts(vectors: Sequence[Vector]) -> list[Vector]:
    """A few strings, as the row part has them, become days or words of a dictionary where all others are."""
    if _one_form(vectors):
        return list(vectors)
    strings = [vector for vector in vectors if pa.types.is_string(vector.data.type)]
    if _FEW_STRINGS * sum(map(len, strings)) <= sum(map(len, vectors)):
        found = [_as_others(vector) if vector in strings else vector for vector in vectors]
        if _one_form(found):
            return found
        found = [
            Vector(Kind.TEXT, vector.data.dictionary_encode()) if vector in strings else vector
            for vector in vectors
        ]
        if _one_form(found):
            return found
    return [plain(vector) for vector in vectors]


def _one_form(vectors: Sequence[Vector]) -> bool:
    return len({vector.data.type for vector in vectors if vector.kind is not Kind.NULL}) == 1


def _as_others(vector: Vector) -> Vector:
    """Strings as days or times, if all of them are."""
    narrowed = narrow_text(Column(vector.kind, vector.data))
    return Vector(narrowed.kind, narrowed.data)


def _has_whole_real(vector: Vector) -> bool:
    """Whether a value is a REAL that a NUMERIC column would have as INTEGER."""
    if vector.kind is not Kind.REAL:
        return False
    data = vector.data.fill_null(0.5) if vector.data.null_count else vector.data
    return bool(is_integer(data.to_numpy()).any())


def _aligned_numbers(vectors: Sequence[Vector], kinds: set[Kind]) -> list[Vector]:
    if kinds == {Kind.INTEGER}:
        if len({vector.truth for vector in vectors if vector.kind is not Kind.NULL}) > 1:
            return [v if v.kind is Kind.NULL else Vector(Kind.INTEGER, ints(v)) for v in vectors]
        return list(vectors)
    if kinds == {Kind.REAL}:
        return list(vectors)
    stored = all(v.stored for v in vectors if v.kind is Kind.NUMERIC) and not any(
        map(_has_whole_real, vectors)
    )
    found = []
    for vector in vectors:
        if vector.kind is Kind.NULL or (vector.kind is Kind.NUMERIC and stored):
            found.append(vector)
        else:
            data, whole = doubles(vector, exact=True), whole_of(vector)
            found.append(
                Vector(Kind.NUMERIC, data, None if stored else (lambda whole=whole: whole))  # type: ignore[misc]
            )
    return found
