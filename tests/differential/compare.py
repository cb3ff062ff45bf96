"""Run a sequence on both sides and compare: after every statement what it gave, at the end the whole database."""

from __future__ import annotations

import re
import shutil
import tempfile
import traceback
import warnings
from collections import Counter
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import apsw

import colonnade
from colonnade.store.check import check
from tests.differential.model import Step
from tests.differential.sequences import Sequence
from tests.differential.sides import Ours, Outcome, Reference
from tests.differential.values import quote

END = -1  # the number of the step for what is found when all were run
_PARENT = re.compile(r'REFERENCES "((?:[^"]|"")*)"')
_SHARED_MEMORY = Path("/dev/shm")


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


@dataclass(slots=True)
class Counts:
    """Over all sequences of a run: statements by kind, by how they ended and by the format of their tables."""

    statements: Counter[tuple[str, str, str]] = field(default_factory=Counter)
    sequences: int = 0

    def note(self, step: Step, outcome: Outcome, in_columns: bool) -> None:
        ending = "failed" if "error" in outcome else "went well"
        self.statements[step.kind, ending, "column" if in_columns else "row"] += 1

    def add(self, other: Counts) -> None:
        self.statements.update(other.statements)
        self.sequences += other.sequences

    def total(self, kind: str = "", ending: str = "", stored: str = "") -> int:
        """How many statements fit; an empty word fits all."""
        wanted = (kind, ending, stored)
        return sum(
            count
            for key, count in self.statements.items()
            if all(not word or word == part for word, part in zip(wanted, key, strict=True))
        )

    def report(self) -> str:
        kinds = sorted({key[0] for key in self.statements})
        lines = [f"{'kind':<16}{'went well':>10}{'failed':>8}{'on column format':>18}"]
        lines += [
            f"{kind:<16}{self.total(kind, 'went well'):>10}{self.total(kind, 'failed'):>8}"
            f"{self.total(kind, stored='column'):>18}"
            for kind in [*kinds, ""]
        ]
        return "\n".join(lines)


def compare(sequence: Sequence, counts: Counts | None = None) -> Difference | None:
    """The first difference between the two sides, or None."""
    folder = (
        tempfile.mkdtemp(dir=_SHARED_MEMORY if _SHARED_MEMORY.is_dir() else None) if sequence.on_file else ""
    )
    theirs, ours = ((f"{folder}/{side}.db" if folder else ":memory:") for side in ("theirs", "ours"))
    run = _Run(sequence, Reference(theirs, foreign_keys=sequence.foreign_keys), _ours(ours, sequence), counts)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # batch sizes above the maximum, say
            return run.all()
    finally:
        run.theirs.close()
        with suppress(colonnade.Error):
            run.ours.close()
        if folder:
            shutil.rmtree(folder)


def _ours(path: str, sequence: Sequence) -> Ours:
    return Ours(
        path,
        foreign_keys=sequence.foreign_keys,
        storage_format=sequence.storage_format,
        batch_size=sequence.batch_size,
    )


