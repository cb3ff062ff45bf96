"""One table of a load: its sources through the worker threads, as pieces ready to be stored."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Any

import numpy as np

from colonnade.loader.append import Prepared
from colonnade.loader.heldparents import HeldParents, Present
from colonnade.loader.options import LoadOptions
from colonnade.loader.refused import Refused
from colonnade.loader.report import TableReport
from colonnade.loader.rowcheck import RowChecker
from colonnade.loader.sources import (
    Buffers,
    LoadedRows,
    LoadError,
    Provenance,
    Source,
    SourceFile,
    Task,
    line_of,
    open_arrow,
    open_source,
)
from colonnade.loader.violations import Constraint, Kept, Violation
from colonnade.loader.writer import TableWriter, given_columns
from colonnade.sql.checks import RowProblem
from colonnade.sql.objects import TableDef, fold
from colonnade.store.database import Store
from colonnade.store.values import IntArray, RowBatch, SQLiteValue, sorted_distinct, to_python


@dataclass(frozen=True, slots=True)
class Frame:
    """Data in memory to be loaded into a table: anything with `__arrow_c_stream__`, or a pandas frame."""

    table: str
    data: Any
    path: str = "<memory>"
    byte_count: int | None = None


@dataclass(frozen=True, slots=True)
class Piece:
    """Some rows of a source on their way into the table.

    rows      as the source gave them, bad rows included
    problems  what bad rows break
    batch     the good rows; without their columns once `prepared` has all that is needed of them
    kept      positions of the good rows in `rows`; None: all
    prepared  the row group, where the batch makes one and it could be encoded in a thread
    present   the foreign keys that all of the good rows keep, where that is known
    """

    rows: LoadedRows
    problems: Sequence[RowProblem]
    batch: RowBatch
    kept: IntArray | None
    prepared: Prepared | None
    input_bytes: int
    present: Mapping[Constraint, Present] = field(default_factory=dict)

    @property
    def reject_count(self) -> int:
        return len(self.rows.rejects) + self.rows.batch.row_count - self.batch.row_count

    def part(self, start: int, stop: int) -> Piece:
        """Some of the good rows, to be encoded on the connection's thread."""
        kept = np.arange(start, stop) if self.kept is None else self.kept[start:stop]
        return replace(
            self, batch=self.batch.slice(start, stop - start), kept=kept, prepared=None, present={}
        )

    def only_prepared(self) -> Piece:
        """The piece without the values of its rows, which take several times the memory of the row group."""
        bare = RowBatch(self.batch.row_count, ())
        return replace(self, batch=bare, rows=replace(self.rows, batch=bare))


