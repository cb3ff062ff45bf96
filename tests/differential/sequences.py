"""A random sequence: tables, rows in them, then statements of all kinds, made from a seed alone."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from random import Random

from tests.differential import definitions, reads, writes
from tests.differential.conditions import condition
from tests.differential.model import Model, Step, Table, Text
from tests.differential.schemas import create_index, create_table
from tests.differential.values import quote

Maker = Callable[[Random, Model, Table], Step]

_WRITES: tuple[tuple[Maker, int], ...] = (
    (writes.insert_values, 10),
    (writes.insert_many, 3),
    (writes.insert_default, 1),
    (writes.insert_select, 3),
    (writes.upsert, 4),
    (writes.update, 9),
    (writes.delete, 6),
    (writes.change_many, 2),
)
_READS: tuple[tuple[Maker, int], ...] = (
    (reads.select, 14),
    (reads.select_view, 1),
    (reads.counters, 1),
    (reads.introspection, 2),
    (reads.checks, 1),
)
_STATEMENTS = (*_WRITES, *_READS)


@dataclass(frozen=True, slots=True)
class Sequence:
    """Statements to run on both sides.

    storage_format   of Colonnade: "column" or "auto"; with "auto" tables are frozen by steps
    batch_size       rows in a row group, 0 for as many as there are
    foreign_keys     whether they are enforced to begin with
    on_file          whether the database is a file, closed and opened again at the end
    """

    steps: tuple[Step, ...]
    storage_format: str = "column"
    batch_size: int = 0
    foreign_keys: bool = True
    on_file: bool = False
    seed: int | None = None


@dataclass(slots=True)
class _Maker:
    """The state of a sequence under construction."""

    r: Random
    frozen_by_steps: bool
    triggers: bool
    bulks: bool
    model: Model = field(default_factory=Model)
    steps: list[Step] = field(default_factory=list)
    saved: list[tuple[str, Model]] = field(default_factory=list)  # savepoints; BEGIN has no name

    def table(self) -> Table:
        return self.r.choice(self.model.tables)

    def statement(self) -> None:
        makers, weights = zip(*_STATEMENTS, strict=True)
        self.steps.append(self.r.choices(makers, weights)[0](self.r, self.model, self.table()))

    def start(self) -> None:
        r, model = self.r, self.model
        for _ in range(r.choice((1, 2, 2, 3, 4))):
            self.steps.append(create_table(r, model))
        for _ in range(r.choice((0, 0, 1, 2))):
            self.steps.append(create_index(r, model))
        if r.random() < 0.2:
            self.steps.append(definitions.new_view(r, model, self.table()))
        if self.triggers:
            self.steps.append(definitions.new_trigger(r, model, self.table()))
        for table in model.tables:
            for _ in range(r.choice((1, 2))):
                self.steps.append(writes.insert_many(r, model, table))
            self.freeze(table)

    def freeze(self, table: Table) -> None:
        if self.frozen_by_steps:
            self.steps.append(Step("freeze", table.name, (), "freeze", tables=(table.name,)))

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
        choices = ["PRAGMA foreign_keys = on", "PRAGMA foreign_keys = off", "PRAGMA recursive_triggers = on"]
        if self.saved:  # outside a transaction any statement that reads ends it
            choices += ["PRAGMA defer_foreign_keys = on"] * 3 + ["PRAGMA defer_foreign_keys = off"]
        sql = self.r.choice(choices)
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
        makers, weights = zip(*_STATEMENTS, strict=True)
        for _ in range(r.choice((1, 2, 3))):
            self.steps.append(Step("open cursor", "1", (), "fetch", True))
            self.steps.append(r.choices(makers, weights)[0](r, self.model, self.table()))
        self.steps.append(Step("open cursor", "all", (), "fetch", True))

    def loop(self) -> None:
        """`for row in SELECT: UPDATE the row`, of a column that the scan does not go by."""
        table = self.table()
        plain = [c for c in table.stored if not c.key and not any(c.name in key for key in table.keys)]
        if not table.rowid or not plain or table.indexes:
            return self.statement()
        column = self.r.choice(plain)
        text = Text(self.r, 0)
        sql = f"UPDATE {table.place} SET {quote(column.name)} = {text.of(column)} WHERE rowid = ?"
        where = f"rowid, * FROM {table.place}"
        self.steps.append(Step("loop", f"SELECT {where}", sql, "loop", True, (table.name,)))
        return None

    def bulk(self) -> None:
        """A transaction of INSERTs in bulk load; keys are compared when it ends."""
        r = self.r
        if self.saved:
            return self.statement()
        inserts: list[Step] = []
        for _ in range(r.choice((1, 2, 4))):
            maker = r.choice((writes.insert_many, writes.insert_values))
            step = maker(r, self.model, self.table())
            if step.sql.startswith("INSERT INTO") and "RETURNING" not in step.sql:
                inserts.append(step)
        tables = tuple(name for step in inserts for name in step.tables)
        self.steps.append(Step("bulk load", "", tuple(inserts), "bulk", False, tables))
        return None

    def define(self) -> None:
        kinds = definitions.KINDS + ((definitions.new_trigger,) if self.triggers else ())
        self.steps.append(self.r.choice(kinds)(self.r, self.model, self.table()))

    def one(self) -> None:
        r = self.r
        roll = r.random()
        if roll < 0.12:
            self.transaction()
        elif roll < 0.19:
            self.define()
        elif roll < 0.22:
            self.switch()
        elif roll < 0.26:
            self.reading()
        elif roll < 0.28:
            self.loop()
        elif roll < 0.34 and self.bulks:
            self.bulk()
        elif roll < 0.45 and self.frozen_by_steps:
            self.freeze(self.table())
        else:
            self.statement()


def sequence(seed: int) -> Sequence:
    """The sequence of a seed."""
    r = Random(seed)
    storage_format = "column" if r.random() < 0.6 else "auto"
    maker = _Maker(r, storage_format == "auto", r.random() < 0.12, r.random() < 0.25)
    on_file = r.random() < 0.1
    maker.start()
    for _ in range(r.choice((8, 14, 20))):
        maker.one()
    steps = tuple(maker.steps)
    return Sequence(steps, storage_format, r.choice((0, 1, 2, 3, 5)), r.random() < 0.85, on_file, seed)
