"""Runs of INSERTs of literals into one table, read as columns: positions by numpy, values by Arrow.

All is decided from left to right: the first row that is not proven to be what SQLite would read ends the run
in front of its statement, so nothing behind it can have misled what is in front.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from colonnade.sql.numbertext import text_numbers
from colonnade.store.values import Column, IntArray, Kind, StorageClass, concat_columns, null_column

Bytes = npt.NDArray[np.uint8]
Bools = npt.NDArray[np.bool_]

_QUOTE, _OPEN, _CLOSE, _COMMA, _SEMICOLON = b"'(),;"
_TEXT, _NUMBER, _NULL, _BLOB = 1, 2, 3, 4  # what a value is by its first character; 0: not known


def _table(*entries: tuple[bytes, int]) -> Bytes:
    table = np.zeros(256, np.uint8)
    for characters, value in entries:
        table[np.frombuffer(characters, np.uint8)] = value
    return table


_SPECIAL = _table((b"'(),;", 1)).astype(bool)
_BLANK = _table((b" \t\n\f\r", 1)).astype(bool)
_FIRST = _table((b"'", _TEXT), (b"0123456789+-.", _NUMBER), (b"nN", _NULL), (b"xX", _BLOB))
_IN_NUMBER = _table((b"0123456789+-", 1), (b".eE", 2))
_HEX = _table((b"0123456789abcdefABCDEF", 1)).astype(bool)
_HEX_VALUE = _table(*((bytes((digit,)), int(chr(digit), 16)) for digit in b"0123456789abcdefABCDEF"))


@dataclass(frozen=True, slots=True)
class Rows:
    """What was read.

    columns     one Column of `row_count` values for each value of a row; no affinity applied
    first_rows  (statements,) the number of each statement's first row, from 0
    stop        the offset behind the last row and the comma or semicolon that follows it
    done        whether that is a semicolon
    """

    columns: list[Column]
    row_count: int
    first_rows: IntArray
    stop: int
    done: bool


class _NotProven(Exception):
    """The rows from `row` on cannot be read here."""

    def __init__(self, row: int) -> None:
        self.row = row


def scan(data: bytes, head_bytes: int, *, partial: bool = False) -> Rows | None:
    """The rows of the statements at the start of `data` that begin with the same head; None if there are none.

    data        UTF-8, from the word INSERT on
    head_bytes  length of the head, all in front of the first row's parenthesis; 0 for the rest of a statement
    partial     whether the last statement may lack its end
    Cost        about 100 ns a value; 20 bytes of scratch for each byte of `data`
    """
    found = _Run.find(data, head_bytes, partial=partial)
    while found is not None and found.row_count:
        try:
            return found.rows()
        except _NotProven as problem:
            found = found.before(problem.row)
    return None


@dataclass(frozen=True, slots=True)
class _Run:
    """Statements whose parentheses, commas and semicolons are where they should be.

    quotes  positions of all quotation marks
    marks   (rows, width + 2) positions of each row's "(", its commas, its ")" and what is behind
    ends    (rows,) where the statements may be cut: behind their last rows, if partial behind any
    """

    data: bytes
    buffer: Bytes
    quotes: IntArray
    marks: IntArray
    ends: Bools

    @property
    def row_count(self) -> int:
        return len(self.marks)

    @classmethod
    def find(cls, data: bytes, head_bytes: int, *, partial: bool) -> _Run | None:
        buffer = np.frombuffer(data, np.uint8)
        special = np.flatnonzero(_SPECIAL[buffer[head_bytes:]]) + head_bytes
        characters = buffer[special]
        quote = characters == _QUOTE
        outside = (np.cumsum(quote, dtype=np.uint8) & 1) == 0
        outside &= ~quote
        marks, kinds = special[outside], characters[outside]
        if b"'" in data[:head_bytes]:
            return None
        marks, kinds = _without_heads(buffer, marks, kinds, data[:head_bytes])
        width = int(np.argmax(kinds == _CLOSE)) if len(kinds) else 0
        count = len(marks) // (width + 2)
        if not width or not count:
            return None
        marks = marks[: count * (width + 2)].reshape(count, width + 2)
        kinds = kinds[: count * (width + 2)].reshape(count, width + 2)
        good = _well_formed(buffer, marks, kinds, width)
        ends = np.ones(count, bool) if partial else kinds[:, -1] == _SEMICOLON
        return cls(data, buffer, special[quote], marks, ends).before(_first_false(good))

    def before(self, row: int) -> _Run:
        """The statements that end before `row`."""
        ends = self.ends[:row]
        count = len(ends) - int(np.argmax(ends[::-1])) if ends.any() else 0
        return _Run(self.data, self.buffer, self.quotes, self.marks[:count], self.ends[:count])

    def rows(self) -> Rows:
        """Raises _NotProven"""
        fields = _Fields(self.buffer, self.marks[:, :-2] + 1, self.marks[:, 1:-1])
        fields.check_quotes(self.quotes, self.marks)
        columns = [_Values(self.data, fields, place).column() for place in range(self.marks.shape[1] - 2)]
        last = self.buffer[self.marks[:, -1]] == _SEMICOLON
        first_rows = np.concatenate(([0], np.flatnonzero(last[:-1]) + 1))
        return Rows(columns, self.row_count, first_rows, int(self.marks[-1, -1]) + 1, bool(last[-1]))


def _first_false(good: Bools) -> int:
    return len(good) if good.all() else int(np.argmin(good))


def _gap(data: bytes, semicolon: int, head: bytes) -> bytes:
    """What stands between the rows of two statements: semicolon, blanks, head and parenthesis."""
    behind = semicolon + 1
    while data[behind : behind + 1] in (b" ", b"\t", b"\n", b"\f", b"\r"):
        behind += 1
    return data[semicolon:behind] + head + b"("


def _without_heads(buffer: Bytes, marks: IntArray, kinds: Bytes, head: bytes) -> tuple[IntArray, Bytes]:
    """The marks up to the last semicolon in front of another head, without those inside heads."""
    at = np.flatnonzero(kinds == _SEMICOLON)
    if not len(at):
        return marks, kinds
    gap = _gap(buffer[: marks[at[0]] + 256].tobytes(), int(marks[at[0]]), head)
    fits = marks[at] + len(gap) <= len(buffer)
    positions = marks[at[fits]]
    same = np.ones(len(positions), bool)
    for offset, character in enumerate(gap):
        same &= buffer[positions + offset] == character
    at = at[: _first_false(same) + 1]
    inside = sum(head.count(mark) for mark in (b"(", b")", b",", b";"))
    keep = np.zeros(len(marks), bool)
    keep[: at[-1] + 1] = True
    for number in range(1, inside + 1):
        keep[at[:-1] + number] = False
    return marks[keep], kinds[keep]


def _well_formed(buffer: Bytes, marks: IntArray, kinds: Bytes, width: int) -> Bools:
    """Which rows are `(`, values, `)` and a comma or a semicolon, with only blanks behind a comma."""
    last = kinds[:, -1]
    good: Bools = (kinds[:, 0] == _OPEN) & (kinds[:, width] == _CLOSE) & (marks[:, -1] == marks[:, width] + 1)
    good &= (last == _COMMA) | (last == _SEMICOLON)
    for place in range(1, width):
        good &= kinds[:, place] == _COMMA
    follows = np.flatnonzero(last[:-1] == _COMMA)
    behind, stop = marks[follows, -1] + 1, marks[follows + 1, 0]
    while len(follows):
        open_ = behind < stop
        follows, behind, stop = follows[open_], behind[open_], stop[open_]
        good[follows[~_BLANK[buffer[behind]]] + 1] = False
        behind = behind + 1
    return good


class _Fields:
    """Where each value starts and stops, without blanks around it, and what it is by its first character."""

    def __init__(self, buffer: Bytes, starts: IntArray, stops: IntArray) -> None:
        """starts, stops: (rows, width)"""
        self.buffer = buffer
        starts, stops = starts.copy(), stops.copy()
        while (blank := _BLANK[buffer[starts]] & (starts < stops)).any():
            starts += blank
        while (blank := _BLANK[buffer[stops - 1]] & (starts < stops)).any():
            stops -= blank
        self.starts, self.stops = starts, stops
        self.kinds = np.where(starts < stops, _FIRST[buffer[starts]], 0)
        known: Bools = np.asarray(self.kinds.all(axis=1))
        if not known.all():
            raise _NotProven(_first_false(known))

    def check_quotes(self, quotes: IntArray, marks: IntArray) -> None:
        """Each quoted text must be one value, or one value behind an X, and have nothing beside it."""
        quotes = quotes[: np.searchsorted(quotes, marks[-1, -1])]
        quoted = (self.kinds == _TEXT) | (self.kinds == _BLOB)
        opening = (self.starts + (self.kinds == _BLOB))[quoted]
        closing = self.stops[quoted] - 1
        apart = quotes[2::2] != quotes[1:-1:2] + 1  # else it is a doubled quote
        found_opening = np.concatenate((quotes[:1], quotes[2::2][apart]))
        found_closing = np.concatenate((quotes[1:-1:2][apart], quotes[1:][-1:]))
        for wanted, found in ((opening, found_opening), (closing, found_closing)):
            count = min(len(wanted), len(found))
            equal: Bools = np.equal(wanted[:count], found[:count])
            same = _first_false(equal)
            if same < max(len(wanted), len(found)):
                at = min(int(each[same]) for each in (wanted, found) if same < len(each))
                raise _NotProven(int(np.searchsorted(marks[:, 0], at, "right")) - 1)


class _Values:
    """The values of one column."""

    def __init__(self, data: bytes, fields: _Fields, place: int) -> None:
        self.data = data
        self.buffer = fields.buffer
        self.starts = np.ascontiguousarray(fields.starts[:, place])
        self.stops = np.ascontiguousarray(fields.stops[:, place])
        self.kinds = np.ascontiguousarray(fields.kinds[:, place])

    def column(self) -> Column:
        """Raises _NotProven"""
        read = {_TEXT: self._text, _NUMBER: self._numbers, _NULL: self._nulls, _BLOB: self._blobs}
        places = [(kind, np.flatnonzero(self.kinds == kind)) for kind in read]
        parts = [(rows, part) for kind, rows in places if len(rows) for rows, part in read[kind](rows)]
        if len(parts) == 1:
            return parts[0][1]
        order = np.concatenate([rows for rows, _ in parts])
        back = np.empty_like(order)
        back[order] = np.arange(len(order))
        return concat_columns([part for _, part in parts]).take(back)

    def _cut(self, rows: IntArray, before: int = 0, behind: int = 0) -> pa.Array:
        """The bytes of the values of some rows, less so many at the start and at the end, as binary."""
        edges = np.empty(2 * len(rows), np.int32)
        edges[0::2] = self.starts[rows] + before
        edges[1::2] = self.stops[rows] - behind
        buffers = [None, pa.py_buffer(edges), pa.py_buffer(self.data)]
        pieces = pa.Array.from_buffers(pa.binary(), len(edges) - 1, buffers)
        return pieces.take(pa.array(np.arange(0, len(edges), 2)))

    def _text(self, rows: IntArray) -> Iterator[tuple[IntArray, Column]]:
        texts = self._cut(rows, 1, 1).view(pa.string())
        if b"''" in _content(texts).tobytes():
            texts = pc.replace_substring(texts, "''", "'")
        yield rows, Column(Kind.TEXT, texts)

    def _nulls(self, rows: IntArray) -> Iterator[tuple[IntArray, Column]]:
        starts = self.starts[rows]
        good = self.stops[rows] - starts == len(b"null")
        for offset, letter in enumerate(b"null"):
            good &= self.buffer[np.minimum(starts + offset, len(self.buffer) - 1)] | 0x20 == letter
        self._require(rows, good)
        yield rows, null_column(len(rows))

    def _blobs(self, rows: IntArray) -> Iterator[tuple[IntArray, Column]]:
        starts, stops = self.starts[rows], self.stops[rows]
        self._require(rows, (stops - starts >= 3) & ((stops - starts) % 2 == 1))
        self._require(rows, self.buffer[starts + 1] == _QUOTE)
        digits = self._cut(rows, 2, 1)
        content = _content(digits)
        offsets = _offsets(digits)
        self._require(rows, _without(~_HEX[content], offsets))
        values = (_HEX_VALUE[content[0::2]] << 4) | _HEX_VALUE[content[1::2]]
        buffers = [None, pa.py_buffer((offsets // 2).astype(np.int32)), pa.py_buffer(values)]
        yield rows, Column(Kind.BLOB, pa.Array.from_buffers(pa.binary(), len(rows), buffers))

    def _numbers(self, rows: IntArray) -> Iterator[tuple[IntArray, Column]]:
        texts = self._cut(rows).view(pa.string())
        kinds, offsets = _IN_NUMBER[_content(texts)], _offsets(texts)
        self._require(rows, _without(kinds == 0, offsets))
        whole = _without(kinds == 2, offsets)
        if whole.all():
            yield rows, self._integers(rows, texts)
        elif not whole.any():
            yield rows, self._reals(rows, texts)
        else:
            yield rows[whole], self._integers(rows[whole], texts.filter(pa.array(whole)))
            yield rows[~whole], self._reals(rows[~whole], texts.filter(pa.array(~whole)))

    def _integers(self, rows: IntArray, texts: pa.Array) -> Column:
        """Integers within int64; SQLite takes others for doubles."""
        try:
            return Column(Kind.INTEGER, pc.cast(pc.utf8_ltrim(texts, "+"), pa.int64()))
        except pa.ArrowInvalid:
            raise _NotProven(int(rows[0])) from None

    def _reals(self, rows: IntArray, texts: pa.Array) -> Column:
        """As SQLite reads them: what it finds integral, such as 1e3, is a double here all the same."""
        found = text_numbers(texts)
        if isinstance(found, pa.Array):
            return Column(Kind.REAL, found)
        tags, numbers = found
        whole = tags == StorageClass.INTEGER
        self._require(rows, whole | (tags == StorageClass.REAL))
        return Column(
            Kind.REAL, pa.array(np.where(whole, numbers.astype(np.float64), numbers.view(np.float64)))
        )

    def _require(self, rows: IntArray, good: Bools) -> None:
        if not good.all():
            raise _NotProven(int(rows[_first_false(good)]))


def _offsets(array: pa.Array) -> IntArray:
    return np.frombuffer(array.buffers()[1], np.int32, len(array) + 1, array.offset * 4).astype(np.int64)


def _content(array: pa.Array) -> Bytes:
    """The bytes of all values, one after another."""
    content, offsets = array.buffers()[2], _offsets(array)
    if content is None:
        return np.zeros(0, np.uint8)
    return np.frombuffer(content, np.uint8)[offsets[0] : offsets[-1]]


def _without(marked: Bools, offsets: IntArray) -> Bools:
    """Which values have no byte that is marked."""
    good = np.ones(len(offsets) - 1, bool)
    at = np.flatnonzero(marked)
    if len(at):
        good[np.searchsorted(offsets - offsets[0], at, "right") - 1] = False
    return good
