"""What the documents name exists, and what a user can say is documented."""

from __future__ import annotations

import argparse
import importlib
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from colonnade.cli import build_parser
from colonnade.pragmas import OWN
from colonnade.store import encodings
from colonnade.store import format as disk

ROOT = Path(__file__).resolve().parents[1]
README = (ROOT / "README.md").read_text()
ARCHITECTURE = (ROOT / "docs" / "architecture.md").read_text()


@pytest.mark.parametrize("name", sorted(set(re.findall(r"`(colonnade(?:\.\w+)+)`", ARCHITECTURE))))
def test_every_module_that_the_architecture_names_can_be_imported(name: str) -> None:
    importlib.import_module(name)


@pytest.mark.parametrize("pragma", sorted(OWN))
def test_every_pragma_is_in_the_readme(pragma: str) -> None:
    assert f"`{pragma}" in README


def commands() -> Iterator[tuple[str, argparse.ArgumentParser]]:
    for action in build_parser()._actions:
        if isinstance(action, argparse._SubParsersAction):
            yield from action.choices.items()


@pytest.mark.parametrize(
    ("name", "parser"), list(commands()), ids=lambda value: getattr(value, "prog", value)
)
def test_every_command_is_in_the_readme_and_every_option_has_help(
    name: str, parser: argparse.ArgumentParser
) -> None:
    assert f"colonnade {name}" in README
    for action in parser._actions:
        if action.option_strings:
            assert action.help, action.option_strings


def test_every_shadow_table_and_encoding_is_in_the_format() -> None:
    for suffix in disk.SHADOW_SUFFIXES:
        assert f"t{suffix}" in (disk.__doc__ or "")
    for module in Path(encodings.__file__).parent.glob("*.py"):
        name = module.stem
        if name not in ("__init__", "base", "choose"):
            assert importlib.import_module(f"colonnade.store.encodings.{name}").__doc__
