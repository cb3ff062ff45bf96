"""How pyarrow is to read each column of a text file, and the proof that SQLite would hold the same values.

A column's Guess comes from a sample. pyarrow then converts while it parses, many times faster than text can be
converted afterwards, but by its own rules; `settle` gives a Column only where they cannot differ from
SQLite's, and None otherwise: then the piece is read as text and sql.affinity converts it.

where pyarrow's rules are wider or other than SQLite's      what keeps the values right
int64 reads '0x1F' (to SQLite that is text)                 Guess.INTEGER needs a piece without '0x'
float64 reads 'nan', 'inf', '1e999'                         only finite values are settled
float64 of an integer from 2**53 on is not exact            only smaller ones are settled as NUMERIC
float64 is rounded correctly from any number of digits,     only values that are the nearest double to a decimal
SQLite uses the first 19: the last bit may differ           of six places at most: a longer text that SQLite rounds
                                                            otherwise gives such a value only by construction
-0.0 (SQLite stores 0.0)                                    settled as 0.0
dates are read with blanks around them                      read as 10 bytes first, then as a date
dates and times may lack their time, or have a 'T'          read as 19, 23 or 26 bytes with the separators checked
"""

from __future__ import annotations

from enum import Enum

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from colonnade.loader.sources.records import as_array
from colonnade.sql.affinity import Affinity, apply_affinity
from colonnade.store.values import EXACT_INT, Column, Kind

NUMBERS = (Affinity.INTEGER, Affinity.REAL, Affinity.NUMERIC)
_SCALES = (1.0, 1e2, 1e4, 1e6)  # decimal places that settle_floats looks for
_BLOCK = 8192  # values at a time, so that scratch arrays stay in the first-level cache
_TIME_UNITS = {19: "s", 23: "ms", 26: "us"}  # length of the text -> unit


class Guess(Enum):
    """What the values of a column look like, and so the Arrow type that pyarrow.csv is asked for."""

    INTEGER = "int64"
    WHOLE = "float64, whole"  # integers below 2**53, read as float64 as that does not read '0x'
    FLOAT = "float64"
    DATE = "date"
    SECONDS = "timestamp s"
    MILLISECONDS = "timestamp ms"
    MICROSECONDS = "timestamp us"
    WORDS = "dictionary"
    TEXT = "string"


ARROW_TYPES: dict[Guess, pa.DataType] = {
    Guess.INTEGER: pa.int64(),
    Guess.WHOLE: pa.float64(),
    Guess.FLOAT: pa.float64(),
    Guess.DATE: pa.binary(10),
    Guess.SECONDS: pa.binary(19),
    Guess.MILLISECONDS: pa.binary(23),
    Guess.MICROSECONDS: pa.binary(26),
    Guess.WORDS: pa.dictionary(pa.int32(), pa.string()),
    Guess.TEXT: pa.string(),
}
_LENGTHS = {
    Guess.DATE: 10,
    Guess.SECONDS: 19,
    Guess.MILLISECONDS: 23,
    Guess.MICROSECONDS: 26,
}
_TIMES = {19: Guess.SECONDS, 23: Guess.MILLISECONDS, 26: Guess.MICROSECONDS}
_NEXT = {Guess.INTEGER: Guess.WHOLE, Guess.WHOLE: Guess.FLOAT}
_STRIKES = 2  # a piece that does not fit is read as text; a guess is given up after so many of them
_FEW_WORDS = 0.5  # distinct values / values up to which a dictionary pays


