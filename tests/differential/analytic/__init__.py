"""Random analytic queries, asked of plain SQLite and of Colonnade with vectorised queries on and off.

1. `world` makes small tables, with rows in row groups, tombstones and row part;
2. `queries` makes queries over them out of `sources`, `expressions` and `aggregates`;
3. `trial` asks all sides and compares by `tests.differential.likeness`, as far as SQLite decides the order;
4. `reduce` makes what shows a difference small.

`python -m tests.differential.analytic --seed N --count M --jobs J` runs it from the command line.
"""
