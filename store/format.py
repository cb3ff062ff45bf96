"""The on-disk format, versions 2 and 3: shadow tables and column chunks. The only description of it.

Shadow tables. A table `t` in column format is the virtual table `t`, declared as
`CREATE VIRTUAL TABLE t USING colonnade`, and six ordinary tables beside it in the same schema:

    t_cln_rows        the row part: the user's own table, renamed, with all its constraints
    t_cln_meta        key, value: one row per fact about the table
        'version'       2, or 3 for a table with a column that some row group has no chunk of; what reads only
                        version 2 refuses such a table. Version 1 had no key runs, and is refused here
        'ddl'           the user's CREATE TABLE text
        'next_group'    the next row group id; ids are never used twice, not even after a delete
        'next_column'   the next column id
        'columns'       JSON list of [column id, column name], in the table's column order; for a column that
                        ALTER TABLE added when there were row groups, [column id, column name, g]: row groups
                        with an id below g have no chunk of it
        'default N'     the value that the column with id N has in all rows of the row groups without a chunk
                        of it, as SQLite gave it to the rows of the row part; missing: NULL
        'stamp'         a text that every change of the row groups replaces by one never used before
                        (store.state)
        'spelling'      JSON list of [object type, name, spellings]: how the user wrote the table's name in
                        the schema's texts that the rename to t_cln_rows changed (store.convert)
    t_cln_groups      one row per row group, see ROW_GROUPS_DDL
    t_cln_chunks      one row per column chunk: its zone map, then the chunk as a BLOB
    t_cln_tombstones  group_id, bitmap: ceil(row_count/8) bytes, bit k%8 of byte k//8 set = row k is gone
    t_cln_keys        group_id, signature, lo, hi, flags: the key zones (store.keyindex); run: key runs (store.keyrun)

and, where t has neither an INTEGER PRIMARY KEY nor a key with an index of its own, an index t_cln_pin on the row
part that never holds an entry: VACUUM numbers the rows of a table without any index anew, and the rowids of the
row part would then be those of other rows in row groups. A file of an earlier version gets it before VACUUM.

Column id 0 is the rowid of a table whose rowid has no column of its own; for a table with an INTEGER
PRIMARY KEY that column's chunk holds the rowids and id 0 has no chunk. User columns have ids from 1,
never reused. chunk_id = group_id * 4096 + column_id (SQLite allows 2,000 columns), so the chunks of
a row group lie side by side. Rows in a row group are in ascending rowid order.

Zone map (columns of t_cln_chunks, before the BLOB, so that reading them reads one page):
    null_count  NULLs in the chunk, tombstones included
    classes     bits of values.StorageClass present; plus 32 if min and max are bounds that need not occur
    min, max    smallest and largest value that is not NULL in SQLite's order (numbers, TEXT by memcmp,
                BLOB by memcmp); NULL where there is none. TEXT and BLOB bounds are cut to 64 bytes: min to
                a prefix, max to a prefix that sorts above; max NULL with min not NULL = no upper bound
    raw_bytes   bytes of the values before encoding: 8 a number, length for TEXT and BLOB

A column chunk is one BLOB. Integers are little-endian.
    offset  bytes  field
    0       4      magic b"CLN1"
    4       1      encoding id             -> the list below
    5       1      kind                    -> store.values.Kind
    6       1      codec of the blocks: 0 stored, 1 zstd, 2 snappy
    7       1      flags; bit 0: every block begins with a null bitmap
    8       4      rows n, 1 to 1_048_576
    12      4      rows per block r, a power of two from 8
    16      4      bytes of parameters p
    20      4      CRC-32 of bytes 0 to 20, the directory and the parameters
    24      12*b   directory, b = ceil(n/r) entries: end of the block's bytes counted from the first block
                   (4), bytes of the block once decompressed (4), CRC-32 of its bytes as stored (4)
    24+12*b p      parameters: what the encoding needs for all blocks (base, scale, dictionary)
    ...            the blocks, one after another, each decodable with only header, directory, parameters

A block is, once decompressed: the null bitmap if flagged, ceil(rows/8) bytes, bit k%8 of byte k//8 set =
value k is present; then what the encoding writes for the rows of the block. In a chunk with a codec, a block
whose bytes as stored are as many as once decompressed is stored as it is; any other is one zstd frame that
states its content's size, or one raw snappy stream. An unknown magic, encoding, kind, codec or flag, a CRC
that differs and a length that does not fit are Corrupt, never a guess.

    encoding id            for kinds                                  parameters and blocks described in
    1       nulls          all but MIXED; every value is NULL         store.encodings.nulls
    2       sequence       INTEGER REAL NUMERIC DATE DATETIME         store.encodings.integers
    3       narrow         INTEGER REAL NUMERIC DATE DATETIME         store.encodings.integers
    4       delta          INTEGER REAL NUMERIC DATE DATETIME         store.encodings.integers
    5       plain          TEXT BLOB                                  store.encodings.text
    6       dictionary     TEXT                                       store.encodings.dictionary
    7       mixed          MIXED; has its own NULLs, never flag 0     store.encodings.mixed
What the integers of 2 to 4 stand for is in store.encodings.lane, how integers lie in few bits in
store.encodings.frame.
"""

