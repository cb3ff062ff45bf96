"""How pyarrow is to read each column of a text file, and the proof that SQLite would hold the same values.

A column's Guess comes from a sample. pyarrow then converts while it parses, many times faster than text
can be converted afterwards, but by its own rules; `settle` gives a Column only where they cannot differ
from SQLite's, and None otherwise: then the piece is read as text and sql.affinity converts it.

pyarrow's rules are wider, or other than SQLite's:       what keeps the values right:
int64 reads '0x1F', which to SQLite is text              integers are read as float64, which does not; from
                                                         2**42 on as int64, and not in a piece with '0x' in it
float64 of an integer from 2**53 on is not exact         only smaller ones are settled
float64 reads 'nan', 'inf', '1e999'                      only finite values are settled
float64 rounds any number of digits correctly, SQLite    only values that are the nearest double to a decimal of
uses the first 19: the last bit may differ               at most six places and 2**42 units of the last place:
                                                         those are 1 in 2,000 doubles or fewer, and a text of 20
                                                         digits that gives one, and that SQLite rounds to its
                                                         neighbour, does not come about but by construction
-0.0, which SQLite stores as 0.0                         settled as 0.0
dates are read with blanks around them                   read as 10 bytes first, then as a date
dates and times may lack their time, or have a 'T'       read as 19, 23 or 26 bytes, the separators checked
"""

from __future__ import annotations

from enum import Enum

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from colonnade.loader.sources.records import as_array
from colonnade.sql.affinity import Affinity, apply_affinity
from colonnade.store.values import EXACT_INT, Column, IntArray, Kind

NUMBERS = (Affinity.INTEGER, Affinity.REAL, Affinity.NUMERIC)
_SCALES = (1.0, 1e2, 1e4, 1e6)  # decimal places that settle_floats looks for
_MOST_UNITS = 2.0**42  # of the last decimal place, in numbers settled from doubles; ms since 1970 fit
_BLOCK = 32768  # values at a time: scratch arrays stay in the second-level cache, and threads seldom meet
_TIME_UNITS = {19: "s", 23: "ms", 26: "us"}  # length of the text -> unit


class Guess(Enum):
    """What the values of a column look like, and so the Arrow type that pyarrow.csv is asked for."""

    NUMBER = "float64"
    LARGE = "int64"  # integers from 2**42 on among them
    DATE = "date"
    SECONDS = "timestamp s"
    MILLISECONDS = "timestamp ms"
    MICROSECONDS = "timestamp us"
    LETTERS = "one byte"
    WORDS = "dictionary"
    TEXT = "string"


