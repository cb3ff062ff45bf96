"""How rows that a statement changes are found: by a vectorised query, where one is certain to find them."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    from colonnade.sql.select import Answer

Params = Sequence[Any] | Mapping[str, Any]


class Finder(Protocol):
    """Vectorised queries for statements that write."""

    def likely(self, text: str, params: Params) -> bool:
        """Whether `find` may do it, as far as can be told without running the query; look-ups are SQLite's."""
        ...

    def find(self, text: str, params: Params, use: Callable[[Answer], None]) -> bool:
        """Has `use` do what the rows of a query are for; false: SQLite has to find them.

        use  may be stopped by NotVectorizable at each batch, and undoes what it did then. Rows of a lone table come
             in the order of rowids, all others in any
        """
        ...
