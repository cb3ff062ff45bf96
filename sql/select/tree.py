"""The syntax tree of a SELECT, as SQLite's grammar has it (sqlite.org/lang_select.html, lang_expr.html)."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any


class Node:
    """An expression as written."""

    __slots__ = ()


@dataclass(frozen=True, slots=True)
class Name(Node):
    """A column: its name behind those of its table and schema, as far as they are given.

    quoted  the name itself was in double quotes, and is a text where there is no such column
    """

    parts: tuple[str, ...]
    quoted: bool = False


@dataclass(frozen=True, slots=True)
class Literal(Node):
    """int, float, str, bytes or None."""

    value: Any


@dataclass(frozen=True, slots=True)
class Parameter(Node):
    """A bound parameter: its number from 1, and its name without the prefix where it has one."""

    number: int
    name: str | None


@dataclass(frozen=True, slots=True)
class Unary(Node):
    """op: - + ~ NOT."""

    op: str
    operand: Node


@dataclass(frozen=True, slots=True)
class Binary(Node):
    """op: || * / % + - & | << >> < <= > >= = <> IS, IS NOT, AND, OR."""

    op: str
    left: Node
    right: Node


@dataclass(frozen=True, slots=True)
class Match(Node):
    """x [NOT] LIKE or GLOB y [ESCAPE z]."""

    op: str
    operand: Node
    pattern: Node
    escape: Node | None
    negated: bool


@dataclass(frozen=True, slots=True)
class Between(Node):
    operand: Node
    low: Node
    high: Node
    negated: bool


@dataclass(frozen=True, slots=True)
class In(Node):
    """x [NOT] IN (items) or (SELECT …)."""

    operand: Node
    items: tuple[Node, ...] | None
    select: Select | None
    negated: bool


@dataclass(frozen=True, slots=True)
class Case(Node):
    base: Node | None
    branches: tuple[tuple[Node, Node], ...]
    otherwise: Node | None


@dataclass(frozen=True, slots=True)
class Cast(Node):
    operand: Node
    type_name: str


@dataclass(frozen=True, slots=True)
class Collate(Node):
    operand: Node
    collation: str


@dataclass(frozen=True, slots=True)
class Exists(Node):
    select: Select


@dataclass(frozen=True, slots=True)
class Scalar(Node):
    """(SELECT …) as a value."""

    select: Select


@dataclass(frozen=True, slots=True)
class Ordering:
    """A term of ORDER BY. nulls_first as SQLite has it: given, or that of the direction."""

    term: Node
    descending: bool
    nulls_first: bool


@dataclass(frozen=True, slots=True)
class Frame:
    """The rows around each that a window function sees.

    kind        "ROWS", "RANGE" or "GROUPS"
    start, end  rows from the present one on, negative ones before it; None: to the end of the partition. 0 is the
                present row, or with RANGE and GROUPS the rows that are its equals
    """

    kind: str
    start: int | None
    end: int | None


@dataclass(frozen=True, slots=True)
class Window:
    """What OVER says. base: the name of a window that it extends."""

    base: str | None = None
    partition: tuple[Node, ...] = ()
    ordering: tuple[Ordering, ...] = ()
    frame: Frame | None = None


@dataclass(frozen=True, slots=True)
class Call(Node):
    """A function. star: count(*); name is in lower case."""

    name: str
    arguments: tuple[Node, ...]
    distinct: bool = False
    star: bool = False
    condition: Node | None = None  # FILTER (WHERE …)
    ordering: tuple[Ordering, ...] = ()
    over: Window | None = None


@dataclass(frozen=True, slots=True)
class Item:
    """A result column: an expression with its alias, or * (of one table, where `table` is given)."""

    term: Node | None
    alias: str | None = None
    table: str | None = None


@dataclass(frozen=True, slots=True)
class Source:
    """A member of FROM, and how it is joined to those before it.

    name     of a table, view or CTE, with its schema if given; else `select` is the subquery
    kind     "inner", "left", "right", "full"
    """

    name: str | None
    schema: str | None
    select: Select | None
    alias: str | None
    kind: str = "inner"
    natural: bool = False
    on: Node | None = None
    using: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Core:
    """SELECT … FROM … WHERE … GROUP BY … HAVING, or VALUES: then `rows`."""

    items: tuple[Item, ...] = ()
    distinct: bool = False
    sources: tuple[Source, ...] = ()
    where: Node | None = None
    groups: tuple[Node, ...] = ()
    having: Node | None = None
    rows: tuple[tuple[Node, ...], ...] = ()
    windows: tuple[tuple[str, Window], ...] = ()


@dataclass(frozen=True, slots=True)
class Table:
    """A member of WITH."""

    name: str
    columns: tuple[str, ...]
    select: Select


@dataclass(frozen=True, slots=True)
class Select:
    """A whole SELECT: cores joined by operators (UNION, UNION ALL, INTERSECT, EXCEPT), from left to right."""

    cores: tuple[Core, ...]
    operators: tuple[str, ...] = ()
    tables: tuple[Table, ...] = ()
    ordering: tuple[Ordering, ...] = ()
    limit: Node | None = None
    offset: Node | None = None
    parameters: int = field(default=0, compare=False)
