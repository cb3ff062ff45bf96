"""ORDER BY, LIMIT: the order of rows by SQLite's comparison, NULLs where they were asked for."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from colonnade.sql.select.keys import filled, numbers_of, stable_order
from colonnade.sql.select.query import Order
from colonnade.sql.select.rules.compare import collated
from colonnade.sql.select.vector import NUMBERS, TEXTS, Vector, text_data
from colonnade.store.values import IntArray, Kind

Keys = list[npt.NDArray[Any]]


def ranks(vector: Vector, collation: str = "BINARY") -> npt.NDArray[Any]:
    """Numbers that compare as the values do; any number for NULL."""
    data, numbers = vector.data, numbers_of(vector)
    if numbers is not None:
        return numbers
    if vector.kind in NUMBERS:
        return filled(data)
    if vector.kind is Kind.NULL:
        return np.zeros(len(vector), np.int8)
    if vector.kind in TEXTS and not pa.types.is_dictionary(data.type):
        data = collated(text_data(vector), collation)
    encoded = data if pa.types.is_dictionary(data.type) else data.dictionary_encode()
    words = encoded.dictionary
    if pa.types.is_dictionary(vector.data.type):
        words = collated(words, collation)
        again = words.dictionary_encode()
        encoded = pa.DictionaryArray.from_arrays(pc.take(again.indices, encoded.indices), again.dictionary)
        words = again.dictionary
    places = pc.sort_indices(words).to_numpy()
    rank = np.empty(len(words) + 1, np.int64)
    rank[places], rank[-1] = np.arange(len(words)), 0
    found: npt.NDArray[Any] = rank[encoded.indices.fill_null(len(words)).to_numpy()]
    return found


def keys_of(vector: Vector, collation: str, descending: bool, nulls_first: bool) -> Keys:
    """Arrays to sort by, the most significant first."""
    values = ranks(vector, collation)
    if descending:
        values = ~values if values.dtype.kind in "iu" else -values
    if vector.kind is Kind.NULL or not vector.data.null_count:
        return [values]
    valid = vector.valid()
    place = valid if nulls_first else ~valid
    return [place.astype(np.int8), np.where(valid, values, 0)]


def keys_in_order(vectors: Sequence[Vector], ordering: Sequence[Order]) -> Keys:
    """Those of an ORDER BY; `vectors` begins with one for each of its terms."""
    return [
        key
        for vector, order in zip(vectors, ordering, strict=False)
        for key in keys_of(vector, order.term.collation or "BINARY", order.descending, order.nulls_first)
    ]


def sorted_places(keys: Sequence[npt.NDArray[Any]]) -> IntArray:
    """The rows in the order of the keys, equal ones as they stand."""
    codes, width = np.zeros(len(keys[0]), np.int64), 1
    for key in keys if len(codes) else ():
        low, high = (int(key.min()), int(key.max())) if key.dtype.kind in "iu" else (0, 1 << 63)
        if (high - low + 1) * width > 1 << 62:
            return np.lexsort(tuple(reversed(keys)))
        codes = codes * (high - low + 1) + (key.astype(np.int64) - low)
        width *= high - low + 1
    return stable_order(codes, width)
