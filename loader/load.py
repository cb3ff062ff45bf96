"""The load of files: sources in foreign-key order, one transaction, every constraint checked before COMMIT."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager, closing
from typing import TYPE_CHECKING, Any, Protocol

import apsw
import numpy as np

from colonnade.loader.advice import advise
from colonnade.loader.checking import ValidateLimits
from colonnade.loader.churn import Churn
from colonnade.loader.heldparents import HeldParents
from colonnade.loader.ledger import Ledger
from colonnade.loader.options import LoadOptions
from colonnade.loader.pipeline import in_order
from colonnade.loader.quarantine import Quarantine
from colonnade.loader.refused import insert_each
from colonnade.loader.rejects import Why
from colonnade.loader.report import LoadReport, TableReport, peak_rss_bytes
from colonnade.loader.settle import Debt, TableKey, finish, validate_debt
from colonnade.loader.sources import Buffers, LoadError, SourceFile, Task, find_sources
from colonnade.loader.stats import ConstraintStats
from colonnade.loader.tableload import BadRows, Frame, Piece, TableLoad
from colonnade.loader.timeline import Timeline
from colonnade.loader.violationlog import ViolationLog
from colonnade.loader.violations import CountedViolations, ViolationBatch
from colonnade.loader.writer import TableWriter
from colonnade.sql.checks import bulk_reason
from colonnade.sql.objects import Schema, TableDef, fold
from colonnade.sql.schema import read_schema
from colonnade.sql.statement import parse, split
from colonnade.store.cores import cores
from colonnade.store.database import Store
from colonnade.store.earlysync import EarlySync
from colonnade.store.errors import OperationalError
from colonnade.store.hints import TARGET_GROUP_BYTES

if TYPE_CHECKING:
    from colonnade.loader.piececheck import PieceChecks

Given = str | tuple[str, Any]

_FULL_BYTES = TARGET_GROUP_BYTES / 2
# Of the room for a piece: however small pieces are, so many of them are under way in its place.
_LEAST_SHARE = 1 / 16
EXAMPLES = 100  # violations that are named where not all of them are; the counts are exact all the same


class Observer(Protocol):
    """Told how a load goes on, on the connection's thread."""

    def table_started(self, table: str, input_bytes: int | None) -> None: ...

    def advanced(self, table: str, rows: int, input_bytes: int) -> None: ...

    def phase(self, table: str, phase: str) -> None: ...

    def table_finished(self, table: str, rows: int) -> None: ...


def load_files(
    store: Store,
    sources: Sequence[Given],
    options: LoadOptions,
    *,
    script: str | None = None,
    script_path: str = "the schema",
    observer: Observer | None = None,
    convert: bool = True,
    stats: ConstraintStats | None = None,
) -> LoadReport:
    """Load sources into the tables that they name, all or nothing.

    sources  paths of files and directories (see sources.find), and (table, data) for anything with
             `__arrow_c_stream__` and frames of pandas
    script   CREATE TABLE statements to run first, in the same transaction
    convert  False: tables in row format are so again at the end
    stats    where the checks of constraints are counted while the load goes on; the report has them too
    Raises   LoadError for input that cannot be read, OperationalError if a transaction is open; the load
             is rolled back by any error
    Violations of keys are not raised: they are in the report, whose `committed` says what became of the
    load (see LoadOptions.on_violation). Foreign keys are checked whatever PRAGMA foreign_keys says.
    """
    if store.db.in_transaction:
        raise OperationalError("cannot load within a transaction")
    limit, size = store.memory_limit, store.batch_size
    store.memory_limit = options.memory_limit or limit
    store.batch_size = options.batch_size or size
    load = _Load(store, options, observer or _Silent(), stats or ConstraintStats(), convert=convert)
    store.working_memory()
    try:
        with store.spans("load") as span:
            report = load.run(sources, script or "", script_path)
            span.note(rows=report.rows, committed=report.committed)
        return report
    finally:
        store.memory_limit, store.batch_size = limit, size


