"""The encodings: how the values of a column chunk become the bytes of its blocks.

On writing, `chunk` asks `choose.choose` for the best encoding of a column, cuts what comes back into
blocks and lets `codec` compress them. On reading, `decoder_for` finds the encoding by its id. The ids
are listed in `format`; each encoding documents its bytes in its module: `nulls`, `integers` (sequence,
narrow, delta; what the integers stand for is in `lane`), `text`, `dictionary` and `mixed`. `frame` packs
integers in few bits for all of them.
"""

from __future__ import annotations

from colonnade.store.encodings.base import Decoder, Encoding, require
from colonnade.store.encodings.dictionary import DICTIONARY
from colonnade.store.encodings.integers import DELTA, NARROW, SEQUENCE
from colonnade.store.encodings.mixed import MIXED
from colonnade.store.encodings.nulls import NULLS
from colonnade.store.encodings.text import PLAIN
from colonnade.store.values import Kind

ENCODINGS: tuple[Encoding, ...] = (NULLS, SEQUENCE, NARROW, DELTA, PLAIN, DICTIONARY, MIXED)
_BY_ID = {encoding.id: encoding for encoding in ENCODINGS}


def decoder_for(encoding_id: int, kind: Kind, params: memoryview) -> Decoder:
    """The decoder of a chunk with these header fields and parameters. Raises Corrupt."""
    encoding = _BY_ID.get(encoding_id)
    require(encoding is not None and kind in encoding.kinds, f"encoding {encoding_id} for kind {kind.name}")
    assert encoding is not None
    return encoding.decoder(kind, params)
