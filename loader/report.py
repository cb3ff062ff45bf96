"""What a load did: rows, seconds by phase, constraints, violations, pager; as text lines and as JSON."""

from __future__ import annotations

import json
import math
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field, fields, replace
from threading import Lock
from typing import Any, TextIO

from colonnade.loader.advice import Advice
from colonnade.loader.timeline import Sample
from colonnade.loader.violations import Violation
from colonnade.store.values import SQLiteValue

_PHASES = Lock()  # of whichever report


@dataclass(slots=True)
class TableReport:
    """One table of a load.

    seconds       from opening its first source to the end of its validation; the next table's pieces are parsed
                  meanwhile, so that the sum over tables is more than the load's
    phases        seconds by phase: parse and encode those of all threads together, the others of the connection's
    stored_bytes  of its column chunks, all of them, not of those of this load alone; of these
    dead_bytes    belong to rows that are gone
    """

    table: str
    sources: list[str]
    format: str = "row"
    rows: int = 0
    rejected: int = 0
    input_bytes: int = 0
    row_groups: int = 0
    stored_bytes: int = 0
    dead_bytes: int = 0
    started: float = field(default_factory=time.perf_counter)
    seconds: float = 0.0
    phases: dict[str, float] = field(default_factory=dict)
    text_values: dict[str, int] = field(default_factory=dict)

    @contextmanager
    def phase(self, name: str) -> Iterator[None]:
        """Count the seconds of the block under `name`. In any thread."""
        started = time.perf_counter()
        try:
            yield
        finally:
            seconds = time.perf_counter() - started
            with _PHASES:
                self.phases[name] = self.phases.get(name, 0.0) + seconds


@dataclass(slots=True)
class LoadReport:
    """A whole load. `violation_counts` is exact; `violations` are all if on_violation is `report`, else the first.

    pager     figures of chunks and pages, see loader.churn
    churn     what of them was written, for each table and phase; the table is None for work on all
    timeline  rows stored and memory taken as time went by
    advice    what would make the next load cheaper, the most worth first
    """

    database: str
    on_violation: str
    committed: bool = False
    started: float = field(default_factory=time.perf_counter)
    seconds: float = 0.0
    commit_seconds: float = 0.0
    peak_rss_bytes: int = 0
    file_bytes: int = 0
    tables: list[TableReport] = field(default_factory=list)
    constraints: list[dict[str, Any]] = field(default_factory=list)
    violations: Sequence[Violation] = ()
    violation_counts: dict[str, int] = field(default_factory=dict)
    pager: dict[str, float] = field(default_factory=dict)
    churn: list[dict[str, Any]] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)
    timeline: list[Sample] = field(default_factory=list)
    advice: list[Advice] = field(default_factory=list)

    @property
    def rows(self) -> int:
        return sum(table.rows for table in self.tables)

    @property
    def rejected(self) -> int:
        return sum(table.rejected for table in self.tables)

    @property
    def violation_count(self) -> int:
        return sum(self.violation_counts.values())

    def to_page(self) -> str:
        """One HTML file that needs nothing else. See loader.page."""
        from colonnade.loader.page import render

        return render(self)

    def to_json(self) -> dict[str, Any]:
        """Plain dicts and lists; key values as `value_json` gives them."""
        content = asdict(replace(self, violations=()))
        for table in content["tables"]:
            table["started"] -= self.started
        del content["started"]
        content["violations"] = [violation_json(violation) for violation in self.violations]
        content["rows"], content["rejected"] = self.rows, self.rejected
        content["violation_count"] = self.violation_count
        return content


def write_json(report: LoadReport, out: TextIO) -> None:
    """The same as one JSON object, however many violations there are."""
    content = replace(report, violations=()).to_json()
    del content["violations"]
    out.write("{")
    for name, value in content.items():
        out.write(f"\n {json.dumps(name)}: {json.dumps(value)},")
    out.write('\n "violations": [')
    for number, violation in enumerate(report.violations):
        out.write((",\n  " if number else "\n  ") + json.dumps(violation_json(violation)))
    out.write("\n ]\n}\n")


def peak_rss_bytes() -> int:
    """The most memory that this process has had in RAM; 0 where the system does not tell."""
    try:
        import resource
    except ImportError:  # Windows
        return 0
    unit = 1 if sys.platform == "darwin" else 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit


_VIOLATION = [field.name for field in fields(Violation)]


def violation_json(violation: Violation) -> dict[str, Any]:
    content = {name: getattr(violation, name) for name in _VIOLATION}
    content["columns"] = list(violation.columns)
    content["values"] = list(map(value_json, violation.values))
    return content


def value_json(value: SQLiteValue) -> Any:
    """A value as JSON can hold it: BLOBs as {"blob": hex}, infinities as {"real": "inf"}."""
    if isinstance(value, bytes):
        return {"blob": value.hex()}
    if isinstance(value, float) and math.isinf(value):
        return {"real": str(value)}
    return value
