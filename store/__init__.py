"""The columnar backend: row groups of column chunks inside one SQLite file.

How rows travel: a RowBatch (`values`) is cut to a row group and encoded (`rowgroup`, `chunk`,
`encodings`) without touching the database, so that any thread may do it; `table` writes it through
the `pager` into shadow tables (`format`), with its key zones (`keyindex`). Reads come back the same
way, through `table` for scans and through `vtable` for SQLite itself.
"""
