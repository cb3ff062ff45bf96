"""Traces: what a connection tells of its work, to a file and to OpenTelemetry, and that nobody hears of it else."""

from __future__ import annotations

import json
import subprocess
import sys
from collections import defaultdict
from pathlib import Path
from typing import Any

import apsw
import pytest

import colonnade
from colonnade.store.database import Store
from colonnade.store.spans import Spans
from tests.driver.shell import C, P, Shell, fails

Event = dict[str, Any]


class Trace:
    """A trace file, read."""

    def __init__(self, path: Path) -> None:
        events: list[Event] = json.loads(path.read_text())
        self.spans = [event for event in events if event["ph"] == "X"]
        self.tracks = {e["tid"]: e["args"]["name"] for e in events if e["name"] == "thread_name"}

    def named(self, name: str) -> list[Event]:
        return [span for span in self.spans if span["name"] == name]

    def sums(self, name: str, figure: str) -> dict[str, int]:
        """The sum of a figure by table."""
        sums: dict[str, int] = defaultdict(int)
        for span in self.named(name):
            sums[span["args"]["table"]] += span["args"][figure]
        return dict(sums)

    def check_nesting(self) -> None:
        """On each track a span lies within another or beside it, as viewers need it; each track has a name."""
        tracks = defaultdict(list)
        for span in self.spans:
            tracks[span["tid"]].append((span["ts"], -span["dur"], span["name"]))
        assert set(tracks) == set(self.tracks)
        for spans in tracks.values():
            ends: list[float] = []
            for start, length, name in sorted(spans):
                while ends and ends[-1] <= start:
                    ends.pop()
                assert not ends or start - length <= ends[-1] + 0.002, name
                ends.append(start - length)


def test_spans_that_nobody_hears_of_are_one_object_that_does_nothing() -> None:
    spans = Spans()
    assert spans("append", rows=1) is spans("parse")
    with spans("append") as span:
        span.note(rows=3)
    assert list(spans.each("parse", [1, 2])) == [1, 2]
    assert not spans.heard


def test_a_load_tells_of_each_piece_in_each_phase(shell: Shell, tpch_folder: Path) -> None:
    code = shell.run("tpch", shell.db, "--data", tpch_folder, "--trace", "t.json", "--json")
    assert code == 0, shell.err
    report, trace = json.loads(shell.out), Trace(shell.folder / "t.json")
    trace.check_nesting()
    rows = {table["table"]: table["rows"] for table in report["tables"]}
    for phase in ("parse", "encode", "append"):
        assert trace.sums(phase, "rows") == rows
    assert trace.sums("parse", "bytes") == {
        table["table"]: table["input_bytes"] for table in report["tables"]
    }
    assert sum(trace.sums("append", "bytes").values()) == report["pager"]["bytes_put"]
    checked = {(span["args"]["table"], span["args"]["constraint"]) for span in trace.named("validate")}
    assert checked == {(row["table"], row["constraint"]) for row in report["constraints"]}
    assert {trace.tracks[span["tid"]].rstrip("0123456789") for span in trace.named("parse")} == {
        "colonnade-load_"
    }
    (load,), (commit,) = trace.named("load"), trace.named("commit")
    assert load["args"] == {"rows": report["rows"], "committed": True}
    assert load["dur"] > commit["dur"] > 0
    assert load["tid"] == commit["tid"]


def test_a_load_that_fails_leaves_its_trace_and_one_whose_trace_cannot_be_written_does_nothing(
    shell: Shell,
) -> None:
    shell.write("p.csv", P)
    shell.write("c.csv", C + "99,x,99\n")
    assert shell.load("p.csv", "c.csv", "--trace", "t.json") == 1
    (commit,) = Trace(shell.folder / "t.json").named("commit")
    assert commit["args"] == {"committed": False}
    shell.write("p.csv", "not,a,number\n")
    fails(shell, shell.load("p.csv", "--trace", "t.json"), "p.csv:1")
    (load,) = Trace(shell.folder / "t.json").named("load")
    assert "p.csv:1" in load["args"]["error"]
    fails(shell, shell.load("p.csv", "--trace", "absent/t.json"), "absent/t.json")


