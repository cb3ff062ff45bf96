"""`colonnade load` as a program: interrupted, on a terminal, fed by pipes, with full disks and files that change."""

from __future__ import annotations

import os
import pty
import resource
import select
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import pytest

import colonnade
from colonnade.loader.options import LoadOptions
from tests.driver.shell import P, Shell, big, fails, program

PROGRAM = [sys.executable, "-c", "from colonnade.cli import run_program; run_program()"]


def feed(path: Path, opened: threading.Event, stop: threading.Event) -> None:
    """Rows without end into a named pipe."""
    number = 1000
    with suppress(BrokenPipeError), open(path, "w", encoding="utf-8") as pipe:
        opened.set()
        while not stop.is_set():
            number += 1
            pipe.write(f"{number},name {number},1\n")


def test_control_c_leaves_the_database_as_it_was(loaded: Shell) -> None:
    pipe, spill = loaded.folder / "p.csv.pipe", loaded.folder / "tmp"
    opened, stop = threading.Event(), threading.Event()
    os.mkfifo(pipe)
    spill.mkdir()
    before = loaded.db.read_bytes()
    command = [*PROGRAM, "load", str(loaded.db), f"p={pipe}", "--delimiter", ","]
    process = subprocess.Popen(
        [*command, "--memory-limit", "64KB", "--batch-size", "2000"],
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env={**os.environ, "TMPDIR": str(spill)},
    )  # fmt: skip
    feeder = threading.Thread(target=feed, args=(pipe, opened, stop))
    feeder.start()
    assert opened.wait(30)
    time.sleep(0.7)
    process.send_signal(signal.SIGINT)
    out, err = process.communicate(timeout=30)
    stop.set()
    feeder.join()
    assert (process.returncode, out, err) == (130, "", "colonnade: interrupted; nothing was committed\n")
    assert list(spill.iterdir()) == []
    assert sorted(path.name for path in loaded.folder.glob("t.db*")) == ["t.db"]
    assert loaded.db.read_bytes() == before or loaded.query("SELECT count(*) FROM p") == [(10,)]
    assert loaded.run("check", loaded.db) == 0


def on_terminal(command: list[str], folder: Path) -> tuple[int, str]:
    """Runs a command whose standard streams are a terminal; its exit code and all that it wrote."""
    main, other = pty.openpty()
    process = subprocess.Popen(
        command, stdin=other, stdout=other, stderr=other, cwd=folder, env={**os.environ, "TERM": "xterm"}
    )
    os.close(other)
    written = b""
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline:
        if select.select([main], [], [], 0.1)[0]:
            try:
                some = os.read(main, 65536)
            except OSError:  # the other end is closed
                break
            if not some:
                break
            written += some
    os.close(main)
    return process.wait(timeout=10), written.decode()


def test_a_terminal_shows_bars(shell: Shell) -> None:
    command = [*PROGRAM, "load", "t.db", "--schema", "schema.sql", f"p={big(shell)}"]
    code, seen = on_terminal(command, shell.folder)
    assert code == 0, seen
    assert "\x1b[" in seen
    assert "60,000 rows committed" in seen
    assert any(mark in seen for mark in "━█╸")
    assert "p" in seen


def test_bars_give_way_to_an_error(shell: Shell) -> None:
    shell.write("p.csv", "1,one,1\n2,two\n")
    code, seen = on_terminal([*PROGRAM, "load", "t.db", "--schema", "schema.sql", "p.csv"], shell.folder)
    assert code == 1
    assert "colonnade: error: p.csv:2" in seen
    assert "Traceback" not in seen


@pytest.mark.parametrize("said", [["--format", "csv"], ["--delimiter", ","]], ids=" ".join)
def test_standard_input_needs_a_table_and_a_format(shell: Shell, said: list[str]) -> None:
    schema = ["--schema", "schema.sql"]
    done = program(shell, "load", "t.db", *schema, "p=-", *said, input=P)
    assert done.returncode == 0, done.stderr
    assert shell.query("SELECT count(*), max(name) FROM p") == [(10, "name 9")]
    done = program(shell, "load", "t.db", "p=-", input=P)
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr == (
        "colonnade: error: -: standard input needs its table and format: table=- and --format\n"
    )
    done = program(shell, "load", "t.db", "-", *said, input=P)
    assert done.returncode == 1
    assert "table=-" in done.stderr


