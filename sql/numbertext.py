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

from colonnade.store.values import IntArray, SQLiteValue, StorageClass

# A decimal of at most 15 digits has one nearest double, and any sound algorithm finds it; for longer
# ones SQLite's may differ from Arrow's in the last bit.
_SURE_LENGTH = 15
_SAMPLE = 16
_INTEGER = re.compile(r"-?[0-9]{1,18}\Z")
_DECIMAL = re.compile(r"[+-]?(?:[0-9]+\.?[0-9]*|\.[0-9]+)\Z")
_DECIMAL_RE2 = r"^[+-]?(?:[0-9]+\.?[0-9]*|\.[0-9]+)$"
# What this does not match is no number to SQLite. A NUL ends the text for SQLite's reading of numbers.
_PERHAPS_RE2 = r"^[\t-\r ]*[+-]?\.?[0-9][0-9.]*(?:[eE\t-\r \x00]|$)"

TagArray = npt.NDArray[np.uint8]


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
    longest = pc.max(pc.binary_length(data)).as_py()
    if longest > _SURE_LENGTH or _has_letter(data, "e"):
        return None
    try:
        found = pc.cast(data, pa.float64())
    except pa.ArrowInvalid:
        return None
    return found if _all_finite(found) else None  # Arrow reads nan and inf


def _all_finite(data: pa.Array) -> bool:
    if data.null_count:
        data = data.fill_null(0.0)
    return bool(np.isfinite(data.to_numpy()).all())


def _one_by_one(data: pa.Array) -> tuple[TagArray, IntArray]:
    """Each value for itself: short decimals by Arrow, what cannot be a number stays, the rest by SQLite."""
    valid = data.is_valid().to_numpy(zero_copy_only=False)
    tags = np.where(valid, StorageClass.TEXT, 0).astype(np.uint8)
    nums = np.zeros(len(data), np.int64)
    short = pc.less_equal(pc.binary_length(data), _SURE_LENGTH)
    plain = pc.and_(short, pc.match_substring_regex(data, _DECIMAL_RE2)).fill_null(False)
    sure = np.flatnonzero(plain.to_numpy(zero_copy_only=False))
    if len(sure):
        doubles = pc.cast(data.take(pa.array(sure)), pa.float64()).to_numpy() + 0.0
        nums[sure] = doubles.view(np.int64)
        tags[sure] = StorageClass.REAL
    perhaps = pc.match_substring_regex(data, _PERHAPS_RE2).fill_null(False)
    open_cases = np.flatnonzero(pc.and_not(perhaps, plain).to_numpy(zero_copy_only=False))
    if len(open_cases):
        words = pc.dictionary_encode(data.take(pa.array(open_cases)))
        word_tags, word_nums = _ask_sqlite(words.dictionary.to_pylist())
        codes = words.indices.to_numpy()
        tags[open_cases], nums[open_cases] = word_tags[codes], word_nums[codes]
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


def _ask_sqlite(texts: list[SQLiteValue]) -> tuple[TagArray, IntArray]:
    """StorageClass and number of each text under NUMERIC affinity."""
    tags = np.full(len(texts), StorageClass.TEXT, np.uint8)
    nums = np.zeros(len(texts), np.int64)
    doubles = nums.view(np.float64)
    for at, value in enumerate(stored_by_sqlite(texts, "NUMERIC")):
        if isinstance(value, int):
            tags[at], nums[at] = StorageClass.INTEGER, value
        elif isinstance(value, float):
            tags[at], doubles[at] = StorageClass.REAL, value
    return tags, nums


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
