"""Random INSERT, REPLACE and upsert statements in all their forms."""

from __future__ import annotations

from random import Random

from tests.differential.conditions import condition
from tests.differential.model import Column, Model, Step, Table, Text
from tests.differential.pieces import (
    CONFLICTS,
    assignments,
    chosen_columns,
    common,
    listed,
    returning,
    scalar,
)
from tests.differential.values import bindable, quote, value_of


def _verb(r: Random) -> str:
    if r.random() < 0.7:
        return "INSERT"
    return r.choice((*(f"INSERT OR {conflict}" for conflict in CONFLICTS), "REPLACE"))


def _values(text: Text, model: Model, columns: list[Column], rows: int) -> str:
    """VALUES of so many rows; now and then one value is a subquery."""
    made = [[text.of(column) for column in columns] for _ in range(rows)]
    if columns[-1].domain != "given rowid" and text.r.random() < 0.06:
        made[-1][-1] = scalar(text, model)
    return ", ".join(f"({', '.join(row)})" for row in made)


def insert_values(r: Random, model: Model, table: Table) -> Step:
    """INSERT … VALUES of one row or several, sometimes all of it in text, sometimes with RETURNING."""
    text = Text(r, r.choice((0, 0.5, 1)))
    columns = chosen_columns(r, table)
    rows = r.choice((1, 1, 1, 1, 2, 3, 6)) if r.random() < 0.97 else r.randint(30, 60)
    values, verb = _values(text, model, columns, rows), _verb(r)
    sql = f"{verb} INTO {table.place}({listed(columns)}) VALUES {values}"
    kind = "insert" if verb == "INSERT" else "insert or"
    return text.step(kind, sql + returning(text, model, table), table)


def insert_many(r: Random, model: Model, table: Table, count: int | None = None) -> Step:
    """executemany of an INSERT."""
    columns = chosen_columns(r, table)
    verb = _verb(r) if r.random() < 0.3 else "INSERT"
    sql = f"{verb} INTO {table.place}({listed(columns)}) VALUES ({', '.join('?' * len(columns))})"
    count = r.choice((0, 1, 3, 5, 8)) if count is None else count
    rows = [tuple(_parameter(r, column) for column in columns) for _ in range(count)]
    if table.ipk in [column.name for column in columns] and r.random() < 0.7:
        start, place = r.randint(1, 40), [column.name for column in columns].index(table.ipk or "")
        rows = [(*row[:place], start + n, *row[place + 1 :]) for n, row in enumerate(rows)]
    return Step("executemany", sql, rows, "many", tables=(table.name,))


def _parameter(r: Random, column: Column, nasty: float = 0.05) -> object:
    value = value_of(r, column.domain, nasty)
    return value if bindable(value) else "raw"


def insert_default(r: Random, model: Model, table: Table) -> Step:
    if table.given:
        return insert_values(r, model, table)
    text = Text(r)
    sql = f"INSERT INTO {table.place} DEFAULT VALUES" + returning(text, model, table)
    return text.step("insert default", sql, table)


def insert_select(r: Random, model: Model, table: Table) -> Step:
    """INSERT … SELECT from a table, often itself, in a promised order, sometimes with an upsert behind it."""
    if table.given:
        return insert_values(r, model, table)
    text = Text(r)
    source = table if r.random() < 0.25 else r.choice(model.tables)
    columns = [column for column in chosen_columns(r, table) if column.name != table.ipk] or table.stored[-1:]
    picked = [f"s.{quote(r.choice(source.columns).name)}" for _ in columns]
    if source is table and r.random() < 0.5:
        picked = [f"s.{quote(column.name)}" for column in columns]
    if any(column.name == table.ipk for column in columns):
        picked = ["NULL"] * len(columns)
    elif r.random() < 0.3:
        picked[0] = r.choice((text.of(columns[0]), scalar(text, model, picked[-1])))
    elif table.ipk is not None and source.rowid and r.random() < 0.3:
        columns, picked = [table.column(table.ipk), *columns], [f"s.rowid + {r.choice((0, 3, 50))}", *picked]
    with_, query = common(text, model) if r.random() < 0.2 else ("", "")
    where = condition(text, model, source, "s.") if r.random() < 0.6 else "true"
    if query:
        where += f" AND s.{quote(r.choice(source.columns).name)} IN {query}"
    sql = (
        f"{with_}{_verb(r)} INTO {table.place}({listed(columns)}) SELECT {', '.join(picked)} "
        f"FROM {source.place} AS s WHERE {where} ORDER BY {_order(r, source)} LIMIT {r.randint(0, 6)}"
    )
    if r.random() < 0.12 and "INSERT INTO" in sql:
        sql += " " + " ".join(_clauses(text, model, table))
    return text.step("insert select", sql + returning(text, model, table, 0.1), table, source)


