"""What the encodings share: parts of blocks while encoding, bytes of blocks while decoding."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from colonnade.store.errors import Corrupt
from colonnade.store.memory import pool
from colonnade.store.values import IntArray, Kind, SQLiteValue

if TYPE_CHECKING:
    from colonnade.store.encodings.narrowed import Narrowed

ByteArray = npt.NDArray[np.uint8]
Numbers = npt.NDArray[Any]  # an integer array of any width

_SMALL = 1 << 16  # bytes that malloc has at hand
MAX_TEXT_BYTES = 2**31 - 1  # Arrow's string and binary arrays have 32-bit offsets


class Part(Protocol):
    """One ingredient of every block of a chunk; a block is the spans of all parts, one after another."""

    def spans(self, bounds: Sequence[int]) -> list[memoryview]:
        """The bytes for each block; block b has the rows from bounds[b] to bounds[b + 1]."""


@dataclass(frozen=True, slots=True)
class Packed:
    """A fixed number of bits per row: 1, 2, 4, 8, 16, 32 or 64. Blocks begin at multiples of 8 rows."""

    data: ByteArray
    bits: int

    def spans(self, bounds: Sequence[int]) -> list[memoryview]:
        view, bits = self.data.data, self.bits
        return [view[start * bits // 8 : (stop * bits + 7) // 8] for start, stop in pairwise(bounds)]


@dataclass(frozen=True, slots=True)
class Spread:
    """Bytes of varying length: those of row k lie from offsets[k] to offsets[k + 1]."""

    data: ByteArray
    offsets: Numbers

    def spans(self, bounds: Sequence[int]) -> list[memoryview]:
        view = self.data.data
        return [view[start:stop] for start, stop in pairwise(self.offsets[bounds].tolist())]


@dataclass(frozen=True, slots=True)
class PerBlock:
    """Eight bytes for each block: the values in the first row of each."""

    values: IntArray

    def spans(self, bounds: Sequence[int]) -> list[memoryview]:
        view = self.values[list(bounds[:-1])].astype("<i8").view(np.uint8).data
        return [view[at : at + 8] for at in range(0, len(view), 8)]


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


One = Callable[[int], SQLiteValue]  # from the row in a block to its value, as Python has it
Blocks = Sequence[Block]  # of ascending rows; all but the last have the same multiple of 8 rows


def row_total(blocks: Blocks) -> int:
    """Rows of all `blocks`."""
    return sum(block.rows for block in blocks)


def empty(count: int, dtype: npt.DTypeLike) -> npt.NDArray[Any]:
    """An array for decoded values, in memory of an Arrow pool.

    Writing to pages that are new to the process costs ten times what decoding into them does, and for arrays of this
    size numpy has new ones each time, where Arrow's pool keeps those that were given back.
    """
    kind = np.dtype(dtype)
    return np.frombuffer(pa.allocate_buffer(count * kind.itemsize, memory_pool=pool()), kind)


def cut(blocks: Blocks, values: npt.NDArray[Any]) -> Iterator[tuple[Block, npt.NDArray[Any]]]:
    """Each block with the part of `values`, (n,) of any type, that its rows are."""
    start = 0
    for block in blocks:
        yield block, values[start : start + block.rows]
        start += block.rows


def gather(blocks: Blocks, bits: int) -> memoryview | bytes:
    """The next `bits` per row of each block, as if the blocks were one."""
    return _joined([block.take((block.rows * bits + 7) // 8) for block in blocks])


def gather_rest(blocks: Blocks) -> memoryview | bytes:
    """All that is left in each block, joined."""
    return _joined([block.take(block.left) for block in blocks])


def _joined(parts: list[memoryview]) -> memoryview | bytes:
    if len(parts) == 1:
        return parts[0]
    total = sum(map(len, parts))
    if total <= _SMALL:
        return b"".join(parts)
    joined, start = empty(total, np.uint8), 0
    for part in parts:
        joined[start : start + len(part)] = np.frombuffer(part, np.uint8)
        start += len(part)
    return joined.data


class Decoder(Protocol):
    """Decodes blocks of one chunk; built once per chunk from its kind and its parameters."""

    def block_bytes(self, rows: int) -> int | None:
        """Bytes of a block of `rows` rows without its null bitmap, or None where they vary."""

    def decode(self, blocks: Blocks, validity: pa.Buffer | None) -> pa.Array:
        """The values of all `blocks` as one array of the chunk's kind. Raises Corrupt."""

    def narrow(self, blocks: Blocks) -> Narrowed | None:
        """The values of all `blocks`, none of them NULL, as they are kept in memory; None where they are as small
        decoded. Raises Corrupt."""

    def one(self, data: memoryview, rows: int) -> One | None:
        """Reads single values that are not NULL, of a block of `rows` rows without its null bitmap; None where
        decoding the block is as quick. Raises Corrupt, then or when it is called."""


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
