"""The order in which SQLite gives the rows of a join without ORDER BY: that of its loops."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from colonnade.sql.affinity import Affinity
from colonnade.sql.objects import fold
from colonnade.sql.select.query import Block, Order, Query, Source, rows_are_settled
from colonnade.sql.select.terms import ROWID, Column, Window, has

# The names of the tables of a join by whose rowids its rows are sorted, from the outer loop on; None: they are not.
Loops = Callable[[], Sequence[str] | None]
_ROWID_NAMES = frozenset({"rowid", "oid", "_rowid_"})


def order_by_loops(query: Query, loops: Loops) -> None:
    """Has the rows of a join ordered as SQLite gives them, if that is known: by rowids of its tables."""
    block = query.blocks[0]
    if (
        len(query.blocks) > 1
        or query.ordering
        or block.rows
        or rows_are_settled(block)
        or not _is_plain(block)
    ):
        return
    names = loops()
    sources = {fold(source.alias): source for source in block.sources}
    if names is None or len(sources) < len(block.sources) or not {*map(fold, names)} <= sources.keys():
        return
    for name in names:
        rowid = Column(sources[fold(name)].number, ROWID, Affinity.INTEGER, "BINARY")
        query.ordering.append(Order(rowid, descending=False, nulls_first=True))


def _is_plain(block: Block) -> bool:
    if block.grouped or block.distinct or any(has(item, Window) for item in block.items):
        return False
    return all(source.kind in ("inner", "left") and _has_rowid(source) for source in block.sources)


def _has_rowid(source: Source) -> bool:
    """Whether it is a table whose rowids can be read by that name."""
    table = source.table
    if table is None or table.without_rowid:
        return False
    return table.is_column or all(fold(column.name) not in _ROWID_NAMES for column in table.columns)
