"""From row format to column format and back: renames, shadow tables, and the user's own DDL text.

ALTER TABLE RENAME rewrites a table's name wherever the schema mentions it, in quotes. What it replaced is
kept as `spelling` in t_cln_meta, so that the way back ends in exactly the text that the user wrote.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager

import apsw

from colonnade.store import format as disk
from colonnade.store.catalog import (
    ShadowNames,
    describe,
    fetch_all,
    fetch_one,
    quote,
    read_meta,
    rowid_alias,
    write_columns,
    write_meta,
)
from colonnade.store.presence import column_table_names
from colonnade.store.switches import (
    DEFENSIVE,
    FOREIGN_KEYS,
    LEGACY_ALTER,
    WRITABLE_SCHEMA,
    switched,
    unnoticed,
)

Texts = dict[tuple[str, str], str]  # (type, name) -> sql


@contextmanager
def renaming(db: apsw.Connection) -> Iterator[None]:
    """ALTER TABLE RENAME then leaves views alone and takes REFERENCES clauses along.

    sqlite.org/lang_altertable.html: under legacy_alter_table references follow only with foreign keys on. With a
    writable schema it does not mind indexes of tables that temporary ones of their names hide from it.
    """
    with ExitStack() as stack:
        stack.enter_context(switched(db, DEFENSIVE, False))
        stack.enter_context(switched(db, LEGACY_ALTER, True))
        stack.enter_context(switched(db, FOREIGN_KEYS, True))
        stack.enter_context(switched(db, WRITABLE_SCHEMA, True))
        yield


def to_column_format(db: apsw.Connection, names: ShadowNames, ddl: str | None) -> None:
    """Turns an eligible table to column format; its rows stay where they are, in the row part.

    ddl   the user's CREATE TABLE text, if it is not what the schema says now
    """
    with db, renaming(db):
        for suffix, definition in disk.SHADOW_DDL.items():
            db.execute(f"CREATE TABLE {quote(names.schema)}.{quote(names.name + suffix)} {definition}")
        columns = describe(db, names.schema, names.name)
        write_columns(db, names, columns)
        write_meta(db, names, "next_group", 1)
        write_meta(db, names, "next_column", len(columns) + 1)
        write_meta(db, names, "stamp", "")
        cover(db, names, ddl)


def to_row_format(db: apsw.Connection, names: ShadowNames) -> None:
    """Drops the virtual table and the shadow tables, and gives the row part its name back.

    The caller has moved every row to the row part.
    """
    with db, renaming(db):
        uncover(db, names)
        for suffix in disk.SHADOW_DDL:
            db.execute(f"DROP TABLE IF EXISTS {quote(names.schema)}.{quote(names.name + suffix)}")


def cover(db: apsw.Connection, names: ShadowNames, ddl: str | None = None) -> None:
    """Makes an ordinary table the row part of a table in column format. The other shadow tables are there.

    ddl   the user's CREATE TABLE text, if it is not what the schema says now
    """
    place, before = quote(names.schema), _texts(db, names.schema)
    with db, renaming(db):
        db.execute(f"ALTER TABLE {place}.{quote(names.name)} RENAME TO {quote(names.rows_name)}")
        write_meta(db, names, "ddl", ddl or before["table", names.name])
        write_meta(db, names, "spelling", json.dumps(_spellings(before, _texts(db, names.schema), names)))
        pin_rowids(db, names)
        db.execute(f"CREATE VIRTUAL TABLE {place}.{quote(names.name)} USING {disk.MODULE_NAME}")


def uncover(db: apsw.Connection, names: ShadowNames) -> None:
    """Makes the row part of a table in column format an ordinary table again, with the user's own texts.

    The other shadow tables stay, with the rows that are in them.
    """
    place = quote(names.schema)
    spellings = _load_spellings(read_meta(db, names, "spelling"))
    current = _texts(db, names.schema)
    with db, renaming(db):
        with _statistics_kept(db, names):
            db.execute(f"DROP TABLE {place}.{quote(names.name)}")
        db.execute(f"DROP INDEX IF EXISTS {place}.{quote(names.name + disk.PIN)}")
        db.execute(f"ALTER TABLE {place}.{quote(names.rows_name)} RENAME TO {quote(names.name)}")
        _respell(db, names, current, spellings)
        _respell_stored(db, names, spellings)


@contextmanager
def _statistics_kept(db: apsw.Connection, names: ShadowNames) -> Iterator[None]:
    """What ANALYZE found out stays, though SQLite forgets it with a table of this name."""
    place, kept = quote(names.schema), []
    for table in ("sqlite_stat1", "sqlite_stat4"):
        if db.table_exists(names.schema, table):
            columns = ["rowid", *(column.name for column in describe(db, names.schema, table))]
            listed, marks = ", ".join(columns), ", ".join("?" * len(columns))
            found = fetch_all(db, f"SELECT {listed} FROM {place}.{table} WHERE tbl=?", (names.name,))
            kept.append((f"INSERT INTO {place}.{table}({listed}) VALUES({marks})", found))
    yield
    with unnoticed(db):
        for insert, rows in kept:
            db.executemany(insert, rows)


def rename_shadows(db: apsw.Connection, names: ShadowNames, new: ShadowNames) -> None:
    """Gives the shadow tables of an uncovered table those names that go with another name of the table."""
    with db, renaming(db):
        for suffix in disk.SHADOW_DDL:
            old_name, new_name = quote(names.name + suffix), quote(new.name + suffix)
            db.execute(f"ALTER TABLE {quote(names.schema)}.{old_name} RENAME TO {new_name}")


def pin_rowids(db: apsw.Connection, names: ShadowNames) -> None:
    """VACUUM leaves the rowids of the row part as they are: they must stay apart from those in row groups.

    SQLite numbers the rows of a table anew that has no INTEGER PRIMARY KEY and no index at all; one without
    entries will do. Indexes that the user made do not count, as the user may drop them.
    """
    place, rows = quote(names.schema), names.rows_name
    if rowid_alias(db, names.schema, rows) is not None:
        return
    indexes = db.execute(f"PRAGMA {place}.index_list({quote(rows)})").fetchall()
    if any(origin != "c" or name == names.name + disk.PIN for _, name, _, origin, _ in indexes):
        return
    column = describe(db, names.schema, rows)[0].name
    db.execute(
        f"CREATE INDEX {place}.{quote(names.name + disk.PIN)} ON {quote(rows)}({quote(column)}) WHERE 0"
    )


def _texts(db: apsw.Connection, schema: str) -> Texts:
    rows = db.execute(f"SELECT type, name, sql FROM {quote(schema)}.sqlite_schema WHERE sql IS NOT NULL")
    return {(kind, name): sql for kind, name, sql in rows}


def _spellings(before: Texts, after: Texts, names: ShadowNames) -> list[list[object]]:
    """[type, the user's name, spellings of the table's name in it] for each text that the rename changed."""
    found: list[list[object]] = []
    for (kind, name), sql in before.items():
        renamed = names.rows_name if kind == "table" and name.lower() == names.name.lower() else name
        new = after.get((kind, renamed))
        if new is None or new == sql:
            continue
        spelt = _between(new.split(quote(names.rows_name)), _forms(names.name), sql)
        if spelt is not None:
            found.append([kind, _user_name(kind, name), spelt])
    return found


def _between(parts: Sequence[str], forms: Sequence[str], sql: str) -> list[str] | None:
    """What stands between the parts that a text is made of, one of the forms each time; None if it is not so. Case
    does not matter. No regular expression: to compile one for each text took half of the time of a conversion.
    """
    found: list[str] = []
    at = len(parts[0])
    if not _stands(parts[0], sql, 0):
        return None
    for part in parts[1:]:
        fits = (f for f in forms if _stands(f, sql, at) and _stands(part, sql, at + len(f)))
        form = next(fits, None)
        if form is None:
            return None
        found.append(sql[at : at + len(form)])
        at += len(form) + len(part)
    return found if at == len(sql) else None


def _stands(part: str, sql: str, at: int) -> bool:
    return sql[at : at + len(part)].lower() == part.lower()


def _user_name(kind: str, name: str) -> str:
    """The name under which the user knows the owner of a text."""
    return name.removesuffix(disk.ROWS) if kind == "table" else name


def _forms(name: str) -> list[str]:
    """The ways to write a name in SQL."""
    quotes = (f"{mark}{name.replace(mark, mark * 2)}{mark}" for mark in "\"`'")
    return [*quotes, f"[{name}]", name]


def _load_spellings(text: object) -> dict[tuple[str, str], list[str]]:
    try:
        entries = json.loads(str(text))
        return {(str(kind), str(name)): [str(s) for s in spelt] for kind, name, spelt in entries}
    except (TypeError, ValueError):
        return {}  # only the quotes in the DDL text depend on it


def _respell(
    db: apsw.Connection, names: ShadowNames, current: Texts, spellings: dict[tuple[str, str], list[str]]
) -> None:
    """Puts the user's spelling of the name back into the texts that the renames changed.

    sqlite.org/lang_altertable.html, "Making Other Kinds Of Table Schema Changes": edit sqlite_schema under
    writable_schema, then count schema_version up, which makes every connection read the schema again.
    """
    place, after = quote(names.schema), _texts(db, names.schema)
    changes = []
    for (kind, name), sql in current.items():
        spelt = spellings.get((kind, _user_name(kind, name)), [])
        parts = sql.split(quote(names.rows_name))
        final = names.name if kind == "table" and name == names.rows_name else name
        now = after.get((kind, final))
        # Changed by a statement since, or a name in a comment: then the quotes stay, the meaning is the same.
        if not spelt or len(parts) != len(spelt) + 1 or now != quote(names.name).join(parts):
            continue
        if not all(form.lower() in {f.lower() for f in _forms(names.name)} for form in spelt):
            continue
        text = parts[0] + "".join(form + part for form, part in zip(spelt, parts[1:], strict=True))
        if text != now:
            changes.append((text, kind, final))
    if not changes:
        return
    version = fetch_one(db, f"PRAGMA {place}.schema_version")
    with switched(db, WRITABLE_SCHEMA, True):
        db.executemany(f"UPDATE {place}.sqlite_schema SET sql=? WHERE type=? AND name=?", changes)
    db.execute(f"PRAGMA {place}.schema_version={version + 1}")
    # This connection has to read the schema again too, now: it cannot while a virtual table connects.
    fetch_one(db, f"SELECT 1 FROM {place}.sqlite_schema LIMIT 1")


def _respell_stored(
    db: apsw.Connection, names: ShadowNames, spellings: dict[tuple[str, str], list[str]]
) -> None:
    """The same for the DDL texts that tables still in column format keep in t_cln_meta.

    They were kept while this table was in column format too, and say its row part's name in REFERENCES.
    """
    for other in column_table_names(db, names.schema):
        neighbour = ShadowNames(names.schema, other)
        parts = str(read_meta(db, neighbour, "ddl")).split(quote(names.rows_name))
        if len(parts) == 1:
            continue
        spelt = spellings.get(("table", other), [])
        if len(parts) != len(spelt) + 1:  # changed by a statement since: the meaning is the same
            spelt = [quote(names.name)] * (len(parts) - 1)
        text = parts[0] + "".join(form + part for form, part in zip(spelt, parts[1:], strict=True))
        write_meta(db, neighbour, "ddl", text)
