"""Scopes: which column of which source a name means (SQLite's resolve.c, lookupName)."""

from __future__ import annotations

from dataclasses import dataclass, field

from colonnade.sql.affinity import Affinity
from colonnade.sql.objects import fold
from colonnade.sql.select import tree
from colonnade.sql.select.query import Field, Source
from colonnade.sql.select.terms import ROWID, Column, Term
from colonnade.sql.select.vector import NotVectorizable

_ROWIDS = frozenset({"rowid", "oid", "_rowid_"})


@dataclass(eq=False, slots=True)
class Scope:
    """The sources of one SELECT, within those around it.

    outer    columns that were found around it
    aliases  result columns by folded alias, for the clauses that may name them
    """

    around: Scope | None = None
    sources: list[Source] = field(default_factory=list)
    outer: set[Column] = field(default_factory=set)
    aliases: dict[str, Term] = field(default_factory=dict)
    uses_aliases: bool = False
    windows: dict[str, tree.Window] = field(default_factory=dict)

    def find(self, parts: tuple[str, ...]) -> Term | None:
        """What a name means here or around; None: nothing."""
        here = self._here(parts)
        if here is not None:
            return here
        if self.uses_aliases and len(parts) == 1 and fold(parts[0]) in self.aliases:
            return self.aliases[fold(parts[0])]
        if self.around is None:
            return None
        found = self.around.find(parts)
        if isinstance(found, Column):
            self.outer.add(found)
        elif found is not None:
            raise NotVectorizable("an alias of an enclosing query")
        return found

    def _here(self, parts: tuple[str, ...]) -> Column | None:
        sources, name = self._qualified(parts), fold(parts[-1])
        found = [
            column_of(source, position)
            for source in sources
            for position, known in enumerate(source.fields)
            if fold(known.name) == name and (len(parts) > 1 or position not in source.hidden)
        ]
        if len(found) > 1:
            raise NotVectorizable(f"an ambiguous name: {parts[-1]}")
        if found:
            return found[0]
        if name in _ROWIDS and len(sources) == 1:
            table = sources[0].table
            if table is not None and not table.without_rowid:
                return rowid_of(sources[0])
        return None

    def _qualified(self, parts: tuple[str, ...]) -> list[Source]:
        if len(parts) == 1:
            return self.sources
        found = [source for source in self.sources if fold(source.alias) == fold(parts[-2])]
        if len(parts) == 3:
            return [s for s in found if s.table is not None and fold(s.table.schema) == fold(parts[0])]
        if len(found) > 1:
            raise NotVectorizable(f"two sources of the name {parts[-2]}")
        return found


def column_of(source: Source, position: int) -> Column:
    """A column of a source as a term."""
    known: Field = source.fields[position]
    return Column(source.number, position, known.affinity, known.collation)


def rowid_of(source: Source) -> Column:
    """The rowid of a source, under the column that stands for it if there is one."""
    assert source.table is not None
    if source.table.rowid_alias is not None:
        return column_of(source, source.table.column_position(source.table.rowid_alias))
    return Column(source.number, ROWID, Affinity.INTEGER, "BINARY")
