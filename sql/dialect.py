"""SQLite as sqlglot reads it, with what its own dialect lacks.

sqlglot's parser and expressions may be compiled (sqlglotc), and then cannot be subclassed; a dialect's
settings and its tokenizer can. So what needs a grammar of its own (CREATE TABLE, splitting scripts) is read
from SQLite's tokens in sql.ddl and sql.statement, and sqlglot's tree serves to look *into* expressions and
queries. Text that sqlglot writes is never executed. Importing sqlglot takes 0.3 s: it is imported when first
needed, by `expression_tree`.
"""

from __future__ import annotations

from functools import cache, lru_cache
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from sqlglot import exp


@cache
def dialect() -> type[Any]:
    """The dialect to pass to sqlglot."""
    from sqlglot.dialects.sqlite import SQLite

    class ColonnadeSQLite(SQLite):
        NUMBERS_CAN_BE_UNDERSCORE_SEPARATED = True  # 1_000 is one number

    return ColonnadeSQLite


@lru_cache(maxsize=512)
def expression_tree(text: str) -> exp.Expr | None:
    """sqlglot's tree of an expression; None where sqlglot cannot read it.

    The tree has less in it than the text: sqlglot drops a unary plus, which takes a column's affinity away.
    Callers must know the shapes they accept. The tree is shared: do not change it.
    """
    import sqlglot
    from sqlglot.errors import SqlglotError

    try:
        return sqlglot.parse_one(text, dialect=dialect())
    except (SqlglotError, RecursionError):
        return None
