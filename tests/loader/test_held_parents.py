"""Foreign keys that are looked up while their table is loaded: what they find, and what is not read again."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import colonnade
from colonnade.loader.heldparents import HeldParents
from colonnade.loader.options import LoadOptions
from colonnade.loader.report import LoadReport
from colonnade.loader.sources import pieces
from colonnade.store.table import ColumnTable

_ROWS, _BATCH = 12_000, 100
_SCRIPT = """
    CREATE TABLE p (id INTEGER PRIMARY KEY);
    CREATE TABLE q (a INTEGER, b INTEGER, PRIMARY KEY (a, b));
    CREATE TABLE c (id INTEGER PRIMARY KEY, p INTEGER REFERENCES p,
        a INTEGER, b INTEGER, FOREIGN KEY (a, b) REFERENCES q);
"""
Row = list[Any]


def child_rows() -> list[Row]:
    """Each with parents among those of `write`: p has every third number, q pairs far apart."""
    return [[n, n % 500 * 3, n % 40 * 1000, n % 7 * 5] for n in range(1, _ROWS + 1)]


def write(folder: Path, rows: list[Row]) -> None:
    folder.mkdir()
    (folder / "p.csv").write_text("id\n" + "".join(f"{3 * n}\n" for n in range(500)))
    pairs = ((a * 1000, b * 5) for a in range(40) for b in range(7))
    (folder / "q.csv").write_text("a,b\n" + "".join(f"{a},{b}\n" for a, b in pairs))
    lines = (",".join("" if value is None else str(value) for value in row) for row in rows)
    (folder / "c.csv").write_text("id,p,a,b\n" + "".join(f"{line}\n" for line in lines))


@pytest.fixture
def held(monkeypatch: pytest.MonkeyPatch) -> list[HeldParents]:
    """All that are begun with, each lookup made before the next piece is stored."""
    seen: list[HeldParents] = []
    begin: Callable[..., None] = HeldParents.begin

    def begin_and_wait(self: HeldParents, *args: Any) -> None:
        before, known = self.held, dict(self.held)
        begin(self, *args)
        assert before == known  # which a thread may be going through
        for parent in self.held.values():
            parent.lookup.exception()
        if self.held and self not in seen:
            seen.append(self)

    monkeypatch.setattr(HeldParents, "begin", begin_and_wait)
    monkeypatch.setattr(pieces, "SMALLEST_PIECE", 1)  # so that a few rows make one
    return seen


def load(tmp_path: Path, rows: list[Row], mode: str, **options: Any) -> LoadReport:
    write(tmp_path / "in", rows)
    connection = colonnade.connect(str(tmp_path / "t.db"))
    try:
        wanted = LoadOptions(on_violation=mode, batch_size=_BATCH, **options)
        report: LoadReport = connection.load(tmp_path / "in", options=wanted, script=_SCRIPT)
        return report
    finally:
        connection.close()


def test_the_keys_of_a_row_group_that_was_looked_up_are_not_read_again(
    tmp_path: Path, held: list[HeldParents], monkeypatch: pytest.MonkeyPatch
) -> None:
    read: list[str] = []
    fetch = ColumnTable.fetch

    def noted(self: ColumnTable, group_id: int, column_ids: Any) -> Any:
        read.append(self.name)
        return fetch(self, group_id, column_ids)

    monkeypatch.setattr(ColumnTable, "fetch", noted)
    rows = child_rows()
    rows[1500][1] = rows[1600][2] = None
    report = load(tmp_path, rows, "abort", null="")
    assert report.committed
    assert len(held) == 1
    # Of both foreign keys those that were under way when the lookups began.
    assert 0 < read.count("c") < _ROWS // _BATCH
    figures = {row["columns"]: row for row in report.constraints if row["kind"] == "FOREIGN KEY"}
    for columns, parents in (("p", 500), ("a, b", 280)):
        found = figures[columns]
        assert found["parent_rows_read"] == parents
        assert found["rows_checked"] == _ROWS
        assert found["index_probes"] == found["hits"] == _ROWS - 1
        assert found["groups_scanned"] >= _ROWS // _BATCH
        assert found["cache_bytes"] == 0 < found["cache_peak"]
    assert figures["p"]["path"] == "bitmap"


_BAD = {
    0: (1, 7),
    1: (1, 1),
    900: (2, 500),
    1200: (3, 1),
    1300: (1, 999_999),
    1301: (1, -3),
    11_999: (3, 29),
}


@pytest.mark.parametrize("mode", ["report", "quarantine", "abort"])
def test_rows_without_a_parent_are_named_whenever_they_come(
    tmp_path: Path, held: list[HeldParents], mode: str
) -> None:
    rows = child_rows()
    for place, (column, value) in _BAD.items():
        rows[place][column] = value
    report = load(tmp_path, rows, mode)
    assert held
    found = {(v.line, v.columns, v.values) for v in report.violations}
    expected = set()
    for place, (column, _) in _BAD.items():
        columns = ("p",) if column == 1 else ("a", "b")
        values = tuple(rows[place][1:2] if column == 1 else rows[place][2:])
        expected.add((place + 2, columns, values))
    assert found == expected
    assert sum(report.violation_counts.values()) == len(_BAD)
    assert report.committed == (mode == "quarantine")
    connection = colonnade.connect(str(tmp_path / "t.db"))
    if mode == "quarantine":
        kept = connection.execute("SELECT * FROM c ORDER BY id").fetchall()
        assert kept == [tuple(row) for place, row in enumerate(rows) if place not in _BAD]
        assert connection.execute("PRAGMA constraint_check").fetchall() == []
    else:
        assert connection.execute("SELECT count(*) FROM sqlite_master").fetchone() == (0,)
    connection.close()


def test_a_table_that_refers_to_itself_is_not_held(tmp_path: Path, held: list[HeldParents]) -> None:
    folder = tmp_path / "in"
    folder.mkdir()
    rows = "".join(f"{3 * n},{3 * (n // 2)}\n" for n in range(_ROWS))
    (folder / "t.csv").write_text("id,up\n" + rows)
    connection = colonnade.connect(str(tmp_path / "t.db"))
    script = "CREATE TABLE t (id INTEGER PRIMARY KEY, up INTEGER REFERENCES t);"
    assert connection.load(folder, options=LoadOptions(batch_size=_BATCH), script=script).committed
    assert not held
    connection.close()


def test_parents_that_take_more_than_the_memory_limit_allows_are_not_held(
    tmp_path: Path, held: list[HeldParents]
) -> None:
    rows = child_rows()
    rows[1200][3] = 1
    report = load(tmp_path, rows, "report", memory_limit=300)
    assert [(v.line, v.values) for v in report.violations] == [(1202, (rows[1200][2], 1))]
    assert [set(parents.held) for parents in held] == []
    figures = {row["columns"]: row for row in report.constraints if row["kind"] == "FOREIGN KEY"}
    assert figures["p"]["rows_checked"] == figures["a, b"]["rows_checked"] == _ROWS


def test_a_parent_without_gaps_proves_its_children_and_is_not_held(
    tmp_path: Path, held: list[HeldParents]
) -> None:
    folder = tmp_path / "in"
    folder.mkdir()
    (folder / "p.csv").write_text("id\n" + "".join(f"{n}\n" for n in range(500)))
    (folder / "c.csv").write_text("id,p\n" + "".join(f"{n},{n % 500}\n" for n in range(_ROWS)))
    connection = colonnade.connect(str(tmp_path / "t.db"))
    script = """CREATE TABLE p (id INTEGER PRIMARY KEY);
        CREATE TABLE c (id INTEGER PRIMARY KEY, p INTEGER REFERENCES p);"""
    report = connection.load(folder, options=LoadOptions(batch_size=_BATCH), script=script)
    assert report.committed
    assert not held
    assert [row["path"] for row in report.constraints if row["kind"] == "FOREIGN KEY"] == ["proven"]
    connection.close()
