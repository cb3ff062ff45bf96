"""Environments of other interpreters are made once, by whichever worker comes first."""

from __future__ import annotations

import fcntl
from collections.abc import Callable
from functools import cache

import pytest

from tests.conformance import interpreters
from tests.conformance.interpreters import ENVIRONMENTS, Interpreter


@pytest.fixture(scope="session")
def environments() -> Callable[[str], Interpreter]:
    @cache
    def find(version: str) -> Interpreter:
        ENVIRONMENTS.mkdir(parents=True, exist_ok=True)
        with (ENVIRONMENTS / f"{version}.lock").open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            return interpreters.find(version)

    return find
