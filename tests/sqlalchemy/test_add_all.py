"""add_all: a flush inserts many rows a statement, and each object gets the key of its own row."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

sa = pytest.importorskip("sqlalchemy")
from sqlalchemy import event  # noqa: E402
from sqlalchemy.orm import DeclarativeBase, Mapped, Session, mapped_column  # noqa: E402

if TYPE_CHECKING:
    from sqlalchemy.engine import Engine

LARGEST_ROWID = 2**63 - 1
ROWS = 2500


class Base(DeclarativeBase):
    """The registry of these tests."""


class Thing(Base):
    """A row whose key SQLite makes."""

    __tablename__ = "thing"
    id: Mapped[int] = mapped_column(primary_key=True)
    name: Mapped[str] = mapped_column(unique=True)


@pytest.fixture(params=["row", "column"])
def engine(request: pytest.FixtureRequest) -> Engine:
    engine = sa.create_engine("colonnade://")

    @event.listens_for(engine, "connect")
    def choose(connection: object, _: object) -> None:
        connection.execute(f"PRAGMA storage_format = {request.param}")  # type: ignore[attr-defined]

    Base.metadata.create_all(engine)
    return engine


def inserts(engine: Engine) -> list[str]:
    """The INSERTs run from here on."""
    found: list[str] = []

    @event.listens_for(engine, "before_cursor_execute")
    def note(_: object, __: object, statement: str, *___: object) -> None:
        if statement.startswith("INSERT"):
            found.append(statement)

    return found


def rows(session: Session) -> list[tuple[int, str]]:
    return sorted(tuple(row) for row in session.execute(sa.text("SELECT id, name FROM thing")))


def test_a_flush_takes_few_statements_and_each_object_has_its_own_key(engine: Engine) -> None:
    # Names in an order that is not that of any index.
    things = [Thing(name=f"{i * 7919 % ROWS:05}") for i in range(ROWS)]
    ran = inserts(engine)
    with Session(engine) as session:
        session.add_all(things)
        session.commit()
        assert len(ran) < ROWS / 100
        assert rows(session) == [(i + 1, f"{i * 7919 % ROWS:05}") for i in range(ROWS)]
        assert [(thing.id, thing.name) for thing in things[:3]] == [(1, "00000"), (2, "00419"), (3, "00838")]


def test_keys_that_do_not_ascend_reach_their_objects(engine: Engine) -> None:
    with Session(engine, expire_on_commit=False) as session:
        session.add(Thing(id=LARGEST_ROWID, name="last"))
        session.commit()
        things = [Thing(name=f"{i:05}") for i in range(200)]
        session.add_all(things)
        session.commit()
        keys = [thing.id for thing in things]
        assert keys != sorted(keys)  # SQLite draws rowids at random here
        assert dict(rows(session)) == {LARGEST_ROWID: "last"} | {thing.id: thing.name for thing in things}


def test_rows_of_an_upsert_come_in_the_order_of_their_parameters(engine: Engine) -> None:
    from sqlalchemy.dialects.sqlite import insert

    names = ["b", "c", "a", "d"]
    with Session(engine) as session:
        session.add_all([Thing(id=3, name="a"), Thing(id=9, name="b"), Thing(id=5, name="d")])
        session.flush()
        upsert = insert(Thing).on_conflict_do_update(
            index_elements=["name"], set_={"name": sa.text("excluded.name")}
        )
        statement = upsert.returning(Thing.id, Thing.name, sort_by_parameter_order=True)
        returned = session.execute(statement, [{"name": name} for name in names]).all()
        assert [tuple(row) for row in returned] == [(9, "b"), (10, "c"), (3, "a"), (5, "d")]
