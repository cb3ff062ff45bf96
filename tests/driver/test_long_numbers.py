"""Numbers of more digits than Python converts (sys.set_int_max_str_digits), and parameters of numbers that SQLite
does not take: what SQLite says, in each format."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import apsw
import pytest

import colonnade
from colonnade.loader.options import parse_size
from colonnade.pragmas import is_on
from colonnade.sql.tokens import whole_number

ZEROS, NINES = "0" * 5000 + "7", "9" * 5000
TABLE = "CREATE TABLE t(id INTEGER PRIMARY KEY, a INTEGER, b REAL)"
pytestmark = pytest.mark.storage_format("auto", reason="each format is one of the parameters")
ROWS = [(n, n % 3, n * 1.5) for n in range(1, 30)]


def test_a_whole_number_of_any_length() -> None:
    texts = ["0", "007", "9223372036854775807", "18446744073709551616"]
    assert [whole_number(text) for text in texts] == [0, 7, 2**63 - 1, 2**64]
    assert (whole_number(ZEROS), whole_number(NINES) > 2**64) == (7, True)


def answer(work: Callable[[], Any]) -> Any:
    try:
        return work()
    except (apsw.Error, colonnade.Error) as error:
        return str(error)


@pytest.fixture(params=["row", "column"])
def both(request: pytest.FixtureRequest) -> Iterator[Callable[[str, Any], tuple[Any, Any]]]:
    """What SQLite and Colonnade answer to a text, one text after another."""
    theirs = apsw.Connection(":memory:")
    ours = colonnade.connect(":memory:", isolation_level=None)
    ours.execute(f"PRAGMA storage_format = {request.param}")
    ours.execute("PRAGMA batch_size = 8")
    for db in (theirs, ours):
        db.execute(TABLE)
        db.executemany("INSERT INTO t VALUES (?, ?, ?)", ROWS)
    assert (ours.store.table("t") is not None) == (request.param == "column")

    def ask(text: str, parameters: Any) -> tuple[Any, Any]:
        return tuple(answer(lambda db=db: list(db.execute(text, parameters))) for db in (theirs, ours))  # type: ignore[return-value]

    yield ask
    ours.close()


@pytest.mark.parametrize("number", [ZEROS, NINES, f"-{NINES}"], ids=["zeros", "nines", "negative"])
@pytest.mark.parametrize(
    "text",
    [
        "SELECT * FROM t WHERE id = {}",
        "SELECT * FROM t WHERE id BETWEEN 1 AND {}",
        "SELECT * FROM t WHERE rowid > {} AND a IN (0, {})",
        "SELECT * FROM t LIMIT {}",
        "SELECT * FROM t WHERE a < 2 LIMIT 3 OFFSET {}",
        "SELECT sum(a + {}), max(b < {}) FROM t",
        "SELECT * FROM t ORDER BY {}",
        "SELECT a, count(*) FROM t GROUP BY {}",
        "SELECT round(b, {}), substr(b, {}) FROM t",
        "SELECT sum(a) OVER (ORDER BY id ROWS {} PRECEDING) FROM t",
        "SELECT ntile({}) OVER (ORDER BY id) FROM t",
        "SELECT a FROM t WHERE b = (SELECT {})",
        "INSERT INTO t(a, b) VALUES ({}, {}), (1, 2) RETURNING *",
        "UPDATE t SET a = {} WHERE id < {} RETURNING *",
        "DELETE FROM t WHERE id = {} RETURNING *",
        "CREATE TABLE c(a INTEGER DEFAULT {} CHECK (a < {}))",
    ],
)
def test_a_number_of_thousands_of_digits(
    both: Callable[[str, Any], tuple[Any, Any]], text: str, number: str
) -> None:
    theirs, ours = both(text.replace("{}", number), ())
    assert ours == theirs
    if text.startswith("CREATE"):
        theirs, ours = both("INSERT INTO c DEFAULT VALUES RETURNING a", ())
        assert ours == theirs


@pytest.mark.parametrize("number", ["0", "00", "32767", "2147483648", "9" * 20, NINES])
@pytest.mark.parametrize(
    "text",
    [
        "SELECT a FROM t WHERE id = ?{}",
        "SELECT sum(a) FROM t WHERE id > ?{}",
        "INSERT INTO t VALUES (?{}, 1, 1)",
        "INSERT INTO t VALUES (?1, ?2, ?{})",
        "UPDATE t SET a = ?{} WHERE id = 1",
        "DELETE FROM t WHERE id = ?{}",
    ],
)
def test_a_parameter_of_a_number_that_sqlite_does_not_take(
    both: Callable[[str, Any], tuple[Any, Any]], text: str, number: str
) -> None:
    theirs, ours = both(text.format(number), (1, 2, 3))
    assert theirs.startswith("variable number must be between ?1 and ?")
    assert ours == theirs


def test_an_executemany_of_such_a_parameter() -> None:
    with colonnade.connect(":memory:") as db:
        db.execute(TABLE)
        for bulk in ("off", "on"):
            db.execute(f"PRAGMA bulk_load = {bulk}")
            for number in ("0", "32767", NINES):
                with pytest.raises(colonnade.OperationalError, match="variable number must be between"):
                    db.executemany(f"INSERT INTO t VALUES (?1, ?2, ?{number})", ROWS)
    db.close()


def test_pragmas_of_numbers_of_thousands_of_digits() -> None:
    with colonnade.connect(":memory:") as db:
        db.execute(f"PRAGMA batch_size = {ZEROS}")
        assert db.execute("PRAGMA batch_size").fetchone() == (7,)
        for limit in (NINES, "9" * 19):
            with pytest.raises(colonnade.OperationalError, match="takes bytes"):
                db.execute(f"PRAGMA memory_limit = {limit}")
    db.close()
    with pytest.raises(colonnade.ProgrammingError, match="more than there can be"):
        parse_size("9" * 400)


@pytest.mark.parametrize(
    "value",
    ["0", "1", "256", "257", "010", "4294967297", "1x", "0x1", "0x0", "0x80000000", ZEROS, NINES, "yes", "o"],
)
def test_a_switch_is_on_where_sqlite_takes_it_for_on(value: str) -> None:
    db = apsw.Connection(":memory:")
    db.execute(f"PRAGMA foreign_keys = '{value}'")
    assert is_on(value) == bool(db.pragma("foreign_keys"))
    db.close()
