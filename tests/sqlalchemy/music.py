"""A music store as an application declares it: eleven tables with keys, and rows to fill them."""

from __future__ import annotations

import datetime
import random
from decimal import Decimal
from typing import Any

from sqlalchemy import CheckConstraint, Column, ForeignKey, Index, Numeric, String, Table, UniqueConstraint
from sqlalchemy.orm import DeclarativeBase, Mapped, Session, mapped_column, relationship


class Base(DeclarativeBase):
    pass


playlist_track = Table(
    "playlist_track",
    Base.metadata,
    Column("playlist_id", ForeignKey("playlist.id", ondelete="CASCADE"), primary_key=True),
    Column("track_id", ForeignKey("track.id", ondelete="CASCADE"), primary_key=True),
)


class Artist(Base):
    __tablename__ = "artist"
    id: Mapped[int] = mapped_column(primary_key=True)
    name: Mapped[str] = mapped_column(String(120), unique=True)
    albums: Mapped[list[Album]] = relationship(back_populates="artist", cascade="all, delete-orphan")


class Album(Base):
    __tablename__ = "album"
    __table_args__ = (UniqueConstraint("artist_id", "title", name="one_title_an_artist"),)
    id: Mapped[int] = mapped_column(primary_key=True)
    title: Mapped[str] = mapped_column(String(160))
    artist_id: Mapped[int] = mapped_column(ForeignKey("artist.id"))
    artist: Mapped[Artist] = relationship(back_populates="albums")
    tracks: Mapped[list[Track]] = relationship(back_populates="album", order_by="Track.id", cascade="all")


class Genre(Base):
    __tablename__ = "genre"
    id: Mapped[int] = mapped_column(primary_key=True)
    name: Mapped[str] = mapped_column(String(40), unique=True)


class MediaType(Base):
    __tablename__ = "media_type"
    id: Mapped[int] = mapped_column(primary_key=True)
    name: Mapped[str]


class Track(Base):
    __tablename__ = "track"
    __table_args__ = (
        CheckConstraint("milliseconds > 0", name="lasts"),
        Index("track_by_name", "name", "milliseconds"),
    )
    id: Mapped[int] = mapped_column(primary_key=True)
    name: Mapped[str] = mapped_column(String(200))
    milliseconds: Mapped[int]
    price: Mapped[Decimal] = mapped_column(Numeric(10, 2), default=Decimal("0.99"))
    album_id: Mapped[int | None] = mapped_column(ForeignKey("album.id", ondelete="SET NULL"))
    genre_id: Mapped[int | None] = mapped_column(ForeignKey("genre.id"))
    media_type_id: Mapped[int] = mapped_column(ForeignKey("media_type.id"))
    album: Mapped[Album | None] = relationship(back_populates="tracks")
    genre: Mapped[Genre | None] = relationship()
    media_type: Mapped[MediaType] = relationship()
    playlists: Mapped[list[Playlist]] = relationship(secondary=playlist_track, back_populates="tracks")


class Playlist(Base):
    __tablename__ = "playlist"
    id: Mapped[int] = mapped_column(primary_key=True)
    name: Mapped[str]
    tracks: Mapped[list[Track]] = relationship(secondary=playlist_track, back_populates="playlists")


class Employee(Base):
    __tablename__ = "employee"
    id: Mapped[int] = mapped_column(primary_key=True)
    name: Mapped[str]
    hired: Mapped[datetime.date]
    boss_id: Mapped[int | None] = mapped_column(ForeignKey("employee.id"))
    boss: Mapped[Employee | None] = relationship(remote_side="Employee.id", back_populates="reports")
    reports: Mapped[list[Employee]] = relationship(back_populates="boss")


class Customer(Base):
    __tablename__ = "customer"
    id: Mapped[int] = mapped_column(primary_key=True)
    name: Mapped[str]
    email: Mapped[str] = mapped_column(unique=True)
    country: Mapped[str | None]
    support_id: Mapped[int | None] = mapped_column(ForeignKey("employee.id"))
    invoices: Mapped[list[Invoice]] = relationship(
        back_populates="customer", cascade="all, delete-orphan", passive_deletes=True
    )


