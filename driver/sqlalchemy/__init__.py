"""SQLAlchemy: the dialects behind `colonnade://` and `colonnade+aio://`, and bulk load for sessions."""

from __future__ import annotations

from colonnade.sqlalchemy.bulk import bulk_load
from colonnade.sqlalchemy.dialect import ColonnadeDialect

__all__ = ["ColonnadeDialect", "bulk_load"]
