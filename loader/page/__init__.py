"""The load report as a page: one HTML file that needs nothing else, to be read in light or dark.

There is no script in it, and its content security policy lets none run: whatever stands in names and values is text.
"""

from __future__ import annotations

from datetime import datetime
from pathlib import Path
from string import Template

from colonnade.loader.page import sections
from colonnade.loader.page.markup import join, tag, text
from colonnade.loader.report import LoadReport

_SECTIONS = (
    sections.figures,
    sections.advice,
    sections.over_time,
    sections.tables,
    sections.violations,
    sections.constraints,
    sections.churn,
    sections.notes,
)


def render(report: LoadReport) -> str:
    """The page of a load."""
    folder = Path(__file__).parent
    state = "committed" if report.committed else "rolled back"
    database = report.database or ":memory:"
    header = tag(
        "header",
        tag("h1", "Load report"),
        tag("span", state, class_=f"state {'good' if report.committed else 'bad'}"),
        tag(
            "p",
            tag("code", database),
            f" · on violation: {report.on_violation} · {datetime.now():%Y-%m-%d %H:%M:%S}",
        ),
    )
    return Template((folder / "page.html").read_text(encoding="utf-8")).substitute(
        title=text(f"{database}: load report"),
        style=(folder / "style.css").read_text(encoding="utf-8"),
        body=join((header, *(made(report) for made in _SECTIONS))),
    )
