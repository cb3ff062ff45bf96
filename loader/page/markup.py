"""Markup of the page: elements whose text is always escaped, and numbers for people."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from html import escape

_UNITS = ((1e9, "G"), (1e6, "M"), (1e3, "k"))


class Html(str):
    """Markup that is ready: everything in it that came from the data was escaped."""

    __slots__ = ()


def text(value: object) -> Html:
    """A value as text of the page; markup stays as it is. Control characters show as �, which browsers would drop."""
    if isinstance(value, Html):
        return value
    shown = "".join(c if c >= " " or c in "\t\n" else "�" for c in str(value))
    return Html(escape(shown.encode("utf-8", "replace").decode()))


def tag(name: str, *content: object, **attributes: object) -> Html:
    """An element; `class_` stands for class, and `_` for `-`."""
    given = "".join(
        f' {key.rstrip("_").replace("_", "-")}="{text(value)}"'
        for key, value in attributes.items()
        if value is not None
    )
    return Html(f"<{name}{given}>{join(content)}</{name}>")


def join(parts: Iterable[object]) -> Html:
    return Html("".join(map(text, parts)))


def table(header: Sequence[object], rows: Iterable[Sequence[object]], *, left: Sequence[int] = (0,)) -> Html:
    """A table whose columns are numbers, but for those in `left`; columns without any are left out.

    It scrolls where the page is too narrow.
    """
    lines = list(rows)
    shown = [at for at in range(len(header)) if at in left or any(row[at] != "" for row in lines)]

    def line(kind: str, cells: Sequence[object]) -> Html:
        return tag("tr", *(tag(kind, cells[at], class_="l" if at in left else None) for at in shown))

    body = tag("tbody", *(line("td", row) for row in lines))
    return tag("div", tag("table", tag("thead", line("th", header)), body), class_="scroll")


def section(title: str, *content: object, note: str = "") -> Html:
    about = tag("p", note, class_="note") if note else ""
    return tag("section", tag("h2", title), about, *content)


def count(value: float) -> str:
    """1,234,567; nothing for 0, so that what is there stands out."""
    return f"{value:,.0f}" if value else ""


def short(value: float) -> str:
    """About three figures: 1.23 M, 45.6 k, 789."""
    for size, unit in _UNITS:
        if abs(value) >= size * 0.9995:
            scaled = value / size
            return f"{scaled:.{0 if scaled >= 99.95 else 1 if scaled >= 9.995 else 2}f} {unit}"
    return f"{value:.0f}" if value == int(value) else f"{value:.2f}"


def brief(value: float) -> Html | str:
    """About three figures, and all of them where the pointer rests."""
    return tag("span", short(value), title=f"{value:,.0f}") if value else ""


def megabytes(value: float) -> str:
    """Megabytes of bytes."""
    return "" if not value else f"{value / 1e6:,.1f}" if value >= 50_000 else "< 0.1"


def seconds(value: float) -> str:
    return "" if not value else f"{value:,.2f}" if value >= 0.005 else "< 0.01"
