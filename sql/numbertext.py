"""Numbers in text, as SQLite reads and writes them: by Arrow where both provably agree, else by SQLite.

Source: sqlite.org/datatype3.html, section 3, and the behaviour of SQLite itself: spaces around a number, a
point at either end and a sign are part of a number; hexadecimal, underscores, `inf` and `nan` are not.
"""

from __future__ import annotations

import re
import threading

import apsw
import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from colonnade.store.values import EXACT_INT, IntArray, SQLiteValue, StorageClass

# Arrow finds the nearest double; SQLite's own algorithm computes it with some 30 bits to spare. They agree on
# a decimal of at most 15 digits, and on a longer one that is not close to the middle between two doubles.
_SURE_LENGTH = 15
_LONGEST = 9e17  # digits as an integer: SQLite drops those behind the 18th or 19th
_EXACT_POWER = 22  # of ten, as a double
_NEAR_MIDDLE = 0.98  # of half the distance between two doubles
_SAMPLE = 16
_INTEGER = re.compile(r"-?[0-9]{1,18}\Z")
_DECIMAL = re.compile(r"[+-]?(?:[0-9]+\.?[0-9]*|\.[0-9]+)\Z")
_DECIMAL_RE2 = r"^[+-]?(?:[0-9]+\.?[0-9]*|\.[0-9]+)$"
# What this does not match is no number to SQLite. A NUL ends the text for SQLite's reading of numbers.
_PERHAPS_RE2 = r"^[\t-\r ]*[+-]?\.?[0-9][0-9.]*(?:[eE\t-\r \x00]|$)"

TagArray = npt.NDArray[np.uint8]
BoolArray = npt.NDArray[np.bool_]
DoubleArray = npt.NDArray[np.float64]


def text_numbers(data: pa.Array) -> pa.Array | tuple[TagArray, IntArray]:
    """What numeric affinity makes of text.

    data  a string array, not a dictionary
    An int64 or float64 array if every value is a number that fits there (doubles may be integral:
    the caller's affinity decides), else the StorageClass and the number (or the double's bits) of each
    value: TEXT where it stays text, 0 for NULL.
    """
    sample = [text for text in data.slice(0, _SAMPLE).to_pylist() if text is not None]
    # A cast that fails costs a microsecond for each value that fails: look before.
    if sample and all(map(_INTEGER.match, sample)):
        found = _as_integers(data)
        if found is not None:
            return found
    if sample and all(map(_DECIMAL.match, sample)):
        found = _as_doubles(data)
        if found is not None:
            return found
    return _one_by_one(data)


def _bytes(data: pa.Array) -> npt.NDArray[np.uint8]:
    """The UTF-8 of all values, one after another; bytes behind NULLs may be among them."""
    _, offsets, content = data.buffers()
    if content is None or not len(data):
        return np.zeros(0, np.uint8)
    ends = np.frombuffer(offsets, np.int32, len(data) + 1, data.offset * 4)
    return np.frombuffer(content, np.uint8)[ends[0] : ends[-1]]


def _has_letter(data: pa.Array, letter: str) -> bool:
    return bool(((_bytes(data) | 0x20) == ord(letter)).any())


def _as_integers(data: pa.Array) -> pa.Array | None:
    if _has_letter(data, "x"):  # Arrow reads 0x10 as 16
        return None
    try:
        return pc.cast(data, pa.int64())
    except pa.ArrowInvalid:
        return None


def _as_doubles(data: pa.Array) -> pa.Array | None:
    if _has_letter(data, "e"):
        return None
    try:
        found = pc.cast(data, pa.float64())
    except pa.ArrowInvalid:
        return None
    if not _all_finite(found):  # Arrow reads nan and inf
        return None
    if pc.max(pc.binary_length(data)).as_py() <= _SURE_LENGTH:
        return found
    doubles = (found.fill_null(0.0) if found.null_count else found).to_numpy().copy()
    unsure = np.flatnonzero(~_sure(data, doubles))
    if len(unsure):
        tags, nums = _by_sqlite(data.take(pa.array(unsure)))
        if (tags != StorageClass.REAL).any():
            return None
        doubles[unsure] = nums.view(np.float64)
    return pa.array(doubles, mask=data.is_null().to_numpy(zero_copy_only=False))


def _sure(data: pa.Array, doubles: DoubleArray) -> BoolArray:
    """Where SQLite must read the same double from a plain decimal as Arrow did, or where there is NULL."""
    sure = pc.less_equal(pc.binary_length(data), _SURE_LENGTH).fill_null(True)
    sure_rows: BoolArray = sure.to_numpy(zero_copy_only=False).copy()
    long = np.flatnonzero(~sure_rows)
    if len(long):
        sure_rows[long] = _far_from_middle(data.take(pa.array(long)), doubles[long])
    return sure_rows


