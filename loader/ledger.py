"""Where the rows of a load came from: for each row group its piece of the input, kept until the table ends.

Memory is one small entry per row group. Where rows were put in another order than the source's, that order
is written to a temporary file of the table, 4 bytes a row.
"""

from __future__ import annotations

import tempfile
from contextlib import suppress
from dataclasses import dataclass
from types import TracebackType
from typing import BinaryIO

import numpy as np

from colonnade.loader.sources.base import Provenance
from colonnade.loader.spill import unwritable
from colonnade.sql.objects import fold
from colonnade.store.values import IntArray


@dataclass(frozen=True, slots=True)
class _Entry:
    """`order_at`: offset of the order in the temporary file, None if rows are as in the source."""

    provenance: Provenance
    order_at: int | None


class Ledger:
    """Finds the source and line of a stored row; a context manager that removes its temporary files."""

    def __init__(self) -> None:
        self._groups: dict[tuple[str, int], _Entry] = {}
        self._files: dict[str, BinaryIO] = {}  # by table

    def __enter__(self) -> Ledger:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for table in list(self._files):
            self._close(table)

    def _close(self, table: str) -> None:
        file = self._files.pop(table, None)
        if file is not None:
            with suppress(OSError):  # what could not be written is thrown away now
                file.close()

    def note(self, table: str, group_id: int, provenance: Provenance, order: IntArray | None) -> None:
        """Row group `group_id` holds the rows of one LoadedRows; order[k] is the input position of its row k.

        Raises OperationalError where the temporary file cannot be written.
        """
        order_at = None if order is None else self._keep(fold(table), order)
        self._groups[fold(table), group_id] = _Entry(provenance, order_at)

    def _keep(self, table: str, order: IntArray) -> int:
        try:
            file = self._files.get(table)
            if file is None:
                file = tempfile.TemporaryFile(prefix="colonnade-")  # noqa: SIM115 - closed by `drop`
                self._files[table] = file
            at = file.seek(0, 2)
            file.write(order.astype("<u4").tobytes())
            file.flush()
        except OSError as error:
            raise unwritable(None, error) from error
        return at

    def locate(
        self, table: str, group_id: int | None, positions: IntArray
    ) -> tuple[str, IntArray | None] | None:
        """The source of rows, and their lines where these are known; None if they were not loaded from a source."""
        entry = self._groups.get((fold(table), group_id)) if group_id is not None else None
        if entry is None:
            return None
        if entry.order_at is not None:
            file = self._files[fold(table)]
            file.seek(entry.order_at)
            order = np.frombuffer(file.read(4 * (int(positions.max()) + 1)), "<u4")
            positions = order[positions].astype(np.int64)
        return entry.provenance.path, entry.provenance.lines_of(positions)

    def drop(self, table: str) -> None:
        """The table is finished."""
        wanted = fold(table)
        self._close(wanted)
        self._groups = {key: entry for key, entry in self._groups.items() if key[0] != wanted}
