"""Runs one module of CPython's test.test_sqlite3 with Colonnade in place of sqlite3.

Called as `python run_module.py MODULE RESULTS`: writes one line of JSON a test, [name, result, reason], where
the result is "started" (before it runs), "passed", "failed" or "skipped". Nothing but the standard library and
Colonnade is needed.
"""

import json
import sys
import unittest
from importlib import import_module
from typing import Any, TextIO

PACKAGE = "test.test_sqlite3."


class Lines(unittest.TestResult):
    """Writes a line when a test has ended, so that the one during which Python died is known."""

    def __init__(self, out: TextIO) -> None:
        super().__init__()
        self._out = out
        self._line = ["", "passed", ""]

    def startTest(self, test: unittest.TestCase) -> None:  # noqa: N802
        super().startTest(test)
        self._line = [_name(test), "passed", ""]
        self._write([_name(test), "started", ""])

    def stopTest(self, test: unittest.TestCase) -> None:  # noqa: N802
        super().stopTest(test)
        self._write(self._line)

    def addError(self, test: unittest.TestCase, err: Any) -> None:  # noqa: N802
        super().addError(test, err)
        self._failed(test, self.errors[-1][1])

    def addFailure(self, test: unittest.TestCase, err: Any) -> None:  # noqa: N802
        super().addFailure(test, err)
        self._failed(test, self.failures[-1][1])

    def addSubTest(self, test: unittest.TestCase, subtest: unittest.TestCase, err: Any) -> None:  # noqa: N802
        before = len(self.errors), len(self.failures)
        super().addSubTest(test, subtest, err)
        for found, known in zip((self.errors, self.failures), before, strict=True):
            if len(found) > known:
                self._failed(test, f"{subtest}\n{found[-1][1]}")

    def addSkip(self, test: unittest.TestCase, reason: str) -> None:  # noqa: N802
        super().addSkip(test, reason)
        self._line = [_name(test), "skipped", reason]

    def addUnexpectedSuccess(self, test: unittest.TestCase) -> None:  # noqa: N802
        super().addUnexpectedSuccess(test)
        self._failed(test, "unexpected success")

    def _failed(self, test: unittest.TestCase, reason: str) -> None:
        if isinstance(test, unittest.TestCase):
            before = self._line[2] if self._line[1] == "failed" else ""
            self._line = [_name(test), "failed", before + reason]
        else:  # setUpClass, setUpModule
            self._write([str(test), "failed", reason])

    def _write(self, line: list[str]) -> None:
        self._out.write(json.dumps(line) + "\n")
        self._out.flush()


def _name(test: unittest.TestCase) -> str:
    return test.id().removeprefix(PACKAGE)


def main(module: str, results: str) -> None:
    import sqlite3

    from test.support import script_helper

    if sqlite3.__name__ != "colonnade":
        raise SystemExit(f"the module under test is {sqlite3.__name__}")
    # Interpreters that tests start must see PYTHONPATH too, so they may not be isolated.
    script_helper.__dict__["__cached_interp_requires_environment"] = True
    with open(results, "w", encoding="utf-8") as out:
        suite = unittest.defaultTestLoader.loadTestsFromModule(import_module(PACKAGE + module))
        suite.run(Lines(out))


if __name__ == "__main__":
    main(*sys.argv[1:])
