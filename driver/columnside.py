"""The column side of a session: what tables in column format and bulk load need.

Nothing else in the driver imports the store. Programs whose tables are all in row format never come here, and so
start, and collect garbage, without numpy and pyarrow.
"""

from __future__ import annotations

from functools import cached_property, partial
from typing import TYPE_CHECKING

from colonnade.plan import Plan
from colonnade.pragmas import checked_rows
from colonnade.sql.names import introspection, register_schema_module, with_columns
from colonnade.sql.schemaviews import SchemaView, schema_views
from colonnade.store.catalog import ROWID_NAMES
from colonnade.store.database import Store

if TYPE_CHECKING:
    from colonnade.owing import Owing
    from colonnade.points import Points
    from colonnade.queries import Queries
    from colonnade.session import Session
    from colonnade.sql.route import Router
    from colonnade.texts import Texts
    from colonnade.writing import Writing

# What key checks, chunk caches and validators may use until PRAGMA memory_limit says otherwise.
MEMORY_LIMIT = 128 << 20


class ColumnSide:
    """Of one session, made when it first needs it.

    store    its tables in column format
    router   makes them ready for what is written
    writing  runs statements that write them, `points` some of those about single rows
    queries  answers vectorised SELECTs
    owing    runs them while rows owe a validation
    texts    reads INSERTs of literals under bulk load
    Each is imported when it is first asked for: a program that only loads files starts 15 ms faster without all but
    the store, one that only writes 25 ms without queries, and one that only reads 4 ms without what writes.
    """

    def __init__(self, session: Session) -> None:
        self._session = session
        self.store = Store(session.db, memory_limit=MEMORY_LIMIT, registered=True, spans=session.spans)
        self._shows_schema = False  # whether the functions that introspection() calls are there
        self._views: dict[str, SchemaView] = {}
        self._views_key = (-1, -1)
        self._rewritten: dict[tuple[object, ...], Plan] = {}  # by text, and what as_run() looks at

    @cached_property
    def router(self) -> Router:
        from colonnade.finding import Finding
        from colonnade.sql.route import Router

        session = self._session
        router = Router(
            self.store,
            foreign_keys=session.foreign_keys,
            storage_format=lambda: session.storage_format,
            unseen=session.changes.kept,
            owing=lambda: session.bulk.pending,
        )
        router.finder = Finding(session)
        return router

    @cached_property
    def writing(self) -> Writing:
        from colonnade.writing import Writing

        return Writing(self._session)

    @cached_property
    def points(self) -> Points:
        from colonnade.points import Points

        return Points(self._session)

    @cached_property
    def queries(self) -> Queries:
        from colonnade.queries import Queries

        return Queries(self._session)

    @cached_property
    def owing(self) -> Owing:
        from colonnade.owing import Owing

        return Owing(self._session)

    @cached_property
    def texts(self) -> Texts:
        from colonnade.texts import Texts

        return Texts(self._session)

    def close(self) -> None:
        """Let go of the connection."""
        if "router" in vars(self):
            self.router.close()
        self.store.close()

    def forget_rewritten(self) -> None:
        """What statements mean may have changed."""
        self._rewritten.clear()

    def views(self) -> dict[str, SchemaView]:
        """The views that read the schema, by their names in lower case."""
        key = self.store.epoch, self._session.connection._generation
        if key != self._views_key:
            views = schema_views(self._session.db, self._session.connection._twin)
            if views != self._views:
                self.forget_rewritten()
            self._views, self._views_key = views, key
        return self._views

    def as_run(self, plan: Plan) -> Plan:
        """The plan itself, or that of the text that shows the schema as the user knows it."""
        if plan.native:
            return plan  # names nothing that shows the schema
        key = plan.text, self.store.has_column_tables(), self.store.versions()
        found = self._rewritten.get(key)
        if found is None:
            rewrite = introspection(plan.statement, self.store, self.views())
            if rewrite is not None and not self._shows_schema:
                register_schema_module(self._session.db, partial(checked_rows, self._session))
                self._shows_schema = True
            text = self._naming(plan, plan.text if rewrite is None else rewrite.sql)
            found = plan if text == plan.text else Plan(text, plan.asked)
            if len(self._rewritten) >= 512:
                self._rewritten.clear()
            self._rewritten[key] = found
        return found

    def _naming(self, plan: Plan, text: str) -> str:
        """The text, where it makes a table of a rowid with the names of its columns."""
        statement = plan.statement
        if (statement.verb, statement.subject) != ("CREATE", "TABLE") or not statement.mentions(*ROWID_NAMES):
            return text
        made = self._session.connection._twin().columns_made(plan.asked)
        return with_columns(text, made) if made else text
