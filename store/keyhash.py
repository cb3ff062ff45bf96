"""64-bit hashes of byte strings, by operations on arrays: equal hashes mean "perhaps equal"."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from colonnade.store.values import IntArray

WordArray = npt.NDArray[np.uint64]

_WORDS = 8  # of a key's bytes, this many words of 8 are hashed one by one; a longer tail as a polynomial
_HASHED_ROWS = 16_384  # at a time: scratch arrays stay in the second-level cache
_MIX_1, _MIX_2 = np.uint64(0xBF58476D1CE4E5B9), np.uint64(0x94D049BB133111EB)
_ODD = np.uint64(0x9E3779B97F4A7C15)


def hash_bytes(keys: pa.Array) -> IntArray:
    """A 64-bit hash of each byte string, (n,) int64; `keys` is a binary array without nulls.

    Cost: for keys of up to 64 bytes some 10 ns a row and word, without a loop over rows.
    """
    hashes = np.empty(len(keys), np.int64)
    for start in range(0, len(keys), _HASHED_ROWS):
        hashes[start : start + _HASHED_ROWS] = _hash_some(keys.slice(start, _HASHED_ROWS))
    return hashes


def _hash_some(keys: pa.Array) -> IntArray:
    """The same for a few thousand."""
    _, offset_buffer, data = keys.buffers()
    offsets = np.frombuffer(offset_buffer, np.int32)[keys.offset : keys.offset + len(keys) + 1]
    base = int(offsets[0])
    raw = (
        np.frombuffer(data, np.uint8)[base : int(offsets[-1])] if data is not None else np.zeros(0, np.uint8)
    )
    starts = (offsets[:-1] - base).astype(np.int64)
    lengths = np.diff(offsets).astype(np.int64)
    state = mix(lengths.astype(np.uint64), 0)
    padded = np.concatenate([raw, np.zeros(8, np.uint8)])
    words = np.lib.stride_tricks.as_strided(padded.view(), (len(raw) + 1, 8), (1, 1))
    for word in range(_WORDS):
        rows = np.flatnonzero(lengths > 8 * word)
        if not len(rows):
            break
        whole = len(rows) == len(lengths)
        left = (lengths if whole else lengths[rows]) - 8 * word
        values = words[(starts if whole else starts[rows]) + 8 * word].copy().view("<u8")[:, 0]
        cut = (np.maximum(8 - left, 0) * 8).astype(np.uint64)
        values = (values << cut) >> cut if (left < 8).any() else values
        if whole:
            state = mix(state ^ values, word + 1)
        else:
            state[rows] = mix(state[rows] ^ values, word + 1)
    _hash_tails(state, raw, starts, lengths)
    return state.view(np.int64)


def _hash_tails(state: WordArray, raw: npt.NDArray[np.uint8], starts: IntArray, lengths: IntArray) -> None:
    """What is beyond the first words: a polynomial in an odd number modulo 2**64."""
    rows = np.flatnonzero(lengths > 8 * _WORDS)
    for first in range(0, len(rows), 4096):
        some = rows[first : first + 4096]
        sizes = lengths[some] - 8 * _WORDS
        ends = np.cumsum(sizes)
        within = np.arange(ends[-1]) - np.repeat(ends - sizes, sizes)
        powers = np.cumprod(np.full(int(sizes.max()), _ODD))
        places = within + np.repeat(starts[some] + 8 * _WORDS, sizes)
        terms = (raw[places].astype(np.uint64) + np.uint64(1)) * powers[within]
        state[some] = mix(state[some] ^ np.add.reduceat(terms, ends - sizes), _WORDS + 1)


def mix(values: WordArray, salt: int) -> WordArray:
    """A bijection of the 64-bit words that spreads every bit over all (splitmix64's finaliser)."""
    mixed = values + np.uint64((int(_ODD) * (salt + 1)) % 2**64)
    mixed ^= mixed >> np.uint64(30)
    mixed *= _MIX_1
    mixed ^= mixed >> np.uint64(27)
    mixed *= _MIX_2
    mixed ^= mixed >> np.uint64(31)
    return mixed


class HashedKeys:
    """Byte strings, and which of them occur among others.

    exact  False: two that differ have the same hash, so that `among` must not be asked
    """

    def __init__(self, keys: pa.Array) -> None:
        """keys: (n,) binary without nulls, n at least 1"""
        hashes = hash_bytes(keys)
        order = np.argsort(hashes, kind="stable")
        in_order = hashes[order]
        fresh = np.concatenate([[True], in_order[1:] != in_order[:-1]])
        self._keys, self._one_each, self._distinct = keys, order[fresh], in_order[fresh]
        self._which = np.empty(len(keys), np.int64)
        self._which[order] = np.cumsum(fresh) - 1
        self._mask = np.int64((1 << min(22, (8 * len(keys)).bit_length())) - 1)
        self._perhaps = np.zeros(int(self._mask) + 1, bool)  # one of ten others gets past it
        self._perhaps[hashes & self._mask] = True
        again = np.flatnonzero(~fresh)
        pairs = (keys.take(pa.array(order[again - step])) for step in (0, 1))
        self.exact = bool(pc.all(pc.equal(*pairs), min_count=0).as_py())

    @property
    def nbytes(self) -> int:
        arrays = (self._one_each, self._distinct, self._which, self._perhaps)
        return sum(int(array.nbytes) for array in arrays)

    def among(self, others: pa.Array) -> npt.NDArray[np.bool_]:
        """Which of the keys are among others, (m,) binary without nulls. Cost: some 50 ns for each of these."""
        hashes = hash_bytes(others)
        near = np.flatnonzero(self._perhaps[hashes & self._mask])
        hashes = hashes[near]
        places = np.minimum(np.searchsorted(self._distinct, hashes), len(self._distinct) - 1)
        same = np.flatnonzero(self._distinct[places] == hashes)
        near, places = near[same], places[same]
        theirs, mine = others.take(pa.array(near)), self._keys.take(pa.array(self._one_each[places]))
        equal = pc.equal(theirs, mine).to_numpy(zero_copy_only=False)
        met = np.zeros(len(self._distinct), bool)
        met[places[equal]] = True
        return met[self._which]
