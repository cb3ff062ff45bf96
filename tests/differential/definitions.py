"""Random changes of tables and indexes: ALTER TABLE, CREATE, DROP, and what keeps a database in shape."""

from __future__ import annotations

from random import Random

from tests.differential.model import Column, Model, Step, Table
from tests.differential.schemas import create_index, create_table
from tests.differential.triggers import drop_trigger, drop_view, new_view
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
        sql = f"CREATE TABLE {name} AS SELECT * FROM {source.place} ORDER BY {source.order}"
        return Step("create table as", sql, tables=(source.name,))
    return create_table(r, model, r.choice((*model.schemas, *model.schemas, "temp")))


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
    schema = "" if table.schema == "main" else table.prefix
    return Step("drop index", f"DROP INDEX {schema}{table.indexes.pop()}", tables=(table.name,))


def maintenance(r: Random, model: Model, table: Table) -> Step:
    vacuum = "VACUUM" if table.schema == "main" else f"VACUUM {table.schema}"
    sql = r.choice(("ANALYZE", f"ANALYZE {table.place}", vacuum, vacuum, f"REINDEX {table.place}", "REINDEX"))
    return Step("maintenance", sql, tables=(table.name,))


KINDS = (
    *(add_column, add_column, rename_table, rename_column, drop_column, drop_column, new_table, new_table),
    *(drop_table, new_index, new_index, drop_index, new_view, drop_view, drop_trigger, maintenance),
)
ALTERING = (add_column, rename_table, rename_column, drop_column, maintenance)
