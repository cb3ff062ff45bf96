"""Scripts: statement after statement, in memory that does not grow with the script, as SQLite's shell runs them.

The text comes in blocks. SQLite itself cuts it into statements wherever nothing of Colonnade's is in use; a
tracer counts them and stops in front of those that the session must see.
"""

from __future__ import annotations

import re
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from typing import TYPE_CHECKING, Any, NamedTuple

import apsw

from colonnade.plan import Plan, blank_end
from colonnade.sql.statement import statement_stop
from colonnade.watch import program_cursor

if TYPE_CHECKING:
    from colonnade.cursor import Cursor
    from colonnade.session import Session

BLOCK_CHARACTERS = 1 << 20

# PRAGMAs may be Colonnade's, and savepoints are kept track of.
_CARE = re.compile("PRAGMA|SAVEPOINT|RELEASE|ROLLBACK", re.IGNORECASE)
_ROWS = re.compile("SELECT|VALUES|WITH|EXPLAIN", re.IGNORECASE)
_USES = re.compile(r"uses (\d+)")  # how many parameters, in what apsw says when none are given
_SHOWN_CHARACTERS = 80  # of a statement in a note


class ScriptError(Exception):
    """A statement of a script failed.

    cause      what SQLite or Colonnade raised
    line       of the script, from 1, on which the statement starts
    statement  its text
    script     what the script is called; empty for one without a name, None if that is still to be said
    """

    def __init__(self, cause: Exception, line: int, statement: str, script: str | None = None) -> None:
        super().__init__(f"{script}:{line}: {cause}" if script else f"line {line}: {cause}")
        self.cause = cause
        self.line = line
        self.statement = statement
        self.script = script

    def located(self, error: Exception) -> Exception:
        """`error`, made of the cause for the program, with a note and attributes that say where."""
        shown = " ".join(self.statement[: 2 * _SHOWN_CHARACTERS].split())
        if len(shown) > _SHOWN_CHARACTERS:
            shown = shown[:_SHOWN_CHARACTERS] + "…"
        error.add_note(f"line {self.line} of the script: {shown}")
        error.script_line = self.line  # type: ignore[attr-defined]
        error.script_statement = self.statement  # type: ignore[attr-defined]
        return error


class Feed:
    """The text of a script from the statement that comes next on, as far as it was read.

    text   a part of the script that starts `line` - 1 lines behind its start
    at     where in it the next statement starts
    ended  whether there is no more behind it
    head   that of the INSERTs right before, where bulk load does not take them; else empty
    """

    def __init__(self, blocks: Iterable[str]) -> None:
        self._blocks = iter(blocks)
        self.text = ""
        self.at = 0
        self.line = 1
        self.ended = False
        self.head = ""
        self._counted = 0, 0  # an offset in the text, and the lines in front of it

    def more(self) -> bool:
        """Whether a statement, or at least something that is not blank, follows; reads on for that."""
        while True:
            at = blank_end(self.text, self.at)
            if at < len(self.text):
                self.at = at
                return True
            if not self.extend():  # a comment may be cut off here, and goes on in what is read
                return False

    def extend(self) -> bool:
        """Read on, as much again as is left; False at the end of the script."""
        wanted = max(BLOCK_CHARACTERS, len(self.text) - self.at)
        blocks: list[str] = []
        while wanted > 0 and not self.ended:
            block = next(self._blocks, "")
            self.ended = not block
            blocks.append(block)
            wanted -= len(block)
        read = "".join(blocks)
        if not read:
            return False
        self.line = self.line_of(self.at)
        self.text, self.at = self.text[self.at :] + read, 0
        self._counted = 0, 0
        return True

    def at_command(self) -> bool:
        """Whether a line starts here, with a point."""
        return self.text[self.at] == "." and (self.at == 0 or self.text[self.at - 1] == "\n")

    def take_line(self) -> str:
        """The rest of the line; moves behind it."""
        while (stop := self.text.find("\n", self.at)) < 0 and self.extend():
            pass
        stop = len(self.text) if stop < 0 else stop
        text = self.text[self.at : stop]
        self.at = stop
        return text

    def ensure(self, count: int) -> None:
        """Read on until `count` characters are there, or the end."""
        while len(self.text) - self.at < count and self.extend():
            pass

    def line_of(self, at: int) -> int:
        """The line of text[at]; what was counted once is not counted again."""
        counted, lines = self._counted
        if at < counted:
            counted = lines = 0
        lines += self.text.count("\n", counted, at)
        self._counted = at, lines
        return self.line + lines

    def stop(self, start: int) -> int | None:
        """Where the statement at text[start:] ends; None if more must be read first."""
        stop = statement_stop(self.text, start)
        return stop if stop < len(self.text) or self.ended else None

    def next_statement(self) -> tuple[int, str]:
        """The line and the text of the statement that comes next; moves behind it."""
        while (stop := self.stop(self.at)) is None:
            self.extend()
        line, text = self.line_of(self.at), self.text[self.at : stop]
        self.at = stop
        return line, text


def blocks_of(text: str) -> Iterator[str]:
    """A text in blocks."""
    return (text[start : start + BLOCK_CHARACTERS] for start in range(0, len(text), BLOCK_CHARACTERS))


class Hooks(NamedTuple):
    """What a shell does beside running statements.

    show     called with the cursor of each statement that may have rows; they are thrown away otherwise
    command  called with a line that starts with a point where a statement could start; else SQLite refuses it
    """

    show: Callable[[Cursor], None] | None = None
    command: Callable[[str], None] | None = None


