"""What EXPLAIN QUERY PLAN says of a table in column format: how its rows are found, in SQLite's own manner.

While a statement is explained, xBestIndex hands SQLite these words in place of the plan that xFilter reads: what is
explained is not run. SQLite prints them behind the table's name or alias.

    SCAN t USING COLUMN FORMAT                          every row group and the row part
    SCAN t USING COLUMN FORMAT ZONE MAPS (a>? AND b=?)  less the row groups that zone maps rule out
    SEARCH t USING COLUMN FORMAT KEY (a=?)              the same, where a key has but few rows for each value
    SEARCH t USING COLUMN FORMAT ROWID (rowid=?)        one row, found by its rowid
    SEARCH t USING COLUMN FORMAT ROWID (rowid>?)        a range of rowids
    VECTORISED                                          before these rows: the query, also that of an INSERT, is
                                                        answered from columns, and the rows say what SQLite would do
                                                        otherwise
    NOT VECTORISED: reason                              what keeps a query from that which is no look-up of few rows
    THAW ROWS OF t                                      of a statement that writes t, before the rows that show how
                                                        SQLite runs it on the row part
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from typing import Any

from colonnade.store.plan import ROWID, Plan, Term
from colonnade.store.prune import Op
from colonnade.store.table import ColumnTable

_FORMAT = "USING COLUMN FORMAT"
_VIRTUAL = re.compile(rf"(SCAN|SEARCH) (.*) VIRTUAL TABLE INDEX \d+:(SCAN|SEARCH) ({_FORMAT}.*)", re.DOTALL)
QUERY_PLAN = 4  # columns that EXPLAIN QUERY PLAN has; EXPLAIN has eight
_DETAIL = 3  # of the columns id, parent, notused, detail


def explained(table: ColumnTable, text: str) -> str:
    """The words for a plan of the virtual table."""
    plan = Plan.decode(text)
    if plan.rowid_at is not None:
        return f"SEARCH {_FORMAT} ROWID (rowid=?)"
    rowid = [term for term in plan.terms if term.position == ROWID]
    columns = [term for term in plan.terms if term.position != ROWID]
    if rowid:
        return f"SEARCH {_FORMAT} ROWID ({_conditions(table, rowid + columns)})"
    if not columns:
        return f"SCAN {_FORMAT}"
    if plan.key or any(term.op is Op.EQ and term.position in _leading(table) for term in columns):
        return f"SEARCH {_FORMAT} KEY ({_conditions(table, columns)})"
    return f"SCAN {_FORMAT} ZONE MAPS ({_conditions(table, columns)})"


def _leading(table: ColumnTable) -> set[int]:
    """Positions of the columns that a key begins with."""
    return {table.column_ids.index(spec.column_ids[0]) for spec in table.key_specs()}


def _conditions(table: ColumnTable, terms: Iterable[Term]) -> str:
    return " AND ".join(f"{_name(table, term)}{_SIGNS[term.op]}" for term in terms)


def _name(table: ColumnTable, term: Term) -> str:
    return "rowid" if term.position == ROWID else table.columns[term.position].name


_SIGNS = {
    Op.EQ: "=?",
    Op.LT: "<?",
    Op.LE: "<=?",
    Op.GT: ">?",
    Op.GE: ">=?",
    Op.NULL: " IS NULL",
    Op.NOT_NULL: " IS NOT NULL",
}


def as_sqlite_says(
    rows: Iterable[tuple[Any, ...]], headings: Iterable[str | None] = ()
) -> Iterator[tuple[Any, ...]]:
    """The rows of EXPLAIN QUERY PLAN with the words where SQLite puts those of its own tables.

    headings  what stands before them
    """
    rows = list(rows)
    first = max((row[0] for row in rows), default=0) + 1
    for number, heading in enumerate((heading for heading in headings if heading is not None), first):
        yield number, 0, 0, heading
    for row in rows:
        found = _VIRTUAL.fullmatch(row[_DETAIL])
        if found is not None:
            outer, name, verb, words = found.groups()  # SQLite says SEARCH of a min() or max()
            verb = "SEARCH" if "SEARCH" in (outer, verb) else "SCAN"
            row = (*row[:_DETAIL], f"{verb} {name} {words}", *row[_DETAIL + 1 :])
        yield row
