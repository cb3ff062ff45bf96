"""How the user spelt a table's name in texts that ALTER TABLE has changed."""

from __future__ import annotations

import pytest

from colonnade.store.convert import _between, _forms


@pytest.mark.parametrize(
    ("sql", "expected"),
    [
        ("CREATE TABLE t(a REFERENCES T, b REFERENCES [t](a))", ["t", "T", "[t]"]),
        ('create table "t"(a REFERENCES `t`, b REFERENCES t(a))', ['"t"', "`t`", "t"]),
        ("CREATE TABLE t(a REFERENCES u, b REFERENCES t(a))", None),
        ("CREATE TABLE t(a REFERENCES t, b REFERENCES t(a)) -- more", None),
        ("CREATE TABLE t(a REFERENCES tt, b REFERENCES t(a))", None),
        ("", None),
    ],
)
def test_spellings_stand_between_the_parts(sql: str, expected: list[str] | None) -> None:
    parts = ["CREATE TABLE ", "(a REFERENCES ", ", b REFERENCES ", "(a))"]
    assert _between(parts, _forms("t"), sql) == expected


@pytest.mark.parametrize("name", ['"', '"a"', "[", "`x", "'", "a b", "İ"])
def test_names_with_quotes_in_them_are_told_apart(name: str) -> None:
    for form in _forms(name):
        assert _between(["ON ", "(c)"], _forms(name), f"on {form}(C)") == [form]
