"""Random conditions on the rows of a table."""

from __future__ import annotations

from random import Random

from tests.differential.model import Column, Model, Table, Text
from tests.differential.values import quote

_PATTERNS = ("'a%'", "'A_'", "'%b%'", "'%'", "'1%'", "'é%'")


def condition(text: Text, model: Model, table: Table, prefix: str = "", *, simple: bool = False) -> str:
    """A condition; with `simple` without subqueries."""
    r = text.r
    roll = r.random()
    if roll < 0.12:
        left, right = (condition(text, model, table, prefix, simple=simple) for _ in range(2))
        return f"({left} {r.choice(('AND', 'OR'))} {right})"
    if roll < 0.16:
        return f"NOT ({condition(text, model, table, prefix, simple=simple)})"
    if roll < 0.3 and table.rowid:
        return _on_rowid(text, prefix)
    if roll < 0.38 and not simple:
        return _subquery(text, model, table, prefix)
    return _on_column(text, r.choice(table.columns), prefix)


def _on_rowid(text: Text, prefix: str) -> str:
    r, name = text.r, f"{prefix}{text.r.choice(('rowid', '_rowid_', 'oid'))}"
    value = text.value(r.choice((1, 2, 3, 5, 8, 2.0, "3", 2.5, None, "x", -1)))
    return r.choice(
        (
            f"{name} = {value}",
            f"{name} {r.choice(('<', '<=', '>', '>='))} {value}",
            f"{name} BETWEEN {value} AND 6",
            f"{name} IN (1, 3, {value}, 4)",
            f"{name} % 2 = {r.randint(0, 1)}",
        )
    )


def _on_column(text: Text, column: Column, prefix: str) -> str:
    r, name = text.r, prefix + quote(column.name)
    if r.random() < 0.5:
        return f"{name} {r.choice(('=', '=', '=', '<', '<=', '>', '>=', '<>', 'IS', 'IS NOT'))} {text.of(column)}"
    value = text.of(column)
    return r.choice(
        (
            f"{name} IN ({value}, {text.of(column)})",
            f"{name} NOT IN ({value}, {text.of(column, 0.02)})",
            f"{name} BETWEEN {value} AND {text.of(column)}",
            f"{name} IS NULL",
            f"{name} IS NOT NULL",
            f"{name} {r.choice(('LIKE', 'NOT LIKE', 'GLOB'))} {r.choice(_PATTERNS)}",
            f"typeof({name}) = '{r.choice(('integer', 'text', 'real', 'null', 'blob'))}'",
            f"{name} COLLATE NOCASE = {value}",
            f"length({name}) > {r.randint(0, 3)}",
            f"+{name} = {value}",
            f"{value} = {name}",
            f"{name}",
        )
    )


def _subquery(text: Text, model: Model, table: Table, prefix: str) -> str:
    r, other = text.r, text.r.choice(model.tables)
    column, name = quote(r.choice(other.columns).name), prefix + quote(r.choice(table.columns).name)
    where = condition(text, model, other, "o.", simple=True)
    return r.choice(
        (
            f"{name} {r.choice(('IN', 'NOT IN'))} (SELECT o.{column} FROM {other.place} AS o)",
            f"{name} IN (SELECT o.{column} FROM {other.place} AS o WHERE {where})",
            f"EXISTS (SELECT 1 FROM {other.place} AS o WHERE {where})",
            f"{name} = (SELECT max(typeof(o.{column})) FROM {other.place} AS o)",
            f"(SELECT count(*) FROM {other.place} AS o WHERE {where}) > {r.randint(0, 4)}",
        )
    )


def rows_of(r: Random, table: Table) -> str:
    """One row of a table at most, in a subquery: which row of several UPDATE … FROM takes is not promised."""
    return f"SELECT * FROM {table.place} ORDER BY {table.order} LIMIT 1"
