"""Bytes that the program gives, in whatever object has them."""

from __future__ import annotations

from typing import Any


def contiguous(data: Any) -> memoryview:
    """The bytes of a buffer; TypeError for what is none, BufferError for one with gaps."""
    try:
        view = memoryview(data)
    except TypeError:
        raise TypeError(f"a bytes-like object is required, not '{type(data).__name__}'") from None
    if not view.c_contiguous:
        raise BufferError("memoryview: underlying buffer is not C-contiguous")
    return view.cast("B")
