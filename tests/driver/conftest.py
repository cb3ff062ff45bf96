"""Fixtures of the driver's tests; connections of the twins are closed after each test."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.driver.lockstep import Lockstep, Make
from tests.driver.shell import C, P, Shell
from tests.driver.twins import close_all


@pytest.fixture(autouse=True)
def twins_closed() -> Iterator[None]:
    yield
    close_all()


@pytest.fixture(params=["auto", "auto-2", "column", "column-3"])
def make(request: pytest.FixtureRequest) -> Iterator[Make]:
    """Makes a Lockstep, with few and with many row groups, and with rows left in row format."""
    storage_format, _, batch_size = request.param.partition("-")
    made: list[Lockstep] = []

    def start(script: str, **options: Any) -> Lockstep:
        made.append(
            Lockstep(script, storage_format=storage_format, batch_size=int(batch_size or 0), **options)
        )
        return made[-1]

    yield start
    for twins in made:
        twins.close()


@pytest.fixture
def shell(tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Shell:
    monkeypatch.chdir(tmp_path)
    return Shell(tmp_path, capsys)


@pytest.fixture
def loaded(shell: Shell) -> Shell:
    assert shell.load(shell.write("p.csv", P), shell.write("c.csv", C)) == 0, shell.err
    return shell
