"""NULLS: the encoding of chunks in which every row is NULL.

NULLS (1)
parameters  0   1   digits, of DATETIME the number of decimals (`lane`), else 0
a block     empty; the chunk has no null bitmap either
"""

from __future__ import annotations

from dataclasses import dataclass

import pyarrow as pa

from colonnade.store.encodings.base import Blocks, Encoded, One, require, row_total
from colonnade.store.encodings.lane import LANE_KINDS, arrow_type, check_digits
from colonnade.store.values import Kind

_TYPES = {Kind.NULL: pa.null(), Kind.TEXT: pa.string(), Kind.BLOB: pa.binary()}


@dataclass(frozen=True, slots=True)
class Nulls:
    """Nothing but the number of rows, which the header has. MIXED writes its own NULLs."""

    id: int = 1
    name: str = "nulls"
    kinds: frozenset[Kind] = frozenset(Kind) - {Kind.MIXED}

    def encode(self, kind: Kind, data: pa.Array) -> Encoded:
        digits = {"ms": 3, "us": 6}.get(data.type.unit, 0) if kind is Kind.DATETIME else 0
        return Encoded(self.id, bytes([digits]), ())

    def decoder(self, kind: Kind, params: memoryview) -> NullsDecoder:
        require(len(params) == 1, "parameters of a chunk of NULLs")
        check_digits(kind if kind is Kind.DATETIME else Kind.INTEGER, params[0])
        return NullsDecoder(arrow_type(kind, params[0]) if kind in LANE_KINDS else _TYPES[kind])


@dataclass(frozen=True, slots=True)
class NullsDecoder:
    arrow: pa.DataType

    def block_bytes(self, rows: int) -> int | None:
        return 0

    def decode(self, blocks: Blocks, validity: pa.Buffer | None) -> pa.Array:
        return pa.nulls(row_total(blocks), self.arrow)

    def narrow(self, blocks: Blocks) -> None:
        return None

    def one(self, data: memoryview, rows: int) -> One | None:
        return None


NULLS = Nulls()
