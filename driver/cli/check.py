"""`colonnade check`: tells whether the file is sound and every key holds."""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import Any

from colonnade import Cursor, connect
from colonnade.cli.output import console, print_table
from colonnade.store.check import check
from colonnade.store.errors import DatabaseError, OperationalError

_SHOWN = 100


def add_parser(commands: Any) -> None:
    parser = commands.add_parser(
        "check",
        help="check a database: pages, column chunks, keys",
        description=(
            "Run SQLite's integrity_check, re-derive every invariant of the column chunks (checksums, zone maps, "
            "key zones, tombstones), and check every PRIMARY KEY, UNIQUE and FOREIGN KEY. Exit code 1 if "
            "anything is wrong."
        ),
    )
    parser.add_argument("database", metavar="DB")
    parser.add_argument("--json", action="store_true", help="findings as JSON on standard output")
    parser.set_defaults(run=run)


def existing(database: str) -> str:
    """The path, if there is a file; a command that only looks must not make one."""
    if not Path(database).is_file():
        raise OperationalError(f"{database}: no such file")
    return database


def run(args: argparse.Namespace) -> int:
    connection = connect(existing(args.database))
    try:
        pages = [text for (text,) in connection.execute("PRAGMA integrity_check") if text != "ok"]
        keys: list[tuple[Any, ...]] = []
        findings = [(f.table, f.group, f.what) for f in check(connection.store)]
        try:
            cursor = connection.execute("PRAGMA constraint_check")
        except DatabaseError as error:  # what is damaged cannot be checked
            header, key_count = [], 0
            findings.append(("", None, f"keys could not be checked: {error}"))
        else:
            header = [column[0] for column in cursor.description or ()]
            keys, key_count = _keys(cursor, every=args.json)
    finally:
        connection.close()
    if args.json:
        violations = [dict(zip(header, row, strict=True)) for row in keys]
        stored = [dict(zip(("table", "group", "what"), row, strict=True)) for row in findings]
        print(json.dumps({"pages": pages, "store": stored, "keys": violations}, indent=1))
    else:
        show(pages, findings, header, keys, key_count)
    return 1 if pages or findings or keys else 0


def _keys(cursor: Cursor, *, every: bool) -> tuple[list[tuple[Any, ...]], int]:
    """The violations to be shown, and how many there are."""
    keys = cursor.fetchall() if every else cursor.fetchmany(_SHOWN)
    return keys, len(keys) + sum(1 for _ in cursor)


def show(
    pages: list[str],
    findings: list[tuple[str, int | None, str]],
    header: list[str],
    keys: list[tuple[Any, ...]],
    key_count: int,
) -> None:
    out = console()
    for text in pages:
        out.print(f"pages: {text}")
    print_table(out, "column chunks", ("table", "row group", "finding"), findings[:_SHOWN])
    print_table(out, "keys", header, keys)
    for what, count in (("findings in column chunks", len(findings)), ("violations of keys", key_count)):
        if count > _SHOWN:
            out.print(f"{what}: {count:,} in all")
    if not (pages or findings or keys):
        out.print("ok: pages, column chunks and keys")