NO_HOOKS = Hooks()


def run(session: Session, blocks: Iterable[str], hooks: Hooks = NO_HOOKS) -> None:
    """Run a script. Raises ScriptError; what ran before stays."""
    feed = Feed(blocks)
    native = _Native(session, feed, hooks)
    while feed.more():
        if hooks.command is not None and feed.at_command():
            _run_command(feed, hooks.command)
        elif session.hooked:
            run_next(session, feed, hooks)
        elif session.connection._plain:
            native.run()
        elif not (session.bulk.enabled and session.columns.texts.run(feed)):
            run_next(session, feed, hooks)


def _run_command(feed: Feed, command: Callable[[str], None]) -> None:
    line, text = feed.line_of(feed.at), feed.take_line()
    try:
        command(text)
    except ScriptError:
        raise  # of a script that it read
    except Exception as error:
        raise ScriptError(error, line, text) from None


def run_next(session: Session, feed: Feed, hooks: Hooks = NO_HOOKS, *, line: int = 1) -> None:
    """Run the next statement through the session. `line`: of the script, on which the feed starts"""
    behind, text = feed.next_statement()
    line += behind - 1
    cursor = session.connection._scratch_cursor()
    try:
        _run_one(session, cursor, Plan(text))
        if hooks.show is not None:
            hooks.show(cursor)
        else:
            deque(cursor._rows or (), maxlen=0)
    except Exception as error:
        raise ScriptError(error, line, text) from None


def _run_one(session: Session, cursor: Cursor, plan: Plan) -> None:
    try:
        session.execute(cursor, plan, ())
    except apsw.BindingsError as error:
        uses = _USES.search(str(error))
        session.execute(cursor, plan, (None,) * (int(uses[1]) if uses else 0))


class _Nulls(dict[str, None]):
    """NULL for every parameter with a name: nothing is bound to the statements of a script."""

    def __missing__(self, name: str) -> None:
        return None


class _Native:
    """Statements by SQLite itself, one after another, up to one that the session must see."""

    def __init__(self, session: Session, feed: Feed, hooks: Hooks) -> None:
        self._session = session
        self._feed = feed
        self._hooks = hooks
        self._cursor = program_cursor(session.db)
        self._cursor.exec_trace = self._trace
        self._hears: Callable[..., bool] | None = None  # the connection's own tracer
        self._length = 0  # of the text that SQLite is given
        self._start = self._stop = 0  # of the statement that it runs, in that text
        self._care = False

    def run(self) -> None:
        """Runs what is there of the text; at least one statement."""
        feed = self._feed
        text = feed.text[feed.at :]
        self._length = len(text) + feed.ended  # a statement that ends with the text may be cut off there
        self._start = self._stop = 0
        self._care = False
        self._hears = self._session.db.exec_trace
        try:
            # Not from the cache: apsw would look for all that is left of the text at each of its statements.
            deque(self._cursor.execute(text, _Nulls(), can_cache=False), maxlen=0)
            self._start = self._stop
        except apsw.ExecTraceAbort:
            self._stopped()
        except apsw.BindingsError:
            self._start = (
                self._stop
            )  # a parameter without a name, of the statement that was not traced any more
            self._care = True
            self._stopped()
        except Exception as error:
            self._failed(text, error)
        else:
            feed.at += self._stop

    def _trace(self, cursor: Any, sql: str, bindings: Any) -> bool:
        start = self._start = self._stop
        self._stop = stop = start + len(sql)
        if stop >= self._length:
            return False
        if sql[0] in "Ii":
            self._care = self._hooks.show is not None and "returning" in sql.lower()
        else:
            self._care = bool(_CARE.match(sql, blank_end(sql, 0))) or self._shows(sql)
        if self._care:
            return False
        return self._hears is None or self._hears(cursor, sql, bindings)

    def _shows(self, sql: str) -> bool:
        """Whether somebody wants to see rows that the statement may have."""
        if self._hooks.show is None:
            return False
        return bool(_ROWS.match(sql, blank_end(sql, 0))) or "returning" in sql.lower()

    def _stopped(self) -> None:
        """In front of the statement that starts at `_start`."""
        feed, session = self._feed, self._session
        feed.at += self._start
        if self._care:
            session.connection._schema_changed()
            run_next(session, feed, self._hooks)
        else:
            feed.extend()

    def _failed(self, text: str, error: Exception) -> None:
        """The statement that was traced last failed in a step, or the next could not be prepared."""
        feed = self._feed
        if self._refuses(text[self._stop :], error):
            self._start = self._stop
            if feed.stop(feed.at + blank_end(text, self._start)) is None:  # it is cut off
                feed.at += self._start
                feed.extend()
                return
        feed.at += blank_end(text, self._start)
        if self._hooks.command is not None and feed.at_command():
            return
        line, statement = feed.next_statement()
        raise ScriptError(error, line, statement) from None

    def _refuses(self, text: str, error: Exception) -> bool:
        """Whether SQLite says this when it prepares the first statement of `text`, which is not run."""
        cursor = self._session.db.cursor()
        cursor.exec_trace = lambda *_: False
        try:
            cursor.execute(text, _Nulls())
        except apsw.ExecTraceAbort:
            return False
        except Exception as refused:
            return str(refused) == str(error)
        return False
