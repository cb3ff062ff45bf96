"""LoadOptions: every knob of a load, with its unit, its default and why that default."""

from __future__ import annotations

import re
from dataclasses import dataclass

from colonnade.store.errors import ProgrammingError

HEADERS = ("auto", "yes", "no")
TYPES = ("sqlite", "strict")
ON_VIOLATION = ("abort", "quarantine", "report")
_SIZE = re.compile(r"\s*(\d+(?:\.\d+)?)\s*([kmgt]?)i?b?\s*", re.IGNORECASE)
_SIZE_UNITS = {"": 1, "k": 1 << 10, "m": 1 << 20, "g": 1 << 30, "t": 1 << 40}


@dataclass(frozen=True, slots=True)
class LoadOptions:
    """How to read sources and what to do with rows that break a rule. Immutable: built once, passed whole.

    on_violation      `abort`: the first malformed line ends the load, and violations of keys roll it back, 100 of
                      them named. `report`: rolls back as well, after collecting them all. `quarantine`: rejected
                      rows go to <table>_rejects, the rest is committed. Default abort: nothing is lost in silence.
    types             `sqlite`: text that is no number in a numeric column stays text, and is counted;
                      `strict`: it is refused. Default sqlite: a load gives what sqlite3 would hold.
    null              unquoted field text that means NULL, in every text format alike. Default None: nothing
                      does and an empty field is the empty text, as in SQLite's `.import`.
    delimiter         one ASCII character between the fields of a text file. Default None: by the format, which
                      is '|' for tbl and dat, ',' for csv, tab for tsv.
    quote             the character around fields that hold delimiters or line ends; '' for none. Default None:
                      by the format, '"' for csv and tsv, none for tbl and dat, where a '"' is data.
    header            whether a text file begins with column names. `auto`, the default: it does if at least half
                      of the fields of its first line are names of columns. Not all of them: a misspelt name
                      shall be an error that names it, not a row of data.
    format            format of every source, whatever its name. Default None: by the ending of its name.
    bulk_load         whether keys are checked once a table is stored. False: piece by piece before that, so that
                      `abort` ends a load at the first row that breaks a key. Default True: it is faster, and
                      names every violation.
    batch_size        rows in a row group. Default 0: as the write hints of the table recommend.
    memory_limit      bytes for the key checks. Default None: what the connection's PRAGMA memory_limit says.
    max_record_bytes  bytes that one record of a text file may have, 64 MiB by default: enough for any
                      that was meant, and few enough that an unclosed quote does not read the file into memory.
    """

    on_violation: str = "abort"
    types: str = "sqlite"
    null: str | None = None
    delimiter: str | None = None
    quote: str | None = None
    header: str = "auto"
    format: str | None = None
    bulk_load: bool = True
    batch_size: int = 0
    memory_limit: int | None = None
    max_record_bytes: int = 64 << 20

    def __post_init__(self) -> None:
        _one_of("header", self.header, HEADERS)
        _one_of("types", self.types, TYPES)
        _one_of("on_violation", self.on_violation, ON_VIOLATION)
        _one_character("delimiter", self.delimiter)
        _one_character("quote", self.quote or None)
        if self.quote is not None and self.quote == self.delimiter:
            raise ProgrammingError(f"quote and delimiter are both {self.quote!r}")
        if self.null is not None and re.search(r"[\r\n]", self.null):
            raise ProgrammingError(f"null: {self.null!r} has a line end in it")
        if self.batch_size < 0:
            raise ProgrammingError(f"batch_size: {self.batch_size} is below 0")
        for name, size in (("memory_limit", self.memory_limit), ("max_record_bytes", self.max_record_bytes)):
            if size is not None and size <= 0:
                raise ProgrammingError(f"{name}: {size} is not above 0")

    @classmethod
    def parse(
        cls,
        *,
        memory_limit: str | int | None = None,
        delimiter: str | None = None,
        **others: object,
    ) -> LoadOptions:
        """Options from text: sizes such as '64MB', and '\\t' or 'tab' for the delimiter."""
        limit = parse_size(memory_limit) if isinstance(memory_limit, str) else memory_limit
        named = {"\\t": "\t", "tab": "\t", "\\x01": "\x01", "\\x1f": "\x1f"}
        return cls(
            memory_limit=limit,
            delimiter=named.get(delimiter, delimiter) if delimiter is not None else None,
            **others,  # type: ignore[arg-type]
        )

    @property
    def keeps_rejects(self) -> bool:
        """Whether malformed rows are collected, instead of ending the load."""
        return self.on_violation != "abort"

    @property
    def strict(self) -> bool:
        return self.types == "strict"


def parse_size(text: str) -> int:
    """Bytes in a size such as '64MB', '1.5 GiB' or '4096'; units are powers of 1024. ProgrammingError if none."""
    match = _SIZE.fullmatch(text)
    if match is None:
        raise ProgrammingError(f"{text!r} is no size; write 64MB or 1GB")
    size = float(match[1]) * _SIZE_UNITS[match[2].lower()]
    if size >= 1 << 63:
        raise ProgrammingError(f"{text!r} is more than there can be")
    return int(size)


def _one_of(name: str, value: str, allowed: tuple[str, ...]) -> None:
    if value not in allowed:
        raise ProgrammingError(f"{name}: {value!r} is none of {', '.join(allowed)}")


def _one_character(name: str, value: str | None) -> None:
    if value is not None and (len(value) != 1 or not value.isascii() or value in "\r\n\0"):
        raise ProgrammingError(f"{name}: {value!r} is not one ASCII character")
