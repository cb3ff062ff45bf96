"""CPython's own tests of sqlite3 pass with Colonnade in its place, whatever the storage format."""

from __future__ import annotations

import json
import os
import re
import subprocess
import tomllib
from pathlib import Path
from typing import NamedTuple

import pytest

from tests.conformance import interpreters
from tests.conformance.interpreters import RUNNING, VERSIONS, Interpreter, Unavailable

HERE = Path(__file__).parent
MOST_SKIPS = 12
MOST_SKIPS_OF_COLUMNS = 2
FORMATS = ("auto", "column", "row")
# Those of all versions, so that the ids are the same on every machine.
MODULES = (
    "test_backup",
    "test_cli",
    "test_dbapi",
    "test_dump",
    "test_factory",
    "test_hooks",
    "test_regression",
    "test_transactions",
    "test_types",
    "test_userfunctions",
)
ABSENT = {("3.11", "test_cli")}
SECONDS = 300


class Skip(NamedTuple):
    test: str
    reason: str
    versions: tuple[str, ...]
    formats: tuple[str, ...]


class Outcome(NamedTuple):
    result: str
    reason: str


def skips() -> list[Skip]:
    """Those about CPython's implementation, and those about how tables in column format are stored."""
    listed = tomllib.loads((HERE / "skips.toml").read_text())
    return [
        Skip(entry["test"], entry["reason"], tuple(entry.get("versions", VERSIONS)), formats)
        for kind, formats in (("skip", FORMATS), ("column", ("column",)))
        for entry in listed[kind]
    ]


def run(
    interpreter: Interpreter, module: str, folder: Path, storage_format: str
) -> tuple[dict[str, Outcome], str]:
    """The outcome of each test of a module, and what the process printed if it ended badly."""
    lines = folder / "results.jsonl"
    done = subprocess.run(
        [interpreter.executable, "-W", "default", HERE / "run_module.py", module, lines],
        cwd=folder,
        env={
            **os.environ,
            "PYTHONPATH": str(HERE / "standin"),
            "PYTHONDONTWRITEBYTECODE": "1",
            "COLONNADE_STORAGE_FORMAT": storage_format,
        },
        capture_output=True,
        text=True,
        errors="replace",
        timeout=SECONDS,
        check=False,
    )
    found: dict[str, Outcome] = {}
    if lines.exists():
        for line in lines.read_text().splitlines():
            name, result, reason = json.loads(line)
            found[name] = Outcome(result, reason)
    return found, "" if done.returncode == 0 else f"exit code {done.returncode}\n{done.stderr[-3000:]}"


def faults(found: dict[str, Outcome], listed: dict[str, str]) -> list[str]:
    """What is wrong: failures that the list does not name, and names in it of tests that do not fail."""
    failed = [
        f"{name} {'ended the process' if outcome.result == 'started' else 'failed'}:\n{outcome.reason}"
        for name, outcome in found.items()
        if outcome.result in ("failed", "started") and name not in listed
    ]
    stale = [
        f"{name} is in skips.toml, but {found[name].result if name in found else 'is no test'}"
        for name in listed
        if name not in found or found[name].result not in ("failed", "started")
    ]
    return failed + stale


def check(interpreter: Interpreter, module: str, folder: Path, storage_format: str) -> None:
    if (interpreter.version, module) in ABSENT:
        pytest.skip(f"Python {interpreter.version} has no {module}")
    found, ending = run(interpreter, module, folder, storage_format)
    if not found and re.search("No module named '(test|_testcapi)", ending):
        pytest.skip(f"the standard library of Python {interpreter.version} comes without its tests")
    listed = {
        skip.test: skip.reason
        for skip in skips()
        if skip.test.startswith(f"{module}.")
        and interpreter.version in skip.versions
        and storage_format in skip.formats
    }
    wrong = faults(found, listed)
    assert not wrong, "\n\n".join([f"{len(wrong)} of {len(found)} tests", *wrong])
    assert found, ending
    assert not ending, ending


@pytest.mark.parametrize("module", MODULES)
@pytest.mark.parametrize("storage_format", ["auto", "column", pytest.param("row", marks=pytest.mark.slow)])
def test_cpythons_own_tests_pass_on_this_interpreter(
    storage_format: str, module: str, tmp_path: Path
) -> None:
    if RUNNING not in VERSIONS:
        pytest.skip(f"sqlite3 of Python {RUNNING} is not one that Colonnade follows yet")
    check(interpreters.find(RUNNING), module, tmp_path, storage_format)


@pytest.mark.slow
@pytest.mark.parametrize("module", MODULES)
@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize("storage_format", FORMATS)
def test_cpythons_own_tests_pass_on_every_interpreter(
    storage_format: str, version: str, module: str, tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    if version == RUNNING:
        pytest.skip("this is the interpreter that runs already")
    try:
        interpreter = request.getfixturevalue("environments")(version)
    except Unavailable as error:
        pytest.skip(str(error))
    check(interpreter, module, tmp_path, storage_format)


def test_the_list_of_skips_is_short_and_every_entry_has_a_reason() -> None:
    listed = skips()
    assert sum(skip.formats == FORMATS for skip in listed) <= MOST_SKIPS
    assert sum(skip.formats == ("column",) for skip in listed) <= MOST_SKIPS_OF_COLUMNS
    assert len({skip.test for skip in listed}) == len(listed)
    for skip in listed:
        assert len(skip.reason) > 20, skip.test
        assert set(skip.versions) <= set(VERSIONS), skip.test
        assert skip.test.split(".")[0] in MODULES, skip.test


def test_a_listed_test_that_passes_and_an_unlisted_one_that_fails_are_faults() -> None:
    found = {
        "test_a.T.fine": Outcome("passed", ""),
        "test_a.T.bad": Outcome("failed", "why"),
        "test_a.T.crash": Outcome("started", ""),
        "test_a.T.known": Outcome("failed", "known"),
    }
    assert faults(found, {"test_a.T.known": ""}) == [
        "test_a.T.bad failed:\nwhy",
        "test_a.T.crash ended the process:\n",
    ]
    assert faults({"test_a.T.fine": Outcome("passed", "")}, {"test_a.T.fine": "", "test_a.T.gone": ""}) == [
        "test_a.T.fine is in skips.toml, but passed",
        "test_a.T.gone is in skips.toml, but is no test",
    ]


def test_no_module_of_the_package_is_forgotten() -> None:
    assert set(interpreters.modules()) <= set(MODULES)
