"""Names are bound: from the tree of a query to sources, terms and blocks."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from itertools import count

from colonnade.sql.objects import Schema, TableDef, fold
from colonnade.sql.select import tree
from colonnade.sql.select.bindterm import Terms, is_aggregated
from colonnade.sql.select.query import Block, Field, Order, Query, Source
from colonnade.sql.select.scope import Scope, column_of
from colonnade.sql.select.terms import Column, Op, Term, Window, conjuncts, has
from colonnade.sql.select.vector import NotVectorizable

Views = Callable[
    [str, str], tuple[tuple[str, ...], tree.Select] | None
]  # schema and name: its columns, its text
_MOST_VIEWS = 20


class Binder:
    """Binds one query.

    schemas    by name, in the order in which names are looked up
    views      the text of a view
    functions  the names of all functions that the query calls
    tables     what it reads
    """

    def __init__(self, schemas: Mapping[str, Schema], views: Views) -> None:
        self._schemas, self._views = schemas, views
        self._numbers = count(1)
        self._with: list[dict[str, Query | tree.Table]] = []
        self._fields: dict[int, list[Field]] = {}  # of members of WITH
        self._depth = 0
        self.functions: set[str] = set()
        self.tables: list[TableDef] = []

    def query(self, select: tree.Select, around: Scope | None = None) -> Query:
        """Binds a SELECT within a scope."""
        self._with.append({fold(table.name): table for table in select.tables})
        try:
            return self._query(select, around)
        finally:
            self._with.pop()

    def _query(self, select: tree.Select, around: Scope | None) -> Query:
        query = Query(next(self._numbers), operators=select.operators)
        scope = Scope(around)
        for core in select.cores:
            scope = Scope(around)
            query.blocks.append(self._block(core, scope))
            query.outer |= scope.outer
        widths = {len(block.names) for block in query.blocks}
        if len(widths) > 1:
            raise NotVectorizable("SELECTs of different widths")
        single = len(query.blocks) == 1
        scope.outer = set()
        for ordering in select.ordering:
            block = query.blocks[0]
            term = (
                self._ordered(ordering.term, block, scope) if single else self._compound(ordering.term, query)
            )
            query.ordering.append(Order(term, ordering.descending, ordering.nulls_first))
        query.outer |= scope.outer
        if single and query.blocks[0].grouped is False and any(is_aggregated(o.term) for o in query.ordering):
            raise NotVectorizable("an aggregate in ORDER BY only")
        plain = Terms(self, Scope(None))
        query.limit = None if select.limit is None else plain.term(select.limit)
        query.offset = None if select.offset is None else plain.term(select.offset)
        return query

    # --- one SELECT ---------------------------------------------------------------------------------------

    def _block(self, core: tree.Core, scope: Scope) -> Block:
        terms, block = Terms(self, scope), Block(distinct=core.distinct)
        if core.rows:
            block.rows = [[terms.term(node) for node in row] for row in core.rows]
            block.names = [f"column{number}" for number in range(1, len(core.rows[0]) + 1)]
            if any(len(row) != len(block.names) for row in block.rows):
                raise NotVectorizable("VALUES of different widths")
            return block
        for source in core.sources:
            self._source(source, scope, block, terms)
        block.sources = scope.sources
        scope.windows = {fold(name): window for name, window in core.windows}
        for item in core.items:
            self._item(item, block, scope, terms)
        scope.uses_aliases = True
        if core.where is not None:
            block.where += conjuncts(terms.term(core.where))
        block.groups = [self._position(node, block) or terms.term(node) for node in core.groups]
        if core.having is not None:
            block.having = conjuncts(terms.term(core.having))
        block.grouped = bool(block.groups) or any(map(is_aggregated, (*block.items, *block.having)))
        if any(map(is_aggregated, (*block.where, *block.groups))):
            raise NotVectorizable("an aggregate in WHERE or GROUP BY")
        if any(has(term, Window) for term in (*block.where, *block.groups, *block.having)):
            raise NotVectorizable("a window function in WHERE, GROUP BY or HAVING")
        if block.having and not block.grouped:
            raise NotVectorizable("HAVING without groups")
        return block

    def _item(self, item: tree.Item, block: Block, scope: Scope, terms: Terms) -> None:
        if item.term is not None:
            term = terms.term(item.term)
            block.items.append(term)
            name = item.alias or (item.term.parts[-1] if isinstance(item.term, tree.Name) else "")
            block.names.append(name)
            if item.alias is not None:
                scope.aliases.setdefault(fold(item.alias), term)
            return
        sources = scope.sources
        if item.table is not None:
            sources = [source for source in sources if fold(source.alias) == fold(item.table)]
        if len(sources) != 1 and item.table is not None:
            raise NotVectorizable(f"{item.table}.*")
        for source in sources:
            for position, known in enumerate(source.fields):
                if item.table is not None or position not in source.hidden:
                    block.items.append(column_of(source, position))
                    block.names.append(known.name)

    @staticmethod
    def _position(node: tree.Node, block: Block) -> Term | None:
        """The result column that a number in ORDER BY or GROUP BY means."""
        if not isinstance(node, tree.Literal) or type(node.value) is not int:
            return None
        if not 1 <= node.value <= len(block.items):
            raise NotVectorizable("a result column that there is not")
        return block.items[node.value - 1]

    def _ordered(self, node: tree.Node, block: Block, scope: Scope) -> Term:
        if block.rows:
            raise NotVectorizable("VALUES in an order")
        found = self._position(node, block)
        if found is not None:
            return found
        if isinstance(node, tree.Name) and len(node.parts) == 1 and fold(node.parts[0]) in scope.aliases:
            return scope.aliases[fold(node.parts[0])]
        term = Terms(self, scope).term(node)
        if block.distinct and term not in block.items:
            raise NotVectorizable("DISTINCT ordered by something else")
        return term

    def _compound(self, node: tree.Node, query: Query) -> Term:
        collation = None
        if isinstance(node, tree.Collate):
            collation, node = node.collation, node.operand
        place = None
        if isinstance(node, tree.Literal) and type(node.value) is int:
            place = node.value - 1
        elif isinstance(node, tree.Name) and len(node.parts) == 1:
            names = [fold(name) for name in query.blocks[0].names]
            place = names.index(fold(node.parts[0])) if names.count(fold(node.parts[0])) == 1 else None
        fields = query.fields
        if place is None or not 0 <= place < len(fields):
            raise NotVectorizable("a compound SELECT ordered by an expression")
        term: Term = Column(query.number, place, fields[place].affinity, fields[place].collation)
        if collation is not None:
            term = Op("collate", (term,), term.affinity, collation, explicit=True)
        return term

    # --- FROM ---------------------------------------------------------------------------------------------

    def _source(self, source: tree.Source, scope: Scope, block: Block, terms: Terms) -> None:
        if source.kind in ("right", "full") and (len(scope.sources) != 1 or source.using or source.natural):
            raise NotVectorizable(f"{source.kind.upper()} JOIN of more than two sources, or with USING")
        if scope.sources and scope.sources[-1].kind in ("right", "full"):
            raise NotVectorizable("a join with the result of a RIGHT or FULL JOIN")
        bound = self._read(source)
        bound.kind = source.kind
        using = source.using
        if source.natural:
            known = {fold(f.name) for s in scope.sources for p, f in enumerate(s.fields) if p not in s.hidden}
            using = tuple(f.name for f in bound.fields if fold(f.name) in known)
        equal: list[Term] = []
        for name in using:
            left = scope.find((name,))
            place = next((p for p, f in enumerate(bound.fields) if fold(f.name) == fold(name)), None)
            if left is None or place is None:
                raise NotVectorizable("USING a column that there is not")
            equal.append(terms.compare("=", left, column_of(bound, place)))
            bound.hidden.add(place)
        scope.sources.append(bound)
        conditions = equal + conjuncts(None if source.on is None else terms.term(source.on))
        if source.kind != "inner":
            bound.on = conditions
        else:
            block.where += conditions

    def _read(self, source: tree.Source) -> Source:
        number = next(self._numbers)
        if source.select is not None:
            query = self.query(source.select)
            return Source(number, source.alias or "", query.fields, query=query)
        assert source.name is not None
        alias = source.alias or source.name
        if source.schema is None:
            common = self._common(source.name)
            if common is not None:
                return Source(number, alias, common[1], query=common[0])
        for schema in self._schemas.values():
            if source.schema is not None and fold(schema.name) != fold(source.schema):
                continue
            table = schema.table(source.name)
            if table is not None:
                return self._table(number, alias, table)
            if any(fold(view) == fold(source.name) for view in schema.views):
                return self._view(number, alias, schema.name, source.name)
            if any(fold(name) == fold(source.name) for name in schema.virtual):
                break
        raise NotVectorizable(f"{source.name}, which is no table or view")

    def _table(self, number: int, alias: str, table: TableDef) -> Source:
        if any(column.generated for column in table.columns):
            raise NotVectorizable("generated columns")
        fields = [Field(column.name, column.affinity, column.collation) for column in table.columns]
        self.tables.append(table)
        return Source(number, alias, fields, table=table)

    def _common(self, name: str) -> tuple[Query, list[Field]] | None:
        """A member of WITH, bound once and shared by all that name it."""
        for depth in range(len(self._with) - 1, -1, -1):
            found = self._with[depth].get(fold(name))
            if found is None:
                continue
            if isinstance(found, tree.Table):
                outside, self._with = self._with, self._with[: depth + 1]
                del self._with[-1][fold(name)]  # it does not see itself
                try:
                    query = self.query(found.select)
                finally:
                    self._with = outside
                fields = query.fields
                if found.columns:
                    fields = _renamed(fields, found.columns)
                self._with[depth][fold(name)] = query
                self._fields[id(query)] = fields
                return query, fields
            return found, self._fields[id(found)]
        return None

    def _view(self, number: int, alias: str, schema: str, name: str) -> Source:
        self._depth += 1
        if self._depth > _MOST_VIEWS:
            raise NotVectorizable("views of views")
        found = self._views(schema, name)
        if found is None:
            raise NotVectorizable(f"the view {name}")
        columns, select = found
        if select.parameters:
            raise NotVectorizable("a view with parameters")
        outside, schemas = self._with, self._schemas
        self._with = []
        if fold(schema) != "temp":
            self._schemas = {schema: schemas[schema]}
        try:
            query = self.query(select)
        finally:
            self._with, self._schemas = outside, schemas
        fields = _renamed(query.fields, columns) if columns else query.fields
        return Source(number, alias, fields, query=query)


def _renamed(fields: list[Field], names: tuple[str, ...]) -> list[Field]:
    if len(names) != len(fields):
        raise NotVectorizable("columns with too few names")
    return [Field(name, known.affinity, known.collation) for name, known in zip(names, fields, strict=True)]
