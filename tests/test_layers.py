"""Dependencies point one way: driver -> loader -> sql -> store."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
ORDER = ["store", "sql", "loader", "driver"]
BORDERS = {  # third-party package -> where alone it may be imported
    "sqlglot": {"sql"},
    "pyarrow.acero": {"sql"},
    "argparse": {"driver"},
    "rich": {"driver"},
    "sqlalchemy": {"driver"},
}
MODULES = [(layer, path) for layer in ORDER for path in sorted((ROOT / layer).rglob("*.py"))]


def imported(path: Path) -> set[str]:
    names: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            names.update(alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: relative import"
            names.update(f"{node.module}.{alias.name}" for alias in node.names)
    return names


def layer_of(name: str) -> str | None:
    parts = name.split(".")
    if parts[0] != "colonnade":
        return None
    return parts[1] if len(parts) > 1 and parts[1] in ORDER else "driver"


@pytest.mark.parametrize(("layer", "path"), MODULES, ids=lambda v: getattr(v, "stem", v))
def test_a_layer_imports_only_itself_and_those_below(layer: str, path: Path) -> None:
    for name in imported(path):
        target = layer_of(name)
        if target is not None:
            assert ORDER.index(target) <= ORDER.index(layer), f"{path} imports {name}"


@pytest.mark.parametrize(("layer", "path"), MODULES, ids=lambda v: getattr(v, "stem", v))
def test_third_party_packages_stay_behind_their_border(layer: str, path: Path) -> None:
    for name in imported(path):
        for package, allowed in BORDERS.items():
            if name == package or name.startswith(package + "."):
                assert layer in allowed, f"{path} imports {name}"


@pytest.mark.parametrize(("layer", "path"), MODULES, ids=lambda v: getattr(v, "stem", v))
def test_every_module_opens_with_a_sentence_on_what_it_owns(layer: str, path: Path) -> None:
    docstring = ast.get_docstring(ast.parse(path.read_text()))
    assert docstring, path
    assert docstring.splitlines()[0].rstrip().endswith((".", ":")), path
