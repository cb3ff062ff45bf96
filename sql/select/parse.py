"""SQLite's grammar of SELECT, from tokens to a tree.

sqlglot's tree of a query leaves out what SQLite's meaning needs (a unary plus, NULLS LAST, names of functions), and
gives `||`, LIKE, IN and the operators on bits another precedence; its import would take longer than most queries.
So queries are read here, after sqlite.org/lang_expr.html, section 2. What is not known raises NotVectorizable.
The texts are those that SQLite has prepared: nothing is said of errors.
"""

from __future__ import annotations

from colonnade.sql.select import tree
from colonnade.sql.select.readexpr import Expressions
from colonnade.sql.select.vector import NotVectorizable
from colonnade.sql.tokens import Kind

_JOINS = frozenset({"NATURAL", "LEFT", "RIGHT", "FULL", "INNER", "CROSS", "JOIN"})
# Words that end a table or a result column, and so are no alias without AS.
_NO_ALIAS = _JOINS | frozenset(
    [
        "AS",
        "ON",
        "USING",
        "WHERE",
        "GROUP",
        "HAVING",
        "ORDER",
        "LIMIT",
        "OFFSET",
        "UNION",
        "INTERSECT",
        "EXCEPT",
        "WINDOW",
        "FROM",
        "INDEXED",
        "NOT",
        "RETURNING",
        "OUTER",
        "AND",
        "OR",
        "IN",
        "IS",
        "BETWEEN",
        "LIKE",
        "GLOB",
        "COLLATE",
        "THEN",
        "ELSE",
        "END",
        "WHEN",
        "ISNULL",
        "NOTNULL",
        "SELECT",
        "VALUES",
    ]
)


def parse_select(text: str) -> tree.Select:
    """The tree of a text that is one SELECT, WITH … SELECT or VALUES. Raises NotVectorizable."""
    parser = Parser(text)
    select = parser.select()
    parser.take(";")
    if parser.token.kind is not Kind.END:
        raise NotVectorizable(f"text from {parser.token.text!r} on")
    return tree.Select(
        select.cores,
        select.operators,
        select.tables,
        select.ordering,
        select.limit,
        select.offset,
        parser.parameters,
    )


class Parser(Expressions):
    """Recursive descent over the tokens of one text."""

    def select(self) -> tree.Select:
        tables = self._with()
        cores, operators = [self._core()], []
        while (operator := self._compound()) is not None:
            operators.append(operator)
            cores.append(self._core())
        ordering: tuple[tree.Ordering, ...] = ()
        if self.take("ORDER"):
            self.need("BY")
            ordering = self.orderings()
        limit = offset = None
        if self.take("LIMIT"):
            limit = self.expression()
            if self.take("OFFSET"):
                offset = self.expression()
            elif self.take(","):
                limit, offset = self.expression(), limit
        return tree.Select(tuple(cores), tuple(operators), tables, ordering, limit, offset)

    def _with(self) -> tuple[tree.Table, ...]:
        if not self.take("WITH"):
            return ()
        if self.take("RECURSIVE"):
            raise NotVectorizable("WITH RECURSIVE")
        tables = []
        while True:
            name = self.name()
            columns: tuple[str, ...] = ()
            if self.take("("):
                columns = self._names()
            self.need("AS")
            if self.take("NOT"):
                self.need("MATERIALIZED")
            else:
                self.take("MATERIALIZED")
            self.need("(")
            tables.append(tree.Table(name, columns, self.select()))
            self.need(")")
            if not self.take(","):
                return tuple(tables)

    def _names(self) -> tuple[str, ...]:
        names = [self.name()]
        while self.take(","):
            names.append(self.name())
        self.need(")")
        return tuple(names)

    def _compound(self) -> str | None:
        if self.take("UNION"):
            return "UNION ALL" if self.take("ALL") else "UNION"
        for word in ("INTERSECT", "EXCEPT"):
            if self.take(word):
                return word
        return None

    def _core(self) -> tree.Core:
        if self.take("VALUES"):
            rows = [self._row()]
            while self.take(","):
                rows.append(self._row())
            return tree.Core(rows=tuple(rows))
        self.need("SELECT")
        distinct = self.take("DISTINCT")
        if not distinct:
            self.take("ALL")
        items = [self._item()]
        while self.take(","):
            items.append(self._item())
        sources = self._sources() if self.take("FROM") else ()
        where = self.expression() if self.take("WHERE") else None
        groups: tuple[tree.Node, ...] = ()
        if self.take("GROUP"):
            self.need("BY")
            groups = self.list()
        having = self.expression() if self.take("HAVING") else None
        windows = []
        if self.take("WINDOW"):
            windows.append(self._named_window())
            while self.take(","):
                windows.append(self._named_window())
        return tree.Core(tuple(items), distinct, sources, where, groups, having, windows=tuple(windows))

    def _named_window(self) -> tuple[str, tree.Window]:
        name = self.name()
        self.need("AS")
        return name, self.window()

    def _row(self) -> tuple[tree.Node, ...]:
        self.need("(")
        row = self.list()
        self.need(")")
        return row

    def _item(self) -> tree.Item:
        if self.take("*"):
            return tree.Item(None)
        if self.token.is_name and self.ahead(1).key == "." and self.ahead(2).key == "*":
            table = self.name()
            self.need(".")
            self.need("*")
            return tree.Item(None, table=table)
        return tree.Item(self.expression(), self._alias())

    def _alias(self) -> str | None:
        if self.take("AS"):
            return self.name()
        token = self.token
        if token.kind in (Kind.QUOTED, Kind.STRING) or (
            token.kind is Kind.WORD and token.key not in _NO_ALIAS
        ):
            return self.name()
        return None

    def _sources(self) -> tuple[tree.Source, ...]:
        sources = [self._source("inner", natural=False)]
        while True:
            joined = self._join()
            if joined is None:
                return tuple(sources)
            sources.append(self._source(*joined))

    def _join(self) -> tuple[str, bool] | None:
        """The kind of join before the next source, and whether it is NATURAL; None where FROM ends."""
        if self.take(","):
            return "inner", False
        natural, kind = self.take("NATURAL"), "inner"
        for word in ("LEFT", "RIGHT", "FULL"):
            if self.take(word):
                kind = word.lower()
                self.take("OUTER")
        if kind == "inner":
            _ = self.take("INNER") or self.take("CROSS")
        if self.take("JOIN"):
            return kind, natural
        return None

    def _source(self, kind: str, natural: bool) -> tree.Source:
        name = schema = select = None
        if self.take("("):
            if self.token.key not in ("SELECT", "WITH", "VALUES"):
                raise NotVectorizable("a join in parentheses")
            select = self.select()
            self.need(")")
        else:
            name = self.name()
            if self.take("."):
                schema, name = name, self.name()
            if self.token.key == "(":
                raise NotVectorizable("a table-valued function")
        alias = self._alias()
        if self.token.key in ("INDEXED", "NOT"):
            raise NotVectorizable("INDEXED BY")
        on = None
        using: tuple[str, ...] = ()
        if self.take("ON"):
            on = self.expression()
        elif self.take("USING"):
            self.need("(")
            using = self._names()
        return tree.Source(name, schema, select, alias, kind, natural, on, using)
