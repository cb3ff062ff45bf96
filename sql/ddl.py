"""Reads from the text of a CREATE TABLE what SQLite keeps but does not report.

That is: the CHECK expressions, the names of constraints, conflict clauses and DEFERRABLE. The reader
follows the grammar of sqlite.org/lang_createtable.html over SQLite's own tokens, for the texts are
those that SQLite has accepted; sqlglot loses STRICT, conflict clauses and the text of expressions.
`sql.schema` compares the result with what SQLite does report and trusts it only where they agree.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from colonnade.sql.tokens import Kind, Reader, Token, unquote

SPACES = " \t\n\v\f\r"  # what sqlite3Isspace() takes for a space

_COLUMN_CONSTRAINTS = frozenset(
    {"CONSTRAINT", "DEFAULT", "NULL", "NOT", "PRIMARY", "UNIQUE", "CHECK"}
    | {"REFERENCES", "COLLATE", "AS", "DEFERRABLE"}
)
_TABLE_CONSTRAINTS = frozenset({"CONSTRAINT", "PRIMARY", "UNIQUE", "CHECK", "FOREIGN"})


class UnreadableDDL(Exception):
    """The text does not follow the grammar known here."""


@dataclass(slots=True)
class KeyFacts:
    """A PRIMARY KEY or UNIQUE constraint as written."""

    kind: str
    columns: tuple[str, ...]
    name: str | None
    on_conflict: str | None = None


@dataclass(slots=True)
class ForeignKeyFacts:
    """A REFERENCES clause as written."""

    columns: tuple[str, ...]
    parent: str
    name: str | None
    deferred: bool = False


@dataclass(slots=True)
class CheckFacts:
    """A CHECK constraint: its name, and the text between its parentheses without outer spaces."""

    name: str | None
    expr: str

    @property
    def label(self) -> str:
        """What SQLite prints behind `CHECK constraint failed: `."""
        # SQLite takes the expression's text for a name, and so removes quotes if it begins with one.
        return dequote(self.expr) if self.name is None else self.name


@dataclass(slots=True)
class TableFacts:
    """What one CREATE TABLE text says, in its order."""

    columns: list[str] = field(default_factory=list)
    not_null_conflicts: dict[str, str] = field(default_factory=dict)
    keys: list[KeyFacts] = field(default_factory=list)
    foreign_keys: list[ForeignKeyFacts] = field(default_factory=list)
    checks: list[CheckFacts] = field(default_factory=list)
    autoincrement: bool = False


def dequote(text: str) -> str:
    """`text` up to its closing quote if it begins with a quote, as sqlite3Dequote() cuts it."""
    quote = {"[": "]"}.get(text[:1], text[:1])
    if text[:1] not in ('"', "'", "`", "["):
        return text
    out: list[str] = []
    at = 1
    while at < len(text):
        char = text[at]
        if char == quote:
            if text[at + 1 : at + 2] != quote:
                break
            at += 1
        out.append(char)
        at += 1
    return "".join(out)


def read_ddl(text: str) -> TableFacts:
    """The facts of a CREATE TABLE text. Raises UnreadableDDL; a CREATE TABLE … AS has no facts."""
    return _DDLReader(text).read()


class _DDLReader:
    """One pass over the tokens; `at` is the number of the next one."""

    def __init__(self, text: str) -> None:
        self.tokens = Reader(text)
        self.at = 0
        self.facts = TableFacts()
        self.name: str | None = None  # of the constraints to come; see _constraint_name

    # -- tokens

    @property
    def next(self) -> Token:
        return self.tokens[self.at]

    def take(self, *keys: str) -> str | None:
        """The next token's key if it is one of `keys`, which is then passed."""
        key = self.next.key
        if not key or key not in keys:
            return None
        self.at += 1
        return key

    def expect(self, *keys: str) -> str:
        key = self.take(*keys)
        if key is None:
            raise UnreadableDDL(f"{' or '.join(keys)} expected, found {self.next.text!r}")
        return key

    def take_name(self) -> str:
        token = self.next
        if not token.is_name:
            raise UnreadableDDL(f"a name expected, found {token.text!r}")
        self.at += 1
        return unquote(token.text)

    def skip_parentheses(self) -> str:
        """Passes a `(...)`; the text inside."""
        opening = self.next
        if opening.key != "(":
            raise UnreadableDDL(f"( expected, found {opening.text!r}")
        self.at = self.tokens.skip_parentheses(self.at)
        closing = self.tokens[self.at - 1]
        if closing.key != ")":
            raise UnreadableDDL("a parenthesis is not closed")
        return self.tokens.text[opening.stop : closing.start].strip(SPACES)

    # -- the statement

    def read(self) -> TableFacts:
        self.expect("CREATE")
        self.take("TEMP", "TEMPORARY")
        self.expect("TABLE")
        if self.take("IF"):
            self.expect("NOT")
            self.expect("EXISTS")
        self.take_name()
        if self.take("."):
            self.take_name()
        self.expect("(")
        self.column()
        while self.take(","):
            if self.next.key in _TABLE_CONSTRAINTS:
                self.table_constraints()
                break
            self.column()
        self.expect(")")
        return self.facts

    def column(self) -> None:
        column = self.take_name()
        self.facts.columns.append(column)
        self.name = None
        self.type_name()
        while self.next.key not in (",", ")"):
            self.column_constraint(column)

    def type_name(self) -> None:
        # GENERATED ALWAYS are plain words to SQLite's grammar, and so part of the type.
        while self.next.is_name and self.next.key not in _COLUMN_CONSTRAINTS:
            self.at += 1
        if self.next.key == "(":
            self.skip_parentheses()

    def column_constraint(self, column: str) -> None:
        word = self.expect(*_COLUMN_CONSTRAINTS, "GENERATED")
        if word == "CONSTRAINT":
            self.name = self.take_name()
        elif word == "DEFAULT":
            self.default()
        elif word == "NULL":
            self.on_conflict()
        elif word == "NOT":
            if self.take("DEFERRABLE"):
                self.deferrable(negated=True)
                return
            self.expect("NULL")
            conflict = self.on_conflict()
            if conflict:
                self.facts.not_null_conflicts[column] = conflict
        elif word in ("PRIMARY", "UNIQUE"):
            self.column_key(word, column)
        elif word == "CHECK":
            self.check()
        elif word == "REFERENCES":
            self.references((column,))
        elif word == "COLLATE":
            self.take_name()
        elif word == "DEFERRABLE":
            self.deferrable(negated=False)
        else:
            self.generated(word)

    def generated(self, word: str) -> None:
        if word == "GENERATED":
            self.expect("ALWAYS")
            self.expect("AS")
        self.skip_parentheses()
        self.take("STORED", "VIRTUAL")

    def default(self) -> None:
        if self.next.key == "(":
            self.skip_parentheses()
            return
        self.take("+", "-")
        if self.next.kind not in (Kind.NUMBER, Kind.STRING, Kind.BLOB, Kind.WORD, Kind.QUOTED):
            raise UnreadableDDL(f"a default expected, found {self.next.text!r}")
        self.at += 1

    def column_key(self, word: str, column: str) -> None:
        kind = word
        if word == "PRIMARY":
            self.expect("KEY")
            self.take("ASC", "DESC")
            kind = "PRIMARY KEY"
        conflict = self.on_conflict()
        if word == "PRIMARY" and self.take("AUTOINCREMENT"):
            self.facts.autoincrement = True
        self.facts.keys.append(KeyFacts(kind, (column,), self.name, conflict))

    def on_conflict(self) -> str | None:
        if not self.take("ON"):
            return None
        self.expect("CONFLICT")
        return self.expect("ROLLBACK", "ABORT", "FAIL", "IGNORE", "REPLACE")

    def check(self) -> None:
        self.facts.checks.append(CheckFacts(self.name, self.skip_parentheses()))

    def references(self, columns: tuple[str, ...]) -> None:
        facts = ForeignKeyFacts(columns, self.take_name(), self.name)
        self.facts.foreign_keys.append(facts)
        if self.next.key == "(":
            self.skip_parentheses()
        while self.take("ON", "MATCH") is not None:
            if self.tokens[self.at - 1].key == "MATCH":
                self.take_name()
                continue
            self.expect("DELETE", "UPDATE", "INSERT")
            if self.expect("SET", "CASCADE", "RESTRICT", "NO") == "SET":
                self.expect("NULL", "DEFAULT")
            elif self.tokens[self.at - 1].key == "NO":
                self.expect("ACTION")

    def deferrable(self, *, negated: bool) -> None:
        """DEFERRABLE is about the foreign key written last, whichever column that belongs to."""
        deferred = False
        if self.take("INITIALLY"):
            deferred = self.expect("DEFERRED", "IMMEDIATE") == "DEFERRED"
        if self.facts.foreign_keys:
            self.facts.foreign_keys[-1].deferred = deferred and not negated

    # -- table constraints

    def table_constraints(self) -> None:
        # SQLite drops a CONSTRAINT's name at the next column and at a comma between table constraints,
        # but not at the comma before the first of them: that one can inherit the last column's name.
        while True:
            self.table_constraint()
            if self.next.key == ")":
                return
            if self.take(","):
                self.name = None

    def table_constraint(self) -> None:
        word = self.expect(*_TABLE_CONSTRAINTS)
        if word == "CONSTRAINT":
            self.name = self.take_name()
        elif word == "CHECK":
            self.check()
            self.on_conflict()  # accepted and without effect
        elif word == "FOREIGN":
            self.expect("KEY")
            columns = self.names()
            self.expect("REFERENCES")
            self.references(columns)
            if self.take("NOT"):
                self.expect("DEFERRABLE")
                self.deferrable(negated=True)
            elif self.take("DEFERRABLE"):
                self.deferrable(negated=False)
        else:
            kind = word
            if word == "PRIMARY":
                self.expect("KEY")
                kind = "PRIMARY KEY"
            columns = self.names()
            self.facts.keys.append(KeyFacts(kind, columns, self.name, self.on_conflict()))

    def names(self) -> tuple[str, ...]:
        """The names of a list `(a COLLATE x DESC, b AUTOINCREMENT)`."""
        self.expect("(")
        names = []
        while True:
            names.append(self.take_name())
            if self.take("COLLATE"):
                self.take_name()
            self.take("ASC", "DESC")
            if self.take("AUTOINCREMENT"):
                self.facts.autoincrement = True
            if self.expect(",", ")") == ")":
                return tuple(names)
