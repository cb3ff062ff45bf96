"""Key codes: keys as canonical bytes and as integers, equal exactly where SQLite says the keys are equal.

Canonical bytes of one value, by its first byte (SQLite's order of storage classes):
    1  number   8 bytes: the nearest double, big-endian, made to sort by memcmp (sign bit flipped, negatives
                inverted; -0.0 is 0.0); then 2 bytes: value - double + 32768, big-endian, so that integers
                beyond 2**53 stay distinct and in order
    2  TEXT     its bytes after the collation: BINARY all; RTRIM without trailing spaces (only spaces);
                NOCASE with A-Z as a-z, and, since SQLite compares no further than a NUL, the bytes
                before the first NUL, a NUL, and the length of the whole text in 8 bytes
    3  BLOB     its bytes
A key of one column is that. In a key of several columns TEXT and BLOB write each NUL as 00 FF and end with
a NUL (the last column does not need to); memcmp of the whole is then the lexicographic order of the parts.
A key with a NULL part has no bytes: it equals nothing.

Sources: sqlite.org/datatype3.html sections 4 and 7, sqlite.org/lang_createtable.html on NULLs.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from colonnade.store.values import (
    EXACT_INT,
    Column,
    IntArray,
    Kind,
    SQLiteValue,
    StorageClass,
    as_text,
    from_python,
)

Mask = npt.NDArray[np.bool_]

_TAG_NUMBER, _TAG_TEXT, _TAG_BLOB = b"\x01", b"\x02", b"\x03"
_NUMBER = np.dtype([("tag", "u1"), ("double", ">u8"), ("rest", ">u2")])
_SIGN = np.uint64(1 << 63)
_TWO_63 = 2.0**63
COLLATIONS = ("BINARY", "NOCASE", "RTRIM")


@dataclass(frozen=True, slots=True)
class KeySpec:
    """Which columns make a key, and how their TEXT is compared."""

    column_ids: tuple[int, ...]
    collations: tuple[str, ...]

    @property
    def signature(self) -> str:
        """The key's name in t_cln_keys, such as "1:BINARY,4:NOCASE"."""
        pairs = zip(self.column_ids, self.collations, strict=True)
        return ",".join(f"{column_id}:{collation.upper()}" for column_id, collation in pairs)


def key_bytes(columns: Sequence[Column], collations: Sequence[str]) -> pa.Array:
    """The canonical bytes of each row's key: a binary array, null where any part is NULL.

    Equal bytes <=> equal keys under SQLite's comparison; memcmp order is SQLite's order of the keys.
    Raises ValueError for a collation that is none of COLLATIONS.
    """
    last = len(columns) - 1
    parts = [
        _value_bytes(column, collation.upper(), terminate=place < last)
        for place, (column, collation) in enumerate(zip(columns, collations, strict=True))
    ]
    return parts[0] if last == 0 else pc.binary_join_element_wise(*parts, _scalar(b""))


def encode_key(values: Sequence[SQLiteValue], collations: Sequence[str]) -> bytes | None:
    """The canonical bytes of one key given as Python values; None where a part is NULL."""
    result: bytes | None = key_bytes([from_python([v]) for v in values], collations)[0].as_py()
    return result


def _scalar(value: bytes) -> pa.Scalar:
    return pa.scalar(value, pa.binary())


def _value_bytes(column: Column, collation: str, *, terminate: bool) -> pa.Array:
    if collation not in COLLATIONS:
        raise ValueError(f"keys with collation {collation} are not kept as codes")
    kind = column.kind
    if kind is Kind.NULL:
        return pa.nulls(len(column), pa.binary())
    if kind in (Kind.INTEGER, Kind.REAL, Kind.NUMERIC):
        return _number_bytes(column.data)
    if kind is Kind.MIXED:
        return _mixed_bytes(column, collation, terminate=terminate)
    if kind is Kind.BLOB:
        return _tagged(_TAG_BLOB, column.data, terminate=terminate)
    if kind is Kind.TEXT and pa.types.is_dictionary(column.data.type):
        words = _text_bytes(column.data.dictionary, collation, terminate=terminate)
        return words.take(column.data.indices)
    return _text_bytes(as_text(column), collation, terminate=terminate)


def _text_bytes(text: pa.Array, collation: str, *, terminate: bool) -> pa.Array:
    if collation == "RTRIM":
        text = pc.ascii_rtrim(text, characters=" ")
    elif collation == "NOCASE":
        text = pc.ascii_lower(text)
    data = text.view(pa.binary())
    if collation == "NOCASE":
        data = _cut_at_nul(data)
    return _tagged(_TAG_TEXT, data, terminate=terminate)


def _cut_at_nul(data: pa.Array) -> pa.Array:
    """NOCASE reads no further than a NUL, and then compares lengths."""
    found = pc.find_substring(data, b"\0").fill_null(-1).to_numpy()
    rows = np.flatnonzero(found >= 0)
    if not len(rows):
        return data
    values = data.take(pa.array(rows)).to_pylist()
    cut = [v[:at] + b"\0" + len(v).to_bytes(8, "big") for v, at in zip(values, found[rows], strict=True)]
    return pc.replace_with_mask(data, pa.array(found >= 0), pa.array(cut, pa.binary()))


def _tagged(tag: bytes, data: pa.Array, *, terminate: bool) -> pa.Array:
    if not terminate:
        return pc.binary_join_element_wise(_scalar(tag), data, _scalar(b""))
    if pc.any(pc.match_substring(data, b"\0")).as_py():
        data = pc.replace_substring(data, b"\0", b"\0\xff")
    return pc.binary_join_element_wise(_scalar(tag), data, _scalar(b"\0"), _scalar(b""))


