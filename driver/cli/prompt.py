"""apsw's shell on a Colonnade connection: its statements go through the session, its commands see the user's view."""

from __future__ import annotations

import codecs
import inspect
from collections.abc import Iterable, Iterator
from contextlib import suppress
from typing import Any, BinaryIO, cast

import apsw
import apsw.shell

from colonnade import Connection, Cursor, connect
from colonnade.errors import translate
from colonnade.script import BLOCK_CHARACTERS, Hooks, ScriptError
from colonnade.sql.statement import parse, split
from colonnade.store.errors import DataError

_EXPLAIN_WIDTHS = [-4, 13, 4, 4, 4, 13, 2, 13]
_PLAN_WIDTHS = [-4, -6, 22]


_Shell: Any = apsw.shell.Shell  # without types


class Prompt(_Shell):  # type: ignore[misc]
    """A shell; `interactive` if both standard input and output are terminals."""

    interactive: bool
    dbfilename: str | None

    def __init__(self, database: str = "") -> None:
        super().__init__()
        self._database: _Database | None = None
        self._open(database)

    def _open(self, name: str) -> None:
        self.close()
        self.dbfilename = name
        self._database = _Database(connect(name or ":memory:", isolation_level=None))

    def close(self) -> None:
        if self._database is not None:
            self._database.close()
            self._database = None

    def _ensure_db(self) -> _Database:
        if self._database is None:
            self._open(self.dbfilename or "")
        assert self._database is not None
        return self._database

    def _set_db(self, new: tuple[Any, str | None]) -> None:
        self.dbfilename = new[1]  # the base class does so before the file is opened

    db = property(_ensure_db, _set_db, None, "The database, as apsw's shell uses it.")

    @property
    def connection(self) -> Connection:
        return self._ensure_db().connection

    # --- scripts -----------------------------------------------------------------------------------------------

    def run_stream(self, stream: BinaryIO, name: str | None) -> None:
        """Run a script as it is read; `name` is what errors are blamed on. Raises ScriptError"""
        self.run_script(_decoded(stream), name)

    def run_script(self, blocks: Iterable[str], name: str | None) -> None:
        """Run statements and dot commands. Raises ScriptError, which names script and line"""
        before, self.interactive = self.interactive, False
        try:
            self.connection._session.execute_script(blocks, Hooks(self._show, self.process_command))
        except ScriptError as failed:
            if failed.script is None:
                cause = failed.cause
                if not isinstance(cause, apsw.shell.Shell.Error):
                    cause = translate(cause)
                raise ScriptError(cause, failed.line, failed.statement, name or "") from None
            raise
        finally:
            self.interactive = before
            self.stdout.flush()

    def process_sql(
        self, sql: str, bindings: Any = None, internal: bool = False, summary: Any = None
    ) -> None:
        """Run statements one after another and show their rows; see the base class."""
        before = self.connection.total_changes
        if bindings is None:
            bindings = () if internal else self.bindings or ()
        for statement, _line in split(sql):
            if self.echo and not internal:
                self.write_error(statement + "\n")
            self._show(self.connection.execute(statement, bindings), statement, summary)
        changed = self.connection.total_changes - before
        if changed and self.changes and not internal:
            self.write(self.stdout, f"changes: {changed}\ttotal changes: {self.connection.total_changes}\n")

    def _show(self, cursor: Cursor, statement: str = "", summary: Any = None) -> None:
        """Write the rows of a statement in the current mode."""
        if cursor.description is None:
            return
        explains = _explains(statement)
        if explains:
            self._become_explaining(explains)
        try:
            self._write_rows(_Source(cursor), hide=2 if explains == "PLAN" else None, summary=summary)
        finally:
            if explains:
                self.pop_output()

    def _become_explaining(self, what: str) -> None:
        self.push_output()
        self.header, self.truncate, self.output = True, False, self.output_column
        self.widths = list(_PLAN_WIDTHS if what == "PLAN" else _EXPLAIN_WIDTHS)

    def _write_rows(self, source: _Source, *, hide: int | None, summary: Any) -> None:
        whole_rows = _takes_positions(self.output)
        at_once: list[Any] | None = [] if getattr(self.output, "all_at_once", False) else None
        names = None
        for position in self.PositionRow(source):
            row = position.row
            if names is None:
                names = _without(position.columns, hide)
                if summary:
                    self._output_summary(summary[0])
                if at_once is None:
                    self.output(True, names)
            shown = position if whole_rows else _without(row, hide)
            if at_once is None:
                self.output(False, shown)
            else:
                at_once.append(shown)
        if names is not None and at_once:
            self.output(names, at_once)
        if names is not None and summary:
            self._output_summary(summary[1])

    # --- commands ----------------------------------------------------------------------------------------------

    def command_read(self, cmd: list[str]) -> None:
        """read FILENAME: Runs the SQL and the dot commands in FILENAME

        The file is read piece by piece, so it can be of any size. Its first error ends it.
        """
        if len(cmd) != 1:
            raise self.Error("read takes a single filename")
        with open(cmd[0], "rb") as stream:
            self.run_stream(stream, cmd[0])

    def command_open(self, cmd: list[str]) -> None:
        """open ?FILE?: Closes the database and opens FILE, or one in memory"""
        if len(cmd) > 1 or (cmd and cmd[0].startswith("--")):
            raise self.Error("open takes a single filename")
        self._open(cmd[0] if cmd else "")

    def command_connection(self, cmd: list[str]) -> None:
        """connection: There is one connection; use .open for another database"""
        raise self.Error("there is one connection; use .open for another database")

    def command_backup(self, cmd: list[str]) -> None:
        """backup ?DB? FILE: Copies a database (default "main") to FILE, page by page"""
        if len(cmd) not in (1, 2):
            raise self.Error("Backup takes one or two parameters")
        self.connection._session.bulk.validate()
        target = apsw.Connection(cmd[-1])
        try:
            source = self.connection._db
            with target.backup("main", source, cmd[0] if len(cmd) == 2 else "main") as copy:
                copy.step()
        finally:
            target.close()

    def command_restore(self, cmd: list[str]) -> None:
        """restore ?DB? FILE: Copies FILE to a database (default "main"), page by page"""
        super().command_restore(cmd)
        self.connection._schema_changed()

    def command_indexes(self, cmd: list[str]) -> None:
        """indexes ?TABLE?: Lists the indexes of all tables, or of those whose name is like TABLE"""
        if len(cmd) > 1:
            raise self.Error("indexes takes one table name")
        self.command_indices(cmd or ["%"])

    def _apply_fts(self) -> None:
        """apsw's own tokenizers are left out: a database should not come to need them."""


