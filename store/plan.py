"""Plans of the virtual table: what xBestIndex makes of a statement's constraints, and the scan that follows.

A Plan names the wanted columns, a rowid to look up or the constraints that can rule out rows, and where
each value stands among xFilter's arguments.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING

import apsw

from colonnade.store import reads
from colonnade.store.catalog import ColumnAffinity, quote
from colonnade.store.keycode import KeySpec
from colonnade.store.keyfind import WantedKeys
from colonnade.store.prune import (
    DOWNWARD,
    Compared,
    Op,
    condition,
    integer_bound,
    numeric_text,
)
from colonnade.store.scan import RowidRange
from colonnade.store.stats import column_share, rowid_share
from colonnade.store.values import Column, RowBatch, SQLiteValue, from_python

if TYPE_CHECKING:
    from colonnade.store.table import ColumnTable

_OPS = {
    apsw.SQLITE_INDEX_CONSTRAINT_EQ: Op.EQ,
    apsw.SQLITE_INDEX_CONSTRAINT_IS: Op.EQ,
    apsw.SQLITE_INDEX_CONSTRAINT_LT: Op.LT,
    apsw.SQLITE_INDEX_CONSTRAINT_LE: Op.LE,
    apsw.SQLITE_INDEX_CONSTRAINT_GT: Op.GT,
    apsw.SQLITE_INDEX_CONSTRAINT_GE: Op.GE,
    apsw.SQLITE_INDEX_CONSTRAINT_ISNULL: Op.NULL,
    apsw.SQLITE_INDEX_CONSTRAINT_ISNOTNULL: Op.NOT_NULL,
}
_LAST_SEPARATE_COLUMN = 63  # bit 63 of colUsed stands for it and all columns after it
ROWID = -1

# Costs are about microseconds: a row through the cursor, and a row that a filter over a block rules out.
_ROW_COST, _FILTERED_ROW_COST, _LOOK_UP_COST, _KEY_COST = 1.0, 0.02, 20.0, 100.0
# Two such scans cost more than one of the whole table. Otherwise SQLite would run `a<1 OR b<1` as a scan for
# each side, and the rows would not come in rowid order as they do from an ordinary table without indexes.
_OR_SAFE_SHARE = 0.6


@dataclass(frozen=True, slots=True)
class Term:
    """One constraint that a scan uses: `column op argument`.

    position   of the column in the table, ROWID for the rowid and the column that stands for it
    is_null    the constraint is IS: with a NULL on the right it is IS NULL
    certain    the value is a constant of the statement (store.prune)
    """

    position: int
    op: Op
    argument: int
    collation: str
    is_null: bool
    certain: bool


@dataclass(frozen=True, slots=True)
class KeyPart:
    """A column of a key, and the one value that it shall equal."""

    column_id: int
    collation: str
    value: Column


@dataclass(frozen=True, slots=True)
class Plan:
    """How to read the table.

    positions  of the wanted columns
    rowid_at   argument with the rowid to look up, None for a scan
    terms      what rules out rows of a scan
    backward   the scan goes from the largest rowid to the smallest
    key        terms that are equalities with all columns of a key of the table, in the key's order; or none
    """

    positions: tuple[int, ...]
    rowid_at: int | None = None
    terms: tuple[Term, ...] = ()
    backward: bool = False
    key: tuple[int, ...] = ()

    def encode(self) -> str:
        terms = [[t.position, t.op.value, t.argument, t.collation, t.is_null, t.certain] for t in self.terms]
        return json.dumps([self.positions, self.rowid_at, terms, self.backward, self.key])

    @staticmethod
    @lru_cache(maxsize=256)
    def decode(text: str) -> Plan:
        positions, rowid_at, terms, backward, key = json.loads(text)
        return Plan(
            tuple(positions),
            rowid_at,
            tuple(Term(p, Op(op), at, collation, null, sure) for p, op, at, collation, null, sure in terms),
            backward,
            tuple(key),
        )

    @staticmethod
    def _key_part(table: ColumnTable, term: Term, arguments: Sequence[SQLiteValue]) -> KeyPart | None:
        """What a column of a key shall equal; None where a conversion could make more keys equal it."""
        value, affinity = arguments[term.argument], table.info.affinities[term.position]
        fits = (
            isinstance(value, int | float) if affinity is ColumnAffinity.NUMERIC else isinstance(value, str)
        )
        if not fits or affinity not in (ColumnAffinity.NUMERIC, ColumnAffinity.TEXT):
            return None
        return KeyPart(table.column_ids[term.position], term.collation, from_python([value]))

    def without_look_up(self) -> Plan:
        """The same rows by a scan of the rowid's range, which finds all rows that share it."""
        assert self.rowid_at is not None
        term = Term(ROWID, Op.EQ, self.rowid_at, "BINARY", is_null=False, certain=False)
        return Plan(self.positions, None, (term,))

    def scan(
        self, table: ColumnTable, column_ids: Sequence[int], arguments: Sequence[SQLiteValue]
    ) -> Iterator[RowBatch]:
        """The rows that may satisfy the terms, in rowid order."""
        span: RowidRange | None = RowidRange()
        conditions = []
        exact: list[tuple[str, SQLiteValue]] = []
        for term in self.terms:
            value = arguments[term.argument]
            if term.position == ROWID:
                span = narrowed(span, term.op, value, certain=term.certain)
                continue
            column = table.columns[term.position]
            affinity = table.info.affinities[term.position]
            numeric = affinity is ColumnAffinity.NUMERIC
            compared = Compared(column.column_id, numeric, term.collation == "BINARY")
            op = Op.NULL if term.is_null and value is None else term.op
            conditions.append(condition(compared, op, value, certain=term.certain))
            # The same in SQL, for the row part's indexes, where no conversion could make more rows match.
            if op is Op.EQ and (numeric or (affinity is ColumnAffinity.TEXT and isinstance(value, str))):
                exact.append((f"{quote(column.name)} = ? COLLATE {quote(term.collation)}", value))
        if span is None:
            return iter(())
        if self.key and not table.state().unchecked:
            found = [self._key_part(table, self.terms[number], arguments) for number in self.key]
            parts = [part for part in found if part is not None]
            if len(parts) == len(found):
                spec = KeySpec(tuple(part.column_id for part in parts), tuple(p.collation for p in parts))
                wanted = WantedKeys([part.value for part in parts], spec.collations)
                return reads.with_key(table, column_ids, span, table.find_keys(spec, wanted), exact)
        return reads.filtered(table, column_ids, span, conditions, exact, backward=self.backward)