class TableLoad:
    """Loads sources into one table, one after another."""

    def __init__(
        self,
        store: Store,
        definition: TableDef,
        writer: TableWriter,
        options: LoadOptions,
        report: TableReport,
        buffers: Buffers,
    ) -> None:
        self.store = store
        self._buffers = buffers
        self.definition = definition
        self.writer = writer
        self.report = report
        self.checker = RowChecker(store.db, definition)
        self.parents: HeldParents | None = None
        self.looks_at_keys = False  # before rows are stored; the values are kept until then
        self._options = options

    def tasks(self, files: Sequence[SourceFile | Frame]) -> Iterator[Task]:
        """The pieces of its sources, one after another; the first one is opened now. On the connection's thread."""
        return self._tasks(self._open(files[0]), files[1:])

    def _tasks(self, source: Source, files: Sequence[SourceFile | Frame]) -> Iterator[Task]:
        yield from source.tasks(partial(self._batch_rows, source))
        for file in files:
            source = self._open(file)
            yield from source.tasks(partial(self._batch_rows, source))

    def _open(self, file: SourceFile | Frame) -> Source:
        if isinstance(file, Frame):
            return open_arrow(file.data, self.definition, self._options)
        return open_source(file, self.definition, self._options, self._buffers)

    def _batch_rows(self, source: Source) -> int:
        return self.store.batch_rows(self.definition.name, self.definition.schema, source.bytes_per_row)

    def work(self, task: Task) -> list[Piece]:
        """In any thread: parse, check each row for itself, encode."""
        pieces: list[Piece] = []
        size, report = task.input_bytes, self.report
        with report.phase("parse"), self.store.spans("parse", table=self.definition.name, bytes=size) as span:
            parsed = task.run()
            span.note(rows=sum(rows.batch.row_count for rows in parsed))
        for rows in parsed:
            with report.phase("parse"):
                problems = self.checker.problems(rows.batch, late=False)
            with report.phase("encode"):
                pieces.append(self._piece(rows, problems, size))
            size = 0
        return pieces

    def late(self, piece: Piece) -> Piece:
        """Checks that belong to the connection's thread; the few pieces with bad rows are encoded again."""
        problems = self.checker.problems(piece.rows.batch, late=True)
        return self._piece(piece.rows, problems, piece.input_bytes) if problems else piece

    def _piece(self, rows: LoadedRows, problems: list[RowProblem], input_bytes: int) -> Piece:
        batch, kept = rows.batch, None
        if problems:
            bad = sorted_distinct(np.concatenate([problem.rows for problem in problems]))
            kept = np.setdiff1d(np.arange(batch.row_count, dtype=np.int64), bad, assume_unique=True)
            batch = batch.take(kept)
        present: Mapping[Constraint, Present] = {}
        if self.parents is not None and self.parents.held:
            with self.report.phase("check"), self.store.spans("probe", table=self.definition.name):
                present = self.parents.look_up(batch)
        piece = Piece(rows, problems, batch, kept, self.writer.prepare(batch), input_bytes, present)
        done = piece.prepared is not None and not problems and not rows.rejects and not self.checker.late
        return piece.only_prepared() if done and not self.looks_at_keys else piece

    def bad_rows(self, piece: Piece) -> dict[int, RowProblem]:
        """By position in the piece, the first thing that each bad row breaks."""
        first: dict[int, RowProblem] = {}
        for problem in piece.problems:
            for row in problem.rows.tolist():
                first.setdefault(row, problem)
        return dict(sorted(first.items()))

    def row_error(self, piece: Piece, row: int, problem: RowProblem) -> LoadError:
        """What to tell the user about a row that SQLite would refuse."""
        values = self.values_of(piece, row, problem.columns)
        given = {
            name: value for name, value in zip(problem.columns, values, strict=True) if value is not None
        }
        return LoadError(
            problem.message,
            path=piece.rows.provenance.path,
            line=line_of(piece.rows.provenance, row),
            column=", ".join(given) or None,
            value=", ".join(map(str, given.values())) if given else None,
        )

    def values_of(self, piece: Piece, row: int, names: Sequence[str]) -> tuple[SQLiteValue, ...]:
        """The values of columns in one row of a piece."""
        columns = [piece.rows.batch.columns[self.definition.column_position(name)] for name in names]
        return tuple(to_python(column.slice(row, 1))[0] for column in columns)


@dataclass(slots=True)
class BadRows:
    """Rows that were rejected for themselves alone (malformed, NOT NULL, STRICT, CHECK), as violations.

    keep  how many are kept as objects; None: all
    """

    keep: int | None = None
    violations: Kept = field(default_factory=list[Violation])
    counts: dict[str, int] = field(default_factory=dict)

    @property
    def total(self) -> int:
        return sum(self.counts.values())

    def add(self, table: TableLoad, piece: Piece, bad: dict[int, RowProblem]) -> None:
        """The rejects of one piece, and its `bad` rows as `TableLoad.bad_rows` gives them."""
        name = table.definition.name
        for reject in piece.rows.rejects:
            columns = (reject.column,) if reject.column is not None else ()
            values = (reject.value,) if reject.column is not None else ()
            self._add(
                Violation(
                    name,
                    "malformed row",
                    "MALFORMED",
                    None,
                    reject.path,
                    reject.line,
                    columns,
                    values,
                    None,
                    reject.reason,
                )
            )
        where = piece.rows.provenance
        for row, problem in bad.items():
            self._add(
                Violation(
                    name,
                    f"{problem.kind} {problem.constraint}",
                    problem.kind,
                    None,
                    where.path,
                    line_of(where, row),
                    problem.columns,
                    table.values_of(piece, row, problem.columns),
                    None,
                    problem.message,
                )
            )

    def refuse(
        self,
        definition: TableDef,
        refused: Sequence[Refused],
        batch: RowBatch,
        provenance: Provenance,
        positions: IntArray,
    ) -> None:
        """Rows that SQLite did not insert, as a batch of their own, at these positions of a piece."""
        stored = [column.name for column in definition.columns if not column.generated]
        columns = dict(zip(map(fold, stored), given_columns(definition, batch), strict=True))
        lines = provenance.lines_of(positions)
        for number, each in enumerate(refused):
            names = () if each.constraint is None else each.constraint.columns
            self._add(
                Violation(
                    definition.name,
                    each.kind if each.constraint is None else each.constraint.label,
                    each.kind,
                    None,
                    provenance.path,
                    None if lines is None else int(lines[number]),
                    names,
                    tuple(to_python(columns[fold(name)].slice(number, 1))[0] for name in names),
                    None,
                    each.message,
                )
            )

    def _add(self, violation: Violation) -> None:
        if self.keep is None or len(self.violations) < self.keep:
            self.violations.extend((violation,))
        label = f"{violation.table}: {violation.constraint}"
        self.counts[label] = self.counts.get(label, 0) + 1