class Guesses:
    """The guess for each column of one source; learns while pieces are read. Any thread may call it.

    Races are harmless: a stale guess costs a second parse of one piece.
    """

    def __init__(self, affinities: list[Affinity]) -> None:
        self.affinities = affinities
        self.current = [Guess.TEXT if a not in NUMBERS else Guess.INTEGER for a in affinities]
        self._strikes = [0] * len(affinities)

    def sample(self, position: int, texts: pa.Array) -> None:
        """Guess from the texts of a first part of the column."""
        self.current[position] = guess(texts, self.affinities[position])

    def strike(self, position: int, failed: Guess, texts: pa.Array) -> None:
        """The guess did not fit a piece; `texts` is the column there."""
        if self.current[position] is not failed:
            return
        self._strikes[position] += 1
        if self._strikes[position] < _STRIKES:
            return
        better = guess(texts, self.affinities[position])
        self.current[position] = better if better is not failed else _NEXT.get(failed, Guess.TEXT)
        self._strikes[position] = 0

    def saw(self, position: int, column: Column) -> None:
        """Give up on a dictionary that has about as many words as the piece has rows."""
        data = column.data
        if pa.types.is_dictionary(data.type) and len(data.dictionary) > 64 + len(data) * _FEW_WORDS:
            self.current[position] = Guess.TEXT


def guess(texts: pa.Array, affinity: Affinity) -> Guess:
    """The guess that fits all of `texts` (a string array; NULLs fit everything)."""
    texts = texts.drop_null()
    if len(texts) == 0:
        return Guess.INTEGER if affinity in NUMBERS else Guess.TEXT
    if affinity in NUMBERS:
        integers = (
            _casts(texts, pa.int64()) and not pc.any(pc.match_substring(texts, "x", ignore_case=True)).as_py()
        )
        if integers and affinity is not Affinity.REAL:
            return Guess.INTEGER
        if _casts(texts, pa.float64()):
            return Guess.FLOAT
    shortest, longest = pc.min_max(pc.binary_length(texts)).values()
    if shortest.equals(longest):
        length = longest.as_py()
        if length == 10 and settle_dates(texts) is not None:
            return Guess.DATE
        if length in _TIMES and settle_times(texts.cast(pa.binary()).cast(pa.binary(length))) is not None:
            return _TIMES[length]
    few = pc.count_distinct(texts).as_py() <= len(texts) * _FEW_WORDS
    return Guess.WORDS if few else Guess.TEXT


def _casts(texts: pa.Array, to: pa.DataType) -> bool:
    try:
        texts.cast(to)
    except pa.ArrowInvalid:
        return False
    return True


def settle(guessed: Guess, affinity: Affinity, data: pa.Array) -> Column | None:
    """The values as SQLite would hold them, or None if that is not certain (see the module's table).

    data  what pyarrow.csv read as ARROW_TYPES[guessed]; Guess.INTEGER from a piece without '0x'
    """
    if guessed is Guess.INTEGER:
        return Column(Kind.INTEGER, data) if affinity is not Affinity.REAL else None
    if guessed in (Guess.FLOAT, Guess.WHOLE):
        return settle_floats(data, affinity)
    if guessed is Guess.DATE:
        dates = settle_dates(data.cast(pa.string()))
        return None if dates is None else Column(Kind.DATE, dates)
    if guessed in (Guess.SECONDS, Guess.MILLISECONDS, Guess.MICROSECONDS):
        times = settle_times(data)
        return None if times is None else Column(Kind.DATETIME, times)
    return convert_text(data, affinity)


def settle_as_text(guessed: Guess, texts: pa.Array) -> Column | None:
    """Texts (a string array) as DATE or DATETIME if that was guessed and all of them fit; else None."""
    length = _LENGTHS.get(guessed)
    if length is None or not pc.all(pc.equal(pc.binary_length(texts), length), min_count=0).as_py():
        return None
    return settle(guessed, Affinity.TEXT, texts.cast(pa.binary()).cast(pa.binary(length)))


def convert_text(data: pa.Array, affinity: Affinity) -> Column:
    """Text, plain or in a dictionary, under an affinity, exactly."""
    column = Column(Kind.TEXT, data)
    if affinity not in NUMBERS:
        return column
    if pa.types.is_dictionary(data.type):
        words = apply_affinity(Column(Kind.TEXT, data.dictionary), affinity)
        if words.kind is Kind.TEXT:  # none of them is a number
            return column
        column = Column(Kind.TEXT, data.dictionary_decode())
    return whole_numbers(apply_affinity(column, affinity), affinity)


