"""Python rows of an INSERT as batches of a table: its columns in order, defaults filled in, affinity applied."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from itertools import islice
from typing import Any

import apsw
import numpy as np
import pyarrow as pa

from colonnade.loader.joined import Texts, concat_texts, joined
from colonnade.sql.affinity import apply_affinity, narrow_text
from colonnade.sql.objects import ColumnDef, TableDef, fold
from colonnade.sql.statement import Insert
from colonnade.sql.tokens import Kind as Token
from colonnade.sql.tokens import tokens, unquote
from colonnade.store.errors import OperationalError, ProgrammingError, as_sqlite
from colonnade.store.hints import MAX_GROUP_BYTES
from colonnade.store.rawtext import read_rows
from colonnade.store.values import (
    INT64_MAX,
    INT64_MIN,
    Column,
    RowBatch,
    SQLiteValue,
    concat_columns,
    from_python,
    null_column,
)

Adapt = Callable[[int, Any], SQLiteValue]
Pick = Callable[[Any], Sequence[Any]]
Given = Column | Texts


# Values that are converted at a time: their objects (60 bytes each for short text) are then still in a core's
# cache, where Python had just made them; converting a whole batch at once takes twice as long.
_PART_VALUES = 16_384
# And their bytes, as far as the rows before foretell them; the first rows, of unknown length, are few.
_PART_BYTES, FIRST_ROWS = MAX_GROUP_BYTES // 16, 64


@dataclass(frozen=True, slots=True)
class Chunk:
    """Rows as they were given, at most one batch size of them.

    given     for each value of a row a Column, no affinity applied, or what makes one
    defaults  columns whose DEFAULT needs SQLite, by position in the table
    error     what is wrong with the row behind the last of these
    epoch     that of the intake when they were read
    """

    given: Sequence[Given]
    row_count: int
    defaults: dict[int, Column]
    error: Exception | None = None
    epoch: int = 0

    @property
    def byte_count(self) -> int:
        """About the bytes of the values that were given."""
        return _bytes(self.given)

    def columns(self) -> list[Column]:
        """One for each value of a row, no affinity applied."""
        return [_column(given) for given in self.given]


class Intake:
    """Rows on their way out of the program's own iterator, which may roll back the transaction meanwhile.

    values      of rows as they were given, row behind row
    epoch       goes up with each `forget`: chunks of an earlier one are to be dropped
    forgotten   how many rows `forget` took
    """

    def __init__(self, width: int) -> None:
        """width: values in a row"""
        self.width = width
        self.values: list[Any] = []
        self.parts: list[list[Given]] = []
        self.epoch = self.forgotten = 0

    @property
    def row_count(self) -> int:
        """Rows that are in no chunk yet."""
        return len(self.values) // self.width + sum(len(columns[0]) for columns in self.parts)

    def forget(self) -> None:
        """The rows read so far were undone. While `read` runs too."""
        self.forgotten += self.row_count
        self.values.clear()
        self.parts.clear()
        self.epoch += 1

    def read(self, rows: Iterable[Any], pick: Pick) -> Exception | None:
        """Takes the values of all `rows`; returns what the iterator, or a row that is none, raised."""
        try:
            _take(self.values, rows, self.width, pick)
        except Exception as problem:  # rows before it are in
            return problem
        return None

    def rows(self) -> list[list[Any]]:
        """The values, row by row; they are taken out."""
        values, width = self.values[:], self.width
        self.values.clear()
        return [values[start : start + width] for start in range(0, len(values), width)]


class RowShape:
    """How the values of one INSERT's rows fall on the columns of its table.

    given    for each column of the table (generated ones left out) the place of its value in a row, or
             None where the INSERT does not name it
    width    values in a row
    computed the DEFAULTs that need SQLite of columns that the INSERT does not name, by position in the table
    """

    def __init__(
        self, definition: TableDef, names: tuple[str, ...] | None, adapt: Adapt, *, threads: bool = False
    ) -> None:
        """`names`: the INSERT's column list; `adapt(place, value)` makes a SQLite value or raises; `threads`:
        chunks are shaped by another thread, which texts may be left to for half as much memory again.

        Raises OperationalError with SQLite's message for a name that the table does not have.
        """
        self.columns = [column for column in definition.columns if not column.generated]
        self.names = names
        self._table = definition.name
        self._adapt = adapt
        self._part_rows = FIRST_ROWS
        self._given: Callable[[Sequence[SQLiteValue]], Given] = _given if threads else _narrowed
        places = {fold(column.name): place for place, column in enumerate(self.columns)}
        self.width = len(self.columns) if names is None else len(names)
        self.given: list[int | None] = (
            list(range(self.width)) if names is None else [None] * len(self.columns)
        )
        for place, name in enumerate(names or ()):
            if fold(name) not in places:
                message = f"table {definition.name} has no column named {name}"
                raise as_sqlite(OperationalError(message), "SQLITE_ERROR")
            if self.given[places[fold(name)]] is None:  # SQLite takes the first of two equal names
                self.given[places[fold(name)]] = place
        self.computed = {
            index: f"({column.default})"
            for index, (column, place) in enumerate(zip(self.columns, self.given, strict=True))
            if place is None and column.default is not None and literal_default(column.default) is None
        }

    def check_width(self, count: int) -> bool:
        """True if a row has `count` values; else SQLite's OperationalError."""
        if count == self.width:
            return True
        if self.names is None:
            message = f"table {self._table} has {self.width} columns but {count} values were supplied"
        else:
            message = f"{count} values for {self.width} columns"
        raise as_sqlite(OperationalError(message), "SQLITE_ERROR")

    def picker(self, insert: Insert, bindable: Callable[[Any], Any]) -> Pick:
        """Turns one set of parameters into a row, for an INSERT of parameters alone."""
        params = insert.params
        if all(isinstance(param, int) for param in params):
            return _ByPosition([int(param) for param in params], bindable)
        return _by_name([str(param) for param in params], bindable)

    @property
    def waiting_names(self) -> list[str]:
        """The columns of a row that waits: those that the INSERT names, then those of `computed`."""
        names = [column.name for column in self.columns] if self.names is None else list(self.names)
        return names + [self.columns[index].name for index in self.computed]

    @property
    def waiting_width(self) -> int:
        return self.width + len(self.computed)

    def computed_defaults(self, db: apsw.Connection, count: int) -> dict[int, Column]:
        """`count` values for each column that rows leave out and whose DEFAULT is no literal."""
        if not self.computed:
            return {}
        names = [f"d{place}" for place in range(len(self.computed))]
        clauses = f"""FROM (WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < ?),
            d({", ".join(names)}) AS MATERIALIZED (SELECT {", ".join(self.computed.values())} FROM n)
            SELECT * FROM d)"""
        columns = zip(*read_rows(db, names, clauses, (count,)), strict=True)
        return {index: from_python(values) for index, values in zip(self.computed, columns, strict=True)}

    def completed(self, db: apsw.Connection, row: Sequence[Any]) -> Sequence[Any]:
        """One row with the values of `computed` behind it."""
        if not self.computed:
            return row
        return [*row, *next(read_rows(db, list(self.computed.values()), ""))]

    def chunk(self, db: apsw.Connection, rows: Iterable[Any], pick: Pick, intake: Intake) -> Chunk:
        """`rows` behind those of the intake as columns, up to the first that cannot be read or holds what
        SQLite cannot, and not more of them than a row group may have bytes.

        pick  makes a row of what `rows` gives; see `picker`
        """
        source = iter(rows)
        error: Exception | None = None
        held = sum(map(_bytes, intake.parts))
        while error is None and held < MAX_GROUP_BYTES:
            error = intake.read(islice(source, self._part_rows), pick)
            if not intake.values:
                break
            columns, bad = self._columns(intake.values)
            error = bad or error
            intake.values.clear()
            intake.parts.append(columns)
            added = _bytes(columns)
            held += added
            self._part_rows = self._next_part(added // max(1, len(columns[0])))
        count = intake.row_count
        given = _joined(intake.parts)
        defaults = self.computed_defaults(db, count) if count else {}
        return Chunk(given, count, defaults, error, intake.epoch)

    def _next_part(self, row_bytes: int) -> int:
        """Rows to take at once, for as many bytes of values as were seen in a row."""
        fitting = _PART_BYTES // max(1, row_bytes)
        return max(1, min(self._part_rows * 4, _PART_VALUES // self.width, fitting))

    def _columns(self, values: list[Any]) -> tuple[list[Given], Exception | None]:
        """Rows that stand one behind another in `values`, as columns; those before the first bad one, and its
        error."""
        try:
            return [self._given(values[place :: self.width]) for place in range(self.width)], None
        except (TypeError, ValueError, OverflowError):
            pass
        good: list[SQLiteValue] = []
        error: Exception | None = None
        for start in range(0, len(values), self.width):
            try:
                good.extend(self.adapted(values[start : start + self.width]))
            except Exception as problem:
                error = problem
                break
        return [from_python(good[place :: self.width]) for place in range(self.width)], error

    def shape(self, chunk: Chunk) -> RowBatch:
        """The rows as the table's columns, affinity applied, in any thread."""
        columns = []
        for index, (column, place) in enumerate(zip(self.columns, self.given, strict=True)):
            if place is not None:
                values = _column(chunk.given[place])
            elif index in chunk.defaults:
                values = chunk.defaults[index]
            else:
                values = constant_default(column, chunk.row_count)
            columns.append(apply_affinity(narrow_text(values), column.affinity))
        return RowBatch(chunk.row_count, tuple(columns))

    def adapted(self, row: Sequence[Any]) -> Sequence[SQLiteValue]:
        """The row with each value as one that SQLite can hold. Raises what sqlite3 does for one that it cannot."""
        if not _PLAIN.issuperset(map(type, row)):
            row = [v if type(v) in _PLAIN else self._adapt(place, v) for place, v in enumerate(row)]
        for value in row:
            kind = type(value)
            if kind is int or isinstance(value, int):
                if not INT64_MIN <= value <= INT64_MAX:
                    raise OverflowError("Python int too large to convert to SQLite INTEGER")
            elif kind is str and not value.isascii():
                value.encode()
        return row


_PLAIN = frozenset({int, float, str, bytes, type(None)})


def _given(values: Sequence[SQLiteValue]) -> Given:
    """The values of one column. Raises what from_python does."""
    texts = joined(values) if isinstance(values[0], str) else None
    return from_python(values) if texts is None else texts


def _narrowed(values: Sequence[SQLiteValue]) -> Column:
    """The values of one column, dates in four bytes from the start: parts wait for one another."""
    return narrow_text(from_python(values))


def _column(given: Given) -> Column:
    return given.column() if isinstance(given, Texts) else given


def _joined(parts: list[list[Given]]) -> list[Given]:
    """The columns of parts of rows, one behind another; `parts` is emptied meanwhile, so that little is there twice."""
    by_column = [list(pieces) for pieces in zip(*parts, strict=True)]
    parts.clear()
    columns: list[Given] = []
    for pieces in by_column:
        texts = [piece for piece in pieces if isinstance(piece, Texts)]
        if len(texts) == len(pieces):
            columns.append(concat_texts(texts))
        else:
            columns.append(concat_columns(list(map(_column, pieces))))
        pieces.clear()
        pa.default_memory_pool().release_unused()  # what the pieces took is too scattered for the next column
    return columns


def _bytes(columns: Iterable[Given]) -> int:
    return sum(given.nbytes if isinstance(given, Texts) else given.data.nbytes for given in columns)


class QuickRow:
    """Decides in a microsecond that one row is fine by itself; a row that it does not pass may be fine too."""

    def __init__(self, definition: TableDef, shape: RowShape) -> None:
        # Rows of tables with STRICT, CHECK or a NOT NULL whose value is left out are not looked at here.
        self._usable = not definition.strict and not definition.checks
        self._required: list[int] = []
        self._alias: int | None = None
        for index, (column, place) in enumerate(zip(shape.columns, shape.given, strict=True)):
            if index in shape.computed:
                place = shape.width + list(shape.computed).index(index)
            if column.name == definition.rowid_alias:
                self._alias = place
            elif column.not_null and place is not None:
                self._required.append(place)
            elif column.not_null:
                literal = literal_default(column.default) if column.default is not None else None
                self._usable = self._usable and literal is not None and literal[0] is not None

    def passes(self, row: Sequence[SQLiteValue]) -> bool:
        """Whether nothing can be wrong: no NULL where none must be, and a rowid that is an integer."""
        if not self._usable or (self._alias is not None and not isinstance(row[self._alias], int | None)):
            return False
        for place in self._required:
            value = row[place]
            if value is None or value != value:  # SQLite holds a NaN as NULL
                return False
        return True

    def rowid(self, row: Sequence[SQLiteValue]) -> int | None:
        """The INTEGER PRIMARY KEY that a row brings that `passes`."""
        value = None if self._alias is None else row[self._alias]
        assert value is None or isinstance(value, int)
        return value

    def chooses(self, row: Sequence[SQLiteValue]) -> bool:
        """Whether SQLite gives the row its rowid."""
        if self._alias is None:
            return True
        value = row[self._alias]
        return value is None or value != value


def _wrong_count(wanted: int, supplied: int) -> ProgrammingError:
    return ProgrammingError(
        "Incorrect number of bindings supplied. The current statement uses "
        f"{wanted}, and there are {supplied} supplied."
    )


class _ByPosition:
    """Parameters given by position. `in_place`: they are the row as it stands, and no call is needed."""

    def __init__(self, places: list[int], bindable: Callable[[Any], Any]) -> None:
        self._places = places
        self._wanted = max(places) + 1
        self._bindable = bindable
        self.in_place = places == list(range(len(places)))

    def __call__(self, row: Any) -> Sequence[Any]:
        row = self._bindable(row)
        if isinstance(row, Mapping):
            raise ProgrammingError(
                "Binding 1 has no name, but you supplied a dictionary (which has only names)."
            )
        if len(row) != self._wanted:
            raise _wrong_count(self._wanted, len(row))
        return row if self.in_place else [row[place] for place in self._places]


def _by_name(names: list[str], bindable: Callable[[Any], Any]) -> Pick:
    order = list(dict.fromkeys(names))
    places = [order.index(name) for name in names]

    def pick(row: Any) -> Sequence[Any]:
        row = bindable(row)
        if not isinstance(row, Mapping):
            if len(row) != len(order):
                raise _wrong_count(len(order), len(row))
            return [row[place] for place in places]
        try:
            return [row[name] for name in names]
        except KeyError as missing:
            raise ProgrammingError(
                f"You did not supply a value for binding parameter :{missing.args[0]}."
            ) from None

    return pick


def constant_default(column: ColumnDef, count: int) -> Column:
    """`count` times the column's DEFAULT, which is a literal or missing (NULL)."""
    literal = literal_default(column.default) if column.default is not None else None
    if literal is None or literal[0] is None:
        return null_column(count)
    return from_python(literal).take(np.zeros(count, np.int64))


@lru_cache
def literal_default(text: str) -> tuple[SQLiteValue] | None:
    """The value of a DEFAULT that is one literal, with a sign or without; None for an expression.

    A lone word that is no keyword stands for its own text (sqlite.org/lang_createtable.html#dfltval).
    """
    found = [token for token in tokens(text) if token.kind is not Token.END]
    if len(found) == 1 and (found[0].kind is Token.QUOTED or _is_word(found[0])):
        return (unquote(found[0].text),)
    body = found[1:] if found[0].key in ("+", "-") else found
    if len(body) != 1 or body[0].kind not in (Token.NUMBER, Token.STRING, Token.BLOB, Token.WORD):
        return None
    if body[0].key in _CURRENT:
        return None
    value: SQLiteValue = apsw.Connection(":memory:").execute(f"SELECT {text}").get
    return (value,)


_CURRENT = ("CURRENT_DATE", "CURRENT_TIME", "CURRENT_TIMESTAMP")


def _is_word(token: Any) -> bool:
    return token.kind is Token.WORD and token.key not in ("NULL", "TRUE", "FALSE", *_CURRENT)


def chunks(
    shape: RowShape,
    db: apsw.Connection,
    rows: Iterable[Any],
    pick: Pick,
    intake: Intake,
    batch_rows: Callable[[], int],
) -> Iterator[Chunk]:
    """The rows behind those of `intake`, in chunks of at most one batch size; one with an error is the last."""
    source = iter(rows)
    while True:
        chunk = shape.chunk(db, islice(source, max(0, batch_rows() - intake.row_count)), pick, intake)
        if chunk.row_count or chunk.error is not None:
            yield chunk
        if not chunk.row_count or chunk.error is not None:
            return


def _take(values: list[Any], rows: Iterable[Any], width: int, pick: Pick) -> None:
    """Append the values of the rows, one row behind another.

    A list of rows would be a million objects for Python's garbage collector to visit again and again; and
    a program may give the same list again with other values in it.
    """
    extend = values.extend
    in_place = getattr(pick, "in_place", False)
    for row in rows:
        kind = type(row)
        if in_place and (kind is list or kind is tuple) and len(row) == width:
            extend(row)
        else:
            extend(pick(row))
