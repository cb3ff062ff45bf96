"""What was asked: queries by the constructs in them, how many failed as they had to, how many were vectorised."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field

_ALL = "all queries"


@dataclass(slots=True)
class Counts:
    """Over all queries of a run. A query counts for each construct in it.

    vectorised, fallen  those over tables in column format, look-ups by key apart, by who answered them
    reasons             why the latter fell back
    """

    asked: Counter[str] = field(default_factory=Counter)
    failed: Counter[str] = field(default_factory=Counter)
    vectorised: Counter[str] = field(default_factory=Counter)
    fallen: Counter[str] = field(default_factory=Counter)
    reasons: Counter[str] = field(default_factory=Counter)

    def note(self, kinds: Iterable[str], *, failed: bool, vectorised: int, reasons: Counter[str]) -> None:
        """`vectorised` and `reasons`: what one query added to them."""
        self.reasons.update(reasons)
        for kind in (*kinds, _ALL):
            self.asked[kind] += 1
            self.failed[kind] += failed
            self.vectorised[kind] += vectorised
            self.fallen[kind] += reasons.total()

    def add(self, other: Counts) -> None:
        for mine, theirs in zip(self._columns(), other._columns(), strict=True):
            mine.update(theirs)

    def _columns(self) -> tuple[Counter[str], ...]:
        return self.asked, self.failed, self.vectorised, self.fallen, self.reasons

    @property
    def total(self) -> int:
        return self.asked[_ALL]

    @property
    def valid(self) -> int:
        return self.total - self.failed[_ALL]

    def share(self, kind: str = _ALL) -> float:
        """Of the queries that could be vectorised."""
        return self.vectorised[kind] / max(1, self.vectorised[kind] + self.fallen[kind])

    def report(self) -> str:
        kinds = [*sorted(set(self.asked) - {_ALL}), _ALL]
        lines = [f"{'construct':<24}{'asked':>8}{'failed':>8}{'vectorised':>12}{'fell back':>11}{'share':>8}"]
        lines += [
            f"{kind:<24}{self.asked[kind]:>8}{self.failed[kind]:>8}{self.vectorised[kind]:>12}"
            f"{self.fallen[kind]:>11}{self.share(kind):>8.0%}"
            for kind in kinds
        ]
        lines += [f"{count:>8} fell back: {reason}" for reason, count in self.reasons.most_common(25)]
        return "\n".join(lines)
