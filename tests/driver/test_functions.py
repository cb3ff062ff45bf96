"""The program's functions, aggregates, window functions and collations, as sqlite3 runs them."""

from __future__ import annotations

import array
import sys
from typing import Any

import pytest

import colonnade
from tests.driver.twins import connect, outcome, same

VALUES: list[Any] = [
    *(None, 0, 1, -(2**63), 2**63 - 1, 2**63, -(2**63) - 1, True, 1.5, float("nan"), float("inf"), -0.0),
    *("", "text", "1\x002", "\u20ac", "\U0001f600", "\ud800", b"", b"blob", b"\x00\xff"),
    *(bytearray(b"ba"), memoryview(b"mv"), memoryview(b"abcd")[::2], array.array("i", [1, 2])),
    *([], (), {}, object, 1j),
]


def typed(value: Any) -> Any:
    return outcome(lambda: [[(type(cell), repr(cell)) for cell in row] for row in value()])


@pytest.mark.parametrize("value", VALUES, ids=map(str, range(len(VALUES))))
def test_what_a_function_may_return(value: Any) -> None:
    def program(module: Any) -> Any:
        db = connect(module, ":memory:")
        db.create_function("f", 0, lambda: value)
        return typed(lambda: db.execute("SELECT f(), typeof(f())").fetchall())

    same(program)


@pytest.mark.parametrize("value", VALUES, ids=map(str, range(len(VALUES))))
def test_what_an_aggregate_may_return(value: Any) -> None:
    def program(module: Any) -> Any:
        db = connect(module, ":memory:")
        made = type("Last", (), {"step": lambda *_: None, "finalize": lambda _: value})
        db.create_aggregate("f", -1, made)
        query = "SELECT f(x), typeof(f(x, x)) FROM (SELECT 1 AS x UNION ALL SELECT 2)"
        return typed(lambda: db.execute(query).fetchall())

    same(program)


@pytest.mark.parametrize("storage", ["row", "column"])
def test_arguments_have_sqlites_types(storage: str) -> None:
    def program(module: Any) -> Any:
        db = connect(module, ":memory:")
        if module is colonnade:
            db.execute(f"PRAGMA storage_format = {storage}")
        db.execute("CREATE TABLE t(a)")
        values = [1, 2**62 + 1, 1.5, float("inf"), "text", "1\x002", b"b", b"", None, ""]
        db.executemany("INSERT INTO t VALUES (?)", [(value,) for value in values])
        db.commit()
        db.text_factory = bytes  # of rows, not of arguments
        seen: list[Any] = []
        db.create_function("f", -1, lambda *given: seen.append([(type(x), x) for x in given]))
        db.execute("SELECT f(a, ?, 'x') FROM t", (bytearray(b"ba"),)).fetchall()
        return seen

    assert len(same(program)) == 10


@pytest.mark.parametrize(
    "error",
    [ValueError("v"), MemoryError(), OverflowError("o"), KeyboardInterrupt(), SystemExit(1)],
    ids=repr,
)
def test_what_a_failing_function_becomes(error: BaseException) -> None:
    def fail(*_: Any) -> Any:
        raise error

    def program(module: Any) -> Any:
        db = connect(module, ":memory:")
        db.create_function("f", -1, fail)
        db.execute("CREATE TABLE t(a CHECK (f(a)))")
        return [
            outcome(lambda sql=sql: db.execute(sql).fetchall())
            for sql in ("SELECT f()", "SELECT 1 UNION ALL SELECT f(2)", "INSERT OR IGNORE INTO t VALUES (1)")
        ]

    same(program)


class Whole:
    """Sums; a window function with all that one needs."""

    def __init__(self) -> None:
        self.sum = 0

    def step(self, value: int) -> None:
        self.sum += value

    def inverse(self, value: int) -> None:
        self.sum -= value

    def value(self) -> int:
        return self.sum

    def finalize(self) -> int:
        return self.sum


def broken(name: str, error: type[BaseException] | None) -> Any:
    """A class like Whole whose method `name` is missing, or raises."""

    def fail(*_: Any) -> Any:
        assert error is not None
        raise error

    members: dict[str, Any] = {key: value for key, value in vars(Whole).items() if not key.startswith("__d")}
    members.pop("__weakref__", None)
    members[name] = fail
    if error is None:
        del members[name]
    return type("Broken", (), members)


METHODS = ("__init__", "step", "inverse", "value", "finalize")
OVER = "OVER (ORDER BY x ROWS BETWEEN 1 PRECEDING AND 1 FOLLOWING)"


@pytest.mark.parametrize("error", [None, ValueError, MemoryError, OverflowError, AttributeError])
@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("over", ["", OVER], ids=["aggregate", "window"])
def test_what_becomes_of_a_broken_aggregate(
    method: str, error: type[BaseException] | None, over: str
) -> None:
    if method == "finalize" and over and error in (MemoryError, OverflowError):
        pytest.skip("SQLite 3.40 and later ones differ in what they do with it")
    if method == "__init__" and error is None:
        pytest.skip("a class without __init__ has another")

    def program(module: Any) -> Any:
        db = connect(module, ":memory:")
        made = broken(method, error)
        db.create_window_function("f", 1, made)
        if not over:
            db.create_aggregate("f", 1, made)
        rows = "(SELECT 1 AS x UNION ALL SELECT 2 UNION ALL SELECT 3)"
        return outcome(lambda: db.execute(f"SELECT f(x) {over} FROM {rows}").fetchall())

    same(program)


def test_an_aggregate_of_no_rows_is_null_and_makes_no_object() -> None:
    def program(module: Any) -> Any:
        db = connect(module, ":memory:")
        made: list[int] = []
        counted = type("Counted", (Whole,), {"__init__": lambda self: made.append(1)})
        db.create_aggregate("f", 1, counted)
        return db.execute("SELECT f(x) FROM (SELECT 1 AS x) WHERE x > 1").fetchall(), made

    assert same(program) == ([(None,)], [])


