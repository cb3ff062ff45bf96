"""Queries of one session over tables in column format: which are vectorised, and why the others are not.

1. What is but a look-up (`lookups`) is left to SQLite and its virtual tables, which have less to prepare.
2. SQLite prepares the statement and binds its parameters, so that its errors, names and declared types are its own.
3. `colonnade.sql.select` answers it. What it will not answer as SQLite would is remembered with the types of the
   parameters, and SQLite answers.
4. A statement of no effect stays open while rows are given: SQLite keeps its snapshot for all tables, and
   `interrupt` and whoever must wait for the end of statements have one to see.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from functools import partial
from itertools import chain
from typing import TYPE_CHECKING, Any

import apsw

from colonnade.callbacks import coded
from colonnade.lookups import access, is_plain_look_up, loops
from colonnade.parameters import stored_values
from colonnade.plan import Columns, Plan
from colonnade.sql.select import Answer, Context, NotVectorizable, answer, answer_to_write
from colonnade.sql.tokens import quote
from colonnade.store.errors import OperationalError
from colonnade.vectorised import Batches, to_rows
from colonnade.watch import program_cursor

if TYPE_CHECKING:
    from colonnade.cursor import Cursor
    from colonnade.session import Session

TAKEN, FALLEN_BACK = "taken", "fallen back"
UNSOUND = "rows that SQLite has to look at one by one"

_EXPLAINED = re.compile(r"\s*EXPLAIN\s+QUERY\s+PLAN\b", re.IGNORECASE)


class Queries:
    """Vectorised SELECT as one session has it.

    on       PRAGMA vectorized
    answer   what answers a query: (context, text, parameters) -> Answer
    """

    def __init__(self, session: Session) -> None:
        self._session = session
        self.on = True
        self.answer = answer
        self._taken = 0
        self._fallen_back: Counter[str] = Counter()

    def stats(self) -> list[tuple[str, str | None, int]]:
        """How many queries were taken, and how many fell back for which reason; look-ups are not counted."""
        fallen = sorted(self._fallen_back.items(), key=lambda item: (-item[1], item[0]))
        return [(TAKEN, None, self._taken), *((FALLEN_BACK, reason, count) for reason, count in fallen)]

    def run(self, cursor: Cursor, plan: Plan, parameters: Any) -> bool:
        """Answers a query, if it is one for here; otherwise SQLite has to."""
        return self._use(plan, parameters, lambda values: self._take(cursor, plan, parameters, values))

    def write(
        self, plan: Plan, parameters: Any, write: Callable[[Answer], bool], *, settled: bool = True
    ) -> bool:
        """Has `write` do with the rows of a query what they are for; whether that was done.

        write    false: SQLite has to do it row by row. May be stopped by NotVectorizable; undoes what it did then
        settled  the rows come in the order in which SQLite gives them; else in any
        """

        def run(values: Any) -> bool:
            self._prepare(plan, parameters)
            answer = self._answer_to_write(settled, self._context(), plan.text, values)
            try:
                return write(answer)
            finally:
                answer.close()

        return self._use(plan, parameters, run)

    def may_write(self, plan: Plan) -> bool:
        """Whether `write` may be for the rows of a query, as far as can be told without a look at its parameters."""
        return self._takes(plan)

    def may_find(self, plan: Plan, parameters: Any) -> bool:
        """The same with a look at its parameters: it is no look-up, and was not refused before."""
        values = stored_values(parameters) if self._takes(plan) else None
        if values is None or _kinds(values) in plan.refused:
            return False
        return not self._is_look_up(plan, parameters, values)

    def _use(self, plan: Plan, parameters: Any, run: Callable[[Any], bool]) -> bool:
        """Runs a query, if it is one for here; whether it did.

        run  takes the values as SQLite stores them
        """
        if not self._takes(plan):
            return False
        values = stored_values(parameters)
        if values is None:  # a mapping that may make up its values
            return False
        kinds = _kinds(values)
        reason = plan.refused.get(kinds)
        if self._is_look_up(plan, parameters, values):
            return False
        if reason is None:
            try:
                if run(values):
                    self._taken += 1
                    return True
                reason = UNSOUND
            except NotVectorizable as found:
                reason = plan.refused[kinds] = str(found)
        self._fallen_back[reason] += 1
        return False

    def heading(self, explained: Plan, parameters: Any) -> str | None:
        """What EXPLAIN QUERY PLAN says of a query beside SQLite's own words."""
        text = as_explained(explained.text)
        if text == explained.text:
            return None
        return self._heading(Plan(text), parameters, self.answer)

    def heading_to_write(self, plan: Plan, parameters: Any, *, settled: bool = True) -> str | None:
        """The same for a query whose rows are written; see `write`."""
        return self._heading(plan, parameters, partial(self._answer_to_write, settled))

    def _answer_to_write(self, settled: bool, context: Context, text: str, values: Any) -> Answer:
        order = partial(loops, context.store, text, values) if settled else None
        return answer_to_write(context, text, values, order)

    def _heading(self, plan: Plan, parameters: Any, answer: Callable[..., Answer]) -> str | None:
        values = stored_values(parameters)
        if values is None or not self._takes(plan) or self._is_look_up(plan, parameters, values):
            return None
        try:
            found = answer(self._context(), plan.text, values)
            next(found.batches, None)
        except NotVectorizable as reason:
            return f"NOT VECTORISED: {reason}"
        found.close()
        return "VECTORISED"

    def _is_look_up(self, plan: Plan, parameters: Any, values: Any) -> bool:
        if plan.access is None:
            plan.access = access(self._session.store, plan.text, parameters)
            if plan.access.always:
                plan.never = self._session.store.epoch
        return plan.access.is_look_up(plan.text, values)

    def _takes(self, plan: Plan) -> bool:
        """Whether it may be one for here, as far as can be told without a look at its parameters."""
        session, connection = self._session, self._session.connection
        watch = connection._watch
        if not self.on or session.bulk.pending or (watch is not None and watch.authorizes):
            return False
        if plan.never == session.store.epoch:
            return False
        key = self._key()
        if plan.looked_in != key:  # the schema is another one: nothing that was found out holds
            plan.looked_in, plan.access, plan.refused = key, None, {}
            if (
                is_plain_look_up(session.store, plan.text)
                or session.columns.as_run(plan) is not plan
                or not self._concerns_columns(plan)
            ):
                plan.never = session.store.epoch
                return False
        return True

    def _key(self) -> tuple[int, int]:
        return self._session.store.epoch, self._session.connection._generation

    def _concerns_columns(self, plan: Plan) -> bool:
        """Whether the text may read a table in column format: by its own name, or through a view."""
        session = self._session
        names = [table.name for schema in session.db.db_names() for table in session.store.tables(schema)]
        for schema in session.db.db_names():
            names += session.router.schema(schema).views
        return bool(names) and plan.statement.mentions(*names)

    # --- answers -------------------------------------------------------------------------------------------

    def _take(self, cursor: Cursor, plan: Plan, parameters: Any, values: Any) -> bool:
        session, connection = self._session, self._session.connection
        self._prepare(plan, parameters)
        guard = session.db.execute(self._snapshot())
        try:
            found = self.answer(self._context(), plan.text, values)
            first = next(found.batches, None)
        except BaseException:
            guard.close(True)
            raise
        session._announce(plan, parameters)
        cursor.lastrowid = session.db.last_insert_rowid()
        batches = Batches(plan.columns, _given(first, found, guard))
        cursor._show(chain.from_iterable(map(to_rows, batches)), plan.description)
        cursor._converters = connection._converters(plan)
        cursor._batches = batches
        return True

    def _prepare(self, plan: Plan, parameters: Any) -> None:
        """Has SQLite prepare the statement, take the parameters and say what the columns are called."""
        connection = self._session.connection
        known = plan.generation == connection._generation and not connection._changed_outside()
        found: list[Columns] = []

        def stop(cursor: apsw.Cursor, _sql: str, _parameters: object) -> bool:
            found.append(cursor.getdescription())
            return False

        asked = program_cursor(self._session.db)
        asked.exec_trace = stop
        with suppress(apsw.ExecTraceAbort):
            # One that SQLite keeps is only prepared anew when it is run.
            asked.execute(plan.text, parameters, can_cache=known)
        if not known:
            plan.columns = connection._named(plan, found[0])
            plan.description, plan.generation = connection._description(plan.columns), connection._generation

    def _snapshot(self) -> str:
        """A query of two rows and more that reads every database."""
        names = [name for name in self._session.db.db_names() if name != "temp"]
        return (
            "".join(f"SELECT 1 FROM {quote(name)}.sqlite_schema UNION ALL " for name in names)
            + "VALUES(1), (2)"
        )

    def _context(self) -> Context:
        session = self._session
        names = ["temp", *(name for name in session.db.db_names() if name != "temp")]
        schemas = {name: session.router.schema(name) for name in names}
        return Context(session.store, schemas, self._checkpoint)

    def _checkpoint(self) -> None:
        watch = self._session.connection._watch
        if self._session.db.is_interrupted or (watch is not None and watch.stops()):
            raise coded(OperationalError, "interrupted", apsw.SQLITE_INTERRUPT)


def as_explained(text: str) -> str:
    """What an EXPLAIN QUERY PLAN explains; any other text as it is."""
    return _EXPLAINED.sub("", text, count=1)


def _given(first: Any, found: Answer, guard: apsw.Cursor) -> Iterator[Any]:
    """The batches of an answer, of which the first was read; then SQLite's statement ends."""
    try:
        if first is not None:
            yield first
            yield from found.batches
    finally:
        guard.close(True)


def _kinds(values: Any) -> tuple[Any, ...]:
    if isinstance(values, Mapping):
        return tuple((name, type(value)) for name, value in values.items())
    return tuple(map(type, values))
