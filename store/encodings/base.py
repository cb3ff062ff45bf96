"""What the encodings share: parts of blocks while encoding, bytes of blocks while decoding, the registry's type."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from colonnade.store.errors import Corrupt
from colonnade.store.values import IntArray, Kind

ByteArray = npt.NDArray[np.uint8]
Numbers = npt.NDArray[Any]  # an integer array of any width

MAX_TEXT_BYTES = 2**31 - 1  # Arrow's string and binary arrays have 32-bit offsets


class Part(Protocol):
    """One ingredient of every block of a chunk; a block is the spans of all parts, one after another."""

    def span(self, start: int, stop: int) -> memoryview:
        """The bytes for rows start to stop; start is the first row of a block."""


@dataclass(frozen=True, slots=True)
class Packed:
    """A fixed number of bits per row: 1, 2, 4, 8, 16, 32 or 64. Blocks begin at multiples of 8 rows."""

    data: ByteArray
    bits: int

    def span(self, start: int, stop: int) -> memoryview:
        return self.data[start * self.bits // 8 : (stop * self.bits + 7) // 8].data


@dataclass(frozen=True, slots=True)
class Spread:
    """Bytes of varying length: those of row k lie from offsets[k] to offsets[k + 1]."""

    data: ByteArray
    offsets: Numbers

    def span(self, start: int, stop: int) -> memoryview:
        return self.data[self.offsets[start] : self.offsets[stop]].data


@dataclass(frozen=True, slots=True)
class PerBlock:
    """Eight bytes for each block."""

    values: npt.NDArray[np.uint64]
    block_rows: int

    def span(self, start: int, stop: int) -> memoryview:
        block = start // self.block_rows
        return self.values[block : block + 1].view(np.uint8).data


@dataclass(frozen=True, slots=True)
class Encoded:
    """What an encoding makes of the values of a chunk, before it is cut into blocks."""

    encoding_id: int
    params: bytes
    parts: tuple[Part, ...]


class Block:
    """The bytes of one block, taken from the front; `rows` is how many rows it holds."""

    __slots__ = ("at", "data", "rows")

    def __init__(self, rows: int, data: memoryview) -> None:
        self.rows, self.data, self.at = rows, data, 0

    def take(self, count: int) -> memoryview:
        """The next `count` bytes. Raises Corrupt where there are fewer."""
        start, stop = self.at, self.at + count
        if stop > len(self.data):
            raise Corrupt(f"column chunk: a block of {len(self.data)} bytes ends before byte {stop}")
        self.at = stop
        return self.data[start:stop]

    @property
    def left(self) -> int:
        return len(self.data) - self.at


Blocks = Sequence[Block]  # of ascending rows; all but the last have the same multiple of 8 rows


def row_total(blocks: Blocks) -> int:
    """Rows of all `blocks`."""
    return sum(block.rows for block in blocks)


def gather(blocks: Blocks, bits: int) -> memoryview | bytes:
    """The next `bits` per row of each block, as if the blocks were one."""
    if len(blocks) == 1:
        return blocks[0].take((blocks[0].rows * bits + 7) // 8)
    return b"".join([block.take((block.rows * bits + 7) // 8) for block in blocks])


def gather_rest(blocks: Blocks) -> memoryview | bytes:
    """All that is left in each block, joined."""
    if len(blocks) == 1:
        return blocks[0].take(blocks[0].left)
    return b"".join([block.take(block.left) for block in blocks])


class Decoder(Protocol):
    """Decodes blocks of one chunk; built once per chunk from its kind and its parameters."""

    def block_bytes(self, rows: int) -> int | None:
        """Bytes of a block of `rows` rows without its null bitmap, or None where they vary."""

    def decode(self, blocks: Blocks, validity: pa.Buffer | None) -> pa.Array:
        """The values of all `blocks` as one array of the chunk's kind. Raises Corrupt."""


class Encoding(Protocol):
    """One way to write values; see `colonnade.store.encodings`."""

    @property
    def id(self) -> int: ...

    @property
    def name(self) -> str: ...

    @property
    def kinds(self) -> frozenset[Kind]: ...

    def decoder(self, kind: Kind, params: memoryview) -> Decoder:
        """The decoder for a chunk of `kind`. Raises Corrupt where the parameters make no sense."""


def require(truth: object, problem: str) -> None:
    """Raises Corrupt, naming the problem, unless `truth`."""
    if not truth:
        raise Corrupt(f"column chunk: {problem}")


def as_ints(values: Numbers) -> IntArray:
    """The same integers as int64."""
    return values.astype(np.int64, copy=False)