from __future__ import annotations

import struct

FIRST_VERSION, ADDED_COLUMNS_VERSION = 2, 3
VERSIONS = (FIRST_VERSION, ADDED_COLUMNS_VERSION)
CHUNK_MAGIC = b"CLN1"
CHUNK_HEADER = struct.Struct("<4sBBBBIIII")
BLOCK_ENTRY = struct.Struct("<III")
CODEC_STORED, CODEC_ZSTD, CODEC_SNAPPY = 0, 1, 2
FLAG_NULLS = 1
CLASSES_INEXACT = 32
ZONE_BOUND_BYTES = 64

MAX_GROUP_ROWS = 1_048_576
COLUMN_ID_SPAN = 4096
ROWID_COLUMN = 0

MODULE_NAME = "colonnade"
ROWS, META, GROUPS, CHUNKS, TOMBSTONES, KEYS = (
    "_cln_rows",
    "_cln_meta",
    "_cln_groups",
    "_cln_chunks",
    "_cln_tombstones",
    "_cln_keys",
)
PIN = "_cln_pin"
DEFAULT = "default "  # and a column id: a key of t_cln_meta
SHADOW_SUFFIXES = (ROWS, META, GROUPS, CHUNKS, TOMBSTONES, KEYS)

META_DDL = "(key TEXT PRIMARY KEY, value) WITHOUT ROWID"

# first_rowid, last_rowid: smallest and largest rowid written, tombstones included.
# checked: 0 while the bulk load that wrote the group still owes its uniqueness and foreign key checks;
# no other connection ever sees a 0, for COMMIT validates first.
ROW_GROUPS_DDL = """(
    group_id INTEGER PRIMARY KEY,
    row_count INTEGER NOT NULL,
    dead_count INTEGER NOT NULL DEFAULT 0,
    first_rowid INTEGER NOT NULL,
    last_rowid INTEGER NOT NULL,
    checked INTEGER NOT NULL,
    bytes INTEGER NOT NULL
)"""

CHUNKS_DDL = """(
    chunk_id INTEGER PRIMARY KEY,
    null_count INTEGER NOT NULL,
    classes INTEGER NOT NULL,
    min,
    max,
    raw_bytes INTEGER NOT NULL,
    data BLOB NOT NULL
)"""

TOMBSTONES_DDL = "(group_id INTEGER PRIMARY KEY, bitmap BLOB NOT NULL)"

# lo, hi: canonical key bytes (store.keycode) of the smallest and largest key of the group without NULL.
# run: the keys in order (store.keyrun); NULL where they are not integers, are few, or have no gap.
KEYS_DDL = """(
    signature TEXT NOT NULL,
    group_id INTEGER NOT NULL,
    lo BLOB,
    hi BLOB,
    flags INTEGER NOT NULL,
    run BLOB,
    PRIMARY KEY (signature, group_id)
) WITHOUT ROWID"""

SHADOW_DDL = {
    META: META_DDL,
    GROUPS: ROW_GROUPS_DDL,
    CHUNKS: CHUNKS_DDL,
    TOMBSTONES: TOMBSTONES_DDL,
    KEYS: KEYS_DDL,
}


def chunk_id(group_id: int, column_id: int) -> int:
    """The key of a column chunk in t_cln_chunks."""
    return group_id * COLUMN_ID_SPAN + column_id
