"""Churn: what a load wrote to get where it is, in chunks and pages, by table and phase and in all."""

from __future__ import annotations

from dataclasses import fields

from colonnade.loader.report import LoadReport
from colonnade.store.counters import FilePages, Usage
from colonnade.store.database import Store


class Churn:
    """Of one load: made in its transaction, asked when that has ended."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._before = store.pager.counters.snapshot()
        self._used_before = _used_pages(store)
        self._live_before = _usage(store).live_bytes

    def tell(self, report: LoadReport) -> None:
        """Puts the figures in the report.

        In `pager` are the counters of all tables and of SQLite's pages over the load; page_bytes, page_count and
        free_pages of the file, live_bytes and dead_bytes of its column chunks as they are now; and two ratios, 0
        where nothing was added: of bytes of column chunks put to those by which the live ones have grown
        (write_amplification), and the same of pages (page_write_amplification).
        """
        delta, pages, usage = (
            self._store.pager.counters.snapshot() - self._before,
            FilePages.read(self._store.db),
            _usage(self._store),
        )
        total = delta.total
        figures: dict[str, float] = {name: getattr(total, name) for name in total.__slots__}
        figures["chunks_fresh"] = total.chunks_fresh
        for source in (delta.pages, pages):
            figures |= {field.name: getattr(source, field.name) for field in fields(source)}
        figures["live_bytes"], figures["dead_bytes"] = usage.live_bytes, usage.dead_bytes
        figures["write_amplification"] = _ratio(total.bytes_put, usage.live_bytes - self._live_before)
        used = _used_pages(self._store) - self._used_before
        figures["page_write_amplification"] = _ratio(delta.pages.pages_written, used)
        report.pager = figures
        names = {f"main.{table.table}".lower(): table.table for table in report.tables}
        order = {key: at for at, key in enumerate(names)}
        phases = sorted(delta.phases.items(), key=lambda item: order.get(item[0][0] or "", len(order)))
        report.churn = [
            {"table": None if key is None else names.get(key, key), "phase": phase, **counters.figures()}
            for (key, phase), counters in phases
        ]


def _usage(store: Store) -> Usage:
    return sum((table.usage() for table in store.tables()), Usage(0, 0))


def _used_pages(store: Store) -> int:
    pages = FilePages.read(store.db)
    return pages.page_count - pages.free_pages


def _ratio(written: int, added: int) -> float:
    return round(written / added, 3) if added > 0 else 0.0
