"""The row part of a table in column format: reading it in batches, moving rows in and out."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from itertools import chain
from typing import Any

import apsw
import numpy as np

from colonnade.store.catalog import TableInfo, fetch_one, quote
from colonnade.store.rawtext import read_rows
from colonnade.store.switches import Guards, moving_rows
from colonnade.store.values import (
    INT64_MAX,
    INT64_MIN,
    IntArray,
    RowBatch,
    SQLiteValue,
    from_python,
    in_sizes,
    null_column,
    to_python,
)

_READ_ROWS = 4096  # rows held as Python objects at a time
Row = tuple[SQLiteValue, ...]
Equalities = Sequence[tuple[str, SQLiteValue]]


class RowPart:
    """The ordinary table behind a table in column format."""

    def __init__(self, db: apsw.Connection, info: TableInfo) -> None:
        self._db, self._info = db, info
        self._table = info.names.rows
        self._rowid = quote(info.rowid_name)
        self._names = {column.column_id: quote(column.name) for column in info.columns}
        self._names[0] = self._rowid
        ids = tuple(column.column_id for column in info.columns)
        self.inserted_ids = ids if info.rowid_column else (0, *ids)
        names, marks = (
            ", ".join(self._names[i] for i in self.inserted_ids),
            ", ".join("?" * len(self.inserted_ids)),
        )
        self._parent_guards = replace(info.guards, foreign_keys=False)
        self._insert = f"INSERT OR ABORT INTO {self._table}({names}) VALUES({marks})"

    def min_max(self) -> tuple[int, int] | None:
        """The smallest and the largest rowid, None if there are no rows."""
        least = fetch_one(self._db, f"SELECT min({self._rowid}) FROM {self._table}")
        if least is None:
            return None
        return least, fetch_one(self._db, f"SELECT max({self._rowid}) FROM {self._table}")

    def count(self, limit: int = -1) -> int:
        """How many rows there are; with a limit, how many of the first `limit`."""
        rows = self._table if limit < 0 else f"(SELECT 1 FROM {self._table} LIMIT {limit})"
        count: int = fetch_one(self._db, f"SELECT count(*) FROM {rows}")
        return count

    def row(self, rowid: int, column_ids: Sequence[int]) -> Row | None:
        """One row: its rowid, then the columns."""
        rows = self._read(column_ids, f"WHERE {self._rowid}=?", (rowid,))
        return rows[0] if rows else None

    def page(
        self,
        column_ids: Sequence[int],
        first: int,
        last: int,
        limit: int,
        exact: Equalities = (),
        *,
        backward: bool = False,
    ) -> list[Row]:
        """Up to `limit` rows with first <= rowid <= last, in rowid order: rowid, then the columns.

        exact     further conditions in SQL, with a value each
        backward  from the last
        """
        where = "".join(f" AND {sql}" for sql, _ in exact)
        order = "DESC" if backward else "ASC"
        clauses = f"WHERE {self._rowid}>=? AND {self._rowid}<=?{where} ORDER BY {self._rowid} {order} LIMIT ?"
        return self._read(column_ids, clauses, (first, last, *(value for _, value in exact), limit))

    def batches(
        self,
        column_ids: Sequence[int],
        first: int = INT64_MIN,
        last: int = INT64_MAX,
        batch_rows: int = _READ_ROWS,
    ) -> Iterator[RowBatch]:
        """The rows with first <= rowid <= last in rowid order. No statement stays open between batches."""
        return in_sizes(self._later(column_ids, first, last, ()), batch_rows)

    def held(
        self,
        column_ids: Sequence[int],
        span: tuple[int, int],
        exact: Equalities,
        *,
        backward: bool = False,
    ) -> Iterator[RowBatch]:
        """The rows with span[0] <= rowid <= span[1] in rowid order, as the row part is now: a small one is read
        at once, and of a large one no row beyond its present largest rowid is read, so that INSERT INTO t
        SELECT FROM t comes to an end.

        backward  in descending order
        """
        first, last = span
        rows = self.page(column_ids, first, last, _READ_ROWS, exact, backward=backward)
        batches: list[RowBatch] = [to_batch(rows, len(column_ids))] if rows else []
        if len(rows) < _READ_ROWS:
            return iter(batches)
        end = int(rows[-1][0] or 0)
        if backward:
            return chain(batches, self._earlier(column_ids, first, end - 1, exact))
        present = self.min_max()
        last = last if present is None else min(last, present[1])
        return chain(batches, self._later(column_ids, end + 1, last, exact))

    def _earlier(
        self, column_ids: Sequence[int], first: int, last: int, exact: Equalities
    ) -> Iterator[RowBatch]:
        while first <= last:
            rows = self.page(column_ids, first, last, _READ_ROWS, exact, backward=True)
            if rows:
                yield to_batch(rows, len(column_ids))
                last = int(rows[-1][0] or 0) - 1
            if len(rows) < _READ_ROWS:
                return

    def _later(
        self, column_ids: Sequence[int], first: int, last: int, exact: Equalities
    ) -> Iterator[RowBatch]:
        while first <= last:
            rows = self.page(column_ids, first, last, _READ_ROWS, exact)
            if rows:
                yield to_batch(rows, len(column_ids))
                first = int(rows[-1][0] or 0) + 1
            if len(rows) < _READ_ROWS:
                return

    def _read(self, column_ids: Sequence[int], clauses: str, values: Row) -> list[Row]:
        """The rows that `clauses` choose: rowid, then the columns. TEXT that is not UTF-8 comes as RawText."""
        names = [self._rowid, *(self._names[i] for i in column_ids)]
        return list(read_rows(self._db, names, f"FROM {self._table} {clauses}", values))

    def insert(self, batch: RowBatch) -> None:
        """Adds rows with their rowids and all columns, unseen by triggers, foreign keys and CHECKs."""
        assert batch.rowids is not None
        values: list[Sequence[SQLiteValue]] = [to_python(column) for column in batch.columns]
        if not self._info.rowid_column:
            values = [batch.rowids.tolist(), *values]
        self.insert_rows(zip(*values, strict=True))

    def insert_rows(self, rows: Iterable[Sequence[SQLiteValue]]) -> None:
        """The same with rows as Python values, those of the columns `inserted_ids`.

        A new parent, a row a statement, is nothing that SQLite's foreign keys look at as long as no violation
        is counted (fkey.c, sqlite3FkCheck), so that the switch can stay where it is.
        """
        guards, db = self._info.guards, self._db
        if guards.foreign_keys and not guards.child and not db.status(apsw.SQLITE_DBSTATUS_DEFERRED_FKS)[0]:
            rows = list(rows)
            try:
                self._insert_guarded(rows, self._parent_guards)
            except (
                apsw.SQLError
            ):  # before the first row: a child refers to the table wrongly, and is deferred
                self._insert_guarded(rows, guards)
            return
        self._insert_guarded(rows, guards)

    def insert_row(self, row: Sequence[SQLiteValue]) -> None:
        """The same with one row, which alone may have last_insert_rowid() moved."""
        guards, db = self._info.guards, self._db
        if guards.triggers or guards.checks or guards.child or self._info.autoincrement:
            self.insert_rows((row,))
            return
        if not guards.foreign_keys:
            db.execute(self._insert, row)
        elif db.status(apsw.SQLITE_DBSTATUS_DEFERRED_FKS)[0]:
            self.insert_rows((row,))
        else:
            try:
                db.execute(self._insert, row)
            except apsw.SQLError:  # as above
                self.insert_rows((row,))

    def _insert_guarded(self, rows: Iterable[Sequence[SQLiteValue]], guards: Guards) -> None:
        db = self._db
        if guards.any or self._info.autoincrement:
            with moving_rows(db, guards), self._sequence_kept():
                db.executemany(self._insert, rows)
            return
        before = db.last_insert_rowid()
        try:
            db.executemany(self._insert, rows)
        finally:
            db.set_last_insert_rowid(before)

    def remove(self, first: int, last: int) -> None:
        """Deletes the rows with first <= rowid <= last, unseen by triggers and foreign keys."""
        with moving_rows(self._db, replace(self._info.guards, checks=False)):
            where = f"{self._rowid}>=? AND {self._rowid}<=?"
            self._db.execute(f"DELETE FROM {self._table} WHERE {where}", (first, last))

    def remove_rows(self, rowids: IntArray) -> None:
        """Deletes the rows with these rowids, in the same way."""
        with moving_rows(self._db, replace(self._info.guards, checks=False)):
            where = f"{self._rowid} IN carray(?)"
            self._db.execute(f"DELETE FROM {self._table} WHERE {where}", (apsw.carray(rowids),))

    @contextmanager
    def _sequence_kept(self) -> Iterator[None]:
        """Rows that come back are not new to AUTOINCREMENT, and a counter that was deleted stays away."""
        if not self._info.autoincrement:
            yield
            return
        sequence, name = f"{quote(self._info.names.schema)}.sqlite_sequence", self._info.names.rows_name
        before = list(self._db.execute(f"SELECT seq, rowid FROM {sequence} WHERE name=?", (name,)))
        yield
        if before:
            self._db.executemany(f"UPDATE {sequence} SET seq=? WHERE rowid=?", before)
        else:
            self._db.execute(f"DELETE FROM {sequence} WHERE name=?", (name,))

    def keep_sequence(self, at_least: int) -> None:
        """Raises the AUTOINCREMENT counter of the table to `at_least`."""
        if not self._info.autoincrement:
            return
        sequence, name = f"{quote(self._info.names.schema)}.sqlite_sequence", self._info.names.rows_name
        known = self._counter()
        if known is None:
            self._db.execute(f"INSERT INTO {sequence}(name, seq) VALUES(?, ?)", (name, at_least))
        elif known[1] < at_least:
            self._db.execute(f"UPDATE {sequence} SET seq=? WHERE rowid=?", (at_least, known[0]))

    def _counter(self) -> tuple[int, int] | None:
        """Rowid and number of the counter in sqlite_sequence: of several, which a program made, SQLite takes the
        first, and what is no integer for one.
        """
        sql = (
            f"SELECT rowid, coalesce(CAST(seq AS INTEGER), 0) FROM {quote(self._info.names.schema)}.sqlite_sequence"
            " WHERE name=? ORDER BY rowid LIMIT 1"
        )
        found: Any = self._db.execute(sql, (self._info.names.rows_name,)).fetchone()
        return None if found is None else (found[0], found[1])

    def sequence(self) -> int | None:
        """The largest rowid that AUTOINCREMENT remembers, at least 0; None for other tables."""
        if not self._info.autoincrement:
            return None
        known = self._counter()
        return max(known[1], 0) if known is not None else 0


def to_batch(rows: Sequence[Row], column_count: int) -> RowBatch:
    """Rows of `rowid, columns...` as a batch."""
    if not rows:
        return RowBatch(0, tuple(null_column(0) for _ in range(column_count)), np.empty(0, np.int64))
    rowids, *columns = zip(*rows, strict=True)
    return RowBatch(len(rows), tuple(from_python(values) for values in columns), np.array(rowids, np.int64))
