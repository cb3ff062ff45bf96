"""The charts of the page, as SVG: figures over time, tables side by side in time, and stacked bars."""

from __future__ import annotations

import math
from bisect import bisect_right
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from colonnade.loader.page.markup import Html, join, short, tag
from colonnade.loader.timeline import Sample

WIDTH, _LEFT, _RIGHT = (
    960,
    120,
    16,
)  # of a chart, in its own units; space for labels, and at the end of the axis
_HEIGHT, _TOP, _BOTTOM = 170, 12, 22
_LANE = 20  # height of a table's line
_MOST_BINS = 90
_NAME = 17  # characters of a table's name that fit


@dataclass(frozen=True, slots=True)
class TimeAxis:
    """Seconds from 0 to the end of the load, across the charts that share it."""

    end_s: float

    def at(self, seconds: float) -> float:
        """Where on the page."""
        share = min(1.0, max(0.0, seconds / self.end_s)) if self.end_s else 0.0
        return round(_LEFT + share * (WIDTH - _LEFT - _RIGHT), 2)

    def drawn(self, bottom: float) -> Html:
        """Its labels, and lines up from them."""
        marks = []
        for value in ticks(self.end_s, 8):
            x = self.at(value)
            marks.append(tag("line", x1=x, x2=x, y1=_TOP, y2=bottom, class_="grid"))
            marks.append(tag("text", f"{value:g} s", x=x, y=bottom + 15, class_="tick", text_anchor="middle"))
        return join(marks)


def ticks(top: float, wanted: int) -> list[float]:
    """Round numbers from 0 to `top`, about as many as wanted."""
    if top <= 0:
        return [0.0]
    rough = top / wanted
    size = 10.0 ** math.floor(math.log10(rough))
    step = next(size * factor for factor in (1, 2, 5, 10) if size * factor >= rough * 0.999)
    return [round(step * number, 10) for number in range(int(top / step + 1e-9) + 1)]