@pytest.mark.storage_format(
    "auto", reason="tells of each write that turns to column format, and of none more"
)
def test_a_connection_tells_of_statements_and_of_what_they_move(tmp_path: Path) -> None:
    connection = colonnade.connect(tmp_path / "t.db")
    connection.execute("PRAGMA foreign_keys = on")
    with connection.trace_to(tmp_path / "t.json"):
        connection.execute("CREATE TABLE t(a INTEGER PRIMARY KEY, b TEXT)")
        connection.execute("CREATE TABLE u(t INT REFERENCES t)")
        connection.execute("PRAGMA bulk_load = on")
        connection.executemany("INSERT INTO t VALUES(?, ?)", ((n, "secret") for n in range(20_000)))
        connection.commit()
        connection.execute("PRAGMA bulk_load = off")
        connection.executemany("INSERT INTO t VALUES(?, ?)", ((n, "x") for n in range(20_000, 30_000)))
        connection.executemany("INSERT INTO u VALUES(?)", ((n,) for n in range(1000)))
        connection.execute("UPDATE t SET b = 'y' WHERE a = ?", (77,))
        connection.execute("UPDATE t SET b = 'y' WHERE a BETWEEN 100 AND 149")
        connection.commit()
        slow = connection.execute("SELECT a FROM t")
        assert len(connection.execute("SELECT b FROM t LIMIT 7").fetchall()) == 7
        assert next(slow) == (0,)
        connection.execute("INSERT INTO u VALUES(5)")
        assert len(slow.fetchall()) == 29_999
        with pytest.raises(colonnade.OperationalError):
            connection.execute("SELECT absent FROM t")
        connection.execute("PRAGMA storage_format = row")
        connection.execute("CREATE TRIGGER tr AFTER DELETE ON t BEGIN SELECT 1; END")
    trace = Trace(tmp_path / "t.json")
    trace.check_nesting()
    assert "secret" not in (tmp_path / "t.json").read_text()
    texts = [span["args"]["text"] for span in sorted(trace.named("query"), key=lambda span: span["ts"])]
    assert texts[:4] == [
        "CREATE TABLE t(a INTEGER PRIMARY KEY, b TEXT)",
        "CREATE TABLE u(t INT REFERENCES t)",
        "PRAGMA bulk_load = on",
        "INSERT INTO t VALUES(?, ?)",
    ]
    assert len(texts) == 15
    assert trace.sums("encode", "rows") == {"t": 29_999}
    assert trace.sums("append", "rows") == {"t": 30_000, "u": 1000}
    probes = {(span["args"]["table"], span["args"]["constraint"]) for span in trace.named("probe")}
    assert probes == {("t", "PRIMARY KEY (a)"), ("u", "FOREIGN KEY (t) REFERENCES t (a)")}
    assert sorted(span["args"].get("rows", 1) for span in trace.named("thaw"))[:3] == [1, 1, 50]
    assert {span["args"]["text"]: span["args"]["rows"] for span in trace.named("fetch")} == {
        "SELECT a FROM t": 30_000,
        "SELECT b FROM t LIMIT 7": 7,
    }
    assert len({span["tid"] for span in trace.named("fetch")}) == 2
    assert [span["args"]["error"] for span in trace.named("query") if "error" in span["args"]] == [
        "SQLError: no such column: absent"
    ]
    connection.close()


def test_freezing_and_merging_are_told(tmp_path: Path) -> None:
    connection = colonnade.connect(tmp_path / "t.db")
    connection.execute("PRAGMA storage_format = column")
    connection.execute("CREATE TABLE t(a INTEGER PRIMARY KEY)")
    with connection.trace_to(tmp_path / "t.json"):
        for n in range(8):
            connection.execute("INSERT INTO t VALUES(?)", (n,))
            connection.commit()
    connection.close()
    trace = Trace(tmp_path / "t.json")
    trace.check_nesting()
    assert sum(trace.sums("freeze", "rows").values()) == 7
    assert trace.named("merge")[0]["args"] == {"table": "t", "row_groups": 4}
    assert len(trace.named("commit")) == 8


@pytest.mark.storage_format("auto", "row", reason="in column format no statement goes to SQLite at once")
def test_after_a_trace_statements_go_to_sqlite_at_once_again(tmp_path: Path) -> None:
    connection = colonnade.connect(":memory:")
    connection.execute("CREATE TABLE t(a)")
    assert connection._direct
    with connection.trace_to(tmp_path / "t.json"):
        connection.execute("INSERT INTO t VALUES(1)")
        assert not connection._direct
    connection.execute("SELECT * FROM t").fetchall()
    connection.execute("INSERT INTO t VALUES(2)")
    assert connection._direct
    assert [span["args"]["text"] for span in Trace(tmp_path / "t.json").named("query")] == [
        "INSERT INTO t VALUES(1)"
    ]
    connection.close()


