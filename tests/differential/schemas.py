"""Random tables: keys, affinities, collations, constraints and foreign keys of all kinds."""

from __future__ import annotations

from random import Random
from string import ascii_lowercase

from tests.differential.model import Column, Model, Step, Table
from tests.differential.values import literal, quote, value_of

_ODD_TABLES = ("a b", "select", "Ünï", 'q"t', "x.y", "T-1", "order", "it's")
_ODD_COLUMNS = ("order", 'k "q"', "ä", "x y", "group", "B.c", "Select")
_TYPES = {
    "int": ("INTEGER", "INT", "BIGINT", "FLOATING POINT"),
    "text": ("TEXT", "VARCHAR(10)", "CHAR(3)", "CLOB"),
    "real": ("REAL", "DOUBLE", "FLOAT"),
    "any": ("", "BLOB", "NUMERIC", "DECIMAL(10,2)", "DATE", "BOOLEAN", "XYZ"),
    "few": ("INTEGER", "INT", "NUMERIC"),
    "word": ("TEXT", "VARCHAR(10)"),
}
_STRICT = {
    "int": "INTEGER",
    "few": "INTEGER",
    "text": "TEXT",
    "word": "TEXT",
    "real": "REAL",
    "any": "ANY",
    "blob": "BLOB",
}
ACTIONS = ("CASCADE", "SET NULL", "SET DEFAULT", "RESTRICT", "NO ACTION")
_CONFLICTS = ("ROLLBACK", "ABORT", "FAIL", "IGNORE", "REPLACE")


def actions(r: Random, share: float = 0.6) -> str:
    """What follows REFERENCES: actions with the probability `share` each, and when it is checked."""
    clause = "".join(f" ON {e} {r.choice(ACTIONS)}" for e in ("DELETE", "UPDATE") if r.random() < share)
    if r.random() < 0.3:
        clause += r.choice(
            (" DEFERRABLE INITIALLY DEFERRED", " DEFERRABLE INITIALLY IMMEDIATE", " NOT DEFERRABLE")
        )
    return clause


def _conflict(r: Random) -> str:
    return f" ON CONFLICT {r.choice(_CONFLICTS)}" if r.random() < 0.04 else ""


def _column(r: Random, name: str, *, strict: bool, domain: str = "") -> Column:
    domain = domain or r.choices(("int", "text", "real", "any"), (4, 4, 2, 3))[0]
    if strict:
        return Column(
            name, _STRICT[domain.removeprefix("strict ")], "strict " + domain.removeprefix("strict ")
        )
    return Column(name, r.choice(_TYPES[domain.removeprefix("strict ")]), domain.removeprefix("strict "))


