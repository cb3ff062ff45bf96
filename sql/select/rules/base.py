"""What every rule works with."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from colonnade.sql.select.vector import Vector

if TYPE_CHECKING:
    from colonnade.sql.select.rules.asked import Ask
    from colonnade.sql.select.rules.listed import Listed
    from colonnade.sql.select.terms import Op


@dataclass(frozen=True, slots=True)
class Operands:
    """One operator with its operands.

    vectors  one each; never all of them constants
    count    rows
    ask      for what a rule leaves to SQLite
    listed   the operands of an IN behind the first, where all are constants: then they are not among the vectors
    """

    term: Op
    vectors: list[Vector]
    count: int
    ask: Ask
    listed: Listed | None = None
