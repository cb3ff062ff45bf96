"""Sources are read: which rows of a table pass its conditions, and the columns that are wanted of them."""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterator, Sequence
from dataclasses import dataclass
from itertools import chain, islice
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from colonnade.sql.affinity import Affinity
from colonnade.sql.objects import TableDef
from colonnade.sql.select.express import BatchRows, Values, evaluate, is_fixed, listed_in, passing
from colonnade.sql.select.narrowtest import narrow_test
from colonnade.sql.select.query import Source
from colonnade.sql.select.relation import Frame
from colonnade.sql.select.rules.asked import AskedElsewhere
from colonnade.sql.select.terms import ROWID, Column, Op, Term, columns_of
from colonnade.sql.select.vector import (
    NUMBERS,
    TEXTS,
    BoolArray,
    NotVectorizable,
    Vector,
    concat,
    integers,
    nulls,
    of_column,
)
from colonnade.sql.tokens import quote
from colonnade.store import prune
from colonnade.store.columnscan import RowFilter, scan_columns
from colonnade.store.database import Store
from colonnade.store.narrowcolumn import NarrowColumn
from colonnade.store.prune import Compared, Condition, condition
from colonnade.store.rawtext import RawText
from colonnade.store.table import ColumnTable
from colonnade.store.values import Column as Stored
from colonnade.store.values import Kind, RowBatch, from_python

_ORDINARY_ROWS = 16_384  # of tables in row format, which are Python objects at a time
_WORTH_ROWS, _MOST_ROWS = 16_384, 1 << 16  # of a batch that groups are made of
_EACH_OF = 64  # values of an IN up to which each is compared with the zone map of each row group
_MAP_ROWS = 1 << 26  # keys are looked up in an array of bits up to this range
_NUMERIC = frozenset({Affinity.INTEGER, Affinity.REAL, Affinity.NUMERIC})
_OPS = {"=": prune.Op.EQ, "<": prune.Op.LT, "<=": prune.Op.LE, ">": prune.Op.GT, ">=": prune.Op.GE}
_MIRRORED = {"=": "=", "<": ">", "<=": ">=", ">": "<", ">=": "<="}


@dataclass(frozen=True, slots=True)
class KeyFilter:
    """Only rows whose value of a column is among some keys may be of use.

    present  for integers: whether each number from `low` on is one of them; else `keys`
    """

    column: Column
    low: int
    present: BoolArray | None
    keys: pa.Array | None

    def test(self, vector: Vector) -> BoolArray | None:
        """The rows that may be of use; None: all, or no look was possible."""
        if self.present is not None and vector.kind is Kind.INTEGER and not vector.truth:
            if vector.data.null_count:
                filled = vector.data.fill_null(self.low).to_numpy()
                return _among(filled, self.low, self.present) & vector.valid()
            return _among(vector.data.to_numpy(), self.low, self.present)
        if self.keys is not None and vector.kind is Kind.TEXT:
            data = vector.data
            if pa.types.is_dictionary(data.type):
                found = pc.is_in(data.dictionary, self.keys).take(data.indices).fill_null(False)
            else:
                found = pc.is_in(data, self.keys)
            return np.asarray(found.to_numpy(zero_copy_only=False), bool)
        return None


def _among(values: npt.NDArray[np.int64], low: int, present: BoolArray) -> BoolArray:
    places = values - low
    if len(places) and int(places.min()) >= 0 and int(places.max()) < len(present):
        return present[places]
    inside = (values >= low) & (values < low + len(present))
    return present[np.where(inside, places, 0)] & inside


def is_column_table(store: Store, sources: Sequence[Source]) -> bool:
    """Whether the only source is a table in column format."""
    table = sources[0].table if len(sources) == 1 else None
    return table is not None and store.table(table.name, table.schema) is not None


