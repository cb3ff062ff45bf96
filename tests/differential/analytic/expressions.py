"""Random expressions as analysts write them, over columns whose families are known."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from random import Random
from typing import Any

from tests.differential.analytic.world import KINDS
from tests.differential.likeness import EXACT, Leeway
from tests.differential.values import Value, literal

_TYPES = ("INTEGER", "REAL", "TEXT", "NUMERIC", "BLOB", "DECIMAL(10,2)", "VARCHAR(5)")
_PATTERNS = ("a%", "%e%", "%R", "_ear", "%a_b%", "%50!%%", "F%", "%é%", "199%", "%-01-%", "zebra", "%", "")
_GLOBS = ("a*", "*e*", "[A-P]*", "?ear", "*[0-9]", "199?-*", "*", "[^a-z]*")
_MOVES = (
    "+1 day",
    "-90 days",
    "+3 months",
    "-1 year",
    "start of month",
    "start of year",
    "+1 month",
    "+12 hours",
    "weekday 1",
)
_FORMATS = ("%Y", "%m", "%Y-%m", "%d", "%w", "%j", "%H", "%Y-%m-%d", "%s", "%W", "%H:%M")
_BARS = (0, 1, 2, 3, 5, 10, 100, 500)


@dataclass(frozen=True, slots=True)
class Expr:
    """An expression.

    family   what its values are: int, real, text, date or any
    tame     whether they can be added up in any order
    kind     of the column that it is, and `samples`, some values of it
    """

    sql: str
    family: str
    tame: bool = True
    kind: str = ""
    leeway: Leeway = EXACT
    samples: tuple[Value, ...] = ()


@dataclass(slots=True)
class Text:
    """The random numbers of a query, its parameters, and the constructs in it.

    Values given as parameters stand in the text as \\x01 number \\x01 until `render` gives them their form.
    """

    r: Random
    values: list[Value] = field(default_factory=list)
    kinds: set[str] = field(default_factory=set)
    style: str = ""
    names: int = 0

    def __post_init__(self) -> None:
        self.style = self.r.choice(("", "", "", "", "?", "?N", ":p", "@p", "$p"))

    def value(self, value: Value) -> str:
        if not self.style or value is None or self.r.random() < 0.4:
            return literal(value)
        self.values.append(value)
        self.kinds.add("parameter")
        return f"\x01{len(self.values) - 1}\x01"

    def name(self, prefix: str) -> str:
        self.names += 1
        return f"{prefix}{self.names}"

    def render(self, template: str) -> tuple[str, Any]:
        """The text with its parameters, and what to bind."""
        pieces = template.split("\x01")
        used = [int(piece) for piece in pieces[1::2]]
        if not used:
            return template, ()
        if self.style in ("?", "?N"):
            numbers = list(dict.fromkeys(used)) if self.style == "?N" else used
            places = ["?" if self.style == "?" else f"?{numbers.index(number) + 1}" for number in used]
            bound: Any = tuple(self.values[number] for number in numbers)
        else:
            places = [f"{self.style}{number}" for number in used]
            bound = {f"p{number}": self.values[number] for number in used}
        pieces[1::2] = places
        return "".join(pieces), bound


def _wider(one: Expr, other: Expr) -> str:
    """The family of numbers of both."""
    return "real" if "real" in (one.family, other.family) else one.family


class Maker:
    """Makes expressions over the columns of a scope.

    subquery   makes the text of a query of one column of a family that may refer to the scope; None inside one
    """

    def __init__(
        self, text: Text, scope: Sequence[Expr], subquery: Callable[[str, Sequence[Expr]], str] | None = None
    ) -> None:
        self.text, self.r, self.scope, self.subquery = text, text.r, list(scope), subquery

    def column(self, *families: str) -> Expr:
        """A column of one of the families, if there is one; now and then any."""
        fitting = [column for column in self.scope if column.family in families]
        if not fitting or self.r.random() < 0.03:
            return self.r.choice(self.scope)
        return self.r.choice(fitting)

    def plain(self, family: str = "") -> Expr:
        """A column of which equal values are the same, of a family if there is one; else a number."""
        plain = [column for column in self.scope if column.kind in ("small", "flag", "date", "stamp")]
        plain = [column for column in plain if column.family == family] or plain
        return self.r.choice(plain) if plain else Expr("1", "int")

    def like_in(self, column: Expr) -> str:
        """A value that the column has, or could have."""
        return self.text.value(self.sample(column))

    def sample(self, column: Expr) -> Value:
        if column.samples and self.r.random() < 0.9:
            return self.r.choice(column.samples)
        if not column.kind:
            return self.r.choice((0, 1, 5, "A", "apple", 2.5))
        return KINDS[column.kind].value(self.r)

    # --- numbers -------------------------------------------------------------------------------------------

    def number(self, depth: int = 2, *, whole: bool = False, tame: bool = False) -> Expr:
        """A number; `whole`: an integer; `tame`: of columns that can be added up in any order."""
        r = self.r
        if depth <= 0 or r.random() < 0.35:
            found = self.column(*(("int",) if whole else ("int", "real")))
            if tame and not (found.tame and found.family in ("int", "real")):
                safe = [c for c in self.scope if c.tame and c.family in ("int", "real")]
                return r.choice(safe) if safe else Expr("1", "int")
            return found
        make = r.choice(
            (self._sum, self._sum, self._sum, self._divided, self._scalar, self._case_number, self._measure)
        )
        return make(depth, whole, tame)

    def _sum(self, depth: int, whole: bool, tame: bool) -> Expr:
        left, right = (
            self.number(depth - 1, whole=whole, tame=tame),
            self.number(depth - 2, whole=whole, tame=tame),
        )
        self.text.kinds.add("arithmetic")
        if self.r.random() < 0.4:
            bar = self.text.value(self.r.choice((1, 2, 3, 10) if whole else (1, 2, 0.5, 1.1, 100, 0.05)))
            right = Expr(bar, "int" if whole else "real")
            if self.r.random() < 0.3:
                left, right = right, left
        operator = self.r.choice("+-*")
        family = _wider(left, right)
        return Expr(f"({left.sql} {operator} {right.sql})", family, left.tame and right.tame)

    def _divided(self, depth: int, whole: bool, tame: bool) -> Expr:
        left = self.number(depth - 1, whole=whole, tame=tame)
        constant = self.r.choice((2, 3, 7, 0, 2.0, 10))
        right = self.r.choice(
            (
                Expr(self.text.value(constant), "real" if isinstance(constant, float) else "int"),
                self.number(0, whole=True, tame=tame),
            )
        )
        self.text.kinds.add("division")
        family = _wider(left, right)
        if self.r.random() < 0.4:
            return Expr(f"({left.sql} % {right.sql})", family, left.tame)
        return Expr(f"{left.sql} / {right.sql}", family, left.tame)

    def _scalar(self, depth: int, whole: bool, tame: bool) -> Expr:
        inner = self.number(depth - 1, whole=whole, tame=tame)
        self.text.kinds.add("number function")
        other = self.number(depth - 2, whole=whole, tame=tame)
        form = self.r.choice(
            (
                f"abs({inner.sql})",
                f"round({inner.sql})" if not whole else f"abs({inner.sql})",
                f"round({inner.sql}, {self.r.choice((0, 1, 2))})" if not whole else f"(-{inner.sql})",
                f"coalesce({inner.sql}, 0)",
                f"ifnull({inner.sql}, {other.sql})",
                f"nullif({inner.sql}, {self.text.value(self.r.choice(_BARS))})",
                f"max({inner.sql}, {other.sql})",
                f"min({inner.sql}, {other.sql}, 5)",
                f"(-{inner.sql})",
                f"CAST({inner.sql} AS {self.r.choice(('INTEGER', 'REAL', 'NUMERIC'))})",
            )
        )
        family = "real" if form.startswith(("round", "CAST")) else _wider(inner, other)
        return Expr(form, family, inner.tame and other.tame)

    def _case_number(self, depth: int, whole: bool, tame: bool) -> Expr:
        self.text.kinds.add("CASE")
        then, other = (
            self.number(depth - 1, whole=whole, tame=tame),
            self.number(depth - 2, whole=whole, tame=tame),
        )
        last = self.r.choice(("", f" ELSE {other.sql}", " ELSE 0"))
        if self.r.random() < 0.2:
            return Expr(
                f"iif({self.truth(depth - 1)}, {then.sql}, {other.sql})",
                _wider(then, other),
                then.tame and other.tame,
            )
        form = f"CASE WHEN {self.truth(depth - 1)} THEN {then.sql}{last} END"
        return Expr(form, _wider(then, other), then.tame and other.tame)

    def _measure(self, depth: int, whole: bool, tame: bool) -> Expr:
        self.text.kinds.add("length, date parts")
        if self.r.random() < 0.5:
            return Expr(f"length({self.texts(depth - 1).sql})", "int")
        stamp = self.column("date").sql
        if whole or self.r.random() < 0.5:
            return Expr(f"CAST(strftime('{self.r.choice(('%Y', '%m', '%d'))}', {stamp}) AS INTEGER)", "int")
        return Expr(f"julianday({stamp})", "real")

    # --- texts and dates -----------------------------------------------------------------------------------

    def texts(self, depth: int = 2) -> Expr:
        r = self.r
        if depth <= 0 or r.random() < 0.45:
            return self.column("text", "text", "date")
        inner = self.texts(depth - 1)
        self.text.kinds.add("text function")
        form = r.choice(
            (
                f"upper({inner.sql})",
                f"lower({inner.sql})",
                f"substr({inner.sql}, {r.choice((1, 1, 2, 0, -2))}, {r.choice((1, 2, 4, 3))})",
                f"substr({inner.sql}, {r.choice((1, 2, -3))})",
                f"({inner.sql} || {self.text.value(r.choice(('-', 'x', '', 'é')))})",
                f"({inner.sql} || {self.anything(depth - 1).sql})",
                f"coalesce({inner.sql}, {self.text.value(r.choice(('none', '')))})",
                f"trim({inner.sql})",
                f"replace({inner.sql}, 'a', 'b')",
                f"CASE WHEN {self.truth(depth - 1)} THEN {inner.sql} ELSE 'other' END",
                f"CASE {inner.sql} WHEN {self.like_in(inner)} THEN 'first' WHEN 'F' THEN 'second' END",
                f"CAST({self.number(depth - 1).sql} AS TEXT)",
                f"typeof({self.anything(0).sql})",
                f"nullif({inner.sql}, {self.like_in(inner)})",
            )
        )
        return Expr(form, "text")

    def date(self, depth: int = 2) -> Expr:
        r, stamp = self.r, self.column("date")
        if r.random() < 0.4:
            return stamp
        self.text.kinds.add("date function")
        move = f", '{r.choice(_MOVES)}'" if r.random() < 0.4 else ""
        form = r.choice(
            (
                f"date({stamp.sql}{move})",
                f"strftime('{r.choice(_FORMATS)}', {stamp.sql}{move})",
                f"strftime('{r.choice(('%Y', '%Y-%m'))}', {stamp.sql})",
                f"datetime({stamp.sql}{move})",
                f"substr({stamp.sql}, 1, {r.choice((4, 7, 10))})",
                f"time({stamp.sql})",
            )
        )
        return Expr(form, "date")

    def anything(self, depth: int = 2) -> Expr:
        r = self.r
        roll = r.random()
        if roll < 0.03:
            self.text.kinds.add("CAST")
            inner = self.anything(depth - 1) if depth > 0 else self.column("any")
            return Expr(f"CAST({inner.sql} AS {r.choice(_TYPES)})", "any", tame=False)
        if roll < 0.08:
            return self.column("any")
        if roll < 0.5:
            return self.number(depth)
        return self.texts(depth) if roll < 0.8 else self.date(depth)

    # --- conditions ----------------------------------------------------------------------------------------

    def truth(self, depth: int = 2) -> str:
        r = self.r
        if depth > 0 and r.random() < 0.3:
            left, right = self.truth(depth - 1), self.truth(depth - 1)
            self.text.kinds.add("AND, OR")
            return f"({left} {r.choice(('AND', 'OR'))} {right})"
        if depth > 0 and r.random() < 0.06:
            return f"NOT ({self.truth(depth - 1)})"
        if depth > 0 and self.subquery is not None and r.random() < 0.12:
            return self._with_subquery(depth)
        return r.choice(
            (self._compared, self._compared, self._between, self._listed, self._pattern, self._null)
        )(depth)

    def _compared(self, depth: int) -> str:
        r = self.r
        left = self.anything(depth - 1)
        operator = r.choice(
            ("<", ">", "<=", ">=", "<", ">", ">=", "=", "=", "<>", "!=", "==", "IS", "IS NOT", "IS NOT")
        )
        self.text.kinds.add("IS" if "IS" in operator else "comparison")
        if r.random() < 0.65:
            right = self.like_in(left) if left.kind else self.text.value(self._plain(left.family))
        else:
            right = {"text": self.texts, "date": self.date}.get(left.family, self.number)(depth - 1).sql
        if r.random() < 0.04 and left.family == "text":
            right += f" COLLATE {r.choice(('NOCASE', 'BINARY', 'RTRIM'))}"
        return f"{left.sql} {operator} {right}"

    def _plain(self, family: str) -> Value:
        r = self.r
        if family == "text":
            return r.choice(("A", "apple", "fig", "other", "m", ""))
        if family == "date":
            return r.choice(("1995", "1994-06", "1995-03-15", "1996-01-01 12:00:00", "06"))
        return r.choice((*_BARS, -1, 2.5, 0.5))

    def _between(self, depth: int) -> str:
        self.text.kinds.add("BETWEEN")
        left = self.column("int", "real", "date", "date", "text")
        denial = "NOT " if self.r.random() < 0.15 else ""
        bounds = [self.sample(left), self.sample(left)]
        if self.r.random() < 0.95:  # else most likely none is between them
            bounds.sort(
                key=lambda bound: (
                    isinstance(bound, (str, bytes)),
                    str(bound) if isinstance(bound, (str, bytes)) else bound or 0,
                )
            )
        low, high = map(self.text.value, bounds)
        return f"{left.sql} {denial}BETWEEN {low} AND {high}"

    def _listed(self, depth: int) -> str:
        self.text.kinds.add("IN list")
        left = self.column("int", "text", "date") if self.r.random() < 0.85 else self.anything(depth - 1)
        many = self.r.random() < 0.15  # as many as are looked up in a set
        items = [self.like_in(left) for _ in range(self.r.randint(16, 24) if many else self.r.randint(1, 4))]
        if many and self.r.random() < 0.5:
            items[-1] = self.text.value(self.r.choice((0.0, 1.5, 1e300, 2**53 + 1, "1", "apple")))
        if self.r.random() < 0.05:
            items.append("NULL")
        if self.r.random() < 0.1:
            return f"({' OR '.join(f'{left.sql} = {item}' for item in items)})"
        return f"{left.sql} {'NOT ' if self.r.random() < 0.25 else ''}IN ({', '.join(items)})"

    def _pattern(self, depth: int) -> str:
        left, denial = self.texts(depth - 1), "NOT " if self.r.random() < 0.2 else ""
        if self.r.random() < 0.25:
            self.text.kinds.add("GLOB")
            return f"{left.sql} {denial}GLOB {self.text.value(self.r.choice(_GLOBS))}"
        self.text.kinds.add("LIKE")
        pattern = self.r.choice(_PATTERNS)
        escape = " ESCAPE '!'" if "!" in pattern else ""
        return f"{left.sql} {denial}LIKE {self.text.value(pattern)}{escape}"

    def _null(self, depth: int) -> str:
        self.text.kinds.add("IS NULL")
        left = (
            self.column("any", "int", "real", "text", "date")
            if self.r.random() < 0.8
            else self.anything(depth - 1)
        )
        return f"{left.sql} {self.r.choice(('IS NULL', 'IS NOT NULL', 'NOTNULL', 'ISNULL'))}"

    def _with_subquery(self, depth: int) -> str:
        assert self.subquery is not None
        r, left = self.r, self.column("int", "int", "text")
        form = r.choice(("in", "in", "exists", "compared"))
        denial = "NOT " if r.random() < 0.35 else ""
        if form == "in":
            self.text.kinds.add("IN subquery")
            return f"{left.sql} {denial}IN ({self.subquery(f'list {left.family}', [])})"
        if form == "exists":
            self.text.kinds.add("EXISTS")
            return f"{denial}EXISTS ({self.subquery('exists', self.scope)})"
        self.text.kinds.add("scalar subquery")
        inner = self.subquery("value", self.scope if r.random() < 0.5 else [])
        return f"{self.number(1).sql} {r.choice(('<', '>', '>='))} ({inner})"
