"""Python rows of an INSERT as batches of a table: its columns in order, defaults filled in, affinity applied."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import Any

import apsw
import numpy as np

from colonnade.sql.affinity import apply_affinity, narrow_text
from colonnade.sql.objects import ColumnDef, TableDef, fold
from colonnade.sql.statement import Insert
from colonnade.store.errors import OperationalError, ProgrammingError
from colonnade.store.values import (
    INT64_MAX,
    INT64_MIN,
    Column,
    RowBatch,
    SQLiteValue,
    from_python,
    null_column,
)

Adapt = Callable[[int, Any], SQLiteValue]


@dataclass(frozen=True, slots=True)
class Chunk:
    """Rows as they were given, at most one batch size of them, and the defaults that need SQLite."""

    rows: Sequence[Sequence[Any]]
    defaults: dict[int, Column]


@dataclass(frozen=True, slots=True)
class Shaped:
    """A chunk as columns; `error` belongs to the first row that is not in `batch` any more."""

    batch: RowBatch
    error: Exception | None


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
        places = {fold(column.name): place for place, column in enumerate(self.columns)}
        self.width = len(self.columns) if names is None else len(names)
        self.given: list[int | None] = (
            list(range(self.width)) if names is None else [None] * len(self.columns)
        )
        for place, name in enumerate(names or ()):
            if fold(name) not in places:
                raise OperationalError(f"table {definition.name} has no column named {name}")
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
        raise OperationalError(message)

    def picker(self, insert: Insert) -> Callable[[Any], Sequence[Any]]:
        """Turns one set of parameters into a row, for an INSERT of parameters alone."""
        params = insert.params
        if all(isinstance(param, int) for param in params):
            return _by_position([int(param) for param in params])
        return _by_name([str(param) for param in params])

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

    def shape(self, chunk: Chunk) -> Shaped:
        """The rows as columns, in any thread. Values that SQLite cannot hold end the batch before them."""
        rows = chunk.rows
        try:
            columns = list(zip(*rows, strict=True)) if rows else [()] * self.width
            if len(columns) != self.width:
                raise ValueError
            built = [self._column(index, column, columns, chunk) for index, column in enumerate(self.columns)]
            return Shaped(RowBatch(len(rows), tuple(built)), None)
        except (TypeError, ValueError, OverflowError):
            return self._up_to_the_first_bad_row(chunk)

    def _column(
        self, index: int, column: ColumnDef, columns: Sequence[Sequence[Any]], chunk: Chunk
    ) -> Column:
        place = self.given[index]
        if place is not None:
            values = from_python(columns[place])
        elif index in chunk.defaults:
            values = chunk.defaults[index].slice(0, len(chunk.rows))
        else:
            values = constant_default(column, len(chunk.rows))
        return apply_affinity(narrow_text(values), column.affinity)

    def _up_to_the_first_bad_row(self, chunk: Chunk) -> Shaped:
        """The slow way, taken once a value needs an adapter or is wrong: row by row."""
        good: list[list[SQLiteValue]] = []
        error: Exception | None = None
        for row in chunk.rows:
            try:
                good.append(self.adapted(row))
            except Exception as problem:
                error = problem
                break
        shaped = self.shape(Chunk(good, chunk.defaults))
        return Shaped(shaped.batch, error)

    def adapted(self, row: Sequence[Any]) -> list[SQLiteValue]:
        """The row with each value adapted and proven to be one that SQLite can hold."""
        if len(row) != self.width:
            raise _wrong_count(self.width, len(row))
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


def _by_position(places: list[int]) -> Callable[[Any], Sequence[Any]]:
    wanted = max(places) + 1
    same = places == list(range(len(places)))

    def pick(row: Any) -> Sequence[Any]:
        if isinstance(row, Mapping):
            raise ProgrammingError("Binding 1 ('?') is not a named parameter, but a mapping was supplied")
        if len(row) != wanted:
            raise _wrong_count(wanted, len(row))
        return row if same else [row[place] for place in places]

    return pick


def _by_name(names: list[str]) -> Callable[[Any], Sequence[Any]]:
    def pick(row: Any) -> Sequence[Any]:
        if not isinstance(row, Mapping):
            if len(row) != len(set(names)):
                raise _wrong_count(len(set(names)), len(row))
            order = list(dict.fromkeys(names))
            return [row[order.index(name)] for name in names]
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


def _literal(text: str) -> tuple[SQLiteValue] | None:
    """The value of a DEFAULT that is a number, string, blob or NULL; None for an expression."""
    body = text.strip()
    number = body.lstrip("+-").replace(".", "", 1).replace("_", "")
    is_string = body[:1] in "'xX" and body[-1:] == "'" and body.count("'") % 2 == 0
    if not (
        (number.isascii() and number.isdigit()) or is_string or body.upper() in ("NULL", "TRUE", "FALSE")
    ):
        return None
    try:
        rows: list[tuple[SQLiteValue]] = list(apsw.Connection(":memory:").execute(f"SELECT {body}"))
    except apsw.SQLError:
        return None
    return rows[0]


def chunks(
    shape: RowShape, db: apsw.Connection, rows: Iterable[Sequence[Any]], batch_rows: Callable[[], int]
) -> Iterator[Chunk]:
    """The rows in chunks of one batch size each. A row that cannot be read ends them and is raised last."""
    source = iter(rows)
    while True:
        waiting: list[Sequence[Any]] = []
        error = None
        try:
            waiting.extend(islice(source, batch_rows()))
        except Exception as problem:  # of the program's own iterator: rows before it are in
            error = problem
        if waiting:
            yield Chunk(waiting, shape.computed_defaults(db, len(waiting)))
        if error is not None:
            raise error
        if not waiting:
            return
