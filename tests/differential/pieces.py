"""Pieces of random statements that write: columns, RETURNING, assignments, scalar subqueries."""

from __future__ import annotations

from random import Random

from tests.differential.conditions import condition
from tests.differential.model import Column, Model, Table, Text
from tests.differential.values import quote

CONFLICTS = ("ROLLBACK", "ABORT", "FAIL", "IGNORE", "IGNORE", "REPLACE", "REPLACE")


def listed(columns: list[Column]) -> str:
    return ", ".join(quote(column.name) for column in columns)


def chosen_columns(r: Random, table: Table) -> list[Column]:
    """Columns to give values for: what is needed, mostly, and some others."""
    chosen = [
        column
        for column in table.stored
        if column.domain == "given rowid"
        or (column.needed and r.random() < 0.95)
        or r.random() < (0.6 if column.name == table.ipk else 0.85)
    ]
    return chosen or table.stored[:1]


def returning(text: Text, model: Model, table: Table, share: float = 0.15, name: str = "") -> str:
    """RETURNING of columns, expressions and subqueries; `name` is what the statement calls the table."""
    r = text.r
    if r.random() >= share:
        return ""
    column, other = quote(table.columns[0].name), quote(r.choice(table.columns).name)
    shown = [
        *("*", other, f"{column} IS NULL AS odd", f"typeof({other}), {other} || '!' AS marked"),
        f"{name or quote(table.name)}.{other}",
        f"CASE WHEN {column} IS NULL THEN 'none' ELSE typeof({other}) END AS c",
        f"{text.value(5)} AS five, {other}",
        f"*, {scalar(text, model)} AS s",
    ]
    if table.rowid:
        shown += ["rowid AS n, *", f"rowid AS n, {other}"]
    return " RETURNING " + r.choice(shown)


def scalar(text: Text, model: Model, outer: str = "") -> str:
    """A subquery of one value whatever the order of the rows; `outer` is a column that it may look at."""
    r, table = text.r, text.r.choice(model.tables)
    column = f"o.{quote(r.choice(table.columns).name)}"
    where = f" WHERE {condition(text, model, table, 'o.', simple=True)}" if r.random() < 0.5 else ""
    if outer and r.random() < 0.6:
        where = f" WHERE {column} = {outer}"
    choices = [
        f"SELECT count(*) FROM {table.place} AS o{where}",
        f"SELECT count({column}) FROM {table.place} AS o{where}",
        f"SELECT max(typeof({column})) FROM {table.place} AS o{where}",
    ]
    if table.rowid:
        choices += [
            f"SELECT max(o.rowid) % 50 FROM {table.place} AS o{where}",
            f"SELECT {column} FROM {table.place} AS o{where} ORDER BY o.rowid LIMIT 1",
        ]
    return f"({r.choice(choices)})"


def common(text: Text, model: Model) -> tuple[str, str]:
    """A WITH clause, mostly none, and a query of one column that is `w` in it or stands alone."""
    r, table = text.r, text.r.choice(model.tables)
    column = quote(r.choice(table.columns).name)
    where = f" WHERE {condition(text, model, table, simple=True)}" if r.random() < 0.6 else ""
    query = f"SELECT {column} FROM {table.place}{where}"
    if r.random() < 0.4:
        return "", f"({query})"
    if r.random() < 0.25:
        query = f"VALUES({r.randint(1, 4)}) UNION ALL SELECT x + 1 FROM w WHERE x < {r.randint(4, 7)}"
        return f"WITH RECURSIVE w(x) AS ({query}) ", "(SELECT x FROM w)"
    hint = r.choice(("", "", " MATERIALIZED", " NOT MATERIALIZED"))
    return f"WITH w(x) AS{hint} ({query}) ", r.choice(("w", "(SELECT x FROM w)"))


def assignments(
    text: Text, model: Model, table: Table, *, excluded: bool = False, prefix: str = "", keys: float = 0.35
) -> str:
    """What follows SET; keys are changed in the share `keys` of all.

    prefix   what other tables' columns stand behind, "f.", where there is one
    """
    r = text.r
    change_keys = r.random() < keys
    columns = [c for c in table.stored if change_keys or not c.key] or table.stored
    chosen = r.sample(columns, min(len(columns), r.choice((1, 1, 2, 3))))
    if len(chosen) == 2 and r.random() < 0.15:
        return f"({listed(chosen)}) = (SELECT {text.of(chosen[0])}, {text.of(chosen[1])})"
    return ", ".join(f"{quote(c.name)} = {_new(text, model, table, c, excluded)}" for c in chosen)


def _new(text: Text, model: Model, table: Table, column: Column, excluded: bool) -> str:
    r, name = text.r, quote(column.name)
    if excluded and r.random() < 0.5:
        return r.choice((f"excluded.{name}", f"excluded.{name}", f"coalesce(excluded.{name}, {name})"))
    roll = r.random()
    if roll < 0.25:
        if column.domain.endswith("rowid") or column.domain == "real":
            return f"{name} + {r.choice((1, 1, 10, -1, 100))}"
        if column.domain in ("int", "few"):
            return f"({name} % {100 if column.domain == 'int' else 3}) + 1"
        return f"substr({name} || 'x', 1, 20)"
    if roll < 0.3:
        return quote(r.choice(table.columns).name)
    if roll < 0.35 and column.domain != "given rowid":
        return scalar(text, Model([t for t in model.tables if t is not table] or [table]))
    return text.of(column)


def one_row(text: Text, table: Table, prefix: str = "") -> str:
    """A condition on a key, as programs mostly write them."""
    r = text.r
    if table.rowid and r.random() < 0.5:
        return f"{prefix}rowid = {text.value(r.randint(1, 12))}"
    if not table.keys:
        return condition(text, Model([table]), table, prefix, simple=True)
    key = r.choice(table.keys)
    return " AND ".join(f"{prefix}{quote(name)} = {text.of(table.column(name), 0.05)}" for name in key)
