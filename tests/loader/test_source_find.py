"""Finding sources: formats and tables from file names, and errors that name what is wrong."""

from __future__ import annotations

from pathlib import Path

import apsw
import pytest

from colonnade.loader.options import LoadOptions
from colonnade.loader.sources import LoadError, find_sources
from colonnade.sql.schema import Schema, read_schema


@pytest.fixture
def schema() -> Schema:
    db = apsw.Connection(":memory:")
    db.execute("CREATE TABLE LineItem(a); CREATE TABLE orders(a); CREATE TABLE t1(a)")
    return read_schema(db)


def found(schema: Schema, *paths: object, **options: object) -> list[tuple[str, str]]:
    files = find_sources([str(path) for path in paths], schema, LoadOptions(**options))  # type: ignore[arg-type]
    return [(file.table, file.format) for file in files]


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("lineitem.tbl", ("LineItem", "tbl")),
        ("LINEITEM.DAT", ("LineItem", "dat")),
        ("lineitem.1.csv.gz", ("LineItem", "csv")),
        ("lineitem.tbl.12", ("LineItem", "tbl")),
        ("lineitem_0.parquet", ("LineItem", "parquet")),
        ("lineitem-part-3.jsonl", ("LineItem", "jsonl")),
        ("orders.feather", ("orders", "arrow")),
        ("orders.tsv.zst", ("orders", "tsv")),
        ("t1.csv", ("t1", "csv")),
        ("orders/part-0.parquet", ("orders", "parquet")),
        ("orders/2024/x.csv", None),
    ],
)
def test_the_name_tells_table_and_format(
    tmp_path: Path, schema: Schema, name: str, expected: tuple[str, str] | None
) -> None:
    path = tmp_path / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(b"1\n")
    if expected is None:
        with pytest.raises(LoadError, match="no such table: x"):
            found(schema, path)
    else:
        assert found(schema, path) == [expected]


def test_a_directory_gives_its_data_files_with_numbers_in_order(tmp_path: Path, schema: Schema) -> None:
    for name in (
        "orders.10.csv",
        "orders.9.csv",
        "lineitem.tbl",
        "README.md",
        ".hidden.csv",
        "_SUCCESS",
        "x.sql",
    ):
        (tmp_path / name).write_text("1\n")
    (tmp_path / "t1").mkdir()
    (tmp_path / "t1" / "part-0.csv").write_text("1\n")
    files = find_sources([str(tmp_path)], schema, LoadOptions())
    names = [Path(file.path).name for file in files]
    assert names == ["lineitem.tbl", "orders.9.csv", "orders.10.csv", "part-0.csv"]
    assert [file.byte_count for file in files] == [2, 2, 2, 2]


def test_a_table_may_be_named_and_a_format_forced(tmp_path: Path, schema: Schema) -> None:
    path = tmp_path / "export.txt"
    path.write_text("1\n")
    assert found(schema, f"ORDERS={path}", format="csv") == [("orders", "csv")]
    assert found(schema, f"orders={path}", delimiter=";") == [("orders", "csv")]
    assert found(schema, "orders=-", format="jsonl") == [("orders", "jsonl")]


@pytest.mark.parametrize(
    ("path", "message"),
    [
        ("order.csv", "no such table: order (did you mean orders?)"),
        ("orders.xyz", "unknown format; known endings are .tbl .dat .csv"),
        ("ordrs=orders.csv", "no such table: ordrs (did you mean orders?)"),
        ("orders.cvs", "no such file (did you mean "),
        ("nothing/at.csv", "no such file"),
        ("empty", "no files to load in it"),
        ("-", "standard input needs its table and format"),
    ],
)
def test_what_cannot_be_loaded_is_named(
    tmp_path: Path, schema: Schema, path: str, message: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    for name in ("order.csv", "orders.xyz", "orders.csv"):
        (tmp_path / name).write_text("1\n")
    (tmp_path / "empty").mkdir()
    with pytest.raises(LoadError) as caught:
        found(schema, path)
    assert str(caught.value).startswith(f"{path}: ")
    assert message in str(caught.value)


def test_an_unknown_format_option_suggests_one(tmp_path: Path, schema: Schema) -> None:
    (tmp_path / "orders.csv").write_text("1\n")
    with pytest.raises(LoadError, match=r"unknown format 'parqet' \(did you mean parquet\?\)"):
        found(schema, tmp_path / "orders.csv", format="parqet")
