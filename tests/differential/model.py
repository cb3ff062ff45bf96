"""What the generator knows of the database so far, taking every statement for a success, and what a step is."""

from __future__ import annotations

import copy
import re
from dataclasses import dataclass, field
from random import Random
from typing import Any

from tests.differential.values import Value, bindable, literal, quote, value_of

_PARAMETER = re.compile(r"\?(\d+)")  # no text of values.py has a question mark


@dataclass(frozen=True, slots=True)
class Step:
    """One thing to do on both sides.

    kind        for the counts: "insert", "upsert", "join", ...
    how         "execute", "many" (parameters is a list of rows), "open", "fetch" (sql is a number of rows, or
                "all"), "bulk" (parameters is a list of steps), "loop" (parameters is an UPDATE by rowid to run
                at each row of the query), "freeze" (Colonnade alone; parameters is the schema), "attach" (the
                database `aux` is detached and attached again)
    ordered     whether the order of the rows is promised
    tables      names of the tables that it is about
    """

    kind: str
    sql: str
    parameters: Any = ()
    how: str = "execute"
    ordered: bool = False
    tables: tuple[str, ...] = ()


@dataclass(slots=True)
class Column:
    """A column as the generator made it. `needed`: NOT NULL without a default."""

    name: str
    decl: str
    domain: str
    needed: bool = False
    generated: bool = False
    key: bool = False


@dataclass(slots=True)
class Table:
    """A table.

    keys      the columns of its PRIMARY KEY and of each UNIQUE constraint
    ipk       the column that stands for the rowid
    full      it is called by its schema, too, where that is main
    """

    name: str
    columns: list[Column]
    schema: str = "main"
    keys: list[tuple[str, ...]] = field(default_factory=list)
    ipk: str | None = None
    rowid: bool = True
    strict: bool = False
    full: bool = False
    indexes: list[str] = field(default_factory=list)

    @property
    def place(self) -> str:
        return f"{self.prefix}{quote(self.name)}" if self.full else self.bare

    @property
    def bare(self) -> str:
        return quote(self.name) if self.schema == "main" else f"{self.schema}.{quote(self.name)}"

    @property
    def prefix(self) -> str:
        return f"{self.schema}."

    @property
    def given(self) -> bool:
        """Whether SQLite shall choose none of its rowids."""
        return any(column.domain == "given rowid" for column in self.columns)

    @property
    def order(self) -> str:
        """What its rows are in a promised order by."""
        return "rowid" if self.rowid else ", ".join(quote(column.name) for column in self.columns)

    @property
    def stored(self) -> list[Column]:
        return [column for column in self.columns if not column.generated]

    def column(self, name: str) -> Column:
        return next(column for column in self.columns if column.name == name)


@dataclass(slots=True)
class View:
    """The columns of a view and a table that it shows rows of."""

    columns: list[str]
    table: Table


@dataclass(slots=True)
class Model:
    """All tables, views and triggers. `schemas`: where tables may be made."""

    tables: list[Table] = field(default_factory=list)
    views: dict[str, View] = field(default_factory=dict)
    triggers: list[str] = field(default_factory=list)
    schemas: tuple[str, ...] = ("main",)
    made: int = 0

    def copy(self) -> Model:
        return copy.deepcopy(self)

    def new(self, prefix: str) -> str:
        self.made += 1
        return f"{prefix}{self.made}"


class Text:
    """A statement under construction: values become numbered parameters or literals as it comes."""

    def __init__(self, r: Random, share: float = 0.5) -> None:
        self.r, self.share = r, share
        self.parameters: list[Value] = []

    def value(self, value: Value) -> str:
        if self.r.random() >= self.share or not bindable(value):
            return literal(value)
        self.parameters.append(value)
        return f"?{len(self.parameters)}"

    def of(self, column: Column, nasty: float = 0.12) -> str:
        return self.value(value_of(self.r, column.domain, nasty))

    def step(self, kind: str, sql: str, *tables: Table, ordered: bool = False) -> Step:
        """The statement with the parameters that it came to use, numbered from 1."""
        used = sorted({int(number) for number in _PARAMETER.findall(sql)})
        numbers = {number: place for place, number in enumerate(used, 1)}
        sql = _PARAMETER.sub(lambda match: f"?{numbers[int(match[1])]}", sql)
        parameters = tuple(self.parameters[number - 1] for number in used)
        return Step(kind, sql, parameters, "execute", ordered, tuple(t.name for t in tables))
