"""Pieces of a text file: runs of whole records, cut on the reading thread, and the lines they begin at."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np

from colonnade.loader.sources.base import LoadError, counting_in
from colonnade.loader.sources.bytestream import ByteStream, can_be_read_again, compression_of, read_range
from colonnade.loader.sources.records import (
    Bytes,
    Dialect,
    UnclosedQuote,
    check_closed,
    line_ends,
    record_ends,
    whole_records,
    without_trailing_blanks,
)
from colonnade.store.values import IntArray

BOM = b"\xef\xbb\xbf"
SMALLEST_PIECE = 1 << 16  # below this, handing a piece to a thread costs more than parsing it
LARGEST_PIECE = 1 << 30  # Arrow's string arrays end at 2 GB


class TextFile:
    """A text file and what is known about where its pieces begin: 16 bytes a piece.

    start       bytes before the first piece: a byte order mark, a header
    start_line  line of the first piece, from 1
    """

    def __init__(self, path: str, dialect: Dialect, start: int, start_line: int) -> None:
        self.path = path
        self.dialect = dialect
        self.start = start
        self.start_line = start_line
        # Lines of a plain file are counted where they cost nothing, by the threads that parse, and those of
        # a file that is slow or impossible to read again when they are read.
        self.can_be_read_again = can_be_read_again(path)
        self.counts_early = not self.can_be_read_again or compression_of(path) is not None
        self._lines: list[int] = []  # of each piece; -1 where not counted yet
        self._offsets: list[int] = []

    def add(self, offset: int, lines: int) -> int:
        """Note a new piece; returns its number."""
        self._lines.append(lines)
        self._offsets.append(offset)
        return len(self._lines) - 1

    def set_lines(self, number: int, lines: int) -> None:
        """The piece has so many lines. Any thread."""
        self._lines[number] = lines

    def first_line(self, number: int) -> int:
        """Line at which a piece begins. Pieces not counted yet are read again."""
        for earlier in range(number):
            if self._lines[earlier] < 0:
                start = self._offsets[earlier]
                data = read_range(self.path, start, self._offsets[earlier + 1] - start)
                self._lines[earlier] = len(line_ends(data))
        return self.start_line + sum(self._lines[:number])


class Buffers:
    """Buffers to read into, used again: fresh memory costs a page fault every 4 KB."""

    def __init__(self) -> None:
        self._free: list[bytearray] = []  # taken from one thread, given back from any

    def take(self, size: int) -> bytearray:
        """A buffer of at least `size` bytes."""
        buffer = self._free.pop() if self._free else bytearray()
        if size <= len(buffer) <= 4 * size:
            return buffer
        return bytearray(size + size // 32)  # the next piece may be a little larger

    def give(self, buffer: bytearray) -> None:
        if len(self._free) < 4:
            self._free.append(buffer)


@dataclass(slots=True)
class Piece:
    """Whole records of a file, in memory until `release`. `quoted`: a quote character is among them."""

    file: TextFile
    number: int
    offset: int
    size: int
    quoted: bool
    buffer: bytearray
    buffers: Buffers

    @property
    def data(self) -> memoryview:
        return memoryview(self.buffer)[: self.size]

    def release(self) -> None:
        """Give the memory back; nothing may refer to `data` any more."""
        buffer, self.buffer = self.buffer, bytearray()
        self.buffers.give(buffer)


@dataclass(frozen=True, slots=True)
class PieceProvenance:
    """Provenance of rows of a piece: the first one is the piece's good record number `first`, from 0.

    skipped  ordinals of the piece's records that are not among its rows, ascending
    """

    file: TextFile
    number: int
    offset: int
    size: int
    quoted: bool
    first: int
    skipped: tuple[int, ...] = ()

    @property
    def path(self) -> str:
        return self.file.path

    def lines_of(self, positions: IntArray) -> IntArray | None:
        records = counting_in(self.first + positions, self.skipped)
        line = self.file.first_line(self.number)
        if not self.quoted or not records.any():
            return line + records
        if not self.file.can_be_read_again:
            return None
        return line + lines_before(read_range(self.path, self.offset, self.size), records, self.file.dialect)


def provenance(piece: Piece, first: int = 0, skipped: tuple[int, ...] = ()) -> PieceProvenance:
    return PieceProvenance(piece.file, piece.number, piece.offset, piece.size, piece.quoted, first, skipped)


def lines_before(data: Bytes, records: IntArray, dialect: Dialect) -> IntArray:
    """Line ends before the records of these ordinals, (n,) int64."""
    starts = np.concatenate([[0], record_ends(data, dialect)])[records]
    lines: IntArray = np.searchsorted(line_ends(data), starts, side="right")
    lines[records == 0] = 0
    return lines


def cut(
    stream: ByteStream,
    file: TextFile,
    wanted_bytes: Callable[[], int],
    limit: int,
    buffers: Buffers,
    *,
    keep_blanks: bool,
) -> Iterator[Piece]:
    """The stream in pieces of about wanted_bytes() bytes; a longer record gets a longer piece, up to `limit`.

    keep_blanks  an empty last line is a record (of a table with one column)
    Memory: one piece, and the start of a record that is copied to the next.
    """
    rest, offset = b"", file.start
    quote = file.dialect.quote.encode()
    while True:
        size = min(max(wanted_bytes(), SMALLEST_PIECE), LARGEST_PIECE)
        buffer = buffers.take(size + len(rest))
        buffer[: len(rest)] = rest
        end = stream.fill(buffer, len(rest), size + len(rest))
        at_end = end < size + len(rest)
        stop = end if at_end else whole_records(buffer, end, file.dialect)
        while stop == 0 and not at_end:
            _check_length(file, offset, end, limit)
            buffer = buffer + bytes(len(buffer))
            end = stream.fill(buffer, end, len(buffer))
            at_end = end < len(buffer)
            stop = end if at_end else whole_records(buffer, end, file.dialect)
        rest = bytes(memoryview(buffer)[stop:end])
        if at_end and not keep_blanks:
            stop = without_trailing_blanks(buffer, stop)
        if stop:
            quoted = bool(quote) and buffer.find(quote, 0, stop) >= 0
            if at_end and quoted:
                _check_closed(file, buffer, offset, stop)
            lines = len(line_ends(memoryview(buffer)[:stop])) if file.counts_early else -1
            number = file.add(offset, lines)
            yield Piece(file, number, offset, stop, quoted, buffer, buffers)
            offset += stop
        if at_end:
            return


def _check_length(file: TextFile, offset: int, size: int, limit: int) -> None:
    if size >= limit:
        line = file.first_line(file.add(offset, -1))
        raise LoadError(
            f"a record of more than {limit:,} bytes begins here"
            + ("; is a quote not closed?" if file.dialect.quote else ""),
            path=file.path,
            line=line,
        )


def _check_closed(file: TextFile, buffer: bytearray, offset: int, stop: int) -> None:
    data = memoryview(buffer)[:stop]
    try:
        check_closed(data, file.dialect)
    except UnclosedQuote as error:
        before = int(np.searchsorted(line_ends(data), error.position, side="right"))
        line = file.first_line(file.add(offset, -1)) + before
        raise LoadError("a quote opens here that is not closed", path=file.path, line=line) from None
