"""What anybody can cause as often as they like: the first few are told one by one, the others as a number.

A log with a line for each of it would grow as fast as strangers wish, and soon hold nothing else.
"""

import asyncio
from collections import Counter
from collections.abc import Callable

SPAN_S = 10.0
"""Time over which is counted, from the first one on."""

MOST_KINDS = 20
"""Told apart in a span; what comes beyond is counted together."""

OTHER = "other"


class Repeats:
    """Counts by kind. Used on the event loop's thread."""

    def __init__(self, in_full: int, report: Callable[[dict[str, int]], None]) -> None:
        """in_full: how many of a kind are told one by one in a span. report: called at the end of a span that had
        more, with how many more of each kind, the kind that was the first in it first."""
        self._in_full = in_full
        self._report = report
        self._counts: Counter[str] = Counter()

    def add(self, kind: str) -> bool:
        """Count one. Whether it is to be told by itself."""
        if not self._counts:
            asyncio.get_running_loop().call_later(SPAN_S, self._end)
        if kind not in self._counts and len(self._counts) >= MOST_KINDS:
            kind = OTHER
        self._counts[kind] += 1
        return self._counts[kind] <= self._in_full

    def _end(self) -> None:
        more = {kind: count - self._in_full for kind, count in self._counts.items() if count > self._in_full}
        self._counts.clear()
        if more:
            self._report(more)
