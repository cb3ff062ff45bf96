"""What was asked: queries by the constructs in them, how many failed as they had to, how many were vectorised."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field

_ALL = "all queries"


@dataclass(slots=True)
class Counts:
    """Over all queries of a run. A query counts for each construct in it."""

    asked: Counter[str] = field(default_factory=Counter)
    failed: Counter[str] = field(default_factory=Counter)
    vectorised: Counter[str] = field(default_factory=Counter)

    def note(self, kinds: Iterable[str], *, failed: bool, vectorised: bool) -> None:
        for kind in (*kinds, _ALL):
            self.asked[kind] += 1
            self.failed[kind] += failed
            self.vectorised[kind] += vectorised

    def add(self, other: Counts) -> None:
        for mine, theirs in zip(self._columns(), other._columns(), strict=True):
            mine.update(theirs)

    def _columns(self) -> tuple[Counter[str], ...]:
        return self.asked, self.failed, self.vectorised

    @property
    def total(self) -> int:
        return self.asked[_ALL]

    @property
    def valid(self) -> int:
        return self.total - self.failed[_ALL]

    @property
    def share_vectorised(self) -> float:
        return self.vectorised[_ALL] / max(1, self.total)

    def report(self) -> str:
        kinds = [*sorted(set(self.asked) - {_ALL}), _ALL]
        lines = [f"{'construct':<24}{'asked':>8}{'failed':>8}{'vectorised':>12}{'share':>8}"]
        for kind in kinds:
            asked = max(1, self.asked[kind])
            lines.append(
                f"{kind:<24}{self.asked[kind]:>8}{self.failed[kind]:>8}{self.vectorised[kind]:>12}"
                f"{self.vectorised[kind] / asked:>8.0%}"
            )
        return "\n".join(lines)
