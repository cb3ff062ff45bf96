"""Random aggregates and window functions."""

from __future__ import annotations

from tests.differential.analytic.expressions import Expr, Maker
from tests.differential.likeness import EXACT, SUMMED, Leeway

_ROUNDED = Leeway(absolute=0.010001)  # half a cent more or less in the sum is a cent in what is rounded


def aggregate(maker: Maker, *, alone: bool) -> Expr:
    """`alone`: over the rows of one table in their order, so that what depends on the order is decided."""
    r, text = maker.r, maker.text
    form = r.choice(
        (
            "count",
            "count",
            "sum",
            "sum",
            "sum",
            "avg",
            "avg",
            "extreme",
            "extreme",
            "case",
            "distinct",
            "mixed",
            "concat",
            "total",
        )
    )
    filtered = ""
    if r.random() < 0.08:
        text.kinds.add("FILTER")
        filtered = f" FILTER (WHERE {maker.truth(1)})"
    if form == "count":
        return Expr(f"count({r.choice(('*', maker.anything(1).sql))}){filtered}", "int")
    if form == "distinct":
        text.kinds.add("count(DISTINCT)")
        inner = maker.column("int", "text", "date", "real", "any")
        name = r.choice(("count", "count", "sum"))
        if not inner.tame:  # 1e308 + 3.0 - 1e308 depends on the order
            name = "count"
        return Expr(f"{name}(DISTINCT {inner.sql}){filtered}", "int", leeway=SUMMED)
    if form == "extreme":
        inner = maker.anything(1) if alone else maker.plain()
        return Expr(f"{r.choice(('min', 'max'))}({inner.sql}){filtered}", inner.family)
    if form == "concat":
        return _concatenated(maker, filtered, alone=alone)
    return _added(maker, form, filtered, alone=alone)


def _concatenated(maker: Maker, filtered: str, *, alone: bool) -> Expr:
    r = maker.r
    if not alone:
        return Expr(f"count(*){filtered}", "int")
    maker.text.kinds.add("group_concat")
    separator = r.choice(("", ", '; '", ", ''"))
    inner = maker.texts(1).sql if r.random() < 0.6 else maker.column("int", "real").sql
    if r.random() < 0.15:
        return Expr(f"group_concat(DISTINCT {inner}){filtered}", "text")
    if r.random() < 0.15:
        return Expr(f"group_concat({inner}{separator} ORDER BY {inner}){filtered}", "text")
    return Expr(f"group_concat({inner}{separator}){filtered}", "text")


def _added(maker: Maker, form: str, filtered: str, *, alone: bool) -> Expr:
    r = maker.r
    if form == "sum" and alone and r.random() < 0.1:
        odd = maker.column("any", "int", "text")  # integers may overflow
        return Expr(f"sum({odd.sql}){filtered}", "any", leeway=SUMMED)
    inner = maker.number(r.choice((0, 1, 2)), tame=True)
    leeway = EXACT if inner.family == "int" and form == "sum" else SUMMED
    if form == "case":
        maker.text.kinds.add("CASE")
        return Expr(
            f"sum(CASE WHEN {maker.truth(1)} THEN {inner.sql} ELSE 0 END){filtered}", "real", leeway=SUMMED
        )
    if form == "mixed":
        return r.choice(
            (
                Expr(f"round(avg({inner.sql}){filtered}, 2)", "real", leeway=_ROUNDED),
                Expr(f"sum({inner.sql}){filtered} * 1.0 / count(*)", "real", leeway=SUMMED),
                Expr(f"max({inner.sql}){filtered} - min({inner.sql})", "number"),
                Expr(f"100.0 * sum({inner.sql}){filtered} / (1 + count(*))", "real", leeway=SUMMED),
                Expr(f"coalesce(sum({inner.sql}){filtered}, 0)", "real", leeway=SUMMED),
            )
        )
    return Expr(f"{form}({inner.sql}){filtered}", inner.family if form == "sum" else "real", leeway=leeway)


def window(maker: Maker, key: Expr) -> Expr:
    """A window function; `key` has each value once, and ends each order that has to be total."""
    r, text = maker.r, maker.text
    over = maker.column("int", "text", "date")
    partition = f"PARTITION BY {maker.column('int', 'text').sql} " if r.random() < 0.6 else ""
    way = r.choice(("", " DESC"))
    total = f"OVER ({partition}ORDER BY {over.sql}{way}, {key.sql})"
    inner = maker.number(1, tame=True)
    form = r.choice(("rank", "number", "lag", "running", "whole", "frame", "value"))
    text.kinds.add(f"window {form}")
    if form == "rank":
        name = r.choice(("rank()", "dense_rank()", "percent_rank()", "cume_dist()"))
        return Expr(f"{name} OVER ({partition}ORDER BY {over.sql}{way})", "real")
    if form == "number":
        return Expr(f"{r.choice(('row_number()', 'row_number()', 'ntile(4)'))} {total}", "int")
    if form == "lag":
        rest = r.choice(("", ", 2", ", 1, 0"))
        return Expr(f"{r.choice(('lag', 'lead'))}({maker.anything(0).sql}{rest}) {total}", "any")
    if form == "running":
        name = r.choice(("sum", "avg", "count", "max"))
        inner = maker.plain() if name == "max" else inner
        return Expr(f"{name}({inner.sql}) {total}", "real", leeway=SUMMED)
    if form == "whole":
        name = r.choice(("sum", "avg", "count", "min"))
        inner = maker.plain() if name == "min" else inner
        return Expr(f"{name}({inner.sql}) OVER ({partition.strip()})", "real", leeway=SUMMED)
    if form == "frame":
        frame = r.choice(("ROWS BETWEEN 2 PRECEDING AND CURRENT ROW", "ROWS UNBOUNDED PRECEDING"))
        return Expr(f"{r.choice(('sum', 'avg'))}({inner.sql}) {total[:-1]} {frame})", "real", leeway=SUMMED)
    name = r.choice(("first_value", "last_value"))
    return Expr(f"{name}({maker.anything(0).sql}) {total}", "any")
