"""The demo: TPC-H at scale 0.1 generated, loaded with every key checked, queried; all in one minute."""

from __future__ import annotations

import sys
import tempfile
import time
from pathlib import Path

from rich.console import Console

import colonnade
from colonnade.cli import main
from colonnade.cli.output import print_table

QUERIES = {
    "Orders of one customer, by key": """
        SELECT o_orderkey, o_orderdate, o_totalprice FROM orders
        WHERE o_orderkey BETWEEN 1 AND 20 ORDER BY o_orderkey LIMIT 3""",
    "Revenue by ship mode of the first orders": """
        SELECT l_shipmode, count(*) AS items, round(sum(l_extendedprice * (1 - l_discount)), 2) AS revenue
        FROM lineitem WHERE l_orderkey < 40000 GROUP BY l_shipmode ORDER BY revenue DESC""",
    "Customers by nation, a join": """
        SELECT n_name, count(*) AS customers, round(avg(c_acctbal), 2) AS balance
        FROM customer JOIN nation ON n_nationkey = c_nationkey
        GROUP BY n_name ORDER BY customers DESC, n_name LIMIT 5""",
}


def demo(folder: Path) -> int:
    out = Console(highlight=False)
    path = folder / "tpch.db"
    out.rule("colonnade tpch tpch.db --scale 0.1")
    if code := main(["tpch", str(path), "--scale", "0.1"]):
        return code
    with colonnade.connect(str(path)) as connection:
        for title, query in QUERIES.items():
            out.print()
            started = time.perf_counter()
            cursor = connection.execute(query)
            rows = cursor.fetchall()
            seconds = time.perf_counter() - started
            print_table(out, f"{title} ({seconds:.2f} s)", [column[0] for column in cursor.description], rows)
    connection.close()
    out.print(f"\nfile size: {path.stat().st_size / 1e6:,.1f} MB")
    return 0


if __name__ == "__main__":
    with tempfile.TemporaryDirectory(prefix="colonnade-demo-") as scratch:
        sys.exit(demo(Path(scratch)))
