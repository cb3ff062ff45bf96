"""Statements of a connection: plans by text, and what SQLite says of a statement that is not run."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, TypeVar

import apsw

from colonnade.base import Base
from colonnade.errors import bindings_count, translate
from colonnade.location import is_private
from colonnade.plan import Columns, Plan
from colonnade.sql.tokens import quote
from colonnade.store import errors
from colonnade.watch import program_cursor

if TYPE_CHECKING:
    from colonnade.sql.twin import Twin, Twins
    from colonnade.watch import Watch

_Result = TypeVar("_Result")

# Of a function's arguments behind a table's name, and of the automatic index of a row part.
_SAID_OTHERWISE = ("too many arguments on ", "no such index: sqlite_autoindex_")
_MULTIPLE = "You can only execute one statement at a time."
_REPLACING = re.compile(r"\b(?:REPLACE|CONFLICT)\b", re.I)


class Prepared:
    """What calling a connection with a text gives: the proof that SQLite can prepare it, and nothing else."""

    __slots__ = ("_text",)

    def __new__(cls) -> Prepared:
        raise TypeError(f"cannot create '{cls.__module__}.{cls.__qualname__}' instances")

    def __repr__(self) -> str:
        return f"<prepared statement {self._text!r}>"

    _text: str


class Statements(Base):
    """The mixin of Connection for plans and for questions about statements.

    _plans       what is known of each text that was run
    _watch       what the program's hooks hear; None while it has set none
    _generation  descriptions of plans hold for one generation of the schema
    _plain       nothing of Colonnade's is in use, and statements mean to SQLite what they say
    _direct      they may even go to it at once: nobody hears of spans
    _private     no other connection can change the database
    _schema_views  names of the views that read the schema, where tables are in column format
    _twins       the schema as if no table were in column format; None until it is asked
    _attached    there are more databases than main and temp
    """

    _plans: dict[str, Plan]
    _watch: Watch | None
    _plans_kept: int
    _generation: int
    _data_version: int
    _attached: bool
    _plain: bool
    _direct: bool
    _private: bool
    _twins: Twins | None = None
    _schema_views: frozenset[str] = frozenset()

    def _start_statements(self, cached_statements: int) -> None:
        self._plans = {}
        self._plans_kept = max(cached_statements, 128)
        self._generation = 0
        self._data_version = -1
        self._attached = False
        self._private = is_private(self._db)

    @property
    def __call__(self) -> Callable[[str], Prepared]:
        """`connection(sql)` prepares a statement without running it."""
        self._check_open()
        return self._prepared

    def _prepared(self, sql: str, /) -> Prepared:
        if not isinstance(sql, str):
            raise TypeError(f"argument 1 must be str, not {type(sql).__name__}")
        try:
            self._prepare(self._plan(sql).text)
        except Exception as error:
            raise translate(error) from None
        prepared = object.__new__(Prepared)
        prepared._text = sql
        return prepared

    def _plan(self, sql: str, caller: str = "execute") -> Plan:
        """The plan of a text that is new; kept for the next time."""
        if not isinstance(sql, str):
            raise TypeError(f"{caller}() argument 1 must be str, not {type(sql).__name__}")
        self._check_closed()
        self._check_length(sql)
        plan = Plan(sql)
        if plan.goes_on():
            self._prepare(sql[: plan.statement.stop])
            raise errors.ProgrammingError(_MULTIPLE)
        if self._watch is not None:
            self._watch.learn()  # SQLite prepares it now
        if self._schema_views and plan.native and plan.statement.mentions(*self._schema_views):
            plan.native = plan.reads = False
        if len(self._plans) >= self._plans_kept:
            self._plans.clear()
        self._plans[sql] = plan
        return plan

    def _as_said(self, error: Exception, sql: str) -> Exception:
        """SQLite's error of an ordinary table, where it has another one for a table in column format, or for
        a text that was run in place of the program's.
        """
        if self._plain or not isinstance(error, apsw.SQLError):
            return error
        plan = self._plans.get(sql)
        as_it_is = plan is None or (plan.native and not plan.dml)
        if as_it_is and not str(error).startswith(_SAID_OTHERWISE):
            return error
        try:
            return self._twin().error(sql) or error
        except apsw.Error:  # a limit of the program's own forbids to read the schema
            return error

    def _note_views(self, views: Iterable[str]) -> None:
        """Queries of these views do not simply go to SQLite; nor of those before, which a ROLLBACK may bring back."""
        if not self._schema_views.issuperset(views):
            self._schema_views |= frozenset(views)
            self._plans.clear()

    def _check_length(self, sql: str) -> None:
        """DataError if a text is longer, in bytes of UTF-8, than SQLITE_LIMIT_SQL_LENGTH."""
        limit = self._db.limit(apsw.SQLITE_LIMIT_SQL_LENGTH)
        if 4 * len(sql) > limit and len(sql.encode()) > limit:
            raise errors.DataError("query string is too large")

    def _prepare(self, sql: str) -> None:
        """Raise SQLite's error if it cannot prepare the statement; nothing is run."""
        self._probe_routed(sql, lambda cursor: None)

    def _describe(self, sql: str) -> Columns:
        """Name and declared type of each column of a statement, without running it."""
        return self._probe(sql, lambda cursor: cursor.getdescription())

    def _twin(self) -> Twin:
        """The schema as it would be if no table were in column format, to ask about statements."""
        if self._twins is None:
            from colonnade.sql.twin import Twins

            self._twins = Twins(self._db)
        return self._twins(self._generation)

    def _named(self, plan: Plan, columns: Columns) -> Columns:
        """The columns of a statement with the names that they would have if no table were in column format.

        A virtual table has no column that stands for its rowid, and texts that are run in place of the
        program's show in the names of expressions. Where neither can be, it costs next to nothing.
        """
        if plan.asked == plan.text and all(name != "rowid" for name, _ in columns):
            return columns
        if plan.first == "PRAGMA":
            return columns
        shown = self._twin().columns(plan.asked)
        return columns if shown is None or len(shown) != len(columns) else shown

    def _reads_only(self, sql: str) -> bool:
        """Whether a statement writes nothing, by SQLite's own judgement; it is not run."""
        return self._probe(sql, lambda cursor: cursor.is_readonly)

    def _parameter_names(self, sql: str) -> tuple[str | None, ...]:
        """The name of each parameter without its prefix, None where it has none; the statement is not run."""
        return self._probe_routed(sql, lambda cursor: cursor.bindings_names)

    def _probe_routed(self, sql: str, ask: Callable[[apsw.Cursor], _Result]) -> _Result:
        """`_probe`, of the row part's statement where SQLite refuses to write a table in column format."""
        try:
            return self._probe(sql, ask)
        except apsw.SQLError as error:
            if not _concerns_virtual_table(str(error)):
                raise
            return self._probe(self._session.router.as_run(self._plan(sql).statement), ask)

    def _probe(self, sql: str, ask: Callable[[apsw.Cursor], _Result]) -> _Result:
        """What `ask` says of the prepared statement."""
        answers: list[_Result] = []

        def stop(cursor: apsw.Cursor, _sql: str, _parameters: object) -> bool:
            answers.append(ask(cursor))
            return False

        cursor = program_cursor(self._db)
        cursor.exec_trace = stop
        try:
            try:
                cursor.execute(sql)
            except apsw.BindingsError as error:
                cursor.execute(sql, (None,) * bindings_count(error))
        except apsw.ExecTraceAbort:
            pass
        return answers[0]

    def _changed_outside(self) -> bool:
        """Whether another connection may have changed the schema since the last call."""
        if self._private:
            return False
        if self._attached:
            return True
        version = self._db.data_version()
        if version == self._data_version:
            return False
        self._data_version = version
        self._generation += 1
        return True

    def _counts_more_than_changes(self, plan: Plan) -> bool:
        """Whether total_changes() may grow by rows that are not changed by the statement itself."""
        db = self._db
        where = "type = 'trigger'"
        if db.config(apsw.SQLITE_DBCONFIG_ENABLE_FKEY, -1):
            # Foreign key actions, unless only rows are added; tables may say ON CONFLICT REPLACE.
            if plan.first != "INSERT" or _REPLACING.search(plan.text):
                return True
            where += " OR sql LIKE '%replace%'"
        return any(
            db.execute(f"SELECT 1 FROM {quote(name)}.sqlite_master WHERE {where} LIMIT 1").get
            for name in db.db_names()
        )

    def _schema_changed(self) -> None:
        """Tables, or what statements mean, may have changed: what was remembered of them is void."""
        self._generation += 1
        self._attached = len(self._db.db_names()) > 2  # main and temp
        self._session.refresh()


def _concerns_virtual_table(message: str) -> bool:
    """Whether SQLite refused to write a table in column format: the statement is right, and routed elsewhere."""
    return message.endswith(("may not be modified", "for virtual table", "on virtual tables"))