def _order(r: Random, source: Table) -> str:
    if source.rowid and r.random() < 0.7:
        return "s.rowid"
    order = ", ".join(f"s.{quote(column.name)}" for column in source.columns)
    return f"{order}, s.rowid" if source.rowid else order


def insert_counted(r: Random, model: Model, table: Table) -> Step:
    """INSERT … SELECT of rows that a recursive WITH makes."""
    if table.given:
        return insert_values(r, model, table)
    text = Text(r)
    columns = chosen_columns(r, table)
    picked = [r.choice((f"x + {r.randint(0, 30)}", "x", "x % 3", text.of(column))) for column in columns]
    counted = f"VALUES(1) UNION ALL SELECT x + 1 FROM w WHERE x < {r.choice((2, 5, 9, 40))}"
    sql = (
        f"WITH RECURSIVE w(x) AS ({counted}) {_verb(r)} INTO {table.place}({listed(columns)}) "
        f"SELECT {', '.join(picked)} FROM w"
    )
    return text.step("insert select", sql, table)


def insert_series(r: Random, model: Model, table: Table) -> Step:
    """Many rows at once, mostly with new keys: of a query, of VALUES, or by executemany."""
    if table.given:
        return insert_values(r, model, table)
    text, columns = Text(r, 0.3), chosen_columns(r, table)
    first, count = r.choice((20, 60, 200, 1000)), r.randint(16, 40)
    head = f"INSERT INTO {table.place}({listed(columns)})"
    kept = {column.name for column in columns if any(column.name in key for key in table.keys)}
    made = {column.name: text.of(column, 0.03) for column in columns if column.name not in kept}

    def row(x: str) -> str:
        return ", ".join(made.get(column.name) or _new_key(column, x) for column in columns)

    way = r.random()
    if way < 0.35:
        values = ", ".join(f"({row(str(first + n))})" for n in range(count))
        return text.step("insert", f"{head} VALUES {values}", table)
    series = (
        f"WITH RECURSIVE w(x) AS (VALUES({first}) UNION ALL SELECT x + 1 FROM w WHERE x < {first + count})"
    )
    if way < 0.8:
        source, from_ = table, ""
        if r.random() < 0.5:
            source = r.choice(model.tables)
            from_ = f"(SELECT * FROM {source.place} ORDER BY {source.order} LIMIT 1) AS s, "
        sql = f"{head} SELECT {row('x')} FROM {from_}({series} SELECT x FROM w) ORDER BY x"
        return text.step("insert select", sql, table, source)
    given = {column.name: _parameter(r, column) for column in columns}
    rows = []
    for n in range(first, first + count):
        new = {name: f"w{n}" if table.column(name).domain.endswith(("text", "word")) else n for name in kept}
        rows.append(tuple((given | new).values()))
    return Step(
        "executemany", f"{head} VALUES ({', '.join('?' * len(columns))})", rows, "many", tables=(table.name,)
    )


def _new_key(column: Column, x: str) -> str:
    return f"'w' || {x}" if column.domain.endswith(("text", "word")) else x


def upsert(r: Random, model: Model, table: Table) -> Step:
    """INSERT … VALUES … ON CONFLICT, with up to three clauses."""
    text, columns = Text(r), chosen_columns(r, table)
    name = r.choice(("", "", "", " AS u"))
    values = _values(text, model, columns, r.choice((1, 1, 1, 2, 4)))
    sql = f"INSERT INTO {table.place}{name}({listed(columns)}) VALUES {values}"
    sql = " ".join([sql, *_clauses(text, model, table)])
    return text.step("upsert", sql + returning(text, model, table, name=name[4:]), table)


def _clauses(text: Text, model: Model, table: Table) -> list[str]:
    """ON CONFLICT clauses, each for a key of its own; only the last may be for any key."""
    r = text.r
    keys = r.sample(table.keys, min(len(table.keys), r.choice((1, 1, 2, 3))))
    targets = [f"({', '.join(map(quote, key))})" for key in keys]
    if not targets or r.random() < 0.15:
        targets.append("")
    return [_clause(text, model, table, target) for target in targets]


def _clause(text: Text, model: Model, table: Table, target: str) -> str:
    r = text.r
    if r.random() < 0.4:
        return f"ON CONFLICT{target} DO NOTHING"
    set_ = assignments(text, model, table, excluded=True)
    where = f" WHERE {condition(text, model, table, simple=True)}" if r.random() < 0.3 else ""
    return f"ON CONFLICT{target} DO UPDATE SET {set_}{where}"
