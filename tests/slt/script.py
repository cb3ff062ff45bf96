"""The sqllogictest format: a test file's text becomes statements and queries with what they must give.

Source: https://www.sqlite.org/sqllogictest/doc/trunk/about.wiki for records, comments, statements, queries and
sort modes; the corpus itself for `skipif`, `onlyif`, `hash-threshold`, `halt` and labels, which that page leaves
out; DuckDB's dialect of the format for `mode`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass

SORTS = ("nosort", "rowsort", "valuesort")
# More values than this are written as their hash until a file says otherwise.
HASH_THRESHOLD = 8
# What DuckDB's runner prints is no matter of ours; what it skips is.
MODES = {"skip": True, "unskip": False, "output_hash": None, "output_result": None}


@dataclass(frozen=True, slots=True)
class Statement:
    """SQL that must succeed, or must fail. `line` counts from 1 and is that of the record's first line."""

    line: int
    sql: str
    fails: bool


@dataclass(frozen=True, slots=True)
class Query:
    """SQL that must give rows.

    types      a letter a column: I, R or T
    sort       one of SORTS
    label      queries with the same label give the same values; "" for none
    expected   the values as the file writes them, or one line with their hash
    threshold  more values than this are written as their hash; 0: never
    """

    line: int
    sql: str
    types: str
    sort: str
    label: str
    expected: tuple[str, ...]
    threshold: int


Record = Statement | Query


class SltSyntaxError(ValueError):
    """A record that is not in the format; says its line."""


def records(text: str, engine: str = "sqlite") -> Iterator[Record]:
    """The statements and queries of a file that are meant for `engine`. Raises SltSyntaxError"""
    reader = _Reader(engine)
    for line, lines in _paragraphs(text.splitlines()):
        record = reader.read(line, lines)
        if reader.halted:
            return
        if record is not None:
            yield record


def _paragraphs(lines: Iterable[str]) -> Iterator[tuple[int, list[str]]]:
    """The lines between blank lines, without comments, and the number of the first of them."""
    start, paragraph = 0, []
    for number, line in enumerate(lines, start=1):
        if line.startswith("#"):
            continue
        if line.strip():
            if not paragraph:
                start = number
            paragraph.append(line.rstrip("\r"))
        elif paragraph:
            yield start, paragraph
            paragraph = []
    if paragraph:
        yield start, paragraph


class _Reader:
    """Reads record after record; holds what one directive changes for the records behind it."""

    def __init__(self, engine: str) -> None:
        self.engine = engine.lower()
        self.threshold = HASH_THRESHOLD
        self.skipping = False
        self.halted = False
        self._kinds: dict[str, Callable[[int, list[str], list[str]], Record | None]] = {
            "statement": self._statement,
            "query": self._query,
            "hash-threshold": self._threshold,
            "mode": self._mode,
            "halt": self._halt,
        }

    def read(self, line: int, lines: list[str]) -> Record | None:
        """The record; None for one that is for other engines, is skipped, or is a directive."""
        wanted = True
        while lines and (words := _words(lines[0]))[0] in ("skipif", "onlyif"):
            if len(words) != 2:
                raise SltSyntaxError(f"line {line}: {words[0]} takes the name of an engine")
            wanted &= (words[1].lower() == self.engine) == (words[0] == "onlyif")
            line, lines = line + 1, lines[1:]
        if not lines:
            raise SltSyntaxError(f"line {line}: a condition without a record")
        words = _words(lines[0])
        read = self._kinds.get(words[0])
        if read is None:
            raise SltSyntaxError(f"line {line}: unknown record {words[0]!r}")
        if not wanted or (self.skipping and words[0] != "mode"):
            return None
        return read(line, words, lines[1:])

    def _statement(self, line: int, words: list[str], lines: list[str]) -> Statement:
        if len(words) != 2 or words[1] not in ("ok", "error"):
            raise SltSyntaxError(f"line {line}: a statement is ok or error, not {' '.join(words[1:])!r}")
        return Statement(line, "\n".join(lines), fails=words[1] == "error")

    def _query(self, line: int, words: list[str], lines: list[str]) -> Query:
        types, sort, label = (*words[1:], *("", "nosort", "")[len(words) - 1 :])[:3]
        if not types or set(types) - set("IRT") or sort not in SORTS or len(words) > 4:
            raise SltSyntaxError(f"line {line}: a query has types, a sort mode and a label: {lines[:1]}")
        end = lines.index("----") if "----" in lines else len(lines)
        expected = tuple(lines[end + 1 :])
        return Query(line, "\n".join(lines[:end]), types, sort, label, expected, self.threshold)

    def _threshold(self, line: int, words: list[str], lines: list[str]) -> None:
        if len(words) != 2 or not words[1].isdecimal():
            raise SltSyntaxError(f"line {line}: hash-threshold takes a number")
        self.threshold = int(words[1])

    def _mode(self, line: int, words: list[str], lines: list[str]) -> None:
        if len(words) != 2 or words[1] not in MODES:
            raise SltSyntaxError(f"line {line}: mode takes one of {', '.join(MODES)}")
        skipping = MODES[words[1]]
        if skipping is not None:
            self.skipping = skipping

    def _halt(self, line: int, words: list[str], lines: list[str]) -> None:
        self.halted = True


def _words(line: str) -> list[str]:
    """The words of a record's line, without the remark behind a `#`."""
    return line.partition("#")[0].split() or [""]
