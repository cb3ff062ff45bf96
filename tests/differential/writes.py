"""Random INSERT, REPLACE, UPDATE and DELETE statements in all their forms."""

from __future__ import annotations

from random import Random

from tests.differential.conditions import condition, rows_of
from tests.differential.model import Column, Model, Step, Table, Text
from tests.differential.values import quote, value_of

_CONFLICTS = ("ROLLBACK", "ABORT", "FAIL", "IGNORE", "IGNORE", "REPLACE", "REPLACE")


def _columns(r: Random, table: Table) -> list[Column]:
    """Columns to give values for: what is needed, mostly, and some others."""
    chosen = [
        column
        for column in table.stored
        if (column.needed and r.random() < 0.95) or r.random() < (0.6 if column.name == table.ipk else 0.85)
    ]
    return chosen or table.stored[:1]


def _listed(columns: list[Column]) -> str:
    return ", ".join(quote(column.name) for column in columns)


def _verb(r: Random) -> str:
    if r.random() < 0.7:
        return "INSERT"
    return r.choice((*(f"INSERT OR {conflict}" for conflict in _CONFLICTS), "REPLACE"))


def returning(r: Random, table: Table, share: float = 0.15) -> str:
    if r.random() >= share:
        return ""
    shown = ["*", _listed(r.sample(table.columns, 1)), f"{quote(table.columns[0].name)} IS NULL AS odd"]
    if table.rowid:
        shown.append("rowid, *")
    return " RETURNING " + r.choice(shown)


def insert_values(r: Random, model: Model, table: Table, *, kind: str = "insert") -> Step:
    """INSERT … VALUES of one row or several, sometimes all of it in text, sometimes with RETURNING."""
    text = Text(r, r.choice((0, 0.5, 1)))
    columns = _columns(r, table)
    rows = [[text.of(column) for column in columns] for _ in range(r.choice((1, 1, 1, 2, 3, 6)))]
    values = ", ".join(f"({', '.join(row)})" for row in rows)
    verb = _verb(r) if kind == "insert" else "INSERT"
    sql = f"{verb} INTO {table.place}({_listed(columns)}) VALUES {values}"
    if kind == "insert":
        sql += returning(r, table)
    kind = kind if verb == "INSERT" else "insert or"
    return text.step(kind, sql, table)


def insert_many(r: Random, model: Model, table: Table) -> Step:
    """executemany of an INSERT."""
    columns = _columns(r, table)
    verb = _verb(r) if r.random() < 0.3 else "INSERT"
    sql = f"{verb} INTO {table.place}({_listed(columns)}) VALUES ({', '.join('?' * len(columns))})"
    count = r.choice((0, 1, 3, 5, 8))
    rows = [tuple(value_of(r, column.domain, 0.05) for column in columns) for _ in range(count)]
    if table.ipk in [column.name for column in columns] and r.random() < 0.7:
        start, place = r.randint(1, 40), [column.name for column in columns].index(table.ipk or "")
        rows = [(*row[:place], start + n, *row[place + 1 :]) for n, row in enumerate(rows)]
    return Step("executemany", sql, rows, "many", tables=(table.name,))


def insert_default(r: Random, model: Model, table: Table) -> Step:
    return Text(r).step(
        "insert default", f"INSERT INTO {table.place} DEFAULT VALUES" + returning(r, table), table
    )


def insert_select(r: Random, model: Model, table: Table) -> Step:
    """INSERT … SELECT from a table, itself too, in a promised order."""
    text, source = Text(r), r.choice(model.tables)
    columns = [column for column in _columns(r, table) if column.name != table.ipk] or table.stored[-1:]
    picked = [quote(r.choice(source.columns).name) for _ in columns]
    if any(column.name == table.ipk for column in columns):
        picked = ["NULL"] * len(columns)
    elif r.random() < 0.3:
        picked[0] = text.of(columns[0])
    order = ", ".join(f"s.{quote(column.name)}" for column in source.columns)
    order = "s.rowid" if source.rowid and r.random() < 0.7 else f"{order}, 1"
    where = f" WHERE {condition(text, model, source, 's.')}" if r.random() < 0.6 else ""
    limit = f" LIMIT {r.randint(0, 6)}"
    with_ = "WITH w AS (SELECT 1) " if r.random() < 0.05 else ""
    sql = (
        f"{with_}{_verb(r)} INTO {table.place}({_listed(columns)}) "
        f"SELECT {', '.join(picked)} FROM {source.place} AS s{where} ORDER BY {order}{limit}"
    )
    return text.step("insert select", sql + returning(r, table, 0.1), table, source)


