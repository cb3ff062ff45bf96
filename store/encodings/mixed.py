"""MIXED: values of several storage classes in one column.

MIXED (7)
parameters  0   9   Frame of the numbers
            9   9   Frame of the lengths in bytes
a block     plane of the tags, 4 bits: 0 for NULL, else the bit of values.StorageClass
            planes of the numbers: an INTEGER, the bits of a REAL, 0 for other tags
            planes of the lengths: of a TEXT or a BLOB, 0 for other tags
            the bytes of all its values
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from colonnade.store.encodings.base import Blocks, Encoded, Numbers, One, Spread, require
from colonnade.store.encodings.frame import FRAME, Frame
from colonnade.store.encodings.text import bytes_and_offsets, read_values
from colonnade.store.values import IntArray, Kind, StorageClass, mixed_column

_TAGS = Frame(0, 4)


@dataclass(frozen=True, slots=True)
class Mixed:
    """Tags, numbers, lengths and bytes side by side."""

    id: int = 7
    name: str = "mixed"
    kinds: frozenset[Kind] = frozenset({Kind.MIXED})

    def encode(self, data: pa.Array) -> Encoded:
        tags, nums, raws = data.field("tag"), data.field("num").to_numpy(), data.field("bytes")
        raw, offsets = bytes_and_offsets(raws)
        lengths = offsets[1:] - offsets[:-1]
        numbers = Frame.around(int(nums.min()), int(nums.max()))
        sizes = Frame.around(int(lengths.min()), int(lengths.max()))
        planes = (*_TAGS.pack(tags.to_numpy()), *numbers.pack(nums), *sizes.pack(lengths))
        return Encoded(self.id, numbers.to_bytes() + sizes.to_bytes(), (*planes, Spread(raw, offsets)))

    def decoder(self, kind: Kind, params: memoryview) -> MixedDecoder:
        return MixedDecoder(Frame.from_bytes(params[: FRAME.size]), Frame.from_bytes(params[FRAME.size :]))


@dataclass(frozen=True, slots=True)
class MixedDecoder:
    numbers: Frame
    sizes: Frame

    def block_bytes(self, rows: int) -> int | None:
        return None

    def decode(self, blocks: Blocks, validity: pa.Buffer | None) -> pa.Array:
        tags: npt.NDArray[np.uint8] = _TAGS.unpack(blocks, np.uint8)
        nums, lengths = self.numbers.unpack(blocks), self.sizes.unpack(blocks)
        raws = read_values(blocks, lengths, None, text=False)
        _check(tags, nums, lengths)
        return mixed_column(tags, nums, raws).data

    def narrow(self, blocks: Blocks) -> None:
        return None

    def one(self, data: memoryview, rows: int) -> One | None:
        return None


def _check(tags: npt.NDArray[np.uint8], nums: IntArray, lengths: Numbers) -> None:
    """Raises Corrupt for a tag that is none, a NaN and bytes of a number. TEXT may be any bytes."""
    is_real, has_bytes = tags == StorageClass.REAL, (tags == StorageClass.TEXT) | (tags == StorageClass.BLOB)
    known = (tags == 0) | (tags == StorageClass.INTEGER) | is_real | has_bytes
    require(known.all(), "unknown tag")
    require(not lengths[~has_bytes].any(), "bytes of a value that has none")
    require(not np.isnan(nums[is_real].view(np.float64)).any(), "NaN")


MIXED = Mixed()
