"""`colonnade stats`: what is in a database: tables, formats, bytes, write hints, pages."""

from __future__ import annotations

import argparse
import json
from typing import Any

from colonnade import Connection, connect
from colonnade.cli.check import existing
from colonnade.cli.output import console, print_table


def add_parser(commands: Any) -> None:
    parser = commands.add_parser(
        "stats",
        help="tables, their formats and sizes, write hints, pages",
        description="Show each table's format, rows, row groups, bytes and write hints, and the file's pages.",
    )
    parser.add_argument("database", metavar="DB")
    parser.add_argument(
        "--advise", action="store_true", help="what to do so that keys are checked with less reading"
    )
    parser.add_argument("--json", action="store_true", help="as JSON on standard output")
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    connection = connect(existing(args.database))
    try:
        storage, tables = rows_of(connection, "storage_report")
        _, pager = rows_of(connection, "pager_stats")
        told, advice = rows_of(connection, "advise") if args.advise else ([], [])
        hints = {row[0]: rows_of(connection, f"write_hints('{quoted(row[0])}')")[1] for row in tables}
    finally:
        connection.close()
    pages = {name: value for table, _, name, value in pager if table is None and name in _PAGES}
    if args.json:
        listed = [dict(zip(storage, row, strict=True)) for row in tables]
        named = {
            table: {figure: {"value": value, "source": source} for figure, value, source in rows}
            for table, rows in hints.items()
        }
        content = {"tables": listed, "write_hints": named, "pages": pages}
        if args.advise:
            content["advice"] = [dict(zip(told, row, strict=True)) for row in advice]
        print(json.dumps(content, indent=1))
        return 0
    out = console()
    print_table(out, "tables", [name.replace("_", " ") for name in storage], tables)
    out.print()
    columnar = [row[0] for row in tables if row[1] == "column"]
    figures = [(table, *row) for table in columnar for row in hints[table]]
    print_table(out, "write hints", ("table", "figure", "value", "source"), figures)
    out.print()
    print_table(out, "pages", ("figure", "value"), list(pages.items()))
    if args.advise:
        out.print()
        out.print("advice" if advice else "advice: none", style="bold")
        for number, (table, _, reason, action) in enumerate(advice, 1):
            out.print(f"{number}. {table}: {reason}; {action}")
    return 0


_PAGES = ("page_bytes", "page_count", "free_pages", "live_bytes", "dead_bytes")  # what the file itself tells


def rows_of(connection: Connection, pragma: str) -> tuple[list[str], list[tuple[Any, ...]]]:
    """Column names and rows of a PRAGMA."""
    cursor = connection.execute(f"PRAGMA {pragma}")
    return [column[0] for column in cursor.description or ()], cursor.fetchall()


def quoted(name: str) -> str:
    return name.replace("'", "''")