def narrowed(span: RowidRange | None, op: Op, value: SQLiteValue, *, certain: bool) -> RowidRange | None:
    """The part of a range of rowids that can satisfy `rowid op value`; None if there is none."""
    if op is Op.NOT_NULL:
        return span
    if span is None or value is None or op is Op.NULL:
        return None
    if isinstance(value, str):
        number = numeric_text(value)
        if number is not None and op in DOWNWARD and not certain:
            return span  # as TEXT it is above all rowids
        value = value if number is None else number
    if not isinstance(value, int | float):
        return span if op in DOWNWARD else None
    bounds = integer_bound(op, value)
    if bounds is None:
        return None
    first, last = max(span.first, bounds[0]), min(span.last, bounds[1])
    return RowidRange(first, last) if first <= last else None


def best_index(table: ColumnTable, info: apsw.IndexInfo, *, constants_only: bool) -> bool:
    """Chooses the plan for one set of usable constraints, and says what it costs.

    constants_only  see Store
    Returns whether a constraint is used whose value only the run of the statement knows
    """
    alias = table.alias_position
    positions = _wanted(info.colUsed, len(table.columns), alias)
    look_up: int | None = None
    terms: list[Term] = []
    unique = not table.rowids_repeat
    for i in range(info.nConstraint):
        if not info.get_aConstraint_usable(i):
            continue
        code = info.get_aConstraint_op(i)
        op, position = _OPS.get(code), info.get_aConstraint_iColumn(i)
        if op is None or _is_unreadable(info, i, constants_only=constants_only):
            continue
        if position == alias:
            position = ROWID
        if position == ROWID and op is Op.EQ and unique:
            look_up = i
            break
        if info.get_aConstraintUsage_in(i):
            continue  # one scan that leaves the IN to SQLite beats a scan for each of its values
        info.set_aConstraintUsage_argvIndex(i, len(terms) + 1)
        terms.append(_term(info, i, op, position, len(terms), code))
    info.orderByConsumed = info.nOrderBy == 1 and info.get_aOrderBy_iColumn(0) in (ROWID, alias)
    if look_up is None:
        backward = bool(info.orderByConsumed and info.get_aOrderBy_desc(0))
        key = () if backward else _whole_key(table, terms)
        info.idxStr = Plan(positions, None, tuple(terms), backward, key).encode()
        _set_cost(table, info, terms)
        if key:
            info.estimatedRows, info.estimatedCost = 1, _KEY_COST
        return any(not term.certain for term in terms)
    for term in range(info.nConstraint):
        info.set_aConstraintUsage_argvIndex(term, 0)
    info.set_aConstraintUsage_argvIndex(look_up, 1)
    info.idxStr = Plan(positions, 0).encode()
    if not table.unchecked_groups():  # rows that are not validated may share a rowid
        info.idxFlags = apsw.SQLITE_INDEX_SCAN_UNIQUE
    info.estimatedRows, info.estimatedCost = 1, _LOOK_UP_COST
    return info.get_aConstraint_rhs(look_up) is None


