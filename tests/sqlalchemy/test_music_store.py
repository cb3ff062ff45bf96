"""An application's ORM work on a music store: the same results as with SQLAlchemy's own SQLite dialect."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Engine, create_engine, event, exc, false, func, inspect, select, text
from sqlalchemy.ext.automap import automap_base
from sqlalchemy.orm import Session, aliased, joinedload, selectinload

from colonnade.sqlalchemy import bulk_load
from tests.sqlalchemy.music import (
    TRACKS,
    Album,
    Artist,
    Base,
    Customer,
    Employee,
    Genre,
    Invoice,
    InvoiceLine,
    Playlist,
    Track,
    fill,
    playlist_track,
)

FORMATS = ("row", "column", "bulk")
Outcome = list[Any]


def opened(url: str, storage_format: str | None) -> Engine:
    engine = create_engine(url)

    @event.listens_for(engine, "connect")
    def set_up(dbapi_connection: Any, _record: object) -> None:
        dbapi_connection.execute("PRAGMA foreign_keys = on").close()
        if storage_format is not None:
            dbapi_connection.execute(f"PRAGMA storage_format = {storage_format}").close()

    return engine


@pytest.fixture
def stock(tmp_path: Path) -> Iterator[Engine]:
    engine = opened(f"sqlite:///{tmp_path}/stock.db", None)
    Base.metadata.create_all(engine)
    with Session(engine) as session:
        fill(session)
        session.commit()
    yield engine
    engine.dispose()


@pytest.fixture(params=FORMATS)
def ours(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Engine]:
    """The store in row format, in column format before and after each write, and as bulk load leaves it."""
    url = f"colonnade:///{tmp_path}/ours.db"
    engine = opened(url, {"column": "auto", "bulk": "column"}.get(request.param, "row"))
    Base.metadata.create_all(engine)
    with Session(engine) as session:
        if request.param == "bulk":
            with bulk_load(session, batch_size=64):
                fill(session)
        else:
            fill(session)
        session.commit()
    if request.param == "column":
        engine.dispose()
        engine = opened(url, "column")
        with engine.begin() as connection:
            for table in Base.metadata.sorted_tables:
                connection.execute(
                    table.delete().where(false())
                )  # after a write of any kind the table is frozen
    with engine.connect() as connection:
        report = connection.exec_driver_sql("PRAGMA storage_report").mappings().all()
        formats = {row["table"]: row["format"] for row in report}
    assert formats["track"] == ("row" if request.param == "row" else "column"), formats
    yield engine
    engine.dispose()


def tables(engine: Engine) -> Outcome:
    """Every row of every table."""
    with engine.connect() as connection:
        return [
            connection.execute(table.select().order_by(*table.primary_key)).all()
            for table in Base.metadata.sorted_tables
        ]


def queries(engine: Engine) -> Outcome:
    found: Outcome = []
    with Session(engine) as session:
        by_genre = (
            select(Genre.name, func.count(), func.sum(Track.milliseconds), func.min(Track.name))
            .join(Track)
            .group_by(Genre.name)
            .having(func.count() > 3)
            .order_by(Genre.name)
        )
        found.append(session.execute(by_genre).all())
        sold = (
            select(Invoice.customer_id, func.sum(InvoiceLine.quantity * InvoiceLine.price).label("paid"))
            .join(InvoiceLine)
            .group_by(Invoice.customer_id)
            .cte("sold")
        )
        best = select(Customer.name, sold.c.paid).join(sold, sold.c.customer_id == Customer.id)
        found.append(session.execute(best.order_by(sold.c.paid.desc(), Customer.id).limit(7)).all())
        ranked = select(
            Track.id,
            func.rank().over(partition_by=Track.genre_id, order_by=(Track.milliseconds, Track.id)),
            func.sum(Track.milliseconds).over(partition_by=Track.album_id, order_by=Track.id),
        )
        found.append(session.execute(ranked.order_by(Track.id)).all())
        chain = select(Employee.id, Employee.name).where(Employee.id == 7).cte("chain", recursive=True)
        above, below = aliased(Employee), aliased(Employee)
        chain = chain.union_all(
            select(above.id, above.name)
            .join(below, below.boss_id == above.id)
            .join(chain, chain.c.id == below.id)
        )
        found.append(session.execute(select(chain.c.name)).all())
        unsold = (
            select(func.count()).select_from(Track).outerjoin(InvoiceLine).where(InvoiceLine.number.is_(None))
        )
        found.append(session.scalar(unsold))
        loaded = session.scalars(
            select(Artist).options(selectinload(Artist.albums).joinedload(Album.tracks)).order_by(Artist.id)
        ).unique()
        found.append([(a.name, [(b.title, [t.name for t in b.tracks]) for b in a.albums]) for a in loaded])
        lists = session.scalars(
            select(Playlist).options(joinedload(Playlist.tracks)).order_by(Playlist.id)
        ).unique()
        found.append([(p.name, sorted(t.id for t in p.tracks)) for p in lists])
        boss = session.get_one(Employee, 1)
        found.append([(r.name, r.hired, [s.name for s in r.reports]) for r in boss.reports])
    return found


def unit_of_work(engine: Engine) -> Outcome:
    """Changes of every kind in one session; then what is left."""
    found: Outcome = []
    with Session(engine) as session:
        artist = Artist(
            name="New",
            albums=[Album(title="First", tracks=[Track(name="a", milliseconds=1, media_type_id=1)])],
        )
        session.add(artist)
        session.flush()
        found.append((artist.id, artist.albums[0].id, artist.albums[0].tracks[0].id))
        track = session.get_one(Track, 10)
        track.name, track.playlists = "renamed", [session.get_one(Playlist, 2), session.get_one(Playlist, 5)]
        third = session.get_one(Artist, 3)
        third.albums.pop()  # an orphan: deleted, and its tracks
        session.delete(session.get_one(Artist, 4))
        session.get_one(Employee, 7).boss = session.get_one(Employee, 2)
        session.commit()
        found.append((track.name, sorted(p.id for p in track.playlists)))
        session.execute(text("UPDATE track SET milliseconds = 5 WHERE id = 10"))
        session.refresh(track)
        found.append(track.milliseconds)
        session.execute(text("UPDATE track SET milliseconds = 6 WHERE id = 10"))
        session.expire(track, ["milliseconds"])
        found.append(track.milliseconds)
        session.rollback()
        found.append(track.milliseconds)
        renamed = Track.__table__.update().where(Track.genre_id == 2).values(name=Track.name + "!")
        found.append(session.execute(renamed).rowcount)
        session.commit()
    return found


def deletes_in_the_database(engine: Engine) -> Outcome:
    """ON DELETE CASCADE and SET NULL, without the ORM loading a row."""
    found: Outcome = []
    with Session(engine) as session:
        session.delete(
            session.get_one(Customer, 5)
        )  # passive_deletes: the database deletes invoices and lines
        session.flush()
        found.append(session.execute(Album.__table__.delete().where(Album.id.in_([8, 9]))).rowcount)
        found.append(session.execute(Track.__table__.delete().where(Track.id < 20)).rowcount)
        session.commit()
        found.append(session.scalar(select(func.count()).select_from(playlist_track)))
    return found


def refused(engine: Engine) -> Outcome:
    """What breaks a constraint, and that the session goes on after it."""
    bad: list[Callable[[Session], object]] = [
        lambda s: s.add(Artist(name="Artist 1")),
        lambda s: s.add(Album(title="Album 1", artist_id=2)),
        lambda s: s.add(Album(title="Orphan", artist_id=999)),
        lambda s: s.add(Track(name="short", milliseconds=0, media_type_id=1)),
        lambda s: s.add(Track(milliseconds=4, media_type_id=1)),
        lambda s: s.add(InvoiceLine(invoice_id=1, number=1, track_id=1, price=1)),
        lambda s: s.delete(s.get_one(Employee, 1)) or s.execute(text("DELETE FROM employee WHERE id = 1")),
    ]
    found: Outcome = []
    with Session(engine) as session:
        for change in bad:
            try:
                change(session)
                session.commit()
                found.append("accepted")
            except exc.IntegrityError as error:
                found.append(str(error.orig))
                session.rollback()
        found.append(session.scalar(select(func.count()).select_from(Track)))
    return found


@pytest.mark.parametrize("work", [queries, unit_of_work, deletes_in_the_database, refused])
def test_the_store_gives_what_the_stock_dialect_gives(
    ours: Engine, stock: Engine, work: Callable[[Engine], Outcome]
) -> None:
    assert tables(ours) == tables(stock)
    assert work(ours) == work(stock)
    assert tables(ours) == tables(stock)


def reflection(engine: Engine) -> Outcome:
    inspector = inspect(engine)
    names = inspector.get_table_names()
    found: Outcome = [names, inspector.get_view_names()]
    for name in names:
        columns = [{**c, "type": str(c["type"])} for c in inspector.get_columns(name)]
        found.append(
            (
                name,
                columns,
                inspector.get_pk_constraint(name),
                sorted(inspector.get_foreign_keys(name), key=str),
                sorted(inspector.get_unique_constraints(name), key=str),
                inspector.get_check_constraints(name),
                sorted(inspector.get_indexes(name), key=str),
                inspector.get_table_options(name),
            )
        )
    return found


def test_reflection_shows_the_tables_as_declared(ours: Engine, stock: Engine) -> None:
    assert reflection(ours) == reflection(stock)


def test_automap_maps_the_tables_with_their_relationships(ours: Engine) -> None:
    automap: Any = automap_base()
    automap.prepare(autoload_with=ours)
    assert set(automap.classes.keys()) == set(Base.metadata.tables) - {"playlist_track"}
    with Session(ours) as session:
        album = session.get_one(automap.classes.album, 7)
        assert album.artist.name == "Artist 8"
        playlist = session.get_one(automap.classes.playlist, 2)
        assert len(playlist.track_collection) == len(range(2, TRACKS, 22))