def rates(samples: Sequence[Sample]) -> list[tuple[float, float, float]]:
    """(from, to, rows a second) for equal stretches of time, as many as there are samples for."""
    if len(samples) < 2 or samples[-1].seconds <= 0:
        return []
    end, count = samples[-1].seconds, max(1, min(_MOST_BINS, len(samples) // 2))
    edges = [end * number / count for number in range(count + 1)]
    rows = [_rows_at(samples, edge) for edge in edges]
    return [
        (edges[at], edges[at + 1], max(0.0, (rows[at + 1] - rows[at]) / (edges[at + 1] - edges[at])))
        for at in range(count)
    ]


def _rows_at(samples: Sequence[Sample], seconds: float) -> float:
    """Rows stored at a time between two samples."""
    after = bisect_right(samples, seconds, key=lambda sample: sample.seconds)
    if after == 0 or after == len(samples):
        return samples[min(after, len(samples) - 1)].rows
    left, right = samples[after - 1], samples[after]
    share = (seconds - left.seconds) / (right.seconds - left.seconds)
    return left.rows + share * (right.rows - left.rows)


def rate_chart(samples: Sequence[Sample], axis: TimeAxis) -> Html:
    """Rows stored a second, as steps."""
    stretches = rates(samples)
    if not stretches:
        return Html("")
    y, frame = _scale(max(rate for *_, rate in stretches), short)
    points = [(axis.at(x), y(rate)) for start, stop, rate in stretches for x in (start, stop)]
    shown = [
        tag(
            "rect",
            tag("title", f"{start:.2f} to {stop:.2f} s: {rate:,.0f} rows/s"),
            x=axis.at(start),
            y=_TOP,
            width=max(0.1, round(axis.at(stop) - axis.at(start), 2)),
            height=_HEIGHT - _TOP - _BOTTOM,
            class_="hit",
        )
        for start, stop, rate in stretches
    ]
    return _svg(
        "rows stored per second", _HEIGHT, axis.drawn(_HEIGHT - _BOTTOM), frame, _area(points, "rate"), *shown
    )


def memory_chart(samples: Sequence[Sample], axis: TimeAxis, peak_bytes: int) -> Html:
    """Memory in RAM, and the most that there was."""
    if not any(sample.rss_bytes for sample in samples):
        return Html("")
    most = max(peak_bytes, *(sample.rss_bytes for sample in samples))
    y, frame = _scale(1.05 * most / 1e6, lambda value: f"{value:g} MB")
    points = [(axis.at(sample.seconds), y(sample.rss_bytes / 1e6)) for sample in samples]
    marks = [_area(points, "memory")]
    if peak_bytes:
        at = y(peak_bytes / 1e6)
        marks.append(tag("line", x1=_LEFT, x2=WIDTH - _RIGHT, y1=at, y2=at, class_="peak"))
        label = f"peak {peak_bytes / 1e6:,.0f} MB"
        marks.append(tag("text", label, x=WIDTH - _RIGHT, y=at - 4, class_="tick", text_anchor="end"))
    return _svg("memory of the process", _HEIGHT, axis.drawn(_HEIGHT - _BOTTOM), frame, *marks)


@dataclass(frozen=True, slots=True)
class Lane:
    """What happened under a name, from when on and for how long."""

    name: str
    start_s: float
    length_s: float
    label: str


def lanes(spans: Sequence[Lane], axis: TimeAxis) -> Html:
    """A line each, under the same axis."""
    bottom = _TOP + _LANE * len(spans)
    marks = [axis.drawn(bottom)]
    for at, span in enumerate(spans):
        top = _TOP + at * _LANE
        name = span.name if len(span.name) <= _NAME else span.name[: _NAME - 1] + "…"
        whole = tag("title", f"{span.name}: {span.label}")
        marks.append(tag("text", whole, name, x=_LEFT - 8, y=top + 14, class_="name", text_anchor="end"))
        x, stop = axis.at(span.start_s), axis.at(span.start_s + span.length_s)
        width = max(1.5, round(stop - x, 2))
        marks.append(tag("rect", whole, x=x, y=top + 3, width=width, height=_LANE - 6, rx=2, class_="lane"))
        inside = stop > WIDTH - _RIGHT - 150  # no room behind it
        place = {"x": stop - 6, "text_anchor": "end"} if inside else {"x": stop + 6}
        marks.append(tag("text", span.label, y=top + 14, class_="in tick" if inside else "tick", **place))
    return _svg("tables as time goes by", bottom + _BOTTOM, *marks)


def stacked(parts: Sequence[tuple[str, float, str]], whole: float) -> Html:
    """A bar of (class, size, what to say of it), as long as their sum is of `whole`."""
    marks, x = [], 0.0
    for kind, size, said in parts:
        width = 100 * size / whole if whole else 0.0
        if width:
            marks.append(
                tag(
                    "rect",
                    tag("title", said),
                    x=round(x, 3),
                    y=0,
                    width=round(width, 3),
                    height=10,
                    class_=kind,
                )
            )
        x += width
    return tag("svg", *marks, class_="bar", viewBox="0 0 100 10", preserveAspectRatio="none", role="img")


def _scale(top: float, label: Callable[[float], str]) -> tuple[Callable[[float], float], Html]:
    """How high a value is drawn, and the lines and labels of the axis."""
    floor, height = _HEIGHT - _BOTTOM, _HEIGHT - _TOP - _BOTTOM
    marks: list[Html] = []
    values = ticks(top or 1.0, 4)
    if values[-1] < top:  # the highest line is above all that is drawn
        values.append(round(values[-1] + values[1], 10))
    top = values[-1]

    def y(value: float) -> float:
        return round(floor - height * value / top, 2)

    for value in values:
        marks.append(tag("line", x1=_LEFT, x2=WIDTH - _RIGHT, y1=y(value), y2=y(value), class_="grid"))
        marks.append(tag("text", label(value), x=_LEFT - 8, y=y(value) + 4, class_="tick", text_anchor="end"))
    return y, join(marks)


def _area(points: Sequence[tuple[float, float]], kind: str) -> Html:
    line = " ".join(f"{x},{y}" for x, y in points)
    floor = _HEIGHT - _BOTTOM
    area = f"{points[0][0]},{floor} {line} {points[-1][0]},{floor}"
    return join(
        (
            tag("polygon", points=area, class_=f"area {kind}"),
            tag("polyline", points=line, class_=f"line {kind}"),
        )
    )


def _svg(title: str, height: float, *marks: object) -> Html:
    return tag("svg", *marks, class_="chart", viewBox=f"0 0 {WIDTH} {height:g}", role="img", aria_label=title)
