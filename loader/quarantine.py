"""Rejected rows: out of their tables and into <table>_rejects, with source, line and reason.

The rejects table is made when the first row of its table is rejected:
    reject_source  TEXT     the file, as the user gave it; NULL for rows that were not loaded from one
    reject_line    INTEGER  its line (or row, for formats without lines)
    reject_reason  TEXT     what the row breaks
    reject_text    TEXT     the row as it stands in the source, where it could not be read as columns
    ...                     then the table's own columns, without types or constraints
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

import numpy as np

from colonnade.loader.ledger import Ledger
from colonnade.loader.sources.base import Provenance, Reject
from colonnade.loader.violations import ViolationBatch
from colonnade.loader.writer import rowid_name
from colonnade.sql.objects import TableDef, fold
from colonnade.sql.tokens import quote
from colonnade.store.database import Store
from colonnade.store.errors import OperationalError
from colonnade.store.table import ColumnTable
from colonnade.store.values import IntArray, RowBatch, SQLiteValue, to_python

_OWN_COLUMNS = ("reject_source TEXT", "reject_line INTEGER", "reject_reason TEXT", "reject_text TEXT")


class Quarantine:
    """Takes rejected rows of one load; a sink for violations too, which `clear` then moves out."""

    def __init__(self, store: Store, ledger: Ledger) -> None:
        self.store = store
        self.ledger = ledger
        self._made: set[str] = set()
        self._found: list[ViolationBatch] = []

    def add(self, batch: ViolationBatch) -> None:
        """A violation found by a validator: kept (positions and keys only) until `clear`."""
        self._found.append(batch)

    def add_malformed(self, table: TableDef, rejects: Sequence[Reject]) -> None:
        """Rows that could not be read as columns."""
        blanks = (None,) * len(stored_names(table))
        self._insert(table, ((r.path, r.line, r.reason, r.text, *blanks) for r in rejects))

    def add_rows(
        self, table: TableDef, batch: RowBatch, reasons: Sequence[str], provenance: Provenance,
        positions: IntArray,
    ) -> None:  # fmt: skip
        """Rows that break NOT NULL, CHECK or a STRICT type; `batch` holds them alone, parallel to `reasons`
        and to their `positions` in the piece that `provenance` speaks of."""
        values = zip(*map(to_python, batch.columns), strict=True)
        places = positions.tolist()
        self._insert(
            table,
            (
                (provenance.path, provenance.line_of(place), reason, None, *row)
                for place, reason, row in zip(places, reasons, values, strict=True)
            ),
        )

    def clear(self, tables: Sequence[TableDef]) -> dict[str, int]:
        """Move the rows of all violations added since the last call out of their tables.

        Returns the rows moved by table (folded name). A row that breaks several constraints moves once,
        with all reasons.
        """
        found, self._found = self._found, []
        moved: dict[str, int] = {}
        for definition in tables:
            own = [batch for batch in found if fold(batch.constraint.table) == fold(definition.name)]
            if own:
                moved[fold(definition.name)] = self._move(definition, own)
        return moved

    def _move(self, definition: TableDef, found: Sequence[ViolationBatch]) -> int:
        table = self.store.table(definition.name, definition.schema)
        count = 0
        for group_id in dict.fromkeys(batch.group_id for batch in found):
            batches = [batch for batch in found if batch.group_id == group_id]
            reasons = _reasons(batches)
            if group_id is not None:
                assert table is not None
                count += self._move_from_group(definition, table, group_id, reasons)
            else:
                count += self._move_from_rows(definition, table, batches)
        return count

    def _move_from_group(
        self, definition: TableDef, table: ColumnTable, group_id: int, reasons: dict[int, str]
    ) -> int:
        raw = table.fetch(group_id, [column.column_id for column in table.columns])
        wanted = np.array(sorted(reasons), np.int64)
        rows = raw.decode().take(np.searchsorted(raw.positions, wanted))
        values = zip(*map(to_python, rows.columns), strict=True)

        def rejected() -> Iterator[tuple[SQLiteValue, ...]]:
            for position, row in zip(wanted.tolist(), values, strict=True):
                source, line = self.ledger.locate(definition.name, group_id, position) or (None, None)
                yield (source, line, reasons[position], None, *row)

        self._insert(definition, rejected())
        table.bury(group_id, wanted)
        return len(wanted)

    def _move_from_rows(
        self, definition: TableDef, table: ColumnTable | None, found: Sequence[ViolationBatch]
    ) -> int:
        """Rows of the row part, or of a table in row format, by rowid."""
        reasons: dict[int, str] = {}
        for batch in found:
            if batch.rowids is None:
                raise OperationalError(
                    f"rows of {definition.name} break {batch.constraint.label}; quarantine needs rowids, and "
                    "the table is WITHOUT ROWID"
                )
            for rowid in batch.rowids.tolist():
                reasons[rowid] = _joined(reasons.get(rowid), batch.constraint.label)
        name = table.rows_name if table is not None else definition.name
        source = f"{quote(definition.schema)}.{quote(name)}"
        rowid = rowid_name(definition)
        columns = ", ".join(map(quote, stored_names(definition)))
        db = self.store.db
        for key, reason in reasons.items():
            for row in db.execute(f"SELECT {columns} FROM {source} WHERE {rowid} = ?", (key,)).fetchall():
                self._insert(definition, [(None, None, reason, None, *row)])
        db.executemany(f"DELETE FROM {source} WHERE {rowid} = ?", [(key,) for key in reasons])
        return len(reasons)

    def _insert(self, definition: TableDef, rows: Iterable[tuple[SQLiteValue, ...]]) -> None:
        target = f"{quote(definition.schema)}.{quote(definition.name + '_rejects')}"
        columns = stored_names(definition)
        if fold(definition.name) not in self._made:
            own = ", ".join([*_OWN_COLUMNS, *map(quote, columns)])
            self.store.db.execute(f"CREATE TABLE IF NOT EXISTS {target} ({own})")
            self._made.add(fold(definition.name))
        marks = ", ".join("?" * (len(_OWN_COLUMNS) + len(columns)))
        self.store.db.executemany(f"INSERT INTO {target} VALUES ({marks})", rows)


def stored_names(definition: TableDef) -> list[str]:
    """The columns that hold values, in order."""
    return [column.name for column in definition.columns if not column.generated]


def _reasons(batches: Sequence[ViolationBatch]) -> dict[int, str]:
    """By position in the row group, what the row breaks."""
    reasons: dict[int, str] = {}
    for batch in batches:
        for position in batch.positions.tolist():
            reasons[position] = _joined(reasons.get(position), batch.constraint.label)
    return reasons


def _joined(before: str | None, label: str) -> str:
    return label if before is None or before == label else f"{before}; {label}"
