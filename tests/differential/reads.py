"""Random queries, and what shows the schema and the counters."""

from __future__ import annotations

from collections.abc import Callable
from random import Random

from tests.differential.conditions import condition
from tests.differential.model import Model, Step, Table, Text
from tests.differential.values import quote

Query = Callable[[Text, Model, Table], tuple[str, str, bool]]  # kind, text, whether the order is promised


def _where(text: Text, model: Model, table: Table, prefix: str = "", share: float = 0.7) -> str:
    return f" WHERE {condition(text, model, table, prefix)}" if text.r.random() < share else ""


def _whole(text: Text, model: Model, table: Table) -> tuple[str, str, bool]:
    rowid = text.r.choice(("rowid, ", "oid AS n, ", "")) if table.rowid else ""
    return "scan", f"SELECT {rowid}* FROM {table.place}", True


def _some(text: Text, model: Model, table: Table) -> tuple[str, str, bool]:
    shown = ", ".join(quote(c.name) for c in text.r.sample(table.columns, min(2, len(table.columns))))
    shown = text.r.choice(("*", shown, f"count(*), count({quote(table.columns[-1].name)})"))
    return "filter", f"SELECT {shown} FROM {table.place}{_where(text, model, table)}", False


def _look_up(text: Text, model: Model, table: Table) -> tuple[str, str, bool]:
    r = text.r
    key = r.choice(table.keys) if table.keys else (table.columns[0].name,)
    if table.rowid and r.random() < 0.4:
        where = f"rowid = {text.value(r.randint(0, 12))}"
    else:
        where = " AND ".join(f"{quote(name)} = {text.of(table.column(name), 0.05)}" for name in key)
    return "look-up", f"SELECT * FROM {table.place} WHERE {where}", False


def _ordered(text: Text, model: Model, table: Table) -> tuple[str, str, bool]:
    r = text.r
    terms = [
        quote(c.name) + r.choice(("", " DESC", " COLLATE NOCASE", " DESC NULLS LAST")) for c in table.columns
    ]
    r.shuffle(terms)
    if table.rowid:
        terms = [*terms[: r.randint(0, 2)], r.choice(("rowid", "rowid DESC"))]
    limit = f" LIMIT {r.randint(0, 5)} OFFSET {r.randint(0, 2)}" if r.random() < 0.4 else ""
    where = _where(text, model, table, share=0.4)
    return "order by", f"SELECT * FROM {table.place}{where} ORDER BY {', '.join(terms)}{limit}", True


def _join(text: Text, model: Model, table: Table) -> tuple[str, str, bool]:
    r, other = text.r, text.r.choice(model.tables)
    kind = r.choice(("JOIN", "JOIN", "LEFT JOIN", "CROSS JOIN", "RIGHT JOIN", "FULL JOIN"))
    left, right = (quote(r.choice(t.columns).name) for t in (table, other))
    extra = f" AND {condition(text, model, other, 'y.', simple=True)}" if r.random() < 0.2 else ""
    where = _where(text, model, table, "x.", 0.4)
    return (
        "join",
        f"SELECT x.*, y.* FROM {table.place} AS x {kind} {other.place} AS y ON x.{left} = y.{right}{extra}{where}",
        False,
    )


def _grouped(text: Text, model: Model, table: Table) -> tuple[str, str, bool]:
    r = text.r
    key, other = (quote(r.choice(table.columns).name) for _ in range(2))
    shown = r.choice((f"count(DISTINCT typeof({other}))", f"min(length({other}))", f"count({other})"))
    having = f" HAVING count(*) > {r.randint(0, 2)}" if r.random() < 0.3 else ""
    where = _where(text, model, table, share=0.4)
    sql = f"SELECT count(*), {shown} FROM {table.place}{where} GROUP BY {key}{having}"
    return "group by", sql, False


def _aggregate(text: Text, model: Model, table: Table) -> tuple[str, str, bool]:
    name = quote(text.r.choice(table.columns).name)
    rowid = ", max(rowid), min(rowid)" if table.rowid else ""
    shown = f"count(*), count({name}), quote(max({name} COLLATE BINARY)), total(length({name})){rowid}"
    return "aggregate", f"SELECT {shown} FROM {table.place}{_where(text, model, table, share=0.4)}", True


def _windowed(text: Text, model: Model, table: Table) -> tuple[str, str, bool]:
    name = quote(text.r.choice(table.columns).name)
    terms = table.order
    function = text.r.choice(
        ("row_number()", "count(*)", f"lag(typeof({name}))", "sum(1)", f"first_value({name})")
    )
    return "window", f"SELECT *, {function} OVER (ORDER BY {terms}) FROM {table.place} ORDER BY {terms}", True


