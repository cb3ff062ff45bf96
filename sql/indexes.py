"""Indexes of tables in column format: they are those of the row part, under the user's names and texts."""

from __future__ import annotations

import json

from colonnade.sql.statement import Statement
from colonnade.sql.tokens import Kind, Reader, quote
from colonnade.store.catalog import read_meta, write_meta
from colonnade.store.database import Store
from colonnade.store.keycode import COLLATIONS
from colonnade.store.table import ColumnTable


def on_row_part(statement: Statement, table: ColumnTable) -> str:
    """The text of a CREATE INDEX for the row part."""
    target = statement.target
    assert target is not None
    return statement.text[: target.start] + quote(table.rows_name) + statement.text[target.stop :]


def is_plain_key(statement: Statement) -> bool:
    """Whether a CREATE UNIQUE INDEX is on names alone, of all rows: a key as a UNIQUE constraint is one, if the
    names are columns."""
    assert statement.target is not None
    reader = Reader(statement.text, statement.target.stop)
    behind = reader.skip_parentheses(0) if reader[0].key == "(" else 0
    if not behind or (reader[behind].kind is not Kind.END and reader[behind].key != ";"):
        return False
    at = 1
    while at < behind:
        if reader[at].kind not in (Kind.WORD, Kind.QUOTED):
            return False
        at += 1
        if reader[at].key == "COLLATE":
            if reader[at + 1].name.upper() not in COLLATIONS:
                return False
            at += 2
        if reader[at].key in ("ASC", "DESC"):
            at += 1
        if reader[at].key not in (",", ")"):
            return False
        at += 1
    return True


def remember_spelling(statement: Statement, table: ColumnTable) -> None:
    """The index that the statement is about to make keeps the text that the user gave it.

    See 'spelling' in store.format. Should the statement fail, what is remembered belongs to no index.
    """
    target, made, db = statement.target, statement.object, table.store.db
    assert target is not None
    assert made is not None
    try:
        entries = json.loads(str(read_meta(db, table.names, "spelling")))
    except ValueError:
        entries = []  # only the quotes in texts depend on it
    kept = [entry for entry in entries if entry[:2] != ["index", made.name]]
    kept.append(["index", made.name, [statement.text[target.start : target.stop]]])
    write_meta(db, table.names, "spelling", json.dumps(kept))


def forget_keys(store: Store) -> None:
    """No key zones stay behind of UNIQUE indexes that were dropped."""
    for schema in store.db.db_names():
        for table in store.tables(schema) if schema != "temp" else ():
            signatures = json.dumps([spec.signature for spec in table.key_specs()])
            store.db.execute(
                f"DELETE FROM {table.names.keys} WHERE signature NOT IN (SELECT value FROM json_each(?))",
                (signatures,),
            )
