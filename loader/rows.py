"""Python rows of an INSERT as batches of a table: its columns in order, defaults filled in, affinity applied."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from itertools import islice
from typing import Any

import apsw
import numpy as np

from colonnade.sql.affinity import apply_affinity, narrow_text
from colonnade.sql.objects import ColumnDef, TableDef, fold
from colonnade.sql.statement import Insert
from colonnade.sql.tokens import Kind as Token
from colonnade.sql.tokens import tokens, unquote
from colonnade.store.errors import OperationalError, ProgrammingError, as_sqlite
from colonnade.store.hints import MAX_GROUP_BYTES
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


# Values that are converted at a time: their objects (60 bytes each for short text) are then still in a core's
# cache, where Python had just made them; converting a whole batch at once takes twice as long.
_PART_VALUES = 16_384
# And their bytes, as far as the rows before foretell them; the first rows, of unknown length, are few.
_PART_BYTES, FIRST_ROWS = MAX_GROUP_BYTES // 16, 64


@dataclass(frozen=True, slots=True)
class Chunk:
    """Rows as they were given, at most one batch size of them.

    given     one Column for each value of a row, no affinity applied
    defaults  columns whose DEFAULT needs SQLite, by position in the table
    error     what is wrong with the row behind the last of these
    """

    given: Sequence[Column]
    row_count: int
    defaults: dict[int, Column]
    error: Exception | None = None


class RowShape:
    """How the values of one INSERT's rows fall on the columns of its table.

    given    for each column of the table (generated ones left out) the place of its value in a row, or
             None where the INSERT does not name it
    width    values in a row
    """

    def __init__(self, definition: TableDef, names: tuple[str, ...] | None, adapt: Adapt) -> None:
        """`names`: the INSERT's column list; `adapt(place, value)` makes a SQLite value or raises.

        Raises OperationalError with SQLite's message for a name that the table does not have.
        """
        self.columns = [column for column in definition.columns if not column.generated]
        self.names = names
        self._table = definition.name
        self._adapt = adapt
        self._part_rows = FIRST_ROWS
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

    def computed_defaults(self, db: apsw.Connection, count: int) -> dict[int, Column]:
        """`count` values for each column that rows leave out and whose DEFAULT is no literal."""
        wanted = {
            index: column.default
            for index, (column, place) in enumerate(zip(self.columns, self.given, strict=True))
            if place is None and column.default is not None and _literal(column.default) is None
        }
        if not wanted:
            return {}
        expressions = ", ".join(f"({text})" for text in wanted.values())
        rows = db.execute(
            f"WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < ?) SELECT {expressions} FROM n",
            (count,),
        )
        columns = zip(*rows, strict=True)
        return {index: from_python(values) for index, values in zip(wanted, columns, strict=True)}

    def chunk(self, db: apsw.Connection, rows: Iterable[Any], pick: Pick) -> Chunk:
        """`rows` as columns, up to the first that cannot be read or holds what SQLite cannot, and not more of
        them than a row group may have bytes.

        pick  makes a row of what `rows` gives; see `picker`
        """
        source, parts, count, held = iter(rows), [], 0, 0
        error: Exception | None = None
        while error is None and held < MAX_GROUP_BYTES:
            values: list[Any] = []
            try:
                _take(values, islice(source, self._part_rows), self.width, pick)
            except Exception as problem:  # of the program's own iterator: rows before it are in
                error = problem
            if not values:
                break
            columns, bad = self._columns(values)
            error = bad or error
            parts.append(columns)
            count += len(columns[0])
            held += sum(column.data.nbytes for column in columns)
            self._part_rows = self._next_part(held // max(1, count))
        given = [concat_columns(pieces) for pieces in zip(*parts, strict=True)]
        return Chunk(given, count, self.computed_defaults(db, count) if count else {}, error)

    def _next_part(self, row_bytes: int) -> int:
        """Rows to take at once, for as many bytes of values as were seen in a row."""
        fitting = _PART_BYTES // max(1, row_bytes)
        return max(1, min(self._part_rows * 4, _PART_VALUES // self.width, fitting))

    def _columns(self, values: list[Any]) -> tuple[list[Column], Exception | None]:
        """Rows that stand one behind another in `values`, as columns; those before the first bad one, and its
        error."""
        try:
            return [from_python(values[place :: self.width]) for place in range(self.width)], None
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
                values = chunk.given[place]
            elif index in chunk.defaults:
                values = chunk.defaults[index]
            else:
                values = constant_default(column, chunk.row_count)
            columns.append(apply_affinity(narrow_text(values), column.affinity))
        return RowBatch(chunk.row_count, tuple(columns))

    def adapted(self, row: Sequence[Any]) -> list[SQLiteValue]:
        """The row with each value adapted and proven to be one that SQLite can hold."""
        values = [
            value if type(value) in _PLAIN else self._adapt(place, value) for place, value in enumerate(row)
        ]
        from_python(values)
        return values


_PLAIN = frozenset({int, float, str, bytes, type(None)})


class QuickRow:
    """Decides in a microsecond that one row is fine by itself; a row that it does not pass may be fine too.

    usable  False for tables whose rows must be looked at as columns (STRICT, CHECK)
    """

    def __init__(self, definition: TableDef, shape: RowShape) -> None:
        self.usable = not definition.strict and not definition.checks
        self._width = shape.width
        self._required: list[int] = []
        self._alias: int | None = None
        for column, place in zip(shape.columns, shape.given, strict=True):
            if column.name == definition.rowid_alias:
                self._alias = place
            elif column.not_null and place is not None:
                self._required.append(place)
            elif column.not_null:
                literal = _literal(column.default) if column.default is not None else None
                self.usable = self.usable and literal is not None and literal[0] is not None

    def passes(self, row: Sequence[Any]) -> bool:
        """Whether every value is of a plain type and in range, and none is NULL that must not be."""
        if not self.usable or len(row) != self._width or not _PLAIN.issuperset(map(type, row)):
            return False
        for value in row:
            if type(value) is int and not INT64_MIN <= value <= INT64_MAX:
                return False
        if self._alias is not None and not isinstance(row[self._alias], int | None):
            return False
        return not any(row[place] is None for place in self._required)

    def rowid(self, row: Sequence[Any]) -> int | None:
        """The INTEGER PRIMARY KEY that the row brings."""
        return None if self._alias is None else row[self._alias]


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
    literal = _literal(column.default) if column.default is not None else None
    if literal is None or literal[0] is None:
        return null_column(count)
    return from_python(literal).take(np.zeros(count, np.int64))


@lru_cache
def _literal(text: str) -> tuple[SQLiteValue] | None:
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
    shape: RowShape, db: apsw.Connection, rows: Iterable[Any], pick: Pick, batch_rows: Callable[[], int]
) -> Iterator[Chunk]:
    """The rows in chunks of at most one batch size; a chunk with an error is the last."""
    source = iter(rows)
    while True:
        chunk = shape.chunk(db, islice(source, batch_rows()), pick)
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
