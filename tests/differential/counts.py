"""What was run: statements by kind, by how they ended and by the format of their tables."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field

from tests.differential.model import Step


@dataclass(slots=True)
class Counts:
    """Over all sequences of a run."""

    statements: Counter[tuple[str, str, str]] = field(default_factory=Counter)
    sequences: int = 0

    def note(self, step: Step, *, failed: bool, in_columns: bool) -> None:
        self.statements[
            step.kind, "failed" if failed else "went well", "column" if in_columns else "row"
        ] += 1

    def add(self, other: Counts) -> None:
        self.statements.update(other.statements)
        self.sequences += other.sequences

    def total(self, kind: str = "", ending: str = "", stored: str = "") -> int:
        """How many statements fit; an empty word fits all."""
        wanted = (kind, ending, stored)
        return sum(
            count
            for key, count in self.statements.items()
            if all(not word or word == part for word, part in zip(wanted, key, strict=True))
        )

    def report(self) -> str:
        kinds = sorted({key[0] for key in self.statements})
        lines = [f"{'kind':<16}{'went well':>10}{'failed':>8}{'on column format':>18}"]
        lines += [
            f"{kind or 'all':<16}{self.total(kind, 'went well'):>10}{self.total(kind, 'failed'):>8}"
            f"{self.total(kind, stored='column'):>18}"
            for kind in [*kinds, ""]
        ]
        return "\n".join(lines)
