"""Run random sequences from the command line: `python -m tests.differential.run --seed 123 --count 1000`."""

from __future__ import annotations

import argparse
import time

from tests.differential.compare import Counts, compare
from tests.differential.sequences import sequence
from tests.differential.shrink import show, shrink


def main() -> int:
    parser = argparse.ArgumentParser(description="Random statements on plain SQLite and on Colonnade.")
    parser.add_argument("--seed", type=int, default=0, help="the first seed")
    parser.add_argument("--count", type=int, default=1000, help="sequences to run")
    parser.add_argument("--keep-going", action="store_true", help="show all differences, not the first only")
    parser.add_argument(
        "--shrink", type=float, default=60, help="seconds to reduce each; 0: show it as it is"
    )
    options = parser.parse_args()
    counts, differences, started = Counts(), 0, time.perf_counter()
    for seed in range(options.seed, options.seed + options.count):
        made = sequence(seed)
        found = compare(made, counts)
        if found is None:
            continue
        differences += 1
        if options.shrink:
            made, found = shrink(made, found, options.shrink)
        print(show(made, found), end="\n\n", flush=True)
        if not options.keep_going:
            break
    print(counts.report())
    print(f"{counts.sequences} sequences in {time.perf_counter() - started:.1f} s, {differences} differences")
    return bool(differences)


if __name__ == "__main__":
    raise SystemExit(main())
