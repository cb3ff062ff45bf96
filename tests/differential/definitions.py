"""Random changes of the schema: ALTER TABLE, views, triggers, DROP."""

from __future__ import annotations

from random import Random

from tests.differential.conditions import condition
from tests.differential.model import Column, Model, Step, Table, Text
from tests.differential.schemas import create_index, create_table
from tests.differential.values import literal, quote, value_of


def add_column(r: Random, model: Model, table: Table) -> Step:
    name = model.new("n")
    domain = r.choice(("int", "text", "any"))
    decl = {"int": "INTEGER", "text": "TEXT", "any": "ANY" if table.strict else "NUMERIC"}[domain]
    column = Column(name, decl, f"strict {domain}" if table.strict else domain)
    default = f" DEFAULT {literal(value_of(r, column.domain, 0.2))}" if r.random() < 0.6 else ""
    needed = " NOT NULL" if r.random() < 0.3 else ""
    parent = r.choice(model.tables)
    reference = f" REFERENCES {quote(parent.name)}" if r.random() < 0.1 else ""
    table.columns.append(column)
    sql = f"ALTER TABLE {table.place} ADD COLUMN {name} {decl}{default}{needed}{reference}"
    return Step("alter", sql, tables=(table.name,))


def rename_table(r: Random, model: Model, table: Table) -> Step:
    old, new = table.place, model.new("r")
    known = table.name
    table.name = new
    return Step("alter", f"ALTER TABLE {old} RENAME TO {new}", tables=(known,))


def rename_column(r: Random, model: Model, table: Table) -> Step:
    column, new = r.choice(table.columns), model.new("c")
    old = column.name
    column.name = new
    table.keys = [tuple(new if name == old else name for name in key) for key in table.keys]
    table.ipk = new if table.ipk == old else table.ipk
    return Step(
        "alter", f"ALTER TABLE {table.place} RENAME COLUMN {quote(old)} TO {new}", tables=(table.name,)
    )


def drop_column(r: Random, model: Model, table: Table) -> Step:
    plain = [column for column in table.columns if not column.key]
    if len(table.columns) < 3 or not plain:
        return add_column(r, model, table)
    column = r.choice(plain)
    if not any(column.name in key for key in table.keys):
        table.columns.remove(column)
    return Step("alter", f"ALTER TABLE {table.place} DROP COLUMN {quote(column.name)}", tables=(table.name,))


def new_table(r: Random, model: Model, table: Table) -> Step:
    if r.random() < 0.25:
        name, source = model.new("t"), table
        model.tables.append(Table(name, [Column(c.name, "", "any") for c in source.columns]))
        order = "rowid" if source.rowid else ", ".join(quote(column.name) for column in source.columns)
        sql = f"CREATE TABLE {name} AS SELECT * FROM {source.place} ORDER BY {order}"
        return Step("create table as", sql, tables=(source.name,))
    return create_table(r, model, temporary=r.random() < 0.2)


def drop_table(r: Random, model: Model, table: Table) -> Step:
    if len(model.tables) < 2:
        return new_table(r, model, table)
    model.tables.remove(table)
    return Step("drop table", f"DROP TABLE {r.choice(('', 'IF EXISTS '))}{table.place}", tables=(table.name,))


def new_index(r: Random, model: Model, table: Table) -> Step:
    return create_index(r, model)


def drop_index(r: Random, model: Model, table: Table) -> Step:
    if not table.indexes:
        return create_index(r, model)
    schema = "temp." if table.schema == "temp" else ""
    return Step("drop index", f"DROP INDEX {schema}{table.indexes.pop()}", tables=(table.name,))


def new_view(r: Random, model: Model, table: Table) -> Step:
    name = model.new("v")
    where = condition(Text(r, 0), model, table)
    model.views[name] = [column.name for column in table.columns]
    columns = ", ".join(quote(column.name) for column in table.columns)
    temporary = "TEMP " if table.schema == "temp" else ""
    sql = f"CREATE {temporary}VIEW {name} AS SELECT {columns} FROM {table.place} WHERE {where}"
    return Step("create view", sql, tables=(table.name,))


def drop_view(r: Random, model: Model, table: Table) -> Step:
    if not model.views:
        return new_view(r, model, table)
    name = r.choice(list(model.views))
    del model.views[name]
    return Step("drop view", f"DROP VIEW {name}", tables=(table.name,))


def new_trigger(r: Random, model: Model, table: Table) -> Step:
    """On a table, or INSTEAD OF on a view; its body writes a table of one column."""
    name, other = model.new("g"), r.choice(model.tables)
    model.triggers.append(name)
    event = r.choice(("INSERT", "UPDATE", "DELETE", f"UPDATE OF {quote(table.columns[-1].name)}"))
    when = " WHEN (SELECT count(*) FROM sqlite_master) > 0" if r.random() < 0.2 else ""
    column = quote(r.choice(other.stored).name)
    row = "old" if event == "DELETE" else "new"
    seen = f"{row}.{quote(table.columns[0].name)}"
    body = r.choice(
        (
            f"INSERT OR IGNORE INTO {quote(other.name)}({column}) VALUES({seen})",
            f"UPDATE OR IGNORE {quote(other.name)} SET {column} = {seen} WHERE {column} = 2",
            f"DELETE FROM {quote(other.name)} WHERE {column} = {seen}",
            f"SELECT RAISE({r.choice(('ABORT', 'IGNORE', 'FAIL', 'ROLLBACK'))}, 'no {name}') WHERE {seen} = 3",
        )
    )
    temporary = "TEMP " if "temp" in (table.schema, other.schema) else ""
    timing, on = r.choice(("BEFORE", "AFTER")), quote(table.name)
    if model.views and r.random() < 0.3:
        timing, on = "INSTEAD OF", r.choice(list(model.views))
        body, event = "SELECT 1", "INSERT"
    sql = f"CREATE {temporary}TRIGGER {name} {timing} {event} ON {on}{when} BEGIN {body}; END"
    return Step("create trigger", sql, tables=(table.name, other.name))


def drop_trigger(r: Random, model: Model, table: Table) -> Step:
    if not model.triggers:
        return add_column(r, model, table)
    return Step("drop trigger", f"DROP TRIGGER {model.triggers.pop()}", tables=(table.name,))


def maintenance(r: Random, model: Model, table: Table) -> Step:
    sql = r.choice(("ANALYZE", "VACUUM", f"REINDEX {table.place}", "REINDEX"))
    return Step("maintenance", sql, tables=(table.name,))


KINDS = (
    *(add_column, add_column, rename_table, rename_column, drop_column, drop_column, new_table, new_table),
    *(drop_table, new_index, new_index, drop_index, new_view, drop_view, drop_trigger, maintenance),
)