def _whole_key(table: ColumnTable, terms: Sequence[Term]) -> tuple[int, ...]:
    """The terms that give each column of some key of the table a value, compared as the key compares."""
    given = {
        (table.column_ids[term.position], term.collation): number
        for number, term in enumerate(terms)
        if term.position != ROWID and term.op is Op.EQ and not term.is_null
    }
    for spec in table.key_specs():
        parts = list(zip(spec.column_ids, (name.upper() for name in spec.collations), strict=True))
        if all(part in given for part in parts):
            return tuple(given[part] for part in parts)
    return ()


def _term(info: apsw.IndexInfo, i: int, op: Op, position: int, argument: int, code: int) -> Term:
    return Term(
        position=position,
        op=op,
        argument=argument,
        collation=info.get_aConstraint_collation(i).upper(),
        is_null=code == apsw.SQLITE_INDEX_CONSTRAINT_IS,
        certain=info.get_aConstraint_rhs(i) is not None,
    )


def _is_unreadable(info: apsw.IndexInfo, i: int, *, constants_only: bool) -> bool:
    """Whether the value compared with is, or may be, a text that is not UTF-8, which no Python code can be given."""
    try:
        unknown = info.get_aConstraint_rhs(i) is None
    except UnicodeDecodeError:
        return True
    return constants_only and unknown and _OPS[info.get_aConstraint_op(i)] not in (Op.NULL, Op.NOT_NULL)


def _wanted(used: set[int], count: int, alias: int | None) -> tuple[int, ...]:
    wanted = {position for position in used if 0 <= position < count}
    if _LAST_SEPARATE_COLUMN in used:
        wanted |= set(range(_LAST_SEPARATE_COLUMN, count))
    wanted.discard(ROWID if alias is None else alias)  # the cursor has the rowids anyway
    return tuple(sorted(wanted))


def _set_cost(table: ColumnTable, info: apsw.IndexInfo, terms: Sequence[Term]) -> None:
    count = max(1, table.estimated_rows())
    scanned, matching, least = float(count), float(count), _OR_SAFE_SHARE * count
    leading = {spec.column_ids[0] for spec in table.key_specs()}
    for term in terms:
        if term.position == ROWID:
            share, least = rowid_share(term.op), 0.0
        else:
            column_id = table.column_ids[term.position]
            share = column_share(table, column_id, term.op, count)
            if term.op is Op.EQ and column_id in leading:
                least = 0.0
        scanned *= share.groups
        matching *= share.rows
    info.estimatedRows = max(1, int(matching))
    cost = scanned * _FILTERED_ROW_COST + matching * _ROW_COST
    info.estimatedCost = _LOOK_UP_COST + max(cost, least * _ROW_COST)
