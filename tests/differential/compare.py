"""Run a sequence on both sides and compare: after every statement what it gave, at the end the whole database."""

from __future__ import annotations

import re
import shutil
import tempfile
import traceback
import warnings
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import apsw

import colonnade
from tests.differential.counts import Counts
from tests.differential.model import Step
from tests.differential.sequences import Sequence
from tests.differential.sides import Ours, Outcome, Reference
from tests.differential.values import quote

END = -1  # the number of the step for what is found when all were run
_SHARED_MEMORY = Path("/dev/shm")
# The parts of an outcome, in the order in which a difference is looked for.
_PARTS = (
    "before",
    "error",
    "failed",
    "rows",
    "names",
    "rowcount",
    "lastrowid",
    "in transaction",
    "total changes",
)
_COUNTING = re.compile(r"changes\(|last_insert_rowid")


@dataclass(frozen=True, slots=True)
class Difference:
    """Where the two sides part: the step (END: the database afterwards), what differs, and both versions."""

    step: int
    what: str
    expected: Any
    got: Any

    @property
    def kind(self) -> tuple[Any, ...]:
        """What stays the same while a sequence is reduced, so that it is not reduced to another difference."""
        if self.what == "error" and self.expected and self.got:
            return (self.what, self.expected[0], self.got[0])
        if self.what == "error":
            return (self.what, *((side or ("",))[0] for side in (self.expected, self.got)), self._message())
        return (self.what, str(self.got).splitlines()[-1]) if self.what.startswith("crash") else (self.what,)

    def _message(self) -> str:
        message = str((self.got or self.expected)[1])
        return message if "syntax" in message else message.split(":")[0][:24]


def compare(sequence: Sequence, counts: Counts | None = None) -> Difference | None:
    """The first difference between the two sides, or None."""
    folder = (
        tempfile.mkdtemp(dir=_SHARED_MEMORY if _SHARED_MEMORY.is_dir() else None) if sequence.on_file else ""
    )
    theirs, ours = ((f"{folder}/{side}.db" if folder else ":memory:") for side in ("theirs", "ours"))
    common: dict[str, object] = {"foreign_keys": int(sequence.foreign_keys)}
    settings = common | {"storage_format": sequence.storage_format, "batch_size": sequence.batch_size}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # batch sizes above the maximum, say
        run = _Run(
            sequence,
            Reference(theirs, common, attached=sequence.attached),
            Ours(ours, settings, attached=sequence.attached),
            counts,
        )
        try:
            return run.all()
        finally:
            run.theirs.close()
            with suppress(colonnade.Error):
                run.ours.close()
            if folder:
                shutil.rmtree(folder)


