"""Vectors: the values of one expression for the rows of a batch, and their storage classes."""

from __future__ import annotations

from dataclasses import dataclass

import pyarrow as pa

from colonnade.store.values import Kind


class NotVectorizable(Exception):
    """SQLite must run this query; says which construct. Raised and caught in sql.select."""


@dataclass(frozen=True, slots=True)
class Vector:
    """Values of an expression.

    kind   as in store.values, never MIXED. In TEXT, `data` is string or dictionary<int32, string>
    data   one contiguous Arrow array of n values (truth values: see `truth`)
    whole  of a NUMERIC that was computed: which values are INTEGER, the others being REAL, (n,) bool array
           without NULL; None: those that a stored column would have as INTEGER (see Kind.NUMERIC)
    truth  the data are booleans, that is INTEGER 1 and 0
    """

    kind: Kind
    data: pa.Array
    whole: pa.Array | None = None
    truth: bool = False

    def __len__(self) -> int:
        return len(self.data)