def key_filter(column: Column, keys: Vector) -> KeyFilter | None:
    """A filter for the values of a vector; None where there can be none."""
    if keys.kind is Kind.INTEGER and not keys.truth and len(keys):
        data = keys.data.drop_null()
        if not len(data):
            return None
        values = data.to_numpy()
        low, high = int(values.min()), int(values.max())
        if high - low >= _MAP_ROWS:
            return None
        present = np.zeros(high - low + 1, bool)
        present[values - low] = True
        return KeyFilter(column, low, present, None)
    if keys.kind is Kind.TEXT and len(keys):
        data = keys.data.dictionary if pa.types.is_dictionary(keys.data.type) else keys.data
        return KeyFilter(column, 0, None, pc.unique(data))
    return None


class Reader:
    """Reads one source that is a table.

    wanted   columns to give
    filters  conditions on this source alone
    keys     see KeyFilter
    again    the query reads the table in another place too
    """

    def __init__(
        self,
        store: Store,
        source: Source,
        wanted: Sequence[Column],
        filters: Sequence[Term],
        keys: Sequence[KeyFilter],
        values: Values,
        checkpoint: Callable[[], None],
        again: bool,
    ) -> None:
        assert source.table is not None
        self._store, self._definition = store, source.table
        self._wanted, self._filters, self._keys = list(wanted), list(filters), list(keys)
        self._values, self._checkpoint, self._again = values, checkpoint, again

    def batches(self) -> Iterator[BatchRows]:
        """The rows that pass, in the order of rowids, some at a time."""
        table = self._store.table(self._definition.name, self._definition.schema)
        if table is None:
            yield from self._ordinary()
            return
        filters = [self._key_test(table, keys) for keys in self._keys]
        filters += [self._row_test(table, term) for term in self._filters]
        given = 0
        try:
            for batch in self._scan(table, self._wanted, filters):
                given += batch.count
                yield batch
        except AskedElsewhere:
            if given:
                raise
            yield from self._filtered_here(table)

    def straight(self) -> Iterator[BatchRows] | None:
        """All rows of a table in column format, batch by batch, if it is certain that none of them raises
        NotVectorizable; else None.
        """
        table = self._store.table(self._definition.name, self._definition.schema)
        if table is None or self._filters or self._keys:
            return None
        ids = [self._id(table, column) for column in self._wanted]
        scan = scan_columns(table, ids, checkpoint=self._checkpoint, again=self._again)
        # Rows of several row groups and of the row part may come in one batch. The row part has days as texts, and
        # decimals as integers or reals.
        if not all(map(_of_one_class, scan.kinds())):
            scan.close()
            return None
        return (_rows(self._wanted, ids, batch) for batch in scan)

    def _filtered_here(self, table: ColumnTable) -> Iterator[BatchRows]:
        """The same where some condition needs SQLite, which only the connection's own thread can ask."""
        wanted = dict.fromkeys((*self._wanted, *(c for term in self._filters for c in columns_of(term))))
        for batch in self._scan(table, list(wanted), [self._key_test(table, keys) for keys in self._keys]):
            rows: BatchRows | None = batch
            for term in self._filters:
                assert rows is not None
                mask = passing(term, rows, self._values)
                rows = rows if mask is None else rows.filter(mask)
            assert rows is not None
            if rows.count:
                yield rows

    def frame(self, whole: int, charge: Callable[[int], None]) -> Frame:
        """All rows that pass, by position of the columns wanted.

        charge  is told of bytes that are kept, and raises NotVectorizable where they are too many
        """
        batches = []
        for batch in self.batches():
            charge(sum(vector.data.nbytes for vector in batch.vectors.values()))
            batches.append(batch)
        count = sum(batch.count for batch in batches)
        vectors = {
            column.position: concat([batch.vectors[column] for batch in batches]) if batches else nulls(0)
            for column in self._wanted
        }
        return Frame(count, vectors, whole)

    # --- in column format ----------------------------------------------------------------------------------

    def _scan(
        self, table: ColumnTable, wanted: Sequence[Column], filters: Sequence[RowFilter]
    ) -> Iterator[BatchRows]:
        ids = [self._id(table, column) for column in wanted]
        conditions = self._conditions(table)
        checkpoint, again = self._checkpoint, self._again
        for batch in scan_columns(
            table, ids, conditions=conditions, filters=filters, checkpoint=checkpoint, again=again
        ):
            yield _rows(wanted, ids, batch)

    @staticmethod
    def _id(table: ColumnTable, column: Column) -> int:
        return 0 if column.position == ROWID else table.column_ids[column.position]

    def _row_test(self, table: ColumnTable, term: Term) -> RowFilter:
        columns = sorted(columns_of(term), key=lambda column: column.position)
        ids = tuple(self._id(table, column) for column in columns)

        quick = narrow_test(term, columns, self._values)

        def test(stored: Sequence[Stored]) -> BoolArray | None:
            if quick is not None and isinstance(stored[0], NarrowColumn) and quick.applies(stored[0]):
                return quick.mask(stored[0])
            vectors = {column: of_column(each) for column, each in zip(columns, stored, strict=True)}
            return passing(term, BatchRows(len(stored[0]), vectors), self._values)

        return RowFilter(ids, test)

    def _key_test(self, table: ColumnTable, keys: KeyFilter) -> RowFilter:
        def test(stored: Sequence[Stored]) -> BoolArray | None:
            column = stored[0]
            if keys.present is not None and isinstance(column, NarrowColumn) and column.kind is Kind.INTEGER:
                return column.among(keys.low, keys.present)
            return keys.test(of_column(column))

        return RowFilter((self._id(table, keys.column),), test)

    def _conditions(self, table: ColumnTable) -> list[Condition]:
        found = []
        for term in self._filters:
            found += self._condition(table, term)
        for keys in self._keys:
            # In a column of another affinity a text can be equal to a key, a number: the comparison converts it.
            if (
                keys.present is not None
                and keys.column.position != ROWID
                and keys.column.affinity in _NUMERIC
            ):
                compared = Compared(self._id(table, keys.column), True, True)
                found.append(condition(compared, prune.Op.GE, keys.low, certain=True))
                last = keys.low + len(keys.present) - 1
                found.append(condition(compared, prune.Op.LE, last, certain=True))
        return found

    def _condition(self, table: ColumnTable, term: Term) -> list[Condition]:
        """What a comparison with a constant, or an IN of some, says of zone maps."""
        if isinstance(term, Op) and term.name == "in":
            return self._among(table, term)
        if not isinstance(term, Op) or term.name not in _OPS:
            return []
        (left, right), name = term.operands, term.name
        if not isinstance(left, Column):
            left, right, name = right, left, _MIRRORED[name]
        if not isinstance(left, Column) or not is_fixed(right):
            return []
        if left.position == ROWID:
            return []
        value = evaluate(right, BatchRows(1, {}), self._values)
        return [condition(self._compared(table, left, term), _OPS[name], value.value(), certain=True)]

    def _compared(self, table: ColumnTable, column: Column, term: Op) -> Compared:
        return Compared(self._id(table, column), column.affinity in _NUMERIC, term.extra[2] == "BINARY")

    def _among(self, table: ColumnTable, term: Op) -> list[Condition]:
        """One of a few equalities, or the range of many values where they are in the order of the column's."""
        column, listed = term.operands[0], listed_in(term, self._values)
        if not isinstance(column, Column) or column.position == ROWID or listed is None:
            return []
        compared = self._compared(table, column, term)
        values: list[Any] = [value for item in listed.items if (value := item.value()) is not None]
        if len(values) <= _EACH_OF:
            each = [condition(compared, prune.Op.EQ, value, certain=True).tests for value in values]
            known = [tests for tests in each if tests is not None]
            return [Condition(compared.column_id, tuple(chain(*known)))] if len(known) == len(each) else []
        numbers = compared.numeric and all(isinstance(value, int | float) for value in values)
        texts = compared.binary and not compared.numeric and all(isinstance(value, str) for value in values)
        if not numbers and not texts:
            return []
        return [
            condition(compared, prune.Op.GE, min(values), certain=True),
            condition(compared, prune.Op.LE, max(values), certain=True),
        ]

    # --- in row format -------------------------------------------------------------------------------------

    def _ordinary(self) -> Iterator[BatchRows]:
        """The rows of a table in row format, as SQLite gives them."""
        needed = dict.fromkeys((*self._wanted, *(c for term in self._filters for c in columns_of(term))))
        needed |= dict.fromkeys(keys.column for keys in self._keys)
        columns = list(needed)
        names = [_name(self._definition, column) for column in columns] or ["1"]
        place = f"{quote(self._definition.schema)}.{quote(self._definition.name)}"
        order = "" if self._definition.without_rowid else " ORDER BY rowid"
        if order and any(c.name.lower() == "rowid" for c in self._definition.columns):
            order = ""
        rows = self._store.db.cursor().execute(f"SELECT {', '.join(names)} FROM {place}{order}")
        while True:
            try:
                some = list(islice(rows, _ORDINARY_ROWS))
            except UnicodeDecodeError:
                raise NotVectorizable("text that is not UTF-8") from None
            if not some:
                return
            self._checkpoint()
            yield from self._kept(some, columns)

    def _kept(self, some: Sequence[tuple[object, ...]], columns: Sequence[Column]) -> Iterator[BatchRows]:
        vectors = {}
        for column, cells in zip(columns, zip(*some, strict=True), strict=False):
            if any(type(cell) is RawText for cell in cells):
                raise NotVectorizable("text that is not UTF-8")
            vectors[column] = of_column(from_python(cells))
        rows = BatchRows(len(some), vectors)
        for keys in self._keys:
            mask = keys.test(rows.column(keys.column))
            rows = rows if mask is None else rows.filter(mask)
        for term in self._filters:
            mask = passing(term, rows, self._values)
            rows = rows if mask is None else rows.filter(mask)
        if rows.count:
            yield rows


