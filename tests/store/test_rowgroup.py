"""A row group has a chunk for each column and knows its rowids."""

from __future__ import annotations

import numpy as np
import pytest

from colonnade.store.chunk import decode_chunk
from colonnade.store.format import ROWID_COLUMN
from colonnade.store.rowgroup import encode_row_group, number
from colonnade.store.values import RowBatch, from_python, integer_column, to_python

ROWIDS = np.array([3, 4, 9], np.int64)
WORDS = from_python(["a", None, "c"])


def test_rowids_without_a_column_become_chunk_zero() -> None:
    group = encode_row_group(RowBatch(3, (WORDS,), ROWIDS), [5], ROWID_COLUMN)
    assert (group.row_count, group.first_rowid, group.last_rowid) == (3, 3, 9)
    assert sorted(group.chunks) == [ROWID_COLUMN, 5]
    assert to_python(decode_chunk(group.chunks[ROWID_COLUMN].data)) == [3, 4, 9]
    assert to_python(decode_chunk(group.chunks[5].data)) == ["a", None, "c"]


def test_an_integer_primary_key_is_stored_once() -> None:
    group = encode_row_group(RowBatch(3, (integer_column(ROWIDS), WORDS), ROWIDS), [1, 2], 1)
    assert sorted(group.chunks) == [1, 2]


def test_rows_and_rowids_are_needed() -> None:
    with pytest.raises(ValueError, match="rowids"):
        encode_row_group(RowBatch(3, (WORDS,)), [1], ROWID_COLUMN)
    with pytest.raises(ValueError, match="rows"):
        encode_row_group(RowBatch(0, (), ROWIDS[:0]), [], ROWID_COLUMN)
    with pytest.raises(ValueError, match="zip"):
        encode_row_group(RowBatch(3, (WORDS,), ROWIDS), [1, 2], ROWID_COLUMN)


@pytest.mark.parametrize("rows", [1, 2, 8192, 8193, 20_000])
@pytest.mark.parametrize("first", [1, -(2**63), 2**62])
def test_counted_rowids_are_the_chunk_that_the_rowids_themselves_make(first: int, rows: int) -> None:
    rowids = np.arange(first, first + rows, dtype=np.int64)
    words = from_python(["x"] * rows)
    whole = encode_row_group(RowBatch(rows, (words,), rowids), [5], ROWID_COLUMN)
    start = np.arange(rows, dtype=np.int64)
    group = encode_row_group(RowBatch(rows, (words,), start), [5], ROWID_COLUMN, numbered=False)
    assert sorted(group.chunks) == [5]
    assert number(group, first) == whole