def test_a_trace_ends_with_its_connection_and_what_a_killed_program_wrote_can_be_read(tmp_path: Path) -> None:
    connection = colonnade.connect(":memory:")
    connection.trace_to(tmp_path / "t.json")
    other = connection.trace_to(tmp_path / "other.json")
    connection.execute("SELECT 1").fetchall()
    connection.close()
    other.close()
    assert (
        len(Trace(tmp_path / "t.json").named("fetch"))
        == len(Trace(tmp_path / "other.json").named("fetch"))
        == 1
    )
    script = (
        "import colonnade, os; db = colonnade.connect(':memory:'); trace = db.trace_to('killed.json');"
        "[db.execute('SELECT 1').fetchall() for _ in range(1000)]; os._exit(1)"
    )
    subprocess.run([sys.executable, "-c", script], cwd=tmp_path, check=False)
    lines = (tmp_path / "killed.json").read_text().rpartition(",\n")[0]
    assert len(json.loads(lines + "]")) > 100


TELEMETRY = """
import sys
import colonnade
from opentelemetry import trace
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

early = colonnade.connect(":memory:")
early.execute("SELECT 1").fetchall()
exporter = InMemorySpanExporter()
provider = TracerProvider()
provider.add_span_processor(SimpleSpanProcessor(exporter))
trace.set_tracer_provider(provider)
early.execute("SELECT 2").fetchall()
assert not early._session.spans.heard and not exporter.get_finished_spans()

db = colonnade.connect(":memory:")
db.execute("CREATE TABLE t(a INTEGER PRIMARY KEY, b TEXT)")
with trace.get_tracer("program").start_as_current_span("mine"):
    report = db.load("t.csv")
for row in db.execute("SELECT a FROM t WHERE a < ?", (3,)):
    pass
try:
    db.execute("SELECT absent")
except colonnade.OperationalError:
    pass
spans = exporter.get_finished_spans()
names = {span.context.span_id: span.name for span in spans}
for span in spans:
    parent = names.get(span.parent.span_id) if span.parent else None
    print(span.name, parent, span.kind.name, span.status.status_code.name,
          sorted(span.attributes.items()), sep="|")
"""


@pytest.mark.storage_format("auto", reason="tells of each statement")
def test_opentelemetry_gets_spans_with_their_parents_where_the_program_has_a_provider(tmp_path: Path) -> None:
    pytest.importorskip("opentelemetry.sdk")
    (tmp_path / "t.csv").write_text("".join(f"{n},x\n" for n in range(10_000)))
    done = subprocess.run(
        [sys.executable, "-c", TELEMETRY], cwd=tmp_path, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    spans = [line.split("|") for line in done.stdout.splitlines()]
    parents = {name: parent for name, parent, *_ in spans}
    assert parents["colonnade.load"] == "mine"
    for phase in ("parse", "encode", "append", "validate", "commit"):
        assert parents[f"colonnade.{phase}"] == "colonnade.load"
    told = {name: (kind, status, attributes) for name, _, kind, status, attributes in spans}
    assert told["colonnade.encode"][0] == "INTERNAL"
    assert "('colonnade.rows', 10000), ('colonnade.table', 't')" in told["colonnade.encode"][2]
    assert "('colonnade.rows', 3)" in told["colonnade.fetch"][2]
    queries = [
        (status, attributes) for name, _, kind, status, attributes in spans if name == "colonnade.query"
    ]
    assert queries[1] == (
        "UNSET",
        "[('colonnade.path', 'vectorised'), ('db.query.text', 'SELECT a FROM t WHERE a < ?'),"
        " ('db.system.name', 'sqlite')]",
    )
    assert queries[2][0] == "ERROR"


def test_a_store_without_a_session_can_be_listened_to_as_well() -> None:
    heard: list[tuple[str, dict[str, Any]]] = []

    class Listener:
        def start(self, name: str, figures: dict[str, Any]) -> None:
            pass

        def finish(
            self, token: None, name: str, figures: dict[str, Any], error: BaseException | None
        ) -> None:
            heard.append((name, figures))

    store = Store(apsw.Connection(":memory:"), memory_limit=1 << 20)
    store.db.execute("CREATE TABLE t(a); INSERT INTO t VALUES(1), (2), (3)")
    store.spans.add(Listener())
    store.convert("t").freeze()
    assert [name for name, _ in heard] == ["encode", "append", "freeze"]
    assert heard[2][1] == {"table": "t", "rows": 2}