class _Run:
    def __init__(self, sequence: Sequence, theirs: Reference, ours: Ours, counts: Counts | None) -> None:
        self.sequence, self.theirs, self.ours, self.counts = sequence, theirs, ours, counts
        # SQLite counts the changes of a statement that bulk load does not let fail before COMMIT.
        self.counters_apart = self.rowids_apart = False

    @property
    def sides(self) -> tuple[Any, Any]:
        return self.theirs, self.ours

    def all(self) -> Difference | None:
        for number, step in enumerate(self.sequence.steps):
            found = self._step(number, step)
            if found is not None:
                return found
        if self.counts is not None:
            self.counts.sequences += 1
        return self._database()

    def _step(self, number: int, step: Step) -> Difference | None:
        try:
            if step.how == "freeze":
                with suppress(apsw.LockedError, apsw.BusyError):
                    self.ours.freeze(step.sql, step.parameters or "main")
                return None
            found = self._bulk(step) if step.how == "bulk" else self._compared(step)
        except Exception as error:
            return Difference(number, "crash", None, "".join(traceback.format_exception(error)))
        return None if found is None else Difference(number, *found)

    def _compared(self, step: Step) -> tuple[str, Any, Any] | None:
        """One step on both sides; what differs, expected and got."""
        in_columns = self.counts is not None and self.ours.in_column_format(step.tables)
        expected, got = (self._outcome(side, step) for side in self.sides)
        if self.counts is not None:
            self.counts.note(step, failed="error" in expected, in_columns=in_columns)
        if step.sql.startswith("VACUUM"):  # SQLite's own copying of tables shows in it, and may renumber rows
            self.rowids_apart = True
            for side, outcome in zip(self.sides, (expected, got), strict=True):
                side.forget_rowid()
                outcome.pop("lastrowid", None)
        return self._apart(step, expected, got)

    def _outcome(self, side: Any, step: Step) -> Outcome:
        if step.how == "fetch":
            result: Outcome = side.fetch(step.sql)
        elif step.how in ("open", "loop", "attach"):
            result = getattr(side, step.how)(step)
        else:
            result = side.run(step)
        return result

    def _bulk(self, step: Step) -> tuple[str, Any, Any] | None:
        """A transaction in which Colonnade is in bulk load.

        Bulk load finds at COMMIT what SQLite finds at once. So what SQLite runs without an error gives the same on
        both sides. Its first error ends the transaction: Colonnade has to find one as well, at COMMIT at the latest.
        """
        self.ours.run(Step("switch", "PRAGMA bulk_load = on"))
        for side in self.sides:
            side.run(Step("switch", "BEGIN"))
            side.run(Step("switch", "PRAGMA defer_foreign_keys = on"))
        failed, ours_failed, found = False, False, None
        for statement in step.parameters:
            expected, got = (side.run(statement) for side in self.sides)
            failed, ours_failed = "error" in expected, "error" in got and "stale" not in expected
            if not failed:
                found = self._apart(statement, expected, got)
            if failed or found is not None:
                break
        if found is None and not ours_failed:
            ours_failed = "error" in self.ours.run(Step("switch", "COMMIT"))
            failed = failed or "error" in self.theirs.run(Step("switch", "COMMIT"))
        for side in self.sides:
            if side.db.in_transaction:
                side.run(Step("switch", "ROLLBACK"))
            if failed:
                side.forget_rowid()
        self.ours.run(Step("switch", "PRAGMA bulk_load = off"))
        self.counters_apart = self.counters_apart or failed
        if self.counts is not None:
            self.counts.note(step, failed=failed, in_columns=False)
        return found or (None if failed == ours_failed else ("failed", failed, ours_failed))

    def _apart(self, step: Step, expected: Outcome, got: Outcome) -> tuple[str, Any, Any] | None:
        """The first part of the outcomes that differs, as what, expected and got."""
        if "stale" in expected:
            return None
        for what in _PARTS:
            theirs, ours = expected.get(what), got.get(what)
            if what == "names" and not expected.get("rows"):
                continue
            if self.counters_apart and (
                what == "total changes" or (what == "rows" and _COUNTING.search(step.sql))
            ):
                continue
            if self.rowids_apart and (
                what == "lastrowid" or (what == "rows" and "last_insert_rowid" in step.sql)
            ):
                continue
            if shown(theirs) != shown(ours) and not (what == "rows" and _same_bag(step, theirs, ours)):
                return what, theirs, ours
        return None

    # --- the whole database --------------------------------------------------------------------------------

    def _database(self) -> Difference | None:
        try:
            found = self._ended() or self._tables()
            if found is None and self.sequence.on_file:
                self.theirs.reopen()
                self.ours.reopen()
                found = self._tables()
            return found
        except Exception as error:
            return Difference(END, "crash at the end", None, "".join(traceback.format_exception(error)))

    def _ended(self) -> Difference | None:
        """Both in or both outside a transaction, which is committed or rolled back."""
        for side in self.sides:
            side.opened = None
        endings = []
        for side in self.sides:
            outcome = side.run(Step("transaction", "COMMIT"))
            if outcome["in transaction"]:
                side.run(Step("transaction", "ROLLBACK"))
            endings.append(outcome.get("error"))
        theirs, ours = endings
        return None if theirs == ours else Difference(END, "commit", theirs, ours)

    def _tables(self) -> Difference | None:
        listed = self.theirs.query("SELECT schema, name, wr FROM pragma_table_list WHERE type = 'table'")
        found = None
        for schema in sorted({schema for schema, _, _ in listed}):
            sql = f"SELECT type, name, tbl_name, sql FROM {schema}.sqlite_master ORDER BY type, name"
            found = found or self._same("sqlite_master", sql)
        for schema, name, without_rowid in listed:
            if found is not None:
                return found
            if not name.startswith("sqlite_") or name == "sqlite_sequence":
                hides_rowid = bool(without_rowid) or name == "sqlite_sequence" or self.rowids_apart
                found = self._rows(schema, name, hides_rowid=hides_rowid)
        # Where row groups are looked into as well.
        return found or self._same("integrity_check", "PRAGMA integrity_check")

    def _rows(self, schema: str, name: str, *, hides_rowid: bool) -> Difference | None:
        place = f"{schema}.{quote(name)}"
        order = " ORDER BY 1" if name == "sqlite_sequence" else ""
        what, shown_columns = f"rows of {name}", "*" if hides_rowid else "rowid, *"
        try:
            return self._same(what, f"SELECT {shown_columns} FROM {place}{order}")
        except UnicodeDecodeError:
            names = [row[1] for row in self.theirs.query(f"PRAGMA {schema}.table_xinfo({quote(name)})")]
            columns = ", ".join(f"typeof({quote(n)}), hex({quote(n)})" for n in names)
            return self._same(what, f"SELECT {columns} FROM {place}{order}")

    def _same(self, what: str, sql: str) -> Difference | None:
        expected, got = self.theirs.query(sql), self.ours.query(sql)
        return None if shown(expected) == shown(got) else Difference(END, what, expected, got)


def shown(value: Any) -> str:
    """A value made comparable, with types and -0.0 told apart."""
    if isinstance(value, (list, tuple)):
        # Each text by itself: which quotes its repr has, and what it escapes, depends on the text.
        return f"{type(value).__name__}({', '.join(map(shown, value))})"
    return repr(value)


def _same_bag(step: Step, theirs: Any, ours: Any) -> bool:
    """Rows whose order is not promised, with -0.0 and 0.0 and types told apart."""
    return (
        not step.ordered
        and bool(theirs)
        and bool(ours)
        and sorted(map(shown, theirs)) == sorted(map(shown, ours))
    )
