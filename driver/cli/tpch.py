"""`colonnade tpch`: generate TPC-H and load it with all keys of its specification."""

from __future__ import annotations

import argparse
import tempfile
from pathlib import Path
from typing import Any

from colonnade.cli.load import add_load_options, load_and_report, options_from
from colonnade.loader.tpch import TPCH_DDL, generate


def add_parser(commands: Any) -> None:
    parser = commands.add_parser(
        "tpch",
        help="generate TPC-H and load it",
        description="Generate the TPC-H tables with tpchgen-cli and load them with all their keys.",
    )
    parser.add_argument("database", metavar="DB", help="database file; created if missing")
    parser.add_argument(
        "--scale", type=float, default=1.0, metavar="S", help="scale factor; 1 is 1.1 GB of text"
    )
    parser.add_argument("--data", metavar="DIR", help="keep the generated files here, or use those that are")
    add_load_options(parser)
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    if args.scale <= 0:
        raise SystemExit("colonnade tpch: error: --scale must be above 0")
    options = options_from(args)
    if args.data is not None:
        folder = Path(args.data)
        if not (folder / "lineitem.tbl").exists():
            generate(folder, args.scale)
        return load_and_report(args, [str(folder)], TPCH_DDL, options)
    with tempfile.TemporaryDirectory(prefix="tpch-") as scratch:
        generate(Path(scratch), args.scale)
        return load_and_report(args, [scratch], TPCH_DDL, options)
