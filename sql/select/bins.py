"""Rows by the number of their group, counted and added up."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from colonnade.store.encodings.base import empty
from colonnade.store.values import IntArray

_FEW_GROUPS = 8  # up to so many a product with rows of 0 and 1 is quicker than bincount
_MANY_ROWS = 1024


class Bins:
    """The group of each row, 0 to count - 1."""

    __slots__ = ("_members", "_sizes", "count", "numbers")

    def __init__(self, numbers: IntArray, count: int) -> None:
        self.numbers, self.count = numbers, count
        self._sizes: IntArray | None = None
        self._members: npt.NDArray[np.float64] | None = None

    @property
    def sizes(self) -> IntArray:
        """The rows of each group, (count,) int64."""
        if self._sizes is None:
            if self.count == 1:
                self._sizes = np.array([len(self.numbers)])
            else:
                self._sizes = np.bincount(self.numbers, minlength=self.count)
        return self._sizes

    def sums(self, weights: npt.NDArray[Any]) -> npt.NDArray[np.float64]:
        """The sum of doubles, or of what becomes them, by group; in any order. Where a weight is no finite number some
        sum is none.

        bincount waits for each addition before the next one to the same group. Measured, 57,000 rows in 4 groups:
        123 us; by a product 23 us, and 59 us once to say who belongs where.
        """
        if self.count == 1:
            return np.array([weights.sum(dtype=np.float64)])
        if self.count > _FEW_GROUPS or len(weights) < _MANY_ROWS or not self.count:
            return np.bincount(self.numbers, weights=weights, minlength=self.count).astype(
                np.float64, copy=False
            )
        if self._members is None:
            self._members = empty(self.count * len(weights), np.float64).reshape(self.count, -1)
            for number in range(self.count):
                self._members[number] = self.numbers == number
        sums: npt.NDArray[np.float64] = self._members @ weights.astype(np.float64, copy=False)
        return sums