def test_finalize_is_called_after_a_failed_step() -> None:
    def program(module: Any) -> Any:
        calls: list[str] = []

        class Logged(Whole):
            def step(self, value: int) -> None:
                calls.append("step")
                raise ValueError

            def finalize(self) -> int:
                calls.append("finalize")
                return 1

        db = connect(module, ":memory:")
        db.create_aggregate("f", 1, Logged)
        return outcome(lambda: db.execute("SELECT f(1)").fetchall()), calls

    assert same(program)[1] == ["step", "finalize"]


@pytest.mark.parametrize("storage", ["row", "column"])
def test_window_functions_run_over_any_storage(storage: str) -> None:
    def program(module: Any) -> Any:
        db = connect(module, ":memory:")
        if module is colonnade:
            db.execute(f"PRAGMA storage_format = {storage}")
        db.execute("CREATE TABLE t(x)")
        db.executemany("INSERT INTO t VALUES (?)", [(i,) for i in range(20)])
        db.create_window_function("f", 1, Whole)
        return db.execute(f"SELECT x, f(x) {OVER} FROM t").fetchall(), db.execute(
            "SELECT f(x) FROM t"
        ).fetchall()

    same(program)


def test_functions_can_be_replaced_and_taken_away() -> None:
    def program(module: Any) -> Any:
        db = connect(module, ":memory:")
        seen = []
        for func in (lambda x: x + 1, lambda x: x + 2):
            db.create_function("f", 1, func, deterministic=True)
            seen.append(outcome(lambda: db.execute("SELECT f(1)").fetchall()))
        for made in (Whole, None):
            db.create_window_function("w", 1, made)
            seen.append(outcome(lambda: db.execute("SELECT w(1)").fetchall()))
        return seen

    same(program)
    # As documented; sqlite3 itself calls None.
    db = connect(colonnade, ":memory:")
    for create, made in ((db.create_function, int), (db.create_aggregate, Whole)):
        create("f", 1, made)
        db.execute("SELECT f(1)").fetchall()
        create("f", 1, None)
        with pytest.raises(colonnade.OperationalError, match="no such function: f"):
            db.execute("SELECT f(1)")


def test_only_a_deterministic_function_may_stand_in_an_index() -> None:
    def program(module: Any) -> Any:
        db = connect(module, ":memory:")
        db.execute("CREATE TABLE t(a)")
        db.create_function("f", 1, abs, deterministic=True)
        db.create_function("g", 1, abs)
        return [outcome(lambda s=s: db.execute(f"CREATE INDEX {s} ON t({s}(a))")) for s in ("f", "g")]

    same(program)


def test_what_cannot_be_made_a_function() -> None:
    def program(module: Any) -> Any:
        db = connect(module, ":memory:")
        calls = [
            lambda: db.create_function("f", -100, int),
            lambda: db.create_function("f" * 300, 1, int),
            lambda: db.create_aggregate("f", -100, int),
            lambda: db.create_window_function("f", -100, int),
            lambda: db.create_collation("c", 42),
            lambda: db.create_collation("a\0b", lambda a, b: 0),
        ]
        db.close()
        return [outcome(call)[0] for call in calls]

    def open_program(module: Any) -> Any:
        db = connect(module, ":memory:")
        return [
            outcome(lambda: db.create_function("f", -100, int)),
            outcome(lambda: db.create_function("f" * 300, 1, int)),
            outcome(lambda: db.create_aggregate("f", -100, int)),
            outcome(lambda: db.create_window_function("f", -100, int)),
            outcome(lambda: db.create_collation("c", 42)),
            outcome(lambda: db.create_collation("a\0b", lambda a, b: 0)),
            outcome(lambda: db.create_collation(None, lambda a, b: 0))[0],
            outcome(lambda: db.create_function(1, 1, int))[0],
        ]

    assert set(same(program)) == {"ProgrammingError", "ValueError"}
    same(open_program)


@pytest.mark.parametrize("order", [0, 1, -1, 2**40, -(2**70), True, None, "x", 1.5])
def test_what_a_collation_may_answer(order: Any) -> None:
    def program(module: Any) -> Any:
        db = connect(module, ":memory:")
        db.create_collation("c", lambda a, b: order * ((a > b) - (a < b)) if type(order) is int else order)
        query = (
            "SELECT x FROM (SELECT 'b' AS x UNION ALL SELECT 'c' UNION ALL SELECT 'a') ORDER BY x COLLATE c"
        )
        first = outcome(lambda: db.execute(query).fetchall())
        db.create_collation("c", None)
        return first, outcome(lambda: db.execute(query).fetchall())

    same(program)


def test_tracebacks_name_the_callback(monkeypatch: pytest.MonkeyPatch) -> None:
    def program(module: Any) -> Any:
        shown: list[Any] = []
        monkeypatch.setattr(sys, "unraisablehook", lambda u: shown.append((u.exc_type, u.object)))
        db = connect(module, ":memory:")
        func, made = (lambda: 1 // 0), broken("step", ValueError)
        db.create_function("f", 0, func)
        db.create_aggregate("g", 1, made)
        db.create_function("big", 0, lambda: 2**70)
        module.enable_callback_tracebacks(True)
        try:
            failed = [
                outcome(lambda s=s: db.execute(s).fetchall())
                for s in ("SELECT f()", "SELECT g(1)", "SELECT big()")
            ]
        finally:
            module.enable_callback_tracebacks(False)
        return failed, [kind for kind, _ in shown], shown[0][1] is func, shown[1][1] is made

    assert same(program)[2:] == (True, True)
