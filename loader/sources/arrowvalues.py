"""Arrow arrays of any type as Columns of SQLite values, before affinity.

Arrow type                      SQLite value
int8 to int64, uint8 to uint64  INTEGER; LoadError above 2**63 - 1
bool                            INTEGER 0 or 1
float16, float32, float64       REAL; NaN is NULL
decimal                         what NUMERIC affinity makes of its digits: 88.00 is INTEGER 88
string, dictionary of strings   TEXT
binary, fixed_size_binary       BLOB
date32, date64                  TEXT 'YYYY-MM-DD'
timestamp                       TEXT 'YYYY-MM-DD HH:MM:SS', with '.ffffff' where there is a fraction of a second
                                (9 digits below a microsecond): as datetime.isoformat(' '), which is what
                                sqlite3's own adapter stores. With a time zone: the time in UTC, no offset
time32, time64                  TEXT 'HH:MM:SS', fractions likewise
null                            NULL
list, struct, map, duration     none: LoadError
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from colonnade.sql.affinity import Affinity, apply_affinity
from colonnade.store.values import Column, Kind, as_text, iso_text, null_column

_FIRST_DAY, _LAST_DAY = -719528, 2932896  # 0000-01-01 and 9999-12-31, in days from 1970-01-01
_UNITS_PER_SECOND = {"s": 1, "ms": 10**3, "us": 10**6, "ns": 10**9}
_EXACT_POWER = 22  # 10**22 is the largest power of ten that is a double


class Unsuitable(Exception):
    """Internal: why a column's values cannot be stored; its name is added by the caller."""


def is_supported(arrow_type: pa.DataType) -> bool:
    """Whether values of this type have an SQLite value."""
    if isinstance(arrow_type, pa.BaseExtensionType):
        return is_supported(arrow_type.storage_type)
    if pa.types.is_dictionary(arrow_type) or pa.types.is_run_end_encoded(arrow_type):
        return is_supported(arrow_type.value_type)
    return _converter(arrow_type) is not None


def to_column(data: pa.Array | pa.ChunkedArray, affinity: Affinity) -> Column:
    """The values under an affinity. Raises Unsuitable."""
    if isinstance(data, pa.ChunkedArray):
        data = data.chunk(0) if data.num_chunks == 1 else data.combine_chunks()
    if isinstance(data, pa.ChunkedArray):
        raise Unsuitable("more than 2 GB of text in one column of a batch")
    try:
        return apply_affinity(_plain(data), affinity)
    except pa.ArrowInvalid as error:
        raise Unsuitable(str(error)) from None


def _plain(data: pa.Array) -> Column:
    """The values without affinity."""
    if isinstance(data, pa.ExtensionArray):
        return _plain(data.storage)
    if pa.types.is_run_end_encoded(data.type):
        return _plain(pc.run_end_decode(data))
    if pa.types.is_dictionary(data.type):
        return _dictionary(data)
    convert = _converter(data.type)
    if convert is None:
        raise Unsuitable(f"values of type {data.type} have no SQLite value")
    return convert(data)


def _converter(arrow_type: pa.DataType) -> Callable[[pa.Array], Column] | None:
    return next((convert for test, convert in _CONVERTERS if test(arrow_type)), None)


def _dictionary(data: pa.Array) -> Column:
    words = data.dictionary
    if words.null_count == 0 and _is_text(words.type):
        indices = data.indices.cast(pa.int32())
        return Column(Kind.TEXT, pa.DictionaryArray.from_arrays(indices, _text(words).data))
    return _plain(words.take(data.indices))


def _null(data: pa.Array) -> Column:
    return null_column(len(data))


def _integer(data: pa.Array) -> Column:
    try:
        return Column(Kind.INTEGER, data.cast(pa.int64()))
    except pa.ArrowInvalid:
        raise Unsuitable(f"{pc.max(data).as_py()} is too large for SQLite's INTEGER") from None


def _boolean(data: pa.Array) -> Column:
    return Column(Kind.INTEGER, data.cast(pa.int8()).cast(pa.int64()))


def _real(data: pa.Array) -> Column:
    doubles = data.cast(pa.float64())
    nan = pc.is_nan(doubles)
    if pc.any(nan).as_py():
        doubles = pc.if_else(nan, pa.scalar(None, pa.float64()), doubles)
    return Column(Kind.REAL, doubles)


