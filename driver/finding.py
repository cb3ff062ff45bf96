"""Rows that a statement changes, found by vectorised queries of the session: what sql.route asks of the driver."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from colonnade.plan import Plan

if TYPE_CHECKING:
    from colonnade.session import Session
    from colonnade.sql.select import Answer

_KEPT = 512


class Finding:
    """A sql.finding.Finder."""

    def __init__(self, session: Session) -> None:
        self._session = session
        self._plans: dict[str, Plan] = {}

    def likely(self, text: str, params: Any) -> bool:
        return self._session.columns.queries.may_find(self._plan(text), params)

    def find(self, text: str, params: Any, use: Callable[[Answer], None]) -> bool:
        def write(answer: Answer) -> bool:
            use(answer)
            return True

        return self._session.columns.queries.write(self._plan(text), params, write, settled=False)

    def _plan(self, text: str) -> Plan:
        plan = self._plans.get(text)
        if plan is None:
            if len(self._plans) >= _KEPT:
                self._plans.clear()
            plan = self._plans[text] = Plan(text)
        return plan
