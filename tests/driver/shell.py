"""The command line under test: run in a folder of its own, in this process or as a program."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

import colonnade
from colonnade.cli import main

SCHEMA = """
    CREATE TABLE p(id INTEGER PRIMARY KEY, name TEXT NOT NULL UNIQUE, price REAL CHECK(price < 1000));
    CREATE TABLE c(a INT, b TEXT, p INT REFERENCES p, PRIMARY KEY(a, b));
"""
P = "id,name,price\n" + "".join(f"{n},name {n},{n}.5\n" for n in range(1, 11))
C = "a,b,p\n" + "".join(f"{n},x,{n % 10 + 1}\n" for n in range(30))


class Shell:
    """Runs the command in a folder of its own and remembers what it printed."""

    def __init__(self, folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
        self.folder, self.capsys = folder, capsys
        self.out = self.err = ""
        self.write("schema.sql", SCHEMA)

    def write(self, name: str, content: str | bytes) -> str:
        path = self.folder / name
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
        return str(path)

    def run(self, *arguments: str | Path) -> int:
        self.capsys.readouterr()
        try:
            code = main([str(argument) for argument in arguments])
        except SystemExit as left:  # argparse
            code = int(left.code or 0)
        self.out, self.err = self.capsys.readouterr()
        assert "Traceback" not in self.out + self.err
        return code

    @property
    def db(self) -> Path:
        return self.folder / "t.db"

    def load(self, *arguments: str | Path, schema: bool = True) -> int:
        more = ["--schema", self.folder / "schema.sql"] if schema else []
        return self.run("load", self.db, *more, *arguments)

    def query(self, sql: str) -> list[Any]:
        connection = colonnade.connect(str(self.db))
        try:
            return connection.execute(sql).fetchall()
        finally:
            connection.close()


def fails(shell: Shell, code: int, *said: str) -> None:
    """The last command failed with `code`, said so on one line, and left no table behind."""
    assert code == 1
    assert shell.err.startswith("colonnade: error: ")
    assert shell.err.count("\n") == 1
    for text in said:
        assert text in shell.err
    assert not shell.db.exists() or shell.query("SELECT name FROM sqlite_master") == []


# Root may write anything, so it becomes somebody else, who may not even import what root has installed.
NOBODY = (
    "import locale, os, colonnade.cli.load, colonnade.cli.output, colonnade.loader.load, pyarrow.csv;"
    "os.setuid(65534);"
)


def program(
    shell: Shell, *arguments: str | Path, before: str = "", **more: Any
) -> subprocess.CompletedProcess[str]:
    """The command as a program of its own; `before` is Python to run first."""
    code = f"from colonnade.cli import run_program; {before} run_program()"
    command = [sys.executable, "-c", code, *map(str, arguments)]
    return subprocess.run(
        command, capture_output=True, text=True, cwd=shell.folder, timeout=60, check=False, **more
    )


def big(shell: Shell) -> str:
    rows = "".join(f"{n},{n * 7919 % 1000003} {n * 104729 % 15485863},1\n" for n in range(100, 60_100))
    return shell.write("big.csv", rows)
