"""The sections of the page, each from the load report alone; one without anything to tell is empty."""

from __future__ import annotations

from itertools import islice
from typing import Any

import apsw

from colonnade.loader.advice import Advice
from colonnade.loader.page.charts import Lane, TimeAxis, lanes, memory_chart, rate_chart, stacked
from colonnade.loader.page.markup import (
    Html,
    brief,
    count,
    join,
    megabytes,
    seconds,
    section,
    short,
    table,
    tag,
)
from colonnade.loader.report import LoadReport, TableReport
from colonnade.store.values import SQLiteValue

# Phases in the order in which they come; those that a load does not name have the last colour.
PHASES = ("parse", "encode", "check", "append", "validate", "settle")
EXAMPLES = 200  # violations that are shown
_VALUE = 60  # characters of a value that are


def figures(report: LoadReport) -> Html:
    """The few numbers that everybody asks for."""
    read = sum(of.input_bytes for of in report.tables)
    spent = max(report.seconds, 1e-9)
    tiles = [
        ("rows stored" if report.committed else "rows read", short(report.rows), f"{report.rows:,}"),
        ("seconds", f"{report.seconds:,.2f}", f"COMMIT {report.commit_seconds:.2f}"),
        ("rows/s", short(report.rows / spent), f"{read / spent / 1e6:,.0f} MB/s of input"),
        ("read", f"{read / 1e6:,.0f} MB", f"{len(report.tables)} tables"),
        ("peak memory", f"{report.peak_rss_bytes / 1e6:,.0f} MB", "of the process"),
        ("file", f"{report.file_bytes / 1e6:,.0f} MB", _share(report.file_bytes, read)),
        ("violations", short(report.violation_count), f"{report.rejected:,} rows rejected"),
    ]
    bad = "tile bad" if report.violation_count else "tile"
    return tag(
        "div",
        *(
            tag(
                "div",
                tag("span", name, class_="what"),
                tag("strong", value),
                tag("span", more, class_="more"),
                class_=bad if name == "violations" else "tile",
            )
            for name, value, more in tiles
        ),
        class_="tiles",
    )


def _share(size: int, read: int) -> str:
    return f"{size / read:.0%} of the input" if read else ""


def advice(report: LoadReport) -> Html:
    """What would make the next load cheaper."""
    if not report.advice:
        return Html("")
    return section("Advice", tag("ol", *map(_advice, report.advice), class_="advice"))


def _advice(one: Advice) -> Html:
    worth = tag("span", f" Saves reading {one.rows:,} rows.", class_="more") if one.rows else ""
    return tag("li", tag("b", one.table), f": {one.reason}; {one.action}.", worth)


def notes(report: LoadReport) -> Html:
    """Warnings, and text that stands in numeric columns."""
    lines = list(report.warnings)
    for of in report.tables:
        lines += [
            f"{of.table}.{column}: {number:,} values are text that is no number, kept as text"
            for column, number in of.text_values.items()
        ]
    return section("Notes", tag("ul", *(tag("li", line) for line in lines))) if lines else Html("")


def over_time(report: LoadReport) -> Html:
    """Rows a second, memory, and which table when."""
    if len(report.timeline) < 2:
        return Html("")
    axis = TimeAxis(max(report.seconds, report.timeline[-1].seconds))
    spans = [
        Lane(of.table, of.started - report.started, of.seconds, f"{of.rows:,} rows, {of.seconds:.2f} s")
        for of in report.tables
    ]
    charts = [("Rows stored per second", rate_chart(report.timeline, axis))]
    charts.append(("Memory", memory_chart(report.timeline, axis, report.peak_rss_bytes)))
    charts.append(
        ("Tables, from the opening of the first file to the end of the validation", lanes(spans, axis))
    )
    shown = [tag("figure", tag("figcaption", name), chart) for name, chart in charts if chart]
    return section("Over time", *shown)


def tables(report: LoadReport) -> Html:
    """A bar a table with its phases, and its figures."""
    longest = max((sum(of.phases.values()) for of in report.tables), default=0.0)
    used = [phase for phase in PHASES if any(of.phases.get(phase) for of in report.tables)]
    legend = tag("p", *(tag("span", tag("i", class_=f"p-{phase}"), phase) for phase in used), class_="legend")
    header = ["table", "phases", *(f"{phase} s" for phase in used), "rows", "rejected"]
    header += ["MB read", "MB stored", "row groups", "format"]
    rows = [
        [
            tag("b", of.table),
            _phase_bar(of, longest),
            *(seconds(of.phases.get(phase, 0.0)) for phase in used),
            count(of.rows) or "0",
            count(of.rejected),
            megabytes(of.input_bytes),
            megabytes(of.stored_bytes),
            count(of.row_groups),
            of.format,
        ]
        for of in report.tables
    ]
    note = (
        "Seconds: parse and encode are those of all threads together, the others of the connection's thread."
    )
    return section("Tables", legend, table(header, rows, left=(0, 1)), note=note)


def _phase_bar(of: TableReport, longest: float) -> Html:
    parts = [
        (f"p-{phase if phase in PHASES else PHASES[-1]}", spent, f"{phase}: {spent:.3f} s")
        for phase, spent in sorted(of.phases.items(), key=lambda item: (*PHASES, item[0]).index(item[0]))
    ]
    return stacked(parts, longest)


