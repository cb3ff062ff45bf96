"""Before SQLite runs a text that writes: what it will look at is brought where SQLite can see it.

A virtual table cannot be written, and SQLite's own foreign keys only see the row part of a table. So the rows that
a write needs are thawed (`sql.thaw`), and the user's text runs with the row part in its target's place. Where that
is not known to be the same (`sql.writeplan.NotThawable`), and for what redefines tables, everything that the
statement writes or sets off (`sql.effects`) returns to row format first, and the text runs as it is.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass

import apsw

from colonnade.sql.effects import Effect, Place, Reach, replaces_rows
from colonnade.sql.finding import Finder
from colonnade.sql.indexes import forget_keys, is_plain_key, on_row_part, remember_spelling
from colonnade.sql.plans import Planned, Plans
from colonnade.sql.pointwrite import Points
from colonnade.sql.redefine import moves_references, renames, stays_covered
from colonnade.sql.schema import Schema, fold, read_schema
from colonnade.sql.sets import SetWrite
from colonnade.sql.shown import home_of
from colonnade.sql.splice import spliced
from colonnade.sql.statement import CACHED_CHARACTERS, Statement, Target, parse
from colonnade.sql.thaw import ManyRows, Params, Settings, Thaw
from colonnade.sql.tokens import quote
from colonnade.sql.writeplan import NotThawable
from colonnade.store.database import Store
from colonnade.store.merge import compact
from colonnade.store.table import ColumnTable

_CACHED_DECISIONS = 512


@dataclass(frozen=True, slots=True)
class Ready:
    """What SQLite shall run in place of the user's text, and what is to be looked after when it has.

    touched  tables in column format that may have lost the row with the largest rowid
    set_wise  to be run in place of any text; where it says NotThawable, `before` has to be asked again
    written  (schema, table): where its target is in column format, that
    redefines  tables in column format that the statement redefines or refers to: to be run within
               `sql.redefine.redefined`, and where that says NotCoverable, after `Router.restore`
    indexes  the table in column format that gets a UNIQUE index: its key is to be checked in row groups
    """

    text: str
    touched: tuple[ColumnTable, ...] = ()
    set_wise: SetWrite | None = None
    written: Place | None = None
    redefines: tuple[ColumnTable, ...] = ()
    indexes: ColumnTable | None = None


class Router:
    """Routes the statements of one connection.

    foreign_keys     whether the connection enforces them
    storage_format   "auto", "row" or "column"
    unseen           around statements that the program must not see in its counters of changes
    owing            whether rows owe a validation
    finder           what finds rows by vectorised queries; set by whoever has them

    Restoring does not change what a table holds. In autocommit mode it is a transaction of its own before
    the statement's: should the statement fail, the tables are in row format, with the same rows.
    """

    def __init__(
        self,
        store: Store,
        *,
        foreign_keys: Callable[[], bool],
        storage_format: Callable[[], str],
        unseen: Callable[[], AbstractContextManager[None]] = nullcontext,
        owing: Callable[[], bool] = lambda: False,
    ) -> None:
        self._store, self._db = store, store.db
        self._foreign_keys, self._storage_format = foreign_keys, storage_format
        self._unseen, self._owing = unseen, owing
        self._schemas: dict[str, tuple[int, Schema]] = {}
        self._decisions: dict[tuple[object, ...], list[Place]] = {}
        self._plans = Plans()
        self.finder: Finder | None = None
        self._points = Points(store)
        self._places: dict[tuple[object, ...], Place | None] = {}
        self._texts: dict[tuple[str, str, str], str] = {}
        self._unfrozen: dict[Place, None] = {}
        self._db.set_rollback_hook(self.forget, id=self)

    def close(self) -> None:
        """Lets go of the connection."""
        self._db.set_rollback_hook(None, id=self)

    def forget(self) -> None:
        """Forgets schemas: after a rollback a schema version can come back with another meaning."""
        self._places.clear()
        self._points.clear()
        self._schemas.clear()
        self._decisions.clear()
        self._plans.clear()

    def schema(self, name: str = "main") -> Schema:
        """The tables of a schema, read again when it has changed."""
        version = self._store.version(name)
        known = self._schemas.get(name)
        if known is None or known[0] != version:
            with self._unseen():  # to read CHECKs counts as a statement that changes no row
                known = self._schemas[name] = (version, read_schema(self._db, name))
        return known[1]

    def looks_at(self, statement: Statement) -> bool:
        """Whether `before` needs the values that will be bound to the statement."""
        return statement.verb in _WRITES and bool(self.touched(statement))

    def before(
        self, statement: Statement, params: Params = (), *, thaw: bool = True, sets: bool = False
    ) -> Ready:
        """Makes it right for SQLite to run a text, and says which. Costs nothing for a SELECT.

        params  the values that will be bound to it
        thaw    False: rows that owe a validation have no place in a row part's keys; restore the tables
        sets    whether Ready.set_wise may be the answer
        """
        if statement.verb == "VACUUM" and not self._db.in_transaction and not statement.mentions("into"):
            self._store.pin_rowids()
        if statement.verb == "EXPLAIN" and statement.inner in _WRITES:
            return Ready(self.as_run(statement))
        if statement.verb == "DROP" and statement.subject == "TRIGGER" and statement.object is not None:
            self._freed_by(statement.object)
        places = self.touched(statement)
        if not places:
            return Ready(self._indexing(statement))
        if thaw and statement.verb in _WRITES:
            ready = self._thawed(statement, params, sets)
            if ready is not None:
                return ready
        if thaw and (ready := self._redefining(statement, places)) is not None:
            return ready
        self.restore(places)
        return Ready(statement.text)

    def point(self, statement: Statement, params: Params) -> Ready | None:
        """`before`, for statements about single rows that their parameters name; None: ask that."""
        if self._violations_counted():
            return None
        return self._points.ready(statement.text, params, foreign_keys=self._foreign_keys())

    def _redefining(self, statement: Statement, places: Sequence[Place]) -> Ready | None:
        """For what changes the schema and lets these tables stay in column format; None: it may not."""
        found = [self._store.table(name, schema) for schema, name in places]
        tables = tuple(table for table in found if table is not None)
        if stays_covered(statement):
            return Ready(statement.text, redefines=tables)
        if statement.verb == "CREATE" and statement.subject == "INDEX" and is_plain_key(statement):
            return Ready(self._indexing(statement), indexes=tables[0])
        return None

    def _thawed(self, statement: Statement, params: Params, sets: bool) -> Ready | None:
        """The statement on row parts, with all that it needs in them; None where that is not known to be right."""
        place = self._place(statement.target)
        if place is None:
            return None
        schema = self.schema(place[0])
        plan, set_plan = self._planned(statement, place, named=isinstance(params, Mapping))
        if plan is None:
            return None
        counted, triggered = self._violations_counted(), self._triggered(schema)
        settings = Settings(self._foreign_keys(), counted, triggered, self.finder)
        write = None
        if sets and set_plan is not None:
            write = SetWrite(self._store, set_plan, statement, params, self.finder)
            write = write if write.suits(counted=counted) else None
        thaw, column_table = Thaw(self._store, schema, settings), self._store.table(place[1], place[0])
        at_once = None if column_table is None else Ready(statement.text, (column_table,), write, place)
        if write is not None and (plan.deletes or write.brings_few):
            return at_once
        if plan.once:
            return None
        try:
            thaw.prepare(plan, params, at_most=write.few if write is not None else None)
        except ManyRows:
            return at_once
        except (
            NotThawable,
            LookupError,
            apsw.SQLError,
            UnicodeDecodeError,
        ):  # of a wrong statement SQLite itself says what is wrong; text that is not UTF-8 only it can compare
            return None
        ready = Ready(self.as_run(statement), tuple(thaw.touched.values()), written=place)
        if not thaw.touched:
            self._points.learn(statement.text, plan, schema, ready, foreign_keys=self._foreign_keys())
        return ready

    def as_run(self, statement: Statement) -> str:
        """The text with the row part in its target's place, if that is in column format."""
        place = self._place(statement.target)
        table = None if place is None else self._store.table(place[1], place[0])
        if place is None or table is None or not (statement.insert or statement.change):
            return statement.text
        key = statement.text, place[0], table.rows_name
        if key not in self._texts:
            if len(self._texts) >= _CACHED_DECISIONS:
                self._texts.clear()
            self._texts[key] = spliced(statement, place[0], table.rows_name)
        return self._texts[key]

    def _planned(self, statement: Statement, place: Place, *, named: bool) -> Planned:
        schema = self.schema(place[0])
        version, triggered = self._schemas[place[0]][0], self._triggered(schema)
        settings = Settings(self._foreign_keys(), counted=False, triggered=triggered)
        return self._plans.of(statement, schema, place[1], settings, version=version, named=named)

    def search(self, statement: Statement, params: Params) -> str | None:
        """The query that finds the rows that an UPDATE or DELETE changes, if there is need of one."""
        place = self._place(statement.target)
        if place is None or statement.change is None or self._store.table(place[1], place[0]) is None:
            return None
        plan, set_plan = self._planned(statement, place, named=isinstance(params, Mapping))
        if set_plan is not None:
            return set_plan.unordered if set_plan.looks_for_rows else None
        return None if plan is None else plan.query

    def _triggered(self, schema: Schema) -> frozenset[str]:
        """The folded names of what has triggers."""
        triggers = (*schema.triggers, *self.schema("temp").triggers)
        return frozenset(fold(trigger.table) for trigger in triggers)

    def _freed_by(self, dropped: Target) -> None:
        """What a trigger mentioned may turn to column format once it is gone."""
        for home in [dropped.schema] if dropped.schema else self._db.db_names():
            known = self._schema_named(home)
            for trigger in self.schema(known).triggers if known else ():
                if fold(trigger.name) != fold(dropped.name):
                    continue
                text = parse(trigger.sql)
                for name in self._db.db_names() if known == "temp" else [known or home]:
                    tables = self.schema(name).tables.values()
                    self._unfrozen.update({(name, t.name): None for t in tables if text.mentions(t.name)})

    def failed(self, statement: Statement) -> None:
        """SQLite has undone what a statement did to the schema, and must read it again before a virtual table
        connects: while that connects it cannot, and would not come to an end."""
        if statement.is_ddl:
            self.forget()
            self._store.invalidate()
            for schema in self._db.db_names():
                self._db.execute(f"SELECT 1 FROM {quote(schema)}.sqlite_schema LIMIT 1").fetchall()

    def restore(self, places: Sequence[Place]) -> None:
        """Returns tables to row format."""
        with self._db:
            for schema, name in places:
                self._store.restore(name, schema)
        self._unfrozen.update(dict.fromkeys(places))

    def after(self, statement: Statement, ready: Ready | None = None, *, busy: bool = False) -> None:
        """The largest rowids are in the row parts again. With storage_format=column: the tables written turn to
        column format, with all their rows.

        busy   some statement of the connection is still being read; then they wait for the next write
        """
        for table in ready.touched if ready is not None else ():
            table.keep_largest()
        if statement.verb in ("ROLLBACK", "ATTACH", "DETACH"):
            self.forget()
            self._store.invalidate()
        elif statement.verb == "DROP" and statement.subject == "INDEX":
            forget_keys(self._store)
        elif ready is not None and ready.written is not None and self._storage_format() == "auto":
            self._store.policy.wrote(*ready.written)
        elif self._storage_format() == "column":
            place = self._place(statement.target) if _may_add_rows(statement) else None
            if place is not None:
                self._unfrozen[place] = None
            # What froze would count as checked.
            if self._unfrozen and not (busy or self._owing() or self._violations_counted()):
                self._freeze()

    def settles(self, statement: Statement, ready: Ready) -> bool:
        """Does what `after` does for most writes, which needs no statement; False: nothing was done."""
        if not statement.is_dml or ready.touched or self._storage_format() != "auto":
            return False
        if ready.written is not None:
            self._store.policy.wrote(*ready.written)
        return True

    def before_commit(self, busy: Callable[[], bool]) -> None:
        """What was written in the transaction is frozen and merged as far as the freeze policy wants it.

        Costs nothing where no table in column format was written, else a few microseconds.
        """
        if self._store.policy.waiting and self._storage_format() == "auto" and not self._violations_counted():
            self._store.policy.settle(busy)

    def _indexing(self, statement: Statement) -> str:
        """The text to run: a CREATE INDEX on a table in column format makes one of the row part."""
        if statement.inner != "CREATE" or statement.subject != "INDEX":
            return statement.text
        place = self._place(statement.target)
        table = None if place is None else self._store.table(place[1], place[0])
        if table is None or statement.object is None:
            return statement.text
        if statement.verb == "CREATE" and self._owner_of_index(statement.object) is None:
            remember_spelling(statement, table)
        return on_row_part(statement, table)

    def touched(self, statement: Statement) -> list[Place]:
        """The tables in column format that `before` would restore, as (schema, table).

        Cost: nothing for what writes nothing; else 5 microseconds without a table in column format, 20 with.
        """
        decide = _DECIDERS.get(statement.inner)
        if decide is None or not self._store.has_column_tables():
            return []
        key = (statement.text, self._foreign_keys(), self._violations_counted(), self._store.versions())
        places = self._decisions.get(key)
        if places is None:
            reach = Reach(
                {name: self.schema(name) for name in self._db.db_names()}, key[1] is True, key[2] is True
            )
            decide(self, statement, reach)
            places = [place for place in reach.places if self._store.table(place[1], place[0]) is not None]
            if len(statement.text) <= CACHED_CHARACTERS:
                if len(self._decisions) >= _CACHED_DECISIONS:
                    self._decisions.clear()
                self._decisions[key] = places
        return places

    # --- what each kind of statement touches: each adds to reach.places ------------------------------------

    def _write(self, statement: Statement, reach: Reach) -> None:
        place = self._place(statement.target)
        if place is None:
            return
        schema, name = place
        if name.lower() == "sqlite_sequence":
            for counted in reach.schemas[schema].tables.values():
                if counted.autoincrement:
                    reach.places[schema, counted.name] = None
            return
        table = reach.schemas[schema].table(name)
        effect, assigned = _effect(statement)
        if table is not None and effect is not Effect.DELETE and replaces_rows(table):
            effect |= Effect.DELETE
        reach.write(schema, name, effect, assigned)

    def _alter(self, statement: Statement, reach: Reach) -> None:
        """Children too: a new name of the table or of a column goes into their REFERENCES clauses. And parents: how
        the user spelt their names is remembered under the table's name."""
        place = self._place(statement.target)
        if place is None:
            return
        schema, name = place
        reach.places[place] = None
        if renames(statement):
            for child, _ in reach.schemas[schema].children_of(name):
                reach.places[schema, child.name] = None
        table = reach.schemas[schema].table(name)
        if table is not None and moves_references(statement):
            for key in table.foreign_keys:
                reach.places[schema, key.parent] = None
        self._create(statement, reach)

    def _drop(self, statement: Statement, reach: Reach) -> None:
        """DROP TABLE deletes the rows first, for foreign keys; an index is one of the row part alone."""
        if statement.subject == "TABLE":
            place = self._place(statement.target)
            if place is not None:
                reach.write(*place, Effect.DELETE)

    def _create(self, statement: Statement, reach: Reach) -> None:
        """REFERENCES must name a real table; a trigger keeps all that it mentions in row format, and a UNIQUE
        index has to look at every row."""
        made = statement.object
        if statement.subject == "INDEX":
            if not statement.mentions("unique"):
                return
            place = self._place(statement.target)
            if place is not None and made is not None and self._owner_of_index(made) is None:
                reach.places[place] = None
        elif statement.subject == "TRIGGER" or (
            statement.subject == "TABLE" and statement.mentions("references")
        ):
            if statement.verb == "CREATE" and made is not None and self._exists(made, statement.subject):
                return
            for schema in reach.schemas.values():
                for table in schema.tables.values():
                    if statement.mentions(table.name):
                        reach.places[schema.name, table.name] = None

    # --- finding things ------------------------------------------------------------------------------------

    def _place(self, target: Target | None) -> Place | None:
        """The schema and spelling of the table or view that SQLite takes a name for."""
        if target is None:
            return None
        key = target, self._store.versions()
        if key not in self._places:
            if len(self._places) >= _CACHED_DECISIONS:
                self._places.clear()
            self._places[key] = self._looked_up(target)
        return self._places[key]

    def _looked_up(self, target: Target) -> Place | None:
        wanted = self._schema_named(target.schema)
        if target.schema is not None and wanted is None:
            return None
        home = home_of(self._db, target.name, wanted)
        if home is None:
            return None
        table = self.schema(home).table(target.name)
        return home, table.name if table else target.name

    def _schema_named(self, name: str | None) -> str | None:
        return next((n for n in self._db.db_names() if name and n.lower() == name.lower()), None)

    def _owner_of_index(self, index: Target) -> Place | None:
        wanted = self._schema_named(index.schema)
        if index.schema is not None and wanted is None:
            return None
        for schema in [wanted] if wanted else self._db.db_names():
            owner = self._find(schema, index.name, "index")
            if owner is not None:
                for table in self._store.tables(schema):
                    if table.rows_name.lower() == owner.lower():
                        return schema, table.name
                return schema, owner
        return None

    def _exists(self, made: Target, subject: str) -> bool:
        schema = self._schema_named(made.schema or "main")
        return schema is not None and self._find(schema, made.name, subject.lower()) is not None

    def _find(self, schema: str, name: str, kind: str) -> str | None:
        """The table that an object of the schema belongs to; None if there is no such object."""
        owner: str | None = self._db.execute(
            f"SELECT tbl_name FROM {quote(schema)}.sqlite_schema WHERE type=? AND name=? COLLATE NOCASE",
            (kind, name),
        ).get
        return owner

    # --- storage_format=column -----------------------------------------------------------------------------

    def _violations_counted(self) -> bool:
        """Whether violations of deferred foreign keys are counted; SQLite must find the same rows again."""
        return bool(self._db.status(apsw.SQLITE_DBSTATUS_DEFERRED_FKS)[0])

    def _freeze(self) -> None:
        for place in list(self._unfrozen):
            schema, name = place
            try:
                if self._store.table(name, schema) is None:
                    if self._store.ineligible(name, schema) is not None or self._is_empty(schema, name):
                        del self._unfrozen[place]
                        continue
                    self._store.convert(name, schema)
                table = self._store.table(name, schema)
                if table is not None:
                    table.freeze()
                    compact(table, self._store.batch_rows(name, schema))
            except (apsw.LockedError, apsw.BusyError):
                continue  # the statement itself went well: the next write tries again
            del self._unfrozen[place]

    def _is_empty(self, schema: str, name: str) -> bool:
        return self._db.execute(f"SELECT 1 FROM {quote(schema)}.{quote(name)} LIMIT 1").get is None


_WRITES = frozenset({"INSERT", "REPLACE", "UPDATE", "DELETE"})
_DECIDERS = {
    **dict.fromkeys(("INSERT", "REPLACE", "UPDATE", "DELETE"), Router._write),
    "ALTER": Router._alter,
    "DROP": Router._drop,
    "CREATE": Router._create,
}


def _effect(statement: Statement) -> tuple[Effect, tuple[str, ...] | None]:
    """What a DML statement does to its target, and the columns that an UPDATE assigns (None: any)."""
    insert, change = statement.insert, statement.change
    if insert is not None:
        effect = Effect.INSERT
        if insert.conflict == "REPLACE":
            effect |= Effect.DELETE
        if insert.upsert:
            effect |= Effect.UPDATE
        return effect, None
    if statement.inner == "DELETE" or change is None:
        return Effect.DELETE if change else Effect.ANY, None
    if change.conflict == "REPLACE":
        return Effect.UPDATE | Effect.DELETE, change.assigned
    return Effect.UPDATE, change.assigned


def _may_add_rows(statement: Statement) -> bool:
    return statement.is_dml or (statement.verb == "CREATE" and statement.subject == "TABLE")
