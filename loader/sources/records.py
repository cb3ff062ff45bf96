"""Records of delimited text: where they end, exactly, with quoted fields that hold line ends.

The rules are those of pyarrow.csv, of Python's csv module and of RFC 4180 where that speaks: a line ends at LF,
CR LF or CR; a quote opens a quoted field only as the field's first character, a doubled quote inside stands
for one, and what follows the closing quote up to the delimiter belongs to the value. A quote anywhere else
is data, so counting quotes is not enough to know whether a line end is inside of one.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
import numpy.typing as npt

from colonnade.store.values import IntArray

LF, CR = 10, 13
Bytes = bytes | bytearray | memoryview


@dataclass(frozen=True, slots=True)
class Dialect:
    """How fields and records are told apart. `quote` is '' where no character quotes."""

    delimiter: str
    quote: str


class UnclosedQuote(Exception):
    """Internal: the input ends inside a quoted field that opened at byte `position`."""

    def __init__(self, position: int) -> None:
        super().__init__(position)
        self.position = position


def as_array(data: Bytes) -> npt.NDArray[np.uint8]:
    """The bytes as an array, without a copy."""
    return np.frombuffer(data, np.uint8)


def line_ends(data: Bytes) -> IntArray:
    """Positions just after each line end, quoted or not, ascending. Cost: some 0.3 ns a byte."""
    array = as_array(data)
    ends = np.flatnonzero(array == LF) + 1
    returns = np.flatnonzero(array == CR)
    if len(returns) == 0:
        return ends
    followed = array[np.minimum(returns + 1, len(array) - 1)] == LF
    return np.sort(np.concatenate([ends, returns[~followed] + 1]))


def quote_marks(data: Bytes, dialect: Dialect) -> IntArray:
    """Positions at which a quoted field begins and ends, by turns; an odd number if the last one is open.

    `data` begins at the start of a record. A doubled quote counts as an end and a beginning, or not at all.
    """
    if not dialect.quote:
        return np.zeros(0, np.int64)
    array = as_array(data)
    quotes = np.flatnonzero(array == ord(dialect.quote))
    if _all_quotes_count(array, quotes, dialect):
        return quotes
    marks: list[int] = []
    for match in _quoted_field(dialect).finditer(data):
        marks.append(match.start())
        if match[1]:
            marks.append(match.end() - 1)
    return np.array(marks, np.int64)


def _all_quotes_count(array: npt.NDArray[np.uint8], quotes: IntArray, dialect: Dialect) -> bool:
    """Whether taking the quotes as beginnings and ends by turns is right.

    It is if each beginning stands where a field begins, or right after an end, which makes a doubled quote
    inside a field: by induction, the reader is then outside of quotes before each beginning.
    """
    begins = quotes[0::2]
    if len(begins) == 0:
        return True
    before = array[np.maximum(begins - 1, 0)]
    fine = (before == ord(dialect.delimiter)) | (before == LF) | (before == CR)
    fine[0] |= begins[0] == 0
    fine[1:] |= begins[1:] == quotes[1::2][: len(begins) - 1] + 1
    return bool(fine.all())


@lru_cache
def _quoted_field(dialect: Dialect) -> re.Pattern[bytes]:
    quote, delimiter = re.escape(dialect.quote).encode(), re.escape(dialect.delimiter).encode()
    return re.compile(
        rb"(?:\A|(?<=[\r\n%b]))%b(?:[^%b]++|%b%b)*+(%b|\Z)" % (delimiter, quote, quote, quote, quote, quote)
    )


def record_ends(data: Bytes, dialect: Dialect) -> IntArray:
    """Positions just after each record, its line end included; the last one is the length of `data`."""
    ends = line_ends(data)
    if dialect.quote:
        marks = quote_marks(data, dialect)
        ends = ends[np.searchsorted(marks, ends - 1) % 2 == 0]
    if len(data) and (len(ends) == 0 or ends[-1] != len(data)):
        ends = np.append(ends, len(data))
    return ends


def blank_records(data: Bytes, dialect: Dialect) -> IntArray:
    """Ordinals of the records that are empty lines."""
    ends = record_ends(data, dialect)
    starts = np.concatenate([np.zeros(1, np.int64), ends[:-1]])[: len(ends)]
    first = as_array(data)[starts] if len(starts) else np.zeros(0, np.uint8)
    return np.flatnonzero((first == LF) | (first == CR))


def whole_records(data: bytearray, size: int, dialect: Dialect) -> int:
    """How many of the first `size` bytes are whole records; 0 if not even one is. More input follows.

    The rest may still be inside a quoted field. `data` begins at the start of a record.
    """
    if not dialect.quote or data.find(dialect.quote.encode(), 0, size) < 0:
        return _last_line_end(data, size)
    view = memoryview(data)[:size]
    try:
        marks = quote_marks(view, dialect)
    finally:
        view.release()
    stop = size
    while True:
        stop = _last_line_end(data, stop)
        inside = int(np.searchsorted(marks, stop - 1))
        if stop == 0 or inside % 2 == 0:
            return stop
        stop = int(marks[inside - 1])


def check_closed(data: Bytes, dialect: Dialect) -> None:
    """Raise UnclosedQuote if the input, which ends here, ends inside a quoted field."""
    marks = quote_marks(data, dialect)
    if len(marks) % 2:
        raise UnclosedQuote(int(marks[-1]))


def _last_line_end(data: bytearray, stop: int) -> int:
    """Position after the last line end before `stop`; a CR counts where there is no LF and a byte follows it."""
    end = data.rfind(b"\n", 0, stop) + 1
    return end or data.rfind(b"\r", 0, max(0, stop - 1)) + 1


def without_trailing_blanks(data: Bytes, size: int) -> int:
    """`size` less the empty lines at its end; one line end stays."""
    view = memoryview(data)
    stop = size
    while stop and view[stop - 1] in (LF, CR):
        stop -= 1
    if stop == 0:
        return 0
    if stop < size:
        stop += 2 if bytes(view[stop : stop + 2]) == b"\r\n" else 1
    return stop
