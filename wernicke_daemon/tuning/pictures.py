"""Pictures of a Summary: delays over time, how they are spread, how busy stages were, what waits are made of. Pure."""

from collections.abc import Callable, Iterator, Mapping, Sequence

from ipc.messages import STAGES
from wernicke_daemon.tuning import svg
from wernicke_daemon.tuning.histogram import Histogram, bucket_of, middle_of
from wernicke_daemon.tuning.overlap import Words
from wernicke_daemon.tuning.timeline import Slot, Timeline
from wernicke_daemon.tuning.waits import CAUSES

WIDTH, LEFT, RIGHT = 960.0, 64.0, 12.0
HEIGHT, BELOW = 200.0, 28.0
LEAST_MS = 20.0
"""Lower end of scales of time: less is at once."""
QUANTILES = (0.5, 0.95, 0.99)
COARSER = 4
"""Buckets of a Histogram to a bar."""


def delays(timeline: Timeline, words: Words) -> str:
    """p50, p95 and p99 of the wait for a result, with a mark where a stage's process died."""
    slots = list(timeline)
    axis = _axis(slots, timeline)
    most = max((slot.latency_ms.most for _, slot in slots), default=0.0)
    least = min((low for _, slot in slots if (low := slot.latency_ms.quantile(0.5)) is not None), default=LEAST_MS)
    scale = svg.Scale(max(LEAST_MS, least / 2), max(1000.0, most), HEIGHT, 8, logarithmic=True)
    parts = [*_frame(scale, axis, svg.seconds)]
    for quantile in reversed(QUANTILES):  # of equal ones the lowest is seen
        of = [slot.latency_ms.quantile(quantile) for _, slot in slots]
        parts += _curves(axis, [None if value is None else scale(value) for value in of], f"p{quantile * 100:.0f}")
    for number, (_, slot) in enumerate(slots):
        if slot.ended:
            parts.append(
                svg.rect(axis[number] - 1.5, HEIGHT - 8, 3, 8, "ended", words("delays.ended", times=slot.ended))
            )
    return svg.picture(WIDTH, HEIGHT + BELOW, words("delays"), parts)


def busy(timeline: Timeline, words: Words) -> str:
    """Share of the time that each stage was at work."""
    slots = list(timeline)
    axis = _axis(slots, timeline)
    shares = {stage: [slot.worked_ms[stage] / 10 / timeline.width_s for _, slot in slots] for stage in STAGES}
    most = max((share for of in shares.values() for share in of), default=0.0)
    scale = svg.Scale(0.0, max(100.0, most), HEIGHT, 8)
    parts = [*_frame(scale, axis, lambda value: f"{value:.0f} %")]
    for stage in STAGES:
        if any(shares[stage]):
            parts += _curves(axis, [scale(share) for share in shares[stage]], f"line-{stage}")
    return svg.picture(WIDTH, HEIGHT + BELOW, words("busy"), parts)


def _axis(slots: Sequence[tuple[float, Slot]], timeline: Timeline) -> svg.TimeAxis:
    return svg.TimeAxis([at for at, _ in slots], timeline.width_s, LEFT, WIDTH - RIGHT)


def _frame(scale: svg.Scale, axis: svg.TimeAxis, said: Callable[[float], str]) -> Iterator[str]:
    for tick in scale.ticks(5):
        yield svg.line(LEFT, scale(tick), WIDTH - RIGHT, scale(tick), "grid")
        yield svg.text(LEFT - 8, scale(tick) + 4, said(tick), "axis", "end")
    for place, label in axis.labels():
        yield svg.line(place, HEIGHT, place, HEIGHT + 4, "grid")
        yield svg.text(place, HEIGHT + 18, label, "axis", "middle")


def _curves(axis: svg.TimeAxis, heights: Sequence[float | None], class_: str) -> Iterator[str]:
    """Interrupted where there is nothing."""
    for run in axis.runs:
        points = [(axis[number], height) for number in run if (height := heights[number]) is not None]
        if points:
            yield svg.curve(points, f"curve {class_}")


def spread(values: Histogram, words: Words) -> str:
    """How many results came after how long."""
    bars: dict[int, int] = {}
    for bucket, count in values.counts.items():
        bar = max(bucket, bucket_of(LEAST_MS)) // COARSER
        bars[bar] = bars.get(bar, 0) + count
    first, last = min(bars, default=0), max(bars, default=0) + 1
    low, high = middle_of(first * COARSER), middle_of(last * COARSER)
    across = svg.Scale(low, max(high, 1.1 * low), LEFT, WIDTH - RIGHT, logarithmic=True)
    up = svg.Scale(0.0, max(bars.values(), default=1), 140, 22)
    parts = [*_spread_axes(across, up)]
    for bar, count in sorted(bars.items()):
        left, right = across(middle_of(bar * COARSER)), across(middle_of((bar + 1) * COARSER))
        parts.append(svg.rect(left + 0.5, up(count), right - left - 1, 140 - up(count), "bar", str(count)))
    for quantile in QUANTILES:
        if (value := values.quantile(quantile)) is not None:
            parts.append(svg.line(across(value), 8, across(value), 140, "quantile"))
            parts.append(svg.text(across(value) + 4, 15, f"p{quantile * 100:.0f}", "axis"))
    return svg.picture(WIDTH, 140 + BELOW, words("spread"), parts)


def _spread_axes(across: svg.Scale, up: svg.Scale) -> Iterator[str]:
    for tick in up.ticks(3):
        yield svg.line(LEFT, up(tick), WIDTH - RIGHT, up(tick), "grid")
        yield svg.text(LEFT - 8, up(tick) + 4, f"{tick:g}", "axis", "end")
    for tick in across.ticks():
        yield svg.text(across(tick), 158, svg.seconds(tick), "axis", "middle")


def made_of(rows: Sequence[tuple[str, Mapping[str, float]]], words: Words) -> str:
    """rows: a label, and milliseconds by cause."""
    longest = max((sum(of.values()) for _, of in rows), default=0.0)
    scale = svg.Scale(0.0, max(1.0, longest), 150, WIDTH - 70)
    parts: list[str] = []
    for number, (label, of) in enumerate(rows):
        y, at = 8 + 40 * number, 0.0
        parts.append(svg.text(142, y + 18, label, "axis", "end"))
        for cause in CAUSES:
            if (milliseconds := of.get(cause, 0.0)) > 0:
                title = f"{words(f'cause.{cause}')}: {svg.seconds(milliseconds)}"
                width = scale(at + milliseconds) - scale(at)
                parts.append(svg.rect(scale(at), y, width, 28, f"cause-{cause}", title))
                at += milliseconds
        parts.append(svg.text(scale(at) + 8, y + 18, svg.seconds(at), "axis"))
    return svg.picture(WIDTH, 8 + 40 * len(rows), words("made_of"), parts)
