"""Writes about single rows that their parameters name by rowid.

`UPDATE t SET … WHERE id = ?` that changes no key, and `INSERT INTO t VALUES (?, …)` whose keys and parents are all
INTEGER PRIMARY KEYs: which rows have to be thawed is then known from the parameters alone, without going over the
plan of the statement again (sql.writeplan, sql.thaw).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from colonnade.sql.affinity import Affinity
from colonnade.sql.objects import Schema, TableDef, fold
from colonnade.sql.writeplan import ROWID_NAMES, Probe, WritePlan
from colonnade.store.freeze import thaw_rows
from colonnade.store.values import INT64_MAX, INT64_MIN

if TYPE_CHECKING:
    from colonnade.sql.route import Ready
    from colonnade.store.database import Store
    from colonnade.store.table import ColumnTable

_KEEP_INTEGERS = frozenset({Affinity.INTEGER, Affinity.NUMERIC})
_KEPT = 512
Key = int | str  # place or name of a parameter


@dataclass(frozen=True, slots=True)
class PointWrite:
    """One text, as long as the schemas have these versions.

    versions      of all schemas
    foreign_keys  whether the connection enforced them
    rows          the tables in column format, each with the parameter that names a row of it
    ready         what to run
    """

    versions: tuple[int, ...]
    foreign_keys: bool
    rows: tuple[tuple[ColumnTable, Key], ...]
    ready: Ready

    def thaw(self, params: Any) -> bool:
        """Thaws the rows; False where it takes SQLite to say what a parameter means, and nothing was done."""
        if type(params) not in (tuple, list, dict):
            return False
        found: list[tuple[ColumnTable, int]] = []
        for table, key in self.rows:
            try:
                value = params[key]
            except LookupError:
                return False
            if value is None:
                continue
            if type(value) is not int or not INT64_MIN <= value <= INT64_MAX:
                return False
            found.append((table, value))
        if found:
            thaw_rows(found[0][0].store, found)
        return True


class Points:
    """The statements of one connection that are known to be of that kind."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._known: dict[tuple[str, bool], PointWrite] = {}  # by text, and whether parameters have names

    def clear(self) -> None:
        """Schema versions may have another meaning."""
        self._known.clear()

    def ready(self, text: str, params: Any, *, foreign_keys: bool) -> Ready | None:
        """What to run for a text, its rows thawed; None if it is not known how, or of no use here."""
        known = self._known.get((text, type(params) is dict))
        if known is None or known.foreign_keys != foreign_keys or known.versions != self._store.versions():
            return None
        return known.ready if known.thaw(params) else None

    def learn(self, text: str, plan: WritePlan, schema: Schema, ready: Ready, *, foreign_keys: bool) -> None:
        """Remembers a statement, if it is one of these."""
        for named in (False, True):
            found = named_rows(plan, schema, named=named, foreign_keys=foreign_keys)
            if found is None or (plan.rowid is not None and isinstance(plan.rowid, str) is not named):
                continue
            tables = [(self._store.table(table.name, schema.name), key) for table, key in found]
            rows = tuple((table, key) for table, key in tables if table is not None)
            if len(self._known) >= _KEPT:
                self._known.clear()
            self._known[text, named] = PointWrite(self._store.versions(), foreign_keys, rows, ready)


def named_rows(
    plan: WritePlan, schema: Schema, *, named: bool, foreign_keys: bool
) -> list[tuple[TableDef, Key]] | None:
    """The tables of which parameters name rows to thaw, each with that parameter; None where there is more to see."""
    if plan.deletes is None:
        if plan.query is not None or not plan.supplied or not all(is_by_rowid(p, plan) for p in plan.probes):
            return None
        keys = _parameters(plan.supplied, named)
        return [(probe.table, keys[probe.places[0]]) for probe in plan.probes]
    if plan.deletes or plan.rowid is None or plan.probes or _moves_keys(plan, schema, foreign_keys):
        return None
    return [(plan.table, plan.rowid)] if plan.table.is_column else None


def is_by_rowid(probe: Probe, plan: WritePlan) -> bool:
    """Whether a new row's key is a rowid which, given as an integer, it keeps, and no row goes that has it."""
    alias = probe.table.rowid_alias
    return (
        len(probe.columns) == 1
        and alias is not None
        and fold(probe.columns[0]) == fold(alias)
        and probe.places[0] >= 0
        and probe.affinities[0] in _KEEP_INTEGERS
        and not (probe.table is plan.table and plan.replaces)
        and probe.drawn is None
        and not probe.defaults
    )


def _moves_keys(plan: WritePlan, schema: Schema, foreign_keys: bool) -> bool:
    """Whether an UPDATE changes rowids, or columns of foreign keys that SQLite looks at."""
    table, assigned = plan.table, plan.assigned
    if assigned & {fold(table.rowid_alias or "rowid"), *ROWID_NAMES}:
        return True
    if not foreign_keys:
        return False
    names = [name for key in table.foreign_keys for name in key.columns]
    names += [name for _, key in schema.children_of(table.name) for name in key.parent_columns]
    return not assigned.isdisjoint(map(fold, names))


def _parameters(supplied: Sequence[Key], named: bool) -> list[Key]:
    """Of a row of parameters, how the values given find each of them."""
    if named:
        return [place if isinstance(place, str) else str(place + 1) for place in supplied]
    numbers = {name: number for number, name in enumerate(dict.fromkeys(supplied))}
    return [numbers[place] if isinstance(place, str) else place for place in supplied]
