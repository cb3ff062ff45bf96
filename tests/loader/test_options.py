"""LoadOptions: sizes, and values that make no sense."""

from __future__ import annotations

from typing import Any

import pytest

from colonnade.loader.options import LoadOptions, parse_size
from colonnade.store.errors import ProgrammingError


@pytest.mark.parametrize(
    ("text", "size"),
    [("4096", 4096), ("64MB", 64 << 20), ("64 mib", 64 << 20), ("1.5g", 3 << 29), ("2k", 2048), ("10B", 10)],
)
def test_sizes_have_units_of_1024(text: str, size: int) -> None:
    assert parse_size(text) == size


@pytest.mark.parametrize("text", ["", "MB", "-1", "1 XB", "1e3"])
def test_what_is_no_size_is_refused(text: str) -> None:
    with pytest.raises(ProgrammingError, match="is no size"):
        parse_size(text)


@pytest.mark.parametrize(
    "wrong",
    [
        {"header": "maybe"},
        {"types": "loose"},
        {"on_violation": "ignore"},
        {"delimiter": ""},
        {"delimiter": "||"},
        {"delimiter": "é"},
        {"delimiter": "\n"},
        {"quote": "''"},
        {"delimiter": ";", "quote": ";"},
        {"null": "a\nb"},
        {"batch_size": -1},
        {"memory_limit": 0},
        {"max_record_bytes": 0},
    ],
)
def test_options_that_make_no_sense_are_refused(wrong: dict[str, Any]) -> None:
    with pytest.raises(ProgrammingError):
        LoadOptions(**wrong)


def test_options_are_parsed_from_text() -> None:
    options = LoadOptions.parse(memory_limit="1MB", delimiter=r"\t", on_violation="report")
    assert (options.memory_limit, options.delimiter, options.keeps_rejects) == (1 << 20, "\t", True)
    assert LoadOptions.parse().memory_limit is None
    assert not LoadOptions().keeps_rejects
    assert not LoadOptions().strict
