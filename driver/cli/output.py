"""How a load report, tables of figures and findings look on the terminal."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from rich.console import Console
from rich.table import Table

from colonnade.loader.report import LoadReport
from colonnade.loader.violations import Violation


def console() -> Console:
    """Standard output; as wide as it needs to be where it is no terminal."""
    out = Console(highlight=False, soft_wrap=True, markup=False)  # names and values may hold brackets
    return out if out.is_terminal else Console(highlight=False, soft_wrap=True, markup=False, width=200)


def megabytes(count: int) -> str:
    return f"{count / 1e6:,.1f}"


def print_table(out: Console, title: str, header: Sequence[str], rows: Iterable[Sequence[object]]) -> None:
    """A table whose numbers are right-aligned; nothing if there are no rows."""
    rows = [list(row) for row in rows]
    if not rows:
        return
    out.print(title, style="bold", markup=False)
    table = Table(box=None, pad_edge=False)
    for index, name in enumerate(header):
        numeric = all(isinstance(row[index], int | float) or row[index] is None for row in rows)
        numeric = numeric or (index > 0 and all(str(row[index])[:1].isdigit() for row in rows))
        table.add_column(name, justify="right" if numeric else "left", no_wrap=True)
    for row in rows:
        table.add_row(*("" if cell is None else _cell(cell) for cell in row))
    out.print(table)


def _cell(value: object) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, int):
        return f"{value:,}"
    return f"{value:.2f}" if isinstance(value, float) else str(value)


def print_report(out: Console, report: LoadReport) -> None:
    """The load report as text: tables, constraints, violations, pager, and one summing line."""
    print_table(
        out,
        "tables",
        ("table", "format", "rows", "rejected", "MB read", "MB stored", "row groups", "seconds"),
        [
            (
                t.table,
                t.format,
                t.rows,
                t.rejected,
                megabytes(t.input_bytes),
                megabytes(t.stored_bytes),
                t.row_groups,
                t.seconds,
            )
            for t in report.tables
        ],
    )
    out.print()
    print_constraints(out, report.constraints)
    for table in report.tables:
        for column, count in table.text_values.items():
            out.print(
                f"note: {table.table}.{column}: {count:,} values are text that is no number, kept as text"
            )
    for warning in report.warnings:
        out.print(f"warning: {warning}")
    print_violations(out, report)
    for advice in report.advice:
        out.print(f"advice: {advice.describe()}")
    print_churn(out, report)
    rate = report.rows / max(report.seconds, 1e-9)
    state = "committed" if report.committed else "rolled back"
    out.print(
        f"{report.rows:,} rows {state} in {report.seconds:.2f} s ({rate:,.0f} rows/s), "
        f"peak memory {report.peak_rss_bytes / 1e6:,.0f} MB, file {report.file_bytes / 1e6:,.1f} MB"
    )


_CHURN_FIGURES = {
    "pages_written": "pages written",
    "pages_rewritten": "rewritten",
    "cache_spills": "spilled",
    "chunks_fresh": "chunks fresh",
    "chunks_overwritten": "overwritten",
    "bytes_put": "bytes put",
    "bytes_overwritten": "overwritten",
    "bytes_freed": "freed",
}


def print_churn(out: Console, report: LoadReport) -> None:
    """One line a table and phase that wrote something, and what became of the file."""
    rows = [
        [row["table"] or "(all)", row["phase"], *(row[name] for name in _CHURN_FIGURES)]
        for row in report.churn
        if any(row[name] for name in _CHURN_FIGURES)
    ]
    print_table(out, "written", ("table", "phase", *_CHURN_FIGURES.values()), rows)
    pager = report.pager
    out.print(
        f"pages of {pager['page_bytes']:,} bytes: {pager['pages_written']:,} written, {pager['pages_rewritten']:,} of "
        f"them again, {pager['cache_spills']:,} spilled; {pager['free_pages']:,} of {pager['page_count']:,} are free; "
        f"written per page added {pager['page_write_amplification']:.2f}"
    )
    out.print(
        f"column chunks: {pager['live_bytes']:,} bytes live, {pager['dead_bytes']:,} dead; written per byte added "
        f"{pager['write_amplification']:.2f}"
    )


_CONSTRAINT_FIGURES = {
    "path": "path",
    "rows_checked": "rows",
    "groups_proven": "proven",
    "groups_scanned": "scanned",
    "index_probes": "probes",
    "hits": "hits",
    "parent_rows_read": "parent rows",
    "unindexed_rows": "unindexed",
    "cache_peak": "peak bytes",
    "spilled_bytes": "spilled",
    "violations": "violations",
    "seconds": "seconds",
}


def print_constraints(out: Console, constraints: Sequence[dict[str, object]]) -> None:
    """One line a constraint; all figures are in the JSON report and in PRAGMA constraint_stats."""
    rows = []
    for row in constraints:
        parent = f" -> {row['parent']}" if row["parent"] else ""
        what = f"{row['table']} {row['kind']} ({row['columns']}){parent}"
        rows.append([what, *(row[name] for name in _CONSTRAINT_FIGURES)])
    print_table(out, "constraints", ("constraint", *_CONSTRAINT_FIGURES.values()), rows)
    out.print()


def print_violations(out: Console, report: LoadReport) -> None:
    """Exact counts by constraint, then the violations that were kept."""
    if not report.violation_count:
        return
    out.print(f"{report.violation_count:,} violations", style="bold")
    for constraint, count in report.violation_counts.items():
        out.print(f"  {constraint}: {count:,}")
    for violation in report.violations:
        out.print(f"  {describe(violation)}")
    hidden = report.violation_count - len(report.violations)
    if hidden > 0:
        out.print(f"  ... and {hidden:,} more")


def describe(violation: Violation) -> str:
    """One line: where, what, and the key that breaks it."""
    return violation.describe()