class Invoice(Base):
    __tablename__ = "invoice"
    id: Mapped[int] = mapped_column(primary_key=True)
    customer_id: Mapped[int] = mapped_column(ForeignKey("customer.id", ondelete="CASCADE"))
    at: Mapped[datetime.datetime]
    customer: Mapped[Customer] = relationship(back_populates="invoices")
    lines: Mapped[list[InvoiceLine]] = relationship(
        cascade="all, delete-orphan", passive_deletes=True, order_by="InvoiceLine.number"
    )


class InvoiceLine(Base):
    __tablename__ = "invoice_line"
    invoice_id: Mapped[int] = mapped_column(ForeignKey("invoice.id", ondelete="CASCADE"), primary_key=True)
    number: Mapped[int] = mapped_column(primary_key=True)
    track_id: Mapped[int] = mapped_column(ForeignKey("track.id", ondelete="CASCADE"))
    price: Mapped[Decimal] = mapped_column(Numeric(10, 2))
    quantity: Mapped[int] = mapped_column(default=1)


TRACKS, INVOICES = 150, 40


def rows() -> dict[str, list[dict[str, Any]]]:
    """Rows for all tables but the smallest, in the order in which keys allow them; the same each time."""
    chance = random.Random(1)
    new_year = datetime.datetime(2024, 1, 1, 8, 30, 0, 250)
    return {
        "artist": [{"id": i, "name": f"Artist {i}"} for i in range(1, 41)],
        "album": [{"id": i, "title": f"Album {i % 7}", "artist_id": i % 40 + 1} for i in range(1, 101)],
        "genre": [{"id": i, "name": name} for i, name in enumerate(("Rock", "Jazz", "Fado", "Ópera"), 1)],
        "media_type": [{"id": 1, "name": "file"}, {"id": 2, "name": "disc"}],
        "track": [
            {
                "id": i,
                "name": f"Track {chance.randrange(1000)}",
                "milliseconds": chance.randrange(60_000, 600_000),
                "price": Decimal(chance.choice(("0.99", "1.99", "2"))),
                "album_id": i % 100 + 1 if i % 9 else None,
                "genre_id": chance.choice((1, 2, 3, 4, None)),
                "media_type_id": i % 2 + 1,
            }
            for i in range(1, TRACKS + 1)
        ],
        "employee": [
            {"id": i, "name": f"E{i}", "hired": datetime.date(2020, i, 1), "boss_id": i // 2 or None}
            for i in range(1, 8)
        ],
        "customer": [
            {
                "id": i,
                "name": f"C{i}",
                "email": f"c{i}@x.org",
                "country": "PT" if i % 3 else None,
                "support_id": i % 7 + 1,
            }
            for i in range(1, 31)
        ],
        "invoice": [
            {"id": i, "customer_id": i % 30 + 1, "at": new_year + datetime.timedelta(days=i)}
            for i in range(1, INVOICES + 1)
        ],
        "invoice_line": [
            {
                "invoice_id": i,
                "number": n,
                "track_id": (i * 7 + n) % TRACKS + 1,
                "price": Decimal("1.50"),
                "quantity": n,
            }
            for i in range(1, INVOICES + 1)
            for n in range(1, i % 4 + 2)
        ],
        "playlist": [{"id": i, "name": f"P{i}"} for i in range(1, 6)],
        "playlist_track": [
            {"playlist_id": p, "track_id": t} for p in range(1, 6) for t in range(p, TRACKS, p * 11)
        ],
    }


def fill(session: Session) -> None:
    """All rows, through each of the ways to insert many: Core, bulk_insert_mappings and add_all."""
    for name, content in rows().items():
        mapper = next((m for m in Base.registry.mappers if m.local_table.name == name), None)
        if mapper is None:
            session.execute(Base.metadata.tables[name].insert(), content)
        elif name in ("track", "invoice_line"):
            session.bulk_insert_mappings(mapper, content, render_nulls=True)
        elif name in ("artist", "customer"):
            session.execute(Base.metadata.tables[name].insert(), content)
        else:
            session.add_all(mapper.class_(**row) for row in content)
            session.flush()
