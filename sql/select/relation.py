"""Relations: rows made of rows of several sources, of which columns are gathered when they are asked for."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from colonnade.sql.select.terms import Column, Term
from colonnade.sql.select.vector import BoolArray, NotVectorizable, Vector, nulls

Places = npt.NDArray[np.int64]


@dataclass(eq=False, slots=True)
class Frame:
    """Rows of one source, read: its columns by position, as far as they were wanted.

    whole  how many rows the source has without any filter; at least `count`
    """

    count: int
    vectors: dict[int, Vector]
    whole: int

    def filter(self, mask: BoolArray) -> Frame:
        """The rows where the mask is true."""
        arrow = pa.array(mask)
        vectors = {position: vector.filter(arrow) for position, vector in self.vectors.items()}
        return Frame(int(mask.sum()), vectors, self.whole)


@dataclass(eq=False, slots=True)
class Part:
    """Which rows of a source's frame a relation has: places, -1 for none (outer joins); None: all as they are."""

    frame: Frame
    places: Places | None = None


@dataclass(eq=False, slots=True)
class Relation:
    """Rows over some sources. `known`: vectors of terms that were evaluated (see express.Rows)."""

    count: int
    parts: dict[int, Part]
    known: dict[Term, Vector] = field(default_factory=dict)

    @staticmethod
    def of(source: int, frame: Frame) -> Relation:
        return Relation(frame.count, {source: Part(frame)})

    def column(self, column: Column) -> Vector:
        """The values of a column in all rows."""
        found = self.known.get(column)
        if found is None:
            part = self.parts.get(column.source)
            if part is None or column.position not in part.frame.vectors:
                raise NotVectorizable("a column out of reach")
            vector = part.frame.vectors[column.position]
            found = vector if part.places is None else gathered(vector, part.places)
            self.known[column] = found
        return found

    def take(self, places: Places) -> Relation:
        """The rows at these places, all of them 0 or more. Of groups all that is known is kept; elsewhere columns are
        gathered anew, as most are not asked for again.
        """
        parts = {
            number: Part(part.frame, places if part.places is None else part.places[places])
            for number, part in self.parts.items()
        }
        kept = self.known if not self.parts else {}
        return Relation(len(places), parts, {term: gathered(vector, places) for term, vector in kept.items()})

    def filter(self, mask: BoolArray) -> Relation:
        """The rows where the mask is true."""
        return self if mask.all() else self.take(np.flatnonzero(mask))

    def joined(self, other: Relation, mine: Places, others: Places) -> Relation:
        """Pairs of rows; -1 stands for a row of NULLs."""
        parts = {number: _placed(part, mine) for number, part in self.parts.items()}
        parts |= {number: _placed(part, others) for number, part in other.parts.items()}
        return Relation(len(mine), parts)

    def widened(self, other: Relation, others: Places) -> Relation:
        """Each row with one of another relation, at the place given."""
        parts = self.parts | {number: _placed(part, others) for number, part in other.parts.items()}
        return Relation(self.count, parts, dict(self.known))


def _placed(part: Part, places: Places) -> Part:
    if part.places is not None and len(part.places):
        taken = part.places[places]
        places = np.where(places < 0, -1, taken) if len(places) and int(places.min()) < 0 else taken
    return Part(part.frame, places)


def gathered(vector: Vector, places: Places) -> Vector:
    """The values at places; NULL at -1."""
    if vector.constant:
        return vector
    if len(places) and int(places.min()) < 0:
        if not len(vector):
            return nulls(len(places))
        return vector.take(pa.array(places, mask=places < 0))
    return vector.take(pa.array(places))