ARROW_TYPES: dict[Guess, pa.DataType] = {
    Guess.NUMBER: pa.float64(),
    Guess.LARGE: pa.int64(),
    Guess.DATE: pa.binary(10),
    Guess.SECONDS: pa.binary(19),
    Guess.MILLISECONDS: pa.binary(23),
    Guess.MICROSECONDS: pa.binary(26),
    Guess.LETTERS: pa.binary(1),
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
_MOST_LETTERS = 16  # each costs a pass over the values
_STRIKES = 2  # a piece that does not fit is read as text; a guess is given up after so many of them
_UPGRADES, _UPGRADE_ROWS = 3, 1000
_FEW_WORDS = 0.5  # distinct values / values up to which a dictionary pays


class Guesses:
    """The guess for each column of one source; learns while pieces are read. Any thread may call it.

    Races are harmless: a stale guess costs a second parse of one piece.
    """

    def __init__(self, affinities: list[Affinity]) -> None:
        self.affinities = affinities
        self.current = [Guess.NUMBER if a in NUMBERS else Guess.TEXT for a in affinities]
        self._strikes = [0] * len(affinities)
        self._upgrades = [0] * len(affinities)

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
        self.current[position] = better if better is not failed else Guess.TEXT
        self._strikes[position] = 0

    def saw(self, position: int, column: Column) -> None:
        """Learn from a piece that was read with the guess that is current."""
        current, data = self.current[position], column.data
        if current is Guess.WORDS and pa.types.is_dictionary(data.type):
            if len(data.dictionary) > 64 + len(data) * _FEW_WORDS:
                self.current[position] = Guess.TEXT
        elif current is Guess.TEXT and self._upgrades[position] < _UPGRADES:
            # An odd value in the sample may have hidden what the column is.
            numbers = column.kind in (Kind.INTEGER, Kind.REAL, Kind.NUMERIC)
            better = (
                guess(data.slice(0, _UPGRADE_ROWS).cast(pa.string()), self.affinities[position])
                if numbers
                else current
            )
            if better is not current:
                self.current[position] = better
                self._upgrades[position] += 1


def guess(texts: pa.Array, affinity: Affinity) -> Guess:
    """The guess that fits all of `texts` (a string array; NULLs fit everything)."""
    texts = texts.drop_null()
    if len(texts) == 0:
        return Guess.NUMBER if affinity in NUMBERS else Guess.TEXT
    if affinity in NUMBERS:
        large = affinity is not Affinity.REAL and _has_large(texts)
        if large:
            return Guess.LARGE
        doubles = _casts(texts, pa.float64())
        if doubles is not None and settle_floats(doubles, affinity) is not None:
            return Guess.NUMBER
    shortest, longest = pc.min_max(pc.binary_length(texts)).values()
    if shortest.equals(longest):
        length = longest.as_py()
        if length == 10 and settle_dates(texts) is not None:
            return Guess.DATE
        if length == 1 and settle_letters(texts.cast(pa.binary()).cast(pa.binary(1))) is not None:
            return Guess.LETTERS
        if length in _TIMES and settle_times(texts.cast(pa.binary()).cast(pa.binary(length))) is not None:
            return _TIMES[length]
    few = pc.count_distinct(texts).as_py() <= len(texts) * _FEW_WORDS
    return Guess.WORDS if few else Guess.TEXT


def _casts(texts: pa.Array, to: pa.DataType) -> pa.Array | None:
    try:
        return texts.cast(to)
    except pa.ArrowInvalid:
        return None


def _has_large(texts: pa.Array) -> bool:
    """Whether all are integers, and one of them is too large to be settled as a double."""
    integers = _casts(texts, pa.int64())
    return integers is not None and not _within(integers, int(_MOST_UNITS) - 1)


def _within(numbers: pa.Array, most: int) -> bool:
    bounds = pc.min_max(numbers)
    low, high = bounds["min"].as_py(), bounds["max"].as_py()
    return low is None or (low >= -most and high <= most)


def settle(guessed: Guess, affinity: Affinity, data: pa.Array) -> Column | None:
    """The values as SQLite would hold them, or None if that is not certain (see the module's table).

    data  what pyarrow.csv read as ARROW_TYPES[guessed]; Guess.LARGE from a piece without '0x'
    """
    if guessed is Guess.NUMBER:
        return settle_floats(data, affinity)
    if guessed is Guess.LARGE:
        return Column(Kind.INTEGER, data) if affinity is not Affinity.REAL else None
    if guessed is Guess.DATE:
        dates = settle_dates(_as_texts(data))
        return None if dates is None else Column(Kind.DATE, dates)
    if guessed in (Guess.SECONDS, Guess.MILLISECONDS, Guess.MICROSECONDS):
        times = settle_times(data)
        return None if times is None else Column(Kind.DATETIME, times)
    if guessed is Guess.LETTERS:
        letters = settle_letters(data)
        return None if letters is None else convert_text(letters, affinity)
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
    """`column`, as INTEGER if it is a NUMERIC one of an INTEGER column without fractions: keys want that."""
    if column.kind is Kind.NUMERIC and affinity is Affinity.INTEGER and _within(column.data, EXACT_INT):
        integers = _casts(column.data, pa.int64())
        return column if integers is None else Column(Kind.INTEGER, integers)
    return column


def settle_floats(data: pa.Array, affinity: Affinity) -> Column | None:
    """Doubles read from decimals, as SQLite would hold them; None where that is not certain."""
    values = (data.fill_null(0.0) if data.null_count else data).to_numpy()
    largest = (
        float(max(values.max(), -values.min())) if len(values) else 0.0
    )  # numpy's are faster than Arrow's
    if not largest < _MOST_UNITS:  # or NaN
        return None
    if affinity is not Affinity.REAL:
        integers = _as_integers(values)
        if integers is not None:
            validity = data.buffers()[0] if data.null_count else None
            buffers = [validity, pa.py_buffer(integers)]
            return Column(Kind.INTEGER, pa.Array.from_buffers(pa.int64(), len(data), buffers))
    if not any(largest < _MOST_UNITS / scale and _are_decimals(values, scale) for scale in _SCALES):
        return None
    if bool(np.any((values == 0) & np.signbit(values))):
        data = pc.add(data, 0.0)
    return Column(Kind.REAL if affinity is Affinity.REAL else Kind.NUMERIC, data)


def _as_integers(values: npt.NDArray[np.float64]) -> IntArray | None:
    """The values, below 2**53, as integers if all are whole. Cost: some 3 ns a value."""
    result = np.empty(len(values), np.int64)
    for start in range(0, len(values), _BLOCK):
        block, whole = values[start : start + _BLOCK], result[start : start + _BLOCK]
        whole[:] = block
        if not np.array_equal(whole, block):
            return None
    return result


def _are_decimals(values: npt.NDArray[np.float64], scale: float) -> bool:
    """Whether each value, below 2**53/scale, is the nearest double to a multiple of 1/scale.

    With such a bound the multiple is exact and the division rounds correctly.
    Cost: four passes over blocks in cache, some 3 ns a value.
    """
    scratch = np.empty(min(_BLOCK, len(values)))
    for start in range(0, len(values), _BLOCK):
        block = values[start : start + _BLOCK]
        room = scratch[: len(block)]
        np.multiply(block, scale, out=room)
        np.rint(room, out=room)
        np.divide(room, scale, out=room)
        if not np.array_equal(room, block):
            return False
    return True


def settle_dates(texts: pa.Array) -> pa.Array | None:
    """Texts of 10 bytes as date32, or None if one is no date of the form YYYY-MM-DD."""
    return _casts(texts, pa.date32())


def settle_letters(texts: pa.Array) -> pa.Array | None:
    """Texts of one byte (fixed_size_binary) as a dictionary, or None if one is NULL, is no ASCII, or they are many.

    Cost: 0.2 ns a value and letter. pyarrow.csv takes 13 to look each up in a dictionary of its own, and 2 to copy it.
    """
    if texts.null_count:
        return None
    letters = as_array(texts.buffers()[1])[texts.offset : texts.offset + len(texts)]
    codes, seen = np.zeros(len(letters), np.uint8), np.zeros(len(letters), bool)
    words: list[int] = []
    while not seen.all():
        words.append(int(letters[seen.argmin()]))
        if words[-1] > 127 or len(words) > _MOST_LETTERS:
            return None
        same = letters == words[-1]
        seen |= same
        codes |= same * np.uint8(len(words) - 1)
    return pa.DictionaryArray.from_arrays(
        pa.array(codes.astype(np.int32)), pa.array(map(chr, words), pa.string())
    )


def settle_times(texts: pa.Array) -> pa.Array | None:
    """Texts of 19, 23 or 26 bytes (fixed_size_binary) as timestamps, or None if one has another form."""
    length = texts.type.byte_width
    rows = as_array(texts.buffers()[1])[texts.offset * length :][: len(texts) * length].reshape(-1, length)
    if texts.null_count:
        rows = rows[texts.is_valid().to_numpy(zero_copy_only=False)]
    marks = {4: "-", 7: "-", 10: " ", 13: ":", 16: ":"} | ({19: "."} if length > 19 else {})
    if not all((rows[:, place] == ord(mark)).all() for place, mark in marks.items()):
        return None
    return _casts(_as_texts(texts), pa.timestamp(_TIME_UNITS[length]))


def _as_texts(fixed: pa.Array) -> pa.Array:
    """A fixed_size_binary array as strings, without a copy and unchecked: only to be cast to numbers."""
    width, offset, count = fixed.type.byte_width, fixed.offset, len(fixed)
    ends = np.arange(offset * width, (offset + count) * width + 1, width, dtype=np.int32)
    validity, content = fixed.buffers()
    if offset and validity is not None:
        return fixed.cast(pa.string())
    return pa.StringArray.from_buffers(count, pa.py_buffer(ends), content, validity)


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
