"""SQLAlchemy's pytest plugin, told that `colonnade://` databases are made and dropped as `sqlite://` ones are.

Where the environment variable SUITE_STORAGE_FORMAT names a storage format every connection of Colonnade has it.
"""

from __future__ import annotations

import os

import pytest

pytest.register_assert_rewrite("sqlalchemy.testing.assertions")

from typing import Any  # noqa: E402

import sqlalchemy.dialects.sqlite.provision  # noqa: E402, F401 - registers what is done for "sqlite"
from sqlalchemy import event  # noqa: E402
from sqlalchemy.pool import Pool  # noqa: E402
from sqlalchemy.testing import provision  # noqa: E402
from sqlalchemy.testing.plugin.pytestplugin import *  # noqa: E402, F403

for hook in list(vars(provision).values()):
    if isinstance(hook, provision.register) and "sqlite" in hook.fns:
        hook.fns["colonnade"] = hook.fns["sqlite"]


@provision.generate_driver_url.for_db("colonnade")
def same_url(url: Any, driver: str, query: str) -> Any:
    """SQLite's would turn it into one of `sqlite+driver://`."""
    return url


@event.listens_for(Pool, "connect")
def give_format(connection: Any, record: Any) -> None:
    if os.environ.get("SUITE_STORAGE_FORMAT"):
        connection.execute(f"PRAGMA storage_format = {os.environ['SUITE_STORAGE_FORMAT']}")
