"""Ask a query of plain SQLite, of Colonnade with vectorised queries and without them, and compare the answers."""

from __future__ import annotations

import math
import warnings
from contextlib import suppress
from dataclasses import dataclass
from random import Random
from types import TracebackType
from typing import Any, Self
from unittest import mock

import colonnade
from tests.differential.analytic.counts import Counts
from tests.differential.analytic.queries import Asker, Query
from tests.differential.analytic.world import World, world
from tests.differential.likeness import SUMMED, Row, as_bags, in_order, in_ranks, ranks, same_value
from tests.differential.model import Step
from tests.differential.sides import Ours, Outcome, Reference
from tests.differential.taken import stats

QUERIES = 50  # asked of each world
_SWITCHES = ("on", "off")


@dataclass(frozen=True, slots=True)
class Difference:
    """Where Colonnade parts from SQLite: with `vectorized` on or off, in what, and both versions."""

    vectorized: str
    what: str
    expected: Any
    got: Any


class Trial:
    """A world on both sides."""

    def __init__(self, made: World) -> None:
        settings: dict[str, object] = {"batch_size": made.batch_size}
        self.theirs = Reference(":memory:", {}, attached=False)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # batch sizes above the maximum
            self.ours = Ours(":memory:", settings, attached=False)
            for step in made.steps:
                self._make(step)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: type[BaseException] | BaseException | TracebackType | None) -> None:
        self.theirs.close()
        with suppress(colonnade.Error):
            self.ours.close()

    def _make(self, step: Step) -> None:
        if step.how == "freeze":
            self.ours.freeze(step.sql, "main")
            return
        expected, got = self.theirs.run(step), self.ours.run(step)
        assert "error" not in expected, (step, expected)
        assert "error" not in got, (step, got)

    def ask(self, query: Query, counts: Counts | None = None) -> Difference | None:
        """The first difference, or None."""
        expected = self.theirs.run(Step("ask", query.ask.sql, query.ask.parameters))
        ranked = None
        if "error" not in expected:
            ranked = self._ranked(query)
            if not _alike(query, expected["rows"], expected["rows"], ranked):
                if _zeros_of_both_signs([*expected["rows"], *(row for _, row in ranked or ())]):
                    return None  # one group, shown as it is in the row of some extreme
                return Difference("-", "SQLite's answer is not what was worked out", ranked, expected["rows"])
        taken, fallen = stats(self.ours.db)
        for switch in _SWITCHES:
            self.ours.db.execute(f"PRAGMA vectorized = {switch}")
            try:
                got = self.ours.run(Step("ask", query.ask.sql, query.ask.parameters))
            except Exception as error:
                return Difference(switch, "crash", expected.get("rows"), repr(error))
            if switch == "on" and counts is not None:
                now_taken, now_fallen = stats(self.ours.db)
                counts.note(
                    query.kinds,
                    failed="error" in expected,
                    vectorised=now_taken - taken,
                    reasons=now_fallen - fallen,
                )
            found = self._apart(query, expected, got, ranked)
            if found is not None:
                return Difference(switch, *found)
        return None

    def _ranked(self, query: Query) -> list[tuple[Any, Row]] | None:
        """All rows before LIMIT with their ranks; None where the order is decided or not, or they cannot be had."""
        if not query.whole.sql:
            return None
        try:
            rows = list(self.theirs.db.execute(query.whole.sql, query.whole.parameters, can_cache=False))
        except Reference.errors:  # at a row that LIMIT leaves out
            return None
        if query.order == "ranked":
            return [(row[-1], row[:-1]) for row in rows]
        return ranks(rows, lambda one, other: all(_tied(one[key], other[key]) for key in query.keys))

    def _apart(
        self, query: Query, expected: Outcome, got: Outcome, ranked: Any
    ) -> tuple[str, Any, Any] | None:
        if expected.get("error") != got.get("error"):
            return "error", expected.get("error", expected.get("rows")), got.get("error", got.get("rows"))
        if "error" in expected:
            return None
        if not _alike(query, expected["rows"], got["rows"], ranked):
            return "rows", expected["rows"], got["rows"]
        if expected["rows"] and expected["names"] != got["names"]:
            return "names", expected["names"], got["names"]
        return None


def _zeros_of_both_signs(rows: list[Row]) -> bool:
    signs = {math.copysign(1, cell) for row in rows for cell in row if isinstance(cell, float) and not cell}
    return len(signs) > 1


def _tied(one: Any, other: Any) -> bool:
    """Whether two neighbours may change places: their keys are equal, under NOCASE and RTRIM as well, or nearly."""
    if isinstance(one, str) and isinstance(other, str):
        return one.lower().rstrip(" ") == other.lower().rstrip(" ")
    return bool(one == other) or same_value(one, other, SUMMED)


def _alike(query: Query, theirs: list[Row], ours: list[Row], ranked: Any) -> bool:
    if ranked is not None:
        return len(theirs) == len(ours) and in_ranks(ranked, ours, query.leeways, query.offset)
    same = as_bags if query.order == "any" else in_order
    return same(theirs, ours, query.leeways)


def made(seed: int) -> tuple[World, list[Query]]:
    """The world of a seed and what is asked of it."""
    r = Random(seed)
    place = world(r)
    return place, [Asker(r, place).query() for _ in range(QUERIES)]


def tried(seed: int) -> tuple[Counts, list[tuple[World, Query, Difference]]]:
    """What became of the queries of a seed, and all differences. Every other seed has several threads."""
    counts, differences = Counts(), []
    place, queries = made(seed)
    processors = 4 if seed % 2 else 1
    with mock.patch("colonnade.store.cores.cores", return_value=processors), Trial(place) as trial:
        for query in queries:
            found = trial.ask(query, counts)
            if found is not None:
                differences.append((place, query, found))
    return counts, differences
