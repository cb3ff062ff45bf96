"""A random sequence: tables, rows in them, then statements of all kinds, made from a seed alone."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from random import Random

from tests.differential import changes, definitions, inserts, reads, triggers
from tests.differential.conditions import condition
from tests.differential.families import family
from tests.differential.model import Model, Step, Table, Text
from tests.differential.schemas import create_index, create_table
from tests.differential.values import Dice, quote

Maker = Callable[[Random, Model, Table], Step]
Weights = tuple[tuple[Maker, int], ...]

_WRITES: Weights = (
    (inserts.insert_values, 10),
    (inserts.insert_many, 3),
    (inserts.insert_default, 1),
    (inserts.insert_select, 3),
    (inserts.insert_counted, 1),
    (inserts.insert_series, 3),
    (inserts.upsert, 4),
    (changes.update, 9),
    (changes.delete, 6),
    (changes.change_many, 2),
    (changes.sequence_table, 1),
)
_READS: Weights = (
    (reads.select, 14),
    (reads.select_view, 1),
    (reads.counters, 1),
    (reads.introspection, 2),
    (reads.checks, 1),
)
_STATEMENTS = (*_WRITES, *_READS)
_FAMILIES = ("keys", "neighbours")
# What a sequence is mostly about. "neighbours" are tables that turn to column format and others that cannot, bound by
# foreign keys, with temporary triggers, a second database and savepoints.
_THEMES: dict[str, Weights] = {
    "everything": _STATEMENTS,
    "keys": (*_STATEMENTS, (changes.update, 10), (changes.delete, 6), (inserts.insert_values, 6)),
    "neighbours": (*_STATEMENTS, (changes.update, 8), (changes.delete, 6), (inserts.insert_values, 6)),
    "views": (*_STATEMENTS, (triggers.write_view, 12), (reads.select_view, 4)),
    "upserts": (*_STATEMENTS, (inserts.upsert, 20), (inserts.insert_values, 6)),
}


@dataclass(frozen=True, slots=True)
class Sequence:
    """Statements to run on both sides.

    storage_format   of Colonnade: "column" or "auto"; with "auto" tables are frozen by steps
    batch_size       rows in a row group, 0 for as many as there are
    foreign_keys     whether they are enforced to begin with
    on_file          whether the database is a file, closed and opened again at the end
    attached         whether there is a second database, `aux`
    """

    steps: tuple[Step, ...]
    storage_format: str = "column"
    batch_size: int = 0
    foreign_keys: bool = True
    on_file: bool = False
    attached: bool = False
    seed: int | None = None


@dataclass(slots=True)
class _Maker:
    """The state of a sequence under construction.

    saved      savepoints by name and what the model was at each; BEGIN has no name
    switched   whether enforcement of foreign keys may have changed
    """

    r: Dice
    theme: str
    frozen_by_steps: bool
    triggers: bool
    bulks: bool
    attached: bool
    on_file: bool
    switched: bool = False
    model: Model = field(default_factory=Model)
    steps: list[Step] = field(default_factory=list)
    saved: list[tuple[str, Model]] = field(default_factory=list)

    def table(self) -> Table:
        return self.r.choice(self.model.tables)

    def made(self) -> Step:
        """A statement of the sequence's theme."""
        makers, weights = zip(*_THEMES[self.theme], strict=True)
        maker: Maker = self.r.choices(makers, weights)[0]
        return maker(self.r, self.model, self.table())

    def statement(self) -> None:
        self.steps.append(self.made())

    def start(self) -> None:
        r, model = self.r, self.model
        if self.attached:
            model.schemas = ("main", "aux")
        rows: list[Step] = []
        if self.theme in _FAMILIES:
            tables, rows = family(r, model, r.choice(model.schemas), odd=self.theme == "neighbours")
            self.steps += tables
        filled = len(model.tables)
        for _ in range(r.choice((0, 0, 1) if self.theme in _FAMILIES else (1, 2, 2, 3, 4))):
            self.steps.append(create_table(r, model, r.choice(model.schemas)))
        for _ in range(r.choice((0, 0, 1, 2))):
            self.steps.append(create_index(r, model))
        self.steps += rows
        for table in model.tables[:filled]:
            self.freeze(table)
        if r.random() < 0.2 or self.theme == "views":
            self.steps.append(triggers.new_view(r, model, self.table()))
        if self.theme == "views":
            self.steps += (triggers.instead_of(r, model, self.table()) for _ in range(2))
        if self.triggers:
            self.steps.append(triggers.new_trigger(r, model, self.table()))
        for table in model.tables[filled:]:
            for _ in range(r.choice((1, 2))):
                self.steps.append(inserts.insert_many(r, model, table, r.choice((3, 5, 8, 12))))
            self.freeze(table)

    def freeze(self, table: Table) -> None:
        if self.frozen_by_steps:
            self.steps.append(Step("freeze", table.name, table.schema, "freeze", tables=(table.name,)))

    def attach(self) -> None:
        """Outside a transaction: in one a database that was read is locked, and what reads it differs."""
        if self.saved:
            return self.statement()
        self.steps.append(Step("attach", "", (), "attach"))
        return None

    def transaction(self) -> None:
        """The next bound of a transaction or savepoint."""
        r = self.r
        if not self.saved:
            name = "" if r.random() < 0.7 else "s1"
            sql = f"SAVEPOINT {name}" if name else r.choice(("BEGIN", "BEGIN IMMEDIATE", "BEGIN EXCLUSIVE"))
            self.saved.append((name, self.model.copy()))
        elif len(self.saved) < 3 and r.random() < 0.45:
            name = r.choice(("s1", "s2", f'"s {len(self.saved)}"'))
            sql = f"SAVEPOINT {name}"
            self.saved.append((name, self.model.copy()))
        else:
            sql = self._end()
        self.steps.append(Step("transaction", sql))

    def _end(self) -> str:
        r, (name, before) = self.r, self.saved[-1]
        if not name or r.random() < 0.25:
            rolled_back = r.random() < 0.35
            if rolled_back:
                self.model = self.saved[0][1]
            self.saved.clear()
            return "ROLLBACK" if rolled_back else r.choice(("COMMIT", "COMMIT", "END"))
        if r.random() < 0.45:
            made, self.model = self.model.made, before.copy()
            self.model.made = made
            return f"ROLLBACK TO {name}"
        self.saved.pop()
        return f"RELEASE {name}"

    def switch(self) -> None:
        choices = [
            *("PRAGMA foreign_keys = on", "PRAGMA foreign_keys = on", "PRAGMA foreign_keys = off"),
            *("PRAGMA recursive_triggers = on", "PRAGMA recursive_triggers = off"),
        ]
        if self.saved:  # outside a transaction any statement that reads ends it
            choices += ["PRAGMA defer_foreign_keys = on"] * 3 + ["PRAGMA defer_foreign_keys = off"]
        sql = self.r.choice(choices)
        self.switched = self.switched or "foreign_keys" in sql
        self.steps.append(Step("switch", sql))

    def reading(self) -> None:
        """A sorted query, some of its rows, statements, and the rest of its rows."""
        r, table = self.r, self.table()
        text = Text(r, 0.3)
        where = f" WHERE {condition(text, self.model, table)}" if r.random() < 0.4 else ""
        order = ", ".join(f"+{quote(column.name)}" for column in table.columns)
        order += ", +rowid" if table.rowid else ""
        step = text.step("open cursor", f"SELECT * FROM {table.place}{where} ORDER BY {order}", table)
        self.steps.append(Step(step.kind, step.sql, step.parameters, "open", True, step.tables))
        for _ in range(r.choice((1, 2, 3))):
            self.steps.append(Step("open cursor", "1", (), "fetch", True))
            self.steps.append(self.made())
        self.steps.append(Step("open cursor", "all", (), "fetch", True))

    def loop(self) -> None:
        """`for row in SELECT: UPDATE the row`, of a column that the scan does not go by."""
        table = self.table()
        plain = [c for c in table.stored if not c.key and not any(c.name in key for key in table.keys)]
        if not table.rowid or not plain or table.indexes or self.model.triggers:
            return self.statement()
        column = self.r.choice(plain)
        text = Text(self.r, 0)
        sql = f"UPDATE {table.place} SET {quote(column.name)} = {text.of(column)} WHERE rowid = ?"
        where = f"rowid, * FROM {table.place}"
        self.steps.append(Step("loop", f"SELECT {where}", sql, "loop", True, (table.name,)))
        return None

    def bulk(self) -> None:
        """A transaction in bulk load, most of it INSERTs; keys are compared when it ends.

        Not with rows that were never checked: a parent that comes takes them off SQLite's count of violations, which
        then does not count others. And without text that is not UTF-8, which bulk load refuses.
        """
        r = self.r
        if self.saved or self.switched or r.raw_text:
            return self.statement()
        makers: tuple[Maker, ...] = (inserts.insert_many, inserts.insert_values)
        if r.random() < 0.4:
            makers += (inserts.insert_select, changes.update, changes.delete, reads.select, inserts.upsert)
        parts = tuple(r.choice(makers)(r, self.model, self.table()) for _ in range(r.choice((1, 2, 4))))
        tables = tuple(name for step in parts for name in step.tables)
        self.steps.append(Step("bulk load", "", parts, "bulk", False, tables))
        return None

    def define(self) -> None:
        r, model = self.r, self.model
        kinds = definitions.KINDS + ((triggers.new_trigger, triggers.instead_of) if self.triggers else ())
        names = [table.name for table in model.tables]
        if len(set(names)) < len(
            names
        ):  # SQLite itself mistakes a hidden table for the temporary one in ALTER
            kinds = tuple(kind for kind in kinds if kind not in definitions.ALTERING)
        self.steps.append(r.choice(kinds)(r, model, self.table()))

    def one(self) -> None:
        """One step, or a few that belong together."""
        r = self.r
        steps: list[tuple[Callable[[], None], float]] = [
            (self.transaction, 20 if self.theme in _FAMILIES else 12),
            (self.define, 7),
            (self.switch, 4),
            (self.reading, 4),
            (self.loop, 2),
            (self.bulk, 6 if self.bulks else 0),
            (lambda: self.freeze(self.table()), 12 if self.frozen_by_steps else 0),
            (self.attach, 2 if self.attached and self.on_file else 0),
            (self.statement, 55),
        ]
        makers, weights = zip(*steps, strict=True)
        r.choices(makers, weights)[0]()


def sequence(seed: int) -> Sequence:
    """The sequence of a seed."""
    r = Dice(seed)
    storage_format = "column" if r.random() < 0.6 else "auto"
    theme = r.choices(tuple(_THEMES), (35, 28, 17, 8, 12))[0]
    r.raw_text = r.random() < 0.1
    on_file, attached = r.random() < 0.12, r.random() < (0.4 if theme == "neighbours" else 0.2)
    triggered = r.random() < {"views": 0.4, "neighbours": 0.4}.get(theme, 0.1)
    maker = _Maker(r, theme, storage_format == "auto", triggered, r.random() < 0.25, attached, on_file)
    maker.start()
    for _ in range(r.choice((8, 14, 20))):
        maker.one()
    return Sequence(
        tuple(maker.steps),
        storage_format,
        r.choice((0, 1, 2, 3, 5, 17, 17)),
        r.random() < (0.95 if theme in _FAMILIES else 0.8),
        on_file,
        attached,
        seed,
    )