class _Silent:
    def table_started(self, table: str, input_bytes: int | None) -> None:
        pass

    def advanced(self, table: str, rows: int, input_bytes: int) -> None:
        pass

    def phase(self, table: str, phase: str) -> None:
        pass

    def table_finished(self, table: str, rows: int) -> None:
        pass


class _Load:
    """One load from start to end; what its steps share."""

    def __init__(
        self, store: Store, options: LoadOptions, observer: Observer, stats: ConstraintStats, *, convert: bool
    ) -> None:
        self.store = store
        self._convert = convert
        self._returning: set[TableKey] = set()
        self.options = options
        self.observer = observer
        self.report = LoadReport(store.db.filename, options.on_violation)
        self.ledger = Ledger()
        self.stats = stats
        keep = None if options.on_violation == "report" else EXAMPLES
        log = ViolationLog() if keep is None else None  # as they are found, in any number
        self.found = CountedViolations(keep, self.ledger.locate, [] if log is None else log)
        self.bad_rows = BadRows(keep, [] if log is None else log)
        self._log = log
        self._buffers = Buffers()
        self._checks: dict[str, PieceChecks] = {}  # by folded name of a table, with bulk load off
        self.quarantine = Quarantine(store, self.ledger)

    def run(self, sources: Sequence[Given], script: str, script_path: str) -> LoadReport:
        report, db = self.report, self.store.db
        self.store.choose_page_size()
        db.execute("BEGIN IMMEDIATE")
        churn, timeline = Churn(self.store), Timeline(lambda: report.rows)
        try:
            with timeline, self.ledger, closing(self.quarantine):
                run_script(db, script, script_path)
                with EarlySync(db):
                    self._load_all(sources)
                self._end()
        except BaseException:
            if db.in_transaction:  # a full disk makes SQLite roll back by itself
                db.execute("ROLLBACK")
            raise
        report.seconds = time.perf_counter() - report.started
        report.timeline = timeline.samples
        churn.tell(report)
        report.constraints = self.stats.rows()
        kept = [*self.bad_rows.violations, *self.found.kept] if self._log is None else self._log
        report.violations = kept
        report.violation_counts = self.bad_rows.counts | {
            f"{constraint.table}: {constraint.label}": count
            for constraint, count in self.found.counts.items()
        }
        if report.committed:
            report.advice = advise(
                self.store, self._schema("main"), self.stats, [t.table for t in report.tables]
            )
        report.peak_rss_bytes = peak_rss_bytes()
        if db.filename:
            report.file_bytes = os.path.getsize(db.filename)
        return report

    def _end(self) -> None:
        """COMMIT, unless something was found that no quarantine took."""
        clean = not self.found.total and not self.bad_rows.total
        self.report.committed = clean or self.options.on_violation == "quarantine"
        started = time.perf_counter()
        counted = self.store.pager.counters.phase(None, "commit")
        with self.store.spans("commit", committed=self.report.committed), counted:
            self.store.db.execute("COMMIT" if self.report.committed else "ROLLBACK")
        self.report.commit_seconds = time.perf_counter() - started

    def _load_all(self, sources: Sequence[Given]) -> None:
        """Tables in foreign-key order; those in a cycle are all loaded before they are validated."""
        schema = read_schema(self.store.db)
        files: dict[str, list[SourceFile | Frame]] = {}
        paths = [source for source in sources if isinstance(source, str)]
        for file in find_sources(paths, schema, self.options):
            files.setdefault(fold(file.table), []).append(file)
        for name, data in (source for source in sources if not isinstance(source, str)):
            if schema.table(name) is None:
                raise LoadError(f"no such table: {name}")
            files.setdefault(fold(name), []).append(Frame(name, data))
        # The largest first: while the threads are busy with its pieces the next table is made ready.
        sizes = {name: sum(file.byte_count or 0 for file in given) for name, given in files.items()}
        order = schema.load_order(list(files), sizes)
        cycles = [[schema.tables[fold(name)] for name in cycle] for cycle in order]
        started: list[list[TableLoad]] = []

        def start_each() -> Iterator[tuple[int, TableLoad, Iterator[Task]]]:
            for number, definitions in enumerate(cycles):
                started.append([])
                for definition in definitions:
                    given = files[fold(definition.name)]
                    table = self._start(definition, given, definitions)
                    started[number].append(table)
                    yield number, table, table.tasks(given)

        try:
            self._store_all(start_each(), started)
        finally:
            for tables in started:
                _let_go(tables)

    def _store_all(
        self, tables: Iterator[tuple[int, TableLoad, Iterator[Task]]], started: list[list[TableLoad]]
    ) -> None:
        """The pieces of all tables, and the end of each; `started` grows with `tables`."""
        settled = 0
        with ThreadPoolExecutor(cores(), "colonnade-load") as pool:
            results = in_order(pool, _work, self._tasks(tables), cores(), _share)
            with closing(results):
                for number, table, pieces in results:
                    while settled < number:
                        self._settle(started[settled])
                        settled += 1
                        if self._is_over:
                            return
                    self._hold_parents(table, pieces)
                    self._keep_all(table, pieces)
                    if self._is_over:
                        return
        for together in started[settled:]:
            self._settle(together)
            if self._is_over:
                return

    def _tasks(
        self, tables: Iterator[tuple[int, TableLoad, Iterator[Task]]]
    ) -> Iterator[tuple[int, TableLoad, Task]]:
        """The pieces of all tables. The threads begin with the next table while one is validated, and a table is
        started as soon as they have work for a while from the one before."""
        current = next(tables, None)
        while current is not None:
            number, table, pieces = current
            following = None
            for count, task in enumerate(self.store.spans.each("read", pieces, table=table.definition.name)):
                yield number, table, task
                if count == cores():
                    following = next(tables, None)
            current = following or next(tables, None)

    @property
    def _is_over(self) -> bool:
        return self.found.total > 0 and self.options.on_violation == "abort"

    def _start(
        self, definition: TableDef, files: Sequence[SourceFile | Frame], together: Sequence[TableDef]
    ) -> TableLoad:
        report = TableReport(definition.name, [file.path for file in files])
        self.report.tables.append(report)
        sizes = [file.byte_count for file in files]
        known = None if None in sizes else sum(size or 0 for size in sizes)
        self.observer.table_started(definition.name, known)
        writer = self._writer(definition)
        table = TableLoad(self.store, definition, writer, self.options, report, self._buffers)
        names = [other.name for other in together]
        if writer.column_format and self.options.bulk_load:
            table.parents = HeldParents(self.store, definition, names, self.stats, known)
        elif writer.column_format:
            self._check_pieces(table, names)
        return table

    def _check_pieces(self, table: TableLoad, together: Sequence[str]) -> None:
        from colonnade.loader.piececheck import PieceChecks  # a bulk load starts faster without

        schema = self._schema(table.definition.schema)
        checks = PieceChecks(self.store, schema, table.writer, together, self.stats)
        self._checks[fold(table.definition.name)] = checks
        table.looks_at_keys = True

    def _hold_parents(self, table: TableLoad, pieces: Sequence[Piece]) -> None:
        """All tables before this one, and so its parents, are settled."""
        if table.parents is not None:
            rows = sum(piece.batch.row_count for piece in pieces)
            size = sum(piece.input_bytes for piece in pieces)
            room = ValidateLimits(self.store.memory_limit).working_bytes
            table.parents.begin(lambda: self._schema(table.definition.schema), rows, size, room)

    def _keep_all(self, table: TableLoad, pieces: Sequence[Piece]) -> None:
        for piece in pieces:
            piece = table.late(piece)
            self._keep(table, piece)
            if self._is_over:
                return
            self.observer.advanced(table.definition.name, piece.batch.row_count, piece.input_bytes)

    def _writer(self, definition: TableDef) -> TableWriter:
        """Row groups for all tables that may have them: then every row's source line is known."""
        reason = bulk_reason(definition)
        if self.store.table(definition.name, definition.schema) is None:
            reason = reason or self.store.ineligible(definition.name, definition.schema)
            if not self._convert:
                self._returning.add((fold(definition.schema), fold(definition.name)))
        if reason is not None:
            self.report.warnings.append(f"{definition.name} is loaded row by row: {reason}")
            return TableWriter(self.store, definition, column_format=False)
        writer = TableWriter(self.store, definition, column_format=True, always_groups=True)
        writer.open_groups(1, 0)
        return writer

    def _keep(self, table: TableLoad, piece: Piece) -> None:
        """Store the good rows of a piece; its bad ones end the load or are collected."""
        report = table.report
        report.input_bytes += piece.input_bytes
        for column, count in piece.rows.text_numbers.items():
            report.text_values[column] = report.text_values.get(column, 0) + count
        if piece.problems or piece.rows.rejects:
            self._reject(table, piece)
        checks = self._checks.get(fold(table.definition.name))
        if checks is None:
            self._store(table, piece, checked=False)
        else:
            self._store_checked(table, piece, checks)

    def _store_checked(self, table: TableLoad, piece: Piece, checks: PieceChecks) -> None:
        """Store a piece whose keys are looked at first. A row that breaks one makes it a candidate, and ends an
        `abort` once the validator has said what is wrong with it."""
        piece = checks.filled(piece)
        count, start = piece.batch.row_count, 0
        with table.report.phase("check"):
            good = checks.sound_rows(piece)
        if good < count and checks.complete and self.options.on_violation == "abort":
            start = good + 1
            self._store(table, piece.part(0, start), checked=False)
            owing = Debt({(fold(table.definition.schema), fold(table.definition.name))})
            if validate_debt(self.store, self._schema, owing, self.stats, self.found, foreign_keys=True):
                return
        rest = piece if start == 0 else piece.part(start, count)
        self._store(table, rest, checked=checks.complete and good == count)

    def _store(self, table: TableLoad, piece: Piece, *, checked: bool) -> None:
        if not piece.batch.row_count:
            return
        report = table.report
        with report.phase("append"), self._counted(table.definition, "append"):
            try:
                if piece.prepared is not None:
                    written = table.writer.put(piece.prepared, checked=checked)
                else:
                    written = table.writer.write(piece.batch, checked=checked)
            except apsw.ConstraintError:
                if self.options.on_violation == "abort" or not self.store.db.in_transaction:
                    raise
                self._insert_each(table, piece)
                return
        report.rows += written.row_count
        if written.group_id is not None:
            report.row_groups += 1
            order = written.order
            if piece.kept is not None:
                order = piece.kept if order is None else piece.kept[order]
            self.ledger.note(table.definition.name, written.group_id, piece.rows.provenance, order)
            if table.parents is not None:
                table.parents.decide(written.group_id, written.row_count, piece.present)

    def _insert_each(self, table: TableLoad, piece: Piece) -> None:
        """A piece that SQLite refused for some of its rows, for a table in row format."""
        definition, provenance = table.definition, piece.rows.provenance
        refused = insert_each(self.store, definition, piece.batch)
        table.report.rows += piece.batch.row_count - len(refused)
        table.report.rejected += len(refused)
        rows = np.array([each.position for each in refused], np.int64)
        batch, places = piece.batch.take(rows), rows if piece.kept is None else piece.kept[rows]
        self.bad_rows.refuse(definition, refused, batch, provenance, places)
        if self.options.on_violation == "quarantine":
            self.quarantine.add_rows(definition, batch, [each.why for each in refused], provenance, places)

    def _counted(self, definition: TableDef, phase: str) -> AbstractContextManager[None]:
        key = f"{definition.schema}.{definition.name}".lower()
        return self.store.pager.counters.phase(key, phase)

    def _reject(self, table: TableLoad, piece: Piece) -> None:
        bad = table.bad_rows(piece)
        if self.options.on_violation == "abort":
            row, problem = next(iter(bad.items()))
            raise table.row_error(piece, row, problem)
        table.report.rejected += piece.reject_count
        self.bad_rows.add(table, piece, bad)
        if self.options.on_violation == "quarantine":
            self.quarantine.add_malformed(table.definition, piece.rows.rejects)
            positions = np.array(list(bad), np.int64)
            rows = piece.rows.batch.take(positions)
            whys = [Why(problem.kind, problem.constraint, None, problem.message) for problem in bad.values()]
            self.quarantine.add_rows(table.definition, rows, whys, piece.rows.provenance, positions)

    def _settle(self, tables: Sequence[TableLoad]) -> None:
        """The end of a table (or of a cycle of tables): validate, move violations out, drop all state."""
        definitions = [table.definition for table in tables]
        reports = [table.report for table in tables]
        started = time.perf_counter()
        for definition in definitions:
            self.observer.phase(definition.name, "validate")
            if fold(definition.name) in self._checks:
                self._checks.pop(fold(definition.name)).forget()
        keys = {(fold(d.schema), fold(d.name)) for d in definitions}
        sink = _Both(self.found, self.quarantine) if self.options.on_violation == "quarantine" else self.found
        debt, held = Debt(set(keys)), [table.parents for table in tables if table.parents is not None]
        while validate_debt(self.store, self._schema, debt, self.stats, sink, foreign_keys=True, held=held):
            _let_go(tables)  # of what was decided too: rows may go now, which others refer to
            if self.options.on_violation != "quarantine":
                break
            with self.store.pager.counters.phase(None, "quarantine"):
                moved = self.quarantine.clear(definitions, self._schema(definitions[0].schema))
            for report in reports:
                count = moved.get(fold(report.table), 0)
                report.rejected, report.rows = report.rejected + count, report.rows - count
            debt, held = Debt(set(keys), recheck=set(keys)), []
        _let_go(tables)
        seconds = time.perf_counter() - started
        reports[-1].phases["validate"] = seconds
        if not self.found.total or self.options.on_violation == "quarantine":
            with reports[-1].phase("settle"):
                finish(self.store, keys, shrink=True, returning=self._returning)
        for definition, report in zip(definitions, reports, strict=True):
            self.ledger.drop(definition.name)
            table = self.store.table(definition.name, definition.schema)
            report.format = "row" if table is None else "column"
            report.stored_bytes = 0 if table is None else table.usage().stored_bytes
            report.dead_bytes = 0 if table is None else table.usage().dead_bytes
            report.seconds = time.perf_counter() - report.started
            self.observer.table_finished(definition.name, report.rows)

    def _schema(self, schema: str) -> Schema:
        return read_schema(self.store.db, schema)


