"""SQLite's own sqllogictest files, each on Colonnade in every storage format next to plain SQLite.

The files are not part of the repository: $COLONNADE_SLT names their folder, ../shared/slt of the repository's
if it is not set. https://www.sqlite.org/sqllogictest has all of them.
"""

from __future__ import annotations

import os
from contextlib import closing
from itertools import takewhile
from pathlib import Path
from typing import Any

import pytest

from tests.slt.runner import Colonnade, Sqlite, run
from tests.slt.script import Query, Statement, records

FOLDER = Path(os.environ.get("COLONNADE_SLT") or Path(__file__).parents[2].parent / "shared" / "slt")
FORMATS = ("row", "auto", "column")
# More statements than this before the first query run in row format: each would freeze its table anew.
MOST_FROZEN_STATEMENTS = 100
# Files with no more INSERTs than this are run with row groups of so few rows that zone maps decide something.
MOST_INSERTS, FEW_ROWS = 20, 4
QUICK_SECONDS = 8
# Files that are quick in row format, and how many seconds they took in column format on 2 cores.
SECONDS = {
    "evidence/in1.test": 1.0,
    "evidence/in2.test": 0.1,
    "evidence/slt_lang_aggfunc.test": 0.2,
    "evidence/slt_lang_createtrigger.test": 0.1,
    "evidence/slt_lang_createview.test": 0.1,
    "evidence/slt_lang_dropindex.test": 0.1,
    "evidence/slt_lang_droptable.test": 0.1,
    "evidence/slt_lang_droptrigger.test": 0.1,
    "evidence/slt_lang_dropview.test": 0.1,
    "evidence/slt_lang_reindex.test": 0.1,
    "evidence/slt_lang_replace.test": 0.1,
    "evidence/slt_lang_update.test": 0.2,
    "index/commute/10/slt_good_10.test": 33,
    "index/delete/1/slt_good_0.test": 136,
    "index/orderby/10/slt_good_4.test": 15,
    "index/orderby_nosort/10/slt_good_14.test": 15,
    "index/random/1000/slt_good_4.test": 0.3,
    "random/aggregates/slt_good_129.test": 2.0,
    "random/expr/slt_good_1.test": 2.9,
    "random/groupby/slt_good_13.test": 5.8,
    "random/select/slt_good_124.test": 7.4,
    "select1.test": 15,
    "select2.test": 14,
    "select3.test": 80,
}


def cases() -> list[Any]:
    files = sorted(str(path.relative_to(FOLDER)) for path in FOLDER.rglob("*.test"))
    if not files:
        reason = f"no sqllogictest files in {FOLDER}; COLONNADE_SLT can name another folder"
        return [pytest.param("", "", marks=pytest.mark.skip(reason=reason), id="no-files")]
    return [case(file, storage_format) for file in files for storage_format in FORMATS]


def case(file: str, storage_format: str) -> Any:
    marks = [] if is_quick(file, storage_format) else [pytest.mark.slow]
    return pytest.param(file, storage_format, marks=marks, id=f"{file}-{storage_format}")


def is_quick(file: str, storage_format: str) -> bool:
    seconds = SECONDS.get(file)
    return seconds is not None and (storage_format != "column" or seconds < QUICK_SECONDS)


@pytest.mark.parametrize(("file", "storage_format"), cases())
def test_a_file_gives_what_plain_sqlite_gives(file: str, storage_format: str) -> None:
    script = list(records((FOLDER / file).read_text()))
    before = sum(1 for _ in takewhile(lambda record: isinstance(record, Statement), script))
    load_first = storage_format == "column" and before > MOST_FROZEN_STATEMENTS
    inserts = sum(1 for record in script if record.sql.upper().startswith("INSERT"))
    batch_size = FEW_ROWS if inserts <= MOST_INSERTS else 0
    made = Colonnade(storage_format, load_first=load_first, batch_size=batch_size)
    with closing(made) as ours, closing(Sqlite()) as oracle:
        outcome = run(file, script, ours, oracle)
        assert not outcome.failures, outcome.report()
        assert outcome.run == len(script)
        if storage_format == "row":
            assert not ours.tables_in_column_format()
        elif storage_format == "column" and any(isinstance(record, Query) for record in script):
            assert ours.frozen.total() > 0, "no query read a table in column format"
