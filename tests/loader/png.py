"""Just enough of PNG to count the colours of a screenshot: 8 bits a channel, no palette, not interlaced."""

from __future__ import annotations

import struct
import zlib

import numpy as np
import numpy.typing as npt

Pixels = npt.NDArray[np.uint8]


def read_png(data: bytes) -> Pixels:
    """(height, width, 3) uint8. Raises ValueError for what it does not know."""
    if data[:8] != b"\x89PNG\r\n\x1a\n":
        raise ValueError("not a PNG")
    width, height, bits, colour, _, _, interlaced = struct.unpack(">IIBBBBB", data[16:29])
    if bits != 8 or colour not in (2, 6) or interlaced:
        raise ValueError("another kind of PNG")
    channels = 3 if colour == 2 else 4
    at, packed = 8, b""
    while at < len(data):
        (length,) = struct.unpack(">I", data[at : at + 4])
        if data[at + 4 : at + 8] == b"IDAT":
            packed += data[at + 8 : at + 8 + length]
        at += length + 12
    lines = np.frombuffer(zlib.decompress(packed), np.uint8).reshape(height, 1 + width * channels)
    pixels = np.zeros((height, width, channels), np.uint8)
    above = np.zeros((width, channels), np.uint8)
    for row, line in enumerate(lines):
        above = pixels[row] = _unfiltered(int(line[0]), line[1:].reshape(width, channels), above)
    return pixels[:, :, :3]


def _unfiltered(kind: int, line: Pixels, above: Pixels) -> Pixels:
    """One line, whose bytes are differences from neighbours (PNG, second edition, section 9.2)."""
    if kind == 0:
        return line
    if kind == 1:
        return np.cumsum(line, axis=0, dtype=np.uint64).astype(np.uint8)
    if kind == 2:
        return line + above
    channels = line.shape[1]
    rest, up = line.ravel().tolist(), above.ravel().tolist()
    done = [0] * len(rest)
    for at, value in enumerate(rest):
        left = done[at - channels] if at >= channels else 0
        corner = up[at - channels] if at >= channels else 0
        done[at] = (value + (_paeth(left, up[at], corner) if kind == 4 else (left + up[at]) // 2)) & 255
    return np.array(done, np.uint8).reshape(line.shape)


def _paeth(left: int, up: int, corner: int) -> int:
    guess = left + up - corner
    far = (abs(guess - left), abs(guess - up), abs(guess - corner))
    return (left, up, corner)[far.index(min(far))]