def _let_go(tables: Sequence[TableLoad]) -> None:
    """Of the parents that were held for them."""
    for table in tables:
        if table.parents is not None:
            table.parents.close()


def _work(item: tuple[int, TableLoad, Task]) -> tuple[int, TableLoad, list[Piece]]:
    number, table, task = item
    return number, table, table.work(task)


def _share(item: tuple[int, TableLoad, Task]) -> float:
    """What a piece takes of the room for a full one: all of it from half of the target's bytes on, as its text may be
    shorter than its values."""
    return min(1.0, max(item[2].input_bytes / _FULL_BYTES, _LEAST_SHARE))


class _Both:
    """Violations to the counts and, for those that quarantine may take, to the quarantine."""

    def __init__(self, found: CountedViolations, quarantine: Quarantine) -> None:
        self._found, self._quarantine = found, quarantine

    def add(self, batch: ViolationBatch) -> None:
        self._found.add(batch)
        self._quarantine.add(batch)


def run_script(db: apsw.Connection, script: str, path: str) -> None:
    """Run schema statements inside the load's own transaction: BEGIN and COMMIT in them are passed over.

    Raises LoadError naming the file, the line on which the statement starts, and SQLite's message.
    """
    for text, line in split(script):
        if parse(text).verb in ("BEGIN", "COMMIT", "END"):
            continue
        try:
            db.execute(text)
        except (apsw.Error, ValueError) as error:  # ValueError: a NUL
            raise LoadError(str(error), path=path, line=line) from None
        if not db.in_transaction:
            raise LoadError("the statement ends the load's transaction", path=path, line=line)
