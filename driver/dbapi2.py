"""The names of the package under the module name that sqlite3 has for them."""

from __future__ import annotations

import colonnade
from colonnade import *  # noqa: F403

__all__ = list(colonnade.__all__)


def __getattr__(name: str) -> object:
    return getattr(colonnade, name)