def whole_numbers(column: Column, affinity: Affinity) -> Column:
    """`column`, as INTEGER if it is a NUMERIC one of an INTEGER column without a fraction: keys want that."""
    if column.kind is Kind.NUMERIC and affinity is Affinity.INTEGER:
        bounds = pc.min_max(column.data)
        low, high = bounds["min"].as_py(), bounds["max"].as_py()
        if low is not None and -EXACT_INT <= low and high <= EXACT_INT:
            try:
                return Column(Kind.INTEGER, column.data.cast(pa.int64()))
            except pa.ArrowInvalid:
                return column
    return column


def settle_floats(data: pa.Array, affinity: Affinity) -> Column | None:
    """Doubles read from decimals, as SQLite would hold them; None where that is not certain."""
    values = (data.fill_null(0.0) if data.null_count else data).to_numpy()
    for scale in _SCALES:
        if _are_decimals(values, scale):
            break
    else:
        return None
    if bool(np.any((values == 0) & np.signbit(values))):
        data = pc.add(data, 0.0)
    if affinity is Affinity.REAL:
        return Column(Kind.REAL, data)
    return whole_numbers(Column(Kind.NUMERIC, data), affinity)


def _are_decimals(values: npt.NDArray[np.float64], scale: float) -> bool:
    """Whether each value is the nearest double to a multiple of 1/scale, and below 2**53/scale.

    With such a bound the multiple is exact and the division rounds correctly. False for NaN and infinities.
    Cost: five passes over blocks in cache, some 1.5 ns a value.
    """
    scratch = np.empty(_BLOCK)
    most = EXACT_INT / scale
    for start in range(0, len(values), _BLOCK):
        block = values[start : start + _BLOCK]
        room = scratch[: len(block)]
        np.multiply(block, scale, out=room)
        np.rint(room, out=room)
        np.divide(room, scale, out=room)
        if not np.array_equal(room, block) or not (block.max() < most and block.min() > -most):
            return False
    return True


def settle_dates(texts: pa.Array) -> pa.Array | None:
    """Texts of 10 bytes as date32, or None if one is no date of the form YYYY-MM-DD."""
    try:
        return texts.cast(pa.date32())
    except pa.ArrowInvalid:
        return None


def settle_times(texts: pa.Array) -> pa.Array | None:
    """Texts of 19, 23 or 26 bytes (fixed_size_binary) as timestamps, or None if one has another form."""
    length = texts.type.byte_width
    rows = as_array(texts.buffers()[1])[texts.offset * length :][: len(texts) * length].reshape(-1, length)
    if texts.null_count:
        rows = rows[texts.is_valid().to_numpy(zero_copy_only=False)]
    marks = {4: "-", 7: "-", 10: " ", 13: ":", 16: ":"} | ({19: "."} if length > 19 else {})
    if not all((rows[:, place] == ord(mark)).all() for place, mark in marks.items()):
        return None
    try:
        return texts.cast(pa.string()).cast(pa.timestamp(_TIME_UNITS[length]))
    except pa.ArrowInvalid:
        return None


def has_hex(buffer: bytearray | bytes, size: int) -> bool:
    """Whether '0x' or '0X' is among the first `size` bytes. Cost: 0.1 ns a byte, 0.4 where there is an 'x'."""
    array = as_array(buffer)[:size]
    return any(
        buffer.find(letter, 0, size) >= 0 and _has_pair(array, ord("0") | ord(letter) << 8)
        for letter in (b"x", b"X")
    )


def _has_pair(array: npt.NDArray[np.uint8], pair: int) -> bool:
    """Whether two neighbouring bytes occur, as a little-endian number: numpy compares pairs faster than
    bytes.find looks for two bytes."""
    block = 1 << 15
    wanted = np.uint16(pair)
    hits = np.empty(block, bool)
    for shift in (0, 1):
        part = array[shift:]
        pairs = part[: len(part) // 2 * 2].view("<u2")
        for start in range(0, len(pairs), block):
            chunk = pairs[start : start + block]
            if np.equal(chunk, wanted, out=hits[: len(chunk)]).any():
                return True
    return False
