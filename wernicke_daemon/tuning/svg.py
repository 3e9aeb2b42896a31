"""Pictures as SVG text: elements, scales and their ticks. Colours are classes, which the style sheet has. Pure."""

import html
import math
from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import NamedTuple


def element(name: str, content: str = "", **attributes: object) -> str:
    """content: SVG. An attribute's `_` stands for `-`; `class_` is `class`."""
    written = "".join(f' {key.rstrip("_").replace("_", "-")}="{_value(value)}"' for key, value in attributes.items())
    return f"<{name}{written}>{content}</{name}>"


def _value(value: object) -> str:
    return f"{value:.1f}".removesuffix(".0") if isinstance(value, float) else html.escape(str(value))


def text(x: float, y: float, words: str, class_: str = "", anchor: str = "start") -> str:
    return element("text", html.escape(words), x=x, y=y, class_=class_, text_anchor=anchor)


def rect(x: float, y: float, width: float, height: float, class_: str, title: str = "") -> str:
    """title: is shown where a pointer rests on it."""
    said = element("title", html.escape(title)) if title else ""
    return element("rect", said, x=x, y=y, width=max(0.5, width), height=height, class_=class_, rx=min(2.0, height / 3))


def line(x1: float, y1: float, x2: float, y2: float, class_: str) -> str:
    return element("line", x1=x1, y1=y1, x2=x2, y2=y2, class_=class_)


def curve(points: Sequence[tuple[float, float]], class_: str) -> str:
    """A single point is a dot."""
    if len(points) == 1:
        return element("circle", cx=points[0][0], cy=points[0][1], r=2, class_=f"{class_} dot")
    return element("polyline", points=" ".join(f"{x:.1f},{y:.1f}" for x, y in points), class_=class_)


def picture(width: float, height: float, label: str, parts: Iterable[str]) -> str:
    """label: what is seen, for who does not see it."""
    return element(
        "svg",
        "".join(parts),
        viewBox=f"0 0 {width:g} {height:g}",
        role="img",
        aria_label=label,
        xmlns="http://www.w3.org/2000/svg",
    )


class Scale(NamedTuple):
    """Values from `low` to `high` at places from `start` to `end`; logarithmic where so said."""

    low: float
    high: float
    start: float
    end: float
    logarithmic: bool = False

    def __call__(self, value: float) -> float:
        low, high, value = self.low, self.high, min(max(value, self.low), self.high)
        if self.logarithmic:
            low, high, value = math.log(low), math.log(high), math.log(value)
        return self.start + (value - low) / ((high - low) or 1.0) * (self.end - self.start)

    def ticks(self, most: int = 8) -> list[float]:
        return _decades(self.low, self.high) if self.logarithmic else _even(self.low, self.high, most)


def _even(low: float, high: float, most: int) -> list[float]:
    """Multiples of 1, 2 or 5 times a power of ten."""
    rough = (high - low) / most or 1.0
    power = 10.0 ** math.floor(math.log10(rough))
    step = next(each * power for each in (1, 2, 5, 10) if each * power >= rough)
    return [number * step for number in range(math.ceil(low / step), math.floor(high / step) + 1)]


def _decades(low: float, high: float) -> list[float]:
    first, last = math.floor(math.log10(low)), math.ceil(math.log10(high))
    found = [each * 10.0**power for power in range(first, last + 1) for each in (1, 2, 5)]
    return [value for value in found if low * 0.999 <= value <= high * 1.001]


def seconds(value: float) -> str:
    """Of milliseconds: 80 ms, 1.4 s, 12 s, 3 min."""
    if value < 995:
        return f"{value:.0f} ms"
    if value < 9950:
        return f"{value / 1000:.1f} s"
    return f"{value / 1000:.0f} s" if value < 119_500 else f"{value / 60_000:.0f} min"


class TimeAxis:
    """Slots of time side by side, with a gap where there are none between them: nights take no room."""

    GAP = 2

    def __init__(self, starts: Sequence[float], width_s: float, start: float, end: float) -> None:
        """starts: of the slots, in seconds since 1970, in order. start, end: places."""
        self.runs: list[list[int]] = []  # numbers of slots that follow each other
        self._starts = starts
        columns: list[int] = []
        for number, at in enumerate(starts):
            follows = number > 0 and at - starts[number - 1] < 3.5 * width_s
            columns.append(columns[-1] + (1 if follows else self.GAP) if columns else 0)
            if follows:
                self.runs[-1].append(number)
            else:
                self.runs.append([number])
        self.step = (end - start) / (columns[-1] + 1 if columns else 1)
        self._places = [start + (column + 0.5) * self.step for column in columns]

    def __getitem__(self, number: int) -> float:
        """Place of a slot's middle."""
        return self._places[number]

    def labels(self, apart: float = 90.0) -> list[tuple[float, str]]:
        """Local times so far apart at least, with the day where it is another."""
        found: list[tuple[float, str]] = []
        minute = ""
        for place, at in zip(self._places, self._starts, strict=True):
            new = datetime.fromtimestamp(at).strftime("%m-%d %H:%M")
            if new == minute or (found and place - found[-1][0] < apart):
                continue
            found.append((place, new[6:] if new[:5] == minute[:5] else new))
            minute = new
        return found
