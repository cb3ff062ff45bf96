"""Connections of the twins are closed after each test."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.driver.twins import close_all


@pytest.fixture(autouse=True)
def twins_closed() -> Iterator[None]:
    yield
    close_all()
