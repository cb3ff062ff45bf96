"""Results as Arrow: the columns of a vectorised answer as they are, those of any other query made from its rows.

A column of SQLite may hold anything, one of Arrow has a type. It is, as in ADBC's driver for SQLite and in DuckDB:

    INTEGER                         int64
    REAL, or INTEGER beside REAL    double; likewise INTEGER of a column declared as REAL or NUMERIC
    TEXT                            string, dates too: dates are TEXT in SQLite
    BLOB                            binary
    nothing but NULL                int64, double, string or binary as declared, else null

and DataError for a column that has TEXT, BLOBs or numbers beside one another, or an INTEGER beyond 2**53 beside REAL.
A reader of record batches has to say the types before it has read all: those are what the first batches show, up to
the first in which each column has a value; a later value of another type is a DataError.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import chain, islice
from typing import TYPE_CHECKING, Any

import apsw
import numpy as np
import pyarrow as pa

from colonnade.arrowresults import ROWS_PER_BATCH
from colonnade.sql.affinity import Affinity, affinity_of
from colonnade.sql.select import Vector
from colonnade.store.errors import DataError, ProgrammingError
from colonnade.store.values import Column, Kind, StorageClass, as_text, from_python, is_integer

if TYPE_CHECKING:
    from colonnade.cursor import Cursor

_FIRST_BATCHES = 16
_NUMBER = StorageClass.INTEGER | StorageClass.REAL
_TYPES = {
    int(StorageClass.INTEGER): pa.int64(),
    int(StorageClass.REAL): pa.float64(),
    int(_NUMBER): pa.float64(),
    int(StorageClass.TEXT): pa.string(),
    int(StorageClass.BLOB): pa.binary(),
}
_DECLARED = {
    Affinity.INTEGER: pa.int64(),
    Affinity.REAL: pa.float64(),
    Affinity.NUMERIC: pa.float64(),
    Affinity.TEXT: pa.string(),
    Affinity.BLOB: pa.binary(),
}
_CLASSES = {
    Kind.NULL: 0,
    Kind.INTEGER: int(StorageClass.INTEGER),
    Kind.REAL: int(StorageClass.REAL),
    Kind.TEXT: int(StorageClass.TEXT),
    Kind.DATE: int(StorageClass.TEXT),
    Kind.DATETIME: int(StorageClass.TEXT),
    Kind.BLOB: int(StorageClass.BLOB),
}


@dataclass(frozen=True, slots=True)
class _Piece:
    """A column of a batch, and bits of the storage classes of its values that are not NULL."""

    column: Column
    classes: int


@dataclass(frozen=True, slots=True)
class _Result:
    """What is left of a statement's rows.

    names, declared  of its columns; declared types as far as they are known
    batches          pieces of the columns, batch by batch
    """

    names: Sequence[str]
    declared: Sequence[str | None]
    batches: Iterator[tuple[_Piece, ...]]


def table(cursor: Cursor) -> pa.Table:
    """All rows that are left."""
    result = _result(cursor, ROWS_PER_BATCH)
    batches = list(result.batches)
    cursor._finish()
    schema = _schema(result, batches)
    return pa.Table.from_batches([_converted(batch, schema) for batch in batches], schema)


def reader(cursor: Cursor, rows_per_batch: int) -> pa.RecordBatchReader:
    """The same, read as the reader is."""
    if rows_per_batch < 1:
        raise ValueError("rows_per_batch must be positive")
    result = _result(cursor, rows_per_batch)
    first: list[tuple[_Piece, ...]] = []
    for batch in islice(result.batches, _FIRST_BATCHES):
        first.append(batch)
        if all(_seen(first)):
            break
    schema = _schema(result, first)

    def batches() -> Iterator[pa.RecordBatch]:
        for batch in chain(first, result.batches):
            whole = _converted(batch, schema)
            for start in range(0, whole.num_rows, rows_per_batch):
                yield whole.slice(start, rows_per_batch)
        cursor._finish()

    return pa.RecordBatchReader.from_batches(schema, batches())


def _result(cursor: Cursor, rows_per_batch: int) -> _Result:
    cursor._check_open()
    if cursor.description is None:
        raise ProgrammingError("the last statement has no rows to give")
    names = [column[0] for column in cursor.description]
    vectors = cursor._batches
    if vectors is not None and not vectors.touched:
        declared: Sequence[str | None] = [kind for _, kind in vectors.columns]
        return _Result(names, declared, _failing(cursor, map(_of_vectors, vectors)))
    declared = _declared(cursor, len(names))
    left = chain([] if cursor._ahead is None else [cursor._ahead], cursor._rows or ())
    return _Result(names, declared, _failing(cursor, _of_rows(left, rows_per_batch)))


def _declared(cursor: Cursor, count: int) -> Sequence[str | None]:
    try:
        known = [kind for _, kind in cursor._cursor.getdescription()]
    except apsw.Error:  # SQLite is done with the statement
        known = []
    return known if len(known) == count else [None] * count


def _failing(cursor: Cursor, batches: Iterable[tuple[_Piece, ...]]) -> Iterator[tuple[_Piece, ...]]:
    """The batches, with the errors that fetching rows would raise."""
    try:
        yield from batches
    except Exception as error:
        raise cursor._failed_fetch(error) from None


def _of_rows(rows: Iterator[Any], rows_per_batch: int) -> Iterator[tuple[_Piece, ...]]:
    while some := list(islice(rows, rows_per_batch)):
        yield tuple(_piece(from_python(values)) for values in zip(*some, strict=True))


def _of_vectors(batch: Sequence[Vector]) -> tuple[_Piece, ...]:
    return tuple(map(_of_vector, batch))


def _of_vector(vector: Vector) -> _Piece:
    if vector.truth:
        return _Piece(Column(Kind.INTEGER, vector.data.cast(pa.int64())), int(StorageClass.INTEGER))
    column = Column(vector.kind, vector.data)
    if vector.whole is None:
        return _piece(column)
    whole = vector.whole.to_numpy(zero_copy_only=False)[_valid(vector.data)]
    return _Piece(column, _number_classes(whole))


def _piece(column: Column) -> _Piece:
    if column.kind is Kind.MIXED:
        return _Piece(column, int(np.bitwise_or.reduce(column.data.field("tag").to_numpy(), initial=0)))
    if column.data.null_count == len(column):
        return _Piece(column, 0)
    if column.kind is Kind.NUMERIC:
        return _Piece(column, _number_classes(is_integer(column.data.drop_null().to_numpy())))
    return _Piece(column, _CLASSES[column.kind])


def _valid(data: pa.Array) -> Any:
    return data.is_valid().to_numpy(zero_copy_only=False)


def _number_classes(whole: Any) -> int:
    integers = StorageClass.INTEGER if whole.any() else 0
    return int(integers | (0 if whole.all() else StorageClass.REAL))


def _seen(batches: Sequence[tuple[_Piece, ...]]) -> list[int]:
    """The storage classes of each column."""
    return [
        int(np.bitwise_or.reduce([piece.classes for piece in column]))
        for column in zip(*batches, strict=True)
    ]


def _schema(result: _Result, batches: Sequence[tuple[_Piece, ...]]) -> pa.Schema:
    seen = _seen(batches) or [0] * len(result.names)
    return pa.schema(
        [
            pa.field(name, _type(name, declared, classes))
            for name, declared, classes in zip(result.names, result.declared, seen, strict=True)
        ]
    )


def _type(name: str, declared: str | None, classes: int) -> pa.DataType:
    as_declared = _DECLARED[affinity_of(declared)] if declared else None
    if not classes:
        return as_declared or pa.null()
    if classes & ~_NUMBER == 0 and as_declared == pa.float64():
        return as_declared
    found = _TYPES.get(classes)
    if found is None:
        raise _mixture(name, classes)
    return found


def _mixture(name: str, classes: int) -> DataError:
    words = [each.name or "" for each in StorageClass if each & classes]
    return DataError(
        f"column {name!r} has {' and '.join(words)} values, and Arrow's columns one type: use CAST"
    )


def _converted(batch: Sequence[_Piece], schema: pa.Schema) -> pa.RecordBatch:
    arrays = [_array(piece, field) for piece, field in zip(batch, schema, strict=True)]
    return pa.RecordBatch.from_arrays(arrays, schema=schema)


def _array(piece: _Piece, field: pa.Field) -> pa.Array:
    column, kind = piece.column, field.type
    if not piece.classes:
        return pa.nulls(len(column), kind)
    if _TYPES.get(piece.classes) != kind and not (
        kind == pa.float64() and piece.classes == StorageClass.INTEGER
    ):
        raise _mixture(field.name, piece.classes | _class_of(kind))
    if kind == pa.string():
        return as_text(column)
    try:
        return (_numbers(column) if column.kind is Kind.MIXED else column).data.cast(kind)
    except pa.ArrowInvalid:
        raise DataError(
            f"column {field.name!r} has REAL values, and INTEGER ones that no double stands for"
        ) from None


def _class_of(kind: pa.DataType) -> int:
    return next((classes for classes, known in _TYPES.items() if known == kind), 0)


def _numbers(column: Column) -> Column:
    """A MIXED column of INTEGER and REAL as REAL. Raises ArrowInvalid as a cast does."""
    data = column.data
    tags, nums = data.field("tag").to_numpy(), data.field("num").to_numpy()
    integers = pa.array(np.where(tags == StorageClass.INTEGER, nums, 0)).cast(pa.float64()).to_numpy()
    doubles = np.where(tags == StorageClass.REAL, nums.view(np.float64), integers)
    return Column(Kind.REAL, pa.array(doubles, mask=tags == 0))
