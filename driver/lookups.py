"""Look-ups: queries that SQLite answers through its virtual tables with less work than vectorised ones need.

They are known by what EXPLAIN QUERY PLAN says of them, asked once a text:

- every table is searched by its rowid, by a whole key, or by a leading column of a key that few row groups have;
- a range of rowids with both ends, as long as the parameters (or the numbers in the text) say that it is short;
- the first rows of a table in rowid order: LIMIT, where SQLite sorts and gathers nothing before it gives a row.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import apsw

from colonnade.sql.tokens import whole_number
from colonnade.store.database import Store
from colonnade.store.plan import ROWID, Plan, Term
from colonnade.store.prune import DOWNWARD, UPWARD, Op
from colonnade.store.stats import column_share
from colonnade.store.table import ColumnTable

_FEW_GROUPS = 2  # a search of so few row groups is a look-up
_FEW_ROWS = (
    4096  # SQLite takes 1 to 2 microseconds for each, a vectorised query of any size some milliseconds
)
_LOOK_UP, _RANGE, _SCAN = "LOOK-UP", "RANGE", "SCAN"
_OF_ROWIDS = f"{_SCAN} OF ROWIDS"  # alone
_VIRTUAL = re.compile(r"(SCAN|SEARCH) .* VIRTUAL TABLE INDEX \d+:(.*)", re.DOTALL)
_DETAIL = 3  # of the columns id, parent, notused, detail
_NUMBER = re.compile(r"(?<![\w.])-?\d+(?![\w.])")
_LIMIT = re.compile(r"\bLIMIT\s+(\d+|[?:@$]\w*)", re.IGNORECASE)
_OFFSET = re.compile(
    r"\s*(?:,|OFFSET\b)\s*(\d+|[?:@$]\w*|.)", re.IGNORECASE | re.DOTALL
)  # or LIMIT's, after a comma
_MANY_FIRST = re.compile(
    r"\b(count|sum|avg|min|max|total|group_concat|string_agg|json_group_\w+|over|group|distinct|union|except"
    r"|intersect|like|glob|or|in|not|case)\b",
    re.IGNORECASE,
)
_PLAIN = re.compile(
    r"\s*SELECT\s[\w\s,.*\"]+\sFROM\s+(\w+)\s+WHERE\s+(\w+)\s*=\s*(?:\?|-?[\d.]+|'[^']*')\s*;?\s*",
    re.IGNORECASE,
)
_WHERE, _AND = re.compile(r"\bWHERE\b", re.IGNORECASE), re.compile(r"\bAND\b", re.IGNORECASE)
_MOST_FIRST = 1000  # rows; more are worth decoding whole row groups for


@dataclass(frozen=True, slots=True)
class Access:
    """What a text is: always a look-up, one while its range is short, or none."""

    always: bool
    ranged: bool = False

    def is_look_up(self, text: str, values: Sequence[Any] | Mapping[str, Any]) -> bool:
        """Whether the text is a look-up with these parameters."""
        return self.always or (self.ranged and _is_short(text, values))


def is_plain_look_up(store: Store, text: str) -> bool:
    """Whether a text is that of one row by its rowid or by a key of one column, said most plainly.

    Programs that write values into their texts have a new one each time: a hundredth of what asking SQLite costs.
    """
    found = _PLAIN.fullmatch(text)
    table = None if found is None else store.table(found[1])
    if found is None or table is None:
        return False
    name = found[2].lower()
    ids = [column.column_id for column in table.columns if column.name.lower() == name]
    return name == "rowid" or any(spec.column_ids == tuple(ids) for spec in table.key_specs())


def access(store: Store, text: str, parameters: Any) -> Access:
    """What SQLite would do for a query."""
    try:
        details = [row[_DETAIL] for row in _explained(store, text, parameters, _words)]
    except apsw.Error:  # SQLite says so itself when it runs it
        return Access(always=True)
    tables = [detail for detail in details if detail.startswith(("SCAN ", "SEARCH "))]
    kinds = [_kind(detail) for detail in tables]
    if all(kind == _LOOK_UP for kind in kinds):
        return Access(always=True)
    if len(details) == 1 and _gives_first_rows(text, kinds[0]):
        return Access(always=True)
    return Access(
        always=False, ranged=all(kind in (_LOOK_UP, _RANGE) or kind.startswith(_RANGE) for kind in kinds)
    )


def loops(store: Store, text: str, parameters: Any) -> list[str] | None:
    """The tables of a join, by the names that they have in it, in the order of the loops that SQLite would make over
    them, as far as its rows are sorted by their rowids; None where another order is possible.

    A loop over a table in column format, or over all of one in row format, gives rows by ascending rowids, and one that
    finds a row by its rowid gives one. Where each loop is such, the rows of the join are sorted by the rowids of the
    outer loop, then by those of the one in it, and so on.
    """
    names, sorting = [], 0
    for row in _explained(store, text, parameters, _loop):
        found = _LOOP.fullmatch(row[_DETAIL])
        if found is None or row[1] != 0:
            return None
        names.append(found[1])
        if not (found[2] or "").endswith(_ONE_ROW):
            sorting = len(names)
    return names[:sorting]


_ONE_ROW = "(rowid=?)"
_LOOP = re.compile(
    r"(?:SCAN|SEARCH) (\S+)"
    r"( VIRTUAL TABLE INDEX \d+:LOOP(?: \(rowid=\?\))?| USING INTEGER PRIMARY KEY \(rowid=\?\))?(?: LEFT-JOIN)?"
)


def _loop(table: ColumnTable, encoded: str) -> str:
    return "LOOP" if Plan.decode(encoded).rowid_at is None else f"LOOP {_ONE_ROW}"


def _explained(
    store: Store, text: str, parameters: Any, words: Callable[[ColumnTable, str], str]
) -> list[tuple[Any, ...]]:
    """The rows of EXPLAIN QUERY PLAN, with words of one's own for the plans of virtual tables."""
    before = store.varying
    store.explains = words  # these are for here: no statement with them may be kept
    try:
        rows = store.db.cursor().execute(f"EXPLAIN QUERY PLAN {text}", parameters, can_cache=False)
        return list(rows)
    finally:
        store.explains, store.varying = None, before


