"""Faults that sqllogictest files found, as a few statements each, against plain SQLite."""

from __future__ import annotations

from contextlib import closing

import pytest

from tests.slt.runner import Colonnade


@pytest.mark.parametrize(
    "sql", ["CREATE INDEX i ON t(b)", "DROP INDEX j", "ALTER TABLE t ADD COLUMN c DEFAULT 7"]
)
def test_a_table_freezes_again_behind_a_change_of_its_schema(sql: str) -> None:
    """evidence/slt_lang_createview.test: after CREATE INDEX the table stayed in row format."""
    with closing(Colonnade("column")) as ours:
        ours.execute("CREATE TABLE t(a, b)")
        ours.execute("CREATE INDEX j ON t(a)")
        ours.execute("INSERT INTO t VALUES(1, 2), (3, 4)")
        ours.execute(sql)
        assert ours.tables_in_column_format() == ["t"]
        assert [row[:2] for row in ours.query("SELECT * FROM t")] == [(1, 2), (3, 4)]
