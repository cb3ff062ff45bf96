"""Which rows of a table break what, while they wait to be moved out: 8 bytes a row, in a temporary file."""

from __future__ import annotations

import tempfile
from contextlib import suppress
from dataclasses import dataclass
from typing import BinaryIO

import numpy as np

from colonnade.loader.spill import unwritable
from colonnade.loader.violations import Constraint, ViolationBatch
from colonnade.sql.objects import fold
from colonnade.store.errors import OperationalError
from colonnade.store.values import IntArray


@dataclass(frozen=True, slots=True)
class _Entry:
    """A batch: its rows stand in the file from byte `at` on."""

    constraint: Constraint
    at: int
    count: int


class FoundRows:
    """A sink of violations. In memory it has one small entry a batch, of which a row group gives a few."""

    def __init__(self) -> None:
        self._entries: dict[str, dict[int | None, list[_Entry]]] = {}  # by table and row group
        self._file: BinaryIO | None = None

    def add(self, batch: ViolationBatch) -> None:
        """Raises OperationalError for rows that cannot be found again, or a file that cannot be written."""
        of = batch.constraint
        rows = batch.rowids if batch.group_id is None else batch.positions
        if rows is None:
            raise OperationalError(
                f"rows of {of.table} break {of.label}; quarantine needs rowids, and the table is WITHOUT ROWID"
            )
        groups = self._entries.setdefault(fold(of.table), {})
        groups.setdefault(batch.group_id, []).append(_Entry(of, self._keep(rows), len(rows)))

    def _keep(self, rows: IntArray) -> int:
        try:
            if self._file is None:
                self._file = tempfile.TemporaryFile(prefix="colonnade-")  # noqa: SIM115 - closed by `clear`
            at = self._file.seek(0, 2)
            self._file.write(rows.astype("<i8").tobytes())
            self._file.flush()
        except OSError as error:
            raise unwritable(None, error) from error
        return at

    def groups(self, table: str) -> list[int | None]:
        """The row groups in which rows were found; None for the row part, or a table in row format."""
        return list(self._entries.get(fold(table), ()))

    def of(self, table: str, group_id: int | None) -> dict[Constraint, IntArray]:
        """For each constraint the rows that break it, ascending: positions, or rowids where there is no group."""
        parts: dict[Constraint, list[IntArray]] = {}
        for entry in self._entries[fold(table)][group_id]:
            assert self._file is not None
            self._file.seek(entry.at)
            rows = np.frombuffer(self._file.read(8 * entry.count), "<i8")
            parts.setdefault(entry.constraint, []).append(rows)
        return {constraint: np.unique(np.concatenate(rows)) for constraint, rows in parts.items()}

    def clear(self) -> None:
        """Forget all."""
        self._entries.clear()
        file, self._file = self._file, None
        if file is not None:
            with suppress(OSError):  # what could not be written is thrown away now
                file.close()
