"""What has no rule is asked of SQLite itself: once for each different combination of operands.

So `strftime('%Y', day)` of six million rows costs as many calls as there are days. Exact by construction.
"""

from __future__ import annotations

from threading import get_ident

import apsw
import numpy as np
import numpy.typing as npt
import pyarrow as pa

from colonnade.sql.affinity import Affinity
from colonnade.sql.select.rules.base import Operands
from colonnade.sql.select.vector import (
    NotVectorizable,
    Vector,
    of_column,
    plain,
    spread,
)
from colonnade.store.rawtext import RawText
from colonnade.store.values import Column, Kind, SQLiteValue, from_python, to_python

_MOST_CALLS = 100_000
# Functions of the standard library of SQLite that give the same for the same operands, and do nothing else.
_FUNCTIONS = frozenset(
    [
        "abs",
        "char",
        "concat",
        "concat_ws",
        "date",
        "datetime",
        "format",
        "glob",
        "hex",
        "instr",
        "julianday",
        "length",
        "like",
        "lower",
        "ltrim",
        "max",
        "min",
        "octet_length",
        "printf",
        "quote",
        "replace",
        "round",
        "rtrim",
        "sign",
        "strftime",
        "substr",
        "substring",
        "time",
        "timediff",
        "trim",
        "typeof",
        "unhex",
        "unicode",
        "unixepoch",
        "upper",
        "acos",
        "asin",
        "atan",
        "atan2",
        "ceil",
        "ceiling",
        "cos",
        "degrees",
        "exp",
        "floor",
        "ln",
        "log",
        "log10",
        "log2",
        "mod",
        "pi",
        "pow",
        "power",
        "radians",
        "sin",
        "sqrt",
        "tan",
        "trunc",
    ]
)
_PRESENT = frozenset({"now", "subsec", "subsecond", "localtime", "utc"})
_TIMES = frozenset({"date", "datetime", "julianday", "strftime", "time", "timediff", "unixepoch"})
_OPERATORS = {
    "like": "{0} LIKE {1}",
    "glob": "{0} GLOB {1}",
    "||": "{0} || {1}",
    "%": "{0} % {1}",
    "&": "{0} & {1}",
    "|": "{0} | {1}",
    "<<": "{0} << {1}",
    ">>": "{0} >> {1}",
    "~": "~ {0}",
}


Numbers = npt.NDArray[np.int64]


class AskedElsewhere(NotVectorizable):
    """SQLite would have to be asked in a thread that is not the connection's."""


class Ask:
    """SQLite on one connection, for one execution of a query, for the thread that made it."""

    def __init__(self, db: apsw.Connection) -> None:
        self._db, self._thread = db, get_ident()
        self._folds = bool(db.execute("SELECT 'a' LIKE 'A'").get)

    def like_folds_case(self) -> bool:
        """Whether LIKE takes 'a' for 'A', as it does unless PRAGMA case_sensitive_like says otherwise."""
        return self._folds

    def __call__(self, operands: Operands) -> Vector:
        """The operator or function on each row. Raises NotVectorizable."""
        if get_ident() != self._thread:
            raise AskedElsewhere(operands.term.name)
        text = _text(operands)
        varying = [vector for vector in operands.vectors if not vector.constant]
        if not varying:
            varying = [spread(operands.vectors[0], operands.count)] if operands.vectors else []
        if not varying:
            raise NotVectorizable(f"{operands.term.name} without operands")
        codes, firsts = distinct_rows(varying, operands.count)
        if len(firsts) > _MOST_CALLS:
            raise NotVectorizable(f"{operands.term.name} of so many different values")
        places = pa.array(firsts)
        columns = [
            [vector.value()] * len(firsts) if vector.constant else python_values(vector.take(places))
            for vector in operands.vectors
        ]
        answers: list[SQLiteValue] = []
        cursor = self._db.cursor()
        try:
            for row in zip(*columns, strict=True):
                answers.append(next(cursor.execute(text, row))[0])  # noqa: PERF401 - the cursor is one
        except (apsw.Error, UnicodeDecodeError) as error:
            raise NotVectorizable(f"{operands.term.name}: {error}") from None
        if any(type(answer) is RawText for answer in answers):
            raise NotVectorizable("text that is not UTF-8")
        return of_column(from_python(answers)).take(pa.array(codes))


