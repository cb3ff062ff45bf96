"""What is wrong with a record of a piece, and how that becomes a LoadError or Rejects."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

import numpy as np
import pyarrow as pa

from colonnade.loader.sources.base import LoadError, Provenance, Reject, RowProvenance
from colonnade.loader.sources.pieces import Piece, lines_before, provenance
from colonnade.loader.sources.records import record_ends
from colonnade.loader.sources.textnumbers import is_number_column, text_rows
from colonnade.sql.objects import ColumnDef
from colonnade.store.values import Column, as_text


@dataclass(frozen=True, slots=True)
class Fault:
    """What is wrong with one record."""

    reason: str
    column: str | None = None
    value: str | None = None


def error_for(piece: Piece, faults: Mapping[int, Fault]) -> LoadError:
    """The LoadError for the first of the faults, which are by ordinal of the piece's records."""
    ordinal = min(faults)
    fault = faults[ordinal]
    line = _line(piece, ordinal)
    return LoadError(fault.reason, path=piece.file.path, line=line, column=fault.column, value=fault.value)


def rejects_for(piece: Piece, faults: Mapping[int, Fault]) -> tuple[Reject, ...]:
    """A Reject for each of the faults, in the order of the file."""
    if not faults:
        return ()
    ends = record_ends(piece.data, piece.file.dialect)
    rejects = []
    for ordinal, fault in sorted(faults.items()):
        start = ends[ordinal - 1] if ordinal else 0
        raw = bytes(piece.data[start : ends[ordinal]]).rstrip(b"\r\n")
        where: Provenance = provenance(piece)
        position = ordinal
        if not piece.file.can_be_read_again:
            where, position = RowProvenance(piece.file.path, _line(piece, ordinal)), 0
        text = raw.decode("utf-8", "backslashreplace")
        rejects.append(Reject(where, position, fault.reason, text, fault.column, fault.value))
    return tuple(rejects)


def _line(piece: Piece, ordinal: int) -> int:
    before = lines_before(piece.data, np.array([ordinal]), piece.file.dialect)
    return piece.file.first_line(piece.number) + int(before[0])


def number_faults(columns: Iterable[tuple[ColumnDef, Column]]) -> dict[int, Fault]:
    """By position, the rows with text in a number column: what `types: strict` refuses."""
    faults: dict[int, Fault] = {}
    for definition, column in columns:
        if not is_number_column(definition):
            continue
        reason = f"no number, in a column declared {definition.decl_type} (types: strict)"
        for row in text_rows(column):
            faults.setdefault(int(row), Fault(reason, definition.name, _text_at(column, int(row))))
    return faults


def _text_at(column: Column, row: int) -> str:
    """The TEXT at a position of a column of any kind."""
    one = column.slice(row, 1)
    if pa.types.is_struct(one.data.type):
        return str(one.data.field("bytes")[0].as_py(), "utf-8")
    return str(as_text(one)[0].as_py())


def others(bad: Iterable[int], count: int) -> np.ndarray[tuple[int], np.dtype[np.int64]]:
    """The positions below `count` that are not `bad`."""
    keep = np.ones(count, bool)
    keep[list(bad)] = False
    return np.flatnonzero(keep)