class _Maker:
    """One CREATE TABLE under construction."""

    def __init__(self, r: Random, model: Model, name: str, schema: str) -> None:
        self.r, self.model = r, model
        self.strict = r.random() < 0.08
        self.table = Table(name, [], schema, strict=self.strict)
        self.definitions: dict[str, str] = {}
        self.constraints: list[str] = []
        self.names = iter(self._names())

    def _names(self) -> list[str]:
        names = list(ascii_lowercase)
        if self.r.random() < 0.15:
            names[self.r.randrange(4)] = self.r.choice(_ODD_COLUMNS)
        return names

    def add(self, domain: str = "", *, plain: bool = False) -> Column:
        r, name = self.r, next(self.names)
        column = _column(r, name, strict=self.strict, domain=domain)
        parts = [quote(name), column.decl]
        if not plain:
            if column.domain.endswith(("text", "word")) and r.random() < 0.35:
                parts.append(f"COLLATE {r.choice(('NOCASE', 'RTRIM', 'BINARY', 'nocase'))}")
            if r.random() < 0.25:
                parts.append(f"DEFAULT {self._default(column)}")
            if r.random() < 0.15:
                parts.append("NOT NULL" + _conflict(r))
                column.needed = "DEFAULT" not in " ".join(parts)
            if r.random() < 0.08:
                parts.append(self._check(column))
        self.table.columns.append(column)
        self.definitions[name] = " ".join(filter(None, parts))
        return column

    def _default(self, column: Column) -> str:
        value = literal(value_of(self.r, column.domain, 0.2))
        return f"({value})" if self.r.random() < 0.3 or "(" in value else value

    def _check(self, column: Column) -> str:
        name = quote(column.name)
        check = self.r.choice(
            (f"{name} IS NOT 7", f"length({name}) < 12", f"typeof({name}) <> 'blob'", f"{name} <> 'c'")
        )
        return f"CONSTRAINT small CHECK ({check})" if self.r.random() < 0.3 else f"CHECK ({check})"

    def key(self) -> None:
        """The PRIMARY KEY, if there is to be one."""
        r, table = self.r, self.table
        kind = r.choices(("ipk", "auto", "single", "composite", "none"), (42, 10, 12, 16, 20))[0]
        if kind in ("ipk", "auto"):
            name = next(self.names)
            domain = "counted rowid" if kind == "auto" else r.choices(("rowid", "given rowid"), (9, 1))[0]
            table.columns.append(Column(name, "INTEGER", domain, key=True))
            ending = " AUTOINCREMENT" if kind == "auto" else ""
            self.definitions[name] = f"{quote(name)} INTEGER PRIMARY KEY{_conflict(r)}{ending}"
            table.ipk = name
        elif kind == "single":
            column = self.add("text" if r.random() < 0.6 else "")
            self.definitions[column.name] += f" PRIMARY KEY{_conflict(r)}"
        elif kind == "composite":
            few = ("few", "few", "word") if r.random() < 0.7 else ("",)
            names = [self.add(r.choice(few)).name for _ in range(r.choice((2, 2, 3)))]
            self._constraint("PRIMARY KEY", names)
            table.keys.append(tuple(names))
        if kind in ("ipk", "auto", "single"):
            table.keys.append((table.columns[-1].name,))
        if kind in ("ipk", "single", "composite") and r.random() < 0.08 and not table.given:
            table.rowid, table.ipk = False, None
        for name in table.keys[-1] if table.keys else ():
            table.column(name).key = True

    def _constraint(self, kind: str, names: list[str]) -> None:
        listed = ", ".join(map(quote, names))
        self.constraints.append(f"{kind} ({listed}){_conflict(self.r)}")

    def unique(self) -> None:
        if self.r.random() < 0.4:
            candidates = [column for column in self.table.columns if not column.domain.endswith("rowid")]
            chosen = self.r.sample(candidates, min(len(candidates), self.r.choice((1, 1, 2))))
            if chosen:
                self._constraint("UNIQUE", [column.name for column in chosen])
                self.table.keys.append(tuple(column.name for column in chosen))

    def reference(self, parent: Table, made: list[Column] | None = None) -> None:
        """A foreign key to one of the parent's keys."""
        r = self.r
        if not parent.keys:
            return
        key = r.choice(parent.keys)
        domains = [parent.column(name).domain for name in key]
        children = made or [self.add("int" if d.endswith("rowid") else d) for d in domains]
        listed = ", ".join(quote(column.name) for column in children)
        names = ", ".join(map(quote, key))
        clause = f"REFERENCES {quote(parent.name)}"
        clause += (
            "" if key == parent.keys[0] and parent is not self.table and r.random() < 0.4 else f"({names})"
        )
        clause += actions(r)
        if len(children) == 1 and r.random() < 0.5:
            self.definitions[children[0].name] += " " + clause
        else:
            named = "CONSTRAINT link " if r.random() < 0.2 else ""
            self.constraints.append(f"{named}FOREIGN KEY ({listed}) {clause}")

    def generated(self) -> None:
        if self.r.random() < 0.05:
            name = next(self.names)
            source = quote(self.r.choice(self.table.columns).name)
            stored = self.r.choice(("STORED", "VIRTUAL"))
            kind = "ANY" if self.strict else self.r.choice(("", "TEXT", "INTEGER"))
            self.table.columns.append(Column(name, kind, "any", generated=True))
            self.definitions[name] = f"{quote(name)} {kind} AS ({source} || 'x') {stored}"

    def sql(self) -> str:
        inner = ", ".join([*self.definitions.values(), *self.constraints])
        options = [o for o, on in (("STRICT", self.strict), ("WITHOUT ROWID", not self.table.rowid)) if on]
        temporary, place = "", self.table.bare
        if self.table.schema == "temp":
            temporary, place = "TEMP ", quote(self.table.name)
        return f"CREATE {temporary}TABLE {place}({inner}) {', '.join(options)}".rstrip()


def create_table(r: Random, model: Model, schema: str = "main") -> Step:
    """A new table, known to the model from here on."""
    taken = {table.name for table in model.tables}
    name = r.choice(_ODD_TABLES) if r.random() < 0.1 else model.new("t")
    if name in taken:
        name = model.new("t")
    if schema != "main" and model.tables and r.random() < 0.3:
        name = r.choice(model.tables).name  # hides the table in main, or is hidden by it
    maker = _Maker(r, model, name, schema)
    maker.table.full = r.random() < 0.1
    maker.key()
    for _ in range(r.choice((1, 2, 2, 3, 4))):
        maker.add()
    parents = [table for table in model.tables if table.schema == maker.table.schema]
    for _ in range(2):
        if parents and r.random() < 0.45:
            maker.reference(r.choice(parents))
    if maker.table.keys and r.random() < 0.15:
        maker.reference(maker.table)
    maker.unique()
    maker.generated()
    model.tables.append(maker.table)
    return Step("create table", maker.sql(), tables=(name,))


def create_index(r: Random, model: Model) -> Step:
    """An index: sometimes UNIQUE, partial, on an expression, descending or with another collation."""
    table = r.choice(model.tables)
    chosen = r.sample(table.columns, min(len(table.columns), r.choice((1, 1, 2))))
    terms = [quote(column.name) + r.choice(("", "", "", " DESC", " COLLATE NOCASE")) for column in chosen]
    if r.random() < 0.15:
        terms[0] = r.choice((f"lower({quote(chosen[0].name)})", f"{quote(chosen[0].name)} || 'x'"))
    unique = "UNIQUE " if r.random() < 0.3 else ""
    where = f" WHERE {quote(chosen[0].name)} IS NOT NULL" if r.random() < 0.15 else ""
    name = model.new("i")
    table.indexes.append(name)
    schema = "" if table.schema == "main" else table.prefix
    sql = f"CREATE {unique}INDEX {schema}{name} ON {quote(table.name)}({', '.join(terms)}){where}"
    return Step("create index", sql, tables=(table.name,))
