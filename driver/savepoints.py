"""Savepoints of a connection: which RELEASE is a COMMIT."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from colonnade.sql.tokens import tokens

_BEFORE_A_NAME = frozenset({"SAVEPOINT", "TO", "RELEASE"})  # the name is the last word


class Savepoints:
    """The savepoints that are open, outermost first, and whether the first of them began the transaction."""

    def __init__(self) -> None:
        self._names: list[str] = []
        self._first_began = False
        self._mark = 0

    @contextmanager
    def marked(self) -> Iterator[None]:
        """Within, `before_mark` tells savepoints that were open before from those that opened since."""
        outer, self._mark = self._mark, len(self._names)
        try:
            yield
        finally:
            self._mark = outer

    def before_mark(self, name: str) -> bool:
        """Whether the savepoint is older than the `marked` block that is running."""
        position = self._position(name)
        return position is not None and position < self._mark

    def clear(self) -> None:
        """The transaction is over."""
        self._names.clear()

    def opened(self, name: str, *, began: bool) -> None:
        """SAVEPOINT was run; `began`: outside a transaction."""
        if began:
            self._names.clear()
        if not self._names:
            self._first_began = began
        self._names.append(name.lower())

    def commits(self, name: str) -> bool:
        """Whether RELEASE of `name` ends the transaction."""
        return self._first_began and self._position(name) == 0

    def released(self, name: str) -> None:
        """RELEASE was run: the savepoint is gone, with those inside it."""
        position = self._position(name)
        if position is not None:
            del self._names[position:]

    def rolled_back(self, name: str) -> None:
        """ROLLBACK TO was run: the savepoint stays, those inside it are gone."""
        position = self._position(name)
        if position is not None:
            del self._names[position + 1 :]

    def _position(self, name: str) -> int | None:
        """The newest savepoint of this name."""
        for position in reversed(range(len(self._names))):
            if self._names[position] == name.lower():
                return position
        return None


def savepoint_name(text: str) -> str | None:
    """The name in SAVEPOINT, RELEASE or ROLLBACK TO; None for a ROLLBACK of everything."""
    last = None
    goes_on = False
    for token in tokens(text):
        if token.is_name:
            goes_on = goes_on or token.key in _BEFORE_A_NAME
            last = token.name
    return last if goes_on else None
