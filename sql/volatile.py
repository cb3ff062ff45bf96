"""Whether a piece of SQL gives the same values when it is evaluated twice in one transaction."""

from __future__ import annotations

from colonnade.sql.tokens import Kind, Reader

# SQLite's functions whose value follows from their arguments (sqlite.org/lang_corefunc.html, lang_aggfunc.html,
# lang_mathfunc.html, windowfunctions.html, json1.html), and the words that may stand before a parenthesis.
_STEADY_WORDS = """
    abs char coalesce concat concat_ws format glob hex ifnull iif if instr length like likelihood likely unlikely
    lower ltrim max min nullif octet_length printf quote replace round rtrim sign soundex sqlite_version substr
    substring trim typeof unhex unicode unistr unistr_quote upper zeroblob
    avg count group_concat string_agg sum total row_number rank dense_rank percent_rank cume_dist ntile lag lead
    first_value last_value nth_value filter over
    acos acosh asin asinh atan atan2 atanh ceil ceiling cos cosh degrees exp floor ln log log10 log2 mod pi pow power
    radians sin sinh sqrt tan tanh trunc
    json json_array json_array_length json_extract json_insert json_object json_patch json_pretty json_quote
    json_remove json_replace json_set json_type json_valid json_each json_tree json_group_array json_group_object
    values in and or not as from where select all any exists on using when then else case between is null cast
    limit offset by having union intersect except distinct join cross escape collate set into over partition range
    rows groups with recursive materialized
"""
_STEADY = frozenset(_STEADY_WORDS.split())
_CLOCKS = frozenset({"CURRENT_TIME", "CURRENT_DATE", "CURRENT_TIMESTAMP"})


def is_volatile(sql: str) -> bool:
    """Whether the text may give other values the next time: it asks a clock, chance, a counter of the
    connection, or a function that is not known here. May say yes too often, never too seldom."""
    reader = Reader(sql)
    number = 0
    while (token := reader[number]).kind is not Kind.END:
        if token.key in _CLOCKS:
            return True
        if token.is_name and reader[number + 1].key == "(" and token.name.lower() not in _STEADY:
            before = reader[number - 1].key if number else ""
            if before not in ("AS", "INTO", "WITH", ",", "RECURSIVE") or not _is_column_list(
                reader, number + 1
            ):
                return True
        number += 1
    return False


def has_subquery(sql: str) -> bool:
    """Whether a SELECT or VALUES may stand in the text."""
    reader, number = Reader(sql), 0
    while (token := reader[number]).kind is not Kind.END:
        if token.key in ("SELECT", "VALUES", "WITH"):
            return True
        number += 1
    return False


def _is_column_list(reader: Reader, number: int) -> bool:
    """Whether the parenthesis at `number` holds only names, and AS follows: that of a common table expression."""
    stop = reader.skip_parentheses(number)
    inside = (reader[n] for n in range(number + 1, stop - 1))
    return reader[stop].key == "AS" and all(token.is_name or token.key == "," for token in inside)
