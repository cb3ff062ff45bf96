"""What a connection does to values on their way to the program: text_factory and detect_types."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from typing import Any

import apsw

from colonnade.converters import PARSE_COLNAMES, for_columns, shown_name
from colonnade.plan import Columns, Description, Plan, describe
from colonnade.rows import Converters, Rereading, bytes_of_texts, with_texts
from colonnade.statements import Statements
from colonnade.watch import program_cursor

_READ = frozenset({"SELECT", "VALUES", "WITH"})


class Shaping(Statements):
    """The mixin of Connection for what its cursors do to rows.

    _raw  rows are given as apsw gives them
    """

    _text_factory: Any = None
    _detect_types: int
    _raw: bool

    def _start_shaping(self, detect_types: int) -> None:
        self._detect_types = detect_types
        self.text_factory = str

    @property
    def text_factory(self) -> Any:
        """str, bytes, or what to call with the UTF-8 of each text."""
        return self._text_factory

    @text_factory.setter
    def text_factory(self, factory: Any) -> None:
        self._text_factory = factory
        self._raw = factory is str and not self._detect_types

    def _description(self, columns: Columns) -> Description | None:
        if self._detect_types & PARSE_COLNAMES:
            return describe((shown_name(name),) for name, _ in columns)
        return describe(columns)

    def _converters(self, plan: Plan) -> Converters | None:
        """The converters of the columns of a plan, as they are registered now."""
        return for_columns(plan.columns, self._detect_types) if self._detect_types else None

    def _rereadable(self, rows: Iterator[Any], plan: Plan, parameters: Any) -> Iterator[Any]:
        """The rows of a query, which is run again where a text that is not UTF-8 is in the way of them."""
        if not (self._plain or plan.dml) and self._session.varies(plan):
            rows = Rereading(rows, lambda: self._run_again(plan, parameters))
        if not self._raw:
            rows = Rereading(rows, lambda: self._reread(plan, parameters))
        return rows

    def _run_again(self, plan: Plan, parameters: Any) -> Iterator[Any] | None:
        """The same rows once more, after a failure that does not come again; None after another."""
        if not self._session.reads_again(sys.exception()):
            return None
        return program_cursor(self._db).execute(plan.text, parameters)

    def _reread(self, plan: Plan, parameters: Any) -> Iterator[Any] | None:
        """The rows of a query again, with texts that are not UTF-8; None for what only its first run can give."""
        if plan.first not in _READ or not self._reads_only(plan.text):
            return None
        width = len(plan.columns)
        query = bytes_of_texts(plan.text.rstrip().rstrip(";"), width)
        try:
            return with_texts(self._db.cursor().execute(query, parameters), width)
        except apsw.Error:
            return None
