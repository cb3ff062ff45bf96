"""Random views, and triggers on tables and views, of the database and temporary ones."""

from __future__ import annotations

from random import Random

from tests.differential.conditions import condition
from tests.differential.model import Model, Step, Table, Text, View
from tests.differential.values import quote, value_of


def new_view(r: Random, model: Model, table: Table) -> Step:
    """Of the rows of a table, of a join, of groups, or of another view."""
    text, name = Text(r, 0), model.new("v")
    temporary = "TEMP " if table.schema == "temp" or r.random() < 0.1 else ""
    prefix = table.prefix if table.schema == "aux" and not temporary else ""
    columns = [column.name for column in table.columns]
    shown = ", ".join(quote(column) for column in columns)
    source, base = table.place, table
    where = condition(text, model, table, simple=r.random() < 0.5)
    roll = r.random()
    if roll < 0.6:
        query = f"SELECT {shown} FROM {source} WHERE {where}"
    elif roll < 0.8:
        other = r.choice(model.tables)
        on = f"x.{quote(r.choice(table.columns).name)} = y.{quote(r.choice(other.columns).name)}"
        columns = ["a", "b"]
        picked = f"x.{quote(table.columns[0].name)}, y.{quote(other.columns[-1].name)}"
        query = f"SELECT {picked} FROM {source} AS x JOIN {other.place} AS y ON {on}"
    else:
        columns = ["a", "b"]
        key = quote(r.choice(table.columns).name)
        query = f"SELECT typeof({key}), count(*) FROM {source} GROUP BY typeof({key})"
    named = f"({', '.join(map(quote, columns))})" if columns == ["a", "b"] or r.random() < 0.2 else ""
    model.views[name] = View(columns, base)
    return Step(
        "create view", f"CREATE {temporary}VIEW {prefix}{name}{named} AS {query}", tables=(table.name,)
    )


def drop_view(r: Random, model: Model, table: Table) -> Step:
    if not model.views:
        return new_view(r, model, table)
    name = r.choice(list(model.views))
    del model.views[name]
    return Step("drop view", f"DROP VIEW {name}", tables=(table.name,))


def _body(r: Random, model: Model, seen: str, name: str) -> tuple[str, Table]:
    """A statement on a table of one column or two, and the table; `seen` is a value of the row."""
    other = r.choice([table for table in model.tables if not table.given] or model.tables)
    column, last = quote(r.choice(other.stored).name), quote(other.stored[-1].name)
    bodies = [
        f"UPDATE OR IGNORE {quote(other.name)} SET {column} = {seen} WHERE {column} = 2",
        f"UPDATE {quote(other.name)} SET {last} = {seen} WHERE {column} IS {seen}",
        f"DELETE FROM {quote(other.name)} WHERE {column} = {seen}",
        f"SELECT RAISE({r.choice(('ABORT', 'IGNORE', 'FAIL', 'ROLLBACK'))}, 'no {name}') WHERE {seen} = 3",
    ]
    if not other.given:
        bodies += [
            f"INSERT OR {r.choice(('IGNORE', 'REPLACE'))} INTO {quote(other.name)}({column}) VALUES({seen})"
        ]
    return r.choice(bodies), other


def new_trigger(r: Random, model: Model, table: Table) -> Step:
    """On a table, often a temporary trigger; its body has one statement or two."""
    name = model.new("g")
    model.triggers.append(name)
    event = r.choice(("INSERT", "UPDATE", "DELETE", f"UPDATE OF {quote(table.columns[-1].name)}"))
    when = " WHEN (SELECT count(*) FROM sqlite_master) > 0" if r.random() < 0.2 else ""
    row = "old" if event == "DELETE" else "new"
    seen = f"{row}.{quote(r.choice(table.columns).name)}"
    bodies, others = zip(*(_body(r, model, seen, name) for _ in range(r.choice((1, 1, 2)))), strict=True)
    schemas = {table.schema, *(other.schema for other in others)}
    temporary, prefix = "", ""
    if len(schemas) > 1 or "temp" in schemas or r.random() < 0.25:
        temporary = "TEMP "
    elif table.schema == "aux":
        prefix = "aux."
    # A temporary trigger may say where its table is; others belong to the schema of theirs.
    on = table.bare if temporary and table.schema != "temp" and r.random() < 0.5 else quote(table.name)
    timing = r.choice(("BEFORE", "AFTER"))
    sql = f"CREATE {temporary}TRIGGER {prefix}{name} {timing} {event} ON {on}{when} BEGIN {'; '.join(bodies)}; END"
    return Step("create trigger", sql, tables=(table.name, *(other.name for other in others)))


def instead_of(r: Random, model: Model, table: Table) -> Step:
    """A trigger that writes what is written to a view: the table below it, or another."""
    if not model.views:
        return new_view(r, model, table)
    view = r.choice(list(model.views))
    columns, below = model.views[view].columns, model.views[view].table
    name, event = model.new("g"), r.choice(("INSERT", "UPDATE", "DELETE"))
    model.triggers.append(name)
    first = quote(columns[0])
    row = "old" if event == "DELETE" else "new"
    body, other = _body(r, model, f"{row}.{quote(r.choice(columns))}", name)
    if columns == [column.name for column in below.columns] and r.random() < 0.6 and not below.given:
        stored = [quote(column.name) for column in below.stored]
        place, other = quote(below.name), below
        body = {
            "INSERT": f"INSERT INTO {place}({', '.join(stored)}) VALUES({', '.join('new.' + c for c in stored)})",
            "UPDATE": f"UPDATE {place} SET {stored[-1]} = new.{stored[-1]} WHERE {first} = old.{first}",
            "DELETE": f"DELETE FROM {place} WHERE {first} = old.{first}",
        }[event]
    temporary = "TEMP " if r.random() < 0.2 or "temp" in (below.schema, other.schema) else ""
    prefix = below.prefix if below.schema == "aux" and not temporary else ""
    sql = f"CREATE {temporary}TRIGGER {prefix}{name} INSTEAD OF {event} ON {view} BEGIN {body}; END"
    return Step("create trigger", sql, tables=(below.name, other.name))


def drop_trigger(r: Random, model: Model, table: Table) -> Step:
    if not model.triggers:
        return new_view(r, model, table)
    return Step("drop trigger", f"DROP TRIGGER {model.triggers.pop()}", tables=(table.name,))


def write_view(r: Random, model: Model, table: Table) -> Step:
    """INSERT, UPDATE or DELETE on a view; without a trigger an error."""
    if not model.views:
        return new_view(r, model, table)
    view = r.choice(list(model.views))
    columns, below = model.views[view].columns, model.views[view].table
    text = Text(r)
    values = [text.value(value_of(r, "int" if r.random() < 0.6 else "text", 0.05)) for _ in columns]
    first, last = quote(columns[0]), quote(columns[-1])
    where = f" WHERE {first} {r.choice(('=', '>', '<', 'IS NOT'))} {values[0]}" if r.random() < 0.8 else ""
    sql = r.choice(
        (
            f"INSERT INTO {view} VALUES({', '.join(values)})",
            f"INSERT INTO {view}({first}) SELECT {first} FROM {view} ORDER BY 1 LIMIT 3",
            f"UPDATE {view} SET {last} = {values[-1]}{where}",
            f"DELETE FROM {view}{where}",
        )
    )
    returned = f" RETURNING {first}" if r.random() < 0.1 else ""
    return text.step("write view", sql + returned, below)
