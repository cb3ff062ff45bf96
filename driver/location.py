"""Where a database is: the file name and flags that apsw needs for what connect() was given."""

from __future__ import annotations

import os
from typing import Any
from urllib.parse import parse_qsl, quote, urlencode

import apsw

_ASCII = "".join(map(chr, range(1, 128)))
_READ_WRITE = apsw.SQLITE_OPEN_READWRITE | apsw.SQLITE_OPEN_CREATE


def open_database(database: Any, *, uri: bool, timeout: float, cached_statements: int) -> apsw.Connection:
    """A new apsw connection with the settings that sqlite3 has; apsw's errors pass through.

    database  str, bytes or path-like; a URI only if `uri`
    timeout   seconds to wait for a lock of another connection
    """
    path = os.fsencode(database)
    if b"\0" in path:
        raise ValueError("embedded null byte")
    flags = _READ_WRITE
    if uri:
        name, flags = _shared_memory(quote(path, safe=_ASCII)), flags | apsw.SQLITE_OPEN_URI
    else:
        try:
            name = path.decode()
        except UnicodeDecodeError:  # SQLite takes any bytes, but apsw only text: written as a URI
            name, flags = f"file:{quote(path)}", flags | apsw.SQLITE_OPEN_URI
    db = apsw.Connection(name, flags=flags, statementcachesize=max(cached_statements, 0))
    db.set_busy_timeout(int(timeout * 1000))
    return db


def is_private(db: apsw.Connection) -> bool:
    """Whether no other connection can see the database: it is in memory, or a temporary file."""
    try:
        return db.filename == ""
    except UnicodeDecodeError:
        return False


def _shared_memory(uri: str) -> str:
    """`uri`, or its equal on the memdb VFS: apsw's SQLite is built without a shared cache."""
    if not uri.startswith("file:"):
        return uri
    name, mark, query = uri[5:].partition("?")
    options = parse_qsl(query.partition("#")[0], keep_blank_values=True)
    asked = dict(options)
    memory = asked.get("mode") == "memory" or name == ":memory:"
    if not mark or not memory or asked.get("cache") != "shared":
        return uri
    kept = [(key, value) for key, value in options if key not in ("mode", "cache", "vfs")]
    path = name.lstrip("/") or "shared"
    return f"file:/{path}?{urlencode([*kept, ('vfs', 'memdb')])}"