_CONSTRAINT_FIGURES = {
    "rows_checked": ("rows", brief),
    "groups_proven": ("proven", count),
    "groups_scanned": ("scanned", count),
    "index_probes": ("probes", brief),
    "hits": ("hits", brief),
    "parent_rows_read": ("parent rows", brief),
    "cache_peak": ("peak MB", megabytes),
    "spilled_bytes": ("spilled MB", megabytes),
    "violations": ("violations", count),
    "seconds": ("seconds", seconds),
}


def constraints(report: LoadReport) -> Html:
    """Each constraint with the way it was checked and what that took."""
    if not report.constraints:
        return Html("")
    rows = [
        [
            tag("b", row["table"]),
            tag("span", _constraint(row), title=row["constraint"]),
            tag("span", row["path"], class_="path") if row["path"] else "",
            *(show(row[name]) for name, (_, show) in _CONSTRAINT_FIGURES.items()),
        ]
        for row in report.constraints
    ]
    header = ["table", "constraint", "path", *(name for name, _ in _CONSTRAINT_FIGURES.values())]
    note = (
        "proven, scanned: row groups decided from their zones alone, and those that were read. parent rows: keys of "
        "the parent that were read; probes: keys looked up, hits: those found. peak MB: what the check held."
    )
    return section("Constraints", table(header, rows, left=(0, 1, 2)), note=note)


def _constraint(row: dict[str, Any]) -> str:
    parent = f" → {row['parent']}" if row["parent"] else ""
    return f"{row['kind']} ({row['columns']}){parent}"


_CHURN_FIGURES = {
    "pages_written": ("pages written", count),
    "pages_rewritten": ("written again", count),
    "cache_spills": ("spilled", count),
    "chunks_fresh": ("chunks fresh", count),
    "chunks_overwritten": ("chunks overwritten", count),
    "chunks_freed": ("chunks freed", count),
    "bytes_put": ("MB put", megabytes),
    "bytes_overwritten": ("MB overwritten", megabytes),
    "bytes_freed": ("MB freed", megabytes),
}


def churn(report: LoadReport) -> Html:
    """What was written, page by page and chunk by chunk, and what is left of it."""
    lines = [row for row in report.churn if any(row[name] for name in _CHURN_FIGURES)]
    if not lines:
        return Html("")
    most = max(row["pages_written"] for row in lines)
    rows, before = [], ""
    for row in lines:
        name = row["table"] or "all tables"
        shown = (show(row[key]) for key, (_, show) in _CHURN_FIGURES.items())
        rows.append([tag("b", name) if name != before else "", row["phase"], _page_bar(row, most), *shown])
        before = name
    header = ["table", "phase", "pages", *(name for name, _ in _CHURN_FIGURES.values())]
    kinds = (("w-new", "new pages"), ("w-again", "pages written again"))
    legend = tag("p", *(tag("span", tag("i", class_=kind), name) for kind, name in kinds), class_="legend")
    return section("Written", _file_figures(report.pager), legend, table(header, rows, left=(0, 1, 2)))


def _page_bar(row: dict[str, Any], most: int) -> Html:
    again = row["pages_rewritten"]
    new = row["pages_written"] - again
    return stacked(
        [("w-new", new, f"{new:,} new pages"), ("w-again", again, f"{again:,} written again")], most
    )


def _file_figures(pager: dict[str, float]) -> Html:
    pages = (
        f"{pager['pages_written']:,} pages of {pager['page_bytes']:,} bytes were written, "
        f"{pager['pages_rewritten']:,} of them again, {pager['cache_spills']:,} before COMMIT; "
        f"{pager['free_pages']:,} of the file's {pager['page_count']:,} pages are free."
    )
    chunks = (
        f"Column chunks take {pager['live_bytes']:,} bytes, {pager['dead_bytes']:,} more are dead. "
        f"Write amplification: {pager['write_amplification']:.2f} of chunks, "
        f"{pager['page_write_amplification']:.2f} of pages."
    )
    return tag("p", pages, " ", chunks, class_="note")


def violations(report: LoadReport) -> Html:
    """How many break what, and the first of them."""
    if not report.violation_count:
        return Html("")
    counts = sorted(report.violation_counts.items(), key=lambda item: -item[1])
    most = counts[0][1]
    bars = [[name, count(number), stacked([("bad", number, f"{number:,}")], most)] for name, number in counts]
    first = list(islice(iter(report.violations), EXAMPLES))
    header = ["table", "constraint", "where", "rowid", "key", "parent", "message"]
    rows = [
        [
            of.table,
            of.constraint,
            _where(of.source, of.line),
            "" if of.rowid is None else str(of.rowid),
            tag("code", ", ".join(map(_value, of.values))),
            of.parent or "",
            of.message,
        ]
        for of in first
    ]
    hidden = report.violation_count - len(first)
    more = tag("p", f"… and {hidden:,} more", class_="note") if hidden > 0 else ""
    shown = join((table(header, rows, left=range(len(header))), more)) if first else ""
    return section("Violations", table(["constraint", "rows", ""], bars, left=(0, 2)), shown)


def _where(source: str | None, line: int | None) -> str:
    return "" if source is None else source if line is None else f"{source}:{line}"


def _value(value: SQLiteValue) -> str:
    shown = apsw.format_sql_value(value) if not isinstance(value, bytes) else f"x'{value[:_VALUE].hex()}'"
    return shown if len(shown) <= _VALUE else shown[:_VALUE] + "…"
