"""LEFT, RIGHT and FULL JOIN: pairs of rows, and the rows of a side that has to be there without a partner."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

from colonnade.sql.select.express import Values, passing
from colonnade.sql.select.relation import Relation
from colonnade.sql.select.terms import Term
from colonnade.store.values import IntArray

Pairs = tuple[IntArray, IntArray]


def outer_join(
    relation: Relation,
    other: Relation,
    kind: str,
    pairs: Callable[[], Pairs],
    rest: Sequence[Term],
    values: Values,
) -> Relation:
    """The rows of a join: by row of the left side, then what is left of the right one.

    pairs  (left rows, right rows) with equal keys, by left row
    rest   the other conditions of ON
    """
    mine, theirs = pairs()
    for term in rest:
        mask = passing(term, relation.joined(other, mine, theirs), values)
        if mask is not None:
            mine, theirs = mine[mask], theirs[mask]
    matched = theirs
    if kind in ("left", "full"):
        alone = np.ones(relation.count, bool)
        alone[mine] = False
        if alone.any():
            rows = np.flatnonzero(alone)
            places = np.searchsorted(mine, rows)
            mine, theirs = np.insert(mine, places, rows), np.insert(theirs, places, -1)
    if kind in ("right", "full"):
        left_over = np.ones(other.count, bool)
        left_over[matched] = False
        rows = np.flatnonzero(left_over)
        mine = np.concatenate([mine, np.full(len(rows), -1)])
        theirs = np.concatenate([theirs, rows])
    return relation.joined(other, mine, theirs)
