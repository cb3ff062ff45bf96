"""Colonnade under the name of sqlite3, for a process whose PYTHONPATH starts with the folder of this package.

The name stands for the module `colonnade` itself; `sqlite3.__main__`, which only uses sqlite3, stays the
standard library's.
"""

import sys
import sysconfig
from importlib.machinery import ModuleSpec
from importlib.util import spec_from_file_location
from pathlib import Path

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
