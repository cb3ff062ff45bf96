"""Colonnade under the name of sqlite3, for a process whose PYTHONPATH starts with the folder of this package.

The name stands for the module `colonnade` itself; `sqlite3.__main__`, which only uses sqlite3, stays the
standard library's. Where the environment variable STANDIN_STORAGE_FORMAT names a storage format every new connection
has it, as if its program had said so first; nothing is run for that, so that no hook and no audit sees it.
"""

import os
import sys
import sysconfig
from importlib.machinery import ModuleSpec
from importlib.util import spec_from_file_location
from pathlib import Path
from typing import Any

import colonnade
import colonnade.dbapi2


class _CommandLine:
    """Finds the standard library's sqlite3.__main__."""

    @staticmethod
    def find_spec(name: str, path: object = None, target: object = None) -> ModuleSpec | None:
        if name != "sqlite3.__main__":
            return None
        return spec_from_file_location(name, Path(sysconfig.get_path("stdlib"), "sqlite3", "__main__.py"))


sys.meta_path.insert(0, _CommandLine)
sys.modules["sqlite3"] = colonnade
sys.modules["sqlite3.dbapi2"] = colonnade.dbapi2


def _give_format(storage_format: str) -> None:
    """Have all connections made from here on start with a storage format."""
    start = colonnade.Connection.__init__

    def started(connection: Any, *arguments: Any, **options: Any) -> None:
        start(connection, *arguments, **options)
        connection._session.storage_format = storage_format
        connection._session.refresh()

    started.__wrapped__ = start  # type: ignore[attr-defined] - its signature is looked at
    colonnade.Connection.__init__ = started  # type: ignore[method-assign]


if os.environ.get("STANDIN_STORAGE_FORMAT"):
    _give_format(os.environ["STANDIN_STORAGE_FORMAT"])
