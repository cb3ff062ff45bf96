"""What SQLite can do, for SQLAlchemy's dialect suite: each requirement that differs from the suite's default.

The same class serves the stock `sqlite://` dialect and Colonnade's, so that both run and skip the same tests.
A requirement that is closed here, or by default, is one that SQLite (or SQLAlchemy's SQLite dialect) lacks.
"""

from __future__ import annotations

from typing import Any

from sqlalchemy.testing import exclusions
from sqlalchemy.testing.requirements import SuiteRequirements

# Closed by default, though SQLite has them; with the reason where a name does not say it.
HAS = {
    "autocommit": "isolation level AUTOCOMMIT: the driver's isolation_level None",
    "boolean_col_expressions": "comparisons are expressions",
    "check_constraint_reflection": "read from the DDL",
    "computed_columns": "generated columns",
    "computed_columns_reflect_persisted": "STORED is read from the DDL",
    "computed_columns_stored": "",
    "computed_columns_virtual": "",
    "create_table_as": "",
    "ctes": "",
    "ctes_with_update_delete": "",
    "ctes_with_values": "",
    "date_historic": "dates are text: any year from 1",
    "datetime_historic": "as date_historic",
    "datetime_literals": "dates are text: so are their literals",
    "dbapi_lastrowid": "cursor.lastrowid",
    "emulated_lastrowid": "cursor.lastrowid",
    "except_": "",
    "expression_server_defaults": "DEFAULT (expression)",
    "fk_constraint_option_reflection_ondelete_noaction": "",
    "fk_constraint_option_reflection_ondelete_restrict": "",
    "fk_constraint_option_reflection_onupdate_restrict": "",
    "foreign_key_constraint_name_reflection": "read from the DDL",
    "foreign_key_constraint_option_reflection_ondelete": "",
    "foreign_key_constraint_option_reflection_onupdate": "",
    "indexes_check_column_order": "",
    "index_ddl_if_exists": "IF [NOT] EXISTS",
    "indexes_with_expressions": "",
    "infinity_floats": "",
    "inline_check_constraint_reflection": "read from the DDL",
    "intersect": "",
    "isolation_level": "PRAGMA read_uncommitted",
    "json_type": "json1 functions",
    "legacy_unconditional_json_extract": "json_extract",
    "mod_operator_as_percent_sign": "",
    "nullsordering": "NULLS FIRST and LAST",
    "nvarchar_types": "a type may have any name",
    "order_by_label_with_expression": "",
    "percent_schema_names": "question marks are the placeholders",
    "precision_numerics_enotation_small": "",
    "precision_numerics_retains_significant_digits": "rounded to the scale of the type",
    "reflect_table_options": "WITHOUT ROWID and STRICT",
    "reflects_pk_names": "read from the DDL",
    "regexp_match": "the function regexp is made on connect",
    "repeated_column_foreign_keys": "",
    "repeated_remote_col_foreign_keys": "",
    "server_defaults": "",
    "skip_autocommit_rollback": "isolation_level tells whether the driver begins transactions",
    "supports_bitwise_and": "",
    "supports_bitwise_not": "",
    "supports_bitwise_or": "",
    "supports_bitwise_shift": "",
    "supports_bitwise_xor": "written with | and &",
    "table_ddl_if_exists": "IF [NOT] EXISTS",
    "timestamp_microseconds": "TIMESTAMP is text as well",
    "tuple_in": "row values",
    "unicode_ddl": "",
    "update_from": "",
    "uuid_data_type": "as text",
    "views": "",
    "window_functions": "",
    "window_range": "",
    "window_range_numeric": "",
}

# Open by default, though SQLite lacks them.
LACKS = {
    "independent_connections": "SQLAlchemy's own declaration: not all connections have the attached test_schema",
    "implicitly_named_constraints": "a constraint without a name has none",
    "parens_in_union_contained_select_w_limit_offset": "no parentheses around the SELECTs of a UNION",
    "parens_in_union_contained_select_wo_limit_offset": "no parentheses around the SELECTs of a UNION",
}

# Temporary tables live in one connection: the pool of a memory database keeps one, that of a file several.
ONE_CONNECTION = (
    "create_temp_table_as",
    "has_temp_table",
    "temp_table_names",
    "temp_table_reflection",
    "temporary_tables",
    "temporary_views",
)


class Requirements(SuiteRequirements):
    """SQLite's, at version 3.40 or later."""

    @property
    def independent_readonly_connections(self) -> Any:
        """A memory database has one connection."""
        return exclusions.only_if(_in_file, "a memory database has one connection")

    def get_isolation_levels(self, config: Any) -> dict[str, Any]:
        return {"default": "SERIALIZABLE", "supported": list(config.db.dialect._isolation_lookup)}

    def get_order_by_collation(self, config: Any) -> str:
        return "NOCASE"


def _in_file(config: Any) -> bool:
    return bool(config.db.dialect._is_url_file_db(config.db.url))


def _in_memory(config: Any) -> bool:
    return not _in_file(config)


for _name in HAS:
    setattr(Requirements, _name, property(lambda self: exclusions.open()))
for _name in LACKS:
    setattr(Requirements, _name, property(lambda self: exclusions.closed()))
for _name in ONE_CONNECTION:
    setattr(Requirements, _name, property(lambda self: exclusions.only_if(_in_memory, "one connection")))
