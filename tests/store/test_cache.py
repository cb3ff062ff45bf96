"""The cache of point look-ups keeps what is in use, within its limit."""

from __future__ import annotations

import random
from typing import cast

from colonnade.store.cache import BlockCache, CachedChunk
from colonnade.store.chunk import ChunkReader, encode_chunk
from colonnade.store.values import from_python

TEXTS = [f"ein längerer Text mit der Nummer {i}" for i in range(512)]


def text_chunk(block_rows: int = 64) -> ChunkReader:
    return ChunkReader(encode_chunk(from_python(TEXTS), block_rows).data)


def put(cache: BlockCache, group_id: int, size: int = 100) -> CachedChunk:
    return cache.put_chunk("main.t", group_id, 1, text_chunk(), size)


def held_block(cache: BlockCache) -> int:
    """Bytes that one block of single values counts for."""
    chunk, before = put(cache, 1), cache.bytes
    assert chunk.value(0) == TEXTS[0]
    return cache.bytes - before


def test_what_single_values_are_read_from_counts_with_its_bytes() -> None:
    size = held_block(BlockCache(10**6))
    assert size >= sum(len(text.encode()) for text in TEXTS[:64])


def test_numbers_that_lie_uncompressed_in_their_chunk_count_for_nothing_more() -> None:
    cache = BlockCache(10**6)
    numbers = random.Random(1).choices(range(65_536), k=512)
    chunk = cache.put_chunk("main.t", 1, 1, ChunkReader(encode_chunk(from_python(numbers)).data), 1000)
    assert [chunk.value(row) for row in (0, 511)] == [numbers[0], numbers[511]]
    assert cache.bytes == 1000


def test_blocks_go_when_there_is_no_room_and_are_decoded_again() -> None:
    block = held_block(BlockCache(10**6))
    cache = BlockCache(100 + 3 * block + block // 2)
    chunk = put(cache, 1)
    for row in (0, 64, 128, 192, 256, 0):
        assert chunk.value(row) == TEXTS[row]
        assert cache.bytes <= cache.limit
    assert cache.chunk("main.t", 1, 1) is chunk


def test_a_block_that_is_in_use_stays_and_others_go() -> None:
    block = held_block(BlockCache(10**6))
    cache = BlockCache(100 + 3 * block + block // 2)
    chunk, opened = put(cache, 1), []
    read = chunk.reader.one

    class Noted:
        def one(self, number: int) -> object:
            opened.append(number)
            return read(number)

    chunk.reader = cast("ChunkReader", Noted())
    for number in (1, 2, 3, 4, 5, 6, 7):
        assert chunk.value(0) == TEXTS[0]
        assert chunk.value(64 * number) == TEXTS[64 * number]
    assert opened == list(range(8))


def test_a_chunk_that_is_read_stays_though_it_was_put_first() -> None:
    cache = BlockCache(450)
    chunks = {group_id: put(cache, group_id) for group_id in (1, 2, 3)}
    numbers = ChunkReader(encode_chunk(from_python(list(range(512)))).data)
    hot = cache.put_chunk("main.t", 9, 1, numbers, 50)
    cache.chunk("main.t", 1, 1)
    hot.value(3)
    before = cache.dropped
    for group_id in (4, 5):
        hot.value(3)
        put(cache, group_id)
    assert cache.chunk("main.t", 9, 1) is hot
    assert cache.chunk("main.t", 2, 1) is None
    assert cache.dropped > before
    assert chunks[1].value(5) == TEXTS[5]


def test_a_cache_that_shrinks_may_grow_again() -> None:
    cache = BlockCache(1000)
    for group_id in range(1, 9):
        put(cache, group_id)
    cache.shrink(250)
    assert cache.bytes == 200
    for group_id in range(11, 16):
        put(cache, group_id)
    assert cache.bytes == 700
    cache.limit = 300
    assert cache.bytes == 300


def test_what_was_forgotten_is_not_read_from() -> None:
    cache = BlockCache(10**6)
    put(cache, 1).value(0)
    put(cache, 2).value(0)
    cache.forget("main.t", 1)
    assert cache.chunk("main.t", 1, 1) is None
    assert cache.chunk("main.t", 2, 1) is not None
    cache.clear()
    assert cache.bytes == 0
