"""`colonnade load`: files into a database with every key checked."""

from __future__ import annotations

import argparse
import sys
from contextlib import nullcontext
from pathlib import Path
from typing import Any

from colonnade import connect
from colonnade.cli.progress import progress_for
from colonnade.loader.options import LoadOptions
from colonnade.loader.report import LoadReport, write_json
from colonnade.loader.sources import LoadError
from colonnade.loader.sources.find import FORMATS

# Beside the pieces that are being parsed this keeps a load of TPC-H at scale 3 within 1.05 times the memory of
# scale 1. With 32MB the 800,000 keys of partsupp must be spilled at scale 1 already, which costs 0.6 s of 8.5; with
# 128MB the checks grow with their parents.
MEMORY_LIMIT = "48MB"


def add_parser(commands: Any) -> None:
    parser = commands.add_parser(
        "load",
        help="load files with every key checked",
        description=(
            "Load csv, tsv, tbl, dat, parquet, arrow, feather and jsonl files (text also as .gz, .zst, .bz2, "
            ".lz4) into the tables that they are named after, in foreign-key order and in one transaction. "
            "Every PRIMARY KEY, UNIQUE, FOREIGN KEY, NOT NULL and CHECK is checked before COMMIT."
        ),
    )
    parser.add_argument("database", metavar="DB", help="database file; created if missing")
    parser.add_argument(
        "sources",
        metavar="SOURCE",
        nargs="+",
        help="file, directory, table=file, or table=- for standard input",
    )
    parser.add_argument(
        "--schema", metavar="FILE.sql", help="script with the CREATE TABLE statements to run first"
    )
    parser.add_argument(
        "--format",
        choices=list(FORMATS),
        help="of all sources, whatever their names; for standard input: TABLE=-",
    )
    parser.add_argument("--delimiter", metavar="CHAR", help="field delimiter of text files")
    parser.add_argument(
        "--header",
        choices=["auto", "yes", "no"],
        default="auto",
        help="whether text files begin with column names; auto: if at least half the fields of the first line are",
    )
    parser.add_argument(
        "--null", metavar="STRING", help="unquoted field text that means NULL (default: nothing does)"
    )
    parser.add_argument(
        "--types",
        choices=["sqlite", "strict"],
        default="sqlite",
        help="text that is no number in a numeric column: kept as text as SQLite does, or refused",
    )
    add_load_options(parser)
    parser.set_defaults(run=run)


def add_load_options(parser: argparse.ArgumentParser) -> None:
    """The options that `load` and `tpch` share."""
    parser.add_argument(
        "--batch-size", type=int, default=0, metavar="N", help="rows a row group (default: write hints)"
    )
    parser.add_argument(
        "--memory-limit",
        metavar="SIZE",
        default=MEMORY_LIMIT,
        help=f"for key checks, such as 256MB (default {MEMORY_LIMIT}); beyond it they spill to temporary files",
    )
    parser.add_argument(
        "--on-violation",
        choices=["abort", "quarantine", "report"],
        default="abort",
        help="abort: roll back and name the first 100; report: roll back and name all; "
        "quarantine: put the rejected rows into TABLE_rejects and commit the rest",
    )
    parser.add_argument(
        "--report",
        metavar="OUT.html",
        help="write the load report as a page with charts, one file for any browser",
    )
    parser.add_argument(
        "--trace",
        metavar="OUT.json",
        help="write where the time goes, thread by thread, to a file for Perfetto (ui.perfetto.dev) or speedscope",
    )
    parser.add_argument(
        "--no-bulk-load",
        action="store_true",
        help="check the keys of each piece before it is stored: abort then ends at the first bad row",
    )
    parser.add_argument("--json", action="store_true", help="the load report as JSON on standard output")
    parser.add_argument("--quiet", action="store_true", help="no progress")


def run(args: argparse.Namespace) -> int:
    script = read_script(args.schema) if args.schema else None
    options = options_from(
        args,
        format=args.format,
        delimiter=args.delimiter,
        header=args.header,
        null=args.null,
        types=args.types,
    )
    return load_and_report(args, args.sources, script, options)


def read_script(path: str) -> str:
    """The text of a script; LoadError if it cannot be read."""
    try:
        return Path(path).read_text(encoding="utf-8")
    except OSError as error:
        raise LoadError(f"cannot be read: {error.strerror}", path=path) from None
    except UnicodeDecodeError as error:
        line = error.object.count(b"\n", 0, error.start) + 1
        raise LoadError("not valid UTF-8", path=path, line=line) from None


def options_from(args: argparse.Namespace, **more: Any) -> LoadOptions:
    return LoadOptions.parse(
        batch_size=args.batch_size,
        memory_limit=args.memory_limit,
        on_violation=args.on_violation,
        bulk_load=not args.no_bulk_load,
        **more,
    )


def load_and_report(
    args: argparse.Namespace, sources: list[str], script: str | None, options: LoadOptions
) -> int:
    """Load, print the report, and return 1 if nothing was committed."""
    page = Path(args.report) if args.report else None
    if page is not None:
        page.open("a").close()  # what cannot be written is told before the load
    connection = connect(args.database)
    try:
        trace = connection.trace_to(args.trace) if args.trace else nullcontext()
        with trace, progress_for(quiet=args.json or args.quiet) as progress:
            report = connection.load(
                *sources,
                options=options,
                script=script,
                script_path=getattr(args, "schema", None) or "the schema",
                observer=progress,
            )
    except BaseException:
        if page is not None and not page.stat().st_size:
            page.unlink()
        raise
    finally:
        connection.close()
    if page is not None:
        page.write_text(report.to_page(), encoding="utf-8")
    show(report, as_json=args.json)
    return 0 if report.committed else 1


def show(report: LoadReport, *, as_json: bool) -> None:
    if as_json:
        write_json(report, sys.stdout)
    else:
        from colonnade.cli.output import console, print_report  # rich: not needed for --json

        print_report(console(), report)
