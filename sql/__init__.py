"""Part of Colonnade."""
