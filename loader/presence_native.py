"""Foreign keys to a parent whose collation only SQLite knows: looked up there, key by key.

Such a parent is always in row format, with an index on the key (sqlite.org/foreignkeys.html section 3).
"""

from __future__ import annotations

from collections.abc import Sequence

import apsw
import numpy as np

from colonnade.loader.checking import Check
from colonnade.loader.keysource import KeyRows, KeySource, Segment
from colonnade.loader.stats import INDEX
from colonnade.sql.objects import TableDef
from colonnade.store.catalog import quote
from colonnade.store.values import to_python


def check_natively(
    check: Check, child: KeySource, db: apsw.Connection, parent: TableDef, parent_columns: Sequence[str]
) -> None:
    """Find every child row whose key has no NULL and no equal in the parent, by one look-up per row."""
    counters = check.counters
    counters.took(INDEX)
    where = " AND ".join(f"{quote(column)} = ?" for column in parent_columns)
    sql = f"SELECT 1 FROM {quote(parent.schema)}.{quote(parent.name)} WHERE {where}"
    owing = [segment for segment in child.segments() if check.owes(segment)]
    counters.groups_scanned += len(owing)

    def given(segment: Segment, rows: KeyRows) -> tuple[Segment, KeyRows]:
        return segment, rows

    for segment, rows in check.workers.scan(child, owing, given):
        bad = []
        keys = zip(*(to_python(column) for column in rows.columns), strict=True)
        for place, key in enumerate(keys):
            if None in key:
                continue
            counters.index_probes += 1
            if db.execute(sql, key).get is None:
                bad.append(place)
            else:
                counters.hits += 1
        counters.rows_checked += len(rows)
        check.report(child, segment, rows.take(np.array(bad, np.int64)))
