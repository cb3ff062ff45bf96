"""The load report as a page: whole, harmless whatever is in the data, and with charts that a browser draws."""

from __future__ import annotations

import re
import shutil
import subprocess
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest

import colonnade
from colonnade.loader.advice import Advice
from colonnade.loader.options import LoadOptions
from colonnade.loader.page import markup
from colonnade.loader.page.charts import TimeAxis, memory_chart, rates, ticks
from colonnade.loader.report import LoadReport
from colonnade.loader.timeline import Sample, Timeline
from colonnade.loader.tpch import TPCH_DDL
from tests.loader.png import read_png

STYLE = (Path(markup.__file__).parent / "style.css").read_text()
VOID = {"meta", "br"}


class Page(HTMLParser):
    """The elements and texts of a page; elements that are not closed in order fail."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.tags: dict[str, int] = {}
        self.texts: list[str] = []
        self.attributes: list[tuple[str, str | None]] = []
        self.feed(text)
        self.close()
        assert not self.open

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags[tag] = self.tags.get(tag, 0) + 1
        self.attributes += attrs
        if tag not in VOID:
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.texts.append(data)

    def has(self, text: str) -> bool:
        return any(text in other for other in self.texts)


@pytest.fixture(scope="module")
def report(tpch_folder: Path, tmp_path_factory: pytest.TempPathFactory) -> LoadReport:
    connection = colonnade.connect(tmp_path_factory.mktemp("page") / "t.db")
    report: LoadReport = connection.load(tpch_folder, script=TPCH_DDL)
    connection.close()
    return report


HOSTILE = "</td><script>alert(1)</script>"
VALUE = "<img src=x onerror='alert(2)'> \"&amp;\" \x00\x1b \ud800"


@pytest.mark.storage_format("auto", "column", reason="tells of column chunks")
def test_a_page_has_every_table_constraint_and_phase_and_needs_nothing_else(report: LoadReport) -> None:
    text = report.to_page()
    page = Page(text)
    for table in report.tables:
        assert page.texts.count(table.table) >= 4  # lane, figures, constraints, churn
    for heading in ("Over time", "Tables", "Constraints", "Written"):
        assert heading in page.texts
    for heading in ("Violations", "Advice", "Notes"):
        assert heading not in page.texts
    assert page.has("86,") or page.has("86.6 k")
    assert page.has("FOREIGN KEY (l_partkey, l_suppkey) → partsupp")
    assert not {"script", "link", "img", "iframe", "object"} & set(page.tags)
    assert page.tags["svg"] > 10
    assert not [value for name, value in page.attributes if name in ("src", "href") or name.startswith("on")]
    assert "url(" not in text
    assert "http:" not in text
    assert "https:" not in text
    assert "default-src 'none'" in text


def test_names_and_values_are_shown_as_they_are_whatever_is_in_them(tmp_path: Path) -> None:
    connection = colonnade.connect(tmp_path / "<b>.db")
    name = HOSTILE.replace('"', '""')
    connection.execute(f'CREATE TABLE "{name}"(a INTEGER PRIMARY KEY, "<i>" TEXT UNIQUE)')
    connection.execute(
        f'CREATE TABLE c(a NUMERIC, p INT, CONSTRAINT "<u>" FOREIGN KEY(p) REFERENCES "{name}")'
    )
    rows = pa.table(
        {"a": [1, 2, 3], "<i>": ["x", "<img src=x onerror='alert(2)'>", "<img src=x onerror='alert(2)'>"]}
    )
    children = pa.table({"a": ["<s>", "2"], "p": [1, 77]})
    report = connection.load((HOSTILE, rows), ("c", children), options=LoadOptions(on_violation="report"))
    report.advice.append(Advice("c", 1234, "<em>no order</em>", "<em>sort it</em>"))
    connection.close()
    page = Page(report.to_page())
    assert not {"script", "img", "s", "u", "em"} & set(page.tags)
    assert not [name for name, _ in page.attributes if name.startswith("on")]
    for shown in (
        HOSTILE,
        "<b>.db",
        "<img src=x onerror=",
        "<u>",
        "<em>sort it</em>",
        "c.a: 1 values are text",
    ):
        assert page.has(shown), shown


def test_characters_that_no_page_may_hold_are_replaced() -> None:
    assert markup.text(VALUE).endswith("&quot;&amp;amp;&quot; �� ?")
    assert markup.tag("p", markup.tag("b", "<"), title='"') == '<p title="&quot;"><b>&lt;</b></p>'


def test_violations_are_counted_exactly_and_the_first_are_shown(tmp_path: Path) -> None:
    connection = colonnade.connect(":memory:")
    connection.execute("CREATE TABLE t(a INT UNIQUE, b INT CHECK(b < 5000))")
    (tmp_path / "t.csv").write_text("".join(f"{n % 4000},{n}\n" for n in range(6000)))
    report = connection.load(tmp_path / "t.csv", options=LoadOptions(on_violation="report"))
    connection.close()
    page = Page(report.to_page())
    assert page.has("rolled back")
    first = page.texts.index("t: CHECK b < 5000")
    assert page.texts[first : first + 2] == ["t: CHECK b < 5000", "1,000"]
    first = page.texts.index("t: UNIQUE (a)")
    assert page.texts[first : first + 2] == ["t: UNIQUE (a)", "1,000"]
    assert page.has("… and 1,800 more")
    assert page.has(f"{tmp_path / 't.csv'}:5001")


def test_rates_add_up_to_the_rows_and_ticks_are_round() -> None:
    samples = [Sample(at / 10, rows, 0) for at, rows in enumerate([0, 0, 50, 50, 400, 1000])]
    steps = rates(samples)
    assert sum((stop - start) * rate for start, stop, rate in steps) == pytest.approx(1000)
    assert (steps[0][0], steps[-1][1]) == (0.0, 0.5)
    assert rates(samples[:1]) == []
    assert ticks(10.68, 8) == [0, 2, 4, 6, 8, 10]
    assert ticks(0.033, 4) == [0, 0.01, 0.02, 0.03]
    assert ticks(0, 4) == [0]
    assert memory_chart(samples, TimeAxis(0.5), 0) == ""


def test_a_timeline_ends_with_all_rows_and_stays_short() -> None:
    rows = iter(range(10**6))
    with Timeline(lambda: next(rows)) as timeline:
        timeline._every_s = 0.0001
        while next(rows) < 1500:
            timeline._over.wait(0.001)
    seen = [sample.rows for sample in timeline.samples]
    assert seen == sorted(seen)
    assert 2 <= len(seen) <= 402
    assert not timeline._thread.is_alive()


# --- in a browser -------------------------------------------------------------------------------------------

BROWSER = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
SCHEMES = {"light": 1, "dark": 0}  # Blink's numbers


def colour(name: str, scheme: str) -> tuple[int, ...]:
    """A colour of the style sheet; that of the dark one comes second."""
    found = re.findall(rf"--{name}: #([0-9a-f]{{6}})", STYLE)
    assert len(found) == 2
    return tuple(bytes.fromhex(found[scheme == "dark"]))


@pytest.mark.skipif(
    BROWSER is None, reason="no Chromium on this machine: what the page looks like is not tested"
)
@pytest.mark.storage_format("auto", "column", reason="tells of column chunks")
@pytest.mark.parametrize("scheme", list(SCHEMES))
def test_a_browser_draws_the_charts_in_light_and_dark(
    report: LoadReport, tmp_path: Path, scheme: str
) -> None:
    assert BROWSER is not None
    (tmp_path / "r.html").write_text(report.to_page(), encoding="utf-8")
    command = [
        *(BROWSER, "--headless", "--no-sandbox", "--disable-gpu", "--disable-background-networking"),
        *("--hide-scrollbars", f"--user-data-dir={tmp_path / 'profile'}", "--window-size=800,1500"),
        *(f"--blink-settings=preferredColorScheme={SCHEMES[scheme]}", f"--screenshot={tmp_path / 'r.png'}"),
    ]
    done = subprocess.run(
        [*command, f"file://{tmp_path / 'r.html'}"], capture_output=True, timeout=120, check=False
    )
    assert (tmp_path / "r.png").exists(), done.stderr.decode()
    pixels = read_png((tmp_path / "r.png").read_bytes())
    assert pixels.shape == (1500, 800, 3)
    drawn = {
        name: int((pixels == np.array(colour(name, scheme), np.uint8)).all(axis=2).sum())
        for name in ("back", "card", "rate", "memory", "lane", "parse", "encode")
    }
    assert tuple(pixels[0, 0]) == colour("back", scheme)
    assert drawn["card"] > 300_000
    assert drawn["lane"] > 500
    assert drawn["rate"] > 100  # lines of 1.6 units, most of whose pixels are blended
    assert drawn["memory"] > 50
    assert drawn["parse"] > 200
    assert drawn["encode"] > 100
