"""Finding sources: which files a load reads, of which format each is, and which table it fills."""

from __future__ import annotations

import difflib
import os
import re
import stat
from collections.abc import Iterator, Sequence
from pathlib import Path

from colonnade.loader.options import LoadOptions
from colonnade.loader.sources.base import LoadError, SourceFile
from colonnade.loader.sources.bytestream import COMPRESSIONS, STDIN
from colonnade.loader.sources.layout import near_name
from colonnade.sql.objects import Schema, TableDef

FORMATS = {  # format -> endings of file names
    "tbl": (".tbl",),
    "dat": (".dat",),
    "csv": (".csv",),
    "tsv": (".tsv", ".tab"),
    "jsonl": (".jsonl", ".ndjson"),
    "parquet": (".parquet", ".pq"),
    "arrow": (".arrow", ".arrows", ".feather", ".ipc"),
}
TEXT_FORMATS = ("tbl", "dat", "csv", "tsv", "jsonl")
_BY_ENDING = {ending: name for name, endings in FORMATS.items() for ending in endings}
_PART = re.compile(r"[._-]*(?:part)?[._-]*\d+$|[._-]part[._-].*$", re.IGNORECASE)  # lineitem.3, orders_part-0
_DIGITS = re.compile(r"(\d+)")


def find_sources(paths: Sequence[str], schema: Schema, options: LoadOptions) -> list[SourceFile]:
    """The files to load, directories expanded, each directory's in order of name with numbers as numbers.

    A path may be `table=path`; the path '-' is standard input and needs a table, and options.format or a delimiter.
    Otherwise the table is the one that the file is named after: lineitem.tbl, lineitem.3.csv.gz,
    lineitem.tbl.3, or any file in a directory lineitem/. In directories, files that begin with a dot or
    an underscore and files of other formats are passed over.
    LoadError for a missing file, an unknown format and an unknown table.
    """
    found = []
    for given in paths:
        table, path = _split(given, schema)
        if path != STDIN and os.path.isdir(path):
            files = list(_walk(path, options))
            if not files:
                raise LoadError(f"no files to load in it; known endings are {_endings()}", path=path)
            found += [_source(file, table, schema, options) for file in files]
        else:
            found.append(_source(path, table, schema, options))
    return found


def _split(given: str, schema: Schema) -> tuple[TableDef | None, str]:
    """`table=path`, unless a file has that very name."""
    name, equals, path = given.partition("=")
    if not equals or not name or os.path.exists(given) or "/" in name:
        return None, given
    return _table(name, schema, given), path


def _walk(folder: str, options: LoadOptions) -> Iterator[str]:
    try:
        entries = sorted(os.scandir(folder), key=lambda entry: _natural(entry.name))
    except OSError as error:
        raise LoadError(f"cannot be read: {error.strerror}", path=folder) from None
    for entry in entries:
        if entry.name.startswith((".", "_")):
            continue
        if entry.is_dir():
            yield from _walk(entry.path, options)
        elif options.format is not None or _split_name(entry.name)[1] is not None:
            yield entry.path


def _natural(name: str) -> list[tuple[int, int, str]]:
    """Sort key in which part-10 comes after part-9."""
    parts = _DIGITS.split(name)
    return [(1, 0, part) if not part.isdecimal() else (0, int(part), part) for part in parts]


def _split_name(name: str) -> tuple[str, str | None]:
    """A file name as what it is called after, without endings, and its format."""
    stem = name
    for ending in COMPRESSIONS:
        if stem.lower().endswith(ending):
            stem = stem[: -len(ending)]
            break
    base, ending = os.path.splitext(stem)
    if ending[1:].isdecimal():  # lineitem.tbl.3, as dbgen names the parts of a table
        inner, inner_ending = os.path.splitext(base)
        if inner_ending.lower() in _BY_ENDING:
            return f"{inner}{ending}", _BY_ENDING[inner_ending.lower()]
    known = _BY_ENDING.get(ending.lower())
    return (base, known) if known else (stem, None)


def _source(path: str, table: TableDef | None, schema: Schema, options: LoadOptions) -> SourceFile:
    if path == STDIN:
        if table is None or (options.format or options.delimiter) is None:
            raise LoadError("standard input needs its table and format: table=- and --format", path=path)
        return SourceFile(path, _format(None, path, options), table.name)
    size = _size(path)
    stem, known = _split_name(os.path.basename(path))
    format_name = _format(known, path, options)
    if table is None:
        table = _table_of(stem, path, schema)
    return SourceFile(path, format_name, table.name, size)


def _size(path: str) -> int | None:
    try:
        status = os.stat(path)
    except FileNotFoundError:
        folder = os.path.dirname(path) or "."
        names = os.listdir(folder) if os.path.isdir(folder) else []
        near = difflib.get_close_matches(os.path.basename(path), names, 1)
        hint = f" (did you mean {os.path.join(os.path.dirname(path), near[0])}?)" if near else ""
        raise LoadError(f"no such file{hint}", path=path) from None
    except OSError as error:
        raise LoadError(f"cannot be read: {error.strerror}", path=path) from None
    return status.st_size if stat.S_ISREG(status.st_mode) else None


def _format(known: str | None, path: str, options: LoadOptions) -> str:
    if options.format is not None:
        if options.format not in FORMATS:
            raise LoadError(f"unknown format {options.format!r}{near_name(options.format, list(FORMATS))}")
        return options.format
    if known is None:
        if options.delimiter is not None:  # says that it is delimited text, whatever its name
            return "csv"
        raise LoadError(f"unknown format; known endings are {_endings()}, or say --format", path=path)
    return known


def _endings() -> str:
    return " ".join(_BY_ENDING)


def _table_of(stem: str, path: str, schema: Schema) -> TableDef:
    """The table that a file is named after: by its whole name, without a part number, or by its folder."""
    names = [stem]
    while (shorter := _PART.sub("", names[-1])) not in ("", names[-1]):
        names.append(shorter)
    folder = Path(os.path.abspath(path)).parent.name
    for name in [*names, folder]:
        table = schema.table(name)
        if table is not None:
            return table
    return _table(names[-1], schema, path)


def _table(name: str, schema: Schema, path: str) -> TableDef:
    table = schema.table(name)
    if table is None:
        near = near_name(name, [table.name for table in schema.tables.values()])
        raise LoadError(f"no such table: {name}{near}", path=path)
    return table
