"""Reduce a query that shows a difference, and the rows that it needs, and write both as text."""

from __future__ import annotations

import re
import time
from dataclasses import replace

from tests.differential.analytic.queries import Ask, Query
from tests.differential.analytic.trial import Difference, Trial
from tests.differential.analytic.world import World
from tests.differential.likeness import EXACT, SUMMED
from tests.differential.model import Step
from tests.differential.shrink import WORDS, fewer
from tests.differential.values import literal

_PLACE = re.compile(r"\?(\d*)|[:@$](p\d+)")


def inlined(ask: Ask) -> Ask:
    """With literals for parameters. No text of these queries has a place for one in a literal."""
    if not ask.parameters:
        return ask
    places = iter(ask.parameters)

    def value(match: re.Match[str]) -> str:
        if match[2]:
            return literal(ask.parameters[match[2]])
        return literal(ask.parameters[int(match[1]) - 1] if match[1] else next(places))

    return Ask(_PLACE.sub(value, ask.sql))


class _Reducer:
    def __init__(self, world: World, query: Query, found: Difference, seconds: float) -> None:
        self.world, self.query, self.found = world, query, found
        self.until = time.monotonic() + seconds

    def shows(self, world: World, query: Query) -> bool:
        """Whether the difference, or one like it, is there; then this is the case from now on."""
        if time.monotonic() > self.until:
            return False
        try:
            with Trial(world) as trial:
                found = trial.ask(query)
        except Exception:  # the world, or all rows before LIMIT, cannot be had any more
            return False
        if found is None or (found.vectorized, found.what) != (self.found.vectorized, self.found.what):
            return False
        if found.what == "error" and _class(found) != _class(self.found):
            return False
        self.world, self.query, self.found = world, query, found
        return True

    def run(self) -> None:
        literals = replace(self.query, ask=inlined(self.query.ask), whole=inlined(self.query.whole))
        self.shows(self.world, literals)
        self.rows()
        leeway = SUMMED if any(leeway != EXACT for leeway in self.query.leeways) else EXACT
        if self.query.order not in ("exact", "any"):
            plain = Query(self.query.ask, self.query.kinds, (leeway,) * 20, "any")
            if not self.shows(self.world, plain):
                return
        fewer(lambda: WORDS.findall(self.query.ask.sql), self.words)
        self.rows()

    def words(self, words: list[str]) -> bool:
        return self.shows(self.world, replace(self.query, ask=Ask("".join(words))))

    def rows(self) -> None:
        """Fewer steps, then fewer rows in each."""
        fewer(lambda: list(self.world.steps), self.steps)
        for number, step in enumerate(self.world.steps):
            if step.how == "many":
                fewer(
                    lambda number=number: list(self.world.steps[number].parameters),  # type: ignore[misc]
                    lambda rows, number=number: self.step(number, rows),  # type: ignore[misc]
                )

    def steps(self, steps: list[Step]) -> bool:
        return self.shows(replace(self.world, steps=steps), self.query)

    def step(self, number: int, rows: list[tuple[object, ...]]) -> bool:
        steps = list(self.world.steps)
        steps[number] = replace(steps[number], parameters=rows)
        return self.steps(steps)


def _class(found: Difference) -> tuple[str, ...]:
    """The classes of the errors on both sides, and their messages up to what they name."""
    sides = (found.expected, found.got)
    return tuple(f"{side[0]} {side[1][:12]}" if isinstance(side, tuple) else "" for side in sides)


def reduced(
    world: World, query: Query, found: Difference, seconds: float = 30
) -> tuple[World, Query, Difference]:
    """The smallest case found in so many seconds that shows the same kind of difference."""
    reducer = _Reducer(world, query, found, seconds)
    reducer.run()
    return reducer.world, reducer.query, reducer.found


def show(world: World, query: Query, found: Difference) -> str:
    """The case as SQL, what SQLite answers and what Colonnade does."""
    lines = [f"PRAGMA batch_size = {world.batch_size};"]
    for step in world.steps:
        if step.how == "freeze":
            lines.append(f"-- {step.sql} is frozen")
        elif step.how == "many":
            head = step.sql[: step.sql.index("VALUES")]
            rows = ", ".join(f"({', '.join(map(literal, row))})" for row in step.parameters)
            lines.append(f"{head}VALUES {rows};")
        else:
            lines.append(f"{step.sql};")
    bound = f"  <- {query.ask.parameters!r}" if query.ask.parameters else ""
    lines += [
        f"{query.ask.sql};{bound}",
        f"-- vectorized {found.vectorized}, {found.what} differ (order: {query.order}):",
        f"--   SQLite     {found.expected!r}",
        f"--   Colonnade  {found.got!r}",
    ]
    return "\n".join(lines)
