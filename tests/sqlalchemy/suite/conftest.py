"""SQLAlchemy's pytest plugin, told that `colonnade://` databases are made and dropped as `sqlite://` ones are."""

from __future__ import annotations

import pytest

pytest.register_assert_rewrite("sqlalchemy.testing.assertions")

from typing import Any  # noqa: E402

import sqlalchemy.dialects.sqlite.provision  # noqa: E402, F401 - registers what is done for "sqlite"
from sqlalchemy.testing import provision  # noqa: E402
from sqlalchemy.testing.plugin.pytestplugin import *  # noqa: E402, F403

for hook in list(vars(provision).values()):
    if isinstance(hook, provision.register) and "sqlite" in hook.fns:
        hook.fns["colonnade"] = hook.fns["sqlite"]


@provision.generate_driver_url.for_db("colonnade")
def same_url(url: Any, driver: str, query: str) -> Any:
    """SQLite's would turn it into one of `sqlite+driver://`."""
    return url