def _decimal(data: pa.Array) -> Column:
    """Decimals of up to 15 digits by one exact division, others by their text."""
    decimal = data.type
    if pa.types.is_decimal128(decimal) and decimal.precision <= 15 and 0 <= decimal.scale <= _EXACT_POWER:
        validity, content = data.buffers()
        parts = np.frombuffer(content, np.int64)[2 * data.offset : 2 * (data.offset + len(data))]
        unscaled = parts[0::2].copy()  # the low half is the number, as it is below 10**15
        if validity is not None and data.null_count:
            unscaled[data.is_null().to_numpy(zero_copy_only=False)] = 0
        mask = data.is_null().to_numpy(zero_copy_only=False) if data.null_count else None
        numbers = unscaled if decimal.scale == 0 else unscaled / 10.0**decimal.scale
        kind = Kind.INTEGER if decimal.scale == 0 else Kind.NUMERIC
        return Column(kind, pa.array(numbers, mask=mask))
    return apply_affinity(Column(Kind.TEXT, data.cast(pa.string())), Affinity.NUMERIC)


def _text(data: pa.Array) -> Column:
    texts = data.cast(pa.string())
    if isinstance(texts, pa.ChunkedArray):
        raise Unsuitable("more than 2 GB of text in one column of a batch")
    try:
        texts.validate(full=True)
    except pa.ArrowInvalid as error:
        raise Unsuitable(f"text that is not UTF-8: {error}") from None
    return Column(Kind.TEXT, texts)


def _blob(data: pa.Array) -> Column:
    return Column(Kind.BLOB, data.cast(pa.binary()))


def _date(data: pa.Array) -> Column:
    days = data.cast(pa.date32())
    bounds = pc.min_max(days.cast(pa.int32())).as_py()
    if bounds["min"] is not None and (bounds["min"] < _FIRST_DAY or bounds["max"] > _LAST_DAY):
        raise Unsuitable("a date outside of the years 0000 to 9999")
    return Column(Kind.DATE, days)


def _timestamp(data: pa.Array) -> Column:
    column = _moments(data.cast(pa.int64()), data.type.unit)  # a time with a zone is stored in UTC
    seconds = pc.min_max(pc.divide(data.cast(pa.int64()), _UNITS_PER_SECOND[data.type.unit])).as_py()
    if seconds["min"] is not None and not (
        seconds["min"] >= _FIRST_DAY * 86400 and seconds["max"] < (_LAST_DAY + 1) * 86400
    ):
        raise Unsuitable("a time outside of the years 0000 to 9999")
    return column


def _time(data: pa.Array) -> Column:
    whole = pa.int32() if pa.types.is_time32(data.type) else pa.int64()
    column = _moments(data.cast(whole).cast(pa.int64()), data.type.unit)
    return Column(Kind.TEXT, pc.utf8_slice_codeunits(as_text(column), len("1970-01-01 ")))


def _moments(counts: pa.Array, unit: str) -> Column:
    """Counts of a unit from 1970 on as isoformat(' ') writes them: a fraction only where there is one."""
    per_second = _UNITS_PER_SECOND[unit]
    values = (counts.fill_null(0) if counts.null_count else counts).to_numpy()
    mask = counts.is_null().to_numpy(zero_copy_only=False) if counts.null_count else None
    seconds, fractions = np.divmod(values, per_second)
    whole = pa.array(seconds, mask=mask).cast(pa.timestamp("s"))
    if not fractions.any():
        return Column(Kind.DATETIME, whole)
    nanoseconds = fractions * (10**9 // per_second)
    short = nanoseconds % 1000 == 0
    if mask is None and bool((fractions != 0).all() and short.all()):
        microseconds = seconds * 10**6 + nanoseconds // 1000
        return Column(Kind.DATETIME, pa.array(microseconds).cast(pa.timestamp("us")))
    digits = pc.if_else(
        pa.array(short),
        pc.utf8_lpad(pa.array(nanoseconds // 1000).cast(pa.string()), 6, "0"),
        pc.utf8_lpad(pa.array(nanoseconds).cast(pa.string()), 9, "0"),
    )
    texts = iso_text(whole)
    exact = pc.binary_join_element_wise(texts, digits, ".")
    return Column(Kind.TEXT, pc.if_else(pa.array(fractions == 0), texts, exact))


def _is_text(arrow_type: pa.DataType) -> bool:
    tests = (pa.types.is_string, pa.types.is_large_string, pa.types.is_string_view)
    return any(test(arrow_type) for test in tests)


def _is_blob(arrow_type: pa.DataType) -> bool:
    types = pa.types
    tests = (types.is_binary, types.is_large_binary, types.is_fixed_size_binary, types.is_binary_view)
    return any(test(arrow_type) for test in tests)


_CONVERTERS: tuple[tuple[Callable[[pa.DataType], bool], Callable[[pa.Array], Column]], ...] = (
    (pa.types.is_null, _null),
    (pa.types.is_integer, _integer),
    (pa.types.is_boolean, _boolean),
    (pa.types.is_floating, _real),
    (pa.types.is_decimal, _decimal),
    (_is_text, _text),
    (_is_blob, _blob),
    (pa.types.is_date, _date),
    (pa.types.is_timestamp, _timestamp),
    (pa.types.is_time, _time),
)
