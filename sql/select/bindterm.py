"""Expressions are bound: from syntax to terms, with the rules of comparison (sqlite.org/datatype3.html, 4.2, 7.1)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from colonnade.sql.affinity import Affinity, affinity_of
from colonnade.sql.objects import fold
from colonnade.sql.select import tree
from colonnade.sql.select.scope import Scope
from colonnade.sql.select.terms import (
    Aggregate,
    Column,
    Constant,
    Op,
    Parameter,
    Subquery,
    Term,
    Window,
    has,
    walk,
)
from colonnade.sql.select.vector import NotVectorizable

if TYPE_CHECKING:
    from colonnade.sql.select.bind import Binder
    from colonnade.sql.select.query import Query

AGGREGATES = frozenset({"count", "sum", "avg", "total", "min", "max"})
CONCATENATIONS = frozenset({"group_concat", "string_agg"})
_COLLATIONS = frozenset({"BINARY", "NOCASE", "RTRIM"})
_NUMERIC = frozenset({Affinity.INTEGER, Affinity.REAL, Affinity.NUMERIC})
COMPARISONS = frozenset({"=", "<>", "<", "<=", ">", ">=", "IS", "IS NOT"})
_ARITHMETIC = frozenset({"+", "-", "*", "/", "%", "||", "&", "|", "<<", ">>"})
_COLLATING = frozenset({"min", "max", "nullif"})  # functions that compare by the collation of an argument


def is_aggregated(term: Term) -> bool:
    return has(term, Aggregate)


def comparison_affinity(left: Affinity | None, right: Affinity | None) -> str | None:
    """What is applied to both sides: "numeric", "text" or nothing (expr.c, sqlite3CompareAffinity)."""
    if left is not None and right is not None:
        return "numeric" if left in _NUMERIC or right in _NUMERIC else None
    found = left if left is not None else right
    if found in _NUMERIC:
        return "numeric"
    return "text" if found is Affinity.TEXT else None


def conversions(left: Affinity | None, right: Affinity | None) -> tuple[str | None, str | None]:
    """What a comparison does to the values of either side; nothing to those that have the affinity already.

    What a column of numeric affinity holds as TEXT looks like no number, or it would be one.
    """
    applied = comparison_affinity(left, right)
    settled = _NUMERIC if applied == "numeric" else {Affinity.TEXT}
    return None if left in settled else applied, None if right in settled else applied


def comparison_collation(left: Term, right: Term) -> str:
    """The collation of a comparison (section 7.1)."""
    for term in (left, right):
        if term.collated and term.collation is not None:
            return term.collation
    return left.collation or right.collation or "BINARY"


def _chained(node: tree.Binary) -> list[tree.Node]:
    """What one operator joins: a AND b AND c is ((a AND b) AND c), and may be longer than Python calls deep."""
    parts: list[tree.Node] = []
    left: tree.Node = node
    while isinstance(left, tree.Binary) and left.op == node.op:
        parts.append(left.right)
        left = left.left
    return [left, *reversed(parts)]


def _as_list(terms: Sequence[Term]) -> Term | None:
    """a = 1 OR a = 2 OR … as a IN (1, 2, …), which they are with the same conversions; None for anything else."""
    first = terms[0]
    items: list[Term] = []
    for term in terms:
        same = (
            isinstance(term, Op) and isinstance(first, Op) and term.name == "=" and term.extra == first.extra
        )
        if not same or term.parts[0] != first.parts[0] or not isinstance(term.parts[1], Constant | Parameter):
            return None
        items.append(term.parts[1])
    return Op("in", (first.parts[0], *items), extra=terms[0].extra)  # type: ignore[attr-defined]


def _joined(name: str, terms: Sequence[Term]) -> Term:
    """Terms under AND or OR, in a tree that is as low as can be."""
    if len(terms) == 1:
        return terms[0]
    half = (len(terms) + 1) // 2
    return Op(name, (_joined(name, terms[:half]), _joined(name, terms[half:])))


class Terms:
    """Binds expressions in a scope."""

    def __init__(self, binder: Binder, scope: Scope) -> None:
        self._binder, self._scope = binder, scope

    def term(self, node: tree.Node) -> Term:
        """The meaning of an expression. Raises NotVectorizable."""
        method = getattr(self, f"_{type(node).__name__.lower()}")
        found: Term = method(node)
        return found

    def _literal(self, node: tree.Literal) -> Term:
        return Constant(node.value, type(node.value).__name__)

    def _parameter(self, node: tree.Parameter) -> Term:
        return Parameter(node.number, node.name)

    def _name(self, node: tree.Name) -> Term:
        found = self._scope.find(node.parts)
        if found is not None:
            return found
        word = node.parts[0].lower()
        if len(node.parts) == 1 and word in ("true", "false") and not node.quoted:
            return Constant(int(word == "true"), "int")
        raise NotVectorizable(f"the name {'.'.join(node.parts)}")

    def _unary(self, node: tree.Unary) -> Term:
        operand = self.term(node.operand)
        if node.op == "+":
            return Op("plus", (operand,), None, operand.collation, operand.collated)
        _refuse_collated(operand)
        return Op({"-": "negate", "NOT": "not", "~": "~"}[node.op], (operand,))

    def _binary(self, node: tree.Binary) -> Term:
        if node.op in ("AND", "OR"):
            terms = [self.term(part) for part in _chained(node)]
            listed = _as_list(terms) if node.op == "OR" else None
            return _joined(node.op.lower(), terms) if listed is None else listed
        left, right = self.term(node.left), self.term(node.right)
        if node.op in COMPARISONS:
            return self.compare(node.op, left, right)
        _refuse_collated(left, right)
        return Op(node.op, (left, right))

    def compare(self, op: str, left: Term, right: Term) -> Term:
        """left op right."""
        extra = (*conversions(left.affinity, right.affinity), comparison_collation(left, right))
        return Op(op, (left, right), extra=extra)

    def _match(self, node: tree.Match) -> Term:
        operands = [self.term(node.operand), self.term(node.pattern)]
        self._binder.functions.add(node.op.lower())
        if node.escape is not None:
            operands.append(self.term(node.escape))
        found = Op(node.op.lower(), tuple(operands))
        return Op("not", (found,)) if node.negated else found

    def _between(self, node: tree.Between) -> Term:
        operand = self.term(node.operand)
        low, high = self.term(node.low), self.term(node.high)
        found = Op("and", (self.compare(">=", operand, low), self.compare("<=", operand, high)))
        return Op("not", (found,)) if node.negated else found

    def _in(self, node: tree.In) -> Term:
        operand = self.term(node.operand)
        if node.items is not None:
            items = [self.term(item) for item in node.items]
            if not items:
                raise NotVectorizable("IN ()")
            extra = (*conversions(operand.affinity, None), operand.collation or "BINARY")
            found: Term = Op("in", (operand, *items), extra=extra)
        else:
            assert node.select is not None
            query = self._binder.query(node.select, self._scope)
            found = self._subquery("in", query, operand)
        return Op("not", (found,)) if node.negated else found

    def _subquery(self, kind: str, query: Query, operand: Term | None = None) -> Term:
        self._scope.outer |= {
            c for c in query.outer if c.source not in {s.number for s in self._scope.sources}
        }
        if kind == "exists":
            return Subquery(kind, query)
        if len(query.blocks[0].names) != 1:
            raise NotVectorizable("a subquery of several columns as a value")
        known = query.fields[0]
        if kind == "scalar":
            return Subquery(kind, query, None, known.affinity, known.collation)
        return Subquery(kind, query, operand)

    def _exists(self, node: tree.Exists) -> Term:
        return self._subquery("exists", self._binder.query(node.select, self._scope))

    def _scalar(self, node: tree.Scalar) -> Term:
        return self._subquery("scalar", self._binder.query(node.select, self._scope))

    def _case(self, node: tree.Case) -> Term:
        base = None if node.base is None else self.term(node.base)
        operands: list[Term] = []
        for condition, value in node.branches:
            test = self.term(condition)
            operands += [test if base is None else self.compare("=", base, test), self.term(value)]
        operands.append(Constant(None, "NoneType") if node.otherwise is None else self.term(node.otherwise))
        return Op("case", tuple(operands))

    def _cast(self, node: tree.Cast) -> Term:
        operand = self.term(node.operand)
        affinity = affinity_of(node.type_name) if node.type_name else Affinity.NUMERIC
        return Op("cast", (operand,), affinity, operand.collation, operand.collated, extra=affinity)

    def _collate(self, node: tree.Collate) -> Term:
        operand = self.term(node.operand)
        if node.collation not in _COLLATIONS:
            raise NotVectorizable(f"COLLATE {node.collation}")
        return Op("collate", (operand,), operand.affinity, node.collation, explicit=True)

    def _call(self, node: tree.Call) -> Term:
        name = node.name
        self._binder.functions.add(name)
        if node.ordering and (node.name not in CONCATENATIONS or node.over is not None):
            raise NotVectorizable("ORDER BY within an aggregate")
        operands = tuple(self.term(argument) for argument in node.arguments)
        if node.over is not None:
            return self._window(node, operands)
        if name in AGGREGATES and (node.star or len(operands) <= 1):
            return self._aggregate(node, operands)
        if name in CONCATENATIONS and not (node.distinct and node.ordering):
            return self._aggregate(node, operands)
        if node.star or node.distinct or node.condition is not None:
            raise NotVectorizable(f"{name}()")
        if name in ("coalesce", "ifnull") and len(operands) > 1:
            return Op("coalesce", operands)
        if name in ("iif", "if") and len(operands) == 3:
            return Op("case", operands)
        extra = None
        if name in _COLLATING:
            extra = (None, None, next((o.collation for o in operands if o.collation is not None), "BINARY"))
        else:
            _refuse_collated(*operands)
        return Op(f"{name}()", operands, extra=extra)

    def _window(self, node: tree.Call, operands: tuple[Term, ...]) -> Term:
        if node.distinct or any(has(operand, Window) for operand in operands):
            raise NotVectorizable("a window function of a window function, or DISTINCT")
        window = self._resolved(node.over or tree.Window())
        partition = tuple(self.term(each) for each in window.partition)
        ordering = tuple((self.term(o.term), o.descending, o.nulls_first) for o in window.ordering)
        for term in (*partition, *(term for term, *_ in ordering)):
            if (term.collation or "BINARY") != "BINARY":
                raise NotVectorizable("a window by a collation")
        if node.name in ("min", "max") and operands and (operands[0].collation or "BINARY") != "BINARY":
            raise NotVectorizable(f"{node.name}() by a collation")
        frame = None if window.frame is None else (window.frame.kind, window.frame.start, window.frame.end)
        condition = None if node.condition is None else self.term(node.condition)
        return Window(node.name, operands, partition, ordering, frame, condition)

    def _resolved(self, window: tree.Window) -> tree.Window:
        """A window with what it takes over from those that it names."""
        if window.base is None:
            return window
        found = self._scope.windows.get(fold(window.base))
        if found is None:
            raise NotVectorizable(f"the window {window.base}")
        base = self._resolved(found)
        if not (window.partition or window.ordering or window.frame):
            return base
        return tree.Window(None, base.partition, window.ordering or base.ordering, window.frame)

    def _aggregate(self, node: tree.Call, operands: tuple[Term, ...]) -> Term:
        if not operands and node.name != "count":
            raise NotVectorizable(f"{node.name}()")
        condition = None if node.condition is None else self.term(node.condition)
        ordering = tuple((self.term(o.term), o.descending, o.nulls_first) for o in node.ordering)
        parts = [*operands, *(term for term, *_ in ordering)]
        if condition is not None:
            parts.append(condition)
        if any(is_aggregated(part) for part in parts):
            raise NotVectorizable("an aggregate of an aggregate")
        columns = {p for part in parts for p in walk(part) if isinstance(p, Column)}
        here = {source.number for source in self._scope.sources}
        if any(column.source not in here for column in columns):
            raise NotVectorizable("an aggregate of columns from outside")
        if node.name in ("min", "max") and (operands[0].collation or "BINARY") != "BINARY":
            raise NotVectorizable(f"{node.name}() by a collation")
        if node.distinct and (operands[0].collation or "BINARY") != "BINARY":
            raise NotVectorizable("DISTINCT by a collation")
        if any((term.collation or "BINARY") != "BINARY" for term, *_ in ordering):
            raise NotVectorizable("an order within an aggregate by a collation")
        return Aggregate(node.name, operands, node.distinct, condition, ordering)


def _refuse_collated(*terms: Term) -> None:
    """A COLLATE deep in an expression counts for comparisons of all of it (expr.c, EP_Collate)."""
    if any(term.collated for term in terms):
        raise NotVectorizable("COLLATE within an expression")
