"""Random analytic queries over a world, and what is decided about the order of their rows."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from random import Random
from typing import Any

from tests.differential.analytic.aggregates import aggregate, window
from tests.differential.analytic.expressions import Expr, Maker, Text
from tests.differential.analytic.sources import Source, Sources, subquery
from tests.differential.analytic.world import World
from tests.differential.likeness import Leeway


@dataclass(frozen=True, slots=True)
class Ask:
    """A text and its parameters."""

    sql: str
    parameters: Any = ()


@dataclass(frozen=True, slots=True)
class Query:
    """A query.

    kinds     the constructs in it, for the counts
    leeways   of its columns
    order     "exact": the rows come in the order in which SQLite gives them; "any": in any order;
              "ranked": `whole` gives all rows before LIMIT and OFFSET with their rank as a last column;
              "keyed": `whole` gives all rows, which are in the order of the columns `keys`
    """

    ask: Ask
    kinds: frozenset[str]
    leeways: tuple[Leeway, ...]
    order: str
    whole: Ask = Ask("")
    keys: tuple[int, ...] = ()
    offset: int = 0


@dataclass(slots=True)
class _Select:
    """The parts of a SELECT, as they are put together."""

    text: Text
    shown: list[Expr]
    body: str
    heads: Sequence[str] = ()
    distinct: str = ""

    def render(self, tail: str = "", extra: str = "") -> Ask:
        listed = ", ".join(expr.sql for expr in self.shown)
        head = f"WITH {', '.join(self.heads)} " if self.heads else ""
        return Ask(*self.text.render(f"{head}SELECT {self.distinct}{listed}{extra} {self.body}{tail}"))


class Asker:
    def __init__(self, r: Random, world: World) -> None:
        self.r, self.world, self.text = r, world, Text(r)
        self.sources = Sources(self.text, world)
        self.indexed = any(step.kind == "index" for step in world.steps)

    def maker(self, source: Source) -> Maker:
        return Maker(self.text, source.scope, partial(subquery, self.text, self.world))

    def query(self) -> Query:
        forms: tuple[Callable[[], Query], ...] = (
            *(self.projection,) * 5,
            *(self.grouped,) * 6,
            *(self.total,) * 3,
            *(self.distinct,) * 2,
            *(self.compound,) * 2,
            *(self.windowed,) * 2,
        )
        if self.r.random() < 0.02:
            return self.wrong()
        return self.r.choice(forms)()

    # --- the parts -----------------------------------------------------------------------------------------

    def where(self, source: Source, maker: Maker, share: float = 0.65) -> str:
        conditions = list(source.where)
        if self.r.random() < share:
            self.text.kinds.add("WHERE")
            conditions.append(maker.truth())
        return f" WHERE {' AND '.join(conditions)}" if conditions else ""

    def scanned(self, source: Source, where: str) -> str:
        """The order in which the rows of a source come: where an index may be used none is promised."""
        # A look-up by key, or a scan of few row groups, for each side of an OR.
        sides = " OR " in where and re.search(r"\bid\b|BETWEEN", where) is not None
        return "exact" if source.scans and not self.indexed and not sides else "any"

    def limit(self) -> tuple[str, int]:
        if self.r.random() < 0.5:
            return "", 0
        self.text.kinds.add("LIMIT")
        skipped = self.r.choice((0, 0, 0, 1, 5))
        count = self.text.value(self.r.choice((1, 3, 5, 10, 10, 20, 100, 0, -1)))
        return f" LIMIT {count}" + (f" OFFSET {skipped}" if skipped else ""), skipped

    def finish(self, select: _Select, order: str, terms: Sequence[tuple[str, str]]) -> Query:
        """Adds ORDER BY and LIMIT. `terms`: each as ORDER BY has it, and as an expression of the select."""
        leeways = tuple(expr.leeway for expr in select.shown)
        if not terms:
            tail, skipped = self.limit() if order == "exact" and self.r.random() < 0.3 else ("", 0)
            return Query(select.render(tail), frozenset(self.text.kinds), leeways, order, offset=skipped)
        self.text.kinds.add("ORDER BY")
        directions = [
            self.r.choice(("", "", " DESC", " DESC", " ASC", " NULLS LAST", " DESC NULLS FIRST"))
            for _ in terms
        ]
        ordering = ", ".join(term + way for (term, _), way in zip(terms, directions, strict=True))
        ranking = ", ".join(term + way for (_, term), way in zip(terms, directions, strict=True))
        tail, skipped = self.limit()
        ask = select.render(f" ORDER BY {ordering}{tail}")
        if select.distinct:
            names = ", ".join(f"{name}{way}" for (name, _), way in zip(terms, directions, strict=True))
            inner = select.render().sql
            whole = Ask(
                f"SELECT *, dense_rank() OVER (ORDER BY {names}) AS n FROM ({inner}) ORDER BY n",
                select.render().parameters,
            )
        else:
            whole = select.render(
                " ORDER BY " + str(len(select.shown) + 1), f", dense_rank() OVER (ORDER BY {ranking})"
            )
        return Query(ask, frozenset(self.text.kinds), leeways, "ranked", whole, offset=skipped)

    def order_terms(
        self, shown: Sequence[Expr], scope: Sequence[Expr] = (), share: float = 0.6
    ) -> list[tuple[str, str]]:
        """Positions, expressions and columns that are not shown."""
        r = self.r
        if r.random() > share:
            return []
        terms = []
        for _ in range(r.choice((1, 1, 2, 3))):
            exact = [
                number
                for number, expr in enumerate(shown)
                if not expr.leeway.relative and not expr.leeway.absolute
            ]
            if exact and (not scope or r.random() < 0.6):
                number = r.choice(exact)
                bare = re.sub(r" AS \w+$", "", shown[number].sql)
                terms.append((str(number + 1) if r.random() < 0.6 else bare, bare))
            elif scope:
                term = r.choice(scope).sql
                if r.random() < 0.1:
                    term += f" COLLATE {r.choice(('NOCASE', 'RTRIM', 'BINARY'))}"
                terms.append((term, term))
        return [term for term in terms if not re.fullmatch(r"-?[\d.]+|\(?-?[\d.]+\)?|'.*'|NULL", term[1])]

    def wrong(self) -> Query:
        """What SQLite says an error of, when it prepares the text or at some row."""
        self.text.kinds.add("wrong")
        source = self.sources.single()
        maker = self.maker(source)
        column = maker.column("int").sql
        shown = self.r.choice(
            (
                "nothing",
                f"sum(sum({column}))",
                f"abs(-9223372036854775807 - 1 + 0 * {column})",
                f"{column} LIKE 'a' ESCAPE 'bc'",
                f"(SELECT id, ref FROM {self.world.tables[1].name})",
                f"unknown({column})",
                f"round({column}, 1, 2)",
                f"sum({column} + 9223372036854775800)",
                f"count(*) OVER (ORDER BY {column} ROWS 1 FOLLOWING)",
            )
        )
        tail = self.r.choice(
            ("", "", f" WHERE {maker.truth(1)}", " ORDER BY 7", " GROUP BY count(*)", " LIMIT 'x'")
        )
        ask = Ask(*self.text.render(f"SELECT {shown} FROM {source.text}{tail}"))
        return Query(ask, frozenset(self.text.kinds), (), "any")

    # --- the forms -----------------------------------------------------------------------------------------

    def projection(self) -> Query:
        self.text.kinds.add("projection")
        source = self.sources.any()
        maker = self.maker(source)
        shown = [maker.anything(2) for _ in range(self.r.randint(1, 4))]
        if self.r.random() < 0.08:
            self.text.kinds.add("scalar subquery")
            scope = source.scope if self.r.random() < 0.6 else []
            shown.append(
                Expr(f"({subquery(self.text, self.world, 'value', scope)})", "real", leeway=_AVERAGED)
            )
        where = self.where(source, maker)
        select = _Select(self.text, shown, f"FROM {source.text}{where}", source.heads)
        return self.finish(select, self.scanned(source, where), self.order_terms(shown, source.scope, 0.45))

    def distinct(self) -> Query:
        self.text.kinds.add("DISTINCT")
        source = self.sources.any()
        maker = self.maker(source)
        if (
            source.joins > 1 or self.indexed
        ):  # which of equal values is shown depends on the order of the rows
            shown = [maker.plain() for _ in range(self.r.choice((1, 2)))]
        else:
            shown = [maker.anything(1) for _ in range(self.r.choice((1, 1, 2)))]
        shown = [Expr(f"{expr.sql} AS k{number}", expr.family) for number, expr in enumerate(shown)]
        where = self.where(source, maker, 0.5)
        select = _Select(self.text, shown, f"FROM {source.text}{where}", source.heads, "DISTINCT ")
        terms = (
            [(f"k{number}", f"k{number}") for number in range(len(shown))] if self.r.random() < 0.5 else []
        )
        return self.finish(select, "any" if source.joins > 1 else self.scanned(source, where), terms)

    def total(self) -> Query:
        self.text.kinds.add("aggregate")
        source = self.sources.any()
        maker = self.maker(source)
        where = self.where(source, maker)
        alone = self.scanned(source, where) == "exact"
        shown = [aggregate(maker, alone=alone) for _ in range(self.r.randint(1, 4))]
        select = _Select(self.text, shown, f"FROM {source.text}{where}", source.heads)
        return Query(select.render(), frozenset(self.text.kinds), tuple(e.leeway for e in shown), "exact")

    def grouped(self) -> Query:
        r = self.r
        self.text.kinds.add("GROUP BY")
        source = self.sources.any()
        maker = self.maker(source)
        where = self.where(source, maker, 0.5)
        alone = self.scanned(source, where) == "exact"
        if not alone or r.random() < 0.6:
            keys = [maker.plain() for _ in range(r.choice((1, 1, 2)))]
            if r.random() < 0.3:
                keys[0] = self.derived_key(keys[0])
        else:
            keys = [maker.anything(1) for _ in range(r.choice((1, 1, 2)))]
        shown, grouping = [], []
        for number, key in enumerate(keys):
            form = r.choice(("plain", "plain", "position", "alias"))
            shown.append(Expr(f"{key.sql} AS k{number}" if form == "alias" else key.sql, key.family))
            grouping.append({"plain": key.sql, "position": str(number + 1), "alias": f"k{number}"}[form])
        shown += [aggregate(maker, alone=alone) for _ in range(r.randint(1, 3))]
        extremes = any(re.search(r"\b(min|max)\(", expr.sql) for expr in shown)
        # Where two of min() and max() are asked for, either may give the row (SQLite, "SELECT", section 2.5).
        bare = r.random() < 0.05 and alone and not extremes
        if bare:
            self.text.kinds.add("bare column")
            shown += [
                Expr(f"{r.choice(('min', 'max'))}({source.scope[0].sql})", "int"),
                maker.column("any", "text"),
            ]
        having = ""
        if r.random() < 0.25:
            self.text.kinds.add("HAVING")
            counted = maker.column("int").sql
            having = " HAVING " + r.choice(
                (
                    f"count(*) > {self.text.value(r.randint(0, 4))}",
                    f"{'count' if bare or extremes else 'max'}({counted}) > 3",
                    f"count(DISTINCT {counted}) > 1",
                )
            )
        select = _Select(
            self.text,
            shown,
            f"FROM {source.text}{where} GROUP BY {', '.join(grouping)}{having}",
            source.heads,
        )
        return self._grouped_in_order(select, shown, source, where)

    def derived_key(self, key: Expr) -> Expr:
        self.text.kinds.add("GROUP BY expression")
        if key.family == "date":
            return Expr(self.r.choice((f"strftime('%Y', {key.sql})", f"substr({key.sql}, 1, 4)")), "date")
        if key.family == "int":
            return Expr(f"{key.sql} % 3", "int")
        return Expr(f"lower({key.sql})", "text")

    def _grouped_in_order(self, select: _Select, shown: list[Expr], source: Source, where: str) -> Query:
        summed = [n for n, expr in enumerate(shown) if expr.leeway.relative and expr.family == "real"]
        if summed and self.r.random() < 0.3:
            key = self.r.choice(summed)
            self.text.kinds |= {"ORDER BY", "ORDER BY a sum"}
            way = self.r.choice((" DESC", " DESC", ""))
            tail, skipped = self.limit()
            ask = select.render(f" ORDER BY {key + 1}{way}{tail}")
            whole = select.render(f" ORDER BY {key + 1}{way}")
            leeways = tuple(expr.leeway for expr in shown)
            return Query(ask, frozenset(self.text.kinds), leeways, "keyed", whole, (key,), skipped)
        order = self.scanned(source, where) if source.scans else "any"
        if any(
            re.search(r"\bid\b", expr.sql) for expr in shown
        ):  # where it is a key, groups come in its order
            order = "any"
        return self.finish(select, order, self.order_terms(shown, (), 0.6))

    def windowed(self) -> Query:
        self.text.kinds.add("window")
        source = self.sources.single()
        maker = self.maker(source)
        shown = [source.scope[0], maker.anything(1)]
        shown += [window(maker, source.scope[0]) for _ in range(self.r.choice((1, 1, 2)))]
        where = self.where(source, maker, 0.4)
        select = _Select(self.text, shown, f"FROM {source.text}{where}", source.heads)
        return self.finish(select, "any", self.order_terms(shown[:2], source.scope, 0.5))

    def compound(self) -> Query:
        operator = self.r.choice(("UNION ALL", "UNION", "INTERSECT", "EXCEPT"))
        self.text.kinds.add(operator)
        width, parts, order = self.r.choice((1, 1, 2)), [], "any"
        families = [self.r.choice(("int", "text", "date", "real")) for _ in range(width)]
        for _ in range(self.r.choice((2, 2, 2, 3))):
            source = self.sources.single() if self.r.random() < 0.8 else self.sources.derived(head=False)
            maker = self.maker(source)
            # Elsewhere it is not decided which of two equal values is shown, 1 or 1.0 say.
            columns = [maker.column(f) if operator == "UNION ALL" else maker.plain(f) for f in families]
            shown = [f"{column.sql} AS k{number}" for number, column in enumerate(columns)]
            parts.append(f"SELECT {', '.join(shown)} FROM {source.text}{self.where(source, maker, 0.5)}")
        body = f" {operator} ".join(parts)
        if self.r.random() < 0.5:
            return Query(Ask(*self.text.render(body)), frozenset(self.text.kinds), (), order)
        self.text.kinds.add("ORDER BY")
        ways = [(self.r.choice((f"k{n}", str(n + 1))), self.r.choice(("", " DESC"))) for n in range(width)]
        terms = ", ".join(term + way for term, way in ways)
        tail, skipped = self.limit()
        ask, whole = (Ask(*self.text.render(f"{body} ORDER BY {terms}{end}")) for end in (tail, ""))
        keys = tuple(range(width))
        return Query(ask, frozenset(self.text.kinds), (), "keyed", whole, keys, skipped)


_AVERAGED = Leeway(1e-9, 1e-9)
