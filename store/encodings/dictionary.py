"""DICTIONARY: TEXT of few different values, once in the parameters, as narrowed codes in the blocks.

DICTIONARY (6)
parameters  0     4     number of words k, at least 1
            4     4*k   their lengths in bytes
            4+4k  ..    their bytes
a block     planes of the codes: a Frame of base 0 that holds k - 1; a NULL has any code
"""

from __future__ import annotations

import struct
from dataclasses import dataclass

import numpy as np
import pyarrow as pa

from colonnade.store.encodings.base import Blocks, Encoded, Numbers, One, require, row_total
from colonnade.store.encodings.frame import Frame
from colonnade.store.encodings.narrowed import Distances, Narrowed, NarrowWords
from colonnade.store.encodings.text import bytes_and_offsets, words_array
from colonnade.store.values import Kind, SQLiteValue

_COUNT = struct.Struct("<I")


@dataclass(frozen=True, slots=True)
class Dictionary:
    """Codes into a list of words."""

    id: int = 6
    name: str = "dictionary"
    kinds: frozenset[Kind] = frozenset({Kind.TEXT})

    def encode(self, codes: Numbers, words: pa.Array) -> Encoded:
        """codes   (n,) of any integer type, each an index into words
        words   string array without NULLs
        """
        raw, offsets = bytes_and_offsets(words)
        lengths = (offsets[1:] - offsets[:-1]).astype("<u4")
        params = _COUNT.pack(len(words)) + lengths.tobytes() + raw[offsets[0] : offsets[-1]].tobytes()
        return Encoded(self.id, params, Frame.around(0, len(words) - 1).pack(codes))

    def decoder(self, kind: Kind, params: memoryview) -> DictionaryDecoder:
        require(len(params) >= _COUNT.size, "parameters of a dictionary")
        (count,) = _COUNT.unpack_from(params)
        first = _COUNT.size + 4 * count
        require(count > 0 and first <= len(params), "words of a dictionary")
        lengths = np.frombuffer(params[_COUNT.size : first], "<u4").astype(np.int64)
        words = words_array(lengths, params[first:])
        return DictionaryDecoder(words, Frame.around(0, count - 1))


@dataclass(frozen=True, slots=True)
class DictionaryDecoder:
    words: pa.Array
    frame: Frame

    def block_bytes(self, rows: int) -> int | None:
        return self.frame.block_bytes(rows)

    def narrow(self, blocks: Blocks) -> Narrowed | None:
        codes = self.frame.distances(blocks)
        if codes is None:
            codes = np.zeros(row_total(blocks), np.uint8)
        distances = Distances.of(codes)
        require(distances.highest < len(self.words), "code beyond its dictionary")
        return NarrowWords(self.words, distances)

    def decode(self, blocks: Blocks, validity: pa.Buffer | None) -> pa.Array:
        codes = self.frame.unpack(blocks, np.int32)
        if len(self.words) < 1 << self.frame.width:
            require(
                int(codes.max()) < len(self.words) and int(codes.min()) >= 0, "code beyond its dictionary"
            )
        indices = pa.Array.from_buffers(pa.int32(), len(codes), [validity, pa.py_buffer(codes)])
        return pa.DictionaryArray.from_arrays(indices, self.words, safe=False)

    def one(self, data: memoryview, rows: int) -> One | None:
        code_of, words = self.frame.one(data, rows), self.words
        count = len(words)

        def word(row: int) -> SQLiteValue:
            code = code_of(row)
            require(code < count, "code beyond its dictionary")
            value: str = words[code].as_py()
            return value

        return word


DICTIONARY = Dictionary()