def _number_bytes(data: pa.Array) -> pa.Array:
    filled = data.fill_null(0) if data.null_count else data
    values = filled.to_numpy()
    records = _int_records(values) if values.dtype == np.int64 else _double_records(values)
    valid = data.is_valid().to_numpy(zero_copy_only=False) if data.null_count else None
    return _fixed_binary(records, valid)


def _fixed_binary(records: npt.NDArray[np.void], valid: Mask | None) -> pa.Array:
    offsets = np.arange(len(records) + 1, dtype=np.int32) * np.int32(_NUMBER.itemsize)
    bitmap = None if valid is None else pa.array(valid).buffers()[1]
    buffers = [bitmap, pa.py_buffer(offsets), pa.py_buffer(np.ascontiguousarray(records).view(np.uint8))]
    return pa.Array.from_buffers(pa.binary(), len(records), buffers)


def _double_records(values: npt.NDArray[np.float64]) -> npt.NDArray[np.void]:
    bits = (values + 0.0).view(np.uint64)
    negative = bits >= _SIGN
    records = np.empty(len(values), _NUMBER)
    records["tag"] = _TAG_NUMBER[0]
    records["double"] = np.where(negative, ~bits, bits | _SIGN)
    records["rest"] = 1 << 15
    return records


def _int_records(values: IntArray) -> npt.NDArray[np.void]:
    doubles = values.astype(np.float64)
    records = _double_records(doubles)
    if len(values) and (values.max() > EXACT_INT or values.min() < -EXACT_INT):
        top = doubles >= _TWO_63  # rounded up to 2**63, which is no int64: 2**63 - 1 and one more instead
        nearest = np.where(top, 0.0, doubles).astype(np.int64)
        nearest[top] = np.iinfo(np.int64).max
        records["rest"] = (values - nearest - top + (1 << 15)).astype(np.uint16)
    return records


def _mixed_bytes(column: Column, collation: str, *, terminate: bool) -> pa.Array:
    tags = column.data.field("tag").to_numpy()
    nums = column.data.field("num").to_numpy()
    raws = column.data.field("bytes")
    places: list[IntArray] = []
    parts: list[pa.Array] = []
    for tag in np.flatnonzero(np.bincount(tags)).tolist():
        rows = np.flatnonzero(tags == tag)
        places.append(rows)
        if tag == 0:
            parts.append(pa.nulls(len(rows), pa.binary()))
        elif tag == StorageClass.INTEGER:
            parts.append(_fixed_binary(_int_records(nums[rows]), None))
        elif tag == StorageClass.REAL:
            parts.append(_fixed_binary(_double_records(nums[rows].view(np.float64)), None))
        elif tag == StorageClass.TEXT:
            text = raws.take(pa.array(rows)).view(pa.string())
            parts.append(_text_bytes(text, collation, terminate=terminate))
        else:
            parts.append(_tagged(_TAG_BLOB, raws.take(pa.array(rows)), terminate=terminate))
    if not parts:
        return pa.array([], pa.binary())
    order = np.empty(len(tags), np.int64)
    order[np.concatenate(places)] = np.arange(len(tags))
    return pa.concat_arrays(parts).take(pa.array(order))


def integers(column: Column) -> tuple[IntArray, Mask | None, Mask | None]:
    """The values as int64 where a value equals an integer: (values, null, other).

    values  (n,) int64; meaningless where null or other
    null    where the value is NULL; None if nowhere
    other   where it is neither NULL nor equal to an int64 (text, blob, 1.5, 1e300); None if nowhere
    """
    kind, data, count = column.kind, column.data, len(column)
    if kind is Kind.MIXED:
        return _mixed_integers(column)
    if kind not in (Kind.INTEGER, Kind.REAL, Kind.NUMERIC):
        null = _null_mask(data)
        alien: Mask = np.ones(count, bool) if null is None else ~null
        return np.zeros(count, np.int64), null, alien if alien.any() else None
    null = _null_mask(data)
    values = (data if null is None else data.fill_null(0)).to_numpy()
    if kind is Kind.INTEGER:
        return values, null, None
    whole, other = _whole(values)
    return whole, null, other


def _null_mask(data: pa.Array) -> Mask | None:
    if not data.null_count:
        return None
    mask: Mask = data.is_null().to_numpy(zero_copy_only=False)
    return mask


def _whole(values: npt.NDArray[np.float64]) -> tuple[IntArray, Mask | None]:
    integral = (values == np.trunc(values)) & (values >= -_TWO_63) & (values < _TWO_63)
    if integral.all():
        return values.astype(np.int64), None
    return np.where(integral, values, 0.0).astype(np.int64), ~integral


def _mixed_integers(column: Column) -> tuple[IntArray, Mask | None, Mask | None]:
    tags = column.data.field("tag").to_numpy()
    values = column.data.field("num").to_numpy().copy()
    null = tags == 0
    other: Mask = tags >= StorageClass.TEXT
    reals = np.flatnonzero(tags == StorageClass.REAL)
    if len(reals):
        values[reals], odd = _whole(values[reals].view(np.float64))
        if odd is not None:
            other[reals] = odd
    return values, null if null.any() else None, other if other.any() else None


def exact_integers(column: Column) -> IntArray | None:
    """The values as int64 if every one, without exception, equals an integer; None otherwise."""
    if column.kind not in (Kind.INTEGER, Kind.NUMERIC, Kind.REAL, Kind.MIXED):
        return None
    values, null, other = integers(column)
    return values if null is None and other is None else None