def _compound(text: Text, model: Model, table: Table) -> tuple[str, str, bool]:
    r, other = text.r, text.r.choice(model.tables)
    left, right = (f"quote({quote(r.choice(t.columns).name)}) AS k" for t in (table, other))
    operator = r.choice(("UNION", "UNION ALL", "EXCEPT", "INTERSECT"))
    where = _where(text, model, other, share=0.3)
    sql = f"SELECT {left} FROM {table.place} {operator} SELECT {right} FROM {other.place}{where} ORDER BY 1"
    return "compound", sql, True


def _cte(text: Text, model: Model, table: Table) -> tuple[str, str, bool]:
    where, name = _where(text, model, table), quote(text.r.choice(table.columns).name)
    hint = text.r.choice(("", " MATERIALIZED", " NOT MATERIALIZED"))
    sql = f"WITH w AS{hint} (SELECT * FROM {table.place}{where}) SELECT count(*), count({name}) FROM w"
    return "cte", sql, True


def _distinct(text: Text, model: Model, table: Table) -> tuple[str, str, bool]:
    name = quote(text.r.choice(table.columns).name)
    return "distinct", f"SELECT DISTINCT typeof({name}), quote({name}) FROM {table.place}", False


def _correlated(text: Text, model: Model, table: Table) -> tuple[str, str, bool]:
    r, other = text.r, text.r.choice(model.tables)
    left, right = (quote(r.choice(t.columns).name) for t in (table, other))
    inner = f"SELECT count(*) FROM {other.place} AS y WHERE y.{right} = x.{left}"
    return "correlated", f"SELECT x.{left}, ({inner}) FROM {table.place} AS x", False


_QUERIES: tuple[Query, ...] = (
    *(_whole, _some, _some, _look_up, _look_up, _ordered, _ordered, _join, _join, _grouped),
    *(_aggregate, _windowed, _compound, _cte, _distinct, _correlated),
)


def select(r: Random, model: Model, table: Table) -> Step:
    text = Text(r)
    kind, sql, ordered = r.choice(_QUERIES)(text, model, table)
    return text.step(kind, sql, table, ordered=ordered)


def select_view(r: Random, model: Model, table: Table) -> Step:
    if not model.views:
        return select(r, model, table)
    return Step("view", f"SELECT * FROM {quote(r.choice(list(model.views)))}", tables=(table.name,))


def counters(r: Random, model: Model, table: Table) -> Step:
    sql = "SELECT changes(), total_changes(), last_insert_rowid()"
    return Step("counters", sql, ordered=True, tables=(table.name,))


def introspection(r: Random, model: Model, table: Table) -> Step:
    """PRAGMAs on a table, their functions, and sqlite_master."""
    name = quote(table.name)
    pragma = r.choice(("table_info", "table_xinfo", "foreign_key_list", "index_list"))
    indexed = r.choice(table.indexes) if table.indexes else f"sqlite_autoindex_{table.name}_1"
    schema = "" if table.schema == "main" and not table.full else table.prefix
    sql = r.choice(
        (
            f"PRAGMA {schema}{pragma}({name})",
            f"PRAGMA index_xinfo({quote(indexed)})",
            f"PRAGMA index_info({quote(indexed)})",
            f"SELECT * FROM pragma_{pragma}('{table.name.replace(chr(39), chr(39) * 2)}')",
            f"SELECT type, name, tbl_name, sql FROM {schema}sqlite_master ORDER BY type, name",
            "SELECT type, name, tbl_name, sql FROM sqlite_temp_master ORDER BY type, name",
            "SELECT schema, name, type, ncol, wr, strict FROM pragma_table_list ORDER BY 1, 2",
            "SELECT name FROM sqlite_schema WHERE type = 'table' ORDER BY name",
        )
    )
    return Step("introspection", sql, tables=(table.name,))


def checks(r: Random, model: Model, table: Table) -> Step:
    sql = r.choice(
        (
            "PRAGMA foreign_key_check",
            "PRAGMA integrity_check",
            "PRAGMA quick_check",
            f"PRAGMA foreign_key_check({quote(table.name)})",
            f"PRAGMA {table.prefix}foreign_key_check",
            f"PRAGMA {table.prefix}integrity_check",
            "PRAGMA foreign_keys",
        )
    )
    return Step("check", sql, tables=(table.name,))
