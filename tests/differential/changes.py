"""Random UPDATE and DELETE statements in all their forms."""

from __future__ import annotations

from random import Random

from tests.differential.conditions import condition, rows_of
from tests.differential.model import Model, Step, Table, Text
from tests.differential.pieces import CONFLICTS, assignments, common, one_row, returning
from tests.differential.values import bindable, quote, value_of


def _correlated(text: Text, model: Model, table: Table) -> str:
    """A condition whose subquery looks at the row."""
    r, other = text.r, text.r.choice(model.tables)
    place, left = quote(table.name), quote(r.choice(table.columns).name)
    right = f"o.{quote(r.choice(other.columns).name)}"
    return r.choice(
        (
            f"EXISTS (SELECT 1 FROM {other.place} AS o WHERE {right} = {place}.{left})",
            f"NOT EXISTS (SELECT 1 FROM {other.place} AS o WHERE {right} = {place}.{left})",
            f"(SELECT count(*) FROM {other.place} AS o WHERE {right} >= {place}.{left}) > {r.randint(0, 3)}",
            f"{place}.{left} IN (SELECT {right} FROM {other.place} AS o WHERE {right} IS NOT NULL)",
        )
    )


def _where(text: Text, model: Model, table: Table, everything: float) -> tuple[str, str]:
    """A WITH clause, and a WHERE clause or nothing with the probability `everything`."""
    roll = text.r.random()
    if roll < everything:
        return "", ""
    if roll < 0.5:
        return "", f" WHERE {one_row(text, table)}"
    if roll < 0.6:
        with_, query = common(text, model)
        return with_, f" WHERE {quote(text.r.choice(table.columns).name)} IN {query}"
    if roll < 0.7:
        return "", f" WHERE {_correlated(text, model, table)}"
    return "", f" WHERE {condition(text, model, table)}"


def update(r: Random, model: Model, table: Table) -> Step:
    text = Text(r)
    orelse = f" OR {r.choice(CONFLICTS)}" if r.random() < 0.25 else ""
    if table.rowid and r.random() < 0.04:
        set_ = f"rowid = {r.choice(('rowid + 100', 'rowid + 1', '-rowid', '7'))}"
    else:
        set_ = assignments(text, model, table)
    if r.random() < 0.15:
        return _update_from(text, model, table, f"UPDATE{orelse} {table.place} AS u SET {set_}")
    with_, where = _where(text, model, table, 0.08)
    sql = f"{with_}UPDATE{orelse} {table.place} SET {set_}{where}{returning(text, model, table)}"
    return text.step("update or" if orelse else "update", sql, table)


def _update_from(text: Text, model: Model, table: Table, head: str) -> Step:
    """From one row of another table, or from the row whose rowid a column names: no choice among several."""
    r, other = text.r, text.r.choice(model.tables)
    column = quote(r.choice(table.stored).name)
    if other.rowid and r.random() < 0.5:
        from_ = f"(SELECT rowid AS n, * FROM {other.place}) AS f"
        where = f"u.{quote(r.choice(table.columns).name)} = f.n"
    else:
        from_, where = f"({rows_of(r, other)}) AS f", condition(text, model, table, "u.")
    if r.random() < 0.5 and not table.given:
        taken = f"f.{quote(r.choice(other.columns).name)}"
        head = head.rsplit(" SET ", 1)[0] + f" SET {column} = {r.choice((taken, f'coalesce({taken}, 3)'))}"
    sql = f"{head} FROM {from_} WHERE {where}{returning(text, model, table, name='u')}"
    return text.step("update from", sql, table, other)


def delete(r: Random, model: Model, table: Table) -> Step:
    text = Text(r)
    with_, where = _where(text, model, table, 0.06)
    kind = "delete" if where else "delete all"
    sql = f"{with_}DELETE FROM {table.place}{where}{returning(text, model, table)}"
    return text.step(kind, sql, table)


def change_many(r: Random, model: Model, table: Table) -> Step:
    """executemany of an UPDATE or a DELETE by key."""
    key = r.choice(table.keys) if table.keys else (table.columns[0].name,)
    where = " AND ".join(f"{quote(name)} = ?" for name in key)
    found = [
        tuple(value_of(r, table.column(name).domain, 0.03) for name in key)
        for _ in range(r.choice((1, 2, 4)))
    ]
    column = r.choice(table.stored)
    rows = found if r.random() < 0.3 else [(value_of(r, column.domain), *values) for values in found]
    sql = f"UPDATE {table.place} SET {quote(column.name)} = ? WHERE {where}"
    if rows is found:
        sql = f"DELETE FROM {table.place} WHERE {where}"
    rows = [tuple(value if bindable(value) else "raw" for value in row) for row in rows]
    return Step("executemany", sql, rows, "many", tables=(table.name,))


def sequence_table(r: Random, model: Model, table: Table) -> Step:
    """What a program does to the counters of AUTOINCREMENT."""
    if not any(column.domain == "counted rowid" for t in model.tables for column in t.columns):
        return update(r, model, table)  # there is no such table
    name = table.name.replace("'", "''")
    sql = r.choice(
        (
            "SELECT * FROM sqlite_sequence ORDER BY name",
            f"UPDATE sqlite_sequence SET seq = {r.choice((0, 5, 30, 100))} WHERE name = '{name}'",
            f"DELETE FROM sqlite_sequence WHERE name = '{name}'",
            f"INSERT INTO sqlite_sequence VALUES('{name}', {r.choice((7, 70))})",
        )
    )
    return Step("sequence", sql, ordered=True, tables=(table.name,))