def _far_from_middle(texts: pa.Array, doubles: DoubleArray) -> BoolArray:
    """Whether decimals with a point and up to 18 digits lie well within what rounds to their doubles.

    With m the decimal's digits as an integer and k of them behind the point, m - double * 10**k tells how
    far the decimal is from the double; the product is exact as the sum of two doubles.
    """
    sure = np.zeros(len(texts), bool)
    point = pc.find_substring(texts, ".").to_numpy()
    scale = pc.binary_length(texts).to_numpy() - point - 1
    scale[(point < 0) | (scale > _EXACT_POWER) | (np.abs(doubles) > EXACT_INT)] = -1
    scale[pc.starts_with(texts, "+").to_numpy(zero_copy_only=False)] = -1
    power = 10.0 ** np.maximum(scale, 0)
    usable = np.flatnonzero((scale >= 0) & (np.abs(doubles) * power < _LONGEST))
    doubles, power, texts = doubles[usable], power[usable], texts.take(pa.array(usable))
    digits = pc.cast(pc.replace_substring(texts, ".", "", max_replacements=1), pa.int64()).to_numpy()
    product, lost = _exact_product(doubles, power)
    high = digits.astype(np.float64)
    low = (digits - high.astype(np.int64)).astype(np.float64)
    distance = np.abs((high - product) + (low - lost))
    size = np.abs(doubles)
    middle = (size - np.nextafter(size, 0.0)) / 2 * power
    sure[usable] = distance < middle * _NEAR_MIDDLE
    return sure


def _exact_product(a: DoubleArray, b: DoubleArray) -> tuple[DoubleArray, DoubleArray]:
    """a * b as the nearest double and what it lacks (Dekker 1971)."""
    product = a * b
    a_high, b_high = _upper_half(a), _upper_half(b)
    a_low, b_low = a - a_high, b - b_high
    return product, ((a_high * b_high - product) + a_high * b_low + a_low * b_high) + a_low * b_low


def _upper_half(a: DoubleArray) -> DoubleArray:
    scaled = a * 134217729.0  # 2**27 + 1
    return scaled - (scaled - a)


def _all_finite(data: pa.Array) -> bool:
    if data.null_count:
        data = data.fill_null(0.0)
    return bool(np.isfinite(data.to_numpy()).all())


def _one_by_one(data: pa.Array) -> tuple[TagArray, IntArray]:
    """Each value for itself: short decimals by Arrow, what cannot be a number stays, the rest by SQLite."""
    valid = data.is_valid().to_numpy(zero_copy_only=False)
    tags = np.where(valid, StorageClass.TEXT, 0).astype(np.uint8)
    nums = np.zeros(len(data), np.int64)
    plain = pc.match_substring_regex(data, _DECIMAL_RE2).fill_null(False).to_numpy(zero_copy_only=False)
    at = np.flatnonzero(plain)
    if len(at):
        texts = data.take(pa.array(at))
        doubles = pc.cast(texts, pa.float64()).to_numpy() + 0.0
        sure = _sure(texts, doubles)
        at = at[sure]
        nums[at] = doubles[sure].view(np.int64)
        tags[at] = StorageClass.REAL
    perhaps = pc.match_substring_regex(data, _PERHAPS_RE2).fill_null(False).to_numpy(zero_copy_only=False)
    unsure = np.flatnonzero(perhaps & (tags == StorageClass.TEXT))
    if len(unsure):
        tags[unsure], nums[unsure] = _by_sqlite(data.take(pa.array(unsure)))
    return tags, nums


# -- SQLite itself

_local = threading.local()


def stored_by_sqlite(values: list[SQLiteValue], affinity: str) -> list[SQLiteValue]:
    """What SQLite gives back for values put into a column of an affinity. Cost: 1 µs a value."""
    db: apsw.Connection | None = getattr(_local, "db", None)
    if db is None:
        db = _local.db = apsw.Connection(":memory:")
        for name in ("NUMERIC", "TEXT"):
            db.execute(f"CREATE TABLE {name}_values(value {name})")
    table = f"{affinity}_values"
    with db:
        db.executemany(f"INSERT INTO {table} VALUES(?)", ((value,) for value in values))
        stored = [value for (value,) in db.execute(f"SELECT value FROM {table} ORDER BY rowid")]
        db.execute(f"DELETE FROM {table}")
    return stored


def _by_sqlite(texts: pa.Array) -> tuple[TagArray, IntArray]:
    """StorageClass and number of each text under NUMERIC affinity; each different text is asked for once."""
    encoded = pc.dictionary_encode(texts)
    words = encoded.dictionary.to_pylist()
    tags = np.full(len(words), StorageClass.TEXT, np.uint8)
    nums = np.zeros(len(words), np.int64)
    doubles = nums.view(np.float64)
    for at, value in enumerate(stored_by_sqlite(words, "NUMERIC")):
        if isinstance(value, int):
            tags[at], nums[at] = StorageClass.INTEGER, value
        elif isinstance(value, float):
            tags[at], doubles[at] = StorageClass.REAL, value
    codes = encoded.indices.to_numpy()
    return tags[codes], nums[codes]


_SURE_WHOLE = 1e15


def real_text(data: pa.Array) -> pa.Array:
    """A float64 array as SQLite writes it under TEXT affinity.

    Whole numbers are simple; for others SQLite prints 15 to 17 digits by an algorithm of its own, which
    is asked: 579.49527492353 becomes `579.49527492353002`. Cost: 1 µs each different value.
    """
    doubles = (data.fill_null(0.0) if data.null_count else data).to_numpy()
    whole = (np.abs(doubles) < _SURE_WHOLE) & (doubles == np.trunc(doubles))
    integers = pc.cast(pa.array(np.where(whole, doubles, 0.0).astype(np.int64)), pa.string())
    text = pc.binary_join_element_wise(integers, ".0", "")
    if not whole.all():
        words = pc.dictionary_encode(pa.array(doubles[~whole]))
        rendered = pa.array(stored_by_sqlite(words.dictionary.to_pylist(), "TEXT"), pa.string())
        text = pc.replace_with_mask(text, pa.array(~whole), rendered.take(words.indices))
    return pc.if_else(data.is_valid(), text, None) if data.null_count else text