class _Run:
    def __init__(self, sequence: Sequence, theirs: Reference, ours: Ours, counts: Counts | None) -> None:
        self.sequence, self.theirs, self.ours, self.counts = sequence, theirs, ours, counts
        self.bulked = False  # SQLite counts changes of failing INSERTs; bulk load finds them at the end

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
            in_columns = self.counts is not None and self.ours.in_column_format(step.tables)
            if step.how == "freeze":
                with suppress(apsw.LockedError, apsw.BusyError):
                    self.ours.freeze(step.sql)
                return None
            expected, got = self._bulk(step) if step.how == "bulk" else self._both(step)
        except Exception as error:
            return Difference(number, "crash", None, "".join(traceback.format_exception(error)))
        if self.counts is not None and step.how != "bulk":
            self.counts.note(step, expected, in_columns)
        if step.sql == "VACUUM":  # SQLite's own copying of tables shows in it
            self.theirs.db.set_last_insert_rowid(0)
            self.ours.db._db.set_last_insert_rowid(0)
            expected.pop("lastrowid", None), got.pop("lastrowid", None)
        what = self._apart(step, expected, got)
        return None if what is None else Difference(number, what, expected.get(what), got.get(what))

    def _both(self, step: Step) -> tuple[Outcome, Outcome]:
        sides: tuple[Any, Any] = (self.theirs, self.ours)
        if step.how == "fetch":
            theirs, ours = (side.fetch(step.sql) for side in sides)
        elif step.how in ("open", "loop"):
            theirs, ours = (getattr(side, step.how)(step) for side in sides)
        else:
            theirs, ours = (side.run(step) for side in sides)
        return theirs, ours

    def _bulk(self, step: Step) -> tuple[Outcome, Outcome]:
        """INSERTs in one transaction: all of them are there afterwards, or none on both sides.

        Bulk load finds at COMMIT what SQLite finds at once, so counters and rowids go apart where it fails.
        """
        endings: list[Outcome] = []
        self.bulked = True
        sides: tuple[Any, Any] = (self.theirs, self.ours)
        for side in sides:
            if side is self.ours:
                side.run(Step("switch", "PRAGMA bulk_load = on"))
            side.run(Step("switch", "BEGIN"))
            side.run(Step("switch", "PRAGMA defer_foreign_keys = on"))
            failed = any("error" in side.run(insert) for insert in step.parameters)
            failed = failed or "error" in side.run(Step("switch", "COMMIT"))
            if side.db.in_transaction:
                side.run(Step("switch", "ROLLBACK"))
            endings.append({"failed": failed, "in transaction": side.db.in_transaction})
            if side is self.ours:
                side.run(Step("switch", "PRAGMA bulk_load = off"))
                side.db._db.set_last_insert_rowid(0)
            else:
                side.db.set_last_insert_rowid(0)
        if self.counts is not None:
            self.counts.statements[
                "bulk load", "failed" if endings[0]["failed"] else "went well", "either"
            ] += 1
        return endings[0], endings[1]

    def _apart(self, step: Step, expected: Outcome, got: Outcome) -> str | None:
        """The name of the first part of the outcomes that differs."""
        for what in (
            "error",
            "failed",
            "rows",
            "names",
            "rowcount",
            "lastrowid",
            "in transaction",
            "total changes",
        ):
            theirs, ours = expected.get(what), got.get(what)
            if what == "names" and not expected.get("rows"):
                continue
            if self.bulked and (what == "total changes" or (what == "rows" and step.kind == "counters")):
                continue
            if _shown(theirs) != _shown(ours) and not (what == "rows" and _same_bag(step, theirs, ours)):
                return what
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
        sides: tuple[Any, Any] = (self.theirs, self.ours)
        for side in sides:
            side.opened = None
        endings = []
        for side in sides:
            outcome = side.run(Step("transaction", "COMMIT"))
            if outcome["in transaction"]:
                side.run(Step("transaction", "ROLLBACK"))
            endings.append(outcome.get("error"))
        theirs, ours = endings
        return None if theirs == ours else Difference(END, "commit", theirs, ours)

    def _tables(self) -> Difference | None:
        sql = "SELECT type, name, tbl_name, sql FROM sqlite_master ORDER BY type, name"
        found = self._same("sqlite_master", sql)
        listed = self.theirs.query("SELECT schema, name, wr FROM pragma_table_list WHERE type = 'table'")
        for schema, name, without_rowid in listed:
            if found is not None:
                return found
            if not name.startswith("sqlite_") or name == "sqlite_sequence":
                place = f"{schema}.{quote(name)}"
                shown = "*" if without_rowid or name == "sqlite_sequence" else "rowid, *"
                order = " ORDER BY 1" if name == "sqlite_sequence" else ""
                found = self._same(f"rows of {name}", f"SELECT {shown} FROM {place}{order}")
        found = found or self._same("integrity_check", "PRAGMA integrity_check")
        if found is None:
            faults = [str(fault) for fault in check(self.ours.db._session.store)]
            found = Difference(END, "store.check", [], faults) if faults else None
        return found

    def _same(self, what: str, sql: str) -> Difference | None:
        expected, got = self.theirs.query(sql), self.ours.query(sql)
        return None if _shown(expected) == _shown(got) else Difference(END, what, expected, got)


def _shown(value: Any) -> str:
    """A value made comparable, with types and -0.0 told apart.

    The quotes of a parent's name are left out, as long as test_found.py expects them to be wrong after ALTER TABLE.
    """
    if isinstance(value, (list, tuple)):
        # Each text by itself: which quotes its repr has, and what it escapes, depends on the text.
        return f"{type(value).__name__}({', '.join(map(_shown, value))})"
    if isinstance(value, str) and "REFERENCES" in value:
        value = _PARENT.sub(r"REFERENCES \1", value)
    return repr(value)


def _same_bag(step: Step, theirs: Any, ours: Any) -> bool:
    """Rows whose order is not promised, with -0.0 and 0.0 and types told apart."""
    return (
        not step.ordered
        and bool(theirs)
        and bool(ours)
        and sorted(map(_shown, theirs)) == sorted(map(_shown, ours))
    )
