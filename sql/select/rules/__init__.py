"""The rule table: for each operator and function, how it is computed so that the result is SQLite's.

A rule raises NotVectorizable for operands on which it is not exact. What has no rule here is asked of SQLite itself,
once for each different combination of operands (`asked`), if it is deterministic.
"""

from __future__ import annotations

from collections.abc import Callable

from colonnade.sql.select.rules import arithmetic, compare, conditional, logic, texts
from colonnade.sql.select.rules.base import Operands
from colonnade.sql.select.vector import Vector

RULES: dict[str, Callable[[Operands], Vector]] = {
    **arithmetic.RULES,
    **compare.RULES,
    **conditional.RULES,
    **logic.RULES,
    **texts.RULES,
}
