"""What several folders share: TPC-H files at scale 0.01, the same rows in sqlite3, and tests of one storage format.

A run has the storage format that COLONNADE_STORAGE_FORMAT names, so that the same tests say what they claim of each.
With the variable set, tests that are given their storage format as a parameter are left out: they are in the run
without it. A test that cannot hold in each of them has the mark `storage_format("auto", …, reason="…")`: those in
which it holds. Run in another one it has the first of them. `grep -rn mark.storage_format tests` lists these tests.
"""

from __future__ import annotations

import os
import shutil
import sqlite3
import uuid
from collections.abc import Generator, Iterator
from pathlib import Path

import pytest

from colonnade.loader.tpch import TPCH_DDL, TPCH_TABLES, generate
from colonnade.pragmas import FORMAT_VARIABLE

SCALE = 0.01

FORMATS = ("auto", "row", "column")


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """In a run of one storage format, leave out the tests that choose theirs."""
    if not os.environ.get(FORMAT_VARIABLE):
        return
    chosen = [item for item in items if _is_given_format(item)]
    config.hook.pytest_deselected(items=chosen)
    items[:] = [item for item in items if item not in set(chosen)]


def _is_given_format(item: pytest.Item) -> bool:
    """Whether a parameter of the test is a storage format, or one and more ("column-3")."""
    parameters = item.callspec.params.values() if hasattr(item, "callspec") else ()
    return any(str(value).split("-")[0] in FORMATS for value in parameters)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_protocol(item: pytest.Item) -> Generator[None, object, object]:
    """Around a test and its fixtures: the environment's storage format is one in which the test holds."""
    mark, before = item.get_closest_marker("storage_format"), os.environ.get(FORMAT_VARIABLE)
    if mark is None or (before or "auto") in mark.args:
        return (yield)
    assert len(mark.kwargs["reason"]) > 10, item.nodeid
    os.environ[FORMAT_VARIABLE] = mark.args[0]
    try:
        return (yield)
    finally:
        if before is None:
            del os.environ[FORMAT_VARIABLE]
        else:
            os.environ[FORMAT_VARIABLE] = before


@pytest.fixture(scope="session")
def tpch_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The eight .tbl files at scale 0.01, made once for all workers of a run."""
    base = tmp_path_factory.getbasetemp()
    shared = base.parent if os.environ.get("PYTEST_XDIST_WORKER") else base
    folder = shared / "tpch"
    if not folder.exists():
        mine = shared / f"tpch-{uuid.uuid4().hex}"
        generate(mine, SCALE)
        try:
            mine.rename(folder)  # atomic: a worker sees all files or none
        except OSError:
            shutil.rmtree(mine)
    return folder


def tbl_rows(path: Path) -> Iterator[list[str]]:
    """The fields of each line, without the empty one behind the trailing pipe."""
    with path.open(encoding="utf-8") as file:
        for line in file:
            yield line.rstrip("\n").split("|")[:-1]


def load_with_sqlite3(folder: Path, ddl: str = TPCH_DDL) -> sqlite3.Connection:
    """An in-memory sqlite3 database with the files of `folder`: the oracle."""
    oracle = sqlite3.connect(":memory:")
    oracle.executescript(ddl)
    for table in TPCH_TABLES:
        rows = list(tbl_rows(folder / f"{table}.tbl"))
        oracle.executemany(f"INSERT INTO {table} VALUES ({','.join('?' * len(rows[0]))})", rows)
    oracle.commit()
    return oracle


@pytest.fixture(scope="session")
def tpch_oracle(tpch_folder: Path) -> Iterator[sqlite3.Connection]:
    """The TPC-H rows as sqlite3 holds them. Not to be changed."""
    oracle = load_with_sqlite3(tpch_folder)
    yield oracle
    oracle.close()
