"""What is worked out once a text of the statements that write: how to thaw for them, and how to run them set-wise."""

from __future__ import annotations

from colonnade.sql.schema import Schema, fold
from colonnade.sql.sets import SetPlan, plan_set
from colonnade.sql.statement import Statement
from colonnade.sql.thaw import Settings
from colonnade.sql.writeplan import NotThawable, WritePlan, plan_write

_KEPT = 512
Planned = tuple[WritePlan | None, SetPlan | None]


class Plans:
    """Those of one connection."""

    def __init__(self) -> None:
        self._known: dict[tuple[object, ...], Planned] = {}

    def clear(self) -> None:
        """What texts mean may have changed."""
        self._known.clear()

    def of(
        self,
        statement: Statement,
        schema: Schema,
        name: str,
        settings: Settings,
        *,
        version: int,
        named: bool,
    ) -> Planned:
        """The plans of a statement on the table `name`, so far as there are any.

        settings  what is set and may have triggers now; what is counted decides nothing
        version   of the schema
        named     its values come by name
        """
        key = statement.text, named, settings.foreign_keys, version, schema.name, name
        if key not in self._known:
            if len(self._known) >= _KEPT:
                self._known.clear()
            self._known[key] = _planned(statement, schema, name, settings, named)
        return self._known[key]


def _planned(statement: Statement, schema: Schema, name: str, settings: Settings, named: bool) -> Planned:
    table = schema.table(name)
    if table is None or fold(name) in settings.triggered:
        return None, None
    try:
        plan = plan_write(statement, table, schema, foreign_keys=settings.foreign_keys, named=named)
    except NotThawable:
        return None, None
    return plan, plan_set(statement, schema, plan, named=named, foreign_keys=settings.foreign_keys)
