"""The bulk load of a connection, made when it is first switched on."""

from __future__ import annotations

from collections.abc import Iterable
from functools import cached_property
from typing import TYPE_CHECKING, Any

from colonnade.batches import Batches, adapt_value
from colonnade.parameters import bindable
from colonnade.sql.statement import Insert

if TYPE_CHECKING:
    from colonnade.loader.bulk import BulkLoad, InsertResult
    from colonnade.loader.stats import ConstraintStats
    from colonnade.plan import Plan
    from colonnade.session import Session


class Bulk:
    """What the session asks of loader.bulk, also while there is nothing to ask.

    batches  executemanys that insert in batches while bulk load is off
    """

    def __init__(self, session: Session) -> None:
        self._session = session
        self.batches = Batches(session)
        self._load: BulkLoad | None = None

    @cached_property
    def stats(self) -> ConstraintStats:
        """The counters of all constraint checks of the connection."""
        from colonnade.loader.stats import ConstraintStats

        return ConstraintStats()

    @property
    def enabled(self) -> bool:
        """PRAGMA bulk_load."""
        return self._load is not None and self._load.enabled

    @property
    def pending(self) -> bool:
        """Whether rows are buffered or owe a validation."""
        return self._load is not None and self._load.pending

    @property
    def active(self) -> bool:
        """Whether a statement may have to do with it; none has in row format, where no table takes bulk loads."""
        takes = self.enabled and self._session.storage_format != "row"
        return takes or self.pending or bool(self.batches.running)

    def switch(self, on: bool) -> None:
        """PRAGMA bulk_load = on, or off: all that is owed is validated first, and if that fails it stays on.

        Raises IntegrityError
        """
        if on:
            self._made().enabled = True
        elif self._load is not None:
            self.validate()
            self._load.enabled = False
        self._session.refresh()

    def leave(self) -> None:
        """As PRAGMA bulk_load = off, but what is owed stays owed until COMMIT."""
        if self._load is not None:
            self._load.flush()
            self._load.enabled = False
            self._session.refresh()

    def _made(self) -> BulkLoad:
        if self._load is None:
            # Here, as programs that never load in bulk start faster without the loader.
            from colonnade.loader.bulk import BulkLoad, BulkSettings

            session = self._session
            settings = BulkSettings(
                schema=session.router.schema,
                foreign_keys=session.foreign_keys,
                storage_format=lambda: session.storage_format,
                adapt=adapt_value,
                bindable=bindable,
                unseen=session.changes.kept,
                appended=self._appended,
            )
            self._load = BulkLoad(session.store, settings, self.stats)
        return self._load

    def takes(self, insert: Insert) -> bool:
        """Whether bulk load appends the rows of this INSERT."""
        return self._load is not None and self._load.takes(insert)

    def insert_one(self, plan: Plan, insert: Insert, parameters: Any) -> InsertResult:
        """The same for one execution, whose rows may be those of a vectorised query."""
        load = self._made()
        if insert.source == "SELECT":
            from colonnade.copying import append_vectors

            found = append_vectors(self._session, load, plan, insert, parameters)
            if found is not None:
                return found
        return load.insert(insert, iter((parameters,)), many=False)

    def insert(self, insert: Insert, rows: Iterable[Any], *, many: bool) -> InsertResult:
        """Append the rows of an INSERT that `takes` said yes to."""
        return self._made().insert(insert, rows, many=many)

    def _appended(self, result: InsertResult) -> None:
        session = self._session
        session.changes.unseen -= result.rowcount
        if result.last is not None:
            session.changes.note(result.last)

    def flush(self) -> None:
        """Buffered rows reach their tables."""
        self.batches.bring_in()
        if self._load is not None and self._load.pending:
            self._load.flush()

    def validate(self) -> None:
        """Raise IntegrityError if rows that owe a check break a key."""
        self.batches.bring_in()
        if self._load is not None and self._load.pending:
            self._load.validate()

    def validate_keys(self, tables: Iterable[tuple[str, str]], verb: str) -> None:
        """Raise IntegrityError if rows of these (schema, table) break a PRIMARY KEY or UNIQUE."""
        if self._load is not None and self._load.pending:
            self._load.validate_keys(tables, verb)

    def recheck(self, schema: str, table: str) -> None:
        """Rows of a table were deleted or changed: they and those that refer to them owe a check.

        schema, table  folded
        """
        if self._load is not None:
            self._load.debt.tables.add((schema, table))
            self._load.debt.recheck.add((schema, table))

    def forget_intakes(self) -> None:
        """Rows that executemanys have read so far are undone."""
        self.batches.forget()
        if self._load is not None:
            self._load.forget_intakes()

    def forget(self) -> None:
        """The transaction was rolled back."""
        self.batches.forget()
        if self._load is not None:
            self._load.rollback()
