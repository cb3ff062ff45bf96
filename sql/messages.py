"""The user's names in SQLite's messages and in what EXPLAIN says."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

from colonnade.store.format import ROWS

_CALLED = "arguments on colonnade_"  # the functions of `sql.shown` that stand for SQLite's


def user_message(message: str) -> str:
    """A message of SQLite's with the user's names: `t_cln_rows.a` is `t.a` to them."""
    if _CALLED in message:
        return message.replace(_CALLED, "arguments on pragma_")
    return message.replace(ROWS, "") if ROWS in message else message


def user_rows(rows: Iterable[tuple[Any, ...]]) -> Iterator[tuple[Any, ...]]:
    """The rows of an EXPLAIN with the user's names."""
    for row in rows:
        yield tuple(user_message(cell) if isinstance(cell, str) else cell for cell in row)
