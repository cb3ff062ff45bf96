"""Key zones and key runs as rows of t_cln_keys."""

from __future__ import annotations

from collections.abc import Mapping

import apsw

from colonnade.store.catalog import ShadowNames, fetch_one
from colonnade.store.errors import Corrupt
from colonnade.store.keyindex import KeyZone

_UNIQUE = 1


def read_key_zones(db: apsw.Connection, table: ShadowNames, signature: str) -> dict[int, KeyZone]:
    """The key zones of one key by row group id."""
    zones = {}
    rows = db.execute(f"SELECT group_id, lo, hi, flags FROM {table.keys} WHERE signature=?", (signature,))
    for group_id, lo, hi, flags in rows:
        if not (
            isinstance(group_id, int)
            and isinstance(flags, int)
            and isinstance(lo, bytes | None)
            and isinstance(hi, bytes | None)
        ):
            raise Corrupt(f"table {table.name}: a key zone of row group {group_id} is damaged")
        zones[group_id] = KeyZone(lo, hi, bool(flags & _UNIQUE))
    return zones


def write_key_zones(
    db: apsw.Connection, table: ShadowNames, signature: str, zones: Mapping[int, KeyZone]
) -> None:
    """Puts key zones, over older ones of the same row groups."""
    db.executemany(
        f"REPLACE INTO {table.keys}(signature, group_id, lo, hi, flags, run) VALUES(?, ?, ?, ?, ?, ?)",
        [
            (signature, group_id, z.lo, z.hi, _UNIQUE if z.unique else 0, z.run)
            for group_id, z in zones.items()
        ],
    )


def read_groups_with_run(db: apsw.Connection, table: ShadowNames, signature: str) -> set[int]:
    """The ids of the row groups that have a key run of a key."""
    rows = db.execute(
        f"SELECT group_id FROM {table.keys} WHERE signature=? AND run IS NOT NULL", (signature,)
    )
    return {group_id for (group_id,) in rows if isinstance(group_id, int)}


def read_key_run(db: apsw.Connection, table: ShadowNames, signature: str, group_id: int) -> bytes | None:
    """The key run of one key in one row group (store.keyrun); None where there is none."""
    sql = f"SELECT run FROM {table.keys} WHERE signature=? AND group_id=?"
    run = fetch_one(db, sql, (signature, group_id))
    if not isinstance(run, bytes | None):
        raise Corrupt(f"table {table.name}: a key run of row group {group_id} is damaged")
    return run
