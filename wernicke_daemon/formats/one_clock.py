"""Results of sessions that go on one for another, on the clock of the first. Pure."""

from collections.abc import Iterable, Sequence
from typing import Any

Result = dict[str, Any]
"""A `final`, `error` or `suppressed` of the wire protocol."""


def one_clock(parts: Iterable[tuple[float, Sequence[Result]]]) -> list[Result]:
    """parts: of each session, in order, the seconds from the begin of the first to its own, and its results. All
    results, their `timestamp_range` in seconds of the first.

    A session of which more was sent than time passed, as a file is, puts those after it off: nothing overlaps.
    """
    joined: list[Result] = []
    end = 0.0
    for offset_s, results in parts:
        start = max(offset_s, end)
        shifted = [_shifted(result, start) for result in results]
        end = max([end, *(result["timestamp_range"]["end"] for result in shifted if "timestamp_range" in result)])
        joined += shifted
    return joined


def _shifted(result: Result, by_s: float) -> Result:
    if "timestamp_range" not in result:
        return result
    times = {name: by_s + time for name, time in result["timestamp_range"].items()}
    return result | {"timestamp_range": times}
