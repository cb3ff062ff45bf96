"""Reduce a sequence that shows a difference: fewer steps, literals for parameters, fewer words in each text."""

from __future__ import annotations

import re
import time
from collections.abc import Callable
from dataclasses import replace

from tests.differential.compare import Difference, compare
from tests.differential.model import Step
from tests.differential.sequences import Sequence
from tests.differential.values import literal

WORDS = re.compile(r"""'(?:[^']|'')*'|"(?:[^"]|"")*"|[\w.]+|\s+|[^\w\s]""")
_PLACE = re.compile(r"\?(\d*)")


class _Shrinker:
    def __init__(self, sequence: Sequence, found: Difference, seconds: float) -> None:
        self.best, self.found = sequence, found
        self.until = time.monotonic() + seconds

    def try_(self, candidate: Sequence) -> bool:
        if time.monotonic() > self.until:
            return False
        found = compare(candidate)
        if found is None or found.kind != self.found.kind:
            return False
        self.best, self.found = candidate, found
        return True

    def run(self) -> None:
        if self.found.step >= 0:
            self.try_(replace(self.best, steps=self.best.steps[: self.found.step + 1]))
        for change in ({"on_file": False}, {"attached": False}, {"batch_size": 0}, {"foreign_keys": False}):
            self.try_(replace(self.best, **change))  # type: ignore[arg-type]
        self.steps()
        for number in range(len(self.best.steps)):
            self.literals(number)
        before = -1
        while before != self.size():
            before = self.size()
            self.steps()
            for number in reversed(range(len(self.best.steps))):
                self.text(number)

    def size(self) -> int:
        return sum(len(step.sql) for step in self.best.steps) + len(self.best.steps)

    def steps(self) -> None:
        fewer(
            lambda: list(self.best.steps),
            lambda steps: self.try_(replace(self.best, steps=tuple(steps))),
        )

    def _with(self, number: int, *steps: Step) -> Sequence:
        old = self.best.steps
        return replace(self.best, steps=(*old[:number], *steps, *old[number + 1 :]))

    def literals(self, number: int) -> None:
        """One plain text for each set of parameters."""
        if number >= len(self.best.steps):
            return
        step = self.best.steps[number]
        if step.how == "many":
            texts = [_inlined(step.sql, row) for row in step.parameters]
            single = [replace(step, sql=text, parameters=(), how="execute") for text in texts]
            if not self.try_(self._with(number, *single)):
                fewer(
                    lambda: list(self.best.steps[number].parameters),
                    lambda rows: self.try_(self._with(number, replace(step, parameters=rows))),
                )
        elif step.how in ("execute", "open") and step.parameters:
            text = _inlined(step.sql, step.parameters)
            self.try_(self._with(number, replace(step, sql=text, parameters=())))
        elif step.how == "bulk":
            fewer(
                lambda: list(self.best.steps[number].parameters),
                lambda inserts: self.try_(self._with(number, replace(step, parameters=tuple(inserts)))),
            )

    def text(self, number: int) -> None:
        if number >= len(self.best.steps) or self.best.steps[number].how in ("fetch", "freeze", "bulk"):
            return
        if "RECURSIVE" in self.best.steps[number].sql:
            return  # without its end it would make rows for ever
        fewer(
            lambda: WORDS.findall(self.best.steps[number].sql),
            lambda words: self.try_(self._with(number, replace(self.best.steps[number], sql="".join(words)))),
        )


def fewer(read: Callable[[], list], accept: Callable[[list], bool]) -> None:  # type: ignore[type-arg]
    """Leave out runs of items, long runs first, as long as what is left is accepted."""
    length = len(read()) // 2 or 1
    while length:
        start = 0
        while start < len(read()):
            items = read()
            if not accept(items[:start] + items[start + length :]):
                start += length
        length //= 2


def _inlined(sql: str, parameters: tuple[object, ...]) -> str:
    places = iter(parameters)

    def value(match: re.Match[str]) -> str:
        return literal(parameters[int(match[1]) - 1] if match[1] else next(places))

    return _PLACE.sub(value, sql)


def shrink(sequence: Sequence, found: Difference, seconds: float = 60) -> tuple[Sequence, Difference]:
    """The smallest sequence found in so many seconds that shows the same kind of difference."""
    shrinker = _Shrinker(sequence, found, seconds)
    shrinker.run()
    return shrinker.best, shrinker.found


def show(sequence: Sequence, found: Difference) -> str:
    """The sequence and its difference as text."""
    lines = [
        f"seed {sequence.seed}: storage_format={sequence.storage_format}, batch_size={sequence.batch_size}, "
        f"foreign_keys={sequence.foreign_keys}, on_file={sequence.on_file}, attached={sequence.attached}"
    ]
    for number, step in enumerate(sequence.steps):
        mark = ">" if number == found.step else " "
        how = "" if step.how == "execute" else f"[{step.how}] "
        lines.append(f"{mark} {how}{step.sql}" + (f"  <- {step.parameters!r}" if step.parameters else ""))
    place = "at the end" if found.step < 0 else "at the marked statement"
    lines += [f"{place}, {found.what}:", f"  SQLite     {found.expected!r}", f"  Colonnade  {found.got!r}"]
    return "\n".join(lines)
