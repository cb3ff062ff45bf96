"""Hashed keys are found among others exactly where their bytes are."""

from __future__ import annotations

import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from colonnade.store import keyhash
from colonnade.store.keyhash import HashedKeys, hash_bytes
from colonnade.store.keyprobe import KeyBatch
from colonnade.store.values import IntArray, from_python

WORDS = st.lists(
    st.sampled_from([b"", b"a", b"b", b"a\0", b"x" * 90, b"x" * 91, *(bytes([n]) * 9 for n in range(40))])
)


@given(WORDS.filter(bool), WORDS)
@settings(deadline=None)
def test_keys_are_found_among_others(keys: list[bytes], others: list[bytes]) -> None:
    hashed = HashedKeys(pa.array(keys, pa.binary()))
    assert hashed.exact
    assert hashed.among(pa.array(others, pa.binary())).tolist() == [key in others for key in keys]


def test_keys_with_the_same_hash_are_told_apart(monkeypatch: pytest.MonkeyPatch) -> None:
    def poor(keys: pa.Array) -> IntArray:
        return hash_bytes(keys) % 5

    monkeypatch.setattr(keyhash, "hash_bytes", poor)
    assert not HashedKeys(pa.array([b"%d" % n for n in range(9)])).exact
    one = HashedKeys(pa.array([b"1", b"1"]))
    assert one.exact
    assert one.among(pa.array([b"%d" % n for n in range(50)])).tolist() == [True, True]
    assert one.among(pa.array([b"%d" % n for n in range(2, 50)])).tolist() == [False, False]
    many = KeyBatch([from_python([f"k{n}" for n in range(600)])], ("BINARY",))
    held = [from_python([f"k{n}" for n in range(0, 900, 2)])]
    assert many.among(held).tolist() == [n % 2 == 0 for n in range(600)]
