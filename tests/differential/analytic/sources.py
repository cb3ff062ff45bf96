"""What random queries read: tables, views, joins, subqueries and common table expressions."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace

from tests.differential.analytic.expressions import Expr, Maker, Text
from tests.differential.analytic.world import Table, World
from tests.differential.values import quote


@dataclass(slots=True)
class Source:
    """A FROM clause.

    scope   the columns that it offers, as a query names them
    scans   one table or view is read from its first row to its last, if no condition brings in an index
    joins   how many tables are joined: their rows come in no promised order
    heads   common table expressions in front
    where   conditions that it needs, of a join with commas
    """

    text: str
    scope: list[Expr]
    scans: bool = True
    joins: int = 1
    heads: list[str] = field(default_factory=list)
    where: list[str] = field(default_factory=list)


class Sources:
    def __init__(self, text: Text, world: World) -> None:
        self.text, self.world, self.r = text, world, text.r

    def any(self) -> Source:
        roll = self.r.random()
        if roll < 0.5:
            return self.table()
        if roll < 0.86:
            return self.joined()
        if roll < 0.9:
            return self.view()
        return self.derived(head=roll > 0.95)

    def single(self) -> Source:
        return self.table() if self.r.random() < 0.92 else self.view()

    def table(self, *, small: bool = False) -> Source:
        tables = self.world.tables
        table = self.r.choice(tables[1:] if small else [tables[0], tables[0], tables[0], *tables[1:]])
        if self.r.random() < 0.3:
            name = self.text.name("x")
            return Source(f"{table.name} AS {name}", columns_of(table, f"{name}."))
        prefix = f"{table.name}." if self.r.random() < 0.2 else ""
        return Source(table.name, columns_of(table, prefix))

    def view(self) -> Source:
        name, shown = self.r.choice(list(self.world.views.items()))
        self.text.kinds.add("view")
        return Source(name, [expr for expr in columns_of(self.world.tables[0], "") if expr.sql in shown])

    def derived(self, *, head: bool) -> Source:
        """A query of a table's columns and expressions, in FROM or in front."""
        inner = self.table() if self.r.random() < 0.7 else self.joined()
        maker = Maker(self.text, inner.scope)
        shown = [
            maker.column("int"),
            maker.anything(1),
            maker.number(1),
            maker.column("text"),
            maker.column("date"),
        ]
        listed = ", ".join(f"{expr.sql} AS c{number}" for number, expr in enumerate(shown))
        conditions = [*inner.where, *([maker.truth(1)] if self.r.random() < 0.5 else [])]
        where = f" WHERE {' AND '.join(conditions)}" if conditions else ""
        query = f"SELECT {listed} FROM {inner.text}{where}"
        name = self.text.name("d")
        scope = [replace(expr, sql=f"{name}.c{number}") for number, expr in enumerate(shown)]
        self.text.kinds.add("CTE" if head else "subquery in FROM")
        if not head:
            return Source(f"({query}) AS {name}", scope, scans=False, joins=inner.joins)
        hint = self.r.choice(("", "", " MATERIALIZED", " NOT MATERIALIZED"))
        return Source(name, scope, scans=False, joins=inner.joins, heads=[f"{name} AS{hint} ({query})"])

    def joined(self) -> Source:
        r = self.r
        left = r.choice(self.world.tables)
        right = r.choice(self.world.tables)
        source = self._pair(left, right)
        if r.random() < 0.25 and source.joins == 2:
            third, name = r.choice(self.world.tables[1:]), self.text.name("z")
            scope = columns_of(third, f"{name}.")
            kind = r.choice(("JOIN", "JOIN", "LEFT JOIN"))
            link = r.choice([column for column in source.scope if column.sql.endswith((".ref", ".id"))])
            source.text += f" {kind} {third.name} AS {name} ON {link.sql} = {name}.id"
            source.scope += scope
            source.joins += 1
        return source

    def _pair(self, left: Table, right: Table) -> Source:
        r = self.r
        one, other = self.text.name("x"), self.text.name("y")
        scope = columns_of(left, f"{one}.") + columns_of(right, f"{other}.")
        first, second = f"{left.name} AS {one}", f"{right.name} {r.choice(('AS ', ''))}{other}"
        kind = r.choice(
            (
                "JOIN",
                "JOIN",
                "INNER JOIN",
                "LEFT JOIN",
                "LEFT JOIN",
                "RIGHT JOIN",
                "FULL JOIN",
                "CROSS JOIN",
                ",",
            )
        )
        self.text.kinds.add({",": "comma join", "INNER JOIN": "JOIN"}.get(kind, kind))
        on = self._link(left, right, one, other, scope)
        if kind == ",":
            return Source(f"{first}, {second}", scope, scans=False, joins=2, where=[on])
        roll = r.random()
        if roll < 0.08:
            self.text.kinds.add("USING")
            return Source(
                f"{first} {kind} {second} USING ({r.choice(('ref', 'id', 'grp, ref'))})", scope, False, 2
            )
        if roll < 0.11 and kind != "CROSS JOIN":
            self.text.kinds.add("NATURAL")
            return Source(f"{first} NATURAL {kind} {second}", scope, scans=False, joins=2)
        if kind == "CROSS JOIN" and r.random() < 0.3:
            return Source(
                f"{self.world.tables[1].name} AS {one} CROSS JOIN {self.world.tables[2].name} AS {other}",
                columns_of(self.world.tables[1], f"{one}.") + columns_of(self.world.tables[2], f"{other}."),
                scans=False,
                joins=2,
            )
        return Source(f"{first} {kind} {second} ON {on}", scope, scans=False, joins=2)

    def _link(self, left: Table, right: Table, one: str, other: str, scope: Sequence[Expr]) -> str:
        """The condition of a join: mostly a reference to a key, at times on other columns, or unequal."""
        r, roll = self.r, self.r.random()
        if roll < 0.7:
            on = f"{one}.ref = {other}.id" if r.random() < 0.7 else f"{other}.ref = {one}.id"
        elif roll < 0.8:
            on = f"{one}.grp = {other}.grp AND {one}.ref = {other}.ref"
        elif roll < 0.94:
            self.text.kinds.add("join on any columns")
            on = f"{one}.{quote(r.choice(left.columns).name)} = {other}.{quote(r.choice(right.columns).name)}"
        else:
            self.text.kinds.add("unequal join")
            on = f"{one}.ref {r.choice(('<', '>=', '<>'))} {other}.id AND {other}.id < {r.randint(2, 8)}"
        if r.random() < 0.2:
            self.text.kinds.add("residual")
            on += f" AND {Maker(self.text, scope).truth(0)}"
        return on


