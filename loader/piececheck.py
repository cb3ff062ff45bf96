"""Loads without bulk load: the keys of each piece are looked up in what is stored before its rows are."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import replace

from colonnade.loader.batchkeys import BatchKeys, provable
from colonnade.loader.stats import ConstraintStats
from colonnade.loader.tableload import Piece
from colonnade.loader.writer import TableWriter
from colonnade.sql.objects import Schema, TableDef, fold
from colonnade.store.database import Store
from colonnade.store.keyprobe import KeyRuns

_RUNS_SHARE = 4  # of the memory limit, for key runs that are not read again for each piece


class PieceChecks:
    """The keys of one table of a load; alive until the table ends.

    complete  no foreign key is left to the end of the table, so that a sound piece owes nothing
    """

    def __init__(
        self,
        store: Store,
        schema: Schema,
        writer: TableWriter,
        together: Collection[str],
        stats: ConstraintStats,
    ) -> None:
        """
        schema    as it is since the writer is ready for row groups
        together  the table and those that refer to each other with it: their foreign keys among themselves
                  are decided once all of them are stored, and so are DEFERRED ones, as at SQLite's COMMIT
        """
        table = schema.table(writer.definition.name)
        assert table is not None
        later = {fold(name) for name in together}
        at_once = tuple(
            foreign
            for foreign in table.foreign_keys
            if not foreign.deferred and fold(foreign.parent) not in later
        )
        self.complete = at_once == table.foreign_keys
        self._writer = writer
        self._keys = self._of(store, schema, replace(table, foreign_keys=at_once), stats)

    def _of(self, store: Store, schema: Schema, table: TableDef, stats: ConstraintStats) -> BatchKeys | None:
        if not provable(table, schema, foreign_keys=True):
            self.complete = False
            return None
        runs = KeyRuns(store.memory_limit // _RUNS_SHARE)
        return BatchKeys(store, schema, table, stats, foreign_keys=True, runs=runs)

    def filled(self, piece: Piece) -> Piece:
        """The piece with the rowids that SQLite would choose. On the connection's thread, in order."""
        appender = self._writer.appender
        if not piece.batch.row_count or not appender.needs_rowids(piece.batch):
            return piece
        return replace(piece, batch=appender.fill_rowids(piece.batch))

    def sound_rows(self, piece: Piece) -> int:
        """How many of its good rows, from the first on, keep every key that is decided at once."""
        return piece.batch.row_count if self._keys is None else self._keys.sound_rows(piece.batch)

    def forget(self) -> None:
        """The table ends: let go of what was kept of its parents."""
        if self._keys is not None:
            self._keys.forget()
