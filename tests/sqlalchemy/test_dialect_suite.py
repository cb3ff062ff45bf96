"""SQLAlchemy's dialect suite on Colonnade, in memory and in a file, beside the stock dialect on sqlite3.

Its pytest plugin takes over a whole run, so each run is a process of its own; the groups let xdist spread them.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
import xml.etree.ElementTree as ET
from pathlib import Path

import pytest

SUITE = Path(__file__).parent / "suite"
GROUPS = ("Reflection", "not Reflection")
MEMORY, FILE = "", "/suite.db"

Outcomes = dict[str, str]


def run_suite(url: str, group: str, folder: Path, storage_format: str = "auto") -> Outcomes:
    """Test -> "passed", "skipped", or what went wrong. Tests are named without dialect and version."""
    report = folder / "report.xml"
    folder.mkdir()
    environment = {name: value for name, value in os.environ.items() if not name.startswith("PYTEST_")}
    environment["COLONNADE_STORAGE_FORMAT"] = storage_format
    command = [
        sys.executable,
        "-m",
        "pytest",
        "-q",
        "-c",
        str(SUITE / "setup.cfg"),
        "--dburi",
        url,
        "-k",
        group,
    ]
    command += ["-p", "no:xdist", "-p", "no:cacheprovider", "--tb=short", f"--junitxml={report}"]
    run = subprocess.run(
        [*command, str(SUITE / "dialect_suite.py")],
        cwd=folder,
        env=environment,
        capture_output=True,
        text=True,
    )
    assert report.exists(), f"{' '.join(command)}\n{run.stdout[-4000:]}\n{run.stderr[-4000:]}"
    outcomes: Outcomes = {}
    for case in ET.parse(report).iter("testcase"):
        name = re.sub(r"_sqlite\+[a-z]+_[0-9_]+", "", f"{case.get('classname')}::{case.get('name')}")
        bad = [child.text or "" for child in case if child.tag in ("failure", "error")]
        outcome = "skipped" if case.find("skipped") is not None else "passed"
        outcomes[name] = "\n".join(bad) or outcome
    assert run.returncode == (1 if wrong(outcomes) else 0), run.stdout[-4000:]
    return outcomes


def wrong(outcomes: Outcomes) -> list[str]:
    return [f"{name}:\n{what}" for name, what in outcomes.items() if what not in ("passed", "skipped")]


def check_beside_stock(database: str, group: str, folder: Path, storage_format: str = "auto") -> None:
    ours = run_suite(f"colonnade://{database}", group, folder / "ours", storage_format)
    assert not wrong(ours), "\n".join(wrong(ours))
    stock = run_suite(f"sqlite://{database}", group, folder / "stock")
    assert list(ours.values()).count("passed") > 400
    assert ours == stock


@pytest.mark.parametrize("group", GROUPS)
def test_the_suite_passes_in_memory_and_skips_what_the_stock_dialect_skips(
    group: str, tmp_path: Path
) -> None:
    check_beside_stock(MEMORY, group, tmp_path)


@pytest.mark.parametrize("group", GROUPS)
def test_the_suite_passes_in_a_file(group: str, tmp_path: Path) -> None:
    outcomes = run_suite(f"colonnade://{FILE}", group, tmp_path / "ours")
    assert not wrong(outcomes), "\n".join(wrong(outcomes))
    assert list(outcomes.values()).count("passed") > 400


@pytest.mark.slow
@pytest.mark.parametrize("group", GROUPS)
def test_the_suite_skips_in_a_file_what_the_stock_dialect_skips(group: str, tmp_path: Path) -> None:
    check_beside_stock(FILE, group, tmp_path)


@pytest.mark.slow
@pytest.mark.parametrize("group", GROUPS)
@pytest.mark.parametrize("database", [MEMORY, FILE], ids=["memory", "file"])
@pytest.mark.parametrize("storage_format", ["row", "column"])
def test_the_suite_passes_in_each_storage_format(
    storage_format: str, database: str, group: str, tmp_path: Path
) -> None:
    check_beside_stock(database, group, tmp_path, storage_format)
