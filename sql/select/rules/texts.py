"""LIKE and functions of texts (sqlite.org/lang_corefunc.html): once for each word of a dictionary, else for each value.

length() and substr() count characters, and for length() and LIKE a text ends at its first NUL.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from colonnade.sql.select.rules.base import Operands
from colonnade.sql.select.rules.like import has_nul, like
from colonnade.sql.select.vector import TEXTS, NotVectorizable, Vector, nulls, text_data, truth
from colonnade.store.values import Kind


def by_words(vector: Vector, compute: Callable[[Any], Any]) -> Any:
    """What a function of strings gives for each value, computed once a word of a dictionary."""
    data = vector.data
    if vector.kind in (Kind.DATE, Kind.DATETIME):
        words = data.dictionary_encode()
        return compute(words.dictionary.cast(pa.string())).take(words.indices)
    if pa.types.is_dictionary(data.type):
        return compute(data.dictionary).take(data.indices)
    return compute(data)


def _like(operands: Operands) -> Vector:
    operand, pattern, *escape = operands.vectors
    if escape:  # which has to be one character, whatever the others are
        return operands.ask(operands)
    if Kind.NULL in (operand.kind, pattern.kind):
        return truth(pa.nulls(operands.count, pa.bool_()))
    if not pattern.constant or operand.constant:
        return operands.ask(operands)
    if operand.kind not in TEXTS or pattern.kind is not Kind.TEXT or not operands.ask.like_folds_case():
        return operands.ask(operands)
    text = str(pattern.value())
    parts = text.split("%")
    if "_" in text or "\0" in text or not text.isascii():
        return operands.ask(operands)
    if operand.kind is Kind.TEXT and has_nul(_distinct(operand)):
        return operands.ask(operands)
    return truth(by_words(operand, lambda data: like(data, parts)))


def _distinct(vector: Vector) -> Any:
    """The strings of a text, those of a dictionary once each."""
    return vector.data.dictionary if pa.types.is_dictionary(vector.data.type) else vector.data


def _length(operands: Operands) -> Vector:
    (operand,) = operands.vectors
    if operand.kind is Kind.NULL:
        return nulls(operands.count)
    if operand.kind is Kind.BLOB:
        return Vector(Kind.INTEGER, pc.binary_length(operand.data).cast(pa.int64()))
    if operand.kind not in TEXTS:
        return operands.ask(operands)
    _refuse_nul(operand)
    return Vector(Kind.INTEGER, by_words(operand, lambda data: pc.utf8_length(data).cast(pa.int64())))


def _refuse_nul(operand: Vector) -> None:
    if operand.kind is Kind.TEXT and has_nul(_distinct(operand)):
        raise NotVectorizable("a NUL in a text")


def _substr(operands: Operands) -> Vector:
    operand, *bounds = operands.vectors
    if operand.kind is Kind.NULL or any(bound.kind is Kind.NULL for bound in bounds):
        return nulls(operands.count)
    fixed = all(bound.constant and bound.kind is Kind.INTEGER for bound in bounds)
    if operand.kind not in TEXTS or not fixed:
        return operands.ask(operands)
    start, length = bounds[0].value(), bounds[1].value() if len(bounds) > 1 else None
    assert isinstance(start, int)
    if start < 1 or (isinstance(length, int) and length < 0) or start > 1 << 30:
        return operands.ask(operands)
    stop = None if length is None else min(start - 1 + int(length), 1 << 31)

    def cut(data: Any) -> Any:
        return pc.utf8_slice_codeunits(data, start - 1, stop)

    _refuse_nul(operand)
    if operand.kind is Kind.TEXT and pa.types.is_dictionary(operand.data.type):
        return Vector(Kind.TEXT, cut(operand.data.dictionary).take(operand.data.indices))
    return Vector(Kind.TEXT, by_words(operand, cut))


def _case_of(kernel: Callable[[Any], Any]) -> Callable[[Operands], Vector]:
    def rule(operands: Operands) -> Vector:
        (operand,) = operands.vectors
        if operand.kind not in TEXTS:
            return operands.ask(operands)
        _refuse_nul(operand)
        return Vector(Kind.TEXT, by_words(operand, kernel))

    return rule


def _concat(operands: Operands) -> Vector:
    """|| of texts."""
    left, right = operands.vectors
    if Kind.NULL in (left.kind, right.kind):
        return nulls(operands.count)
    if left.kind not in TEXTS or right.kind not in TEXTS:
        return operands.ask(operands)
    data = pc.binary_join_element_wise(text_data(left), text_data(right), "")
    return Vector(Kind.TEXT, data)


RULES: dict[str, Callable[[Operands], Vector]] = {
    "like": _like,
    "length()": _length,
    "substr()": _substr,
    "substring()": _substr,
    "lower()": _case_of(pc.ascii_lower),
    "upper()": _case_of(pc.ascii_upper),
    "||": _concat,
}
