"""Random families of tables: chains of foreign keys three deep and more, cycles, self-references, diamonds."""

from __future__ import annotations

from dataclasses import dataclass, field
from random import Random

from tests.differential.model import Column, Model, Step, Table
from tests.differential.schemas import actions
from tests.differential.values import KEYS, bindable, literal, quote, value_of

_COLLATIONS = ("", "", " COLLATE NOCASE", " COLLATE RTRIM")
# What keys are made of, column by column.
_SHAPES = (
    ("rowid",),
    ("rowid",),
    ("int",),
    ("text",),
    ("text",),
    ("any",),
    ("few", "word"),
    ("word", "word"),
)
_TYPES = {"rowid": "INTEGER", "int": "INTEGER", "few": "INT", "text": "TEXT", "word": "VARCHAR(5)", "any": ""}


@dataclass(slots=True)
class _Link:
    """A foreign key: columns of the child, and the number of the parent. `later`: its rows come after the child's."""

    columns: list[str]
    parent: int
    later: bool = False


@dataclass(slots=True)
class _Member:
    table: Table
    links: list[_Link] = field(default_factory=list)
    constraints: list[str] = field(default_factory=list)
    definitions: list[str] = field(default_factory=list)


class _Family:
    """`odd`: often WITHOUT ROWID, with generated columns and with UNIQUE indexes on expressions or some rows."""

    def __init__(self, r: Random, model: Model, schema: str, *, odd: bool) -> None:
        self.r, self.schema, self.odd = r, schema, odd
        self.shape = r.choice(_SHAPES)
        self.shared_keys = self.shape != ("rowid",) and r.random() < 0.35
        count = r.choice((3, 4, 4, 5) if odd else (2, 3, 3, 4))
        self.members = [_Member(Table(model.new("f"), [], schema)) for _ in range(count)]
        for number in range(len(self.members)):
            self.make(number)
        if r.random() < 0.35:  # a cycle
            self.link(0, len(self.members) - 1, later=True)
        model.tables += [member.table for member in self.members]

    def make(self, number: int) -> None:
        r, member = self.r, self.members[number]
        table = member.table
        names = [f"k{n}" for n in range(len(self.shape))]
        for name, domain in zip(names, self.shape, strict=True):
            self.column(member, name, domain, key=True)
        self.key(member, names)
        if number:
            parent = number - 1 if r.random() < 0.85 else r.randrange(number)
            if self.shared_keys:  # a key that is a foreign key as well: an update runs through all levels
                self.constrain(member, names, parent, later=False)
            else:
                self.link(number, parent)
        if number == len(self.members) - 1 and number > 1 and r.random() < 0.4:
            self.link(number, r.randrange(number))
        if r.random() < 0.3:
            self.link(number, number, later=True)
        for _ in range(r.choice((1, 2))):
            self.column(member, f"v{len(table.columns)}", r.choice(("int", "text", "any")))
        if self.odd and r.random() < 0.25:
            self.generated(member)

    def generated(self, member: _Member) -> None:
        """A generated column, at times of a key's, at times UNIQUE: then its table stays in row format."""
        r, name = self.r, f"g{len(member.table.columns)}"
        source = r.choice(member.table.columns).name
        stored = r.choice(("STORED", "VIRTUAL"))
        unique = r.choice(("", "", " UNIQUE"))
        made = r.choice((f"{source} || 'x'", f"abs({source}) % 5", f"coalesce({source}, 0)"))
        member.table.columns.append(Column(name, "", "any", generated=True))
        member.definitions.append(f"{name} AS ({made}) {stored}{unique}")

    def key(self, member: _Member, names: list[str]) -> None:
        member.table.keys.append(tuple(names))
        if self.shape == ("rowid",):
            member.table.ipk = names[0]
            member.definitions[-1] += " PRIMARY KEY"
            if self.odd and self.r.random() < 0.25:
                member.table.rowid, member.table.ipk = False, None
            return
        unique = self.r.random() < 0.3
        member.constraints.append(
            f"{'UNIQUE' if unique else 'PRIMARY KEY'}({', '.join(names)})"
            + self.r.choice(("", "", "", "", " ON CONFLICT REPLACE"))
        )
        if not unique and self.r.random() < (0.25 if self.odd else 0.06):
            member.table.rowid = False

    def column(self, member: _Member, name: str, domain: str, *, key: bool = False) -> None:
        r, decl = self.r, _TYPES[domain]
        needed = not key and r.random() < 0.08
        text = f"{name} {decl}" + (r.choice(_COLLATIONS) if domain in ("text", "word", "any") else "")
        if not key and r.random() < 0.25:
            text += f" DEFAULT {literal(value_of(r, domain, 0))}"
        if needed:
            text += " NOT NULL"
        member.table.columns.append(
            Column(name, decl, domain, needed="DEFAULT" not in text and needed, key=key)
        )
        member.definitions.append(text)

    def link(self, number: int, parent: int, *, later: bool = False) -> None:
        """A foreign key with columns of its own."""
        member = self.members[number]
        names = [f"p{len(member.table.columns) + n}" for n in range(len(self.shape))]
        for name, domain in zip(names, self.shape, strict=True):
            self.column(member, name, "int" if domain == "rowid" else domain)
        self.constrain(member, names, parent, later=later)

    def constrain(self, member: _Member, names: list[str], parent: int, *, later: bool) -> None:
        member.links.append(_Link(names, parent, later))
        keys = f"({', '.join(f'k{n}' for n in range(len(self.shape)))})"
        target = quote(self.members[parent].table.name)
        member.constraints.append(
            f"FOREIGN KEY({', '.join(names)}) REFERENCES {target}{keys}{actions(self.r, 0.85)}"
        )

    def steps(self) -> list[Step]:
        made = []
        for member in self.members:
            table = member.table
            inner = ", ".join([*member.definitions, *member.constraints])
            ending = "" if table.rowid else " WITHOUT ROWID"
            made.append(
                Step("create table", f"CREATE TABLE {table.bare}({inner}){ending}", tables=(table.name,))
            )
            prefix = "" if table.schema == "main" else table.prefix
            if self.odd and self.r.random() < 0.25:
                made.append(self.unique_index(table, prefix))
            for link in member.links:
                if self.r.random() < 0.4:
                    name = f"{table.name}_{link.columns[0]}"
                    sql = f"CREATE INDEX {prefix}{name} ON {table.name}({', '.join(link.columns)})"
                    made.append(Step("create index", sql, tables=(table.name,)))
                    table.indexes.append(name)
        return made

    def unique_index(self, table: Table, prefix: str) -> Step:
        """UNIQUE on an expression, on some of the rows, or both."""
        r = self.r
        column, other = r.choice(table.columns).name, r.choice(table.columns).name
        term = r.choice((column, f"{column} || 'u'", f"{column}, {other}", f"coalesce({column}, {other})"))
        where = r.choice((f"{other} > 4", f"{column} IS NOT NULL", f"typeof({other}) = 'text'"))
        partial = "" if term not in (column, f"{column}, {other}") and r.random() < 0.5 else f" WHERE {where}"
        name = f"{table.name}_u"
        table.indexes.append(name)
        sql = f"CREATE UNIQUE INDEX {prefix}{name} ON {table.name}({term}){partial}"
        return Step("create index", sql, tables=(table.name,))

    def rows(self) -> list[Step]:
        """Rows for all: keys of the parents before those of their children, NULL for what comes later."""
        keys: list[list[tuple[object, ...]]] = []
        steps = []
        for member in self.members:
            names = [column.name for column in member.table.stored]
            mine: list[tuple[object, ...]] = []
            rows = []
            for _ in range(self.r.choice((3, 5, 7))):
                row = self._row(member, keys)
                rows.append(tuple(row[name] for name in names))
                mine.append(tuple(row[f"k{n}"] for n in range(len(self.shape))))
            keys.append(mine)
            marks = ", ".join("?" * len(names))
            sql = f"INSERT OR IGNORE INTO {member.table.place}({', '.join(names)}) VALUES ({marks})"
            steps.append(Step("executemany", sql, rows, "many", tables=(member.table.name,)))
        return steps

    def _row(self, member: _Member, keys: list[list[tuple[object, ...]]]) -> dict[str, object]:
        r = self.r
        row: dict[str, object] = {}
        for column in member.table.stored:
            value = value_of(r, column.domain, 0.03)
            row[column.name] = value if bindable(value) else None
        for name, domain in zip((f"k{n}" for n in range(len(self.shape))), self.shape, strict=True):
            row[name] = r.randint(1, 9) if domain == "rowid" else r.choice(KEYS[domain])
        for link in member.links:
            found = (None,) * len(self.shape) if link.later else r.choice(keys[link.parent])
            row.update(zip(link.columns, found, strict=True))
        return row


def family(
    r: Random, model: Model, schema: str = "main", *, odd: bool = False
) -> tuple[list[Step], list[Step]]:
    """New tables, known to the model from here on: what makes them, and rows for them. `odd`: see _Family."""
    made = _Family(r, model, schema, odd=odd)
    return made.steps(), made.rows()