class _Database:
    """What apsw's shell takes for its connection: statements go to Colonnade's, all else to apsw's."""

    def __init__(self, connection: Connection) -> None:
        self.connection = connection

    def __getattr__(self, name: str) -> Any:
        return getattr(self.connection._db, name)

    def execute(self, sql: str, bindings: Any = ()) -> Cursor:
        return self.connection.execute(sql, () if bindings is None else bindings)

    def cursor(self) -> Cursor:
        return cast(Cursor, self.connection.cursor())

    def total_changes(self) -> int:
        return self.connection.total_changes

    def close(self, force: bool = False) -> None:
        with suppress(apsw.ConnectionClosedError):
            self.connection.close()


class _Source:
    """A cursor as apsw's shell reads it."""

    def __init__(self, cursor: Cursor) -> None:
        self._cursor = cursor

    def get_description(self) -> Any:
        return [(column[0], None) for column in self._cursor.description or ()]

    def __iter__(self) -> Iterator[Any]:
        return self

    def __next__(self) -> Any:
        return next(self._cursor)


def _explains(statement: str) -> str:
    """ "PLAN" or "CODE" for an EXPLAIN, else empty."""
    if statement[:7].upper() != "EXPLAIN":
        return ""
    words = statement[: parse(statement).stop].split(None, 2)
    return "PLAN" if len(words) > 1 and words[1].upper() == "QUERY" else "CODE"


def _without(row: tuple[Any, ...], place: int | None) -> tuple[Any, ...]:
    return row if place is None else row[:place] + row[place + 1 :]


def _takes_positions(output: Any) -> bool:
    """Whether an output mode wants to know which row is the first and which the last."""
    parameters = list(inspect.signature(output).parameters.values())
    return bool(parameters[1].annotation == "Shell.Row")


def _decoded(stream: BinaryIO) -> Iterator[str]:
    """A stream's text as it comes. Raises ScriptError where it is not UTF-8"""
    decoder = codecs.getincrementaldecoder("utf-8")()
    read = getattr(stream, "read1", stream.read)
    line = 1
    while True:
        data = read(BLOCK_CHARACTERS)
        try:
            text = decoder.decode(data, final=not data)
        except UnicodeDecodeError as error:
            line += error.object.count(b"\n", 0, error.start)
            raise ScriptError(DataError("not valid UTF-8"), line, "") from None
        if "\0" in text:
            line += text.count("\n", 0, text.index("\0"))
            raise ScriptError(DataError("a null character"), line, "")
        line += text.count("\n")
        if text:
            yield text
        if not data:
            return
