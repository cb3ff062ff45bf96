"""What it costs that a load tells of itself: TPC-H loaded with spans and counters cut out, as it is, and traced.

    python benchmarks/tracing.py --scale 1 --runs 5

`bare` is the same code with spans, counters by phase and the timeline replaced by nothing; `off` is a load as anybody
runs it; `traced` writes a trace file; `telemetry` gives the spans to OpenTelemetry's SDK, which batches them and throws
them away. Each run is a process of its own on a fresh database, contenders in turn; what is compared is CPU time, pair
by pair. As the machine's noise is larger than what is looked for, the cost of one span is measured by itself too, and
the share of the load that their number makes of it.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from contextlib import nullcontext
from pathlib import Path
from typing import Any

from colonnade.loader.tpch import TPCH_DDL, generate

CONTENDERS = ("bare", "off", "traced", "telemetry")


class Nothing:
    """In place of the timeline."""

    def __init__(self, rows: object) -> None:
        self.samples: list[object] = []

    def __enter__(self) -> Nothing:
        return self

    def __exit__(self, *exc: object) -> None:
        pass


def cut_out() -> None:
    """Spans, phases and the timeline do nothing from here on."""
    from colonnade.loader import load
    from colonnade.store import spans
    from colonnade.store.counters import Counters

    nothing: Any = nullcontext()
    nobody = spans._NOBODY
    vars_of: Any = spans.Spans
    vars_of.__call__ = lambda self, name, **figures: nobody
    vars_of.each = lambda self, name, items, **figures: items
    Counters.phase = lambda self, key, name: nothing  # type: ignore[method-assign]
    load.Timeline = Nothing  # type: ignore[misc, assignment]


def listen() -> None:
    """OpenTelemetry's SDK, with an exporter that does nothing."""
    from opentelemetry import trace
    from opentelemetry.sdk.trace import TracerProvider
    from opentelemetry.sdk.trace.export import BatchSpanProcessor, SpanExporter, SpanExportResult

    class Nowhere(SpanExporter):
        def export(self, spans: Any) -> SpanExportResult:
            return SpanExportResult.SUCCESS

    provider = TracerProvider()
    provider.add_span_processor(BatchSpanProcessor(Nowhere()))
    trace.set_tracer_provider(provider)


def one(contender: str, folder: Path, db: Path) -> None:
    """A load, in this process; prints its CPU time and wall time, from after the imports on."""
    import colonnade
    import colonnade.loader.load  # not to be measured
    import colonnade.loader.sources.delimited

    if contender == "bare":
        cut_out()
    if contender == "telemetry":
        listen()
    connection = colonnade.connect(db)
    connection.execute("PRAGMA memory_limit = '48MB'")
    trace = connection.trace_to(db.with_suffix(".json")) if contender == "traced" else nullcontext()
    cpu, wall = time.process_time(), time.perf_counter()
    with trace:
        report = connection.load(folder, script=TPCH_DDL)
    print(json.dumps({"cpu": time.process_time() - cpu, "wall": time.perf_counter() - wall}))
    assert report.committed
    connection.close()


def run(contender: str, folder: Path) -> dict[str, float]:
    with tempfile.TemporaryDirectory() as scratch:
        command = [
            sys.executable,
            __file__,
            "--one",
            contender,
            "--data",
            str(folder),
            "--db",
            f"{scratch}/t.db",
        ]
        done = subprocess.run(command, capture_output=True, text=True, check=True)
        figures: dict[str, float] = json.loads(done.stdout)
        trace = Path(scratch, "t.json")
        if trace.exists():
            figures["spans"] = sum(event["ph"] == "X" for event in json.loads(trace.read_text()))
        return figures


def cost_of_a_span(count: int = 100_000) -> dict[str, float]:
    """CPU microseconds of a span that nobody hears, and of one that is written to a file."""
    import colonnade
    from colonnade.store.spans import Spans

    def spend(spans: Spans, times: int) -> float:
        started = time.process_time()
        for _ in range(times):
            with spans("append", table="lineitem", rows=57_000) as span:
                span.note(bytes=1_500_000)
        return (time.process_time() - started) / times * 1e6

    with tempfile.TemporaryDirectory() as scratch:
        connection = colonnade.connect(":memory:")
        unheard = spend(connection.store.spans, count)
        with connection.trace_to(f"{scratch}/t.json"):
            heard = spend(connection.store.spans, count // 10)
        counters = connection.store.pager.counters
        started = time.process_time()
        for _ in range(count // 100):
            with counters.phase("main.t", "append"):
                pass
        phase = (time.process_time() - started) / (count // 100) * 1e6
        connection.close()
    return {"unheard": unheard, "heard": heard, "phase": phase}


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--scale", type=float, default=1.0)
    parser.add_argument("--runs", type=int, default=5)
    parser.add_argument("--data", type=Path, help="folder of .tbl files; generated if it has none")
    parser.add_argument("--one", choices=CONTENDERS, help=argparse.SUPPRESS)
    parser.add_argument("--db", type=Path, help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.one:
        one(args.one, args.data, args.db)
        return
    folder = args.data or Path(tempfile.gettempdir()) / f"tpch-{args.scale:g}"
    if not (folder / "lineitem.tbl").exists():
        generate(folder, args.scale)
    found: dict[str, list[dict[str, float]]] = {name: [] for name in CONTENDERS}
    for number in range(args.runs):
        for name in CONTENDERS if number % 2 == 0 else reversed(CONTENDERS):
            found[name].append(run(name, folder))
    print(f"load average {os.getloadavg()[0]:.1f}, {len(os.sched_getaffinity(0))} cores")
    print(f"{'':12}{'CPU s':>8}{'wall s':>8}   CPU of each pair, relative to bare")
    for name in CONTENDERS:
        cpu = statistics.median(figures["cpu"] for figures in found[name])
        wall = statistics.median(figures["wall"] for figures in found[name])
        pairs = [mine["cpu"] / bare["cpu"] for mine, bare in zip(found[name], found["bare"], strict=True)]
        listed = " ".join(f"{pair:.3f}" for pair in sorted(pairs))
        print(f"{name:12}{cpu:8.2f}{wall:8.2f}   {statistics.median(pairs):.3f} ({listed})")
    cost, spans = cost_of_a_span(), found["traced"][0]["spans"]
    cpu = statistics.median(figures["cpu"] for figures in found["bare"])
    print(
        f"{spans:.0f} spans; each {cost['unheard']:.2f} us unheard, {cost['heard']:.1f} us written;", end=" "
    )
    print(f"a phase counted {cost['phase']:.0f} us")
    for name, each in (("unheard", cost["unheard"]), ("written", cost["heard"]), ("phases", cost["phase"])):
        print(f"  {name}: {spans * each / 1e6 / cpu:.4%} of the load's CPU time")


if __name__ == "__main__":
    main()
