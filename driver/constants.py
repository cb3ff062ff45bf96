"""Constants and functions of the module sqlite3 that are about SQLite itself and no connection."""

from __future__ import annotations

import sys
from collections.abc import Mapping

import apsw

from colonnade.notices import deprecated

# SQLite's sqlite3_db_config() takes other arguments for these than on or off.
_NO_SWITCHES = {"SQLITE_DBCONFIG_MAINDBNAME", "SQLITE_DBCONFIG_LOOKASIDE", "SQLITE_DBCONFIG_FP_DIGITS"}


def _names(mapping: Mapping[str | int, int | str]) -> dict[str, int]:
    return {name: code for name, code in mapping.items() if isinstance(name, str) and isinstance(code, int)}


SWITCHES = {name: code for name, code in _names(apsw.mapping_db_config).items() if name not in _NO_SWITCHES}


def constants() -> dict[str, int]:
    """All names beginning with SQLITE_ that a program may use: those of sqlite3, and newer ones of their kinds."""
    mappings: list[Mapping[str | int, int | str]] = [
        apsw.mapping_authorizer_function,
        apsw.mapping_authorizer_return_codes,
        apsw.mapping_result_codes,
        apsw.mapping_extended_result_codes,
        apsw.mapping_limits,
    ]
    found: dict[str, int] = {} if sys.version_info < (3, 12) else dict(SWITCHES)
    for mapping in mappings:
        found |= _names(mapping)
    return found


def complete_statement(statement: str) -> bool:
    """Whether a text ends with a complete statement: outside of quotes, comments and triggers, with a semicolon."""
    if not isinstance(statement, str):
        kind = "None" if statement is None else type(statement).__name__
        raise TypeError(f"complete_statement() argument 'statement' must be str, not {kind}")
    return apsw.complete(statement)


def enable_shared_cache(do_enable: int) -> None:
    """Warn, as sqlite3 does up to Python 3.11, and do no more: APSW's SQLite has no shared cache."""
    bool(do_enable)
    deprecated(
        "enable_shared_cache is deprecated and will be removed in Python 3.12. Shared cache is strongly "
        "discouraged by the SQLite 3 documentation. If shared cache must be used, open the database in URI "
        "mode using the cache=shared query parameter."
    )