def _text(operands: Operands) -> str:
    term = operands.term
    marks = [f"?{number}" for number in range(1, len(operands.vectors) + 1)]
    if term.name == "cast":
        affinity: Affinity = term.extra
        return f"SELECT CAST(?1 AS {'BLOB' if affinity is Affinity.BLOB else affinity.value})"
    if term.name == "like" and len(marks) == 3:
        return "SELECT ?1 LIKE ?2 ESCAPE ?3"
    if term.name in _OPERATORS:
        return "SELECT " + _OPERATORS[term.name].format(*marks)
    name = term.name.removesuffix("()")
    if name not in _FUNCTIONS or term.name == name:
        raise NotVectorizable(f"{name}()")
    if name in _TIMES:
        _refuse_now(operands)
    if name in ("min", "max") and term.extra[2] != "BINARY":
        raise NotVectorizable(f"{name}() by a collation")
    return f"SELECT {name}({', '.join(marks)})"


def _refuse_now(operands: Operands) -> None:
    """The present time is the same for all of a statement; local time is not known here."""
    least = 2 if operands.term.name == "strftime()" else 1
    if len(operands.vectors) < least:
        raise NotVectorizable("the present time")
    for vector in operands.vectors:
        if vector.kind is Kind.TEXT:
            words = [vector.value()] if vector.constant else _words(vector)
            if any(str(word).strip().lower() in _PRESENT for word in words):
                raise NotVectorizable("the present or the local time")


def _words(vector: Vector) -> list[SQLiteValue]:
    words: list[SQLiteValue] = plain(vector).data.dictionary_encode().dictionary.to_pylist()
    return words


def python_values(vector: Vector) -> list[SQLiteValue]:
    """None, int, float, str or bytes for each value."""
    if vector.truth:
        return to_python(Column(vector.kind, vector.data.cast(pa.int64())))
    if vector.whole is None:
        return to_python(Column(vector.kind, vector.data))
    doubles = vector.data.fill_null(0) if vector.data.null_count else vector.data
    values: list[SQLiteValue] = vector.data.to_pylist()
    rows = np.flatnonzero(vector.whole.to_numpy(zero_copy_only=False))
    integers = doubles.to_numpy()[rows].astype(np.int64).tolist()
    nulls = vector.data.null_count > 0
    for row, integer in zip(rows.tolist(), integers, strict=True):
        if not nulls or values[row] is not None:
            values[row] = integer
    return values


def distinct_rows(vectors: list[Vector], count: int) -> tuple[Numbers, Numbers]:
    """A number for each row, the same for the same values and classes, and the first row of each number."""
    found = np.zeros(count, np.int64)
    for vector in vectors:
        more = _codes(vector)
        width = int(more.max(initial=0)) + 1
        if int(found.max(initial=0)) >= (1 << 62) // width:
            found = _numbered(found)[0]
        found = found * width + more
    return _numbered(found)


def _numbered(codes: Numbers) -> tuple[Numbers, Numbers]:
    numbers = pa.array(codes).dictionary_encode().indices.to_numpy().astype(np.int64)
    highest = np.maximum.accumulate(numbers)
    return numbers, np.flatnonzero(np.diff(highest, prepend=-1))


def _codes(vector: Vector) -> Numbers:
    data = vector.data.cast(pa.int8()) if vector.truth else vector.data
    if vector.kind is Kind.NULL:
        return np.zeros(len(data), np.int64)
    encoded = data if pa.types.is_dictionary(data.type) else data.dictionary_encode()
    codes: Numbers = encoded.indices.fill_null(len(encoded.dictionary)).to_numpy().astype(np.int64)
    if vector.kind is Kind.NUMERIC and not vector.stored:
        codes = 2 * codes + vector.whole.to_numpy(zero_copy_only=False)
    return codes