def test_a_full_disk_for_temporary_files_is_said_so_and_leaves_nothing(loaded: Shell) -> None:
    spill = loaded.folder / "tmp"
    spill.mkdir()
    rows = "".join(f"{n * 7919 % 1000003},{n * 104729 % 15485863} x,1\n" for n in range(100, 60_100))
    limit = 40_000  # bytes in a file; the database is in memory
    done = program(
        loaded, "load", ":memory:", "--schema", "schema.sql", f"p={loaded.write('b.csv', rows)}",
        "--memory-limit", "64KB", "--batch-size", "2000",
        preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limit)),
        env={**os.environ, "TMPDIR": str(spill)},
    )  # fmt: skip
    assert done.returncode == 1
    assert done.stderr == f"colonnade: error: cannot write temporary files in {spill}: File too large\n"
    assert list(spill.iterdir()) == []


def test_two_files_of_one_table_are_both_loaded(shell: Shell) -> None:
    shell.write("p.csv", P)
    shell.write("more/p.2.csv", "11,eleven,1\n12,twelve,2\n")
    assert shell.load("p.csv", "more") == 0, shell.err
    assert shell.query("SELECT count(*), max(id) FROM p") == [(12, 12)]
    fails_twice = shell.load("p.csv", "p.csv", schema=False)
    assert fails_twice == 1
    assert shell.query("SELECT count(*) FROM p") == [(12,)]


def test_a_directory_without_anything_to_load(shell: Shell) -> None:
    shell.write("docs/readme.md", "no data")
    fails(shell, shell.load("docs"), "docs", "no files to load in it", ".csv")


def test_a_field_of_20_megabytes_comes_back(shell: Shell) -> None:
    value = "é" * 10_000_000
    shell.write("p.csv", f"id,name,price\n1,short,1\n2,{value},2\n3,last,3\n")
    assert shell.load("p.csv") == 0, shell.err
    assert shell.query("SELECT id, length(name) FROM p ORDER BY id") == [(1, 5), (2, 10_000_000), (3, 4)]
    assert shell.query("SELECT name FROM p WHERE id = 2") == [(value,)]


@pytest.mark.parametrize(
    ("name", "content", "rows"),
    [
        ("p.csv", "id,name,price\n", []),
        ("p.csv", "id,name,price", []),
        ("p.csv", "", []),
        ("p.tbl", "", []),
        ("p.csv", "\ufeffid,name,price\r\n1,one,1\r\n2,two,2", [(1, "one", 1.0), (2, "two", 2.0)]),
        ("p.tbl", "\ufeff1|one|1|\r\n2|two|2|", [(1, "one", 1.0), (2, "two", 2.0)]),
        ("p.tbl", '1|"one|1|\n2|t"w"o|2|\n', [(1, '"one', 1.0), (2, 't"w"o', 2.0)]),
        ("p.csv", "1,one,1", [(1, "one", 1.0)]),
    ],
    ids=[
        "header",
        "header without end",
        "empty",
        "empty tbl",
        "csv BOM CRLF",
        "tbl BOM CRLF",
        "tbl quotes",
        "no end",
    ],
)
def test_files_of_every_shape(shell: Shell, name: str, content: str, rows: list[tuple[object, ...]]) -> None:
    assert shell.load(shell.write(name, content)) == 0, shell.err
    assert shell.query("SELECT * FROM p") == rows


class _Spoiler:
    """Does something to a file when the first rows of it have been stored."""

    def __init__(self, spoil: Callable[[], None]) -> None:
        self._spoil: Callable[[], None] | None = spoil

    def table_started(self, table: str, input_bytes: int | None) -> None:
        pass

    def advanced(self, table: str, rows: int, input_bytes: int) -> None:
        spoil, self._spoil = self._spoil, None
        if spoil is not None:
            spoil()

    def phase(self, table: str, phase: str) -> None:
        pass

    def table_finished(self, table: str, rows: int) -> None:
        pass


def test_a_file_that_vanishes_in_mid_load_is_read_to_its_end_and_one_that_shrinks_is_an_error(
    shell: Shell,
) -> None:
    rows = "".join(f"{n},name {n},1\n" for n in range(100, 200_000))
    path = Path(shell.write("p.big.csv", rows))
    options, script = LoadOptions(batch_size=2000), (shell.folder / "schema.sql").read_text()
    connection = colonnade.connect(":memory:")
    connection.load(f"p={path}", options=options, script=script, observer=_Spoiler(path.unlink))
    assert connection.execute("SELECT count(*) FROM p").fetchone() == (199_900,)
    connection.close()
    path.write_text(rows)
    connection = colonnade.connect(":memory:")
    cut = len(rows) - 1_000_003  # within a line
    with pytest.raises(colonnade.Error, match="p.big.csv"):
        connection.load(
            f"p={path}", options=options, script=script, observer=_Spoiler(lambda: os.truncate(path, cut))
        )
    assert connection.execute("SELECT count(*) FROM sqlite_master").fetchone() == (0,)
    connection.close()
