"""SQLite's grammar of expressions: operators by precedence, functions, literals and parameters.

Precedence from low to high (sqlite.org/lang_expr.html, section 2): OR; AND; NOT; = IS IN LIKE BETWEEN …;
< <= > >=; & | << >>; + -; * / %; ||; COLLATE; unary - + ~. All but NOT and the unary ones are left-associative.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import TYPE_CHECKING

from colonnade.sql.select import tree
from colonnade.sql.select.vector import NotVectorizable
from colonnade.sql.tokens import Kind, Token, tokens, whole_number

if TYPE_CHECKING:
    from colonnade.sql.select.tree import Select

_RESERVED = frozenset(
    [
        "ADD",
        "ALL",
        "ALTER",
        "AND",
        "AS",
        "BETWEEN",
        "CASE",
        "CHECK",
        "COLLATE",
        "COMMIT",
        "CONSTRAINT",
        "CREATE",
        "DEFAULT",
        "DEFERRABLE",
        "DELETE",
        "DISTINCT",
        "DROP",
        "ELSE",
        "ESCAPE",
        "EXCEPT",
        "EXISTS",
        "FOREIGN",
        "FROM",
        "GROUP",
        "HAVING",
        "IN",
        "INDEX",
        "INSERT",
        "INTERSECT",
        "INTO",
        "IS",
        "ISNULL",
        "JOIN",
        "LIMIT",
        "NOT",
        "NOTNULL",
        "NULL",
        "ON",
        "OR",
        "ORDER",
        "PRIMARY",
        "REFERENCES",
        "RETURNING",
        "SELECT",
        "SET",
        "TABLE",
        "THEN",
        "TO",
        "TRANSACTION",
        "UNION",
        "UNIQUE",
        "UPDATE",
        "USING",
        "VALUES",
        "WHEN",
        "WHERE",
        "CURRENT_DATE",
        "CURRENT_TIME",
        "CURRENT_TIMESTAMP",
    ]
)
_LEVELS: tuple[dict[str, str], ...] = (
    {"<": "<", "<=": "<=", ">": ">", ">=": ">="},
    {"&": "&", "|": "|", "<<": "<<", ">>": ">>"},
    {"+": "+", "-": "-"},
    {"*": "*", "/": "/", "%": "%"},
    {"||": "||"},
)
_EQUALITIES = {"=": "=", "==": "=", "<>": "<>", "!=": "<>"}
_FRAMES = frozenset({"ROWS", "RANGE", "GROUPS"})
_WINDOW_WORDS = _FRAMES | {"PARTITION", "ORDER"}
_DEEPEST = 40  # parentheses within parentheses: some 12 frames of Python each
_INT64 = 1 << 63
_SQLITES_DIGITS = 19  # that SQLite reads of a number before it scales and rounds
_SURE_DIGITS = 17  # that SQLite and Python read as the same number


class Expressions:
    """A reader of tokens that knows expressions; `select` is the subclass's."""

    def __init__(self, text: str) -> None:
        self._tokens = list(tokens(text))
        self._at = self._depth = 0
        self.parameters = 0
        self._named: dict[str, int] = {}

    # --- tokens -------------------------------------------------------------------------------------------

    @property
    def token(self) -> Token:
        return self._tokens[self._at]

    def ahead(self, count: int) -> Token:
        return self._tokens[min(self._at + count, len(self._tokens) - 1)]

    def take(self, key: str) -> bool:
        """Goes past the next token if it is this keyword or operator."""
        if self.token.key != key:
            return False
        self._at += 1
        return True

    def need(self, key: str) -> None:
        if not self.take(key):
            raise NotVectorizable(f"{self.token.text!r} in place of {key}")

    def name(self) -> str:
        token = self.token
        if not token.is_name or (token.kind is Kind.WORD and token.key in _RESERVED):
            raise NotVectorizable(f"{token.text!r} in place of a name")
        self._at += 1
        return token.name

    def select(self) -> Select:
        raise AssertionError

    # --- expressions --------------------------------------------------------------------------------------

    def list(self) -> tuple[tree.Node, ...]:
        found = [self.expression()]
        while self.take(","):
            found.append(self.expression())
        return tuple(found)

    def orderings(self) -> tuple[tree.Ordering, ...]:
        found = []
        while True:
            term = self.expression()
            descending = self.take("DESC")
            if not descending:
                self.take("ASC")
            nulls_first = not descending  # NULL is below everything
            if self.take("NULLS"):
                nulls_first = self.take("FIRST")
                if not nulls_first:
                    self.need("LAST")
            found.append(tree.Ordering(term, descending, nulls_first))
            if not self.take(","):
                return tuple(found)

    def expression(self) -> tree.Node:
        self._depth += 1
        if self._depth > _DEEPEST:
            raise NotVectorizable("an expression of that depth")
        left = self._and()
        while self.take("OR"):
            left = tree.Binary("OR", left, self._and())
        self._depth -= 1
        return left

    def _and(self) -> tree.Node:
        left = self._not()
        while self.take("AND"):
            left = tree.Binary("AND", left, self._not())
        return left

    def _not(self) -> tree.Node:
        if self.token.key == "NOT" and self.ahead(1).key != "EXISTS":
            self._at += 1
            return tree.Unary("NOT", self._not())
        if self.take("NOT"):
            return tree.Unary("NOT", self._equality())
        return self._equality()

    def _equality(self) -> tree.Node:
        left = self._level(0)
        while True:
            found = self._equality_operator(left)
            if found is None:
                return left
            left = found

    def _equality_operator(self, left: tree.Node) -> tree.Node | None:
        key = self.token.key
        if key in _EQUALITIES:
            self._at += 1
            return tree.Binary(_EQUALITIES[key], left, self._level(0))
        if key == "IS":
            self._at += 1
            return self._is(left)
        if key in ("ISNULL", "NOTNULL"):
            self._at += 1
            return tree.Binary("IS" if key == "ISNULL" else "IS NOT", left, tree.Literal(None))
        negated = key == "NOT"
        if negated:
            key = self.ahead(1).key
            if key not in _PREDICATES:
                return None
            self._at += 1
        predicate = _PREDICATES.get(key)
        if predicate is None:
            return None
        self._at += 1
        return predicate(self, left, negated)

    def _is(self, left: tree.Node) -> tree.Node:
        negated = self.take("NOT")
        if self.take("DISTINCT"):
            self.need("FROM")
            negated = not negated
        right = self._level(0)
        if isinstance(right, tree.Name) and right.parts[-1].lower() in ("true", "false"):
            raise NotVectorizable("IS with TRUE or FALSE")  # a question of truth, not of equality
        return tree.Binary("IS NOT" if negated else "IS", left, right)

    def _between(self, left: tree.Node, negated: bool) -> tree.Node:
        low = self._level(0)
        self.need("AND")
        return tree.Between(left, low, self._level(0), negated)

    def _in(self, left: tree.Node, negated: bool) -> tree.Node:
        self.need("(")
        if self.token.key in ("SELECT", "WITH", "VALUES"):
            select = self.select()
            self.need(")")
            return tree.In(left, None, select, negated)
        items = () if self.token.key == ")" else self.list()
        self.need(")")
        return tree.In(left, items, None, negated)

    def _match(self, op: str) -> Callable[[tree.Node, bool], tree.Node]:
        def read(left: tree.Node, negated: bool) -> tree.Node:
            pattern = self._level(0)
            escape = self._level(0) if self.take("ESCAPE") else None
            return tree.Match(op, left, pattern, escape, negated)

        return read

    def _is_null(self, left: tree.Node, negated: bool) -> tree.Node:
        return tree.Binary("IS NOT" if negated else "IS", left, tree.Literal(None))

    def _level(self, number: int) -> tree.Node:
        """Binary operators of the level and all above it."""
        if number == len(_LEVELS):
            return self._collated()
        operators = _LEVELS[number]
        left = self._level(number + 1)
        while self.token.kind is Kind.OPERATOR and self.token.key in operators:
            op = operators[self.token.key]
            self._at += 1
            left = tree.Binary(op, left, self._level(number + 1))
        return left

    def _collated(self) -> tree.Node:
        left = self._unary()
        while self.take("COLLATE"):
            left = tree.Collate(left, self.name().upper())
        return left

    def _unary(self) -> tree.Node:
        key = self.token.key
        if key in ("-", "+", "~"):
            self._at += 1
            if key == "-" and self.token.kind is Kind.NUMBER:
                return tree.Literal(self._number(negative=True))
            return tree.Unary(key, self._unary())
        return self._primary()

    def _primary(self) -> tree.Node:
        token = self.token
        if token.kind is Kind.NUMBER:
            return tree.Literal(self._number(negative=False))
        if token.kind is Kind.STRING and self.ahead(1).key not in (".", "("):
            self._at += 1
            return tree.Literal(token.name)
        if token.kind is Kind.BLOB:
            self._at += 1
            return tree.Literal(bytes.fromhex(token.text[2:-1]))
        if token.kind is Kind.VARIABLE:
            self._at += 1
            return self._parameter(token.text)
        if token.key == "(":
            return self._parentheses()
        special = _SPECIAL.get(token.key) if token.kind is Kind.WORD else None
        if special is not None:
            self._at += 1
            return special(self)
        return self._named_value()

    def _number(self, *, negative: bool) -> int | float:
        text = self.token.text.replace("_", "")
        self._at += 1
        if text[:2] in ("0x", "0X"):
            raise NotVectorizable("a hexadecimal number")
        if text.isdigit():
            value = -whole_number(text) if negative else whole_number(text)
            if -_INT64 <= value < _INT64:
                return value
            if abs(value) < 10**_SQLITES_DIGITS:
                return float(value)
        elif len(text.strip("0.")) <= _SURE_DIGITS:
            return -float(text) if negative else float(text)
        raise NotVectorizable("a number of so many digits")  # which SQLite may round in another way

    def _parameter(self, text: str) -> tree.Node:
        if text[0] == "?":
            number = whole_number(text[1:]) if len(text) > 1 else self.parameters + 1
            name = None
        else:
            number = self._named.setdefault(text, self.parameters + 1)
            name = text[1:]
        self.parameters = max(self.parameters, number)
        return tree.Parameter(number, name)

    def _parentheses(self) -> tree.Node:
        self.need("(")
        if self.token.key in ("SELECT", "WITH", "VALUES"):
            found: tree.Node = tree.Scalar(self.select())
        else:
            found = self.expression()
            if self.token.key == ",":
                raise NotVectorizable("a row value")
        self.need(")")
        return found

    def _named_value(self) -> tree.Node:
        token = self.token
        if token.kind is Kind.WORD and self.ahead(1).key == "(":
            return self._call()
        parts = [self.name()]
        while self.take("."):
            token = self.token
            parts.append(self.name())
        return tree.Name(tuple(parts), token.kind is Kind.QUOTED and token.text[0] == '"')

    def _call(self) -> tree.Node:
        name = self.token.text.lower()
        self._at += 1
        self.need("(")
        if self.take("*"):
            self.need(")")
            return self._tail(tree.Call(name, (), star=True))
        distinct = self.take("DISTINCT")
        arguments = () if self.token.key == ")" else self.list()
        ordering: tuple[tree.Ordering, ...] = ()
        if self.take("ORDER"):
            self.need("BY")
            ordering = self.orderings()
        self.need(")")
        return self._tail(tree.Call(name, arguments, distinct, ordering=ordering))

    def _tail(self, call: tree.Call) -> tree.Node:
        if self.take("FILTER"):
            self.need("(")
            self.need("WHERE")
            condition = self.expression()
            self.need(")")
            call = replace(call, condition=condition)
        if not self.take("OVER"):
            return call
        window = self.window() if self.token.key == "(" else tree.Window(base=self.name())
        return replace(call, over=window)

    def window(self) -> tree.Window:
        """A window in parentheses."""
        self.need("(")
        base = None
        if self.token.is_name and self.token.key not in _WINDOW_WORDS:
            base = self.name()
        partition: tuple[tree.Node, ...] = ()
        if self.take("PARTITION"):
            self.need("BY")
            partition = self.list()
        ordering: tuple[tree.Ordering, ...] = ()
        if self.take("ORDER"):
            self.need("BY")
            ordering = self.orderings()
        frame = self._frame() if self.token.key in _FRAMES else None
        self.need(")")
        return tree.Window(base, partition, ordering, frame)

    def _frame(self) -> tree.Frame:
        kind = self.token.key
        self._at += 1
        if self.take("BETWEEN"):
            start = self._bound("PRECEDING")
            self.need("AND")
            end = self._bound("FOLLOWING")
        else:
            start, end = self._bound("PRECEDING"), 0
        if self.token.key == "EXCLUDE":
            raise NotVectorizable("EXCLUDE")
        return tree.Frame(kind, start, end)

    def _bound(self, outward: str) -> int | None:
        """How far a frame goes: None to the end of the partition."""
        if self.take("UNBOUNDED"):
            self.need(outward)
            return None
        if self.take("CURRENT"):
            self.need("ROW")
            return 0
        if self.token.kind is not Kind.NUMBER or not self.token.text.isdigit():
            raise NotVectorizable("a bound of a frame that is no number")
        distance = whole_number(self.token.text)
        if distance >= _INT64:
            raise NotVectorizable("a bound of a frame that is no number")
        self._at += 1
        if self.take("PRECEDING"):
            return -distance
        self.need("FOLLOWING")
        return distance

    def _case(self) -> tree.Node:
        base = None if self.token.key == "WHEN" else self.expression()
        branches, otherwise = [], None
        while self.take("WHEN"):
            condition = self.expression()
            self.need("THEN")
            branches.append((condition, self.expression()))
        if self.take("ELSE"):
            otherwise = self.expression()
        self.need("END")
        return tree.Case(base, tuple(branches), otherwise)

    def _cast(self) -> tree.Node:
        self.need("(")
        operand = self.expression()
        self.need("AS")
        words, depth = [], 0
        while depth or self.token.key != ")":
            if self.token.kind is Kind.END:
                raise NotVectorizable("CAST without an end")
            depth += {"(": 1, ")": -1}.get(self.token.key, 0)
            words.append(self.token.text)
            self._at += 1
        self.need(")")
        return tree.Cast(operand, " ".join(words))

    def _exists(self) -> tree.Node:
        self.need("(")
        select = self.select()
        self.need(")")
        return tree.Exists(select)


_PREDICATES: dict[str, Callable[[Expressions, tree.Node, bool], tree.Node]] = {
    "BETWEEN": Expressions._between,
    "IN": Expressions._in,
    "LIKE": lambda reader, left, negated: reader._match("LIKE")(left, negated),
    "GLOB": lambda reader, left, negated: reader._match("GLOB")(left, negated),
    "NULL": Expressions._is_null,  # NOT NULL; nothing else has NULL here
}
_SPECIAL: dict[str, Callable[[Expressions], tree.Node]] = {
    "NULL": lambda _: tree.Literal(None),
    "CASE": Expressions._case,
    "CAST": Expressions._cast,
    "EXISTS": Expressions._exists,
}