def upsert(r: Random, model: Model, table: Table) -> Step:
    """INSERT … ON CONFLICT, with one clause or two."""
    step = insert_values(r, model, table, kind="upsert")
    text = Text(r)
    text.parameters = list(step.parameters)
    clauses = [_clause(r, model, text, table) for _ in range(r.choice((1, 1, 1, 2)))]
    return text.step("upsert", " ".join([step.sql, *clauses]) + returning(r, table), table)


def _clause(r: Random, model: Model, text: Text, table: Table) -> str:
    target = ""
    if table.keys and r.random() < 0.85:
        target = f"({', '.join(map(quote, r.choice(table.keys)))})"
    if r.random() < 0.4:
        return f"ON CONFLICT{target} DO NOTHING"
    set_ = _assignments(r, text, table, excluded=True)
    where = f" WHERE {condition(text, model, table, simple=True)}" if r.random() < 0.3 else ""
    return f"ON CONFLICT{target} DO UPDATE SET {set_}{where}"


def _assignments(r: Random, text: Text, table: Table, *, excluded: bool = False) -> str:
    """What follows SET; keys are changed in about a third of all."""
    keys = r.random() < 0.35
    columns = [c for c in table.stored if keys or not c.key] or table.stored
    chosen = r.sample(columns, min(len(columns), r.choice((1, 1, 2))))
    if len(chosen) == 2 and r.random() < 0.15:
        return f"({_listed(chosen)}) = (SELECT {text.of(chosen[0])}, {text.of(chosen[1])})"
    return ", ".join(f"{quote(column.name)} = {_new(r, text, table, column, excluded)}" for column in chosen)


def _new(r: Random, text: Text, table: Table, column: Column, excluded: bool) -> str:
    name = quote(column.name)
    if excluded and r.random() < 0.5:
        return f"excluded.{name}"
    if r.random() < 0.25:
        if column.domain in ("rowid", "int", "real"):
            return (
                f"{name} + {r.choice((1, 1, 10, -1, 100))}"
                if column.domain != "int"
                else f"({name} % 100) + 1"
            )
        return f"substr({name} || 'x', 1, 20)"
    return text.of(column)


def _one_row(r: Random, text: Text, table: Table) -> str:
    """A condition on a key, as programs mostly write them."""
    if table.rowid and r.random() < 0.5:
        return f"rowid = {text.value(r.randint(1, 12))}"
    if not table.keys:
        return condition(text, Model([table]), table, simple=True)
    key = r.choice(table.keys)
    return " AND ".join(f"{quote(name)} = {text.of(table.column(name), 0.05)}" for name in key)


def update(r: Random, model: Model, table: Table) -> Step:
    text = Text(r)
    orelse = f" OR {r.choice(_CONFLICTS)}" if r.random() < 0.25 else ""
    if table.rowid and r.random() < 0.04:
        set_ = f"rowid = {r.choice(('rowid + 100', 'rowid + 1', '-rowid', '7'))}"
    else:
        set_ = _assignments(r, text, table)
    source: list[Table] = []
    alias = from_ = ""
    roll = r.random()
    if r.random() < 0.12:
        other = r.choice(model.tables)
        source = [other]
        alias, from_ = " AS u", f" FROM ({rows_of(r, other)}) AS f"
        where = f" WHERE {condition(text, model, table, 'u.')}"
    elif roll < 0.45:
        where = f" WHERE {_one_row(r, text, table)}"
    else:
        where = f" WHERE {condition(text, model, table)}" if roll < 0.9 else ""
    sql = f"UPDATE{orelse} {table.place}{alias} SET {set_}{from_}{where}{returning(r, table)}"
    kind = "update from" if from_ else ("update or" if orelse else "update")
    return text.step(kind, sql, table, *source)


def delete(r: Random, model: Model, table: Table) -> Step:
    text = Text(r)
    roll = r.random()
    if roll < 0.5:
        where = f" WHERE {_one_row(r, text, table)}"
    else:
        where = f" WHERE {condition(text, model, table)}" if roll < 0.92 else ""
    kind = "delete" if where else "delete all"
    return text.step(kind, f"DELETE FROM {table.place}{where}{returning(r, table)}", table)


def change_many(r: Random, model: Model, table: Table) -> Step:
    """executemany of an UPDATE or a DELETE by key."""
    key = r.choice(table.keys) if table.keys else (table.columns[0].name,)
    where = " AND ".join(f"{quote(name)} = ?" for name in key)
    count = r.choice((1, 2, 4))
    found = [tuple(value_of(r, table.column(name).domain, 0.05) for name in key) for _ in range(count)]
    if r.random() < 0.3:
        return Step(
            "executemany", f"DELETE FROM {table.place} WHERE {where}", found, "many", tables=(table.name,)
        )
    column = r.choice(table.stored)
    rows = [(value_of(r, column.domain), *values) for values in found]
    sql = f"UPDATE {table.place} SET {quote(column.name)} = ? WHERE {where}"
    return Step("executemany", sql, rows, "many", tables=(table.name,))