def _words(table: ColumnTable, encoded: str) -> str:
    """The words for a plan of the virtual table: how many rows it finds, and by how many conditions on the rowid."""
    plan = Plan.decode(encoded)
    if plan.rowid_at is not None or plan.key:
        return _LOOK_UP
    if any(term.op is Op.EQ and term.position != ROWID and _few(table, term) for term in plan.terms):
        return _LOOK_UP
    rowid = [term.op for term in plan.terms if term.position == ROWID]
    ends = any(op in UPWARD for op in rowid) and any(op in DOWNWARD for op in rowid)
    only = all(table.column_ids[position] == table.info.rowid_column for position in plan.positions)
    kind = _RANGE if ends else _OF_ROWIDS if only else _SCAN
    return f"{kind} {len(rowid)} OF {len(plan.terms)}"


def _few(table: ColumnTable, term: Term) -> bool:
    """Whether a column of which a key begins equals a value in but a few row groups."""
    column_id = table.column_ids[term.position]
    if all(spec.column_ids[0] != column_id for spec in table.key_specs()):
        return False
    share = column_share(table, column_id, term.op, max(1, table.estimated_rows()))
    return share.groups * len(table.groups()) <= _FEW_GROUPS


def _kind(detail: str) -> str:
    """What a row of EXPLAIN QUERY PLAN says of a table."""
    found = _VIRTUAL.fullmatch(detail)
    if found is None:
        return _LOOK_UP if detail.startswith("SEARCH ") or detail == "SCAN CONSTANT ROW" else _SCAN
    verb, words = found.groups()
    # A SEARCH without a condition is for min() or max(), and that of the rowid reads the first or last row.
    return _LOOK_UP if verb == "SEARCH" and words == f"{_OF_ROWIDS} 0 OF 0" else words


def _gives_first_rows(text: str, kind: str) -> bool:
    """Whether the only table of a query is read in rowid order, and no further than a small LIMIT."""
    limit = _LIMIT.search(text)
    if limit is None or _MANY_FIRST.search(text):
        return False
    if limit[1].isdecimal() and whole_number(limit[1]) > _MOST_FIRST:
        return False
    offset = _OFFSET.match(text, limit.end())
    if offset is not None and not (offset[1].isdecimal() and whole_number(offset[1]) <= _MOST_FIRST):
        return False
    where = _WHERE.search(text)
    conditions = 0 if where is None else 1 + len(_AND.findall(text, where.end()))
    return kind.endswith(f" {conditions} OF {conditions}")


def _is_short(text: str, values: Sequence[Any] | Mapping[str, Any]) -> bool:
    given: Iterable[Any] = values.values() if isinstance(values, Mapping) else values
    numbers = [value for value in given if isinstance(value, int)]
    numbers += [_integer(number) for number in _NUMBER.findall(text)] if len(numbers) < 2 else []
    return len(numbers) > 1 and max(numbers) - min(numbers) <= _FEW_ROWS


def _integer(text: str) -> int:
    number = whole_number(text.lstrip("-"))
    return -number if text[0] == "-" else number
