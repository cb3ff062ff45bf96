"""Which queries of a connection were vectorised."""

from __future__ import annotations

from collections import Counter

import colonnade


def stats(database: colonnade.Connection) -> tuple[int, Counter[str]]:
    """How many queries of a connection were vectorised, and why how many others were not."""
    taken, fallen = 0, Counter[str]()
    for outcome, reason, count in database.execute("PRAGMA vectorized_stats"):
        if outcome == "taken":
            taken += count
        else:
            fallen[reason] += count
    return taken, fallen
