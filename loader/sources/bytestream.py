"""Bytes of a file, compressed or not, or of standard input, read into buffers of the caller."""

from __future__ import annotations

import os
from typing import Any

import pyarrow as pa

from colonnade.loader.sources.base import LoadError

COMPRESSIONS = {".gz": "gzip", ".zst": "zstd", ".bz2": "bz2", ".lz4": "lz4", ".br": "brotli"}
STDIN = "-"


def compression_of(path: str) -> str | None:
    """The compression that a file name ends in, if pyarrow can read it."""
    ending = next((end for end in COMPRESSIONS if path.lower().endswith(end)), None)
    return None if ending is None or path == STDIN else COMPRESSIONS[ending]


def can_be_read_again(path: str) -> bool:
    """Whether a path is a regular file, and not standard input or a pipe."""
    return path != STDIN and os.path.isfile(path)


class ByteStream:
    """An open file. Reading and decompressing release the GIL. Errors are LoadError."""

    def __init__(self, path: str) -> None:
        self.path = path
        compression = compression_of(path)
        try:
            if path == STDIN:
                self._file: Any = open(0, "rb", buffering=0, closefd=False)  # noqa: SIM115
            elif compression is None:
                self._file = open(path, "rb", buffering=0)  # noqa: SIM115
            else:
                self._file = pa.input_stream(path, compression=compression)
        except (OSError, pa.ArrowException) as error:
            raise _unreadable(path, error) from None
        self._pushed = b""

    def push(self, data: bytes) -> None:
        """Put bytes back that were read, to be read next."""
        self._pushed = data + self._pushed

    def fill(self, buffer: bytearray, start: int, stop: int) -> int:
        """Read into buffer[start:stop] until it is full or the file ends; returns where the bytes end."""
        if self._pushed:
            count = min(len(self._pushed), stop - start)
            buffer[start : start + count] = self._pushed[:count]
            self._pushed = self._pushed[count:]
            start += count
        with memoryview(buffer) as view:
            while start < stop:
                try:
                    count = self._file.readinto(view[start:stop])
                except (OSError, EOFError, pa.ArrowException) as error:
                    raise _unreadable(self.path, error) from None
                if not count:
                    break
                start += count
        return start

    def skip(self, count: int) -> None:
        """Read `count` bytes and forget them."""
        if compression_of(self.path) is None and can_be_read_again(self.path) and not self._pushed:
            self._file.seek(count, 1)
            return
        scratch = bytearray(min(count, 1 << 20))
        while count > 0:
            got = self.fill(scratch, 0, min(count, len(scratch)))
            if not got:
                break
            count -= got

    def close(self) -> None:
        self._file.close()


def read_range(path: str, offset: int, count: int) -> bytes:
    """`count` bytes from byte `offset` of the uncompressed text. Compressed files are read from the start."""
    stream = ByteStream(path)
    try:
        stream.skip(offset)
        buffer = bytearray(count)
        return bytes(buffer[: stream.fill(buffer, 0, count)])
    finally:
        stream.close()


def _unreadable(path: str, error: BaseException) -> LoadError:
    if isinstance(error, FileNotFoundError):
        return LoadError("no such file", path=path)
    if isinstance(error, IsADirectoryError):
        return LoadError("is a directory", path=path)
    reason = error.strerror if isinstance(error, OSError) and error.strerror else str(error)
    return LoadError(f"cannot be read: {reason}", path=path)
