"""Fixtures that several folders share: TPC-H files at scale 0.01, and the same rows in sqlite3."""

from __future__ import annotations

import os
import shutil
import sqlite3
import uuid
from collections.abc import Iterator
from pathlib import Path

import pytest

from colonnade.loader.tpch import TPCH_DDL, TPCH_TABLES, generate

SCALE = 0.01


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
