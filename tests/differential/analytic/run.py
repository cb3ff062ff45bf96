"""Random analytic queries from the command line: `python -m tests.differential.analytic --seed 1 --count 1000`."""

from __future__ import annotations

import argparse
import time
from concurrent.futures import ProcessPoolExecutor
from functools import partial
from multiprocessing import get_context

from tests.differential.analytic.counts import Counts
from tests.differential.analytic.reduce import reduced, show
from tests.differential.analytic.trial import QUERIES, tried


def _run(seed: int, seconds: float) -> tuple[Counts, list[str]]:
    """What the queries of a seed came to, and its differences as text, each reduced for so many seconds."""
    counts, differences = tried(seed)
    texts = []
    for found in differences:
        case = reduced(*found, seconds) if seconds else found
        texts.append(f"-- seed {seed}\n{show(*case)}")
    return counts, texts


def main() -> int:
    parser = argparse.ArgumentParser(description="Random analytic queries on plain SQLite and on Colonnade.")
    parser.add_argument("--seed", type=int, default=0, help="the first seed")
    parser.add_argument("--count", type=int, default=1000, help=f"queries to ask, {QUERIES} a seed")
    parser.add_argument("--jobs", type=int, default=1, help="processes")
    parser.add_argument("--keep-going", action="store_true", help="show all differences, not the first only")
    parser.add_argument(
        "--shrink", type=float, default=30, help="seconds to reduce each; 0: show it as it is"
    )
    options = parser.parse_args()
    counts, differences, started = Counts(), 0, time.perf_counter()
    seeds = range(options.seed, options.seed + -(-options.count // QUERIES))
    with ProcessPoolExecutor(
        options.jobs, get_context("forkserver")
    ) as pool:  # it says if a process was killed
        for mine, texts in pool.map(partial(_run, seconds=options.shrink), seeds):
            counts.add(mine)
            differences += len(texts)
            for text in texts:
                print(text, end="\n\n", flush=True)
            if texts and not options.keep_going:
                pool.shutdown(wait=False, cancel_futures=True)
                break
    print(counts.report())
    print(f"{counts.total} queries in {time.perf_counter() - started:.1f} s, {differences} differences")
    return bool(differences)