def columns_of(table: Table, prefix: str) -> list[Expr]:
    """The columns of a table as a query names them."""
    rows = table.rows[:: max(1, len(table.rows) // 12)]
    return [
        Expr(
            prefix + quote(column.name),
            column.family,
            column.tame,
            column.kind,
            samples=tuple(row[number] for row in rows if row[number] is not None),
        )
        for number, column in enumerate(table.columns)
    ]


def subquery(text: Text, world: World, wanted: str, outer: Sequence[Expr]) -> str:
    """The text of a query in an expression. `wanted`: "list int", "list text", "exists" or "value"."""
    r, table, name = text.r, text.r.choice(world.tables), text.name("s")
    scope = columns_of(table, f"{name}.")
    maker = Maker(text, scope)
    conditions = [maker.truth(1)] if r.random() < 0.6 else []
    links = [column.sql for column in outer if column.sql.split(".")[-1] in ("id", "ref", "grp")]
    if links:
        link = r.choice(links)
        text.kinds.add("correlated")
        inner = "grp" if link.endswith("grp") else r.choice(("id", "ref", "ref"))
        conditions.insert(0, f"{name}.{inner} = {link}")
        if r.random() < 0.2:
            conditions.append(f"{name}.id {r.choice(('<>', '<', '>'))} {r.choice(links)}")
    where = f" WHERE {' AND '.join(conditions)}" if conditions else ""
    body = f"FROM {table.name} AS {name}{where}"
    if wanted == "exists":
        return f"SELECT {r.choice(('1', '*', f'{name}.id'))} {body}"
    if wanted == "value":
        inner_expr = maker.number(1, tame=True)
        form = r.choice(
            ("count(*)", f"max({inner_expr.sql})", f"min({inner_expr.sql})", f"avg({inner_expr.sql})")
        )
        return f"SELECT {form} {body}"
    family = wanted.removeprefix("list ")
    if r.random() < 0.15:
        return f"SELECT {name}.ref {body} GROUP BY {name}.ref HAVING count(*) > {r.randint(0, 2)}"
    return f"SELECT {maker.column(family).sql} {body}"
