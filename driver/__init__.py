"""Colonnade: a drop-in sqlite3 whose tables can hold their rows as columns."""