def _of_one_class(kinds: set[Kind]) -> bool:
    """Whether batches of these kinds hold nothing but texts, nothing but numbers, or nothing but BLOBs."""
    present = kinds - {Kind.NULL}
    return present <= TEXTS or present <= NUMBERS or present == {Kind.BLOB}


def _rows(wanted: Sequence[Column], ids: Sequence[int], batch: RowBatch) -> BatchRows:
    stored, vectors = iter(batch.columns), {}
    for column, column_id in zip(wanted, ids, strict=True):
        if column_id:
            vectors[column] = of_column(next(stored))
        else:
            assert batch.rowids is not None
            vectors[column] = integers(batch.rowids)
    return BatchRows(batch.row_count, vectors)


def gathered_up(batches: Iterator[BatchRows]) -> Generator[BatchRows, None, None]:
    """The same rows with small batches put together, as what is done with a batch costs something of itself, and large
    ones cut, so that what is computed of them stays in the processor's cache.
    """
    held: list[BatchRows] = []
    count = 0
    for batch in batches:
        if not held and batch.count > _MOST_ROWS:
            parts = -(-batch.count // _MOST_ROWS)
            size = -(-batch.count // parts)
            yield from (batch.slice(start, size) for start in range(0, batch.count, size))
            continue
        held.append(batch)
        count += batch.count
        if count >= _WORTH_ROWS:
            yield _together(held, count)
            held, count = [], 0
    if held:
        yield _together(held, count)


def _together(batches: Sequence[BatchRows], count: int) -> BatchRows:
    if len(batches) == 1:
        return batches[0]
    return BatchRows(count, {c: concat([batch.vectors[c] for batch in batches]) for c in batches[0].vectors})


def _name(table: TableDef, column: Column) -> str:
    return "rowid" if column.position == ROWID else quote(table.columns[column.position].name)
