"""Run random sequences from the command line: `python -m tests.differential.run --seed 123 --count 1000`."""

from __future__ import annotations

import argparse
import time
from concurrent.futures import ProcessPoolExecutor
from functools import partial
from multiprocessing import get_context

from tests.differential.compare import compare
from tests.differential.counts import Counts
from tests.differential.sequences import sequence
from tests.differential.shrink import show, shrink


def tried(seed: int, seconds: float) -> tuple[Counts, str]:
    """What the sequence of a seed ran, and the difference that it showed, reduced for so many seconds, or ""."""
    counts, made = Counts(), sequence(seed)
    found = compare(made, counts)
    if found is None:
        return counts, ""
    if seconds:
        made, found = shrink(made, found, seconds)
    return counts, show(made, found)


def main() -> int:
    parser = argparse.ArgumentParser(description="Random statements on plain SQLite and on Colonnade.")
    parser.add_argument("--seed", type=int, default=0, help="the first seed")
    parser.add_argument("--count", type=int, default=1000, help="sequences to run")
    parser.add_argument("--jobs", type=int, default=1, help="processes")
    parser.add_argument("--keep-going", action="store_true", help="show all differences, not the first only")
    parser.add_argument(
        "--shrink", type=float, default=60, help="seconds to reduce each; 0: show it as it is"
    )
    options = parser.parse_args()
    counts, differences, started = Counts(), 0, time.perf_counter()
    seeds = range(options.seed, options.seed + options.count)
    with ProcessPoolExecutor(
        options.jobs, get_context("forkserver")
    ) as pool:  # it says if a process was killed
        for mine, difference in pool.map(partial(tried, seconds=options.shrink), seeds, chunksize=5):
            counts.add(mine)
            if not difference:
                continue
            differences += 1
            print(difference, end="\n\n", flush=True)
            if not options.keep_going:
                pool.shutdown(wait=False, cancel_futures=True)
                break
    print(counts.report())
    print(f"{counts.sequences} sequences in {time.perf_counter() - started:.1f} s, {differences} differences")
    return bool(differences)


if __name__ == "__main__":
    raise SystemExit(main())
