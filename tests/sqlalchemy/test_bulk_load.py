"""colonnade.sqlalchemy.bulk_load and the dialect's own options."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Engine, create_engine, exc, insert, select, text
from sqlalchemy.ext.asyncio import AsyncSession, create_async_engine
from sqlalchemy.orm import Session

import colonnade
from colonnade.sqlalchemy import ColonnadeDialect, bulk_load
from tests.sqlalchemy.music import Artist, Base, Genre

TWICE = [{"id": 1, "name": "a"}, {"id": 2, "name": "b"}, {"id": 2, "name": "c"}]


@pytest.fixture
def engine(tmp_path: Path) -> Iterator[Engine]:
    engine = create_engine(f"colonnade:///{tmp_path}/store.db")
    Base.metadata.create_all(engine)
    yield engine
    engine.dispose()


def mode(target: Any) -> tuple[int, int]:
    return target.scalar(text("PRAGMA bulk_load")), target.scalar(text("PRAGMA batch_size"))


def test_a_block_switches_bulk_load_on_and_back(engine: Engine) -> None:
    with Session(engine) as session:
        with bulk_load(session, batch_size=500):
            assert mode(session) == (1, 500)
            session.add_all([Genre(id=1, name="a"), Genre(id=2, name="b")])  # flushed at the end of the block
        assert mode(session) == (0, 0)
        session.commit()
        assert session.scalars(select(Genre.name).order_by(Genre.id)).all() == ["a", "b"]


def test_a_connection_may_be_given_as_well(engine: Engine) -> None:
    with engine.begin() as connection:
        with bulk_load(connection):
            assert mode(connection) == (1, 0)
            connection.execute(insert(Artist), TWICE[:2])
        assert mode(connection) == (0, 0)
    with engine.connect() as connection:
        assert len(connection.execute(select(Artist)).all()) == 2


@pytest.mark.storage_format("auto", "column", reason="bulk load appends to row groups")
def test_a_broken_key_is_told_at_the_end_of_the_block(engine: Engine) -> None:
    with Session(engine) as session:
        with pytest.raises(exc.IntegrityError) as caught, bulk_load(session):
            session.execute(insert(Artist), TWICE)
        violations = caught.value.orig.violations  # type: ignore[union-attr]
        assert [(v.table, v.kind, v.values) for v in violations] == [("artist", "PRIMARY KEY", (2,))]
        assert mode(session) == (0, 0)
        with pytest.raises(exc.IntegrityError):
            session.commit()
        session.rollback()
        assert session.scalars(select(Artist)).all() == []


@pytest.mark.storage_format("auto", "column", reason="bulk load appends to row groups")
def test_an_error_in_the_block_is_not_hidden_by_those_of_keys(engine: Engine) -> None:
    with Session(engine) as session:
        with pytest.raises(exc.OperationalError, match="no such table"), bulk_load(session, batch_size=7):  # noqa: PT012
            session.execute(insert(Artist), TWICE)
            session.execute(text("SELECT * FROM missing"))
        session.rollback()
        assert mode(session) == (0, 0)


def test_the_state_before_the_block_comes_back(engine: Engine) -> None:
    with engine.begin() as connection:
        with bulk_load(connection, batch_size=11):
            with bulk_load(connection, batch_size=22):
                assert mode(connection) == (1, 22)
            assert mode(connection) == (1, 11)
            with pytest.raises(exc.IntegrityError), bulk_load(connection):
                connection.execute(insert(Artist), TWICE)
            assert mode(connection) == (1, 11)
            connection.execute(text("DELETE FROM artist WHERE name = 'c'"))
        assert mode(connection) == (0, 0)


def test_a_commit_in_the_block_leaves_no_pooled_connection_in_bulk_load(engine: Engine) -> None:
    with Session(engine) as session:
        with bulk_load(session):
            session.execute(insert(Artist), TWICE[:1])
            session.commit()
            with engine.connect() as other:
                assert mode(other) == (0, 0)
            assert mode(session) == (1, 0)  # a new transaction of the block
            session.execute(insert(Artist), TWICE[1:2])
        assert mode(session) == (0, 0)
        session.commit()
        assert len(session.scalars(select(Artist)).all()) == 2


def test_other_dialects_are_refused() -> None:
    engine = create_engine("sqlite://")
    with (
        engine.connect() as connection,
        pytest.raises(colonnade.ProgrammingError, match="needs a connection of Colonnade"),
        bulk_load(connection),
    ):
        pass
    engine.dispose()


@pytest.mark.parametrize(
    ("url", "arguments"),
    [
        ("colonnade://", {"bulk_load": True, "batch_size": 9}),
        ("colonnade://?bulk_load=true&batch_size=9", {}),
        ("sqlite+colonnade:///file::memory:?uri=true&timeout=3&bulk_load=yes&batch_size=9", {}),
    ],
)
def test_an_engine_can_be_in_bulk_load_from_the_start(url: str, arguments: dict[str, Any]) -> None:
    engine = create_engine(url, connect_args=arguments)
    with engine.connect() as connection:
        assert mode(connection) == (1, 9)
        assert isinstance(connection.connection.driver_connection, colonnade.Connection)
        assert connection.scalar(text("SELECT 'abc' REGEXP 'b.'")) == 1
        assert connection.get_isolation_level() == "SERIALIZABLE"
        assert isinstance(engine.dialect, ColonnadeDialect)
        assert engine.dialect.name == "sqlite"
    engine.dispose()


@pytest.mark.storage_format("auto", "column", reason="bulk load appends to row groups")
def test_an_async_session_loads_in_bulk_by_run_sync(tmp_path: Path) -> None:
    async def load() -> None:
        engine = create_async_engine(f"colonnade+aio:///{tmp_path}/store.db")
        async with engine.begin() as connection:
            await connection.run_sync(Base.metadata.create_all)
        async with AsyncSession(engine) as session:

            def add(session: Session, rows: list[dict[str, Any]]) -> None:
                with bulk_load(session, batch_size=5):
                    assert mode(session) == (1, 5)
                    session.execute(insert(Artist), rows)

            with pytest.raises(exc.IntegrityError) as caught:
                await session.run_sync(add, TWICE)
            assert caught.value.orig.violations  # type: ignore[union-attr]
            await session.rollback()
            await session.run_sync(add, TWICE[:2])
            assert await session.run_sync(mode) == (0, 0)
            await session.commit()
            stream = await session.stream_scalars(select(Artist.name).order_by(Artist.id))
            assert [name async for name in stream] == ["a", "b"]
        async with engine.connect() as connection:
            await connection.execution_options(isolation_level="AUTOCOMMIT")
            await connection.execute(insert(Artist), [{"id": 9, "name": "z"}])
        async with engine.connect() as connection:
            assert await connection.scalar(text("SELECT count(*) FROM artist")) == 3
        await engine.dispose()

    asyncio.run(load())
