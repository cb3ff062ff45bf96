"""The parser of the sqllogictest format."""

from __future__ import annotations

import pytest

from tests.slt.script import HASH_THRESHOLD, Query, SltSyntaxError, Statement, records


def parsed(text: str) -> list[Statement | Query]:
    return list(records(text))


def test_statements_succeed_or_fail() -> None:
    assert parsed("statement ok\nA\n\nstatement error\nB\n") == [
        Statement(1, "A", fails=False),
        Statement(4, "B", fails=True),
    ]


def test_records_are_separated_by_any_number_of_blank_lines() -> None:
    found = parsed("\n\n  \nstatement ok\nA\nB\n\t\n\n\nstatement ok\r\nC\r\n\r\n")
    assert [(record.line, record.sql) for record in found] == [(4, "A\nB"), (10, "C")]


def test_comments_are_gone_before_anything_else_and_separate_nothing() -> None:
    assert parsed("# x\nstatement ok\n# y\nA\n#\n  # kept\nB\n") == [
        Statement(2, "A\n  # kept\nB", fails=False)
    ]


def test_a_query_has_types_sort_label_and_values() -> None:
    (query,) = parsed("query ITR rowsort join-1\nSELECT 1,\n 2, 3\n----\n1\n(empty)\n0.500\n")
    assert query == Query(
        1, "SELECT 1,\n 2, 3", "ITR", "rowsort", "join-1", ("1", "(empty)", "0.500"), HASH_THRESHOLD
    )


@pytest.mark.parametrize(
    "text", ["query I\nSELECT", "query I\nSELECT\n----", "query I nosort\nSELECT\n----\n\n"]
)
def test_sort_label_and_values_may_be_left_out(text: str) -> None:
    assert parsed(text) == [Query(1, "SELECT", "I", "nosort", "", (), HASH_THRESHOLD)]


def test_the_hash_threshold_holds_for_the_queries_behind_it() -> None:
    found = parsed("query I\nA\n\nhash-threshold 3\n\nquery I\nB\n\nhash-threshold 0\n\nquery I\nC\n")
    assert [record.threshold for record in found if isinstance(record, Query)] == [HASH_THRESHOLD, 3, 0]


def test_records_for_other_engines_are_left_out() -> None:
    text = "\n\n".join(
        f"{condition}\nstatement ok\n{name}"
        for name, condition in {
            "a": "onlyif sqlite # remark",
            "b": "skipif sqlite",
            "c": "onlyif mysql",
            "d": "skipif mysql",
            "e": "skipif mysql\nskipif oracle",
            "f": "skipif mysql\nonlyif oracle",
            "g": "onlyif SQLite",
        }.items()
    )
    assert [record.sql for record in parsed(text)] == ["a", "d", "e", "g"]
    assert [record.sql for record in records(text, "mysql")] == ["b", "c"]


def test_the_line_of_a_record_is_that_behind_its_conditions() -> None:
    assert parsed("skipif mysql\nskipif oracle\nstatement ok\nA")[0].line == 3


def test_halt_ends_the_file_and_may_be_for_others() -> None:
    assert [record.sql for record in parsed("onlyif mysql\nhalt\n\nstatement ok\nA\n\nhalt\n\nnonsense")] == [
        "A"
    ]


def test_a_threshold_for_others_does_not_hold() -> None:
    assert parsed("onlyif mysql\nhash-threshold 1\n\nquery I\nA")[0] == Query(
        4, "A", "I", "nosort", "", (), HASH_THRESHOLD
    )


def test_mode_skip_leaves_out_what_follows_up_to_unskip() -> None:
    text = "mode output_hash\n\nmode skip\n\nstatement ok\nA\n\nhalt\n\nmode unskip\n\nstatement ok\nB"
    assert [record.sql for record in parsed(text)] == ["B"]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("statement\nA", "line 1: a statement is ok or error"),
        ("\nstatement maybe\nA", "line 2: a statement is ok or error, not 'maybe'"),
        ("query\nA", "line 1: a query has types"),
        ("query IX\nA", "line 1: a query has types"),
        ("query I anysort\nA", "line 1: a query has types"),
        ("query I nosort a b\nA", "line 1: a query has types"),
        ("hash-threshold\n", "line 1: hash-threshold takes a number"),
        ("hash-threshold x\n", "line 1: hash-threshold takes a number"),
        ("mode fast\n", "line 1: mode takes one of"),
        ("skipif\nstatement ok\nA", "line 1: skipif takes the name of an engine"),
        ("onlyif sqlite\n\nstatement ok\nA", "line 2: a condition without a record"),
        ("foo\n", "line 1: unknown record 'foo'"),
    ],
)
def test_what_is_not_in_the_format_is_an_error_with_its_line(text: str, message: str) -> None:
    with pytest.raises(SltSyntaxError, match=message):
        parsed(text)
