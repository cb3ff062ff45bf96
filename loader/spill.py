"""Spilling: codes beyond the memory limit go to temporary files, cut by hash so that equal codes meet.

The files hold Arrow IPC streams of one column of codes and, where codes are not exact, one of keys. They
are deleted when the partitions are closed, whatever happened; an unlinked directory is never left behind.
"""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any

import numpy as np
import pyarrow as pa

from colonnade.store.errors import OperationalError
from colonnade.store.keyhash import mix
from colonnade.store.values import IntArray

MAX_PARTITIONS = 64
_CODES = pa.schema([("code", pa.int64())])
_KEYS = pa.schema([("code", pa.int64()), ("key", pa.binary())])


@dataclass(frozen=True, slots=True)
class Spilled:
    """Some rows read back: codes, and their canonical bytes where codes are not exact."""

    codes: IntArray
    keys: pa.Array | None


class Partitions:
    """Rows in `count` temporary files. Write with `add`, then read each one back with `read`.

    level  0 for a first cut; a partition that is itself too large is cut again one level deeper, by
           other bits of the hash
    """

    def __init__(self, count: int, level: int, *, keys: bool, directory: str | None) -> None:
        self.count = count
        self.level = level
        self.bytes_written = 0
        self.rows = [0] * count
        self.bytes = [0] * count
        self._parent = directory
        self._schema = _KEYS if keys else _CODES
        try:
            self._directory = tempfile.TemporaryDirectory(prefix="colonnade-", dir=directory)
        except OSError as error:
            raise unwritable(directory, error) from error
        self._files: list[Any] = [None] * count
        self._writers: list[Any] = [None] * count

    def __enter__(self) -> Partitions:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for file in self._files:
            if file is not None:
                with suppress(OSError):  # what could not be written is thrown away now
                    file.close()
        self._directory.cleanup()

    def _path(self, number: int) -> str:
        return str(Path(self._directory.name) / str(number))

    def add(self, codes: IntArray, keys: pa.Array | None) -> None:
        """Append rows, each to its partition."""
        if not len(codes):
            return
        hashed = mix(codes.view(np.uint64), 1000 + self.level)
        places = (hashed % np.uint64(self.count)).astype(np.uint8)
        order = np.argsort(places, kind="stable")
        ends = np.cumsum(np.bincount(places, minlength=self.count))
        columns = [pa.array(codes[order])]
        if keys is not None:
            columns.append(keys.take(pa.array(order)))
        batch = pa.RecordBatch.from_arrays(columns, schema=self._schema)
        start = 0
        for number, end in enumerate(ends.tolist()):
            if end > start:
                self._write(number, batch.slice(start, end - start))
            start = end

    def _write(self, number: int, batch: pa.RecordBatch) -> None:
        try:
            if self._writers[number] is None:
                self._files[number] = pa.OSFile(self._path(number), "wb")
                self._writers[number] = pa.ipc.new_stream(self._files[number], self._schema)
            self._writers[number].write_batch(batch)
        except OSError as error:
            raise unwritable(self._parent, error) from error
        self.rows[number] += batch.num_rows
        self.bytes[number] += batch.nbytes
        self.bytes_written += batch.nbytes

    def _finish(self) -> None:
        try:
            for writer, file in zip(self._writers, self._files, strict=True):
                if writer is not None:
                    writer.close()
                    file.close()
        except OSError as error:
            raise unwritable(self._parent, error) from error
        self._writers = [None] * self.count

    def read(self, number: int) -> Iterator[Spilled]:
        """The rows of one partition, in batches as they were added. Ends all writing."""
        self._finish()
        if not self.rows[number]:
            return
        with pa.OSFile(self._path(number), "rb") as file, pa.ipc.open_stream(file) as reader:
            for batch in reader:
                keys = batch.column(1) if batch.num_columns > 1 else None
                yield Spilled(batch.column(0).to_numpy(), keys)


def unwritable(directory: str | None, error: OSError) -> OperationalError:
    """What to tell the user of a temporary file that could not be made or written; None: in the usual place."""
    where = directory or tempfile.gettempdir()
    reason = os.strerror(error.errno) if error.errno else str(error)
    return OperationalError(f"cannot write temporary files in {where}: {reason}")


def partition_count(total_bytes: int, part_bytes: int) -> int:
    """How many partitions make each about `part_bytes`, at most MAX_PARTITIONS."""
    return max(2, min(MAX_PARTITIONS, -(-total_bytes // max(1, part_bytes))))
